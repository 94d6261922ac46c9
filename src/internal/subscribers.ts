/** Who has subscribed to what on a PUB or XPUB. */
import * as Effect from "effect/Effect"
import type { Message } from "../Message.ts"
import type { Closed } from "../ZmqError.ts"
import type { Signal } from "./connections.ts"
import type { Diversion, Inbox } from "./inbox.ts"

// How often the subscriptions that nobody waits for are taken from libzmq,
// which would keep them for ever.
const tidyEvery = 1000
const tidyAtMost = 1024

/** Counts the subscriptions that libzmq reports. */
export class Subscribers implements Diversion {
  private readonly inbox: Inbox
  // Whether nobody but us receives them.
  private readonly hidden: boolean
  private readonly mostPeers: () => number
  private readonly changed: Signal
  private readonly counts = new Map<string, number>()
  private readonly timer: NodeJS.Timeout | undefined
  private waiting = 0
  private reported = 0
  private lastReported = 0

  /** `hidden` on a PUB, which receives nothing. `changed` is raised when peers come and go. */
  constructor(inbox: Inbox, hidden: boolean, mostPeers: () => number, changed: Signal) {
    this.inbox = inbox
    this.hidden = hidden
    this.mostPeers = mostPeers
    this.changed = changed
    inbox.diversion = this
    if (hidden) this.timer = setInterval(this.tidy, tidyEvery).unref()
  }

  private readonly tidy = (): void => {
    // libzmq tells of each subscription, and of the last end alone: what a peer
    // had twice is left over when it is gone.
    if (this.reported === this.lastReported && this.mostPeers() === 0) this.counts.clear()
    this.lastReported = this.reported
    this.takeAll()
  }

  private takeAll(): void {
    const before = this.reported
    this.inbox.poll(tidyAtMost, () => {
      if (this.reported > before) this.takeAll()
    })
  }

  /** Waits until `count` subscriptions match a message that begins with `topic`. */
  until(operation: string, topic: Buffer, count: number): Effect.Effect<void, Closed> {
    const read = Effect.callback<void>((resume) => this.inbox.poll(tidyAtMost, () => resume(Effect.void)))
    const isSo = () => Math.min(this.matching(topic), this.mostPeers()) >= count
    const waiting = Effect.suspend(() => {
      this.waiting++
      return Effect.ensuring(
        this.changed.until(operation, isSo, () => this.inbox.fill()),
        Effect.sync(() => this.waiting--)
      )
    })
    return Effect.andThen(read, waiting)
  }

  get wanted(): boolean {
    return this.waiting > 0
  }

  accept(message: Message): boolean {
    const [frame] = message
    // XSUB peers may send what they like upstream.
    if (message.length === 1 && frame.length > 0 && frame[0]! <= 1) {
      const topic = frame.toString("latin1", 1)
      const count = (this.counts.get(topic) ?? 0) + (frame[0] === 1 ? 1 : -1)
      if (count > 0) this.counts.set(topic, count)
      else this.counts.delete(topic)
      this.changed.raise()
    }
    this.reported++
    return this.hidden
  }

  close(): void {
    clearInterval(this.timer)
  }

  private matching(topic: Buffer): number {
    const text = topic.toString("latin1")
    let sum = 0
    for (let length = 0; length <= text.length; length++) sum += this.counts.get(text.slice(0, length)) ?? 0
    return sum
  }
}
