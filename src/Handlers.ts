/** How handlers are run, and the operations that run them. Part of the module `Zmq`. */
import type * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { Codec } from "./Codec.ts"
import type { Message, Outgoing, Peer } from "./Message.ts"
import type { Again, Closed, DecodeError, EncodeError, InvalidState } from "./ZmqError.ts"

/**
 * How handlers are run.
 *
 * **Details**
 *
 * While a peer of a ROUTER, STREAM or SERVER does not read what is sent to it, its
 * messages wait for no handler, up to 1,000 of them. What it sends beyond that is
 * dropped, counted in `stats.dropped` and said once in the log. Of a STREAM all of it is then
 * dropped, and it is hung up on as soon as it has room. On `Engine.layerZmtp` the peer
 * waits first: nothing is dropped before it has read nothing for a second.
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
 * What becomes of a message whose handler fails. `M` is what the handler was given,
 * `Made` what it makes.
 *
 * **Details**
 *
 * Without them the first handler that fails ends the run.
 *
 * Order, with `concurrency` 1: one handler runs at a time, and messages are begun as
 * they came, except that one which waits for its next try is overtaken by those
 * behind it. No more handlers run at a time than `concurrency` says, tries included.
 *
 * At most 1,000 messages wait for their next try while others are handled. Beyond that
 * a handler waits with its message. A REP, which has to reply before it receives
 * again, always does.
 *
 * A message that waits for its next try goes back when the run ends or is told to stop, and
 * is then handled as if for the first time.
 *
 * **Example** (A dead letter)
 *
 * ```ts
 * import { Effect, Schedule } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * declare const handle: (job: Zmq.Message) => Effect.Effect<void, Error>
 *
 * export const worker = (dead: Zmq.Push) =>
 *   Zmq.runForEach(handle, {
 *     concurrency: 8,
 *     retry: Schedule.exponential("100 millis").pipe(Schedule.upTo({ times: 5 })),
 *     orElse: (job, cause) =>
 *       Effect.andThen(Effect.logWarning("gave a job up", cause), dead.send(job))
 *   })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface OnFailure<in M, in E, out Made, out EO = never, out RO = never> {
  /**
   * Has a handler that fails run again, as the schedule says. The message waits aside, and
   * other handlers go on. Default: no retry. A defect is not tried again.
   */
  readonly retry?: Schedule.Schedule<unknown, E> | undefined
  /**
   * Deals with a message whose handler failed, for the last time or with a
   * defect, instead of ending the run. The message is settled when it succeeds. What
   * it fails with ends the run. Default: the failure ends the run.
   */
  readonly orElse?: ((message: M, cause: Cause.Cause<E>) => Effect.Effect<Made, EO, RO>) | undefined
}

/**
 * What becomes of a message that a codec refuses.
 *
 * @category models
 * @since 0.1.0
 */
export interface OnInvalid<out Made, out EI = never, out RI = never> {
  /**
   * Is run in the place of the handler, and settles the message. What it makes is the reply. What it fails with ends the run, and is not tried
   * again. Default: a warning, for the first, the tenth, the hundredth and so on of a
   * socket, and no reply. A warning says what was expected, and not what came.
   */
  readonly onInvalid?: ((error: DecodeError, peer: Peer) => Effect.Effect<Made, EI, RI>) | undefined
}

/**
 * How a request is sent.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestOptions {
  /** The name of a span for the request, with attributes as OpenTelemetry names them. Default: no span. */
  readonly span?: string | undefined
}

/**
 * No reply: a ROUTER or SERVER drops the request, and a REP, which has to reply, sends
 * an empty message.
 *
 * @category models
 * @since 0.1.0
 */
// biome-ignore lint/suspicious/noConfusingVoidType: what an effect like `Effect.log` gives
export type NoReply = void

/**
 * Runs a handler on each message of type `M`: see `Receiver`. `Self` is the
 * service that it needs, as an accessor.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunForEach<in out M = Message, out Self = never> {
  <E, R, EU, RU, EO = E, RO = never>(
    handler: (message: M, peer: Peer) => Effect.Effect<unknown, E, R>,
    options: HandlerOptions & OnFailure<M, NoInfer<E>, unknown, EO, RO> & Until<EU, RU>
  ): Effect.Effect<void, Again | Closed | EO | EU, R | RU | RO | Self>
  <E, R, EO = E, RO = never>(
    handler: (message: M, peer: Peer) => Effect.Effect<unknown, E, R>,
    options?: (HandlerOptions & OnFailure<M, NoInfer<E>, unknown, EO, RO> & NoUntil) | undefined
  ): Effect.Effect<never, Again | Closed | EO, R | RO | Self>
}

/**
 * How large batches become, and how soon they are handed over.
 *
 * **Details**
 *
 * A batch begins with its first message, and is handed over when it has `max`
 * messages, or `within` after that first one, by Effect's `Clock`. It is never
 * empty. With an option `conflate` it has what came while it was collected.
 *
 * @category models
 * @since 0.1.0
 */
export interface BatchOptions {
  /** How many messages at the most. Less than 1 counts as 1. They are held in memory. */
  readonly max: number
  /** How long a batch is collected, from its first message on. `0` is what is there. */
  readonly within: Duration.Input
}

/**
 * A batch of messages of type `M`: at least one.
 *
 * @category models
 * @since 0.1.0
 */
export type Batch<M = Message> = readonly [M, ...Array<M>]

/**
 * Runs a handler on each batch of messages of type `M`: see `Receiver`. `Self`
 * is the service that it needs, as an accessor.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunForEachBatch<in out M = Message, out Self = never> {
  <E, R, EU, RU, EO = E, RO = never>(
    handler: (batch: Batch<M>) => Effect.Effect<unknown, E, R>,
    options: BatchOptions & HandlerOptions & OnFailure<Batch<M>, NoInfer<E>, unknown, EO, RO> & Until<EU, RU>
  ): Effect.Effect<void, Again | Closed | EO | EU, R | RU | RO | Self>
  <E, R, EO = E, RO = never>(
    handler: (batch: Batch<M>) => Effect.Effect<unknown, E, R>,
    options: BatchOptions & HandlerOptions & OnFailure<Batch<M>, NoInfer<E>, unknown, EO, RO> & NoUntil
  ): Effect.Effect<never, Again | Closed | EO, R | RO | Self>
}

/**
 * Answers each request, of type `M`, with what a handler makes of it: see
 * `Responder`. `Self` is the service that it needs, as an accessor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Serve<in out M = Message, in out Reply = Outgoing, out Self = never> {
  <E, R, EU, RU, EO = E, RO = never>(
    handler: (request: M, peer: Peer) => Effect.Effect<Reply, E, R>,
    options: HandlerOptions & OnFailure<M, NoInfer<E> | EncodeError, Reply | NoReply, EO, RO> & Until<EU, RU>
  ): Effect.Effect<void, Again | Closed | EncodeError | InvalidState | EO | EU, R | RU | RO | Self>
  <E, R, EO = E, RO = never>(
    handler: (request: M, peer: Peer) => Effect.Effect<Reply, E, R>,
    options?: (HandlerOptions & OnFailure<M, NoInfer<E> | EncodeError, Reply | NoReply, EO, RO> & NoUntil) | undefined
  ): Effect.Effect<never, Again | Closed | EncodeError | InvalidState | EO, R | RO | Self>
}

/**
 * Runs a handler on what each message is decoded to: see `Receiver`. `Self` is
 * the service that it needs, as an accessor.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunForEachAs<out Self = never> {
  <A, E, R, EU, RU, EO = E, RO = never, EI = never, RI = never>(
    codec: Codec<A>,
    handler: (value: A, peer: Peer) => Effect.Effect<unknown, E, R>,
    options: HandlerOptions & OnFailure<A, NoInfer<E>, unknown, EO, RO> & OnInvalid<unknown, EI, RI> & Until<EU, RU>
  ): Effect.Effect<void, Again | Closed | EO | EI | EU, R | RU | RO | RI | Self>
  <A, E, R, EO = E, RO = never, EI = never, RI = never>(
    codec: Codec<A>,
    handler: (value: A, peer: Peer) => Effect.Effect<unknown, E, R>,
    options?:
      | (HandlerOptions & OnFailure<A, NoInfer<E>, unknown, EO, RO> & OnInvalid<unknown, EI, RI> & NoUntil)
      | undefined
  ): Effect.Effect<never, Again | Closed | EO | EI, R | RO | RI | Self>
}

/**
 * Answers what each request is decoded to with what a handler makes of it, encoded:
 * see `Responder`. `Self` is the service that it needs, as an accessor.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServeAs<out Self = never> {
  <Q, P, E, R, EU, RU, EO = E, RO = never, EI = never, RI = never>(
    codecs: { readonly request: Codec<Q>; readonly reply: Codec<P> },
    handler: (request: Q, peer: Peer) => Effect.Effect<NoInfer<P>, E, R>,
    options: HandlerOptions &
      OnFailure<Q, NoInfer<E> | EncodeError, NoInfer<P> | NoReply, EO, RO> &
      OnInvalid<NoInfer<P> | NoReply, EI, RI> &
      Until<EU, RU>
  ): Effect.Effect<void, Again | Closed | EncodeError | InvalidState | EO | EI | EU, R | RU | RO | RI | Self>
  <Q, P, E, R, EO = E, RO = never, EI = never, RI = never>(
    codecs: { readonly request: Codec<Q>; readonly reply: Codec<P> },
    handler: (request: Q, peer: Peer) => Effect.Effect<NoInfer<P>, E, R>,
    options?:
      | (HandlerOptions &
          OnFailure<Q, NoInfer<E> | EncodeError, NoInfer<P> | NoReply, EO, RO> &
          OnInvalid<NoInfer<P> | NoReply, EI, RI> &
          NoUntil)
      | undefined
  ): Effect.Effect<never, Again | Closed | EncodeError | InvalidState | EO | EI, R | RO | RI | Self>
}

/**
 * Sends a request and waits for its reply: see `Requester`. `Self` is the service
 * that it needs, as an accessor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request<in out Q = Outgoing, out P = Message, out E = never, out Self = never> {
  (request: Q, options: RequestOptions): Effect.Effect<P, Again | Closed | EncodeError | InvalidState | E, Self>
  // The last one, which is what `Effect.forEach(requests, socket.request)` takes.
  (request: Q): Effect.Effect<P, Again | Closed | EncodeError | InvalidState | E, Self>
}

/**
 * Encodes a value, sends it as a request, waits for the reply, and decodes that: see
 * `Requester`. `Self` is the service that it needs, as an accessor.
 *
 * @category models
 * @since 0.1.0
 */
export type RequestAs<Self = never> = <Q, P>(codecs: {
  readonly request: Codec<Q>
  readonly reply: Codec<P>
}) => Request<Q, P, DecodeError, Self>
