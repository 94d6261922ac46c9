import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

const withoutTries = Context.omit(Schedule.CurrentMetadata)

/**
 * The context of a fiber, for what lasts longer than what the fiber does now. In a retry
 * Effect's own has the error of the try before in it; an error keeps the socket that it is
 * of, and that its context, and so on for all tries.
 */
export const lasting = <R>(): Effect.Effect<Context.Context<R>, never, R> =>
  Effect.map(Effect.context<R>(), (context) => withoutTries(context) as Context.Context<R>)
