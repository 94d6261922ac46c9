import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/**
 * Calls `expired` when the clock of the current fiber has moved on by `millis`.
 * Returns what stops it. Call it only from within a fiber.
 */
export const startTimer = (millis: number, expired: () => void): (() => void) => {
  const fiber = Fiber.getCurrent()!
  const sleep = fiber.getRef(Clock.Clock).sleep(Duration.millis(millis))
  const sleeper = Effect.runForkWith(fiber.context)(sleep)
  sleeper.addObserver((exit) => {
    if (exit._tag === "Success") expired()
  })
  return () => sleeper.interruptUnsafe()
}
