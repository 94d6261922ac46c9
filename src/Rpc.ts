/**
 * The RPC of Effect over ZeroMQ: typed procedures and streams between fibers, processes
 * and machines, where a server that is lost, a client that does not read and a call that
 * is interrupted are ordinary.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcClient from "effect/rpc/RpcClient"
import type { RpcSerialization } from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { ConnectionError } from "./internal/rpc/errors.ts"
import * as broker from "./internal/rpc/makeBroker.ts"
import * as protocolClient from "./internal/rpc/protocolClient.ts"
import * as protocolServer from "./internal/rpc/protocolServer.ts"
import type { Peer } from "./Message.ts"
import type { DealerOptions, RouterOptions } from "./SocketOptions.ts"
import type { OptionError, SocketError } from "./ZmqError.ts"

export { ConnectionError } from "./internal/rpc/errors.ts"

export interface ServerOptions extends Omit<RouterOptions, "mandatory" | "handover" | "routingId" | "probeRouter"> {
  readonly window?: number | undefined
  readonly maxPendingPerClient?: number | undefined
  readonly pingInterval?: Duration.Input | undefined
  readonly pingTimeout?: Duration.Input | undefined
  readonly retryPolicy?: Schedule.Schedule<unknown, ConnectionError> | undefined
}

export interface ServerState {
  readonly endpoints: ReadonlyArray<string>
  readonly peerOf: (clientId: number) => Peer | undefined
  readonly stats: {
    readonly clients: number
    readonly calls: number
    readonly pending: number
    readonly ended: number
  }
}

export class ServerEndpoint extends Context.Service<ServerEndpoint, ServerState>()("effect-zmq/Rpc/ServerEndpoint") {}

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
  > {
  readonly connect: string | ReadonlyArray<string>
  readonly openTimeout?: Duration.Input | undefined
  readonly pingInterval?: Duration.Input | undefined
  readonly pingTimeout?: Duration.Input | undefined
  readonly retryPolicy?: Schedule.Schedule<unknown, ConnectionError> | undefined
  readonly whileDisconnected?: "fail" | "wait" | undefined
}

export const makeProtocolServer: (
  options: ServerOptions
) => Effect.Effect<
  { readonly protocol: RpcServer.Protocol["Service"]; readonly endpoint: ServerState },
  SocketError,
  RpcSerialization | Scope.Scope
> = protocolServer.makeProtocolServer

export const layerProtocolServer = (
  options: ServerOptions
): Layer.Layer<RpcServer.Protocol | ServerEndpoint, SocketError, RpcSerialization> =>
  Layer.effectContext(
    Effect.map(makeProtocolServer(options), ({ endpoint, protocol }) =>
      Context.make(RpcServer.Protocol, protocol).pipe(Context.add(ServerEndpoint, endpoint))
    )
  )

export const makeProtocolClient: (
  options: ClientOptions
) => Effect.Effect<RpcClient.Protocol["Service"], OptionError, RpcSerialization | Scope.Scope> = (options) =>
  protocolClient.makeProtocolClient(options)

export const layerProtocolClient = (
  options: ClientOptions
): Layer.Layer<RpcClient.Protocol, OptionError, RpcSerialization> =>
  Layer.effect(RpcClient.Protocol, makeProtocolClient(options))

export type BrokerSideOptions = Omit<RouterOptions, "mandatory" | "handover" | "routingId" | "probeRouter" | "connect">

export interface BrokerOptions {
  readonly frontend: BrokerSideOptions
  readonly backend: BrokerSideOptions
  readonly maxPendingPerClient?: number | undefined
}

export interface BrokerState {
  readonly frontend: ReadonlyArray<string>
  readonly backend: ReadonlyArray<string>
  readonly stats: { readonly servers: number; readonly clients: number; readonly dropped: number }
}

export class Broker extends Context.Service<Broker, BrokerState>()("effect-zmq/Rpc/Broker") {}

export const makeBroker: (options: BrokerOptions) => Effect.Effect<BrokerState, SocketError, Scope.Scope> =
  broker.makeBroker

export const layerBroker = (options: BrokerOptions): Layer.Layer<Broker, SocketError> =>
  Layer.effect(Broker, makeBroker(options))
