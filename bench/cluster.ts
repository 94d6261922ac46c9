/** Calls of entities over ZeroMQ against `NodeClusterSocket` of Effect, with the same runners and serialization. */
import { Effect } from "effect"
import { startClient } from "./clusterClient.ts"
import { freePort, startRunners, type Transport, transports } from "./clusterPeer.ts"
import { count, type Sample, type Workload } from "./harness.ts"

// So often it runs before it counts, as V8 needs that to have compiled all of it.
const warmUps = 3

/** With each of them, in two new processes every round: what V8 happens to make of one is not in all rounds. */
const calls = (atOnce: number, made: number): Workload => ({
  name: atOnce === 1 ? "a call of an entity in flight" : `${atOnce} calls of entities in flight`,
  unit: "µs",
  once: true,
  cold: true,
  contenders: Object.fromEntries(
    transports.map((transport) => [
      transport,
      (): Promise<Sample> =>
        Effect.gen(function* () {
          const port = yield* freePort
          yield* startRunners([{ transport, port, ports: [port] }])
          const client = yield* startClient(transport, [port])
          for (let run = 0; run < warmUps; run++) yield* client({ atOnce, calls: made })
          return yield* client({ atOnce, calls: made })
        }).pipe(Effect.scoped, Effect.runPromise)
    ])
  )
})

const of = ["NodeClusterSocket", "effect-zmq", "effect-zmq on ZMTP"] as const satisfies ReadonlyArray<Transport>

/** Runners that all call each other: what a call costs, and what each of them keeps. */
const growth = (made: number): Workload => ({
  name: "calls of entities, of which half go on to another runner, with so many runners",
  unit: "µs, MiB",
  once: true,
  cold: true,
  contenders: Object.fromEntries(
    of.flatMap((transport) =>
      [1, 2, 4, 8].map((runners) => [
        `${transport}, ${runners}`,
        (): Promise<Sample> =>
          Effect.gen(function* () {
            const ports = yield* Effect.all(Array.from({ length: runners }, () => freePort))
            const start = (port: number) => startRunners([{ transport, port, ports }])
            const all = yield* Effect.forEach(ports, start, { concurrency: "unbounded" })
            const client = yield* startClient(transport, ports)
            yield* client({ atOnce: 64, calls: made / 4, through: true })
            const sample = yield* client({ atOnce: 64, calls: made, through: true })
            const memory = yield* Effect.forEach(all, ({ memory }) => memory)
            return { ...sample, "MiB for each": memory.reduce((sum, one) => sum + one, 0) / runners }
          }).pipe(Effect.scoped, Effect.runPromise)
      ])
    )
  )
})

export const cluster = (): Array<Workload> => [calls(1, count(1000)), calls(64, count(10_000)), growth(count(10_000))]
