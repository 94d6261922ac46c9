/**
 * Frames in, bytes to write out. Small frames are copied one after the other
 * into a block, so that many leave in one write; large ones are passed on as
 * they are, and must not be changed until they are written.
 */
import { copyInto, part } from "./bytes.ts"
import { MORE, shortest, writeHead } from "./frames.ts"

export type Frame = string | Uint8Array
export type Outgoing = Frame | ReadonlyArray<Frame>

/** What a block holds. With this much to write there is nothing to wait for. */
export const blockSize = 64 * 1024
/** A body of more is not copied. */
const copied = 4 * 1024
/** Characters, of at most three bytes each, that make a short frame in any case. */
const surelyShort = Math.floor(shortest / 3)

/** Blocks that nobody uses. An idle connection has none. */
const idleBlocks: Array<Buffer> = []
const mostIdleBlocks = 16

export class FrameEncoder {
  /** Where bytes are put next: `block[at]`. There is as much room as was last reserved. */
  block: Buffer | undefined
  at = 0
  private from = 0
  private chunks: Array<Uint8Array> = []
  private chunkBytes = 0
  // Blocks that are full, and in use until they are written.
  private full: Array<Buffer> = []
  private writingFull: Array<Buffer> = []

  /** Bytes that wait to be taken. */
  get pending(): number {
    return this.chunkBytes + this.at - this.from
  }

  message(message: Outgoing): void {
    if (typeof message === "string" || message instanceof Uint8Array) this.frame(message, 0)
    else {
      const last = message.length - 1
      for (let i = 0; i < last; i++) this.frame(message[i]!, MORE)
      this.frame(message[last]!, 0)
    }
  }

  frame(frame: Frame, flags: number): void {
    if (typeof frame === "string") return this.text(frame, flags)
    const { length } = frame
    if (length > copied) {
      const block = this.reserve(9)
      this.at = writeHead(block, this.at, flags, length)
      this.pass(frame)
      return
    }
    const block = this.reserve(9 + length)
    const at = writeHead(block, this.at, flags, length)
    copyInto(block, at, frame, 0, length)
    this.at = at + length
  }

  private text(text: string, flags: number): void {
    if (text.length > surelyShort) {
      const length = Buffer.byteLength(text)
      if (length > copied) return this.frame(Buffer.from(text), flags)
      const block = this.reserve(9 + length)
      const at = writeHead(block, this.at, flags, length)
      this.at = at + block.write(text, at)
      return
    }
    const block = this.reserve(2 + text.length * 3)
    const { at } = this
    const length = writeText(block, text, at + 2)
    this.at = writeHead(block, at, flags, length) + length
  }

  /** Passes bytes on without copying them, after what there is. */
  pass(bytes: Uint8Array): void {
    this.cut()
    this.chunks.push(bytes)
    this.chunkBytes += bytes.length
  }

  /** Makes room for `size` bytes, at most a block of them, at `at` of the block that it gives. */
  reserve(size: number): Buffer {
    const { block } = this
    if (block !== undefined && block.length - this.at >= size) return block
    if (block !== undefined) {
      this.cut()
      this.full.push(block)
    }
    this.at = 0
    this.from = 0
    this.block = idleBlocks.pop() ?? Buffer.allocUnsafeSlow(blockSize)
    return this.block
  }

  /** What was put into the block becomes a chunk. */
  private cut(): void {
    const { block, from, at } = this
    if (at === from) return
    this.chunks.push(part(block!, from, at))
    this.chunkBytes += at - from
    this.from = at
  }

  /** Takes all that is to be written. Its memory is in use until `written`, and until then nothing more is taken. */
  take(): Array<Uint8Array> {
    this.cut()
    const { chunks } = this
    this.chunks = []
    this.chunkBytes = 0
    for (const block of this.full) this.writingFull.push(block)
    this.full.length = 0
    return chunks
  }

  /** What was taken is written, or never will be: its memory may be used again. */
  written(): void {
    for (const block of this.writingFull) giveBack(block)
    this.writingFull.length = 0
    if (this.block !== undefined && this.pending === 0 && this.full.length === 0) {
      giveBack(this.block)
      this.block = undefined
      this.at = 0
      this.from = 0
    }
  }
}

const giveBack = (block: Buffer): void => {
  if (idleBlocks.length < mostIdleBlocks) idleBlocks.push(block)
}

/** Writes a short text. A loop is faster than a call as long as it is ASCII. */
const writeText = (block: Buffer, text: string, at: number): number => {
  const { length } = text
  if (length > 24) return block.write(text, at)
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return block.write(text, at)
    block[at + i] = code
  }
  return length
}
