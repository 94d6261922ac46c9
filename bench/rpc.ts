/** RPC over ZeroMQ against RPC over Effect's own TCP transport, with the same serialization and handlers. */
import { NodeSocket } from "@effect/platform-node"
import { Effect, Layer, Stream } from "effect"
import { RpcClient } from "effect/rpc"
import { Engine, Zmq } from "effect-zmq"
import * as Rpc from "effect-zmq/Rpc"
import { callsOf, count, expectCount, Kept, type Sample, type Workload } from "./harness.ts"
import { Bench, type Places, serialization, startServers } from "./rpcPeer.ts"

type Client = Effect.Success<typeof makeClient>
const makeClient = RpcClient.make(Bench, { disableTracing: true })

const onZeromq = ({ zmq }: Places): string => zmq
const onZmtp = ({ zmtp }: Places): string => zmtp

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

const calling = (client: Client, atOnce: number, made: number): Effect.Effect<Sample, unknown> =>
  callsOf("RPCs", () => client.echo({ text }), atOnce, made)

const calls = (atOnce: number, made: number): Workload =>
  each(atOnce === 1 ? "an RPC in flight" : `${atOnce} RPCs in flight`, "µs", made, (client) =>
    calling(client, atOnce, made)
  )

// More than a socket and the system hold for a client that does not read, and less than what it is ended for.
const unread = 3000
const long = "x".repeat(16_384)
const question = (id: number): string =>
  `${JSON.stringify({ _tag: "Request", id, tag: "echo", payload: { text: long }, headers: [] })}\n`

/** Calls beside a client that has asked for much and reads none of it, and without it. */
const besides = (made: number): Workload => {
  const kept = new Kept()
  const servers = kept.keep(startServers)
  const contender = (
    open: (places: Places) => ReturnType<typeof over>,
    at: (places: Places) => string,
    isAlone: boolean
  ) => {
    const client = kept.keep(Effect.flatMap(Effect.promise(servers), open))
    return async (): Promise<Sample> => {
      const places = await servers()
      const one = await client()
      const run = calling(one, 16, made)
      if (isAlone) return Effect.runPromise(run)
      const beside = Effect.gen(function* () {
        const idle = yield* Zmq.dealer({ connect: at(places), receiveHighWaterMark: 1, linger: 0 })
        for (let id = 0; id < unread; id++) yield* idle.send(question(id))
        while ((yield* places.pending) < 100) yield* Effect.sleep(10)
        yield* Effect.sleep(100)
        const sample = yield* run
        if ((yield* places.pending) < 100) return yield* Effect.die("the client that reads nothing was ended")
        return sample
      }).pipe(Effect.scoped)
      const sample = await Effect.runPromise(at === onZmtp ? Effect.provide(beside, Engine.layerZmtp) : beside)
      while ((await Effect.runPromise(places.pending)) > 0) await new Promise((resolve) => setTimeout(resolve, 10))
      return sample
    }
  }
  return {
    name: "16 RPCs in flight beside a client that reads nothing",
    unit: "µs",
    once: true,
    contenders: {
      "effect-zmq, alone": contender(overZmq, onZeromq, true),
      "effect-zmq, beside it": contender(overZmq, onZeromq, false),
      "effect-zmq on ZMTP, alone": contender(overZmtp, onZmtp, true),
      "effect-zmq on ZMTP, beside it": contender(overZmtp, onZmtp, false)
    },
    close: kept.close
  }
}

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
  besides(count(20_000)),
  streams(1, count(10_000)),
  streams(100, count(400_000))
]
