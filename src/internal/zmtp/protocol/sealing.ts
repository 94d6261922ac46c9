/**
 * Messages of CURVE: each frame is in a box, in a MESSAGE of its own (RFC 26, The
 * MESSAGE Command). Flags are in the box, and so are commands.
 */

import { type Boxes, boxOverhead } from "./boxes.ts"
import { asBuffer, type Memory, part, startsWith } from "./bytes.ts"
import { commandPrefix } from "./command.ts"
import { blockSize, type Frame, type FrameEncoder } from "./encoder.ts"
import { MORE, writeHead } from "./frames.ts"

const prefix = commandPrefix("MESSAGE")
const nonceAt = prefix.length
const boxAt = nonceAt + 8
const flagsAt = boxAt + boxOverhead
/** What a MESSAGE is longer than the frame in it. */
export const sealedOverhead = flagsAt + 1

/** In a box, as libzmq has it: RFC 26 knows no commands but those of the handshake. */
export const SEALED_COMMAND = 2

/** Frames of more than this are not put into a block with others. */
const inBlock = blockSize / 4

/** Frames of up to this are opened here, and then given memory of their own. */
const small = 512
const scratch = Buffer.allocUnsafeSlow(small + 1)

/** The last eight bytes of a nonce: a number that may only rise. */
export class Counter {
  private high = 0
  private low = 0

  /** Whether the number at `at` is larger than the one before. It is the one before for the next. */
  rises(bytes: Buffer, at: number): boolean {
    const high = bytes.readUInt32BE(at)
    const low = bytes.readUInt32BE(at + 4)
    if (high < this.high || (high === this.high && low <= this.low)) return false
    this.high = high
    this.low = low
    return true
  }

  /** Writes the next number. There are more than anybody has time for. */
  next(bytes: Buffer, at: number): void {
    this.low++
    if (this.low === 2 ** 32) {
      this.low = 0
      this.high++
    }
    bytes.writeUInt32BE(this.high, at)
    bytes.writeUInt32BE(this.low, at + 4)
  }
}

export class Sealing {
  private readonly boxes: Boxes
  private readonly key: Uint8Array
  private readonly ours: Counter
  private readonly theirs: Counter
  private readonly outNonce = Buffer.alloc(24)
  private readonly inNonce = Buffer.alloc(24)
  /** The flags of what was opened. */
  flags = 0
  fault: string | undefined

  constructor(boxes: Boxes, key: Uint8Array, asServer: boolean, ours: Counter, theirs: Counter) {
    this.boxes = boxes
    this.key = key
    this.ours = ours
    this.theirs = theirs
    this.outNonce.write(asServer ? "CurveZMQMESSAGES" : "CurveZMQMESSAGEC", "latin1")
    this.inNonce.write(asServer ? "CurveZMQMESSAGEC" : "CurveZMQMESSAGES", "latin1")
  }

  /**
   * Seals a frame. Its MESSAGE is a message on the wire, and not a command as
   * RFC 37 says: libzmq takes what is in a command for a command.
   */
  seal(encoder: FrameEncoder, frame: Frame, flags: number): void {
    const bytes = typeof frame === "string" ? Buffer.from(frame) : frame
    const length = sealedOverhead + bytes.length
    if (length <= inBlock) {
      const block = encoder.reserve(9 + length)
      const at = writeHead(block, encoder.at, 0, length)
      this.write(block, at, bytes, flags)
      encoder.at = at + length
    } else {
      const own = Buffer.allocUnsafeSlow(9 + length)
      this.write(own, writeHead(own, 0, 0, length), bytes, flags)
      encoder.pass(own)
    }
  }

  private write(target: Buffer, at: number, bytes: Uint8Array, flags: number): void {
    target.set(prefix, at)
    this.ours.next(target, at + nonceAt)
    this.outNonce.set(part(target, at + nonceAt, at + boxAt), 16)
    target[at + flagsAt] = flags
    target.set(bytes, at + flagsAt + 1)
    const end = at + sealedOverhead + bytes.length
    this.boxes.seal(part(target, at + boxAt, end), part(target, at + flagsAt, end), this.outNonce, this.key)
  }

  /** What is in a MESSAGE, in memory of its own, with its `flags`; or `undefined`, and a `fault`. */
  open(body: Uint8Array, memory: Memory): Buffer | undefined {
    const bytes = asBuffer(body)
    if (!startsWith(bytes, prefix)) return this.refuse("another command than MESSAGE")
    const length = bytes.length - sealedOverhead
    if (length < 0) return this.refuse("a malformed MESSAGE")
    if (!this.theirs.rises(bytes, nonceAt)) return this.refuse("a MESSAGE with a nonce that was used before")
    this.inNonce.set(part(bytes, nonceAt, boxAt), 16)
    const plain = length <= small ? part(scratch, 0, length + 1) : memory.take(length + 1)
    if (!this.boxes.open(plain, part(bytes, boxAt, bytes.length), this.inNonce, this.key))
      return this.refuse("a MESSAGE that cannot be opened")
    this.flags = plain[0]!
    if (this.flags > SEALED_COMMAND)
      return this.refuse(
        `a MESSAGE with ${this.flags === (MORE | SEALED_COMMAND) ? "more of a command" : "reserved flags"}`
      )
    return length <= small ? memory.copy(plain, 1, length) : part(plain, 1, plain.length)
  }

  private refuse(reason: string): undefined {
    this.fault = reason
    return undefined
  }

  end(): void {
    this.key.fill(0)
  }
}
