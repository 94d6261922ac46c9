/** PUB, XPUB, SUB and XSUB (RFC 29): messages go to whoever wants what they begin with. */
import type { Message, Outgoing } from "../../../Message.ts"
import type { EngineSubscribers, Offer } from "../../engine.ts"
import { isSubscription } from "../../subscription.ts"
import { Turn } from "../../turn.ts"
import type { Pipe } from "../pipe.ts"
import { part } from "../protocol/bytes.ts"
import { Counts, Topics } from "../topics.ts"
import { type Admission, type Core, neverSent, Pattern } from "./pattern.ts"

/** What a peer's topics may be together, in bytes: each counts for some more than it has. */
const mostTopics = 64 * 1024 * 1024
const perTopic = 256
/** How many topics are forgotten in a turn, of all that have left: some milliseconds' worth. */
const forgetting = new Turn(2000)

/** What an XPUB may hold that nobody has received. */
const mostMessages = 1000
const mostNews = 100_000
/** A longer topic counts as a message, in bytes. */
const shortTopic = 512

const first = (message: Outgoing): Uint8Array => {
  const frame = typeof message === "string" || message instanceof Uint8Array ? message : message[0]!
  return typeof frame === "string" ? Buffer.from(frame) : frame
}

/** A peer from when it comes until it leaves: one that comes again is another. */
class Subscriber {
  readonly pipe: Pipe
  isThere = true
  /** The last message that it is to get. */
  round = 0

  constructor(pipe: Pipe) {
    this.pipe = pipe
  }
}

export class Pub extends Pattern {
  protected readonly topics = new Topics<Subscriber>()
  private readonly present = new Map<Pipe, Subscriber>()
  private listeners = 0
  /** Whom the message goes to that is being sent. */
  private matched: Array<Pipe> = []
  private round = 0
  /** With `noDrop`, whether the next message waits for somebody. */
  private isBehind = false

  override readonly subscribers: EngineSubscribers = {
    matching: (topic) => this.matchedBy(topic).length,
    listen: (begun) => {
      this.listeners++
      this.core.whenPolled(begun)
      return () => {
        this.listeners--
      }
    }
  }

  override attached(pipe: Pipe): Admission {
    this.present.set(pipe, new Subscriber(pipe))
    const { welcomeMessage } = this.core.settings
    if (welcomeMessage !== undefined) pipe.send(welcomeMessage)
    return "in"
  }

  override detached(pipe: Pipe): void {
    const subscriber = this.present.get(pipe)
    if (subscriber !== undefined) {
      this.present.delete(pipe)
      subscriber.isThere = false
      this.forget(subscriber)
    }
    this.hasRoom(pipe)
  }

  /** The topics of who has left are no more. Not all at once, if they are many. */
  private forget(subscriber: Subscriber): void {
    if (forgetting.isOver) return forgetting.next(() => this.forget(subscriber))
    const gone = (topic: Buffer, wasLast: boolean): boolean => {
      if (this.isNews(false, wasLast)) this.news(subscriber.pipe, topic, false)
      // Those that are long may lie deep.
      forgetting.spend(1 + (topic.length >> 6))
      return !forgetting.isOver
    }
    if (this.topics.removeSome(subscriber, gone)) forgetting.next(() => this.forget(subscriber))
  }

  override subscribed(pipe: Pipe, topic: Buffer, begins: boolean): boolean {
    const subscriber = this.present.get(pipe)
    // We have left it, and only what was sent is still on its way.
    if (subscriber === undefined) return true
    const changed = begins ? this.topics.add(topic, subscriber) : this.topics.remove(topic, subscriber)
    if (begins && changed !== undefined) {
      const { bytes, count } = this.topics.sizeOf(subscriber)
      if (bytes + count * perTopic > mostTopics) {
        pipe.refuse("it subscribes to more than it may")
        return false
      }
    }
    if (changed !== undefined && this.listeners > 0) this.core.notices.peers()
    // The next message may not be for who is behind.
    if (this.isBehind) this.hasRoom(pipe)
    return this.isNews(begins, changed) ? this.news(pipe, topic, begins) : true
  }

  protected isNews(_begins: boolean, _changed: boolean | undefined): boolean {
    return false
  }

  protected news(_: Pipe, _topic: Buffer, _begins: boolean): boolean {
    return true
  }

  /** What subscribers say besides. */
  override accept(_: Pipe, _message: Message): Message | undefined {
    this.core.drop()
    return undefined
  }

  offer(message: Outgoing): Offer {
    const matched = this.matchedBy(first(message))
    if (this.core.settings.noDrop)
      for (const pipe of matched)
        if (!pipe.hasRoom) {
          this.isBehind = true
          return "full"
        }
    for (const pipe of matched) if (pipe.hasRoom) pipe.send(message)
    matched.length = 0
    return "sent"
  }

  private readonly found = (subscriber: Subscriber): void => {
    // It has left, and is not forgotten yet.
    if (!subscriber.isThere || subscriber.round === this.round) return
    subscriber.round = this.round
    this.matched.push(subscriber.pipe)
  }

  private matchedBy(subject: Uint8Array): Array<Pipe> {
    this.matched.length = 0
    this.round++
    this.topics.match(subject, this.found)
    if (this.core.settings.invertMatching) {
      const all = new Set(this.core.pipes)
      for (const pipe of this.matched) all.delete(pipe)
      this.matched = [...all].filter((pipe) => pipe.isThere)
    }
    return this.matched
  }

  isOpen(): boolean {
    return !this.isBehind
  }

  override hasRoom(pipe: Pipe): void {
    this.isBehind = false
    super.hasRoom(pipe)
  }
}

export class Xpub extends Pub {
  // What one peer ends, another may have begun before or after it.
  constructor(core: Core) {
    super(core, "arrival")
  }

  protected override isNews(begins: boolean, changed: boolean | undefined): boolean {
    const { verbosity } = this.core.settings
    return changed === true || verbosity === "allSubsUnsubs" || (verbosity === "allSubs" && begins)
  }

  protected override news(pipe: Pipe, topic: Buffer, begins: boolean): boolean {
    const { isUsed, markIn } = this.core
    const isShort = topic.length <= shortTopic
    if (!isUsed && this.inbound.length >= (isShort ? mostNews : mostMessages)) {
      this.core.drop()
      return true
    }
    this.inbound.append(pipe, [Buffer.concat([begins ? one : zero, topic])])
    this.core.notices.messages()
    // Those behind it take effect, whether or not anybody receives.
    return !isUsed || pipe.inbox.length < (isShort ? mostNews : markIn)
  }

  // What nobody receives has bounds of its own, and must not hide subscriptions.
  override mayCome(pipe: Pipe): boolean {
    return !this.core.isUsed || super.mayCome(pipe)
  }

  override accept(pipe: Pipe, message: Message): Message | undefined {
    if (this.core.isUsed || pipe.inbox.length < mostMessages) return message
    this.core.drop()
    return undefined
  }
}

const one = Buffer.of(1)
const zero = Buffer.of(0)

export class Sub extends Pattern {
  protected readonly wanted = new Counts()
  private readonly filter = new Topics<Sub>()

  override attached(pipe: Pipe): Admission {
    for (const topic of this.wanted) pipe.subscribe(topic)
    return "in"
  }

  // Each time, as libzmq does: an XPUB may want to hear of it.
  override subscribe(topic: Buffer): void {
    if (this.wanted.add(topic)) this.filter.add(topic, this)
    for (const pipe of this.core.pipes) pipe.subscribe(topic)
  }

  override unsubscribe(topic: Buffer): void {
    if (!this.wanted.remove(topic)) return
    this.filter.remove(topic, this)
    for (const pipe of this.core.pipes) pipe.cancel(topic)
  }

  override accept(_: Pipe, message: Message): Message | undefined {
    return this.filter.matches(message[0]) !== this.core.settings.invertMatching ? message : undefined
  }

  offer(_: Outgoing): Offer {
    return neverSent
  }
  isOpen(): boolean {
    return false
  }
}

export class Xsub extends Sub {
  override accept(_: Pipe, message: Message): Message {
    return message
  }

  override offer(message: Outgoing): Offer {
    const frame = typeof message === "string" || message instanceof Uint8Array ? message : message[0]
    const isOne = frame === message || message.length === 1
    if (isOne && isSubscription(frame as string | Uint8Array)) {
      const bytes = Buffer.from(frame as string)
      const topic = part(bytes, 1, bytes.length)
      if (bytes[0] === 1) this.subscribe(topic)
      else this.unsubscribe(topic)
      return "sent"
    }
    // Those who are not there yet get it when they are.
    for (const pipe of this.core.pipes) if (pipe.hasRoom) pipe.send(message)
    return "sent"
  }
  override isOpen(): boolean {
    return true
  }
}
