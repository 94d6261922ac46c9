import * as Fiber from "effect/Fiber"
import { microtask } from "./microtask.ts"

// How many fibers may rest for a microtask before the event loop gets its turn (docs/guarantees.md, P8).
const restsPerTurn = 64

/**
 * Has a fiber suspend before the operation that decides about a message.
 *
 * What Effect adds behind that operation (`Effect.map`, a timeout, a race, a
 * span) are operations again. A fiber is suspended there, and may be interrupted
 * with what it has, only if it has used up its budget of operations. So plenty
 * of it must be left, of the fiber's own and of that of the parent that may be
 * waiting for it: a child may be at its first operation, for a timeout or a race,
 * while its parent is still in the middle of starting it. When the child
 * suspends once, the parent does too, and comes back with a new budget.
 */
export class Rest {
  // A fiber that is known to have suspended.
  private rested = -1
  private times = 0

  /** Whether the current fiber has to rest. Half of its budget (2,048) is far more than any combinator needs. */
  get isDue(): boolean {
    const fiber = Fiber.getCurrent()!
    return fiber.id !== this.rested || fiber.currentOpCount > fiber.cache.maxOpsBeforeYield >> 1
  }

  /** Calls `run` when the current fiber, which suspends now, may go on. */
  begin(run: () => void): void {
    const { cache, currentDispatcher, id } = Fiber.getCurrent()!
    // One whose own budget is spent must let others run. `runSync` waits for its dispatcher only.
    const forTurn = id === this.rested || ++this.times % restsPerTurn === 0 || cache.scheduler.executionMode === "sync"
    if (forTurn) currentDispatcher.scheduleTask(run, 0)
    else microtask(run)
  }

  /** The current fiber has suspended, and gone on. */
  end(): void {
    this.rested = Fiber.getCurrent()!.id
  }
}
