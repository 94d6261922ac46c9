import type { Message } from "../../Message.ts"
import type { Lane } from "../engine.ts"
import { microtask } from "../microtask.ts"
import { Queue } from "../queue.ts"
import { turn } from "../turn.ts"
import { Ahead } from "./ahead.ts"
import type { ReadAhead } from "./fullPeers.ts"
import type { NativeSocket } from "./native.ts"
import { bytesPerBurst, scavengeInTime } from "./scavenge.ts"

// What a message costs of the event loop's turn (docs/guarantees.md, P8), after which Node also
// frees the buffers that were collected: each 16 KiB of it count as one more.
const bytesPerCount = 16 * 1024

// How large messages are is not known beforehand. Bursts are as long as
// `bytesPerBurst` allows if the next messages are like the last ones.
const firstBurst = 8

// How much is read ahead at the most, so that the ends of peers are seen that
// are behind it.
const mostAhead = 65_536
const mostBytesAhead = 64 * 1024 * 1024

// How many messages are taken for nobody at a time, and how often, in milliseconds.
const burstForNobody = 512
const betweenBursts = 20

export interface Reading {
  readonly prefetch: number
  /** CONFLATE: a message takes the place of the one before. */
  readonly newestOnly: boolean
  /** Whose turn a message counts for. */
  readonly laneOf: (message: Message) => Lane
  /** Takes a message that is not for the owner, or leaves it. */
  readonly accept: ((message: Message) => boolean) | undefined
  /** How many messages the owner would take now. */
  readonly room: () => number
  /** Whether somebody else waits for messages, whom `accept` gives them to. */
  readonly wanted: () => boolean
  readonly onMessages: () => void
  readonly onEnd: () => void
}

/**
 * The messages that were taken from libzmq and that the owner of the socket has
 * not taken. They come in bursts, when somebody wants one; and before that where the
 * ends of peers would not be seen otherwise.
 *
 * The result of a native receive belongs in here, whoever asked for it and
 * whatever became of them.
 */
export class Incoming {
  private readonly native: NativeSocket
  private readonly reading: Reading
  private readonly queue = new Queue<Message>()
  private state: "idle" | "receiving" | "paused" = "idle"
  private listening = false
  private ended = false
  // Whether there was nothing left when libzmq was last asked. Then the next
  // message is waited for at once: asking again costs as much as a message.
  private quiet = false
  // Whether a receive has only just begun.
  private atOnce = false
  private mostPerBurst: number
  // The largest message since that was last set.
  private largest = 0
  // How many messages are to be read though nobody wants them, and how many bytes
  // may still be, until all is taken. What is read further is in `further`.
  private readsAhead = 0
  private bytesAhead = mostBytesAhead
  private readonly further = new Ahead()
  private forNobody: NodeJS.Timeout | undefined
  /** Messages and bytes that came, and receives that libzmq woke for nothing. */
  messages = 0
  bytes = 0
  again = 0
  /** Whether the owner has ever received. */
  used = false
  /** Messages that came when nobody received any more. */
  left = 0

  constructor(native: NativeSocket, reading: Reading) {
    this.native = native
    this.reading = reading
    this.mostPerBurst = Math.min(firstBurst, reading.prefetch)
  }

  get ready(): number {
    return this.queue.length + this.further.size
  }

  take(): Message {
    return this.queue.length > 0 ? this.queue.take() : this.further.take()
  }

  /** Whether a native receive is under way. */
  get receiving(): boolean {
    return this.state === "receiving"
  }

  listen(): void {
    this.used = true
    if (this.listening) return
    this.listening = true
    // Not from here: whoever asks is in the middle of something.
    if (this.ready > 0) microtask(this.tell)
    else this.fill()
  }

  private readonly tell = (): void => {
    // What a pending receive ended with is handed over, too.
    if (this.ready === 0 || !(this.listening || this.ended)) return
    this.listening = false
    this.reading.onMessages()
  }

  /** Sees to it that a message comes, if somebody wants one. */
  fill(): void {
    this.renewAhead()
    if (this.state !== "idle" || this.ended) return
    const { prefetch, room, wanted } = this.reading
    const most = Math.max(this.listening ? room() : 0, wanted() ? prefetch - this.ready : 0, this.roomAhead)
    if (most <= 0) {
      // Whoever wanted one has left.
      this.listening = false
      return
    }
    if (turn.isOver) return this.pause()
    this.state = "receiving"
    if (this.quiet && this.native.receivesAtOnce) return this.receiveOne()
    const { messages } = this
    const length = Math.min(this.mostPerBurst, most)
    // Beforehand: other sockets have their bursts before this one has arrived.
    turn.spend(length)
    const burst = this.native.receiveBurst(length, this.arrived)
    if (burst === undefined) {
      turn.giveBack(length)
      return this.receiveOne()
    }
    burst.then(() => {
      const count = this.messages - messages
      turn.giveBack(length - count)
      this.quiet = count < length
      // A socket may say that it is readable and have nothing after all.
      if (count > 0) this.settled()
      else this.receiveOne()
    })
  }

  /** Sees what is there now, at most `max` of it, and calls `done` when it can be taken. */
  look(max: number, done: () => void): void {
    this.used = true
    if ((this.ready > 0 && !this.reading.newestOnly) || this.ended) return done()
    this.read(max, done)
  }

  /** The same, whatever is here already. */
  read(max: number, done: () => void): void {
    if (this.ended) return done()
    if (this.state === "receiving") {
      // What the pending receive finds is here before `done` runs: promises
      // keep their order.
      if (this.native.recheck()) microtask(done)
      // The event loop looks for it itself, once a turn.
      else setImmediate(done)
      return
    }
    const { messages } = this
    turn.spend(max)
    const burst = this.native.receiveBurst(max, this.arrived)
    if (burst === undefined) {
      turn.giveBack(max)
      return done()
    }
    this.state = "receiving"
    burst.then(() => {
      turn.giveBack(max - (this.messages - messages))
      this.settled()
      done()
    })
  }

  /**
   * Reads though nobody receives, as `how` says: not, as far as may be here anyway,
   * or much further. A peer that has left is there until what it had sent is read.
   */
  readAhead(how: ReadAhead): void {
    this.readsAhead = how === "not" ? 0 : how === "some" ? this.reading.prefetch : mostAhead
    this.renewAhead()
    if (this.roomAhead > 0) this.fill()
  }

  /** Reads what is there now, though nobody receives. */
  readAll(): void {
    this.renewAhead()
    let last = -1
    const more = (): void => {
      if (this.ended || this.messages === last || this.ready >= mostAhead || this.bytesAhead <= 0) return
      if (turn.isOver) return turn.next(more)
      last = this.messages
      // Looking counts as well, or a loop of it would never let go of the event loop.
      turn.spend()
      this.read(this.mostPerBurst, more)
    }
    more()
  }

  /** Nobody receives any more: what is here is all. What comes is taken for nobody while `owing`. */
  dismiss(owing: () => boolean): void {
    this.ended = true
    if (!owing()) return
    this.forNobody = setInterval(() => {
      if (this.state !== "receiving" && owing()) this.native.receiveBurst(burstForNobody, () => this.left++)
    }, betweenBursts)
  }

  /** Nothing is received any more. */
  end(): void {
    this.ended = true
    clearInterval(this.forNobody)
  }

  private renewAhead(): void {
    if (this.ready === 0) this.bytesAhead = mostBytesAhead
  }

  // How many messages are received though nobody has asked for them.
  private get roomAhead(): number {
    return this.bytesAhead > 0 ? this.readsAhead - this.ready : 0
  }

  private readonly arrived = (message: Message): void => {
    let bytes = 0
    for (let i = 0; i < message.length; i++) bytes += message[i]!.length
    this.messages++
    this.bytes += bytes
    this.bytesAhead -= bytes
    if (bytes > this.largest) this.largest = bytes
    if (bytes >= bytesPerCount) turn.spend(Math.floor(bytes / bytesPerCount))
    const { accept } = this.reading
    if (accept === undefined || !accept(message)) this.put(message)
    scavengeInTime(bytes)
  }

  /** Has a message be the next after those that are here. */
  put(message: Message): void {
    // One peer that floods is not before the others, in what is read further.
    if (this.further.size > 0 || this.isFurther) return this.further.put(this.reading.laneOf(message), message)
    if (this.reading.newestOnly && this.queue.length > 0) this.queue.take()
    this.queue.append(message)
  }

  private get isFurther(): boolean {
    return this.readsAhead > this.reading.prefetch && this.queue.length >= this.reading.prefetch
  }

  private receiveOne(): void {
    this.quiet = true
    this.atOnce = true
    this.native.receive().then(this.received, this.failed)
    microtask(this.waits)
  }

  // Runs after `received` if the message was there already.
  private readonly waits = (): void => {
    this.atOnce = false
  }

  private readonly received = (message: Message): void => {
    if (this.atOnce) this.quiet = false
    turn.spend()
    this.arrived(message)
    this.settled()
  }

  private settled(): void {
    this.state = "idle"
    this.mostPerBurst = Math.max(1, Math.min(this.reading.prefetch, Math.floor(bytesPerBurst / this.largest)))
    this.largest = 0
    this.tell()
    this.fill()
  }

  // EAGAIN is no end: a REQ wakes for a late reply, and drops it.
  private readonly failed = (error: { readonly code?: string }): void => {
    this.state = "idle"
    if (error.code !== "EAGAIN") {
      this.end()
      return this.reading.onEnd()
    }
    this.again++
    this.pause()
  }

  private pause(): void {
    this.state = "paused"
    turn.next(() => {
      if (this.state !== "paused") return
      this.state = "idle"
      this.fill()
    })
  }
}
