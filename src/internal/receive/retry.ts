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
import type { EncodeError } from "../../ZmqError.ts"
import type { Worker } from "./handlers.ts"

/** What follows when a handler of `A`, which makes a `B`, fails. */
export interface OnFailure<A, B, E, R> {
  readonly retry?: Schedule.Schedule<unknown, E, never, R> | undefined
  readonly orElse?: ((value: A, cause: Cause.Cause<E>) => Effect.Effect<B, E, R>) | undefined
}

/** What follows when what was made is refused. */
type Refuse<E, R> = (error: EncodeError) => Effect.Effect<unknown, E, R>

type Step<E, R> = Effect.Success<ReturnType<typeof Schedule.toStep<unknown, E, never, R>>>

/**
 * Runs `handle` until it succeeds or is given up, and then `finish` with what was
 * made, within the operation that made it. What that refuses counts as a failure.
 */
export const retrying = <A, B, E, R, E2>(
  { orElse, retry }: OnFailure<A, B, E | EncodeError, R>,
  handle: (value: A, worker: Worker) => Effect.Effect<B, E, R>,
  finish: (
    value: A,
    made: B,
    worker: Worker,
    refuse: Refuse<E | E2 | EncodeError, R>
  ) => Effect.Effect<unknown, E | E2 | EncodeError, R>
): ((value: A, worker: Worker) => Effect.Effect<unknown, E | E2 | EncodeError, R>) => {
  type Attempt = Effect.Effect<unknown, E | E2 | EncodeError, R>
  type Failure = Cause.Cause<E | EncodeError>
  type Steps = Step<E | EncodeError, R>
  if (retry === undefined && orElse === undefined) {
    return (value, worker) => Effect.flatMap(handle(value, worker), (made) => finish(value, made, worker, Effect.fail))
  }

  const attempt = (value: A, worker: Worker, step?: Steps): Attempt =>
    Effect.matchCauseEffect(handle(value, worker), {
      onSuccess: (made) => finish(value, made, worker, (error) => failed(value, worker, Cause.fail(error), step)),
      onFailure: (cause) => failed(value, worker, cause, step)
    })

  const failed = (value: A, worker: Worker, cause: Failure, step: Steps | undefined): Attempt => {
    const error = Cause.findErrorOption(cause)
    // A defect is no better the next time.
    if (retry === undefined || Option.isNone(error)) return giveUp(value, worker, cause)
    if (step === undefined) {
      return Effect.flatMap(Schedule.toStep(retry), (step) => failed(value, worker, cause, step))
    }
    const now = Fiber.getCurrent()!.getRef(Clock.Clock).currentTimeMillisUnsafe()
    return Effect.matchCauseEffect(step(now, error.value), {
      onSuccess: ([, delay]): Attempt => {
        const millis = Duration.toMillis(delay)
        if (!(millis > 0)) return Effect.andThen(Effect.yieldNow, attempt(value, worker, step))
        return worker.wait(millis, (worker) => attempt(value, worker, step))
      },
      onFailure: (over) =>
        Pull.isDoneCause(over) ? giveUp(value, worker, cause) : Effect.failCause(over as Cause.Cause<never>)
    })
  }

  const giveUp = (value: A, worker: Worker, cause: Failure): Attempt =>
    orElse === undefined
      ? Effect.failCause(cause)
      : Effect.flatMap(orElse(value, cause), (made) => finish(value, made, worker, Effect.fail))

  return (value, worker) => attempt(value, worker)
}
