/**
 * How often to warn of what strangers can do as often as they like: of each kind
 * once, and of all that comes after in a line that counts it. Memory and log are
 * bounded, whatever they do.
 */

// More kinds than this, as many addresses are, are counted and not told.
const mostKinds = 100

// Milliseconds. From one count to the next it takes twice as long, up to an
// hour, until for as long nothing has come.
const soonest = 60_000
const latest = 3_600_000

export class Warnings {
  private readonly told = new Set<string>()
  private readonly summary: (count: number, minutes: number) => void
  private wait = soonest
  private timer: NodeJS.Timeout | undefined
  private count = 0

  /** `summary` tells how many there were that were not told, in so many minutes. */
  constructor(summary: (count: number, minutes: number) => void) {
    this.summary = summary
  }

  /** Whether one of this kind is to be told. Counts it, if not. */
  isNew(kind: string): boolean {
    this.timer ??= this.start()
    if (!this.told.has(kind) && this.told.size < mostKinds) {
      this.told.add(kind)
      return true
    }
    this.count++
    return false
  }

  close(): void {
    clearTimeout(this.timer)
  }

  private start(): NodeJS.Timeout {
    return setTimeout(this.ring, this.wait).unref()
  }

  private readonly ring = (): void => {
    const { count, wait } = this
    this.count = 0
    if (count === 0) {
      this.told.clear()
      this.wait = soonest
      this.timer = undefined
      return
    }
    this.wait = Math.min(latest, 2 * wait)
    this.timer = this.start()
    this.summary(count, wait / 60_000)
  }
}

/** In the past so many minutes. */
export const inThePast = (minutes: number): string =>
  minutes === 1 ? "in the past minute" : `in the past ${minutes} minutes`
