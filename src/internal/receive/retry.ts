/**
 * Handlers whose failure costs their message its tries, and not the run.
 *
 * A message that waits for its next try is put aside, and its worker goes on with
 * the others. When its time has come the next worker that is free takes it.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import { CurrentWorker } from "./handlers.ts"

/** What follows when a handler of `A`, which makes a `B`, fails. */
export interface OnFailure<A, B, E, R> {
  readonly retry?: Schedule.Schedule<unknown, E, never, R> | undefined
  readonly orElse?: ((value: A, cause: Cause.Cause<E>) => Effect.Effect<B, E, R>) | undefined
}

type Step<E, R> = Effect.Success<ReturnType<typeof Schedule.toStep<unknown, E, never, R>>>

/**
 * Runs `handle` until it succeeds or is given up, and then `finish` with what was
 * made, within the operation that made it.
 */
export const retrying = <A, B, E, R, E2>(
  { orElse, retry }: OnFailure<A, B, E, R>,
  handle: (value: A) => Effect.Effect<B, E, R>,
  finish: (value: A, made: B, settle: () => void) => Effect.Effect<unknown, E2>
): ((value: A, settle: () => void) => Effect.Effect<unknown, E | E2, R>) => {
  type Attempt = Effect.Effect<unknown, E | E2, R>
  if (retry === undefined && orElse === undefined) {
    return (value, settle) => Effect.flatMap(handle(value), (made) => finish(value, made, settle))
  }

  const attempt = (value: A, settle: () => void, step?: Step<E, R>): Attempt =>
    Effect.matchCauseEffect(handle(value), {
      onSuccess: (made) => finish(value, made, settle),
      onFailure: (cause) => failed(value, settle, cause, step)
    })

  const failed = (value: A, settle: () => void, cause: Cause.Cause<E>, step: Step<E, R> | undefined): Attempt => {
    const error = Cause.findErrorOption(cause)
    // A defect is no better the next time.
    if (retry === undefined || Option.isNone(error)) return giveUp(value, settle, cause)
    if (step === undefined) {
      return Effect.flatMap(Schedule.toStep(retry), (step) => failed(value, settle, cause, step))
    }
    const fiber = Fiber.getCurrent()!
    return Effect.matchCauseEffect(step(fiber.getRef(Clock.Clock).currentTimeMillisUnsafe(), error.value), {
      onSuccess: ([, delay]): Attempt => {
        const millis = Duration.toMillis(delay)
        if (!(millis > 0)) return Effect.andThen(Effect.yieldNow, attempt(value, settle, step))
        return fiber.getRef(CurrentWorker)!.wait(millis, (settle) => attempt(value, settle, step))
      },
      onFailure: (over) =>
        Pull.isDoneCause(over) ? giveUp(value, settle, cause) : Effect.failCause(over as Cause.Cause<never>)
    })
  }

  const giveUp = (value: A, settle: () => void, cause: Cause.Cause<E>): Attempt =>
    orElse === undefined
      ? Effect.failCause(cause)
      : Effect.flatMap(orElse(value, cause), (made) => finish(value, made, settle))

  return (value, settle) => attempt(value, settle)
}
