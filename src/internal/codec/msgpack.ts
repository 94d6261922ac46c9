/**
 * The MessagePack format: one value, which is all of a frame.
 *
 * Integers are integers whatever their size, as typed peers want them: those
 * beyond 2^53 are a bigint here. Text is strict UTF-8. What a frame claims is
 * never believed before the bytes are there, and a frame has a limit on how many
 * values it may be decoded to: one of a single byte takes up to two hundred.
 */
import { isUtf8 } from "node:buffer"

/** What a value or a frame has that cannot be encoded or decoded. Thrown. */
export class MsgpackError extends Error {
  override readonly name = "MsgpackError"
}

/** A frame has more values than it may have. Thrown. */
export class TooManyValues extends MsgpackError {}

/** How many values a frame may have unless told otherwise. They take 200 MB at most. */
export const defaultMaxValues = 1_000_000

/** V8 ends the process when a list grows beyond a hundred million values. */
export const mostMaxValues = 10_000_000

// As PyZMQ's users know it from `msgpack`. A value that holds itself ends here.
const deepest = 512

const cutOff = () => new MsgpackError("no more bytes, in the middle of a value")
const tooDeep = () => new MsgpackError(`values nested deeper than ${deepest}`)

const viewOf = (buffer: Buffer): DataView => new DataView(buffer.buffer, buffer.byteOffset, buffer.length)

class Writer {
  private buffer = Buffer.allocUnsafeSlow(4096)
  private view = viewOf(this.buffer)
  private end = 0
  private depth = 0

  encode(value: unknown): Buffer {
    this.end = 0
    this.depth = 0
    this.write(value)
    const bytes = Buffer.allocUnsafe(this.end)
    this.buffer.copy(bytes, 0, 0, this.end)
    return bytes
  }

  get isSmall(): boolean {
    return this.buffer.length <= 65_536
  }

  private write(value: unknown): void {
    switch (typeof value) {
      case "string":
        return this.text(value)
      case "number":
        return this.number(value)
      case "boolean":
        return this.byte(value ? 0xc3 : 0xc2)
      case "bigint":
        return this.bigint(value)
      case "undefined":
        return this.byte(0xc0)
      case "object":
        if (value === null) return this.byte(0xc0)
        if (++this.depth > deepest) throw tooDeep()
        this.object(value)
        this.depth--
        return
      default:
        throw new MsgpackError(`a ${typeof value}`)
    }
  }

  private object(value: object): void {
    if (Array.isArray(value)) {
      this.length(value.length, 0x90, 15, 0xdc)
      for (let i = 0; i < value.length; i++) this.write(value[i])
      return
    }
    if (value instanceof Uint8Array) return this.bytes(value)
    if (value instanceof Date) return this.date(value)
    const prototype = Object.getPrototypeOf(value)
    if (prototype !== Object.prototype && prototype !== null) {
      throw new MsgpackError(`a ${value.constructor?.name ?? "class"}, which is neither an array nor a plain object`)
    }
    const record = value as Record<string, unknown>
    const keys = Object.keys(record)
    let count = 0
    for (const key of keys) if (record[key] !== undefined) count++
    this.length(count, 0x80, 15, 0xde)
    for (const key of keys) {
      const field = record[key]
      if (field === undefined) continue
      this.text(key)
      this.write(field)
    }
  }

  /** Room for so many bytes; returns where they start. */
  private take(bytes: number): number {
    const start = this.end
    this.end = start + bytes
    if (this.end > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.end, this.buffer.length * 2))
      this.buffer.copy(larger, 0, 0, start)
      this.buffer = larger
      this.view = viewOf(larger)
    }
    return start
  }

  private byte(value: number): void {
    const at = this.take(1)
    this.buffer[at] = value
  }

  /** The head of an array or a map, which have a form for few elements and two longer ones. */
  private length(count: number, few: number, mostFew: number, many: number): void {
    if (count <= mostFew) this.byte(few + count)
    else if (count <= 0xffff) this.uint16(many, count)
    else this.uint32(many + 1, count)
  }

  private uint8(type: number, value: number): void {
    const at = this.take(2)
    this.buffer[at] = type
    this.buffer[at + 1] = value
  }

  private uint16(type: number, value: number): void {
    const at = this.take(3)
    this.buffer[at] = type
    this.view.setUint16(at + 1, value)
  }

  private uint32(type: number, value: number): void {
    const at = this.take(5)
    this.buffer[at] = type
    this.view.setUint32(at + 1, value)
  }

  private number(value: number): void {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      const at = this.take(9)
      this.buffer[at] = 0xcb
      this.view.setFloat64(at + 1, value)
    } else if (value >= 0) {
      if (value < 0x80) this.byte(value)
      else if (value <= 0xff) this.uint8(0xcc, value)
      else if (value <= 0xffff) this.uint16(0xcd, value)
      else if (value <= 0xffffffff) this.uint32(0xce, value)
      else this.int64(0xcf, value)
    } else if (value >= -0x20) this.byte(value + 0x100)
    else if (value >= -0x80) this.uint8(0xd0, value + 0x100)
    else if (value >= -0x8000) this.uint16(0xd1, value + 0x10000)
    else if (value >= -0x80000000) this.uint32(0xd2, value + 0x100000000)
    else this.int64(0xd3, value)
  }

  private int64(type: number, value: number): void {
    const at = this.take(9)
    this.buffer[at] = type
    this.view.setInt32(at + 1, Math.floor(value / 0x100000000))
    this.view.setUint32(at + 5, value)
  }

  private bigint(value: bigint): void {
    if (value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) return this.number(Number(value))
    if (BigInt.asIntN(64, value) !== value && BigInt.asUintN(64, value) !== value) {
      throw new MsgpackError(`the integer ${value}, which has more than 64 bits`)
    }
    const at = this.take(9)
    this.buffer[at] = value < 0 ? 0xd3 : 0xcf
    this.view.setBigUint64(at + 1, BigInt.asUintN(64, value))
  }

  private text(value: string): void {
    if (value.length < 32 && this.shortText(value)) return
    const bytes = Buffer.byteLength(value)
    if (bytes < 32) this.byte(0xa0 + bytes)
    else if (bytes <= 0xff) this.uint8(0xd9, bytes)
    else if (bytes <= 0xffff) this.uint16(0xda, bytes)
    else this.uint32(0xdb, bytes)
    const at = this.take(bytes)
    this.buffer.write(value, at, "utf8")
  }

  // A call into Node costs more than a few characters, if they are ASCII.
  private shortText(value: string): boolean {
    const { length } = value
    const start = this.take(length + 1)
    const { buffer } = this
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code >= 0x80) {
        this.end = start
        return false
      }
      buffer[start + 1 + i] = code
    }
    buffer[start] = 0xa0 + length
    return true
  }

  private bytes(value: Uint8Array): void {
    const { length } = value
    if (length > 0xffffffff) throw new MsgpackError("more than 4 GiB of bytes")
    if (length <= 0xff) this.uint8(0xc4, length)
    else if (length <= 0xffff) this.uint16(0xc5, length)
    else this.uint32(0xc6, length)
    const at = this.take(length)
    this.buffer.set(value, at)
  }

  private date(value: Date): void {
    const millis = value.getTime()
    if (Number.isNaN(millis)) throw new MsgpackError("an invalid date")
    const seconds = Math.floor(millis / 1000)
    const nanos = (millis - seconds * 1000) * 1_000_000
    const high = Math.floor(seconds / 0x100000000)
    if (nanos === 0 && high === 0) {
      const at = this.take(6)
      this.view.setUint16(at, 0xd6ff)
      this.view.setUint32(at + 2, seconds)
    } else if (high >= 0 && high < 4) {
      const at = this.take(10)
      this.view.setUint16(at, 0xd7ff)
      this.view.setUint32(at + 2, nanos * 4 + high)
      this.view.setUint32(at + 6, seconds)
    } else {
      const at = this.take(15)
      this.view.setUint16(at, 0xc70c)
      this.view.setUint8(at + 2, 0xff)
      this.view.setUint32(at + 3, nanos)
      this.view.setInt32(at + 7, high)
      this.view.setUint32(at + 11, seconds)
    }
  }
}

// Encoding runs no code of others but the getters of an object, which might encode.
let spare: Writer | undefined

/** Encodes a value, or throws. The bytes are nobody else's. */
export const encodeMsgpack = (value: unknown): Buffer => {
  const writer = spare ?? new Writer()
  spare = undefined
  const bytes = writer.encode(value)
  // A large buffer is not held on to for the sake of one large value.
  if (writer.isSmall) spare = writer
  return bytes
}

class Reader {
  private readonly frame: Buffer
  private at = 0
  private depth = 0
  private readonly maxValues: number
  private values = 0

  constructor(frame: Buffer, maxValues: number) {
    this.frame = frame
    this.maxValues = maxValues
  }

  /** As many values are to come, of at least a byte each. */
  private expect(count: number): void {
    if (count > this.frame.length - this.at) throw cutOff()
    this.values += count
    if (this.values > this.maxValues) throw new TooManyValues(`more than ${this.maxValues} values`)
  }

  decode(): unknown {
    const value = this.read()
    const left = this.frame.length - this.at
    if (left > 0) throw new MsgpackError(`${left} bytes after the value`)
    return value
  }

  private read(): unknown {
    const type = this.frame[this.skip(1)]!
    if (type < 0x80) return type
    if (type < 0x90) return this.map(type - 0x80)
    if (type < 0xa0) return this.array(type - 0x90)
    if (type < 0xc0) return this.text(type - 0xa0)
    if (type >= 0xe0) return type - 0x100
    const { frame } = this
    switch (type) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
        return this.bytes(this.uint8())
      case 0xc5:
        return this.bytes(this.uint16())
      case 0xc6:
        return this.bytes(this.uint32())
      case 0xc7:
        return this.extension(this.uint8())
      case 0xc8:
        return this.extension(this.uint16())
      case 0xc9:
        return this.extension(this.uint32())
      case 0xca:
        return frame.readFloatBE(this.skip(4))
      case 0xcb:
        return frame.readDoubleBE(this.skip(8))
      case 0xcc:
        return this.uint8()
      case 0xcd:
        return this.uint16()
      case 0xce:
        return this.uint32()
      case 0xcf: {
        const value = this.uint32() * 0x100000000 + this.uint32()
        return Number.isSafeInteger(value) ? value : frame.readBigUInt64BE(this.at - 8)
      }
      case 0xd0:
        return frame.readInt8(this.skip(1))
      case 0xd1:
        return frame.readInt16BE(this.skip(2))
      case 0xd2:
        return frame.readInt32BE(this.skip(4))
      case 0xd3: {
        const value = (this.uint32() | 0) * 0x100000000 + this.uint32()
        return Number.isSafeInteger(value) ? value : frame.readBigInt64BE(this.at - 8)
      }
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.extension(1 << (type - 0xd4))
      case 0xd9:
        return this.text(this.uint8())
      case 0xda:
        return this.text(this.uint16())
      case 0xdb:
        return this.text(this.uint32())
      case 0xdc:
        return this.array(this.uint16())
      case 0xdd:
        return this.array(this.uint32())
      case 0xde:
        return this.map(this.uint16())
      case 0xdf:
        return this.map(this.uint32())
      default:
        throw new MsgpackError("the byte 0xc1, which MessagePack does not use")
    }
  }

  /** Goes over so many bytes; returns where they start. */
  private skip(bytes: number): number {
    const start = this.at
    if (bytes > this.frame.length - start) throw cutOff()
    this.at = start + bytes
    return start
  }

  private uint8(): number {
    return this.frame[this.skip(1)]!
  }

  private uint16(): number {
    const at = this.skip(2)
    return (this.frame[at]! << 8) | this.frame[at + 1]!
  }

  private uint32(): number {
    const at = this.skip(4)
    const { frame } = this
    return ((frame[at]! << 24) | (frame[at + 1]! << 16) | (frame[at + 2]! << 8) | frame[at + 3]!) >>> 0
  }

  private bytes(length: number): Buffer {
    const start = this.skip(length)
    return this.frame.subarray(start, this.at)
  }

  private text(length: number): string {
    const start = this.skip(length)
    const end = this.at
    const { frame } = this
    // A call into Node costs more than a few characters, if they are ASCII.
    if (length <= 16) {
      let text = ""
      let at = start
      while (at < end && frame[at]! < 0x80) text += String.fromCharCode(frame[at++]!)
      if (at === end) return text
    }
    const text = frame.toString("utf8", start, end)
    if (text.includes("\uFFFD") && !isUtf8(frame.subarray(start, end))) throw new MsgpackError("text that is not UTF-8")
    return text
  }

  private array(count: number): Array<unknown> {
    if (++this.depth > deepest) throw tooDeep()
    this.expect(count)
    // Grown and not made at once: the elements it claims may not be there.
    const values: Array<unknown> = []
    for (let i = 0; i < count; i++) values.push(this.read())
    this.depth--
    return values
  }

  private map(count: number): Record<string, unknown> {
    if (++this.depth > deepest) throw tooDeep()
    this.expect(count)
    const record: Record<string, unknown> = {}
    for (let i = 0; i < count; i++) {
      const key = this.read()
      if (typeof key !== "string" && typeof key !== "number" && typeof key !== "bigint") {
        throw new MsgpackError("a map with a key that is neither text nor a number")
      }
      const value = this.read()
      if (key === "__proto__") {
        Object.defineProperty(record, key, { value, enumerable: true, writable: true, configurable: true })
      } else record[key as string] = value
    }
    this.depth--
    return record
  }

  private extension(length: number): Date {
    const type = this.frame.readInt8(this.skip(1))
    const at = this.skip(length)
    if (type !== -1) throw new MsgpackError(`an extension of type ${type}`)
    const date = this.timestamp(length, at)
    if (date === undefined || Number.isNaN(date.getTime())) throw new MsgpackError("a timestamp that is none")
    return date
  }

  private timestamp(length: number, at: number): Date | undefined {
    const { frame } = this
    if (length === 4) return new Date(frame.readUInt32BE(at) * 1000)
    if (length !== 8 && length !== 12) return undefined
    const first = frame.readUInt32BE(at)
    const nanos = length === 8 ? first >>> 2 : first
    const seconds =
      length === 8
        ? (first & 3) * 0x100000000 + frame.readUInt32BE(at + 4)
        : frame.readInt32BE(at + 4) * 0x100000000 + frame.readUInt32BE(at + 8)
    return nanos < 1_000_000_000 ? new Date(seconds * 1000 + Math.floor(nanos / 1_000_000)) : undefined
  }
}

/** Decodes a frame, or throws. Bytes in it are views of the frame. */
export const decodeMsgpack = (frame: Buffer, maxValues: number = defaultMaxValues): unknown =>
  new Reader(frame, maxValues).decode()
