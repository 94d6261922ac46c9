/**
 * HSalsa20 with a nonce of zeros: what makes the key of a box of the secret that
 * two keys share. `sodium-native` does not export it. It runs a few times for a
 * handshake, and never for a message.
 */

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits))

/** The places of the four quarter rounds, by columns and then by rows. */
const rounds = [
  [0, 4, 8, 12],
  [5, 9, 13, 1],
  [10, 14, 2, 6],
  [15, 3, 7, 11],
  [0, 1, 2, 3],
  [5, 6, 7, 4],
  [10, 11, 8, 9],
  [15, 12, 13, 14]
] as const

/** Where "expand 32-byte k" stands, and the key around the nonce. */
const constants = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const

export const hsalsa20 = (secret: Uint8Array): Uint8Array => {
  const key = new DataView(secret.buffer, secret.byteOffset, 32)
  const x = new Int32Array(16)
  for (let i = 0; i < 4; i++) {
    x[i * 5] = constants[i]!
    x[1 + i] = key.getInt32(i * 4, true)
    x[11 + i] = key.getInt32(16 + i * 4, true)
  }
  for (let round = 0; round < 10; round++)
    for (const [a, b, c, d] of rounds) {
      x[b] = x[b]! ^ rotate((x[a]! + x[d]!) | 0, 7)
      x[c] = x[c]! ^ rotate((x[b]! + x[a]!) | 0, 9)
      x[d] = x[d]! ^ rotate((x[c]! + x[b]!) | 0, 13)
      x[a] = x[a]! ^ rotate((x[d]! + x[c]!) | 0, 18)
    }
  const result = new Uint8Array(32)
  const view = new DataView(result.buffer)
  for (const [i, from] of [0, 5, 10, 15, 6, 7, 8, 9].entries()) view.setInt32(i * 4, x[from]!, true)
  x.fill(0)
  return result
}
