/**
 * Bytes in, frames out. A small state machine: it is before a frame, in its
 * head, or in its body.
 *
 * What was decoded is copied out of what was read, so that no message keeps a
 * chunk alive and a chunk may be used again at once. The body that a chunk ends
 * in gets its memory at once, and later bytes may be read straight into it.
 */
import { copyInto, type Memory, nothing, part } from "./bytes.ts"
import { COMMAND, LONG, longSize, MORE } from "./frames.ts"
import type { Limits } from "./limits.ts"

export interface FrameSink {
  /** A whole frame. Says whether there may be more at once. */
  frame(flags: number, body: Buffer): boolean
}

/** What frames are allowed: a handshake has commands alone, encrypted traffic has one kind of frame, longer than what is in it. */
type Expects = "handshake" | "traffic" | "sealed"

/** Memory that a body has at once, if it is announced that long; later it has four times what came of it. */
const firstPlace = 256 * 1024
/** A read of more would take too much of a turn: there may be 32 of them in one. */
const mostPlace = 256 * 1024
/** A read into less than this is not worth its call. */
const leastPlace = 4 * 1024

export class FrameDecoder {
  private readonly sink: FrameSink
  private readonly memory: Memory
  private readonly limits: Limits
  expects: Expects = "handshake"
  /** What a sealed frame is longer than what is in it. */
  overhead = 0
  /** How many frames may still be decoded in this turn. */
  budget = 0
  /** Why nothing more is decoded. */
  fault: string | undefined

  private readonly head = new Uint8Array(9)
  private headBytes = 0
  private body: Buffer | undefined
  private flags = 0
  private length = 0
  private filled = 0
  // Of the message that has begun.
  private frames = 0
  private messageBytes = 0

  constructor(sink: FrameSink, memory: Memory, limits: Limits) {
    this.sink = sink
    this.memory = memory
    this.limits = limits
  }

  /**
   * Decodes `chunk` from `at` to `end`. Gives the place up to which it went:
   * `end`, unless there is a fault, the sink had enough, or the budget is used up.
   */
  decode(chunk: Uint8Array, at: number, end: number): number {
    if (this.body !== undefined) {
      at = this.fill(chunk, at, end)
      if (this.body !== undefined || this.fault !== undefined || !this.deliver()) return at
    }
    while (at < end && this.budget > 0) {
      let flags = chunk[at]!
      let length: number
      if (this.headBytes > 0 || end - at < ((flags & LONG) === 0 ? 2 : 9)) {
        at = this.collectHead(chunk, at, end)
        if (this.headBytes > 0) return at
        flags = this.head[0]!
        length = (flags & LONG) === 0 ? this.head[1]! : longSize(this.head, 1)
      } else if ((flags & LONG) === 0) {
        length = chunk[at + 1]!
        at += 2
      } else {
        length = longSize(chunk, at + 1)
        at += 9
      }
      if (!this.allows(flags, length)) return at
      this.flags = flags & (MORE | COMMAND)
      if (end - at >= length) {
        // What is sealed is not kept: it is opened while it is here.
        const body = this.expects === "sealed" ? part(chunk, at, at + length) : this.memory.copy(chunk, at, length)
        at += length
        this.budget--
        if (!this.sink.frame(this.flags, body)) return at
      } else {
        this.length = length
        this.filled = 0
        if (!this.enlarge((end - at) * 4)) return at
        at = this.fill(chunk, at, end)
        return at
      }
    }
    return at
  }

  /** Where the next bytes are best read to, if they belong to a body of some size. */
  place(): Buffer | undefined {
    const { body, filled } = this
    return body === undefined || body.length - filled < leastPlace
      ? undefined
      : part(body, filled, Math.min(body.length, filled + mostPlace))
  }

  /** Whether these bytes were read into the `place`, so that they are where they belong. */
  isInPlace(bytes: Uint8Array): boolean {
    const { body } = this
    return body !== undefined && bytes.buffer === body.buffer && bytes.byteOffset === body.byteOffset + this.filled
  }

  /** Bytes were read into the `place`. */
  advance(count: number): void {
    this.filled += count
    if (this.filled === this.length) {
      this.complete()
      this.deliver()
    } else if (this.filled === this.body!.length) this.enlarge(this.filled * 4)
  }

  /** Counts a frame of a message. Says whether the message may have that many. */
  counts(more: boolean, bytes: number): boolean {
    if (!more) {
      this.frames = 0
      this.messageBytes = 0
      return true
    }
    this.messageBytes += bytes
    this.frames++
    return this.frames < this.limits.frames || this.refuse(`a message of more than ${this.limits.frames} frames`)
  }

  private collectHead(chunk: Uint8Array, at: number, end: number): number {
    const { head } = this
    if (this.headBytes === 0) head[this.headBytes++] = chunk[at++]!
    const size = (head[0]! & LONG) === 0 ? 2 : 9
    while (at < end && this.headBytes < size) head[this.headBytes++] = chunk[at++]!
    if (this.headBytes === size) this.headBytes = 0
    return at
  }

  /** Holds a head against the rules, before anything is done about its body. */
  private allows(flags: number, length: number): boolean {
    const { limits, expects } = this
    if (flags > (MORE | LONG | COMMAND)) return this.refuse("a frame with reserved flags")
    const isCommand = (flags & COMMAND) !== 0
    if ((flags & MORE) !== 0 && (isCommand || expects === "sealed"))
      return this.refuse("a command that says that there is more of it")
    if (expects === "handshake" && !isCommand) return this.refuse("a message before the handshake was over")
    if (isCommand && expects !== "sealed") {
      const most = expects === "handshake" ? limits.handshakeBytes : limits.commandBytes
      return length <= most || this.refuse(`a command of ${length} bytes, where ${most} are the most`)
    }
    const bytes = length - this.overhead
    if (bytes > limits.frameBytes)
      return this.refuse(`a frame of ${bytes} bytes, where ${limits.frameBytes} are the most`)
    if (this.messageBytes + bytes > limits.messageBytes)
      return this.refuse(`a message of more than ${limits.messageBytes} bytes`)
    return true
  }

  private refuse(reason: string): false {
    this.fault = reason
    return false
  }

  /** Gives the body memory for `bytes`, or less if it is shorter. Never much more than has come. */
  private enlarge(bytes: number): boolean {
    try {
      const larger = this.memory.take(Math.min(this.length, Math.max(bytes, firstPlace)))
      if (this.body !== undefined) larger.set(this.body)
      this.body = larger
      return true
    } catch {
      this.body = undefined
      return this.refuse(`no memory for a frame of ${this.length} bytes`)
    }
  }

  /** Takes what `chunk` has of the body. It is `undefined` when it is complete. */
  private fill(chunk: Uint8Array, at: number, end: number): number {
    while (at < end && this.body !== undefined) {
      const count = Math.min(end - at, this.body.length - this.filled)
      copyInto(this.body, this.filled, chunk, at, count)
      at += count
      this.filled += count
      if (this.filled === this.length) this.complete()
      else if (this.filled === this.body.length) this.enlarge(this.filled * 4)
    }
    return at
  }

  private whole: Buffer = nothing
  private complete(): void {
    this.whole = this.body!
    this.body = undefined
  }

  private deliver(): boolean {
    const { whole } = this
    this.whole = nothing
    this.budget--
    return this.sink.frame(this.flags, whole)
  }
}
