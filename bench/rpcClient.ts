/**
 * The process with one client of RPC, over one transport. It does what it is told, and says
 * how long that took and how much of the processor, in microseconds, it has used for it.
 */
import { fileURLToPath } from "node:url"
import { NodeSocket } from "@effect/platform-node"
import { Effect, Layer, type Scope, Stream } from "effect"
import { RpcClient } from "effect/rpc"
import { Engine } from "effect-zmq"
import * as Rpc from "effect-zmq/Rpc"
import { startChild } from "./child.ts"
import { callsOf, expectCount, type Sample } from "./harness.ts"
import { Bench, type Places, serialization } from "./rpcPeer.ts"

const makeClient = RpcClient.make(Bench, { disableTracing: true })
type Calls = Effect.Success<typeof makeClient>
export type Client = Effect.Effect<Calls, unknown, Scope.Scope>

const over = (layer: Layer.Layer<RpcClient.Protocol, unknown>): Client =>
  Effect.flatMap(Layer.build(layer), (context) => Effect.provideContext(makeClient, context))

export const overZmq = ({ zmq }: Places): Client =>
  over(Rpc.layerProtocolClient({ connect: zmq }).pipe(Layer.provide(serialization)))

export const overZmtp = ({ zmtp }: Places): Client =>
  over(Rpc.layerProtocolClient({ connect: zmtp }).pipe(Layer.provide([serialization, Engine.layerZmtp])))

const overTcp = ({ port }: Places): Client =>
  over(
    RpcClient.layerProtocolSocket().pipe(
      Layer.provide([NodeSocket.layerNet({ port, host: "127.0.0.1" }), serialization])
    )
  )

const clients = { "Effect's TCP": overTcp, "effect-zmq": overZmq, "effect-zmq on ZMTP": overZmtp }
export type Transport = keyof typeof clients

const text = "a".repeat(16)

export const calling = (client: Calls, atOnce: number, made: number): Effect.Effect<Sample, unknown> =>
  callsOf("RPCs", () => client.echo({ text }), atOnce, made)

const streaming = (client: Calls, elements: number, of: number): Effect.Effect<Sample, unknown> =>
  Effect.gen(function* () {
    let got = 0
    const start = performance.now()
    yield* Stream.runForEachArray(client.numbers({ elements, of }, { streamBufferSize: 1024 }), (chunk) =>
      Effect.sync(() => {
        got += chunk.length
      })
    )
    expectCount("a stream of RPC", got, elements)
    return { mean: ((performance.now() - start) * 1000) / elements }
  })

/** Calls, so many at once, or a stream, in chunks of so many. */
export type Work =
  | { readonly calls: number; readonly atOnce: number }
  | { readonly elements: number; readonly of: number }

interface Done {
  readonly sample: Sample
  readonly cpu: number
}

const main = Effect.fnUntraced(function* (transport: Transport, places: Places) {
  const client = yield* clients[transport](places)
  process.on("message", (work: Work) => {
    const { system, user } = process.cpuUsage()
    const run = "calls" in work ? calling(client, work.atOnce, work.calls) : streaming(client, work.elements, work.of)
    void Effect.runPromise(run).then((sample) => {
      const now = process.cpuUsage()
      process.send!({ sample, cpu: now.user + now.system - user - system } satisfies Done)
    })
  })
  process.send!("there")
  return yield* Effect.never
}, Effect.scoped)

const self = fileURLToPath(import.meta.url)
if (process.argv[1] === self && process.send !== undefined) {
  process.on("disconnect", () => process.exit())
  Effect.runFork(main(process.argv[2] as Transport, JSON.parse(process.argv[3]!)))
}

/** A client in a process of its own, until the scope closes. */
export const startClient = Effect.fnUntraced(function* (transport: Transport, { port, zmq, zmtp }: Places) {
  const { ask } = yield* startChild(self, transport, JSON.stringify({ port, zmq, zmtp }))
  return (work: Work): Effect.Effect<Done> => ask<Done>(work)
})
