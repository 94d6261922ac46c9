import type * as Effect from "effect/Effect"

/** An effect that may also be called, with options: what it then is, `call` says. */
export const callable = <A, E, R, F extends (...args: ReadonlyArray<never>) => unknown>(
  effect: Effect.Effect<A, E, R>,
  call: F
): Effect.Effect<A, E, R> & F => Object.assign(Object.setPrototypeOf(call, Object.getPrototypeOf(effect)), effect)
