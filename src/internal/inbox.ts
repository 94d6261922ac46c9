import type { Message } from "../Message.ts"
import { Mailbox } from "./mailbox.ts"
import { microtask } from "./microtask.ts"
import type { NativeSocket } from "./native.ts"
import { Rest } from "./rest.ts"
import { bytesPerBurst, scavengeInTime } from "./scavenge.ts"

// How many messages may be taken before the event loop gets its turn (P8), in
// which Node also frees the buffers that were collected. Each 16 KiB of a
// message count as one more.
const messagesPerTurn = 512
const bytesPerCount = 16 * 1024

// How large messages are is not known beforehand. Bursts are as long as
// `bytesPerBurst` allows if the next messages are like the last ones.
const firstBurst = 8

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

  private readonly native: NativeSocket
  readonly capacity: number
  private state: "idle" | "receiving" | "paused" = "idle"
  // Whether there was nothing left when libzmq was last asked. Then the next
  // message is waited for at once: asking again costs as much as a message.
  private quiet = false
  // Whether a receive has only just begun.
  private atOnce = false
  private takenThisTurn = 0
  private mostPerBurst: number
  // The largest message since that was last set.
  private largest = 0
  /** Messages and bytes that came, and receives that libzmq woke for nothing. */
  arrivals = 0
  bytes = 0
  again = 0

  /**
   * The mailbox takes at most `capacity` messages at a time that nobody asked
   * for. While a reply is expected it takes all that comes, as the reply is
   * behind them.
   */
  constructor(native: NativeSocket, capacity: number, newestOnly: boolean) {
    this.native = native
    this.capacity = capacity
    this.mostPerBurst = Math.min(firstBurst, capacity)
    this.mailbox = new Mailbox(newestOnly, microtask)
  }

  /** Sees to it that a message comes, if there is or will be one. */
  fill(): void {
    if (this.state !== "idle" || this.mailbox.closed) return
    if (this.takenThisTurn >= messagesPerTurn) return this.pause()
    this.state = "receiving"
    if (this.quiet && this.native.receivesAtOnce) return this.receiveOne()
    const { arrivals, mostPerBurst } = this
    const burst = this.native.receiveBurst(mostPerBurst, this.arrived)
    if (burst === undefined) return this.receiveOne()
    burst.then(() => {
      const count = this.arrivals - arrivals
      this.quiet = count < mostPerBurst
      // A socket may say that it is readable and have nothing after all.
      if (count > 0) this.settled()
      else this.receiveOne()
    })
  }

  /** Takes what is there now, at most `max`, and calls `done` when it is in the mailbox. */
  poll(max: number, done: () => void): void {
    // Polling counts as well, or a loop of it would never let go of the event loop.
    const finish = () => (this.takenThisTurn++ < messagesPerTurn ? done() : this.nextTurn(done))
    if (this.mailbox.closed) return finish()
    if (this.state === "receiving") {
      // What the pending receive finds is in the mailbox before `finish` runs:
      // promises keep their order.
      if (this.native.recheck()) microtask(finish)
      // The event loop looks for it itself, once a turn.
      else setImmediate(finish)
      return
    }
    const burst = this.native.receiveBurst(max, this.arrived)
    if (burst === undefined) return finish()
    this.state = "receiving"
    burst.then(() => {
      this.settled()
      finish()
    })
  }

  /** Whether a native receive is under way. */
  get receiving(): boolean {
    return this.state === "receiving"
  }

  close(): void {
    this.mailbox.close()
    this.diversion?.close()
  }

  private get wanted(): boolean {
    return this.mailbox.wanted || this.diversion?.wanted === true
  }

  private readonly arrived = (message: Message): void => {
    let bytes = 0
    for (let i = 0; i < message.length; i++) bytes += message[i]!.length
    this.arrivals++
    this.bytes += bytes
    if (bytes > this.largest) this.largest = bytes
    this.takenThisTurn += 1 + Math.floor(bytes / bytesPerCount)
    if (this.diversion?.accept(message) !== true) this.mailbox.arrive(message)
    scavengeInTime(bytes)
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
    this.arrived(message)
    this.settled()
  }

  private readonly settled = (): void => {
    this.state = "idle"
    this.mostPerBurst = Math.max(1, Math.min(this.capacity, Math.floor(bytesPerBurst / this.largest)))
    this.largest = 0
    this.mailbox.announce()
    if (this.wanted) this.fill()
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
    this.nextTurn(() => {
      if (this.state !== "paused") return
      this.state = "idle"
      if (this.wanted) this.fill()
    })
  }

  private nextTurn(run: () => void): void {
    this.takenThisTurn = 0
    setImmediate(run)
  }
}
