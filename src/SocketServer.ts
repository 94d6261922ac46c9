/**
 * A ROUTER as a `SocketServer` of Effect, and a DEALER as its `Socket`: what Effect runs
 * over sockets runs over ZeroMQ, with ipc and inproc, CURVE and ZAP, and heartbeats.
 *
 * **Details**
 *
 * Use it as `NodeSocketServer` and `NodeSocket` of `@effect/platform-node`: for
 * `RpcServer.layerProtocolSocketServer` and `RpcClient.layerProtocolSocket`, for the DevTools, or for
 * bytes of your own. Both sides have to be this library's, or speak the protocol of
 * `docs/socket-server.md`.
 *
 * Chunks arrive in the order in which they were written, and what was written before a
 * connection ended in order is read before that is told. Each is read as it was written, so that
 * serializations without a framing of their own can be used, too. A writer waits until the
 * reader at the other end has taken what came before: see `window`. All connections of a server
 * come in by one socket, and of those one that does not read keeps nobody else waiting.
 *
 * **Example** (Effect's RPC over ipc)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { RpcClient, RpcSerialization, RpcServer } from "effect/rpc"
 * import * as SocketServer from "effect-zmq/SocketServer"
 *
 * export const server = RpcServer.layerProtocolSocketServer.pipe(
 *   Layer.provide([SocketServer.layer({ bind: "ipc:///tmp/rpc" }), RpcSerialization.layerNdjson])
 * )
 * export const client = RpcClient.layerProtocolSocket().pipe(
 *   Layer.provide([SocketServer.layerSocket({ connect: "ipc:///tmp/rpc" }), RpcSerialization.layerNdjson])
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as EffectSocket from "effect/socket/Socket"
import * as EffectServer from "effect/socket/SocketServer"
import * as client from "./internal/socketServer/client.ts"
import * as server from "./internal/socketServer/server.ts"
import type { DealerOptions, RouterOptions } from "./SocketOptions.ts"

/**
 * What both sides take of a connection.
 *
 * @category options
 * @since 0.1.0
 */
export interface ConnectionOptions {
  /**
   * How many bytes the peer may send that the reader here has not taken yet. Each chunk counts for 256 more. A
   * chunk that is longer comes alone. From 1 KiB to 16 MiB. Default: 256 KiB.
   */
  readonly window?: number | undefined
}

/**
 * How a server listens: the options of a ROUTER, but for those that are decided here. `maxMessageSize`
 * is the longest chunk that a client may write, 64 MiB unless given, and `heartbeatInterval` is 5 seconds
 * unless given.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options
  extends Omit<
      RouterOptions,
      | "connect"
      | "routingId"
      | "probeRouter"
      | "mandatory"
      | "handover"
      | "notify"
      | "receiveTimeout"
      | "sendTimeout"
      | "immediate"
    >,
    ConnectionOptions {
  /** One endpoint or several. */
  readonly bind: string | ReadonlyArray<string>
  /**
   * How many bytes of writes may wait because one client does not read, beside the one that is under way. Each chunk counts
   * for 256 more. A client for which more would have to wait is ended, with the code 1008. Default: 16 MiB.
   */
  readonly maxPending?: number | undefined
}

/**
 * How a client connects: the options of a DEALER, but for those that are decided here. `maxMessageSize`
 * is the longest chunk that the server may write, 64 MiB unless given, `heartbeatInterval` is 5 seconds
 * and `linger` 1 second unless given.
 *
 * @category options
 * @since 0.1.0
 */
export interface SocketOptions
  extends Omit<
      DealerOptions,
      "bind" | "connect" | "routingId" | "probeRouter" | "conflate" | "receiveTimeout" | "sendTimeout" | "immediate"
    >,
    ConnectionOptions {
  /** The endpoint of the server. */
  readonly connect: string
  /**
   * How long to wait for a server to be there and to accept the connection. Then it fails with a `SocketOpenError` of the
   * kind `Timeout`. Default: 10 seconds.
   */
  readonly openTimeout?: Duration.Input | undefined
}

/**
 * A `SocketServer` of Effect, and where it listens.
 *
 * @category models
 * @since 0.1.0
 */
export type Server = EffectServer.SocketServer["Service"] & {
  /** What it is bound to, as libzmq resolved it: the first of them is its `address`. */
  readonly endpoints: ReadonlyArray<string>
}

/**
 * Listens until the scope closes. Clients wait until there is a `run` that serves them. `SocketServerOpenError` has
 * as its cause what a ROUTER could not be opened for: `BindError`, `OptionError`, `OpenError`.
 *
 * **Details**
 *
 * The `address` is that of the first endpoint: a host and a port, or the path of ipc. A name of inproc stands as a path, whole.
 *
 * When a client has gone, whose socket `run` gave to a handler, its reads end with a
 * `SocketCloseError`: with the code that it said (1000 when its scope closed), or 1006 when it said nothing. Over tcp and
 * ipc that is known at once, also of a process that was killed, and behind all that it had sent. One that cannot be
 * reached any more is given up by `heartbeatTimeout`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (options: Options) => Effect.Effect<Server, EffectServer.SocketServerError, Scope.Scope> =
  server.make

/**
 * Provides a `SocketServer` of Effect: see `make`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<EffectServer.SocketServer, EffectServer.SocketServerError> =>
  Layer.effect(EffectServer.SocketServer, make(options))

/**
 * A `Socket` of Effect. To acquire its `reader` connects: a DEALER for each connection.
 *
 * **Details**
 *
 * The server need not be there yet: it is waited for, for the `openTimeout`. One that refuses us is a `SocketOpenError` at once.
 * When the server has gone, reads end with a `SocketCloseError` behind all that had come: 1006, or the code that
 * the server said. A connection is never made again by itself: retry the scoped run, as with every
 * `Socket`. Writes wait for the next connection meanwhile.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeSocket: (options: SocketOptions) => Effect.Effect<EffectSocket.Socket> = client.makeSocket

/**
 * Provides a `Socket` of Effect: see `makeSocket`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSocket = (options: SocketOptions): Layer.Layer<EffectSocket.Socket> =>
  Layer.effect(EffectSocket.Socket, makeSocket(options))
