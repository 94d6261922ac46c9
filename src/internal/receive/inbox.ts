import type { Message } from "../../Message.ts"
import { microtask } from "../microtask.ts"
import { Rest } from "../rest.ts"
import { peerOf } from "../send/outbox.ts"
import { turn } from "../turn.ts"
import { Ahead } from "../zeromq/ahead.ts"
import type { NativeSocket } from "../zeromq/native.ts"
import type { ReadAhead } from "../zeromq/refusals.ts"
import { bytesPerBurst, scavengeInTime } from "../zeromq/scavenge.ts"
import type { Held } from "./held.ts"
import { Mailbox } from "./mailbox.ts"

// What a message costs of the event loop's turn (P8), after which Node also
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

/** Takes messages that are not for the mailbox: the replies to requests. */
export interface Diversion {
  /** Whether a message is expected. */
  readonly wanted: boolean
  /** Takes a message, or leaves it to the mailbox. */
  accept(message: Message): boolean
  close(): void
}

/**
 * Fills a mailbox from a socket, when somebody wants a message and not before.
 *
 * The result of a native receive belongs to the mailbox, whoever asked for it
 * and whatever became of them.
 */
export class Inbox {
  readonly mailbox: Mailbox<Message>
  readonly rest = new Rest()
  /** Who gets to see messages before the mailbox. */
  diversion: Diversion | undefined = undefined
  /** What waits until its peer has room, where peers have room of their own. */
  held: Held | undefined = undefined
  /** Called when a reply that somebody waits for may be behind messages that nobody receives. */
  onStalled: () => void = ignore

  private readonly native: NativeSocket
  readonly capacity: number
  private state: "idle" | "receiving" | "paused" = "idle"
  // Whether there was nothing left when libzmq was last asked. Then the next
  // message is waited for at once: asking again costs as much as a message.
  private quiet = false
  // Whether a receive has only just begun.
  private atOnce = false
  private mostPerBurst: number
  // The largest message since that was last set.
  private largest = 0
  // How many messages are to be read though nobody wants them, and how many bytes
  // may still be, until all is taken. What the mailbox does not take of them is in `ahead`.
  private readsAhead = 0
  private bytesAhead = mostBytesAhead
  private readonly ahead = new Ahead()
  /** Messages and bytes that came, and receives that libzmq woke for nothing. */
  arrivals = 0
  bytes = 0
  again = 0
  /** How many messages were taken for nobody. */
  unwanted = 0

  /** The mailbox takes at most `capacity` messages at a time that nobody asked for. */
  constructor(native: NativeSocket, capacity: number, newestOnly: boolean) {
    this.native = native
    this.capacity = capacity
    this.mostPerBurst = Math.min(firstBurst, capacity)
    this.mailbox = new Mailbox(newestOnly, microtask)
  }

  /** Messages that were received and that nobody has. */
  get queued(): number {
    return this.mailbox.size + this.ahead.size + (this.held?.size ?? 0)
  }

  /** Sees to it that a message comes, if there is or will be one. */
  fill(): void {
    this.renewAhead()
    if (this.ahead.size > 0 && this.mailbox.wanted) this.goOn(this.capacity)
    if (this.state !== "idle" || this.mailbox.closed) return
    if (!this.wanted) return this.stall()
    if (turn.isOver) return this.pause()
    this.state = "receiving"
    if (this.quiet && this.native.receivesAtOnce) return this.receiveOne()
    const { arrivals } = this
    const most = Math.min(this.mostPerBurst, this.mailbox.wanted ? this.capacity : this.roomAhead)
    // Beforehand: other sockets have their bursts before this one has arrived.
    turn.spend(most)
    const burst = this.native.receiveBurst(most, this.arrived)
    if (burst === undefined) {
      turn.giveBack(most)
      return this.receiveOne()
    }
    burst.then(() => {
      const count = this.arrivals - arrivals
      turn.giveBack(most - count)
      this.quiet = count < most
      // A socket may say that it is readable and have nothing after all.
      if (count > 0) this.settled()
      else this.receiveOne()
    })
  }

  /** Takes what is there now, at most `max`, and calls `done` when it is in the mailbox. */
  poll(max: number, done: () => void): void {
    this.renewAhead()
    if (this.ahead.size > 0) {
      this.goOn(max)
      return finish(done)
    }
    if (this.mailbox.closed) return finish(done)
    // Another's turn may be all that there was.
    if (turn.isOver) return turn.next(() => this.poll(max, done))
    this.read(max, () => finish(done))
  }

  private read(max: number, done: () => void): void {
    if (this.state === "receiving") {
      // What the pending receive finds is in the mailbox before `done` runs:
      // promises keep their order.
      if (this.native.recheck()) microtask(done)
      // The event loop looks for it itself, once a turn.
      else setImmediate(done)
      return
    }
    const { arrivals } = this
    turn.spend(max)
    const burst = this.native.receiveBurst(max, this.arrived)
    if (burst === undefined) {
      turn.giveBack(max)
      return done()
    }
    this.state = "receiving"
    burst.then(() => {
      turn.giveBack(max - (this.arrivals - arrivals))
      this.settled()
      done()
    })
  }

  /** Whether a native receive is under way. */
  get receiving(): boolean {
    return this.state === "receiving"
  }

  /**
   * Reads though nobody receives, as `how` says: not, as far as the capacity of the
   * mailbox goes, or much further. A peer that has left is there until what it had
   * sent is read.
   */
  readAhead(how: ReadAhead): void {
    this.readsAhead = how === "not" ? 0 : how === "some" ? this.capacity : mostAhead
    this.renewAhead()
    if (this.roomAhead > 0) this.fill()
  }

  /** Takes what is there now, though nobody receives. */
  takeAll(): void {
    this.renewAhead()
    let last = -1
    const more = (): void => {
      if (this.mailbox.closed || this.arrivals === last || this.queued >= mostAhead || this.bytesAhead <= 0) return
      if (turn.isOver) return turn.next(more)
      last = this.arrivals
      this.read(this.mostPerBurst, () => finish(more))
    }
    more()
  }

  /**
   * Takes what comes after the end, for nobody: that a peer which is owed something
   * has left may be behind it. Returns what stops that.
   */
  takeForNobody(): () => void {
    const timer = setInterval(() => {
      if (this.state !== "receiving") this.native.receiveBurst(burstForNobody, this.forNobody)
    }, betweenBursts)
    return () => clearInterval(timer)
  }

  private readonly forNobody = (): void => {
    this.unwanted++
  }

  /** Has a message that libzmq does not tell arrive. */
  put(message: Message): void {
    if (this.mailbox.closed) return
    this.mailbox.arrive(message)
    this.mailbox.announce()
  }

  close(): void {
    this.goOn(this.ahead.size)
    this.mailbox.close()
    this.diversion?.close()
  }

  private renewAhead(): void {
    if (this.mailbox.size + this.ahead.size === 0) this.bytesAhead = mostBytesAhead
  }

  private get wanted(): boolean {
    return this.mailbox.wanted || this.roomAhead > 0
  }

  // How many messages are received though nobody has asked for them.
  private get roomAhead(): number {
    const forReply = this.expects ? this.capacity - this.mailbox.size : 0
    return this.bytesAhead > 0 ? Math.max(forReply, this.readsAhead - this.queued) : forReply
  }

  // Whether a reply is expected.
  private get expects(): boolean {
    return this.diversion?.wanted === true
  }

  // A reply may be behind more messages than the mailbox takes unasked. They
  // stay with libzmq, as the high-water mark says, until some are received.
  private stall(): void {
    if (!this.expects || this.mailbox.onTaken !== undefined) return
    this.onStalled()
    this.mailbox.onTaken = () => {
      this.mailbox.onTaken = undefined
      microtask(() => this.fill())
    }
  }

  private readonly arrived = (message: Message): void => {
    let bytes = 0
    for (let i = 0; i < message.length; i++) bytes += message[i]!.length
    this.arrivals++
    this.bytes += bytes
    this.bytesAhead -= bytes
    if (bytes > this.largest) this.largest = bytes
    if (bytes >= bytesPerCount) turn.spend(Math.floor(bytes / bytesPerCount))
    if (this.ahead.size > 0 || (this.readsAhead > this.capacity && this.mailbox.size >= this.capacity)) {
      this.ahead.put(this.held === undefined ? "" : peerOf(message), message)
    } else if (this.diversion?.accept(message) !== true) this.mailbox.arrive(message)
    scavengeInTime(bytes)
  }

  // What was read further ahead goes to the mailbox.
  private goOn(most: number): void {
    for (let count = 0; count < most && this.ahead.size > 0; count++) this.mailbox.arrive(this.ahead.take())
    microtask(this.mailbox.announce)
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

  private readonly settled = (): void => {
    this.state = "idle"
    this.mostPerBurst = Math.max(1, Math.min(this.capacity, Math.floor(bytesPerBurst / this.largest)))
    this.largest = 0
    this.mailbox.announce()
    this.fill()
  }

  // EAGAIN is no end: a REQ wakes for a late reply, and drops it.
  private readonly failed = (error: { readonly code?: string }): void => {
    this.state = "idle"
    if (error.code !== "EAGAIN") return this.close()
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

// Polling counts as well, or a loop of it would never let go of the event loop.
const finish = (done: () => void): void => {
  if (turn.isOver) return turn.next(done)
  turn.spend()
  done()
}

const ignore = (): void => {}
