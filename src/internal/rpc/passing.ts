/** Time that passes, for those who are silent. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** How often a server or a broker looks for clients that are silent, in milliseconds. */
export const lookEvery = 250

/**
 * Tells how much time has passed, as often as that is of interest; of a turn of the event loop that took long, not all,
 * as others could not be heard meanwhile. They could not hear us either: for what we owe them, all of it is told, too.
 */
export const passing = (step: number, pass: (millis: number, all: number) => void): Effect.Effect<never> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    let last = clock.currentTimeMillisUnsafe()
    while (true) {
      yield* Effect.sleep(step)
      const now = clock.currentTimeMillisUnsafe()
      pass(Math.min(2 * step, now - last), now - last)
      last = now
    }
  })

/** How often to look, in milliseconds, so that none of these is missed by much. */
export const stepFor = (...millis: ReadonlyArray<number>): number =>
  Math.max(10, Math.min(500, Math.min(...millis.filter((one) => one > 0)) / 4))
