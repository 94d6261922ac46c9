/**
 * ZeroMQ sockets for Effect: resources of a Scope, with receives and sends that
 * may be interrupted at any moment without losing a message.
 *
 * **Example** (A worker, and the layer that gives it a socket)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * const worker = Effect.gen(function* () {
 *   const job = yield* Zmq.recvString
 *   yield* Effect.log(job)
 * }).pipe(Effect.forever)
 *
 * export const main = worker.pipe(
 *   Effect.provide(Zmq.layer(Zmq.pull({ connect: "tcp://127.0.0.1:5557" })))
 * )
 * ```
 *
 * **Example** (Several sockets, as values)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const relay = Effect.gen(function* () {
 *   const jobs = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
 *   const out = yield* Zmq.push({ connect: "tcp://127.0.0.1:5558" })
 *   yield* Effect.log(`listening on ${jobs.endpoints[0]}`)
 *   yield* Stream.run(jobs.messages, out.sink)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */
import * as EffectContext from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { Codec } from "./Codec.ts"
import type {
  Batch,
  BatchOptions,
  Request,
  RequestAs,
  RunForEach,
  RunForEachAs,
  RunForEachBatch,
  Serve,
  ServeAs
} from "./Handlers.ts"
import { callable } from "./internal/callable.ts"
import { isInside, provided } from "./internal/socket/nearest.ts"
import * as sockets from "./internal/socket/sockets.ts"
import type { SocketType } from "./internal/socketTypes.ts"
import type { Message, Outgoing, Peer } from "./Message.ts"
import type { SocketEvent } from "./SocketEvent.ts"
import type * as Options from "./SocketOptions.ts"
import type { Stats } from "./Stats.ts"
import type { Status } from "./Status.ts"
import type {
  Again,
  BindError,
  Closed,
  ConnectError,
  DecodeError,
  EncodeError,
  OpenError,
  Refused,
  SocketError,
  Unroutable
} from "./ZmqError.ts"
import { InvalidState } from "./ZmqError.ts"

export * from "./Handlers.ts"
export type { SocketType } from "./internal/socketTypes.ts"
export * from "./Message.ts"
export * from "./SocketEvent.ts"
export * from "./SocketOptions.ts"
export * from "./Stats.ts"
export * from "./Status.ts"
export { Context, type ContextOptions } from "./ZmqContext.ts"
export * from "./ZmqError.ts"

// -----------------------------------------------------------------------------
// what sockets can do
// -----------------------------------------------------------------------------

/**
 * What every socket has: its type, and its endpoints.
 *
 * @category models
 * @since 0.1.0
 */
export interface Socket {
  readonly type: SocketType
  /** The endpoints bound, as libzmq resolved them, and then those connected. */
  readonly endpoints: ReadonlyArray<string>
  /**
   * Binds until the scope closes, and gives the endpoint as libzmq resolved it:
   * with the port, where the port was `*`.
   */
  readonly bind: (endpoint: string) => Effect.Effect<string, BindError | Closed, Scope.Scope>
  /**
   * Connects until the scope closes. The peer need not be there yet. An endpoint
   * that is connected already is connected once, until the last scope closes.
   */
  readonly connect: (endpoint: string) => Effect.Effect<void, ConnectError | Closed, Scope.Scope>
  /** Unbinds an endpoint, named as it was given or as it was resolved. */
  readonly unbind: (endpoint: string) => Effect.Effect<void, BindError | Closed>
  /** Ends the connection to an endpoint. What had come from there and was not yet taken from libzmq is lost. */
  readonly disconnect: (endpoint: string) => Effect.Effect<void, ConnectError | Closed>
  /**
   * What becomes of the connections. Each run of the stream begins with what has
   * happened since the socket was opened, at most the last 256 events, goes on
   * as it happens, and ends when the socket closes. Of a reader that is slower
   * than that at most 4,096 events wait: it misses the oldest, which is in the log
   * once, and in `stats.eventsDropped`.
   *
   * With the option `monitor: false`, and in a worker thread, it begins with the
   * first use of `events`, `status`, `awaitConnected` or `awaitPeers`, which is to
   * come before the first `bind` or `connect`.
   *
   * `OpenError` if there is no room for the two sockets that watching takes.
   */
  readonly events: Stream.Stream<SocketEvent, OpenError>
  /** How it stands with each endpoint now, and how many peers there are: see `EndpointStatus`. */
  readonly status: Effect.Effect<Status>
  /**
   * The `status`, and each change of it, until the socket closes. A reader that is
   * slower than that gets the newest, and not each.
   */
  readonly statusChanges: Stream.Stream<Status>
  /** Waits until all that the socket connected to is connected: see `AwaitConnected`. */
  readonly awaitConnected: AwaitConnected
  /**
   * Waits until at least so many peers are connected. `InvalidState` where they
   * cannot be known: on a socket that has only bound to inproc endpoints, as
   * libzmq does not tell who connects to those, and on one that was bound or
   * connected before anybody watched. Two that libzmq has not told apart count
   * as two: a peer that a PAIR or, with `handover`, a ROUTER has turned away.
   */
  readonly awaitPeers: (count: number) => Effect.Effect<void, Closed | InvalidState>
  /** What went through it until now. Read it again for newer numbers. */
  readonly stats: Stats
}

/**
 * Waits until all that the socket connected to is connected, handshake and all.
 * A socket that has only bound waits for its first peer.
 *
 * **Details**
 *
 * It fails with `Refused` when a peer that the socket connected to refuses it
 * meanwhile. A refusal from before may be settled: the connection is tried again,
 * and what comes of that counts. One that just hangs up is given 5 seconds: see
 * `EndpointStatus`. Called with `{ whileRefused: "wait" }` it waits on. `InvalidState`
 * as with `awaitPeers`.
 *
 * **Example** (To know at once, or to wait however long it takes)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const atOnce = Zmq.awaitConnected.pipe(
 *   Effect.catchTag("Refused", ({ advice, endpoint }) => Effect.die(`${endpoint}: ${advice}`))
 * )
 * export const patient = Zmq.awaitConnected({ whileRefused: "wait" })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface AwaitConnected<out R = never> extends Effect.Effect<void, Closed | InvalidState | Refused, R> {
  (options: { readonly whileRefused: "wait" }): Effect.Effect<void, Closed | InvalidState, R>
}

/**
 * Receives one message at a time. `E` is what the socket type adds to the ways
 * in which a receive can fail.
 *
 * **Details**
 *
 * Each of these takes a message exactly once: interrupted at whatever moment,
 * it has either given its message to a fiber that goes on with it, or the next
 * receive gets it. `Again` says that `receiveTimeout` passed, `Closed` that the
 * socket is closed and has no messages left.
 *
 * @category models
 * @since 0.1.0
 */
export interface Receives<out E = never> {
  /** The next message, all its frames. */
  readonly recv: Effect.Effect<Message, Again | Closed | E>
  /** The next message, and who it is from. */
  readonly recvWithPeer: Effect.Effect<readonly [Message, Peer], Again | Closed | E>
  /** The next message as text: one frame of UTF-8. */
  readonly recvString: Effect.Effect<string, Again | Closed | DecodeError | E>
  /** The next message as text, frame by frame. */
  readonly recvStrings: Effect.Effect<[string, ...Array<string>], Again | Closed | DecodeError | E>
  /** The next message, one frame of JSON, parsed. */
  readonly recvJson: Effect.Effect<unknown, Again | Closed | DecodeError | E>
  /** The next message, one frame of JSON, decoded by a schema. */
  readonly recvSchema: <A>(schema: Schema.Decoder<A>) => Effect.Effect<A, Again | Closed | DecodeError | E>
  /** The next message, decoded by a codec: MessagePack, several frames, or your own. */
  readonly recvAs: <A>(codec: Codec<A>) => Effect.Effect<A, Again | Closed | DecodeError | E>
  /** The next message if there is one now. Never waits. */
  readonly tryRecv: Effect.Effect<Option.Option<Message>, Closed | E>
}

/**
 * Receives messages, one at a time or as a stream.
 *
 * **Details**
 *
 * A stream lends each element until the next one is asked for: if it is
 * interrupted or fails before that, the next receive gets the element again.
 * `runForEach` does the same for each of its handlers. Stages that read ahead
 * hold elements that were asked for and not handled, and what they hold is lost
 * with them: `Stream.buffer`, `Stream.broadcast`, `Stream.share`,
 * `Stream.grouped`, `mapEffect` and `flatMap` with concurrency, and all that is
 * built on `Stream.merge`, which are also `Stream.interruptWhen` and
 * `Stream.timeout`. Put the handler before such a stage, or use `runForEach`.
 *
 * To stop a stream or `runForEach`, put a race, a time limit or an interruption
 * around the run: it ends at once, and a handler in the middle of its work gives
 * its message back. With the option `until`, `runForEach` lets it finish. `Stream.haltWhen` does not interrupt a receive that waits: on
 * an idle socket it waits for one more message.
 *
 * **Example** (Handling messages until it is time to stop)
 *
 * ```ts
 * import { Deferred, Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const untilTold = (stop: Deferred.Deferred<void>) =>
 *   Effect.raceFirst(
 *     Zmq.runForEach(([job]) => Effect.log(`${job}`)),
 *     Deferred.await(stop)
 *   )
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Receiver extends Receives {
  /** All messages that are there now: at once, in order, possibly none. */
  readonly drain: Effect.Effect<Array<Message>, Closed>
  /** Messages as they come. */
  readonly messages: Stream.Stream<Message, Again | Closed>
  /** Messages as text, one frame of UTF-8 each. */
  readonly strings: Stream.Stream<string, Again | Closed | DecodeError>
  /**
   * Messages, one frame of JSON each, decoded by a schema. The first that does
   * not fit ends the stream with its `DecodeError`; `Stream.retry` goes on with
   * the next.
   */
  readonly stream: <A>(schema: Schema.Decoder<A>) => Stream.Stream<A, Again | Closed | DecodeError>
  /** Messages, decoded by a codec, and otherwise as `stream`. */
  readonly streamAs: <A>(codec: Codec<A>) => Stream.Stream<A, Again | Closed | DecodeError>
  /** Messages in batches, each of which is lent as one: the next one is asked for, or all of its messages come again. */
  readonly batches: (options: BatchOptions) => Stream.Stream<Batch, Again | Closed>
  /**
   * Runs a handler on each message, `concurrency` (1 unless given, 1,024 at most)
   * at a time. A message is settled when its handler succeeds.
   *
   * The first handler that fails ends the run: the others are interrupted, the
   * run fails with its error, and the next receives get all their messages again.
   * To go on, deal with errors in the handler: `Effect.retry`, `Effect.catch`.
   *
   * With `until` it stops, when its handlers have finished.
   */
  readonly runForEach: RunForEach
  /**
   * As `runForEach`, with what each message is decoded to. One that the codec refuses
   * goes to `onInvalid`, and the run goes on.
   */
  readonly runForEachAs: RunForEachAs
  /**
   * Runs a handler on batches of messages. A batch is settled when its handler succeeds: if it fails
   * or is interrupted, all of its messages come again. With `concurrency`, one batch is
   * collected while others are handled. Told to stop, by `until`, a batch that is
   * being collected is handed over as it is.
   */
  readonly runForEachBatch: RunForEachBatch
}

/**
 * Sends one message at a time. `E` is what the socket type adds to the ways in
 * which a send can fail.
 *
 * **Details**
 *
 * A send waits for room, as long as `sendTimeout` allows (`Again`). Interrupted
 * while it waits, its message is never sent. A message of several frames goes
 * whole or not at all.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sends<out E = never> {
  /** Sends a message: text, bytes, or frames of them. */
  readonly send: (message: Outgoing) => Effect.Effect<void, Again | Closed | EncodeError | E>
  /** Sends a value as one frame of JSON. */
  readonly sendJson: (value: unknown) => Effect.Effect<void, Again | Closed | EncodeError | E>
  /** Sends a value as one frame of JSON, encoded by a schema. */
  readonly sendSchema: <A>(
    schema: Schema.Codec<A, unknown>
  ) => (value: A) => Effect.Effect<void, Again | Closed | EncodeError | E>
  /** Sends a value as a codec encodes it. */
  readonly sendAs: <A>(codec: Codec<A>) => (value: A) => Effect.Effect<void, Again | Closed | EncodeError | E>
  /** Sends if there is room now, and says whether it did. Never waits. */
  readonly trySend: (message: Outgoing) => Effect.Effect<boolean, Closed | EncodeError | E>
}

/**
 * Sends messages, one at a time or many.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sender<out E = never> extends Sends<E> {
  /** Sends messages in order, in bursts. Interrupted, it has sent the first of them and none of the rest. */
  readonly sendAll: (messages: Iterable<Outgoing>) => Effect.Effect<void, Again | Closed | EncodeError | E>
  /** Sends the elements of a stream, in bursts. */
  readonly sink: Sink.Sink<void, Outgoing, never, Again | Closed | EncodeError | E>
}

/**
 * How a request is made.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestOptions {
  /**
   * The name of a span from the request to its reply, with attributes as OpenTelemetry names them. Default: no span.
   * A message that a `Codec.traced` has encoded carries the span in which it was encoded.
   */
  readonly span?: string | undefined
}

/**
 * Sends requests and waits for their replies.
 *
 * @category models
 * @since 0.1.0
 */
export interface Requester {
  /**
   * Sends a request and waits for its reply, as long as `receiveTimeout` allows.
   * Safe to interrupt and to retry: a late reply never answers another request.
   *
   * A REQ has one request in flight, and others wait for it. A DEALER has any
   * number. What else a DEALER receives meanwhile is kept for `recv`, as much as
   * it is: if its peers also send on their own, receive.
   *
   * `Again` says that no reply came in time; the request may have been sent.
   *
   * The peer gets `[id, "", ...frames]`, where the id has 4 bytes from a REQ and 8
   * from a DEALER, and must send the first two back before the frames of the
   * reply. A REP and `serve` do so. A reply to a REQ without them has libzmq end
   * the connection; it is made again, and the next request goes on.
   */
  readonly request: Request
  /** As `request`, with codecs for what is asked and what is replied. A reply that the codec refuses is a `DecodeError`. */
  readonly requestAs: RequestAs
}

/**
 * Answers requests.
 *
 * @category models
 * @since 0.1.0
 */
export interface Responder {
  /**
   * Answers each request with what the handler makes of it. On a ROUTER the
   * handler is also given the client as a `Peer`, with its routing id, and `concurrency` (1
   * unless given) requests are handled at a time.
   *
   * The first handler that fails ends it, as in `runForEach`: the others are
   * interrupted, and all their requests are received again. Make a reply of an
   * error, so that one bad request does not end the service.
   *
   * What stands before the body of a request, up to an empty frame, stands before
   * its reply (RFC 28). Without an empty frame that is the routing id alone.
   *
   * With `until` it stops, when its handlers have finished and have replied.
   */
  readonly serve: Serve
  /**
   * As `serve`, with codecs for what is asked and what is replied. A request that the codec
   * refuses goes to `onInvalid`, which may reply. An error for the client is a reply: give
   * the replies a union for it.
   */
  readonly serveAs: ServeAs
}

/**
 * Subscribes to topics. A message is received if it begins with a topic; the
 * empty topic is the beginning of all of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subscriber {
  /** Subscribes to a topic until the scope closes. */
  readonly subscribe: (topic: string | Uint8Array) => Effect.Effect<void, Closed, Scope.Scope>
  /** Ends the newest subscription to a topic, if there is one. */
  readonly unsubscribe: (topic: string | Uint8Array) => Effect.Effect<void, Closed>
}

/**
 * Knows who has subscribed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Publisher {
  /**
   * Waits until at least `count` (1 unless given) subscriptions match a message
   * that begins with `topic`: what is sent then is not lost on a subscriber that
   * was late. On an XPUB libzmq reports, and counts, each topic once, unless its
   * `verbosity` is `"allSubsUnsubs"`. A program without this library that
   * subscribes twice to a topic may count twice, and one that ends what it never
   * had takes one away. Topics are counted up to 64 MiB in all, with 128 bytes for
   * each. `InvalidState` with the options `conflate` and `invertMatching`, with
   * which nothing is known of subscribers.
   *
   * **Example** (Not to lose the first messages)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { Zmq } from "effect-zmq"
   *
   * export const program = Effect.gen(function* () {
   *   const news = yield* Zmq.pub({ bind: "tcp://127.0.0.1:5556" })
   *   yield* news.awaitSubscribers("weather.", 2)
   *   yield* news.send("weather.berlin sunny")
   * }).pipe(Effect.scoped)
   * ```
   */
  readonly awaitSubscribers: (topic: string | Uint8Array, count?: number) => Effect.Effect<void, Closed | InvalidState>
}

// -----------------------------------------------------------------------------
// socket types
// -----------------------------------------------------------------------------

/**
 * Receives jobs.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Pull extends Socket, Receiver {
  readonly type: "pull"
}
/**
 * Deals out messages.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Push extends Socket, Sender<never> {
  readonly type: "push"
}
/**
 * Publishes to whoever subscribed. Topics have up to 512 bytes, see
 * `maxMessageSize`. Whatever else subscribers send is dropped, counted in
 * `stats`, and said once in the log.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Pub extends Socket, Sender<never>, Publisher {
  readonly type: "pub"
}
/**
 * Receives what it subscribed to.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Sub extends Socket, Receiver, Subscriber {
  readonly type: "sub"
}
/**
 * Sends a request and receives its reply, in turn.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Req extends Socket, Receives<InvalidState>, Sends<InvalidState>, Requester {
  readonly type: "req"
}
/**
 * Receives a request and sends its reply, in turn.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Rep extends Socket, Receives<InvalidState>, Sends<InvalidState>, Responder {
  readonly type: "rep"
}
/**
 * Sends to its peers in turn and receives from all.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Dealer extends Socket, Receiver, Sender<never>, Requester {
  readonly type: "dealer"
}
/**
 * Receives from and sends to peers by their routing id.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Router extends Socket, Receiver, Sender<Unroutable>, Responder {
  readonly type: "router"
}
/**
 * Talks to one other PAIR.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Pair extends Socket, Receiver, Sender<never> {
  readonly type: "pair"
}
/**
 * A PUB that receives the subscriptions.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface XPub extends Socket, Receiver, Sender<never>, Publisher {
  readonly type: "xpub"
}
/**
 * A SUB that may also send upstream.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface XSub extends Socket, Receiver, Sender<never>, Subscriber {
  readonly type: "xsub"
}
/**
 * Plain TCP: messages are `[routing id, bytes]`.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface RawStream extends Socket, Receiver, Sender<Unroutable> {
  readonly type: "rawStream"
}

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

/**
 * Opens a PULL: receives jobs from PUSH peers, fairly.
 *
 * Like all constructors it is all or nothing: if an option, a bind or a connect
 * fails, or the fiber is interrupted, nothing stays open. The socket closes
 * with its scope.
 *
 * **Example** (Receiving until nothing came for a second)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const jobs = yield* Zmq.pull({ bind: "tcp://127.0.0.1:5557", receiveTimeout: "1 second" })
 *   yield* jobs.recvString.pipe(
 *     Effect.flatMap((job) => Effect.log(job)),
 *     Effect.forever,
 *     Effect.catchTag("Again", () => Effect.log("idle"))
 *   )
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const pull: (options?: Options.PullOptions) => Effect.Effect<Pull, SocketError, Scope.Scope> = sockets.pull

/**
 * Opens a PUSH: deals out messages to PULL peers, one after the other. A send
 * waits while no peer has room. One that connects has room for 1,000 messages
 * (`sendHighWaterMark`) to each endpoint before anybody is there; one that binds
 * has none.
 *
 * **Example** (Sending, or giving up if no worker comes within a second)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const jobs = yield* Zmq.push({ bind: "tcp://127.0.0.1:5557", sendTimeout: "1 second" })
 *   yield* jobs.send("text").pipe(Effect.catchTag("Again", () => Effect.log("nobody takes it")))
 *   yield* jobs.sendAll(["many", ["of", "several", "frames"]])
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const push: (options?: Options.PushOptions) => Effect.Effect<Push, SocketError, Scope.Scope> = sockets.push

/**
 * Opens a PUB: sends each message to all SUB peers that subscribed to how it
 * begins. It never waits: a peer that is too slow misses messages, unless
 * `noDrop` is set.
 *
 * **Example** (Publishing under a topic)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const news = yield* Zmq.pub({ bind: "tcp://127.0.0.1:5556" })
 *   yield* news.send(["weather.berlin", JSON.stringify({ celsius: 21 })])
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const pub: (options?: Options.PubOptions) => Effect.Effect<Pub, SocketError, Scope.Scope> = sockets.pub

/**
 * Opens a SUB: receives what it has subscribed to. `subscribe` is required, as a
 * SUB without a subscription receives nothing; `[""]` is everything, and `[]` is
 * for those who subscribe later.
 *
 * **Example** (One topic)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const program = Zmq.messages.pipe(
 *   Stream.runForEach(([topic, body]) => Effect.log(`${topic}: ${body}`)),
 *   Effect.provide(Zmq.layer(Zmq.sub({ connect: "tcp://127.0.0.1:5556", subscribe: ["weather."] })))
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const sub: (options: Options.SubOptions) => Effect.Effect<Sub, SocketError, Scope.Scope> = sockets.sub

/**
 * Opens a REQ: sends a request and receives its reply, in turn. `request` does
 * both. `relaxed` and `correlate` are on unless told otherwise, so that a
 * request may be given up and its late reply is dropped.
 *
 * **Example** (A request that is tried again)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const server = yield* Zmq.req({ connect: "tcp://127.0.0.1:5559", receiveTimeout: "1 second" })
 *   const [answer] = yield* Effect.retry(server.request("question"), { times: 3 })
 *   yield* Effect.log(`${answer}`)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const req: (options?: Options.ReqOptions) => Effect.Effect<Req, SocketError, Scope.Scope> = sockets.req

/**
 * Opens a REP: receives a request and sends its reply, in turn. `serve` does
 * both.
 *
 * **Example** (A server)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const server = yield* Zmq.rep({ bind: "tcp://127.0.0.1:5559" })
 *   yield* server.serve(([question]) => Effect.succeed(`the answer to ${question}`))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const rep: (options?: Options.RepOptions) => Effect.Effect<Rep, SocketError, Scope.Scope> = sockets.rep

/**
 * Opens a DEALER: sends to its peers in turn and receives from all. With
 * `request` it is a REQ that may have many requests in flight.
 *
 * **Example** (Requests in flight at the same time)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const server = yield* Zmq.dealer({ connect: "tcp://127.0.0.1:5559" })
 *   const answers = yield* Effect.forEach(["a", "b", "c"], server.request, { concurrency: "unbounded" })
 *   yield* Effect.log(answers.join())
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const dealer: (options?: Options.DealerOptions) => Effect.Effect<Dealer, SocketError, Scope.Scope> =
  sockets.dealer

/**
 * Opens a ROUTER: receives messages headed by the routing id of the peer they
 * came from, and sends to the peer whose routing id is the first frame.
 * `mandatory` is on unless told otherwise, so that a message to nobody fails
 * with `Unroutable`.
 *
 * **Example** (Answering the peer that asked)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const peers = yield* Zmq.router({ bind: "tcp://127.0.0.1:5560" })
 *   const [peer, ...body] = yield* peers.recv
 *   yield* peers.send([peer, ...body]).pipe(Effect.catchTag("Unroutable", () => Effect.log("it has left")))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const router: (options?: Options.RouterOptions) => Effect.Effect<Router, SocketError, Scope.Scope> =
  sockets.router

/**
 * Opens a PAIR: talks to exactly one other PAIR.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pair: (options?: Options.PairOptions) => Effect.Effect<Pair, SocketError, Scope.Scope> = sockets.pair

/**
 * Opens an XPUB: a PUB that also receives the subscriptions, as messages of the
 * byte 1 (subscribe) or 0 (unsubscribe) and the topic.
 *
 * @category constructors
 * @since 0.1.0
 */
export const xpub: (options?: Options.XPubOptions) => Effect.Effect<XPub, SocketError, Scope.Scope> = sockets.xpub

/**
 * Opens an XSUB: a SUB that may also send messages upstream.
 *
 * @category constructors
 * @since 0.1.0
 */
export const xsub: (options?: Options.XSubOptions) => Effect.Effect<XSub, SocketError, Scope.Scope> = sockets.xsub

/**
 * Opens a STREAM: plain TCP, or ipc. Messages are `[routing id, bytes]`; an empty
 * second frame says that a peer came or left, and closes the connection when sent.
 *
 * @category constructors
 * @since 0.1.0
 */
export const rawStream: (options?: Options.RawStreamOptions) => Effect.Effect<RawStream, SocketError, Scope.Scope> =
  sockets.rawStream

// -----------------------------------------------------------------------------
// services
// -----------------------------------------------------------------------------

/**
 * What every socket is: its type and its endpoints.
 *
 * @category services
 * @since 0.1.0
 */
export const Socket: EffectContext.Service<Socket, Socket> = EffectContext.Service<Socket>("effect-zmq/Socket")
/**
 * What a program needs to receive messages.
 *
 * @category services
 * @since 0.1.0
 */
export const Receiver: EffectContext.Service<Receiver, Receiver> =
  EffectContext.Service<Receiver>("effect-zmq/Receiver")
/**
 * What a program needs to send messages.
 *
 * @category services
 * @since 0.1.0
 */
export const Sender: EffectContext.Service<Sender, Sender> = EffectContext.Service<Sender>("effect-zmq/Sender")
/**
 * What a program needs to send messages to peers by their routing ids, which a
 * ROUTER and a STREAM do. Such a send may fail with `Unroutable`, and that of a
 * `Sender` cannot.
 *
 * **Example** (An answer to the peer that asked)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const answer = Effect.gen(function* () {
 *   const peers = yield* Zmq.PeerSender
 *   const [peer, ...body] = yield* Zmq.recv
 *   yield* peers.send([peer, ...body]).pipe(Effect.catchTag("Unroutable", () => Effect.log("it has left")))
 * }).pipe(Effect.provide(Zmq.layer(Zmq.router({ bind: "tcp://127.0.0.1:5560" }))))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class PeerSender extends EffectContext.Service<PeerSender, Sender<Unroutable>>()("effect-zmq/PeerSender") {}
/**
 * What a program needs to send requests.
 *
 * @category services
 * @since 0.1.0
 */
export const Requester: EffectContext.Service<Requester, Requester> =
  EffectContext.Service<Requester>("effect-zmq/Requester")
/**
 * What a program needs to answer requests.
 *
 * @category services
 * @since 0.1.0
 */
export const Responder: EffectContext.Service<Responder, Responder> =
  EffectContext.Service<Responder>("effect-zmq/Responder")
/**
 * What a program needs to subscribe to topics.
 *
 * @category services
 * @since 0.1.0
 */
export const Subscriber: EffectContext.Service<Subscriber, Subscriber> =
  EffectContext.Service<Subscriber>("effect-zmq/Subscriber")
/**
 * What a program needs to know who has subscribed.
 *
 * @category services
 * @since 0.1.0
 */
export const Publisher: EffectContext.Service<Publisher, Publisher> =
  EffectContext.Service<Publisher>("effect-zmq/Publisher")

// By an operation that only that service has: REQ and REP also receive and send,
// and are neither a Receiver nor a Sender.
const services = {
  drain: Receiver,
  sendAll: Sender,
  request: Requester,
  serve: Responder,
  subscribe: Subscriber,
  awaitSubscribers: Publisher
}

// Their operations have the same names, and are about other messages: see `Draft.ts`.
const withTheirOwn: ReadonlySet<SocketType> = new Set<SocketType>(["server", "radio", "dish", "datagram"])

const byRoutingId: ReadonlySet<SocketType> = new Set<SocketType>(["router", "rawStream"])

const keys = [Socket, ...Object.values(services), PeerSender].map(({ key }) => key)

const contextOf = <S extends Socket>(
  socket: S,
  around: EffectContext.Context<never>
): EffectContext.Context<Services<S>> => {
  const all = new Map<string, unknown>([[Socket.key, socket], provided(socket, around, keys)])
  if (withTheirOwn.has(socket.type)) return EffectContext.makeUnsafe(all)
  for (const [operation, service] of Object.entries(services)) {
    if (!(operation in socket)) continue
    all.set(service.key, socket)
    // What was written for a Sender finds it too, though its types say that it may fail otherwise.
    if (service === Sender && byRoutingId.has(socket.type)) all.set(PeerSender.key, socket)
  }
  return EffectContext.makeUnsafe(all)
}

// Of two layers side by side the last would be the socket, whichever of them the program means.
const theSocket: Effect.Effect<Socket, never, Socket> = Effect.contextWith((context: EffectContext.Context<Socket>) => {
  const socket = EffectContext.get(context, Socket)
  for (const key of keys) {
    const other = context.mapUnsafe.get(key) as Partial<Socket> | undefined
    if (other === undefined || other === socket || other.type === undefined) continue
    if (isInside(context, socket, other)) continue
    return Effect.die(
      new InvalidState({
        operation: "Socket",
        expected: `There are two sockets, a ${socket.type} and a ${other.type}, and it is not clear which is meant: give each a service of its own, as in the example of \`layer\``
      })
    )
  }
  return Effect.succeed(socket)
})

/**
 * The services that a socket of type `S` can be.
 *
 * @category services
 * @since 0.1.0
 */
export type Services<S extends Socket> =
  | Socket
  | (S extends Receiver ? Receiver : never)
  | (S extends Sender ? Sender : S extends Sender<Unroutable> ? PeerSender : never)
  | (S extends Requester ? Requester : never)
  | (S extends Responder ? Responder : never)
  | (S extends Subscriber ? Subscriber : never)
  | (S extends Publisher ? Publisher : never)

/**
 * Opens a socket for as long as the layer lives, and provides what it can do.
 *
 * Of two layers of sockets in one program each provides what it can do. Where both
 * can do the same, the last one does it, as with all services of Effect. What every
 * socket has (`Zmq.bind`, `Zmq.endpoints`, `Zmq.status` …) is that of the one that is
 * provided nearest, by an `Effect.provide` inside that of the other. Of two that are
 * provided together (`Layer.merge`, `Layer.provideMerge`) it dies with `InvalidState`,
 * as it would not be clear which is meant: use names of your own.
 *
 * **Example** (A socket of your own name)
 *
 * ```ts
 * import { Context, Layer } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export class Jobs extends Context.Service<Jobs, Zmq.Pull>()("app/Jobs") {
 *   static readonly layer = Layer.effect(Jobs, Zmq.pull({ bind: "tcp://127.0.0.1:5557" }))
 * }
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <S extends Socket, E, R>(
  open: Effect.Effect<S, E, R>
): Layer.Layer<Services<S>, E, Exclude<R, Scope.Scope>> =>
  Layer.effectContext(
    Effect.contextWith((around: EffectContext.Context<R>) => Effect.map(open, (socket) => contextOf(socket, around)))
  )

// -----------------------------------------------------------------------------
// accessors
// -----------------------------------------------------------------------------

/**
 * The next message, all its frames.
 *
 * @category receiving
 * @since 0.1.0
 */
export const recv = Receiver.use((receiver) => receiver.recv)

/**
 * The next message, and who it is from.
 *
 * @category receiving
 * @since 0.1.0
 */
export const recvWithPeer = Receiver.use((receiver) => receiver.recvWithPeer)

/**
 * The next message as text: one frame of UTF-8.
 *
 * A message of another shape fails with `DecodeError`, which carries it.
 *
 * @category receiving
 * @since 0.1.0
 */
export const recvString = Receiver.use((receiver) => receiver.recvString)

/**
 * The next message as text, frame by frame.
 *
 * @category receiving
 * @since 0.1.0
 */
export const recvStrings = Receiver.use((receiver) => receiver.recvStrings)

/**
 * The next message, one frame of JSON, parsed.
 *
 * @category receiving
 * @since 0.1.0
 */
export const recvJson = Receiver.use((receiver) => receiver.recvJson)

/**
 * The next message, one frame of JSON, decoded by a schema.
 *
 * **Example** (A typed job)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * const Job = Schema.Struct({ id: Schema.Number, at: Schema.Date })
 * export const job = Zmq.recvSchema(Job)
 * ```
 *
 * @category receiving
 * @since 0.1.0
 */
export const recvSchema = <A>(schema: Schema.Decoder<A>) => Receiver.use((receiver) => receiver.recvSchema(schema))

/**
 * The next message, decoded by a codec.
 *
 * **Example** (A topic, and a body in MessagePack)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Codec, Zmq } from "effect-zmq"
 *
 * const Reading = Schema.Struct({ celsius: Schema.Number, at: Schema.Date })
 * const reading = Codec.frames({ topic: Codec.string, body: Codec.msgpack(Reading) })
 * export const next = Zmq.recvAs(reading)
 * ```
 *
 * @category receiving
 * @since 0.1.0
 */
export const recvAs = <A>(codec: Codec<A>) => Receiver.use((receiver) => receiver.recvAs(codec))

/**
 * The next message if there is one now. Never waits.
 *
 * @category receiving
 * @since 0.1.0
 */
export const tryRecv = Receiver.use((receiver) => receiver.tryRecv)

/**
 * All messages that are there now, in order.
 *
 * @category receiving
 * @since 0.1.0
 */
export const drain = Receiver.use((receiver) => receiver.drain)

/**
 * Messages as they come, each lent until the next is asked for.
 *
 * @category streams
 * @since 0.1.0
 */
export const messages = Stream.unwrap(Receiver.useSync((receiver) => receiver.messages))

/**
 * Messages as text, one frame of UTF-8 each.
 *
 * @category streams
 * @since 0.1.0
 */
export const strings = Stream.unwrap(Receiver.useSync((receiver) => receiver.strings))

/**
 * Messages, one frame of JSON each, decoded by a schema.
 *
 * @category streams
 * @since 0.1.0
 */
export const stream = <A>(schema: Schema.Decoder<A>) =>
  Stream.unwrap(Receiver.useSync((receiver) => receiver.stream(schema)))

/**
 * Messages, decoded by a codec, each lent until the next is asked for.
 *
 * @category streams
 * @since 0.1.0
 */
export const streamAs = <A>(codec: Codec<A>) => Stream.unwrap(Receiver.useSync((receiver) => receiver.streamAs(codec)))

/**
 * Runs a handler on each message: see `Receiver`.
 *
 * **Example** (Eight handlers at a time)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const program = Zmq.runForEach(([job]) => Effect.log(`${job}`), { concurrency: 8 }).pipe(
 *   Effect.provide(Zmq.layer(Zmq.pull({ connect: "tcp://127.0.0.1:5557" })))
 * )
 * ```
 *
 * @category streams
 * @since 0.1.0
 */
export const runForEach: RunForEach<Message, Receiver> = ((...args: Parameters<RunForEach>) =>
  Receiver.use((receiver) => receiver.runForEach(...args))) as RunForEach<Message, Receiver>

/**
 * Messages in batches, each lent until the next is asked for: see `Receiver`.
 *
 * @category streams
 * @since 0.1.0
 */
export const batches = (options: BatchOptions) =>
  Stream.unwrap(Receiver.useSync((receiver) => receiver.batches(options)))

/**
 * Runs a handler on batches of messages: see `Receiver`.
 *
 * **Example** (Into a database, a thousand at a time)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * declare const insertAll: (rows: ReadonlyArray<string>) => Effect.Effect<void, Error>
 *
 * export const recorder = Zmq.runForEachBatch(
 *   (batch) => insertAll(batch.map(([row]) => row.toString())),
 *   { max: 1000, within: "100 millis" }
 * )
 * ```
 *
 * @category streams
 * @since 0.1.0
 */
export const runForEachBatch: RunForEachBatch<Message, Receiver> = ((...args: Parameters<RunForEachBatch>) =>
  Receiver.use((receiver) => receiver.runForEachBatch(...args))) as RunForEachBatch<Message, Receiver>

/**
 * Runs a handler on what each message is decoded to: see `Receiver`.
 *
 * **Example** (Jobs in MessagePack, and those that are none)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Codec, Zmq } from "effect-zmq"
 *
 * const job = Codec.msgpack(Schema.Struct({ id: Schema.Number }))
 *
 * export const worker = Zmq.runForEachAs(job, ({ id }) => Effect.log(`job ${id}`), {
 *   concurrency: 8,
 *   onInvalid: (error) => Effect.logError(error.reason)
 * })
 * ```
 *
 * @category streams
 * @since 0.1.0
 */
export const runForEachAs: RunForEachAs<Receiver> = ((...args: Parameters<RunForEachAs>) =>
  Receiver.use((receiver) => receiver.runForEachAs(...args))) as RunForEachAs<Receiver>

/**
 * Sends a message: text, bytes, or frames of them. To send to the peers of a
 * ROUTER or STREAM use the service `PeerSender`.
 *
 * @category sending
 * @since 0.1.0
 */
export const send = (message: Outgoing) => Sender.use((sender) => sender.send(message))

/**
 * Sends a value as one frame of JSON.
 *
 * @category sending
 * @since 0.1.0
 */
export const sendJson = (value: unknown) => Sender.use((sender) => sender.sendJson(value))

/**
 * Sends a value as one frame of JSON, encoded by a schema.
 *
 * @category sending
 * @since 0.1.0
 */
export const sendSchema =
  <A>(schema: Schema.Codec<A, unknown>) =>
  (value: A) =>
    Sender.use((sender) => sender.sendSchema(schema)(value))

/**
 * Sends a value as a codec encodes it.
 *
 * @category sending
 * @since 0.1.0
 */
export const sendAs =
  <A>(codec: Codec<A>) =>
  (value: A) =>
    Sender.use((sender) => sender.sendAs(codec)(value))

/**
 * Sends if there is room now, and says whether it did.
 *
 * @category sending
 * @since 0.1.0
 */
export const trySend = (message: Outgoing) => Sender.use((sender) => sender.trySend(message))

/**
 * Sends messages in order, in bursts.
 *
 * @category sending
 * @since 0.1.0
 */
export const sendAll = (messages: Iterable<Outgoing>) => Sender.use((sender) => sender.sendAll(messages))

/**
 * Sends the elements of a stream, in bursts.
 *
 * @category sending
 * @since 0.1.0
 */
export const sink = Sink.unwrap(Sender.useSync((sender) => sender.sink))

/**
 * Sends a request and waits for its reply.
 *
 * @category request and reply
 * @since 0.1.0
 */
export const request: Request<Outgoing, Message, never, Requester> = (
  message: Outgoing,
  options: RequestOptions = {}
) => Requester.use((requester) => requester.request(message, options))

/**
 * Sends a request as a codec encodes it, and decodes the reply.
 *
 * **Example** (A service and its client, without a line of encoding)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Codec, Zmq } from "effect-zmq"
 *
 * const price = {
 *   request: Codec.json(Schema.Struct({ symbol: Schema.String })),
 *   reply: Codec.json(
 *     Schema.Union([Schema.TaggedStruct("Price", { price: Schema.Number }), Schema.TaggedStruct("Unknown", {})])
 *   )
 * }
 *
 * export const server = Zmq.serveAs(price, ({ symbol }) =>
 *   Effect.succeed(symbol === "XYZ" ? { _tag: "Price", price: 42 } : { _tag: "Unknown" })
 * )
 * export const client = Zmq.requestAs(price)({ symbol: "XYZ" })
 * ```
 *
 * @category request and reply
 * @since 0.1.0
 */
export const requestAs: RequestAs<Requester> =
  <Q, P>(codecs: { readonly request: Codec<Q>; readonly reply: Codec<P> }) =>
  (value: Q, options: RequestOptions = {}) =>
    Requester.use((requester) => requester.requestAs(codecs)(value, options))

/**
 * Answers requests with a handler: see `Responder`.
 *
 * **Example** (A server of sixteen handlers)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const program = Zmq.serve((request) => Effect.succeed(request), { concurrency: 16 }).pipe(
 *   Effect.provide(Zmq.layer(Zmq.router({ bind: "tcp://127.0.0.1:5559" })))
 * )
 * ```
 *
 * @category request and reply
 * @since 0.1.0
 */
export const serve: Serve<Message, Outgoing, Responder> = ((...args: Parameters<Serve>) =>
  Responder.use((responder) => responder.serve(...args))) as Serve<Message, Outgoing, Responder>

/**
 * Answers requests with a handler, through codecs: see `Responder`.
 *
 * @category request and reply
 * @since 0.1.0
 */
export const serveAs: ServeAs<Responder> = ((...args: Parameters<ServeAs>) =>
  Responder.use((responder) => responder.serveAs(...args))) as ServeAs<Responder>

/**
 * Subscribes to a topic until the scope closes.
 *
 * **Example** (A topic for a while)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   yield* Zmq.subscribe("weather.")
 *   return yield* Zmq.recvStrings
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category topics
 * @since 0.1.0
 */
export const subscribe = (topic: string | Uint8Array) => Subscriber.use((subscriber) => subscriber.subscribe(topic))

/**
 * Ends the newest subscription to a topic.
 *
 * @category topics
 * @since 0.1.0
 */
export const unsubscribe = (topic: string | Uint8Array) => Subscriber.use((subscriber) => subscriber.unsubscribe(topic))

/**
 * Binds until the scope closes.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const bind = (endpoint: string) => Effect.flatMap(theSocket, (socket) => socket.bind(endpoint))

/**
 * Connects until the scope closes.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const connect = (endpoint: string) => Effect.flatMap(theSocket, (socket) => socket.connect(endpoint))

/**
 * Unbinds an endpoint.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const unbind = (endpoint: string) => Effect.flatMap(theSocket, (socket) => socket.unbind(endpoint))

/**
 * Ends the connection to an endpoint.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const disconnect = (endpoint: string) => Effect.flatMap(theSocket, (socket) => socket.disconnect(endpoint))

/**
 * The endpoints bound and connected.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const endpoints = Effect.map(theSocket, (socket) => socket.endpoints)

/**
 * What becomes of the connections: see `Socket`.
 *
 * @category events
 * @since 0.1.0
 */
export const events = Stream.unwrap(Effect.map(theSocket, (socket) => socket.events))

/**
 * How it stands with the connections now.
 *
 * **Example** (Ready, or what is missing)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const missing = Effect.map(Zmq.status, ({ endpoints }) =>
 *   endpoints.filter(({ state }) => state === "connecting" || state === "refused")
 * )
 * ```
 *
 * @category events
 * @since 0.1.0
 */
export const status = Effect.flatMap(theSocket, (socket) => socket.status)

/**
 * How it stands with the connections, and each change of that: see `Socket`.
 *
 * @category events
 * @since 0.1.0
 */
export const statusChanges = Stream.unwrap(Effect.map(theSocket, (socket) => socket.statusChanges))

/**
 * Waits until all that the socket connected to is connected: see `AwaitConnected`.
 *
 * @category events
 * @since 0.1.0
 */
export const awaitConnected: AwaitConnected<Socket> = callable(
  Effect.flatMap(theSocket, (socket): Effect.Effect<void, Closed | InvalidState | Refused> => socket.awaitConnected),
  (options: { readonly whileRefused: "wait" }) => Effect.flatMap(theSocket, (socket) => socket.awaitConnected(options))
)

/**
 * Waits until at least so many peers are connected: see `Socket`.
 *
 * @category events
 * @since 0.1.0
 */
export const awaitPeers = (count: number) => Effect.flatMap(theSocket, (socket) => socket.awaitPeers(count))

/**
 * Waits until a topic has subscribers: see `Publisher`.
 *
 * @category topics
 * @since 0.1.0
 */
export const awaitSubscribers = (topic: string | Uint8Array, count?: number) =>
  Publisher.use((publisher) => publisher.awaitSubscribers(topic, count))

/**
 * What went through the socket so far.
 *
 * @category observability
 * @since 0.1.0
 */
export const stats = Effect.map(theSocket, (socket) => socket.stats)
