/** Z85, bytes as printable text (ZeroMQ RFC 32): five characters for every four bytes. */

const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

/** `undefined` if the length is no multiple of 4. */
export const encode = (bytes: Uint8Array): string | undefined => {
  if (bytes.length % 4 !== 0) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let text = ""
  for (let at = 0; at < bytes.length; at += 4) {
    let rest = view.getUint32(at)
    let group = ""
    for (let i = 0; i < 5; i++) {
      group = digits[rest % 85]! + group
      rest = Math.floor(rest / 85)
    }
    text += group
  }
  return text
}

/** `undefined` if the length is no multiple of 5, or a character is not of Z85, or five of them exceed four bytes. */
export const decode = (text: string): Buffer | undefined => {
  if (text.length % 5 !== 0) return undefined
  const bytes = Buffer.alloc((text.length / 5) * 4)
  for (let at = 0; at < text.length; at += 5) {
    let group = 0
    for (let i = at; i < at + 5; i++) {
      const value = digits.indexOf(text[i]!)
      if (value < 0) return undefined
      group = group * 85 + value
    }
    // libzmq wraps around: two texts would be the same key.
    if (group > 0xffff_ffff) return undefined
    bytes.writeUInt32BE(group, (at / 5) * 4)
  }
  return bytes
}
