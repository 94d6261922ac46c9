/** CURVE keys: 32 bytes of Curve25519, as 40 characters of Z85. */
import { createPrivateKey, createPublicKey, randomBytes } from "node:crypto"
import { decode, encode } from "./z85.ts"

export type { PublicKey } from "../../Curve.ts"

export const expectedKey = "a CURVE key of 40 Z85 characters, as Curve.generate and curveKeyPair make them"

// CZMQ writes a key of zeros where it has none. As a public key it would be
// anybody's: every secret agrees on the same key with it.
export const isKey = (text: string): boolean =>
  text.length === 40 && (decode(text)?.some((byte) => byte !== 0) ?? false)

/** What stands before the 32 bytes of an X25519 key in PKCS #8 (RFC 8410). */
const pkcs8 = Buffer.from("302e020100300506032b656e04220420", "hex")

/** The public key that belongs to a secret one, both as Z85. */
export const publicKeyOf = (secret: string): string => {
  const key = Buffer.concat([pkcs8, decode(secret)!])
  const { x } = createPublicKey(createPrivateKey({ key, format: "der", type: "pkcs8" })).export({ format: "jwk" })
  return encode(Buffer.from(x!, "base64url"))!
}

export const randomSecret = (): string => encode(randomBytes(32))!
