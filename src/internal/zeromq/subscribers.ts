/** What the subscribers of a PUB or XPUB send: subscriptions, and what else they like. */
import type { Message } from "../../Message.ts"
import type { EngineSubscribers } from "../engine.ts"
import { isSubscription } from "../subscription.ts"
import { turn } from "../turn.ts"
import type { Incoming } from "./incoming.ts"

/** What `mostInFront` is on a socket that connects: a place is taken at each reconnection. */
export const mostReconnected = 1000

// While nobody receives, we look for what there is: in milliseconds, from the
// time after one that found something to the time between two on an idle socket.
const soonest = 1
const idle = 100
// At each look libzmq takes more from the subscribers. So a look takes few
// messages, unless it finds that there are many.
const fewest = 32
const most = 1024

// A flood is looked at less often: a subscriber sends no faster than it is read.
// So many bytes may come at once, and so many in a millisecond after that; a
// message counts as some bytes more.
const mostAtOnce = 2 * 1024 * 1024
const perMilli = 256
const perMessage = 64
const slow = 50
// To subscribe takes libzmq time and memory, for each byte of a topic. So many
// times as long as it took we do something else, while such a flood lasts; but
// what libzmq takes by itself, as it does when the program sends, is taken from it.
const restOfTime = 19
// Counts may be ahead of what is known of peers, but not for so long.
const settled = 1000

// How many bytes of topics are counted, and what each costs besides.
const mostToCount = 64 * 1024 * 1024
const perTopic = 128

// What an XPUB may hold that nobody has received.
const mostMessages = 1000
const mostSubscriptions = 100_000

/** Takes what libzmq has, counts subscriptions, and drops what is too much. */
export class Subscribers implements EngineSubscribers {
  private readonly incoming: Incoming
  private readonly prefetch: number
  // Whether nobody but us receives them.
  private readonly hidden: boolean
  private readonly mostPeers: () => number
  private readonly sent: () => number
  private readonly changed: () => void
  private readonly onDropped: () => void
  private readonly counts = new Map<string, number>()
  private counted = 0
  private timer: NodeJS.Timeout | undefined
  private closed = false
  // Whether it has begun to look, and has not decided when to look again.
  private looking = false
  private delay = idle
  private perLook = fewest
  private allowance = mostAtOnce
  private lookedAt = performance.now()
  private foundAt = performance.now()
  // Messages since the look before.
  private taken = 0
  private subscriptions = 0
  private begunAt = 0
  private lastSent = 0
  private waiting = 0
  /** Messages of subscribers that were dropped. */
  dropped = 0

  /**
   * `hidden` on a PUB, which receives nothing. `sent` is how many messages the socket
   * has sent, and `changed` is called when subscriptions come and go.
   */
  constructor(options: {
    readonly incoming: Incoming
    readonly prefetch: number
    readonly hidden: boolean
    readonly mostPeers: () => number
    readonly sent: () => number
    readonly changed: () => void
    readonly onDropped: () => void
  }) {
    this.incoming = options.incoming
    this.prefetch = options.prefetch
    this.hidden = options.hidden
    this.mostPeers = options.mostPeers
    this.sent = options.sent
    this.changed = options.changed
    this.onDropped = options.onDropped
    this.soon()
  }

  /** There may be something soon. */
  soon(): void {
    this.delay = soonest
    if (!this.looking) this.lookAfter(soonest)
  }

  // ---------------------------------------------------------------------------
  // taking
  // ---------------------------------------------------------------------------

  // libzmq would keep for ever what nobody takes.
  private readonly look = (): void => {
    if (this.closed) return
    this.looking = true
    // Whoever receives on an XPUB takes it.
    if (!this.hidden && (this.incoming.receiving || this.isLeftToReceiver)) return this.lookAfter(idle)
    if (turn.isOver) return turn.next(this.look)
    this.begunAt = performance.now()
    this.incoming.read(this.perLook, this.looked)
  }

  private readonly looked = (): void => {
    const now = performance.now()
    const { subscriptions, taken: found } = this
    this.taken = 0
    this.subscriptions = 0
    if (found > 0) this.foundAt = now
    // libzmq tells of each subscription, and of the last end alone: what a peer
    // had twice is left over when it is gone.
    else if (this.hidden && this.counts.size > 0 && now - this.foundAt > settled && this.mostPeers() === 0)
      this.forget()
    this.delay = found > 0 ? soonest : Math.min(idle, this.delay * 2)
    this.allowance = Math.min(mostAtOnce, this.allowance + (now - this.lookedAt) * perMilli)
    this.lookedAt = now
    const isMore = found >= this.perLook
    const isFlood = this.allowance <= 0
    const sent = this.sent()
    const isLong = isFlood && subscriptions > found / 4 && sent === this.lastSent
    this.lastSent = sent
    this.perLook = isMore && !isLong ? Math.min(most, this.perLook * 2) : fewest
    if (isLong) this.lookAfter(Math.max(soonest, (now - this.begunAt) * restOfTime))
    else this.lookAfter(isMore ? soonest : isFlood ? slow : this.delay)
  }

  private lookAfter(millis: number): void {
    if (this.closed) return
    this.looking = false
    clearTimeout(this.timer)
    this.timer = setTimeout(this.look, millis).unref()
  }

  // Whoever receives on an XPUB gets all that comes, in its own time: what does not
  // fit stays with libzmq, and its senders wait.
  private get isLeftToReceiver(): boolean {
    return this.incoming.used && this.incoming.ready >= this.prefetch
  }

  /** Takes a message that is not for the owner of the socket, or leaves it. */
  accept(message: Message): boolean {
    let bytes = perMessage
    for (let i = 0; i < message.length; i++) bytes += message[i]!.length
    this.allowance -= bytes
    this.taken++
    turn.spend()
    // libzmq makes a message of each subscription, and puts it behind what it has
    // left over of others.
    const last = message[message.length - 1]!
    if (isSubscription(last)) return this.acceptSubscription(message, last)
    if (!this.hidden && (this.incoming.used || this.incoming.ready < mostMessages)) return false
    this.drop()
    return true
  }

  private acceptSubscription(message: Message, frame: Buffer): boolean {
    this.subscriptions++
    this.count(frame.toString("latin1", 1), frame[0] === 1)
    if (this.hidden) return true
    if (!this.incoming.used && this.incoming.ready >= mostSubscriptions) {
      this.drop()
      return true
    }
    if (message.length === 1) return false
    this.drop()
    this.incoming.put([frame])
    return true
  }

  private drop(): void {
    this.dropped++
    this.onDropped()
  }

  close(): void {
    this.closed = true
    clearTimeout(this.timer)
  }

  // ---------------------------------------------------------------------------
  // counting
  // ---------------------------------------------------------------------------

  private count(topic: string, begins: boolean): void {
    const before = this.counts.get(topic)
    if (before === undefined) {
      if (!begins || this.counted > mostToCount) return
      this.counted += topic.length + perTopic
    }
    const count = (before ?? 0) + (begins ? 1 : -1)
    if (count > 0) this.counts.set(topic, count)
    else {
      this.counts.delete(topic)
      this.counted -= topic.length + perTopic
    }
    this.changed()
  }

  private forget(): void {
    this.counts.clear()
    this.counted = 0
  }

  matching(topic: Buffer): number {
    const text = topic.toString("latin1")
    let sum = 0
    for (let length = 0; length <= text.length; length++) sum += this.counts.get(text.slice(0, length)) ?? 0
    return Math.min(sum, this.mostPeers())
  }

  /** Somebody waits for the next change: what is there by now is read at once, and all else as it comes. */
  listen(begun: () => void): () => void {
    this.waiting++
    this.incoming.read(most, () => {
      begun()
      this.incoming.fill()
    })
    return () => {
      this.waiting--
    }
  }

  get wanted(): boolean {
    return this.waiting > 0
  }
}
