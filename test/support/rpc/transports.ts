/** Transports to put a server and its clients on. */
import { NodeSocket, NodeSocketServer } from "@effect/platform-node"
import { Context, Effect, Layer, Scope } from "effect"
import { RpcClient, RpcSerialization, RpcServer } from "effect/rpc"
import { SocketServer } from "effect/socket"
import * as Rpc from "effect-zmq/Rpc"
import { freshEndpoint, type Transport } from "../sockets.ts"
import { Api, handlers, Seen } from "./api.ts"

export const serializations = {
  json: RpcSerialization.layerJson,
  ndjson: RpcSerialization.layerNdjson,
  jsonRpc: RpcSerialization.layerJsonRpc(),
  ndJsonRpc: RpcSerialization.layerNdJsonRpc(),
  schemaBinary: RpcSerialization.layerSchemaBinary()
} as const
export type Serialization = keyof typeof serializations
export const allSerializations = Object.keys(serializations) as ReadonlyArray<Serialization>

type Options = Partial<Rpc.ServerOptions>
type ClientOptions = Partial<Rpc.ClientOptions>

/** Serves the API by a protocol until the scope closes. */
export const serve = (protocol: RpcServer.Protocol["Service"], seen: Seen["Service"]) =>
  RpcServer.make(Api).pipe(
    Effect.provideService(RpcServer.Protocol, protocol),
    Effect.provide(Layer.provide(handlers, Layer.succeed(Seen, seen))),
    Effect.forkScoped
  )

/** A server of the API that is bound, and what its handlers have seen. */
export const startServer = (options: Rpc.ServerOptions) =>
  Effect.gen(function* () {
    const seen = Seen.make()
    const { endpoint, protocol } = yield* Rpc.makeProtocolServer(options)
    yield* serve(protocol, seen)
    return { seen, state: endpoint, endpoints: endpoint.endpoints }
  })

export const clientOf = (protocol: RpcClient.Protocol["Service"]) =>
  RpcClient.make(Api).pipe(Effect.provideService(RpcClient.Protocol, protocol))

export const startClient = (options: Rpc.ClientOptions) => Effect.flatMap(Rpc.makeProtocolClient(options), clientOf)

/** Both sides over ZeroMQ. */
export const zmq = (transport: Transport, server?: Options, client?: ClientOptions) =>
  Effect.gen(function* () {
    const { endpoints, seen, state } = yield* startServer({ bind: freshEndpoint(transport), ...server })
    const protocol = yield* Rpc.makeProtocolClient({ connect: endpoints, ...client })
    return { seen, state, endpoints, client: yield* clientOf(protocol), other: clientOf(protocol) }
  })

/** Both sides over Effect's own transport. */
export const effectTcp = Effect.gen(function* () {
  const scope = yield* Scope.Scope
  const seen = Seen.make()
  const build = <A, E, R>(layer: Layer.Layer<A, E, R>) => Layer.buildWithScope(layer, scope)
  const net = yield* build(NodeSocketServer.layer({ port: 0, host: "127.0.0.1" }))
  const { address } = Context.get(net, SocketServer.SocketServer)
  if (address._tag !== "InetAddressV4") return yield* Effect.die(`bound to ${address._tag}`)
  const protocol = yield* RpcServer.makeProtocolSocketServer.pipe(Effect.provideContext(net))
  yield* serve(protocol, seen)
  const clientContext = yield* build(
    RpcClient.layerProtocolSocket().pipe(Layer.provide(NodeSocket.layerNet({ port: address.port, host: "127.0.0.1" })))
  )
  const clientProtocol = Context.get(clientContext, RpcClient.Protocol)
  return { seen, client: yield* clientOf(clientProtocol), other: clientOf(clientProtocol) }
})
