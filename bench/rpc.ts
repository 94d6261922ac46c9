/** RPC over ZeroMQ against RPC over Effect's own TCP transport, with the same serialization and handlers. */
import { NodeSocket } from "@effect/platform-node"
import { Effect, Layer, Stream } from "effect"
import { RpcClient } from "effect/rpc"
import { Engine } from "effect-zmq"
import * as Rpc from "effect-zmq/Rpc"
import { count, expectCount, Kept, latenciesOf, type Sample, type Workload } from "./harness.ts"
import { Bench, type Places, serialization, startServers } from "./rpcPeer.ts"

type Client = Effect.Success<typeof makeClient>
const makeClient = RpcClient.make(Bench, { disableTracing: true })

const over = (layer: Layer.Layer<RpcClient.Protocol, unknown>) =>
  Effect.flatMap(Layer.build(layer), (context) => Effect.provideContext(makeClient, context))

const overZmq = ({ zmq }: Places) => over(Rpc.layerProtocolClient({ connect: zmq }).pipe(Layer.provide(serialization)))

const overZmtp = ({ zmtp }: Places) =>
  over(Rpc.layerProtocolClient({ connect: zmtp }).pipe(Layer.provide([serialization, Engine.layerZmtp])))

const overTcp = ({ port }: Places) =>
  over(
    RpcClient.layerProtocolSocket().pipe(
      Layer.provide([NodeSocket.layerNet({ port, host: "127.0.0.1" }), serialization])
    )
  )

/** Runs with each of them. What they have in common, as the processor that is used, is measured beside it. */
const each = (
  name: string,
  unit: string,
  made: number,
  run: (client: Client) => Effect.Effect<Sample, unknown>
): Workload => {
  const kept = new Kept()
  const servers = kept.keep(startServers)
  // One for each, that lasts: how long it takes to connect is not in question.
  const clients = {
    "Effect's TCP": kept.keep(Effect.flatMap(Effect.promise(servers), overTcp)),
    "effect-zmq": kept.keep(Effect.flatMap(Effect.promise(servers), overZmq)),
    "effect-zmq on ZMTP": kept.keep(Effect.flatMap(Effect.promise(servers), overZmtp))
  }
  const contender = (client: () => Promise<Client>) => async (): Promise<Sample> => {
    const { cpu } = await servers()
    const one = await client()
    const used = async () => {
      const { system, user } = process.cpuUsage()
      return user + system + (await Effect.runPromise(cpu))
    }
    const before = await used()
    const sample = await Effect.runPromise(run(one))
    return { ...sample, "processor time": ((await used()) - before) / made }
  }
  return {
    name,
    unit,
    contenders: {
      "Effect's TCP": contender(clients["Effect's TCP"]),
      "effect-zmq": contender(clients["effect-zmq"]),
      "effect-zmq on ZMTP": contender(clients["effect-zmq on ZMTP"])
    },
    close: kept.close
  }
}

const text = "a".repeat(16)

const calls = (atOnce: number, made: number): Workload =>
  each(atOnce === 1 ? "an RPC in flight" : `${atOnce} RPCs in flight`, "µs", made, (client) =>
    Effect.gen(function* () {
      const times: Array<number> = []
      let started = 0
      const caller = Effect.gen(function* () {
        while (started++ < made) {
          const start = performance.now()
          yield* client.echo({ text })
          times.push((performance.now() - start) * 1000)
        }
      })
      const start = performance.now()
      yield* Effect.forEach(
        Array.from({ length: atOnce }, () => caller),
        (one) => one,
        {
          concurrency: "unbounded",
          discard: true
        }
      )
      return { mean: ((performance.now() - start) * 1000) / made, ...latenciesOf("RPCs", times, made) }
    })
  )

const streams = (of: number, elements: number): Workload =>
  each(`a stream of RPC in chunks of ${of}`, "µs/element", elements, (client) =>
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
  )

export const rpc = (): Array<Workload> => [
  calls(1, count(2000)),
  calls(64, count(20_000)),
  streams(1, count(10_000)),
  streams(100, count(400_000))
]
