/** RPC over ZeroMQ against RPC over Effect's own TCP transport, with the same serialization and handlers. */
import { Effect } from "effect"
import { Engine, Zmq } from "effect-zmq"
import { count, Kept, type Sample, type Workload } from "./harness.ts"
import { type Client, calling, overZmq, overZmtp, startClient, type Transport, type Work } from "./rpcClient.ts"
import { type Places, startServers } from "./rpcPeer.ts"

const onZeromq = ({ zmq }: Places): string => zmq
const onZmtp = ({ zmtp }: Places): string => zmtp

const transports = ["Effect's TCP", "effect-zmq", "effect-zmq on ZMTP"] as const satisfies ReadonlyArray<Transport>

// So often it runs before it counts, as V8 needs that to have compiled all of it.
const warmUps = 3

/**
 * Runs with each of them, in two new processes every round: what V8 makes of one bears on no other, and what it
 * happens to make of it is not in all rounds. What the two have in common, as the processor that is used, is measured
 * beside it.
 */
const each = (name: string, unit: string, made: number, work: Work): Workload => {
  const contender = (transport: Transport) => (): Promise<Sample> =>
    Effect.gen(function* () {
      const servers = yield* startServers
      const client = yield* startClient(transport, servers)
      for (let run = 0; run < warmUps; run++) yield* client(work)
      const before = yield* servers.cpu
      const { cpu, sample } = yield* client(work)
      return { ...sample, "processor time": (cpu + (yield* servers.cpu) - before) / made }
    }).pipe(Effect.scoped, Effect.runPromise)
  const contenders = Object.fromEntries(transports.map((transport) => [transport, contender(transport)]))
  return { name, unit, contenders, cold: true, once: true }
}

const calls = (atOnce: number, made: number): Workload =>
  each(atOnce === 1 ? "an RPC in flight" : `${atOnce} RPCs in flight`, "µs", made, { calls: made, atOnce })

// More than a socket and the system hold for a client that does not read, and less than what it is ended for.
const unread = 3000
const long = "x".repeat(16_384)
const question = (id: number): string =>
  `${JSON.stringify({ _tag: "Request", id, tag: "echo", payload: { text: long }, headers: [] })}\n`

/** Calls beside a client that has asked for much and reads none of it, and without it. */
const besides = (made: number): Workload => {
  const kept = new Kept()
  const servers = kept.keep(startServers)
  const contender = (open: (places: Places) => Client, at: (places: Places) => string, isAlone: boolean) => {
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
  each(`a stream of RPC in chunks of ${of}`, "µs/element", elements, { elements, of })

export const rpc = (): Array<Workload> => [
  calls(1, count(2000)),
  calls(64, count(20_000)),
  besides(count(20_000)),
  streams(1, count(10_000)),
  streams(100, count(400_000))
]
