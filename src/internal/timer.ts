import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Scheduler } from "effect/Scheduler"
import { runBy } from "./microtask.ts"

/**
 * Calls `expired` when the clock of the current fiber has moved on by `millis`.
 * Returns what stops it. Call it only from within a fiber.
 */
export const startTimer = (millis: number, expired: () => void): (() => void) => {
  const { context } = Fiber.getCurrent()!
  return startTimerWith(context, millis, expired)
}

/** The same by the clock of a context, from wherever. */
export const startTimerWith = (context: Context.Context<never>, millis: number, expired: () => void): (() => void) => {
  const sleep = Effect.flatMap(Clock.Clock, (clock) => clock.sleep(Duration.millis(millis)))
  const sleeper = Effect.runForkWith(context)(sleep)
  const scheduler = Context.get(context, Scheduler)
  sleeper.addObserver((exit) => {
    if (exit._tag === "Success") runBy(scheduler, expired)
  })
  return () => sleeper.interruptUnsafe()
}
