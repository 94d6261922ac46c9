/** The frames of ZMTP 3: a flags octet, a size of one octet or eight, a body (RFC 37, Framing). */

export const MORE = 1
export const LONG = 2
export const COMMAND = 4

/** The largest size of a short frame. */
export const shortest = 255

/** Writes flags and size. Gives the place of the body. */
export const writeHead = (bytes: Buffer, at: number, flags: number, length: number): number => {
  if (length <= shortest) {
    bytes[at] = flags
    bytes[at + 1] = length
    return at + 2
  }
  bytes[at] = flags | LONG
  bytes.writeUInt32BE(Math.floor(length / 2 ** 32), at + 1)
  bytes.writeUInt32BE(length % 2 ** 32, at + 5)
  return at + 9
}

/** The size in a long frame. Not exact above 2^53, where it is larger than every limit. */
export const longSize = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! * 2 ** 24 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)) * 2 ** 32 +
  (bytes[at + 4]! * 2 ** 24 + ((bytes[at + 5]! << 16) | (bytes[at + 6]! << 8) | bytes[at + 7]!))
