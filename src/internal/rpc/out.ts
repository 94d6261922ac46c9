import type { Outgoing } from "../../Message.ts"
import { Queue } from "../queue.ts"
import { type Outbox, Posted } from "../send/outbox.ts"

/** Messages for one peer, in order. What it has no room for waits here by itself, and can be forgotten. */
export class Out {
  private readonly outbox: Outbox
  private readonly onGone: () => void
  private waiting = new Queue<Outgoing>()
  private posted: Posted | undefined
  private onEmpty: (() => void) | undefined

  /** `onGone` is told that the peer, or the socket, is there no more. */
  constructor(outbox: Outbox, onGone: () => void) {
    this.outbox = outbox
    this.onGone = onGone
  }

  /** How many messages wait. */
  get pending(): number {
    return this.waiting.length + (this.posted === undefined ? 0 : 1)
  }

  send(message: Outgoing): void {
    if (this.posted === undefined) this.offer(message)
    else this.waiting.append(message)
  }

  /** Forgets what waits. */
  clear(): void {
    const { posted } = this
    this.posted = undefined
    this.waiting = new Queue()
    if (posted !== undefined) this.outbox.leave(posted.message, posted.waiter)
    this.onEmpty?.()
  }

  /** Calls `run` once nothing waits any more, which may be now. */
  whenEmpty(run: () => void): void {
    if (this.posted === undefined) run()
    else this.onEmpty = run
  }

  private offer(message: Outgoing): void {
    const offer = this.outbox.offer(message)
    if (offer === "sent") return
    if (offer !== "full") return this.onGone()
    const posted = new Posted(this.outbox, message, (offer) => {
      if (this.posted !== posted) return
      this.posted = undefined
      if (offer !== "sent") return this.onGone()
      while (this.waiting.length > 0 && this.posted === undefined) this.offer(this.waiting.take())
      if (this.posted === undefined) this.onEmpty?.()
    })
    this.posted = posted
    this.outbox.wait(message, posted.waiter, false)
  }
}
