/** Who has subscribed to what on a PUB or XPUB. */
import * as Effect from "effect/Effect"
import type { Message } from "../Message.ts"
import type { Closed } from "../ZmqError.ts"
import { Signal } from "./connections.ts"
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
  private readonly changed = new Signal()
  private readonly counts = new Map<string, number>()
  private readonly timer: NodeJS.Timeout | undefined
  private reported = 0

  /** `hidden` on a PUB, which receives nothing. */
  constructor(inbox: Inbox, hidden: boolean) {
    this.inbox = inbox
    this.hidden = hidden
    inbox.diversion = this
    if (hidden) this.timer = setInterval(this.tidy, tidyEvery).unref()
  }

  private readonly tidy = (): void => {
    const before = this.reported
    this.inbox.poll(tidyAtMost, () => this.reported > before && this.tidy())
  }

  /** Waits until `count` subscriptions match a message that begins with `topic`. */
  until(operation: string, topic: Buffer, count: number): Effect.Effect<void, Closed> {
    const read = Effect.callback<void>((resume) => this.inbox.poll(tidyAtMost, () => resume(Effect.void)))
    const waiting = this.changed.until(
      operation,
      () => this.matching(topic) >= count,
      () => this.inbox.fill()
    )
    return Effect.andThen(read, waiting)
  }

  get wanted(): boolean {
    return this.changed.wanted
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
    this.changed.close()
  }

  private matching(topic: Buffer): number {
    const text = topic.toString("latin1")
    let sum = 0
    for (let length = 0; length <= text.length; length++) sum += this.counts.get(text.slice(0, length)) ?? 0
    return sum
  }
}
