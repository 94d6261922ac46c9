/** Metadata: properties of a name and a value, as READY and INITIATE have them (RFC 37, Connection Metadata). */
import { part } from "./bytes.ts"

/** By lower-case names, as the case of names does not matter. */
export type Properties = ReadonlyMap<string, Buffer>

export const encodeProperties = (properties: Iterable<readonly [name: string, value: Uint8Array]>): Buffer => {
  const parts: Array<Uint8Array> = []
  for (const [name, value] of properties) {
    const head = Buffer.alloc(1 + name.length + 4)
    head[0] = name.length
    head.write(name, 1, "latin1")
    head.writeUInt32BE(value.length, 1 + name.length)
    parts.push(head, value)
  }
  return Buffer.concat(parts)
}

/** Properties, or why they are none. The values are views of `bytes`. */
export const decodeProperties = (bytes: Buffer, most: number): Properties | string => {
  const properties = new Map<string, Buffer>()
  let at = 0
  while (at < bytes.length) {
    const nameEnd = at + 1 + bytes[at]!
    if (nameEnd + 4 > bytes.length) return "a property that is cut off"
    const name = bytes.toString("latin1", at + 1, nameEnd)
    if (!/^[A-Za-z0-9\-_.+]+$/.test(name)) return "a property with a bad name"
    const end = nameEnd + 4 + bytes.readUInt32BE(nameEnd)
    if (end > bytes.length) return "a property that is cut off"
    const key = name.toLowerCase()
    if (properties.has(key)) return `two properties ${key}`
    if (properties.size === most) return `more than ${most} properties`
    properties.set(key, part(bytes, nameEnd + 4, end))
    at = end
  }
  return properties
}
