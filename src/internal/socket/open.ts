/** Opening a socket, all or nothing. */
import * as Clock from "effect/Clock"
import * as EffectContext from "effect/Context"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import { BindError, Closed, ConnectError, OpenError, OptionError, type SocketError } from "../../ZmqError.ts"
import { CurrentEngine } from "../currentEngine.ts"
import { lasting } from "../lasting.ts"
import type { SocketType } from "../socketTypes.ts"
import { startTimerWith } from "../timer.ts"
import { closeWith } from "./closing.ts"
import { CurrentContext } from "./context.ts"
import { prepare } from "./options.ts"
import { SocketCore, type Surroundings } from "./socket.ts"

/** Runs what throws a typed error. Anything else that it throws is a defect. */
export const attempt = <A, E>(isError: (error: unknown) => error is E, run: () => A): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      return isError(error) ? Effect.fail(error) : Effect.die(error)
    }
  })

const isSocketError = (error: unknown): error is SocketError =>
  error instanceof OptionError ||
  error instanceof BindError ||
  error instanceof ConnectError ||
  error instanceof OpenError

const apply = (core: SocketCore): void => {
  for (const setting of core.options.settings) {
    try {
      core.port.set(setting)
    } catch (cause) {
      const { expected = setting.expected } = cause as { readonly expected?: string }
      throw new OptionError({ option: setting.option, value: setting.given, expected, cause })
    }
  }
  for (const topic of core.options.subscribe) core.subscriptions.add(topic)
}

/**
 * Opens a socket with its options set, bound and connected; or fails, with nothing left open.
 * `farewell` is what it receives when a peer has left, if anything: see `Opening`.
 */
export const openSocket = (
  type: SocketType,
  options: unknown,
  farewell?: Buffer
): Effect.Effect<SocketCore, SocketError, Scope.Scope> =>
  Effect.gen(function* () {
    const engine = yield* CurrentEngine
    const context = yield* CurrentContext
    const around = yield* surroundings
    const prepared = yield* attempt(isSocketError, () => prepare(type, options))
    const make = attempt(isSocketError, () => {
      if (context.closed) throw new OpenError({ socketType: type, reason: "ContextClosed" })
      const core = new SocketCore(type, prepared, context, engine, around, farewell)
      // Its context, and its authenticator, may end while it opens.
      context.sockets.add(core)
      if (core.reliesOnZap) context.zap.enter()
      return core
    })
    const contextClosed = Effect.fail(new OpenError({ socketType: type, reason: "ContextClosed" }))
    // Nobody else has the socket yet who could close it.
    const openWhile = <A, E>(self: Effect.Effect<A, E | Closed>) =>
      Effect.catchIf(
        self,
        (error): error is Extract<E, Closed> => error instanceof Closed,
        () => contextClosed
      ) as Effect.Effect<A, Exclude<E, Closed> | OpenError>
    const begin = (core: SocketCore) =>
      Effect.gen(function* () {
        yield* attempt(isSocketError, () => apply(core))
        for (const endpoint of prepared.bind) yield* openWhile(core.places.bind(endpoint))
        for (const endpoint of prepared.connect) yield* openWhile(core.places.connect(endpoint))
        return context.closed ? yield* contextClosed : core
      })
    const scope = yield* Effect.scope
    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.acquireRelease(
        Effect.flatMap(make, (core) => Effect.onError(restore(begin(core)), () => core.shut)),
        (core) => closeWith(scope, core)
      )
    )
  })

const surroundings: Effect.Effect<Surroundings> = Effect.map(lasting<never>(), (context): Surroundings => {
  const least = EffectContext.get(context, References.MinimumLogLevel)
  const clock = EffectContext.get(context, Clock.Clock)
  return {
    log: (level, message, annotations) => {
      // Before there is a fiber for it: of connections there may be many.
      if (LogLevel.isGreaterThan(least, level)) return
      Effect.runForkWith(context)(Effect.logWithLevel(level)(message).pipe(Effect.annotateLogs(annotations)))
    },
    now: () => clock.currentTimeMillisUnsafe(),
    after: (millis, run) => startTimerWith(context, millis, run)
  }
})

/** Fails when the socket is closed. */
export const whenOpen = <A, E>(
  core: SocketCore,
  operation: string,
  isError: (error: unknown) => error is E,
  run: () => A
): Effect.Effect<A, E | Closed> =>
  Effect.suspend(
    (): Effect.Effect<A, E | Closed> => (core.closed ? Effect.fail(new Closed({ operation })) : attempt(isError, run))
  )
