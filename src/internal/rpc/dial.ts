/** Connections that are made again and again: of a client to its servers, and of a server to its brokers. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type { SocketError } from "../../ZmqError.ts"
import { lasting } from "../lasting.ts"
import { openSocket } from "../socket/open.ts"
import type { SocketCore } from "../socket/socket.ts"
import { ConnectionError } from "./errors.ts"
import { passing } from "./passing.ts"
import * as Wire from "./wire.ts"

/** What is done with a socket that connects, until it ends. */
export interface Conversation {
  readonly begin: () => void
  /** Milliseconds have passed: those of `passing`, and all of them. */
  readonly pass: (millis: number, all: number) => void
  /** The connection could not be made. */
  readonly failed: (reason: "Unreachable" | "Refused", detail: string) => void
  /** The connection is gone; what had come may not be read yet. */
  readonly lost: () => void
  /** Says goodbye. */
  readonly close: () => void
}

// What is behind the end of a connection takes no longer, even where the engine does not tell when it is read.
export const millisToReadOn = 1000

// Until then the connection, which is made once, would not be made again.
const never = Duration.days(1)

// A connection that has stood for so long, in milliseconds, begins the retries anew.
const millisToStand = 1000

export const defaultRetryPolicy: Schedule.Schedule<unknown> = Schedule.min([
  Schedule.exponential(100, 1.5),
  Schedule.spaced(5000)
])

/** Watches whether a connection is made, and lost, where the engine tells. */
const watch = (core: SocketCore, conversation: Conversation): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (!core.port.watched) return
    const { changed } = core.connections
    const link = () => core.status.endpoints[0]
    const isMade = () => link()?.state === "connected"
    yield* changed.until("connect", () => {
      const now = link()
      return now === undefined || isMade() || now.state === "refused" || (now.state === "connecting" && now.tries > 0)
    })
    const now = link()
    if (now?.state === "refused") return conversation.failed("Refused", now.advice)
    if (now?.state === "connecting") return conversation.failed("Unreachable", now.lastError ?? "")
    yield* changed.until("connect", () => !isMade())
    conversation.lost()
  }).pipe(Effect.ignore)

/**
 * Connects once, and holds the conversation until it ends, with the reason. Ended by an
 * interruption it says goodbye.
 */
const once = (
  endpoint: string,
  options: object,
  step: number,
  make: (core: SocketCore, ended: (error: ConnectionError) => void) => Conversation,
  tell: (error: ConnectionError) => void
): Effect.Effect<ConnectionError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const core = yield* openSocket(
        "dealer",
        { ...options, connect: endpoint, routingId: Wire.makeIdentity(), reconnectInterval: never },
        Wire.farewell
      )
      const context = yield* lasting<never>()
      const scope = yield* Effect.scope
      return yield* Effect.callback<ConnectionError>((resume) => {
        const conversation = make(core, (error) => {
          // What was not sent by now is not to arrive any more, but for a goodbye.
          if (error.reason !== "Closed") {
            core.deliversNothing = true
            tell(error)
          }
          resume(Effect.succeed(error))
        })
        conversation.begin()
        // They end with the scope, however the conversation has ended. Nobody looks at how they end.
        const side = (self: Effect.Effect<void>) =>
          Fiber.runIn(Effect.runForkWith(context)(Effect.tapDefect(self, Effect.logError)), scope)
        side(passing(step, (millis, all) => conversation.pass(millis, all)))
        side(watch(core, conversation))
        return Effect.sync(() => conversation.close())
      })
    })
  ).pipe(
    Effect.catch((cause: SocketError) =>
      Effect.sync(() => {
        const error = new ConnectionError({ endpoint, reason: "Unreachable", detail: cause.message, cause })
        tell(error)
        return error
      })
    )
  )

/** Connects, and connects again whenever that has ended, as long as the policy allows. Gives the last error. */
export const dial = (
  endpoint: string,
  options: object,
  step: number,
  retryPolicy: Schedule.Schedule<unknown, ConnectionError>,
  make: (core: SocketCore, ended: (error: ConnectionError) => void) => Conversation,
  onFailed: (error: ConnectionError) => void = () => {}
): Effect.Effect<ConnectionError> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const fork = Effect.runForkWith(yield* lasting<never>())
    let failures = 0
    const attempt = Effect.suspend(() => {
      const began = clock.currentTimeMillisUnsafe()
      let stood = false
      // At once: those whose calls fail by it may end us.
      const tell = (error: ConnectionError): void => {
        stood = clock.currentTimeMillisUnsafe() - began > millisToStand && error.reason !== "Unreachable"
        failures = stood ? 0 : failures + 1
        const log = failures <= 1 ? Effect.logInfo : Effect.logDebug
        fork(Effect.annotateLogs(log(`effect-zmq: ${error.message}`), { endpoint, reason: error.reason }))
      }
      return Effect.flatMap(once(endpoint, options, step, make, tell), (error) => {
        onFailed(error)
        return stood ? Effect.void : Effect.fail(error)
      })
    })
    return yield* Effect.flip(Effect.forever(Effect.retry(attempt, retryPolicy)))
  })
