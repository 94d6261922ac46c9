/** How handlers are run, and the operations that run them. Part of the module `Zmq`. */
import type * as Effect from "effect/Effect"
import type { Message, Outgoing } from "./Message.ts"
import type { Again, Closed, EncodeError, InvalidState } from "./ZmqError.ts"

/**
 * How handlers are run.
 *
 * **Details**
 *
 * While a peer of a ROUTER, STREAM or SERVER does not read what is sent to it, its
 * messages wait for no handler, up to 1,000 of them. What it sends beyond that is
 * dropped, counted in `stats.dropped` and said once in the log. Of a STREAM all of it is then
 * dropped, and it is hung up on as soon as it has room.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandlerOptions {
  /**
   * How many at a time. Default: 1; at most 1,024. Less than 1 counts as 1.
   *
   * A handler that waits until one peer of the same ROUTER, STREAM or SERVER has
   * room does not count, in whichever of its fibers it waits: others go on with the
   * messages of other peers, until 1,000 wait for that peer.
   */
  readonly concurrency?: number | undefined
  /** The name of a span for each run of a handler, with attributes as OpenTelemetry names them. Default: no span. */
  readonly span?: string | undefined
}

/**
 * When to stop.
 *
 * **Details**
 *
 * When `until` succeeds, nothing new is taken: what has come and was not begun is
 * there for the next receive. Handlers that run are finished, their replies are
 * sent, and then the run succeeds. A handler that fails meanwhile fails the run, as
 * before. If `until` fails, the run fails with it at once. It is interrupted when the
 * run ends before.
 *
 * Default: none, and the run never succeeds.
 *
 * **Example** (An hour, and what is in hand then)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const forAnHour = Zmq.runForEach(([job]) => Effect.log(`${job}`), { until: Effect.sleep("1 hour") })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Until<out E = never, out R = never> {
  readonly until: Effect.Effect<unknown, E, R>
}

interface NoUntil {
  readonly until?: undefined
}

/**
 * Runs a handler on each message of type `M`: see `Receiver`. `Self` is the
 * service that it needs, as an accessor.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunForEach<in out M = Message, out Self = never> {
  <E, R, EU, RU>(
    handler: (message: M) => Effect.Effect<unknown, E, R>,
    options: HandlerOptions & Until<EU, RU>
  ): Effect.Effect<void, Again | Closed | E | EU, R | RU | Self>
  <E, R>(
    handler: (message: M) => Effect.Effect<unknown, E, R>,
    options?: (HandlerOptions & NoUntil) | undefined
  ): Effect.Effect<never, Again | Closed | E, R | Self>
}

/**
 * Answers each request, of type `M`, with what a handler makes of it: see
 * `Responder`. `Self` is the service that it needs, as an accessor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Serve<in out M = Message, in out Reply = Outgoing, out Self = never> {
  <E, R, EU, RU>(
    handler: (request: M, routingId: Buffer | undefined) => Effect.Effect<Reply, E, R>,
    options: HandlerOptions & Until<EU, RU>
  ): Effect.Effect<void, Again | Closed | EncodeError | InvalidState | E | EU, R | RU | Self>
  <E, R>(
    handler: (request: M, routingId: Buffer | undefined) => Effect.Effect<Reply, E, R>,
    options?: (HandlerOptions & NoUntil) | undefined
  ): Effect.Effect<never, Again | Closed | EncodeError | InvalidState | E, R | Self>
}
