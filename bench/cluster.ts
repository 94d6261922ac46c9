/** Calls of entities over ZeroMQ against `NodeClusterSocket` of Effect, with the same runners and serialization. */
import { Context, Effect, Layer } from "effect"
import { Sharding } from "effect/cluster"
import { Echo, freePort, layerClient, startRunners, Through, type Transport, transports } from "./clusterPeer.ts"
import { callsOf, count, Kept, type Workload } from "./harness.ts"

const text = "a".repeat(16)
const entities = 64

type Call = (number: number) => Effect.Effect<unknown, unknown>

const callAll = (call: Call, atOnce: number, made: number) => callsOf("calls of entities", call, atOnce, made)

const clients = (transport: Transport, ports: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(layerClient(transport, ports))
    const sharding = Context.get(context, Sharding.Sharding)
    const echoes = yield* sharding.makeClient(Echo)
    const throughs = yield* sharding.makeClient(Through)
    // Once each: until the shards are with their runners, a call is made again.
    for (let at = 0; at < entities; at++) {
      yield* echoes(`e${at}`).echo({ text })
      yield* throughs(`t${at}`).echo({ text, to: `e${(at + 1) % entities}` })
    }
    return { echoes, throughs }
  })

const calls = (atOnce: number, made: number): Workload => {
  const kept = new Kept()
  const ports = kept.keep(Effect.all(transports.map(() => freePort)))
  const runners = kept.keep(
    Effect.flatMap(Effect.promise(ports), (ports) =>
      startRunners(transports.map((transport, at) => ({ transport, port: ports[at]!, ports: [ports[at]!] })))
    )
  )
  return {
    name: atOnce === 1 ? "a call of an entity in flight" : `${atOnce} calls of entities in flight`,
    unit: "µs",
    contenders: Object.fromEntries(
      transports.map((transport, at) => {
        const client = kept.keep(
          Effect.gen(function* () {
            yield* Effect.promise(runners)
            return yield* clients(transport, [(yield* Effect.promise(ports))[at]!])
          })
        )
        return [
          transport,
          async () => {
            const { echoes } = await client()
            return Effect.runPromise(callAll((number) => echoes(`e${number % entities}`).echo({ text }), atOnce, made))
          }
        ]
      })
    ),
    close: kept.close
  }
}

/** Runners that all call each other: what a call costs, and what each of them keeps. */
const growth = (made: number): Workload => ({
  name: "calls of entities, of which half go on to another runner, with so many runners",
  unit: "µs, MiB",
  once: true,
  cold: true,
  contenders: Object.fromEntries(
    (["NodeClusterSocket", "effect-zmq", "effect-zmq on ZMTP"] as const).flatMap((transport) =>
      [1, 2, 4, 8].map((runners) => [
        `${transport}, ${runners}`,
        () =>
          Effect.runPromise(
            Effect.scoped(
              Effect.gen(function* () {
                const ports = yield* Effect.all(Array.from({ length: runners }, () => freePort))
                const all = yield* Effect.forEach(ports, (port) => startRunners([{ transport, port, ports }]), {
                  concurrency: "unbounded"
                })
                const { echoes, throughs } = yield* clients(transport, ports)
                const call = (number: number) => {
                  const one = number % entities
                  return number % 2 === 0
                    ? echoes(`e${one}`).echo({ text })
                    : throughs(`t${one}`).echo({ text, to: `e${(number * 7) % entities}` })
                }
                yield* callAll(call, 64, made / 4)
                const sample = yield* callAll(call, 64, made)
                const memory = yield* Effect.forEach(all, ({ memory }) => memory)
                return { ...sample, "MiB for each": memory.reduce((sum, one) => sum + one, 0) / runners }
              })
            )
          )
      ])
    )
  )
})

export const cluster = (): Array<Workload> => [calls(1, count(1000)), calls(64, count(10_000)), growth(count(10_000))]
