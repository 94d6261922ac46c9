/**
 * The cryptography of CURVE, and where it comes from: `sodium-native`, or
 * `libsodium-wrappers`, which is the same library in WebAssembly.
 *
 * A box of NaCl is a secret box under a key that is made of a public and a
 * secret one. So these four are enough.
 */
import { hsalsa20 } from "./hsalsa.ts"

export interface KeyPair {
  readonly publicKey: Uint8Array
  readonly secretKey: Uint8Array
}

/** What a box is longer than what is in it. */
export const boxOverhead = 16

export interface Boxes {
  /** The package that they come from. */
  readonly name: string
  /** When they may be used; undefined if that is now. */
  readonly ready: Promise<void> | undefined
  keyPair(): KeyPair
  /** The key that the owners of two key pairs have in common. `undefined` for a public key that is none. */
  agree(publicKey: Uint8Array, secretKey: Uint8Array): Uint8Array | undefined
  /** Writes the box of `plain` to `into`, 16 bytes longer. `plain` may be the end of `into`. */
  seal(into: Uint8Array, plain: Uint8Array, nonce: Uint8Array, key: Uint8Array): void
  /** Writes what is in `box` to `into`, 16 bytes shorter. Says whether the box was one. */
  open(into: Uint8Array, box: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean
}

interface SodiumNative {
  crypto_box_keypair(publicKey: Uint8Array, secretKey: Uint8Array): void
  crypto_scalarmult(into: Uint8Array, secretKey: Uint8Array, publicKey: Uint8Array): void
  crypto_secretbox_easy(into: Uint8Array, plain: Uint8Array, nonce: Uint8Array, key: Uint8Array): void
  crypto_secretbox_open_easy(into: Uint8Array, box: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean
}

interface SodiumWrappers {
  readonly ready: Promise<void>
  crypto_box_keypair(): { readonly publicKey: Uint8Array; readonly privateKey: Uint8Array }
  crypto_box_beforenm(publicKey: Uint8Array, secretKey: Uint8Array): Uint8Array
  crypto_secretbox_easy(plain: Uint8Array, nonce: Uint8Array, key: Uint8Array): Uint8Array
  crypto_secretbox_open_easy(box: Uint8Array, nonce: Uint8Array, key: Uint8Array): Uint8Array
}

// Both throw where a box is not one or a key is none.
const attempt = <A>(run: () => A): A | undefined => {
  try {
    return run()
  } catch {
    return undefined
  }
}

const nativeBoxes = (sodium: SodiumNative): Boxes => ({
  name: "sodium-native",
  ready: undefined,
  keyPair: () => {
    const pair = { publicKey: new Uint8Array(32), secretKey: new Uint8Array(32) }
    sodium.crypto_box_keypair(pair.publicKey, pair.secretKey)
    return pair
  },
  agree: (publicKey, secretKey) =>
    attempt(() => {
      const secret = new Uint8Array(32)
      sodium.crypto_scalarmult(secret, secretKey, publicKey)
      const key = hsalsa20(secret)
      secret.fill(0)
      return key
    }),
  seal: (into, plain, nonce, key) => sodium.crypto_secretbox_easy(into, plain, nonce, key),
  open: (into, box, nonce, key) => sodium.crypto_secretbox_open_easy(into, box, nonce, key)
})

const wrapperBoxes = (sodium: SodiumWrappers): Boxes => ({
  name: "libsodium-wrappers",
  ready: sodium.ready,
  keyPair: () => {
    const { publicKey, privateKey } = sodium.crypto_box_keypair()
    return { publicKey, secretKey: privateKey }
  },
  agree: (publicKey, secretKey) => attempt(() => sodium.crypto_box_beforenm(publicKey, secretKey)),
  seal: (into, plain, nonce, key) => into.set(sodium.crypto_secretbox_easy(plain, nonce, key)),
  open: (into, box, nonce, key) => {
    const plain = attempt(() => sodium.crypto_secretbox_open_easy(box, nonce, key))
    if (plain === undefined) return false
    into.set(plain)
    return true
  }
})

/** Gives a package by its name, as `require` does. */
export type Load = (name: string) => unknown

const found = <A>(load: Load, name: string): A | undefined => attempt(() => load(name) as A)

export const findNativeBoxes = (load: Load): Boxes | undefined => {
  const sodium = found<SodiumNative>(load, "sodium-native")
  return sodium === undefined ? undefined : nativeBoxes(sodium)
}

/** They may be used when they are `ready`. */
export const findWrapperBoxes = (load: Load): Boxes | undefined => {
  const sodium = found<SodiumWrappers>(load, "libsodium-wrappers")
  return sodium === undefined ? undefined : wrapperBoxes(sodium)
}

/** The faster ones that are installed: `undefined` if none are. */
export const findBoxes = (load: Load): Boxes | undefined => findNativeBoxes(load) ?? findWrapperBoxes(load)
