/** Messages that a codec refuses, in a run that goes on. */
import * as Effect from "effect/Effect"
import { DecodeError } from "../../ZmqError.ts"
import type { Worker } from "./handlers.ts"
import type { Decode } from "./receive.ts"

/** A message that was taken, and refused. */
class Invalid {
  readonly error: DecodeError
  constructor(error: DecodeError) {
    this.error = error
  }
}

/** Keeps a message that is refused, for `sorting` to deal with. */
export const keeping =
  <A>(decode: Decode<A>): Decode<A | Invalid> =>
  (message) => {
    const value = decode(message)
    return value instanceof DecodeError ? new Invalid(value) : value
  }

/** Gives valid messages to one, and what was refused to another. */
export const sorting =
  <A, E, R, E2, R2>(
    valid: (value: A, worker: Worker) => Effect.Effect<unknown, E, R>,
    invalid: (error: DecodeError, worker: Worker) => Effect.Effect<unknown, E2, R2>
  ) =>
  (value: A | Invalid, worker: Worker): Effect.Effect<unknown, E | E2, R | R2> =>
    value instanceof Invalid ? invalid(value.error, worker) : valid(value, worker)

/**
 * What is done with them by default: a warning, for the first, the tenth, the
 * hundredth and so on, so that strangers cannot fill the log. One for each socket.
 */
export const invalidWarning = (): ((error: DecodeError) => Effect.Effect<undefined>) => {
  let count = 0
  let next = 1
  return (error) =>
    Effect.suspend(() => {
      if (++count < next) return Effect.undefined
      next *= 10
      const text = `effect-zmq: a message was refused: ${error.reason}. ${count} so far; the next to be told is number ${next}`
      return Effect.as(Effect.logWarning(text), undefined)
    })
}
