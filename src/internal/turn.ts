import { nextTurnByTask } from "./microtask.ts"

/**
 * What all sockets and proxies together may do in one turn of the event loop
 * (docs/guarantees.md, P8). Then everything else has its turn.
 */
export class Turn {
  private readonly most: number
  private left: number
  private ending = false
  private waiting: Array<() => void> = []

  constructor(most: number) {
    this.most = most
    this.left = most
  }

  get isOver(): boolean {
    return this.left <= 0
  }

  // Asking for the next turn costs one: so not for the sake of a few messages.
  spend(count = 1): void {
    this.left -= count
    if (this.left <= this.most >> 1) this.endLater()
  }

  /** For what was spent beforehand and then not needed. */
  giveBack(count: number): void {
    this.left = Math.min(this.most, this.left + count)
  }

  /** Runs in the next turn. */
  next(run: () => void): void {
    this.endLater()
    if (!nextTurnByTask(run)) this.waiting.push(run)
  }

  private endLater(): void {
    if (this.ending) return
    this.ending = true
    setImmediate(() => {
      this.ending = false
      this.left = this.most
      const { waiting } = this
      this.waiting = []
      for (const run of waiting) run()
    })
  }
}

// A message takes 3 to 20 µs, by its size.
export const turn = new Turn(512)
