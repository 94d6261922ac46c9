/**
 * The RPC of Effect (`effect/rpc`) over ZeroMQ: typed procedures and streams between
 * fibers, processes and machines, where a server that is lost, a client that does not
 * read and a call that is interrupted are ordinary.
 *
 * `effect/rpc` is marked unstable: this module goes with the version of `effect` that it
 * was built with, 4.1.
 *
 * **Example** (A server and a client)
 *
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
 * import { layerProtocolClient, layerProtocolServer } from "effect-zmq/Rpc"
 *
 * class Users extends RpcGroup.make(
 *   Rpc.make("nameOf", { payload: { id: Schema.Number }, success: Schema.String })
 * ) {}
 *
 * export const Server = RpcServer.layer(Users).pipe(
 *   Layer.provide(Users.toLayer({ nameOf: ({ id }) => Effect.succeed(`user ${id}`) })),
 *   Layer.provide(layerProtocolServer({ bind: "tcp://127.0.0.1:5555" })),
 *   Layer.provide(RpcSerialization.layerNdjson)
 * )
 *
 * export const program = Effect.gen(function* () {
 *   const users = yield* RpcClient.make(Users)
 *   yield* Effect.log(yield* users.nameOf({ id: 1 }))
 * }).pipe(
 *   Effect.scoped,
 *   Effect.provide(layerProtocolClient({ connect: "tcp://127.0.0.1:5555" })),
 *   Effect.provide(RpcSerialization.layerNdjson)
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as EffectRpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcSchema from "effect/rpc/RpcSchema"
import type { RpcSerialization } from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import type * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { ConnectionError } from "./internal/rpc/errors.ts"
import type { Missed, PublisherError } from "./internal/rpc/feedErrors.ts"
import * as broker from "./internal/rpc/makeBroker.ts"
import * as protocolClient from "./internal/rpc/protocolClient.ts"
import * as protocolServer from "./internal/rpc/protocolServer.ts"
import * as publishing from "./internal/rpc/publish.ts"
import * as subscribing from "./internal/rpc/subscribe.ts"
import type { Peer } from "./Message.ts"
import type { DealerOptions, RouterOptions, SubOptions, XPubOptions } from "./SocketOptions.ts"
import type { Again, Closed, OptionError, SocketError } from "./ZmqError.ts"

export { ConnectionError, connectionErrorOf } from "./internal/rpc/errors.ts"
export { Missed, PublisherError } from "./internal/rpc/feedErrors.ts"

// -----------------------------------------------------------------------------
// servers
// -----------------------------------------------------------------------------

/**
 * How long either side may be silent.
 *
 * @category options
 * @since 0.1.0
 */
export interface PingOptions {
  /**
   * How often the other side is asked whether it is there, by a message that its event loop has to answer. `"Infinity"`:
   * never. Default: 5 seconds.
   */
  readonly pingInterval?: Duration.Input | undefined
  /**
   * How long it may say nothing behind that: it is gone after `pingInterval` and `pingTimeout`, whatever became of the
   * connection. Default: the `pingInterval`.
   */
  readonly pingTimeout?: Duration.Input | undefined
  /**
   * When to connect again. It begins anew when a connection has stood for a second. When it is over, the endpoint is
   * given up. Default: after 100 ms at first, half as long again each time, and every 5 seconds in the end.
   */
  readonly retryPolicy?: Schedule.Schedule<unknown, ConnectionError> | undefined
}

/**
 * Options of a server: those of a ROUTER, and these. `maxMessageSize` is 16 MiB unless
 * given, also over inproc.
 *
 * **Details**
 *
 * A server binds, and clients connect to it. Or it connects to the backend of a broker,
 * and to as many brokers as are given. With `security` it does one or the other, as it
 * is a CURVE or PLAIN server where it binds, and a client where it connects.
 *
 * @category options
 * @since 0.1.0
 */
export interface ServerOptions
  extends Omit<RouterOptions, "mandatory" | "handover" | "routingId" | "probeRouter" | "connect">,
    PingOptions {
  /** Brokers to serve at: one endpoint or several. The options for pings are for these. Default: none. */
  readonly connect?: string | ReadonlyArray<string> | undefined
  /**
   * How many chunks of a stream are on their way to its reader, who has not taken them. A stream whose reader stops is
   * that far ahead, and no more. Default: 16.
   */
  readonly window?: number | undefined
  /**
   * How many messages may wait for one client behind what libzmq holds for it (`sendHighWaterMark`), and how many of its
   * calls may be under way. Beyond, that client is ended. Default: 10,000.
   */
  readonly maxPendingPerClient?: number | undefined
}

/**
 * A server that is there.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServerState {
  /** Where it is bound, as libzmq resolved it. */
  readonly endpoints: ReadonlyArray<string>
  /**
   * Who a client is, as far as the engine knows: its routing id, and of an engine that tells, its address and the
   * `userId` that ZAP gave it, unless it is behind a broker. The id is that of `Rpc.ServerClient`, which handlers and
   * middleware are given. `undefined` when it is gone.
   */
  readonly peerOf: (clientId: number) => Peer | undefined
  /** What it has to do now. Read it again for newer numbers. */
  readonly stats: {
    /** Clients that are there. */
    readonly clients: number
    /** Their calls that are not done. */
    readonly calls: number
    /** Messages that wait until a client reads. */
    readonly pending: number
    /** Clients that were ended so far: what they sent was wrong, or they did not read, or were silent. */
    readonly ended: number
  }
}

/**
 * The server of a layer: where it is bound, and who its clients are.
 *
 * **Example** (Who calls)
 *
 * ```ts
 * import { Effect } from "effect"
 * import type { Rpc } from "effect/rpc"
 * import { ServerEndpoint } from "effect-zmq/Rpc"
 *
 * export const callerOf = (client: Rpc.ServerClient) =>
 *   Effect.map(ServerEndpoint, (server) => server.peerOf(client.id)?.userId)
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class ServerEndpoint extends Context.Service<ServerEndpoint, ServerState>()("effect-zmq/Rpc/ServerEndpoint") {}

/**
 * The protocol of a server, as an Effect: it is there until the scope closes. See
 * `layerProtocolServer`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeProtocolServer: (
  options: ServerOptions
) => Effect.Effect<
  { readonly protocol: RpcServer.Protocol["Service"]; readonly endpoint: ServerState },
  SocketError,
  RpcSerialization | Scope.Scope
> = protocolServer.makeProtocolServer

/**
 * The protocol of a server of RPC over ZeroMQ, for `RpcServer.layer` and the like.
 *
 * **Details**
 *
 * Whatever a client does ends that client alone: what is no message of RPC, the id of a
 * call that is not done, a message after its Eof, too large a message, more than it may
 * have. It is told why, in the log once of each kind. The server never waits for a
 * client that does not read. That a client has left is known within a second, or, if its
 * process is stopped or its network cut, by its pings: then its calls are interrupted.
 *
 * A client of another kind needs a DEALER, or for calls without streams a REQ, and one
 * value for each message: see docs/rpc.md for one in Python.
 *
 * Fails with the `SocketError` of the socket, or an `OptionError`.
 *
 * **Example** (Where it is bound)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { RpcSerialization } from "effect/rpc"
 * import { layerProtocolServer, ServerEndpoint } from "effect-zmq/Rpc"
 *
 * export const Protocol = layerProtocolServer({ bind: "tcp://0.0.0.0:*", window: 32 }).pipe(
 *   Layer.provide(RpcSerialization.layerSchemaBinary())
 * )
 * export const where = Effect.map(ServerEndpoint, ({ endpoints }) => endpoints[0])
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerProtocolServer = (
  options: ServerOptions
): Layer.Layer<RpcServer.Protocol | ServerEndpoint, SocketError, RpcSerialization> =>
  Layer.effectContext(
    Effect.map(makeProtocolServer(options), ({ endpoint, protocol }) =>
      Context.make(RpcServer.Protocol, protocol).pipe(Context.add(ServerEndpoint, endpoint))
    )
  )

// -----------------------------------------------------------------------------
// clients
// -----------------------------------------------------------------------------

/**
 * Options of a client: those of a DEALER, and these. `maxMessageSize` is 16 MiB unless
 * given, and `linger` a second.
 *
 * @category options
 * @since 0.1.0
 */
export interface ClientOptions
  extends Omit<
      DealerOptions,
      | "bind"
      | "connect"
      | "routingId"
      | "reconnectInterval"
      | "reconnectMaxInterval"
      | "immediate"
      | "conflate"
      | "probeRouter"
    >,
    PingOptions {
  /**
   * A server or a broker, or several. A call goes to one of those that are there, to whichever has the fewest calls of
   * ours, and all that belongs to the call, as a stream and its end, to the same.
   */
  readonly connect: string | ReadonlyArray<string>
  /** How long a server may take to answer for the first time. Default: 5 seconds. */
  readonly openTimeout?: Duration.Input | undefined
  /**
   * What calls do while no server is there: `"fail"` with an `RpcClientError` that says why, or `"wait"` until one is
   * there. A call that waits and is given up is never sent. Calls that are made before the first attempt to connect has
   * ended wait for that in any case: with a broker until it has had no server for a second. Default: `"fail"`.
   */
  readonly whileDisconnected?: "fail" | "wait" | undefined
}

/**
 * The protocol of a client, as an Effect: it connects until the scope closes. See
 * `layerProtocolClient`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeProtocolClient: (
  options: ClientOptions
) => Effect.Effect<RpcClient.Protocol["Service"], OptionError, RpcSerialization | Scope.Scope> = (options) =>
  protocolClient.makeProtocolClient(options)

/**
 * The protocol of a client of RPC over ZeroMQ, for `RpcClient.make`.
 *
 * **Details**
 *
 * A call ends with its reply, or with an `RpcClientError` whose `reason` has a
 * `ConnectionError` as its `cause`: never with nothing. Replies that came before the end
 * of their server are delivered. A call that has failed so is executed by no later
 * server: the one that had it may have done so. A stream that nobody reads stops no other
 * call.
 *
 * The connection is made again by itself (`retryPolicy`). `RpcClient.ConnectionHooks`
 * are told when the first server is there, and when the last is gone.
 *
 * Fails with an `OptionError` at once. That there is no server is for the calls.
 *
 * **Example** (Two servers, and calls that wait for one)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { RpcSerialization } from "effect/rpc"
 * import { layerProtocolClient } from "effect-zmq/Rpc"
 *
 * export const Protocol = layerProtocolClient({
 *   connect: ["tcp://10.0.0.1:5555", "tcp://10.0.0.2:5555"],
 *   whileDisconnected: "wait",
 *   pingInterval: "1 second"
 * }).pipe(Layer.provide(RpcSerialization.layerNdjson))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerProtocolClient = (
  options: ClientOptions
): Layer.Layer<RpcClient.Protocol, OptionError, RpcSerialization> =>
  Layer.effect(RpcClient.Protocol, makeProtocolClient(options))

// -----------------------------------------------------------------------------
// brokers
// -----------------------------------------------------------------------------

/**
 * One side of a broker: the options of a ROUTER that binds. `maxMessageSize` is 16 MiB
 * unless given.
 *
 * @category options
 * @since 0.1.0
 */
export type BrokerSideOptions = Omit<RouterOptions, "mandatory" | "handover" | "routingId" | "probeRouter" | "connect">

/**
 * Options of a broker.
 *
 * @category options
 * @since 0.1.0
 */
export interface BrokerOptions {
  /** Where clients connect. */
  readonly frontend: BrokerSideOptions
  /** Where servers connect. */
  readonly backend: BrokerSideOptions
  /**
   * How many messages may wait for one client, or one server, that does not read. Beyond, it is ended. Default: 10,000.
   */
  readonly maxPendingPerClient?: number | undefined
}

/**
 * A broker that is there.
 *
 * @category models
 * @since 0.1.0
 */
export interface BrokerState {
  /** Where it is bound for clients, as libzmq resolved it. */
  readonly frontend: ReadonlyArray<string>
  /** Where it is bound for servers. */
  readonly backend: ReadonlyArray<string>
  /** Who is there now, and how often somebody was ended or something dropped. Read it again for newer numbers. */
  readonly stats: { readonly servers: number; readonly clients: number; readonly dropped: number }
}

/**
 * The broker of a layer.
 *
 * @category services
 * @since 0.1.0
 */
export class Broker extends Context.Service<Broker, BrokerState>()("effect-zmq/Rpc/Broker") {}

/**
 * A broker, as an Effect: it is there until the scope closes. See `layerBroker`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeBroker: (options: BrokerOptions) => Effect.Effect<BrokerState, SocketError, Scope.Scope> =
  broker.makeBroker

/**
 * A broker between clients and servers. Servers connect to its backend, and are found by
 * themselves, as they come and go. Clients connect to its frontend, as to a server.
 *
 * **Details**
 *
 * A client shares its calls between all servers that are there, and a stream and all that
 * belongs to a call stay with its server. A server that ends, dies or is silent ends its
 * own calls alone. A server that comes back within a second is waited for; then the calls
 * fail with `NoServer`, or wait, as the client says. The broker does not read what is said:
 * it needs no serialization, and passes on any. A client of another kind has one server, for
 * as long as that is there, and what it asks waits while there is none.
 *
 * Fails with the `SocketError` of its sockets, or an `OptionError`.
 *
 * **Example** (A broker, and a server behind it)
 *
 * ```ts
 * import { layerBroker, layerProtocolServer } from "effect-zmq/Rpc"
 *
 * export const Broker = layerBroker({
 *   frontend: { bind: "tcp://0.0.0.0:5555" },
 *   backend: { bind: "tcp://0.0.0.0:5556" }
 * })
 * export const Protocol = layerProtocolServer({ connect: "tcp://broker:5556" })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerBroker = (options: BrokerOptions): Layer.Layer<Broker, SocketError> =>
  Layer.effect(Broker, makeBroker(options))

// -----------------------------------------------------------------------------
// publish and subscribe
// -----------------------------------------------------------------------------

/**
 * How a publisher listens: the options of an XPUB, but for those that are decided here.
 *
 * @category options
 * @since 0.1.0
 */
export interface PublishOptions
  extends Omit<
    XPubOptions,
    "verbosity" | "welcomeMessage" | "noDrop" | "invertMatching" | "receiveTimeout" | "sendTimeout"
  > {
  /** How many streams may run at a time. Whoever subscribes to another is told `TooManyTopics`. Default: 1,000. */
  readonly maxTopics?: number | undefined
  /**
   * How often each subscriber is told how far a stream is on which nothing was published since: so long it takes at most
   * until one that was behind sees that it has missed the last values, or the end. Default: 1 second.
   */
  readonly beatInterval?: Duration.Input | undefined
  /**
   * How long a stream runs on that nobody has subscribed to any more. A subscriber whose connection was lost should be back within
   * that time. It is looked at with each beat. Default: 10 seconds.
   */
  readonly idleTimeToLive?: Duration.Input | undefined
}

/**
 * A streaming RPC that is published.
 *
 * @category models
 * @since 0.1.0
 */
export interface Publication {
  /** Where subscribers connect to. */
  readonly endpoints: ReadonlyArray<string>
  /** How many streams it has: one for each payload that somebody has subscribed to. */
  readonly topics: number
}

/**
 * How a subscriber connects: the options of a SUB, but for those that are decided here. What has more bytes than its
 * `maxMessageSize` is not sent to it: see `Missed`.
 *
 * @category options
 * @since 0.1.0
 */
export interface SubscribeOptions<out R = never>
  extends Omit<SubOptions, "subscribe" | "bind" | "connect" | "conflate" | "invertMatching"> {
  /** The endpoint of the publisher, or of several forwarders that lead to it. */
  readonly connect: string | ReadonlyArray<string>
  /** What to do about values that were missed, and then go on with the stream. Default: it fails with `Missed`. */
  readonly onMissed?: ((missed: Missed) => Effect.Effect<unknown, never, R>) | undefined
  /**
   * Whether to wait for a publisher that has gone, or to fail with `Gone`. That it has gone without a word is known over
   * tcp, ipc and ws. Over inproc there is no way to wait, as libzmq does not make such a connection again. Default: `"wait"`.
   */
  readonly whileDisconnected?: "wait" | "fail" | undefined
}

/**
 * Publishes one streaming RPC, to any number of subscribers over PUB and SUB, until the
 * scope closes.
 *
 * **Details**
 *
 * For each payload that somebody subscribes to one stream runs, however many subscribers it has.
 * It begins with the first of them, and ends when the handler's stream ends, which they are told with its
 * error, or when nobody has wanted it for `idleTimeToLive`. Whoever subscribes to one that has ended has
 * it run again, as with a call.
 *
 * Who comes late is told the value that was published last, and goes on from there: no value is
 * missing, and none comes twice.
 *
 * A PUB waits for nobody. For a subscriber that is further behind than the `sendHighWaterMark` here and the `receiveHighWaterMark` there
 * it drops values, and the subscriber sees by their numbers how many: see `Missed`.
 *
 * @category publish and subscribe
 * @since 0.1.0
 */
export const publish: <R extends StreamRpc, E extends EffectRpc.ErrorExit<R>, Env>(
  rpc: R,
  handler: (payload: EffectRpc.Payload<R>) => Stream.Stream<EffectRpc.SuccessChunk<R>, E, Env>,
  options: PublishOptions
) => Effect.Effect<
  Publication,
  SocketError,
  Scope.Scope | RpcSerialization | Exclude<Env, Scope.Scope> | EffectRpc.ServicesServer<R>
> = publishing.publish as never

/**
 * Subscribes to a streaming RPC that is published, with a payload.
 *
 * **Details**
 *
 * The stream begins with the value that was published last, if there was one. It ends as the stream of the
 * publisher does, with its error. It fails with `Missed` where values were dropped on their way, unless there is
 * an `onMissed`: then it goes on with the latest value. `Stream.retry` subscribes again.
 *
 * @category publish and subscribe
 * @since 0.1.0
 */
export const subscribe: <R extends StreamRpc, Env = never>(
  rpc: R,
  payload: EffectRpc.PayloadConstructor<R>,
  options: SubscribeOptions<Env>
) => Stream.Stream<
  EffectRpc.SuccessChunk<R>,
  EffectRpc.ErrorExit<R> | Missed | PublisherError | SocketError | Again | Closed,
  RpcSerialization | Env | EffectRpc.ServicesClient<R>
> = subscribing.subscribe as never

/**
 * An RPC with `stream: true`.
 *
 * @category models
 * @since 0.1.0
 */
export type StreamRpc = EffectRpc.Any & {
  readonly successSchema: RpcSchema.Stream<Schema.Constraint, Schema.Constraint>
}
