/**
 * One side of a connection, without Effect: what may be sent, what has come and was
 * not read, and how it ends.
 *
 * Each side allows the other a window of bytes, and more as its reader takes them. So a
 * reader that does not read has the writer at the other end wait, and nobody
 * else: all connections of a server come in by one socket, which is read whatever
 * becomes of them.
 *
 * **Invariants**
 * - Of what came at most the window, and one message, waits for the reader.
 * - Writes are sent in the order in which they began to wait. One that waits has sent
 *   nothing, or goes on to its end.
 * - What came before the end is read before it is told.
 */
import type { Frame } from "../../Message.ts"
import {
  closeWord,
  costOf,
  creditWord,
  dataWord,
  endWord,
  type Frames,
  messagesOf,
  mostChunks,
  openWord,
  type Word
} from "./protocol.ts"

/** How a connection ended, as in a WebSocket: 1000 in order, 1006 without a word, 1008 at a bound. */
export interface Ending {
  readonly code: number
  readonly reason?: string | undefined
}

const inOrder: Ending = { code: 1000 }
/** The peer has gone, and has said nothing. */
export const gone: Ending = { code: 1006, reason: "the peer has gone" }
const violation = (reason: string): Ending => ({ code: 1002, reason })
/** At a bound for what waits for it. */
export const doesNotRead: Ending = { code: 1008, reason: "the peer does not read what it is sent" }

/** What a side allows. */
export interface Limits {
  /** What the peer may send before the reader has taken any of it. */
  readonly window: number
  /** The longest chunk that may come. */
  readonly largest: number
  /** What may wait to be written, in bytes. More ends the connection. */
  readonly maxPending: number
}

/**
 * Sends a message now, or as soon as there is room, and in order. Says which; and calls
 * `sent` if it was not sent at once. "gone" if the peer is not there.
 */
export type Post = (message: Frames, sent: () => void) => "sent" | "waits" | "gone"

/** A write that waits until the peer allows it. */
export interface Write {
  readonly messages: Array<ReadonlyArray<Frame>>
  readonly cost: number
  /** Called when all of it is sent, or with whether a part of it was when it cannot be. */
  done: (outcome: "sent" | "unsent" | "cut") => void
  begun: boolean
}

// The most that a peer is taken at its word for.
export const largestWindow = 16 * 1024 * 1024

export class Connection {
  private readonly post: Post
  private readonly limits: Limits
  private readonly onEnd: (connection: Connection) => void

  // What has come. `allowed` is what the peer may still send, `owed` what the reader
  // has taken and the peer has not been told.
  private chunks: Array<Buffer> = []
  private allowed = 0
  private owed = 0
  private hasEnded = false
  private wakeReader: () => void = ignore

  // What is sent. `credit` is what we may, and `unsent` what there was no room for.
  private peerWindow = 0
  private peerLargest = 0
  private credit = 0
  private unsent = 0
  private readonly line: Array<Write> = []
  private pending = 0
  private endsWhenSent = false
  private ownEndSent = false

  /** How it ended, if it has. */
  ending: Ending | undefined = undefined
  /** Whether it was ended here, and the peer is told. */
  endedHere = false
  /** Whether both sides have said that it begins. */
  isOpen = false
  private greeted = false
  /** Called when the peer has said that it begins. */
  onOpen: () => void = ignore

  constructor(post: Post, limits: Limits, onEnd: (connection: Connection) => void) {
    this.post = post
    this.limits = limits
    this.onEnd = onEnd
  }

  /** Says that it begins, and takes data from now on. */
  greet(): void {
    if (this.greeted || this.ending !== undefined) return
    this.greeted = true
    this.allowed = this.limits.window
    this.tell(openWord(this.limits.window, this.limits.largest))
    this.opened()
  }

  private opened(): void {
    if (this.isOpen || !this.greeted || this.peerWindow === 0) return
    this.isOpen = true
    this.onOpen()
  }

  /** The peer has said something, which may be nonsense. */
  heard(word: Word | undefined): void {
    if (this.ending !== undefined) return
    switch (word?._tag) {
      case "Open":
        if (this.peerWindow > 0 || word.window === 0) return this.end(violation("it is open already"))
        this.peerWindow = Math.min(word.window, largestWindow)
        this.peerLargest = word.largest
        this.credit = this.peerWindow
        return this.opened()
      case "Data":
        return this.arrived(word.chunks)
      case "Credit":
        this.credit = Math.min(this.peerWindow, this.credit + word.more)
        return this.sendWaiting()
      case "End":
        this.hasEnded = true
        return this.wakeReader()
      case "Close":
        return this.over({ code: word.code, reason: word.reason })
      default:
        return this.end(violation("no message of this protocol"))
    }
  }

  // ---------------------------------------------------------------------------
  // in
  // ---------------------------------------------------------------------------

  private arrived(chunks: ReadonlyArray<Buffer>): void {
    if (this.allowed <= 0 || this.hasEnded || chunks.length > mostChunks) {
      return this.end(violation("more data than is allowed"))
    }
    this.allowed -= costOf(chunks)
    for (const chunk of chunks) this.chunks.push(chunk)
    this.wakeReader()
  }

  /** Whether there is something to `take`. */
  get isReadable(): boolean {
    return this.chunks.length > 0
  }

  /** How it ended for the reader, which has taken all that came before. */
  get readerEnding(): Ending | undefined {
    return this.ending ?? (this.hasEnded ? inOrder : undefined)
  }

  /** All that is there, which is not nothing. The peer may send as much again. */
  take(): Array<Buffer> {
    const { chunks } = this
    this.chunks = []
    if (this.ending !== undefined) return chunks
    this.owed += costOf(chunks)
    if (this.owed >= this.limits.window / 2) {
      this.allowed += this.owed
      this.tell(creditWord(this.owed))
      this.owed = 0
    }
    return chunks
  }

  /** Calls `wake` when there may be something to take, until the function that is returned is called. */
  awaitReadable(wake: () => void): () => void {
    this.wakeReader = wake
    return () => {
      if (this.wakeReader === wake) this.wakeReader = ignore
    }
  }

  // ---------------------------------------------------------------------------
  // out
  // ---------------------------------------------------------------------------

  /** The longest chunk that may be sent. */
  get largest(): number {
    return this.peerLargest
  }

  /** Whether nothing may be written any more. */
  get writesEnded(): boolean {
    return this.ownEndSent || this.endsWhenSent || this.ending !== undefined
  }

  /** Writes chunks, at least one. Calls `done` when they are sent, if they are not at once. */
  write(chunks: ReadonlyArray<Frame>, done: Write["done"]): Write | undefined {
    const write: Write = { messages: messagesOf(chunks), cost: costOf(chunks), done, begun: false }
    const isFirst = this.line.length === 0
    if (isFirst && this.sendOf(write)) return undefined
    // The first of them has all the time it needs, however long it is.
    if (!isFirst && this.pending + write.cost > this.limits.maxPending) this.end(doesNotRead)
    if (this.ending !== undefined) {
      done(write.begun ? "cut" : "unsent")
      return write
    }
    if (!isFirst) this.pending += write.cost
    this.line.push(write)
    return write
  }

  /** Whoever wrote is not there any more. What has not begun is not sent. */
  giveUp(write: Write): void {
    write.done = ignore
    if (write.begun) return
    const at = this.line.indexOf(write)
    if (at < 0) return
    this.leave(at)
    this.sendWaiting()
  }

  // One that comes to the front does not count any more.
  private leave(at: number): void {
    const [write] = this.line.splice(at, 1)
    const counted = at > 0 ? write : this.line[0]
    this.pending -= counted?.cost ?? 0
  }

  /** Says that there is no more data, behind what waits. */
  endWrites(): void {
    if (this.writesEnded) return
    this.endsWhenSent = true
    this.sendWaiting()
  }

  private sendWaiting(): void {
    while (this.line.length > 0) {
      const write = this.line[0]!
      if (!this.sendOf(write)) return
      this.leave(0)
      write.done("sent")
    }
    if (!this.endsWhenSent || this.ownEndSent || this.ending !== undefined) return
    this.ownEndSent = true
    this.tell(endWord)
  }

  // Sends what is allowed, and says whether that is all of it.
  private sendOf(write: Write): boolean {
    while (write.messages.length > 0) {
      if (this.credit <= 0 || this.ending !== undefined) return false
      const chunks = write.messages.shift()!
      write.begun = true
      const cost = costOf(chunks)
      this.credit -= cost
      this.tell(dataWord(chunks), cost)
    }
    return this.ending === undefined
  }

  private tell(message: Frames, cost = 0): void {
    // It allows more, and so says that it has read what was not even sent.
    if (cost > 0 && this.unsent >= this.peerWindow) return this.end(doesNotRead)
    const outcome = this.post(message, () => {
      this.unsent -= cost
    })
    if (outcome === "gone") return this.over(gone)
    if (outcome === "sent") return
    this.unsent += cost
  }

  /** Asks whether the peer is still there, where that is not told. */
  ask(): void {
    if (this.ending === undefined && this.unsent === 0) this.tell(creditWord(0))
  }

  // ---------------------------------------------------------------------------
  // the end
  // ---------------------------------------------------------------------------

  /** Ends it, and tells the peer. */
  end(ending: Ending = inOrder): void {
    if (this.ending !== undefined) return
    this.endedHere = true
    this.over(ending)
    this.post(closeWord(ending.code, ending.reason), ignore)
  }

  /** It has ended, and the peer knows or is gone. */
  over(ending: Ending): void {
    if (this.ending !== undefined) return
    // Whoever has said that there is no more has ended in order, also where it then just leaves.
    this.ending = ending === gone && this.hasEnded ? inOrder : ending
    this.onEnd(this)
    this.wakeReader()
    for (const write of this.line.splice(0)) write.done(write.begun ? "cut" : "unsent")
    this.onOpen()
  }
}

const ignore = (): void => {}
