import { Line, type Waiter } from "../line.ts"
import { Queue } from "../queue.ts"

/** A message that was lent. It is consumed, unless it is put back. */
export interface Lease<A> {
  readonly number: number
  readonly message: A
}

/**
 * The messages that were taken from the engine and belong to nobody yet, and those
 * who wait for one. There is no Effect in here.
 *
 * **Invariants**, after each method:
 * - `size >= promised`: for each woken waiter there is a message that nobody
 *   else takes.
 * - Once a burst is announced, someone waits only while every message is
 *   promised: no message lies unannounced.
 * - Messages leave in the order in which they arrived.
 */
export class Mailbox<A> {
  // Messages are numbered as they arrive. `fresh` holds consecutive ones, of
  // which the first has the number `first`. `returned` is sorted, the next one last.
  private readonly fresh = new Queue<A>()
  private first = 0
  private readonly returned: Array<Lease<A>> = []
  private promised = 0
  private readonly line = new Line()
  readonly newestOnly: boolean
  private readonly later: (run: () => void) => void
  closed = false
  /** How many messages came back. */
  putBacks = 0
  /** Called when a message has left, for one who waits until there are fewer. */
  onTaken: (() => void) | undefined = undefined
  /** Called when a message is put back after the end. */
  cameBack: (() => void) | undefined = undefined

  /**
   * With `newestOnly` a message takes the place of the one before: CONFLATE.
   *
   * What comes back is announced `later`. Who interrupts two fibers, one after
   * the other, must not have the first hand its message to the second.
   */
  constructor(newestOnly = false, later: (run: () => void) => void = (run) => run()) {
    this.newestOnly = newestOnly
    this.later = later
  }

  /** All messages held. */
  get size(): number {
    return this.fresh.length + this.returned.length
  }

  /** The messages that are there for whoever comes now: none, if others wait. */
  get available(): number {
    return this.line.isEmpty ? this.unpromised : 0
  }

  private get unpromised(): number {
    return this.fresh.length + this.returned.length - this.promised
  }

  /** Whether someone waits. */
  get wanted(): boolean {
    return !this.line.isEmpty
  }

  /** A message arrives. After a burst of them, `announce`. */
  arrive(message: A): void {
    while (this.newestOnly && this.size > 0) this.take()
    this.fresh.append(message)
  }

  /** The next message. Only while `available > 0`, or after `claim`. */
  take(): A {
    if (this.onTaken !== undefined) this.onTaken()
    if (this.returned.length > 0) return this.returned.pop()!.message
    this.first++
    return this.fresh.take()
  }

  /** As `take`, for one who may `putBack` what it got. */
  lend(): Lease<A> {
    if (this.onTaken !== undefined) this.onTaken()
    if (this.returned.length > 0) return this.returned.pop()!
    return { number: this.first++, message: this.fresh.take() }
  }

  /** A lent message comes back to its place in the order, as it was not dealt with. */
  putBack(lease: Lease<A>): void {
    this.putBacks++
    this.cameBack?.()
    if (this.newestOnly && this.size > 0) return
    const returned = this.returned
    let at = returned.length
    while (at > 0 && returned[at - 1]!.number < lease.number) at--
    returned.splice(at, 0, lease)
    this.later(this.announce)
  }

  /** Lent messages come back to their places in the order, as it was not their time. */
  restore(leases: ReadonlyArray<Lease<A>>): void {
    if (leases.length === 0) return
    for (const lease of leases) this.returned.push(lease)
    this.returned.sort((a, b) => b.number - a.number)
    this.later(this.announce)
  }

  /** Joins those who wait. Only while `available === 0`. */
  wait(waiter: Waiter): void {
    this.line.join(waiter)
  }

  /** Promises a message to one who comes back for it, as if it had waited. Only while `available > 0`. */
  promise(waiter: Waiter): void {
    waiter.state = "woken"
    this.promised++
  }

  /** One who was woken takes what it was promised: call `take` or `lend` next. */
  claim(waiter: Waiter): void {
    waiter.state = "gone"
    this.promised--
  }

  /** One who waited, or was woken, will not take a message: the next in line may have it. */
  leave(waiter: Waiter): void {
    if (waiter.state === "waiting") this.line.leave(waiter)
    if (waiter.state === "woken") {
      this.claim(waiter)
      this.later(this.announce)
    }
  }

  /** Wakes as many as there are messages for. */
  readonly announce = (): void => {
    if (this.line.isEmpty || this.unpromised === 0) return
    // All are promised theirs before any of them runs: one who is woken goes on
    // at once, and must not find what is meant for the next in line.
    const woken: Array<Waiter> = []
    while (!this.line.isEmpty && this.unpromised > 0) {
      const waiter = this.line.call()!
      this.promise(waiter)
      woken.push(waiter)
    }
    // One may have left by now, as the one before it ran.
    for (const waiter of woken) if (waiter.state === "woken") waiter.wake()
  }

  /** Forgets what nobody was promised. Returns how many messages that were. */
  clear(): number {
    let dropped = 0
    while (this.unpromised > 0) {
      this.take()
      dropped++
    }
    return dropped
  }

  /** Fails those who wait. What is held can still be taken. */
  close(): void {
    this.closed = true
    this.line.close()
  }
}
