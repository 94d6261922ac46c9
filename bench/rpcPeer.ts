/**
 * The process with the servers of RPC: the same handlers, on Effect's own TCP transport
 * and on ZeroMQ. Says where each is, and, asked for it, how much of the processor it
 * has used, in microseconds, and how many messages wait for clients that do not read.
 */
import { fileURLToPath } from "node:url"
import { NodeSocketServer } from "@effect/platform-node"
import { Context, Effect, Layer, Schema, Stream } from "effect"
import { Rpc as EffectRpc, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { SocketServer } from "effect/socket"
import { Engine } from "effect-zmq"
import * as Rpc from "effect-zmq/Rpc"
import { startChild } from "./child.ts"

export class Bench extends RpcGroup.make(
  EffectRpc.make("echo", { payload: { text: Schema.String }, success: Schema.String }),
  EffectRpc.make("numbers", {
    payload: { elements: Schema.Number, of: Schema.Number },
    success: Schema.Number,
    stream: true
  })
) {}

export const handlers = Bench.toLayer({
  echo: ({ text }) => Effect.succeed(text),
  // In chunks of `of` elements.
  numbers: ({ elements, of }) => Stream.range(1, elements).pipe(Stream.rechunk(of))
})

export const serialization = RpcSerialization.layerNdjson

export interface Places {
  /** On libzmq, and on ZMTP in TypeScript. */
  readonly zmq: string
  readonly zmtp: string
  readonly port: number
}

const serve = Effect.fnUntraced(function* (protocol: RpcServer.Protocol["Service"]) {
  yield* RpcServer.make(Bench, { disableTracing: true }).pipe(
    Effect.provideService(RpcServer.Protocol, protocol),
    Effect.provide(handlers),
    Effect.forkScoped
  )
})

/** Serves on all of them, until the scope closes. */
export const servers = Effect.gen(function* () {
  const zmq = yield* Rpc.makeProtocolServer({ bind: "tcp://127.0.0.1:*" })
  yield* serve(zmq.protocol)
  const zmtp = yield* Effect.provide(Rpc.makeProtocolServer({ bind: "tcp://127.0.0.1:*" }), Engine.layerZmtp)
  yield* serve(zmtp.protocol)
  const net = yield* Layer.build(NodeSocketServer.layer({ port: 0, host: "127.0.0.1" }))
  const { address } = Context.get(net, SocketServer.SocketServer)
  yield* serve(yield* RpcServer.makeProtocolSocketServer.pipe(Effect.provideContext(net)))
  if (address._tag !== "InetAddressV4") return yield* Effect.die("bound to no port")
  const places: Places = {
    zmq: zmq.endpoint.endpoints[0]!,
    zmtp: zmtp.endpoint.endpoints[0]!,
    port: address.port
  }
  return { places, pending: () => zmq.endpoint.stats.pending + zmtp.endpoint.stats.pending }
}).pipe(Effect.provide(serialization))

interface Said {
  readonly cpu: number
  readonly pending: number
}

const self = fileURLToPath(import.meta.url)

const main = Effect.gen(function* () {
  const { pending, places } = yield* servers
  process.on("message", () => {
    const { system, user } = process.cpuUsage()
    process.send!({ cpu: user + system, pending: pending() } satisfies Said)
  })
  process.send!(places)
  return yield* Effect.never
}).pipe(Effect.scoped)

if (process.argv[1] === self && process.send !== undefined) {
  process.on("disconnect", () => process.exit())
  Effect.runFork(main)
}

/** The servers in a process of their own, until the scope closes. */
export const startServers = Effect.gen(function* () {
  const { ask, first } = yield* startChild<Places>(self)
  const said = ask<Said>("say")
  return { ...first, cpu: Effect.map(said, ({ cpu }) => cpu), pending: Effect.map(said, ({ pending }) => pending) }
})
