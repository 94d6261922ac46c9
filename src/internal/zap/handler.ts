/**
 * The socket that libzmq asks, one in each context, and the two that answer: the
 * authenticator, and, when that has ended, one that denies.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { Message, Outgoing } from "../../Message.ts"
import { BindError, type SocketError } from "../../ZmqError.ts"
import { zapEndpoint as endpoint } from "../authenticator.ts"
import type { ContextCore } from "../socket/context.ts"
import * as sockets from "../socket/sockets.ts"

interface Handler {
  readonly router: Effect.Success<ReturnType<typeof sockets.router>>
  readonly scope: Scope.Closeable
  held: boolean
  /** Waits for the authenticator to end, and denies from then on. */
  denier: Fiber.Fiber<void> | undefined
}

type Answer = (request: Message) => Effect.Effect<Outgoing>

const handlers = new WeakMap<ContextCore, Handler | "opening">()

/**
 * Has requests answered for as long as the scope is open, and denied after that
 * until no socket relies on the answers any more. Gives the fiber that answers.
 */
export const runHandler = (
  context: ContextCore,
  options: { readonly concurrency: number; readonly answer: Answer; readonly deny: Answer }
): Effect.Effect<Fiber.Fiber<unknown, unknown>, SocketError, Scope.Scope> =>
  Effect.gen(function* () {
    const handler = yield* Effect.acquireRelease(take(context), (handler) => giveBack(context, handler))
    const { router, scope } = handler
    const fiber = yield* Effect.forkScoped(router.serve(options.answer, { concurrency: options.concurrency }))
    // Not in the scope of the authenticator, so that it outlives it.
    handler.denier = yield* Effect.forkIn(
      Fiber.await(fiber).pipe(
        Effect.tap(logEnd),
        Effect.andThen(router.serve(options.deny)),
        // closed
        Effect.ignore
      ),
      scope
    )
    return fiber
  }).pipe(Effect.uninterruptible)

const logEnd = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)
    ? Effect.void
    : Effect.logError("effect-zmq: the ZAP authenticator has come to an end, and everybody is denied", exit.cause)

const take = (context: ContextCore): Effect.Effect<Handler, SocketError> =>
  Effect.suspend(() => {
    const known = handlers.get(context)
    if (known === "opening" || known?.held) return Effect.fail(inUse())
    if (known !== undefined) {
      // One that only denies by now. Its socket is taken over, for if there were
      // none in between, libzmq would let everybody in.
      known.held = true
      const { denier } = known
      return context.zap
        .afterAll(undefined)
        .pipe(Effect.andThen(denier === undefined ? Effect.void : Fiber.interrupt(denier)), Effect.as(known))
    }
    handlers.set(context, "opening")
    return open.pipe(
      Effect.tap((handler) =>
        Effect.sync(() => {
          handlers.set(context, handler)
          context.zap.tells = true
        })
      ),
      Effect.onError(() => Effect.sync(() => handlers.delete(context)))
    )
  })

const open: Effect.Effect<Handler, SocketError> = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const router = yield* sockets.router({ bind: endpoint, linger: 0 }).pipe(
    Scope.provide(scope),
    Effect.mapError((error) => (error._tag === "BindError" ? inUse(error.cause) : error)),
    Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
  )
  return { router, scope, held: true, denier: undefined }
})

const inUse = (cause?: unknown) =>
  new BindError({
    operation: "bind",
    endpoint,
    reason: "AddressInUse",
    advice:
      "This context has a ZAP authenticator already. Use that one, with `domains` for what differs, or another context",
    cause
  })

const giveBack = (context: ContextCore, handler: Handler): Effect.Effect<void> =>
  Effect.suspend(() => {
    handler.held = false
    return context.zap.afterAll(
      Effect.suspend(() => {
        handlers.delete(context)
        context.zap.tells = false
        return Scope.close(handler.scope, Exit.void)
      })
    )
  })
