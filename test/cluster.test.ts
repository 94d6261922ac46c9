/** A cluster of Effect over ZeroMQ: several runners in one process. */
import { expect, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import * as Cluster from "effect-zmq/Cluster"
import { sharedStorage } from "./support/cluster/locks.ts"
import { makeSeen, Pad, padOf } from "./support/cluster/pad.ts"
import { freePort, quick, start } from "./support/cluster/runners.ts"
import { pause, until } from "./support/sockets.ts"

it.live("smoke", () =>
  Effect.gen(function* () {
    const seen = makeSeen()
    const storage = yield* sharedStorage
    const [one, two] = [yield* freePort, yield* freePort]
    const runner = (name: string, port: number) =>
      start(
        padOf(name, seen, pause(5)).pipe(
          Layer.provideMerge(Cluster.layer({ storage: "byo", shardingConfig: quick(port) })),
          Layer.provide(storage.layer)
        )
      )
    yield* runner("one", one)
    yield* runner("two", two)
    const { services } = yield* start(
      Cluster.layer({ clientOnly: true, storage: "byo", shardingConfig: quick() }).pipe(
        Layer.provideMerge(storage.layer)
      )
    )
    const clientOf = yield* Effect.provide(Pad.client, services)
    yield* until(Effect.sync(() => new Set(storage.locks.values()).size === 2 && storage.locks.size === 12))
    const names = yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], (id) => clientOf(`${id}`).where(), {
      concurrency: "unbounded"
    })
    console.log(names)
    console.log(yield* clientOf("1").job({ id: "a" }))
    console.log(yield* Stream.runCollect(clientOf("1").count({ to: 5 })))
    console.log(yield* Stream.runCollect(clientOf("1").steps({ id: "b", to: 5 })))
  }).pipe(Effect.scoped)
)
