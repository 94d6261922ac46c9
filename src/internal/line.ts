/**
 * One who waits in a `Line`, for a message or for room.
 *
 * `wake` and `fail` carry no value. Whoever is woken acts itself, in its own
 * time, or leaves: so no message is ever on its way to somebody who may be
 * interrupted before it gets there.
 */
export class Waiter {
  readonly wake: () => void
  readonly fail: () => void
  state: "waiting" | "woken" | "gone" = "gone"
  previous: Waiter | undefined = undefined
  next: Waiter | undefined = undefined

  constructor(wake: () => void, fail: () => void) {
    this.wake = wake
    this.fail = fail
  }
}

/** Waiters, first come first served. The length of the line costs nothing. */
export class Line {
  private first: Waiter | undefined = undefined
  private last: Waiter | undefined = undefined
  length = 0

  get isEmpty(): boolean {
    return this.first === undefined
  }

  join(waiter: Waiter): void {
    this.length++
    waiter.state = "waiting"
    waiter.previous = this.last
    if (this.last === undefined) this.first = waiter
    else this.last.next = waiter
    this.last = waiter
  }

  /** Back to the front, for one who was woken too early. */
  rejoin(waiter: Waiter): void {
    this.length++
    waiter.state = "waiting"
    waiter.next = this.first
    if (this.first === undefined) this.last = waiter
    else this.first.previous = waiter
    this.first = waiter
  }

  /** Takes out whom `wake` is to be called for next. */
  call(): Waiter | undefined {
    const waiter = this.first
    if (waiter === undefined) return undefined
    this.leave(waiter)
    waiter.state = "woken"
    return waiter
  }

  /** Only for one who is waiting. */
  leave(waiter: Waiter): void {
    this.length--
    waiter.state = "gone"
    if (waiter.previous === undefined) this.first = waiter.next
    else waiter.previous.next = waiter.next
    if (waiter.next === undefined) this.last = waiter.previous
    else waiter.next.previous = waiter.previous
    waiter.previous = undefined
    waiter.next = undefined
  }

  /** Fails everyone in the line, or those whom `which` names. */
  close(which: (waiter: Waiter) => boolean = () => true): void {
    const waiters: Array<Waiter> = []
    for (let waiter = this.first; waiter !== undefined; waiter = waiter.next) waiters.push(waiter)
    for (const waiter of waiters) {
      // One may have left by now, as the one before it ran.
      if (waiter.state !== "waiting" || !which(waiter)) continue
      this.leave(waiter)
      waiter.fail()
    }
  }
}
