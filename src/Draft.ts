/**
 * The draft socket types of ZeroMQ: SERVER and CLIENT, RADIO and DISH, GATHER
 * and SCATTER, and DGRAM. They have the guarantees of all other sockets: see
 * `Zmq`.
 *
 * **Details**
 *
 * Draft is libzmq's word: these types may change in a later libzmq, and then
 * here. Their peers need a libzmq that was built with drafts, as the one in
 * zeromq.js is. The PyZMQ of Debian, for one, has none. zeromq.js prints a
 * warning when the first of these sockets is opened.
 *
 * A message has one frame, `data`. What ROUTER and SUB have as further frames is
 * typed here: a SERVER has the `routingId` of a peer beside it, RADIO and DISH
 * a `group`, and DGRAM an `address`. A message of several frames is refused with
 * an `EncodeError`.
 *
 * libzmq has no event for these types (but for DGRAM) that zeromq.js could wait
 * for, and zeromq.js itself takes a whole core for each receive that waits
 * (issues 429 and 708). So a receive that waits looks now and then instead, and
 * all that wait in a thread look at once. What comes a time `t` after the message
 * before, or after the last send, is seen `t / 8` later at most, but 1 ms at least
 * and 15 ms at most; where messages come within half a millisecond of each other
 * it is seen at once. Measured on 2 cores that were busy with other things: all
 * that wait take 1 % of a core together, for as long as nothing comes. A round
 * trip between two processes took 1.3 ms in the median in a row of them, 1.6 ms
 * after 10 ms of silence and 10 ms after a second. Throughput is that of PUSH and
 * PULL.
 *
 * inproc is for sockets of one thread: between threads libzmq can lock itself up
 * with these types. A connect waits until its name is bound there.
 *
 * **Example** (A server that knows whom it answers)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Draft } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const server = yield* Draft.server()
 *   const client = yield* Draft.client({ connect: yield* server.bind("tcp://127.0.0.1:*") })
 *   yield* client.send("hello")
 *   const { data, routingId } = yield* server.recv
 *   yield* server.send(routingId, `${data} to you`)
 *   yield* Effect.log(yield* client.recvString)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */
import * as Brand from "effect/Brand"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type { FrameCodec } from "./Codec.ts"
import * as sockets from "./internal/draft/sockets.ts"
import type { Frame } from "./Message.ts"
import type * as Options from "./SocketOptions.ts"
import type * as Zmq from "./Zmq.ts"
import type { Again, Closed, DecodeError, EncodeError, OptionError, SocketError, Unroutable } from "./ZmqError.ts"

// -----------------------------------------------------------------------------
// messages
// -----------------------------------------------------------------------------

/**
 * The number by which a SERVER knows a CLIENT, for as long as that is connected.
 *
 * @category models
 * @since 0.1.0
 */
export type RoutingId = Brand.Branded<number, "effect-zmq/Draft/RoutingId">

/**
 * Makes a routing id of a number that was one: it throws unless it is a whole
 * number from 1 to 4,294,967,295.
 *
 * @category models
 * @since 0.1.0
 */
export const RoutingId: Brand.Constructor<RoutingId> = Brand.make<RoutingId>(
  (number) =>
    (Number.isInteger(number) && number >= 1 && number <= 0xffff_ffff) ||
    "a routing id is a whole number from 1 to 4294967295"
)

/**
 * Whom a message of a SERVER is from, or for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Peer {
  readonly routingId: RoutingId
}

/**
 * What group a message of a RADIO or DISH is in: at most 14 bytes of UTF-8,
 * without NUL. libzmq itself takes 255, and corrupts the memory of the process
 * when a longer one goes to two peers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Group {
  readonly group: string
}

/**
 * Where a message of a DGRAM is from, or for: an IPv4 address and a port, like
 * `"127.0.0.1:5555"`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Address {
  readonly address: string
}

/**
 * What a message holds: a frame, or what it was decoded to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Data<out A> {
  readonly data: A
}

// -----------------------------------------------------------------------------
// what sockets can do
// -----------------------------------------------------------------------------

/**
 * Receives messages that are headed by a `Peer`, a `Group` or an `Address`, one
 * at a time or as a stream. Each operation does what it does in `Zmq.Receiver`.
 *
 * **Details**
 *
 * The `frames` of a `DecodeError` begin with the heading: a routing id as four
 * bytes, big-endian.
 *
 * @category models
 * @since 0.1.0
 */
export interface Receives<in out H> {
  /** The next message. */
  readonly recv: Effect.Effect<H & Data<Buffer>, Again | Closed>
  /** The next message as text, UTF-8. */
  readonly recvString: Effect.Effect<H & Data<string>, Again | Closed | DecodeError>
  /** The next message, JSON, parsed. */
  readonly recvJson: Effect.Effect<H & Data<unknown>, Again | Closed | DecodeError>
  /** The next message, JSON, decoded by a schema. */
  readonly recvSchema: <A>(schema: Schema.Decoder<A>) => Effect.Effect<H & Data<A>, Again | Closed | DecodeError>
  /** The next message, decoded by a codec of one frame: MessagePack, or your own. */
  readonly recvAs: <A>(codec: FrameCodec<A>) => Effect.Effect<H & Data<A>, Again | Closed | DecodeError>
  /** The next message if there is one now. Never waits. */
  readonly tryRecv: Effect.Effect<Option.Option<H & Data<Buffer>>, Closed>
  /** All messages that are there now: at once, in order, possibly none. */
  readonly drain: Effect.Effect<Array<H & Data<Buffer>>, Closed>
  /** Messages as they come, each lent until the next is asked for. */
  readonly messages: Stream.Stream<H & Data<Buffer>, Again | Closed>
  /** Messages as text, UTF-8. */
  readonly strings: Stream.Stream<H & Data<string>, Again | Closed | DecodeError>
  /** Messages, JSON, decoded by a schema. */
  readonly stream: <A>(schema: Schema.Decoder<A>) => Stream.Stream<H & Data<A>, Again | Closed | DecodeError>
  /** Messages, decoded by a codec of one frame. */
  readonly streamAs: <A>(codec: FrameCodec<A>) => Stream.Stream<H & Data<A>, Again | Closed | DecodeError>
  /** Runs a handler on each message: a message is settled when its handler succeeds. */
  readonly runForEach: Zmq.RunForEach<H & Data<Buffer>>
  /** As `runForEach`, with what each message is decoded to. */
  readonly runForEachAs: RunForEachAs<H>
  /** Messages in batches, each of which is lent as one. */
  readonly batches: (options: Zmq.BatchOptions) => Stream.Stream<Zmq.Batch<H & Data<Buffer>>, Again | Closed>
  /** Runs a handler on batches of messages: a batch is settled when its handler succeeds. */
  readonly runForEachBatch: Zmq.RunForEachBatch<H & Data<Buffer>>
}

/**
 * Runs a handler on what each message is decoded to: see `Zmq.Receiver`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunForEachAs<in out H> {
  <A, E, R, EU, RU, EO = E, RO = never, EI = never, RI = never>(
    codec: FrameCodec<A>,
    handler: (message: H & Data<A>, peer: Zmq.Peer) => Effect.Effect<unknown, E, R>,
    options: Zmq.HandlerOptions &
      Zmq.OnFailure<H & Data<A>, NoInfer<E>, unknown, EO, RO> &
      Zmq.OnInvalid<unknown, EI, RI> &
      Zmq.Until<EU, RU>
  ): Effect.Effect<void, Again | Closed | EO | EI | EU, R | RU | RO | RI>
  <A, E, R, EO = E, RO = never, EI = never, RI = never>(
    codec: FrameCodec<A>,
    handler: (message: H & Data<A>, peer: Zmq.Peer) => Effect.Effect<unknown, E, R>,
    options?:
      | (Zmq.HandlerOptions &
          Zmq.OnFailure<H & Data<A>, NoInfer<E>, unknown, EO, RO> &
          Zmq.OnInvalid<unknown, EI, RI> & { readonly until?: undefined })
      | undefined
  ): Effect.Effect<never, Again | Closed | EO | EI, R | RO | RI>
}

/**
 * Answers what each message is decoded to, encoded: see `Zmq.Responder`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServeAs {
  <Q, P, E, R, EU, RU, EO = E, RO = never, EI = never, RI = never>(
    codecs: { readonly request: FrameCodec<Q>; readonly reply: FrameCodec<P> },
    handler: (message: Peer & Data<Q>, peer: Zmq.Peer) => Effect.Effect<NoInfer<P>, E, R>,
    options: Zmq.HandlerOptions &
      Zmq.OnFailure<Peer & Data<Q>, NoInfer<E> | EncodeError, NoInfer<P> | Zmq.NoReply, EO, RO> &
      Zmq.OnInvalid<NoInfer<P> | Zmq.NoReply, EI, RI> &
      Zmq.Until<EU, RU>
  ): Effect.Effect<void, Again | Closed | EncodeError | Zmq.InvalidState | EO | EI | EU, R | RU | RO | RI>
  <Q, P, E, R, EO = E, RO = never, EI = never, RI = never>(
    codecs: { readonly request: FrameCodec<Q>; readonly reply: FrameCodec<P> },
    handler: (message: Peer & Data<Q>, peer: Zmq.Peer) => Effect.Effect<NoInfer<P>, E, R>,
    options?:
      | (Zmq.HandlerOptions &
          Zmq.OnFailure<Peer & Data<Q>, NoInfer<E> | EncodeError, NoInfer<P> | Zmq.NoReply, EO, RO> &
          Zmq.OnInvalid<NoInfer<P> | Zmq.NoReply, EI, RI> & { readonly until?: undefined })
      | undefined
  ): Effect.Effect<never, Again | Closed | EncodeError | Zmq.InvalidState | EO | EI, R | RO | RI>
}

/**
 * Sends messages to a peer, a group or an address. Each operation does what it
 * does in `Zmq.Sender`. `E` is what the socket type adds to the ways in which a
 * send can fail.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sends<in H, in To, out E = never> {
  /** Sends a message: text or bytes. */
  readonly send: (to: To, data: Frame) => Effect.Effect<void, Again | Closed | EncodeError | E>
  /** Sends a value as JSON. */
  readonly sendJson: (to: To, value: unknown) => Effect.Effect<void, Again | Closed | EncodeError | E>
  /** Sends a value as JSON, encoded by a schema. */
  readonly sendSchema: <A>(
    schema: Schema.Codec<A, unknown>
  ) => (to: To, value: A) => Effect.Effect<void, Again | Closed | EncodeError | E>
  /** Sends a value, encoded by a codec of one frame. */
  readonly sendAs: <A>(
    codec: FrameCodec<A>
  ) => (to: To, value: A) => Effect.Effect<void, Again | Closed | EncodeError | E>
  /** Sends if there is room now, and says whether it did. Never waits. */
  readonly trySend: (to: To, data: Frame) => Effect.Effect<boolean, Closed | EncodeError | E>
  /** Sends messages in order, in bursts. Interrupted, it has sent the first of them and none of the rest. */
  readonly sendAll: (messages: Iterable<H & Data<Frame>>) => Effect.Effect<void, Again | Closed | EncodeError | E>
  /** Sends the elements of a stream, in bursts. */
  readonly sink: Sink.Sink<void, H & Data<Frame>, never, Again | Closed | EncodeError | E>
}

/**
 * Answers the peers of a SERVER.
 *
 * @category models
 * @since 0.1.0
 */
export interface Responder {
  /**
   * Sends what the handler makes of each message back to the peer that it came
   * from, `concurrency` (1 unless given) of them at a time. A message whose
   * handler fails or is interrupted is received again. An answer to a peer
   * that has left is dropped.
   */
  readonly serve: Zmq.Serve<Peer & Data<Buffer>, Frame>
  /** As `serve`, with codecs for what is asked and what is replied. */
  readonly serveAs: ServeAs
}

/**
 * Joins groups, whose messages are received then.
 *
 * @category models
 * @since 0.1.0
 */
export interface Joins {
  /** Joins a group until the scope closes. What was received before is still there. */
  readonly join: (group: string) => Effect.Effect<void, Closed | OptionError, Scope.Scope>
  /** Leaves a group that was joined, if it was: the newest of several times. */
  readonly leave: (group: string) => Effect.Effect<void, Closed | OptionError>
}

// -----------------------------------------------------------------------------
// socket types
// -----------------------------------------------------------------------------

/**
 * Talks to CLIENT peers, by their routing ids.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Server extends Zmq.Socket, Receives<Peer>, Sends<Peer, RoutingId, Unroutable>, Responder {
  readonly type: "server"
}
/**
 * Talks to a SERVER, or to several in turn.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Client extends Zmq.Socket, Zmq.Receiver, Zmq.Sender<never> {
  readonly type: "client"
}
/**
 * Sends to whoever joined a group.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Radio extends Zmq.Socket, Sends<Group, string> {
  readonly type: "radio"
}
/**
 * Receives what is sent to the groups that it joined.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Dish extends Zmq.Socket, Receives<Group>, Joins {
  readonly type: "dish"
}
/**
 * Receives jobs.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Gather extends Zmq.Socket, Zmq.Receiver {
  readonly type: "gather"
}
/**
 * Deals out messages.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Scatter extends Zmq.Socket, Zmq.Sender<never> {
  readonly type: "scatter"
}
/**
 * Plain udp: packets, from and to addresses.
 *
 * @category socket types
 * @since 0.1.0
 */
export interface Datagram extends Zmq.Socket, Receives<Address>, Sends<Address, string> {
  readonly type: "datagram"
}

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

/**
 * Options of a SERVER socket.
 *
 * @category options
 * @since 0.1.0
 */
export interface ServerOptions extends Options.CommonOptions, Options.ReceivingOptions, Options.SendingOptions {}

/**
 * Options of a CLIENT socket.
 *
 * @category options
 * @since 0.1.0
 */
export interface ClientOptions extends Options.CommonOptions, Options.ReceivingOptions, Options.SendingOptions {}

/**
 * Options of a RADIO socket. It receives no messages, and so it has no
 * `maxMessageSize`. With PLAIN the name and the password of a peer have 252 bytes
 * together.
 *
 * @category options
 * @since 0.1.0
 */
export interface RadioOptions extends Omit<Options.CommonOptions, "maxMessageSize">, Options.SendingOptions {
  /**
   * Makes a send wait for DISH peers that are behind, where it would drop the message for them. Default: `false`.
   * `ZMQ_XPUB_NODROP`
   */
  readonly noDrop?: boolean | undefined
  /** Whether what is sent to a multicast group comes to this host as well. Default: `true`. `ZMQ_MULTICAST_LOOP` */
  readonly multicastLoop?: boolean | undefined
}

/**
 * Options of a DISH socket.
 *
 * @category options
 * @since 0.1.0
 */
export interface DishOptions extends Options.CommonOptions, Options.ReceivingOptions {
  /** One group or several to join, as soon as it is open. Default: none. */
  readonly join?: string | ReadonlyArray<string> | undefined
}

/**
 * Options of a GATHER socket. libzmq has no `conflate` for it, though zeromq.js
 * lists it: it is accepted there and does nothing.
 *
 * @category options
 * @since 0.1.0
 */
export interface GatherOptions extends Options.CommonOptions, Options.ReceivingOptions {}

/**
 * Options of a SCATTER socket. libzmq has no `conflate` for it, though zeromq.js
 * lists it: it is accepted there and does nothing.
 *
 * @category options
 * @since 0.1.0
 */
export interface ScatterOptions extends Options.CommonOptions, Options.SendingOptions {}

/**
 * Options of a DGRAM socket: those that libzmq heeds on udp.
 *
 * @category options
 * @since 0.1.0
 */
export interface DatagramOptions
  extends Pick<Options.CommonOptions, "linger" | "affinity">,
    Pick<Options.ReceivingOptions, "receiveHighWaterMark" | "receiveTimeout">,
    Pick<Options.SendingOptions, "sendHighWaterMark" | "sendTimeout"> {
  /** The endpoint to bind, like `"udp://127.0.0.1:5555"`. A DGRAM has one. Default: none. */
  readonly bind?: string | readonly [string] | undefined
}

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

/**
 * Opens a SERVER: receives from CLIENT peers, each message with the routing id
 * of its peer, and sends to them by that id. A message to a peer that has left
 * fails with `Unroutable`, once all that it had sent is received. A peer that is
 * behind is waited for, and no other with it.
 *
 * **Example** (Answering, sixteen at a time)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Draft } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const server = yield* Draft.server({ bind: "tcp://127.0.0.1:5561" })
 *   yield* server.serve(({ data }) => Effect.succeed(`the answer to ${data}`), { concurrency: 16 })
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const server: (options?: ServerOptions) => Effect.Effect<Server, SocketError, Scope.Scope> = sockets.server

/**
 * Opens a CLIENT: sends to a SERVER and receives from it, in any order. What
 * belongs to what is for the messages to say: unlike REQ and DEALER it has no
 * `request`, as ZeroMQ has no way to number its messages.
 *
 * **Example** (Saying hello)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Draft } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const client = yield* Draft.client({ connect: "tcp://127.0.0.1:5561", receiveTimeout: "1 second" })
 *   yield* client.send("hello")
 *   yield* Effect.log(yield* client.recvString)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const client: (options?: ClientOptions) => Effect.Effect<Client, SocketError, Scope.Scope> = sockets.client

/**
 * Opens a RADIO: sends each message to all DISH peers that joined its group. It
 * never waits: a peer that is too slow misses messages, unless `noDrop` is set.
 *
 * **Details**
 *
 * Over udp it connects, to a DISH or to a multicast group, and sends packets of
 * at most 8,192 bytes with their group: more than that crashes libzmq, and is
 * refused with an `EncodeError`.
 *
 * **Example** (The same news over tcp and to the local network)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Draft } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const radio = yield* Draft.radio({ bind: "tcp://127.0.0.1:5562", connect: "udp://239.0.0.1:5562" })
 *   yield* radio.send("weather", "21 degrees")
 *   yield* radio.sendJson("weather.json", { celsius: 21 })
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const radio: (options?: RadioOptions) => Effect.Effect<Radio, SocketError, Scope.Scope> = sockets.radio

/**
 * Opens a DISH: receives the messages of the groups that it joins. A group is
 * joined whole, unlike the prefixes of a SUB.
 *
 * **Details**
 *
 * Over udp it binds, to an address or to a multicast group. Packets that are
 * larger than 8,192 bytes are cut there by libzmq. As it is with udp, several
 * sockets that listen to one port do not hinder each other, and only one of
 * them gets each packet, except from a multicast group.
 *
 * **Example** (A group for a while)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Draft } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const dish = yield* Draft.dish({ connect: "tcp://127.0.0.1:5562", join: "weather" })
 *   yield* dish.join("traffic")
 *   const { data, group } = yield* dish.recvString
 *   yield* Effect.log(`${group}: ${data}`)
 *   yield* dish.leave("traffic")
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const dish: (options?: DishOptions) => Effect.Effect<Dish, SocketError, Scope.Scope> = sockets.dish

/**
 * Opens a GATHER: receives jobs from SCATTER peers, fairly. It is a `Receiver`
 * for `Zmq.layer`, as a PULL is.
 *
 * @category constructors
 * @since 0.1.0
 */
export const gather: (options?: GatherOptions) => Effect.Effect<Gather, SocketError, Scope.Scope> = sockets.gather

/**
 * Opens a SCATTER: deals out messages to GATHER peers, one after the other. A
 * send waits while no peer has room: one that connects has some before anybody is
 * there, as a PUSH has. It is a `Sender` for `Zmq.layer`, as a PUSH is.
 *
 * **Example** (Jobs)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Draft } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const jobs = yield* Draft.gather({ bind: "inproc://jobs" })
 *   const out = yield* Draft.scatter({ connect: "inproc://jobs" })
 *   yield* out.sendAll(["paint it", "black"])
 *   yield* Effect.log(yield* jobs.recvString)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const scatter: (options?: ScatterOptions) => Effect.Effect<Scatter, SocketError, Scope.Scope> = sockets.scatter

/**
 * Opens a DGRAM: plain udp, to any program. It binds to one address, receives
 * packets with the address that they came from, and sends to any address. IPv4
 * only: libzmq aborts when a DGRAM hears from IPv6.
 *
 * **Details**
 *
 * udp may lose packets, and so does libzmq beyond the high water marks. A packet
 * holds at most 8,192 bytes. A send waits until the socket is bound. Until it is
 * unbound no other endpoint can be bound.
 *
 * **Example** (An echo server)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Draft } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const socket = yield* Draft.datagram({ bind: "udp://127.0.0.1:5563" })
 *   yield* Stream.run(socket.messages, socket.sink)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const datagram: (options?: DatagramOptions) => Effect.Effect<Datagram, SocketError, Scope.Scope> =
  sockets.datagram
