import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

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
  sleeper.addObserver((exit) => {
    if (exit._tag === "Success") expired()
  })
  return () => sleeper.interruptUnsafe()
}
