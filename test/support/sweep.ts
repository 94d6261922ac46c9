/**
 * The step sweep: runs a program again and again, and interrupts it at its
 * first operation, at its second, and so on until it gets no further. Or does
 * something else there, such as closing its socket.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import { turns } from "./scripted.ts"

/**
 * How a fiber is interrupted at an operation: as it comes to it, or a moment
 * later, when it has yielded to others before that operation.
 */
export type Moment = "running" | "suspended"
export const moments: ReadonlyArray<Moment> = ["running", "suspended"]

class InterruptAt implements Scheduler.Scheduler {
  readonly executionMode = "async" as const
  readonly makeDispatcher: Scheduler.Scheduler["makeDispatcher"]
  target: Fiber.Fiber<unknown, unknown> | undefined
  /** Whether the steps of all fibers count, and not just those of the target. */
  all = false
  /** What happens at the step. */
  act = (target: Fiber.Fiber<unknown, unknown>): void => target.interruptUnsafe()
  hit = false
  private count = 0
  private readonly step: number
  private readonly moment: Moment

  constructor(step: number, moment: Moment) {
    const scheduler = new Scheduler.MixedScheduler("async")
    this.makeDispatcher = () => scheduler.makeDispatcher()
    this.step = step
    this.moment = moment
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    const { target } = this
    if (target === undefined || (fiber !== target && !this.all) || ++this.count !== this.step) return false
    this.hit = true
    if (this.moment === "running") this.act(target)
    else queueMicrotask(() => this.act(target))
    return true
  }
}

export interface Run {
  /** The fiber, while it runs. */
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly step: number
  readonly moment: Moment
}

/** What one program is, made anew for each step. */
export interface Trial {
  readonly program: Effect.Effect<unknown, unknown>
  /** Whether to interrupt it at the steps of the fibers it has forked, too. */
  readonly all?: boolean
  /** What to do at the step, when it has yielded there, instead of interrupting it. */
  readonly instead?: () => void
  /** What happens while it runs, from its start on. */
  readonly script: () => Promise<void>
  /** Looks at what became of it. The fiber has ended. */
  readonly check: (run: Run) => Promise<void>
}

/** Returns how many steps there were. The last run of each moment is not interrupted. */
export const sweep = async (trial: () => Trial | Promise<Trial>, most = 2_000): Promise<number> => {
  let steps = 0
  for (const moment of moments) {
    for (let step = 1; ; step++) {
      if (step > most) throw new Error(`the program has no end after ${most} steps`)
      const scheduler = new InterruptAt(step, moment)
      const { all, check, instead, program, script } = await trial()
      // What is done instead comes from elsewhere, while the fiber is suspended.
      if (instead !== undefined && moment === "running") break
      if (instead !== undefined) scheduler.act = instead
      scheduler.all = all === true
      const fiber = Effect.runFork(
        Effect.withFiber((fiber) => {
          scheduler.target = fiber
          return program
        }),
        { scheduler }
      )
      await script()
      // Nothing goes on by itself any more. One that was not interrupted yet is
      // waiting, or done.
      await turns(6)
      scheduler.target = undefined
      fiber.interruptUnsafe()
      // On real sockets it takes a moment until what was done is undone.
      const latest = performance.now() + 30_000
      while (fiber.pollUnsafe() === undefined && performance.now() < latest) await turns()
      if (fiber.pollUnsafe() === undefined) throw new Error(`still running, interrupted ${moment} at step ${step}`)
      await check({ fiber, step, moment })
      steps++
      if (!scheduler.hit) break
    }
  }
  return steps
}
