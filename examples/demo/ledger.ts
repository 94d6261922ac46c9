/** Who saw which number. Every count of the demo comes from here. */
export class Ledger {
  /** How many numbers were sent: 0, 1, 2 … */
  sent = 0
  /** The numbers that reached the sink. */
  private readonly atSink: Uint8Array
  /** How often each number was given to a handler. */
  private readonly started: Uint8Array
  /** The numbers that were still in a queue at the end. */
  private readonly inQueue: Uint8Array

  /** Grows with each entry, so that one sees whether anything still moves. */
  entries = 0
  handled = 0
  twice = 0
  redelivered = 0
  interrupts = 0
  timeouts = 0
  races = 0

  constructor(messages: number) {
    this.atSink = new Uint8Array(messages)
    this.started = new Uint8Array(messages)
    this.inQueue = new Uint8Array(messages)
  }

  reachedSink(number: number): void {
    this.entries++
    if (this.atSink[number]!++ === 0) this.handled++
    // A handler that was interrupted runs again, so that only the others count.
    else if (this.started[number] === 0) this.twice++
  }

  handlerStarted(number: number): void {
    if (this.started[number]!++ > 0) this.redelivered++
  }

  foundInQueue(number: number): void {
    this.entries++
    this.inQueue[number]!++
  }

  get queued(): number {
    return this.count((number) => this.atSink[number] === 0 && this.inQueue[number]! > 0)
  }

  /** Those that reached the sink, and those that were in a queue. */
  get found(): number {
    return this.handled + this.queued
  }

  /** Sent, and now neither handled nor in a queue. */
  get lost(): number {
    return this.lostReceiving + this.lostHandling
  }

  /** Lost before any worker saw it. */
  get lostReceiving(): number {
    return this.count((number) => this.isGone(number) && this.started[number] === 0)
  }

  /** Lost with the handler that had it. */
  get lostHandling(): number {
    return this.count((number) => this.isGone(number) && this.started[number]! > 0)
  }

  private isGone(number: number): boolean {
    return this.atSink[number] === 0 && this.inQueue[number] === 0
  }

  private count(test: (number: number) => boolean): number {
    let count = 0
    for (let number = 0; number < this.sent; number++) if (test(number)) count++
    return count
  }
}
