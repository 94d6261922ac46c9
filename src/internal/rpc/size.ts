/** What the other side takes: more would end the connection, and all calls with it. */

const none = Number.POSITIVE_INFINITY

/** An error of the one call that it is about. */
export class TooLarge extends Error {
  override readonly name = "TooLarge"
  readonly bytes: number

  constructor(what: string, bytes: number, most: number) {
    super(`${what} has ${bytes} bytes, and the other side takes at most ${most}, its maxMessageSize`)
    this.bytes = bytes
  }
}

// What CURVE adds to a frame: the name of the command, a nonce, an authenticator and the flags (rfc.zeromq.org/spec/26).
const added = { curve: 8 + 8 + 16 + 1 }

/** The bytes of a value that a socket with these options takes, or Infinity. */
export const mostOf = (options: {
  readonly maxMessageSize: number
  readonly security?: { readonly _tag: string } | undefined
  readonly curveSecretKey?: unknown
}): number => {
  const { curveSecretKey, maxMessageSize, security } = options
  if (maxMessageSize < 0) return none
  const isCurve = curveSecretKey !== undefined || security?._tag.startsWith("Curve") === true
  return Math.max(0, maxMessageSize - (isCurve ? added.curve : 0))
}

/** At least the bytes of a value, without a look at all of it. */
export const boundOf = (value: Uint8Array | string): number =>
  typeof value === "string" ? 3 * value.length : value.length

/** Why a value is too large, if it is. */
export const excessOf = (what: string, value: Uint8Array | string, most: number): TooLarge | undefined => {
  if (boundOf(value) <= most) return undefined
  const bytes = typeof value === "string" ? Buffer.byteLength(value) : value.length
  return bytes <= most ? undefined : new TooLarge(what, bytes, most)
}

/** As words have it: nothing where there is no limit. */
export const textOfMost = (most: number): string => (most === none ? "" : `${most}`)

export const mostOfText = (text: string | undefined): number =>
  text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : none
