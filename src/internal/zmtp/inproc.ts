/** Between the sockets of a context: what one sends is in the inbox of the other at once. */
import type { Outgoing } from "../../Message.ts"
import { Queue } from "../queue.ts"
import { type Host, keep, markOf, Pipe, received } from "./pipe.ts"

export class InprocPipe extends Pipe {
  private partner: InprocPipe | undefined
  /** What waits for a partner. */
  private readonly outbox = new Queue<Outgoing>()
  /** What is to be done when both know each other. */
  private deferred: Array<() => void> | undefined
  private isClosing = false
  private timer: NodeJS.Timeout | undefined
  private readonly onLost: (wasRefused: boolean) => void
  private readonly onOver: () => void

  /** `onLost` is called when its partner has left, or one of them does not want the other, `onOver` when it wants none any more. */
  constructor(host: Host, endpoint: string, onLost: (wasRefused: boolean) => void, onOver: () => void = ignore) {
    super(host, endpoint)
    this.onLost = onLost
    this.onOver = onOver
  }

  /** Two become partners. Says whether both may stay. */
  join(partner: InprocPipe): boolean {
    this.partner = partner
    partner.partner = this
    this.deferred = []
    partner.deferred = []
    const mayStay = this.host.attached(this, partner.host.introduction)
    // Whoever has closed only gives what it had sent.
    if (!mayStay || !(partner.isOver || partner.host.attached(partner, this.host.introduction))) {
      this.partner = undefined
      partner.partner = undefined
      if (mayStay) this.host.detached(this)
      this.deferred = undefined
      partner.deferred = undefined
      // It was made for this partner.
      this.close(0, ignore)
      return false
    }
    for (const one of [this, partner]) {
      const { deferred } = one
      one.deferred = undefined
      for (const run of deferred!) run()
      one.flush()
    }
    return true
  }

  get queued(): number {
    return this.outbox.length + (this.partner?.inbox.length ?? 0)
  }

  /** That of the sender and that of the receiver together. */
  get mark(): number {
    const { conflate, sendHighWaterMark } = this.host.settings
    if (conflate) return Number.MAX_SAFE_INTEGER
    if (this.partner === undefined) return this.host.settings.immediate ? 0 : markOf(sendHighWaterMark)
    const { receiveHighWaterMark } = this.partner.host.settings
    return sendHighWaterMark === 0 || receiveHighWaterMark === 0
      ? Number.MAX_SAFE_INTEGER
      : sendHighWaterMark + receiveHighWaterMark
  }

  send(message: Outgoing): void {
    const { partner } = this
    if (partner !== undefined && this.deferred === undefined) partner.host.arrived(partner, received(message))
    else {
      if (this.host.settings.conflate) while (this.outbox.length > 0) this.outbox.take()
      this.outbox.append(keep(message))
    }
  }

  private flush(): void {
    const { outbox } = this
    while (outbox.length > 0 && this.partner !== undefined)
      this.partner.host.arrived(this.partner, received(outbox.take()))
    if (this.isClosing && outbox.length === 0) this.close(0, ignore)
  }

  greet(message: Outgoing): void {
    const kept = received(message)
    this.tell((partner) => partner.host.arrived(partner, kept))
  }
  subscribe(topic: Buffer): void {
    this.tell((partner) => partner.host.subscribed(partner, topic, true))
  }
  cancel(topic: Buffer): void {
    this.tell((partner) => partner.host.subscribed(partner, topic, false))
  }

  private tell(what: (partner: InprocPipe) => void): void {
    const run = (): void => {
      if (this.partner !== undefined) what(this.partner)
    }
    if (this.deferred === undefined) run()
    else this.deferred.push(run)
  }

  refill(): void {
    this.partner?.drained()
  }

  refuse(): void {
    this.part(true)
  }

  /** Both are alone again. */
  private part(wasRefused: boolean): void {
    const { partner } = this
    if (partner === undefined) return
    this.partner = undefined
    partner.partner = undefined
    this.host.detached(this)
    partner.host.detached(partner)
    if (!this.isOver) this.onLost(wasRefused)
    if (!partner.isOver) partner.onLost(wasRefused)
  }

  /** What its partner has is the partner's. What waits for one goes on waiting, and need not be waited for. */
  close(linger: number, done: (unsent: number) => void): void {
    this.isOver = true
    const unsent = this.outbox.length
    clearTimeout(this.timer)
    if (linger <= 0 || unsent === 0) {
      this.isClosing = false
      this.part(false)
      this.onOver()
    } else {
      this.isClosing = true
      if (Number.isFinite(linger)) this.timer = setTimeout(() => this.close(0, ignore), linger).unref()
    }
    done(linger <= 0 ? unsent : 0)
  }
}

const ignore = (): void => {}
