/** What becomes of calls that a runner has not begun with when it ends. */
import { expect, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Stream } from "effect"
import { RunnerHealth, RunnerServer, ShardingConfig } from "effect/cluster"
import { RpcSerialization } from "effect/rpc"
import * as Cluster from "effect-zmq/Cluster"
import { ServerEndpoint } from "effect-zmq/Rpc"
import { sharedStorage } from "./support/cluster/locks.ts"
import { makeSeen, Pad, padOf } from "./support/cluster/pad.ts"
import { freePort, quick, start } from "./support/cluster/runners.ts"
import { pause, until } from "./support/sockets.ts"

const serializations = {
  binary: RpcSerialization.layerSchemaBinary(),
  ndjson: RpcSerialization.layerNdjson
}

for (const serialization of ["binary", "ndjson"] as const) {
  it.live(`the next owner answers them: as ${serialization}`, () =>
    Effect.gen(function* () {
      const seen = makeSeen()
      const { layer, locks } = yield* sharedStorage
      // It has all shards, and no entity yet: calls wait for one.
      const ending = yield* start(
        RunnerServer.layerWithClients.pipe(
          Layer.provideMerge(Cluster.layerServerProtocol()),
          Layer.provide([Cluster.layerClientProtocol(), RunnerHealth.layerNoop, layer]),
          Layer.provide([ShardingConfig.layer(quick(yield* freePort)), serializations[serialization]])
        )
      )
      yield* until(Effect.sync(() => locks.size === 12))

      const options = { storage: "byo", serialization } as const
      const { services } = yield* start(
        Cluster.layer({ ...options, clientOnly: true, shardingConfig: quick() }).pipe(Layer.provideMerge(layer))
      )
      const pad = (yield* Effect.provide(Pad.client, services))("a")
      const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        pad.job({ id: "a" }),
        pad.where(),
        Stream.runCollect(pad.steps({ id: "b", to: 3 })),
        Stream.runCollect(pad.count({ to: 3 }))
      ]
      const replies = yield* Effect.forkChild(Effect.all(calls, { concurrency: "unbounded" }))
      const endpoint = Context.get(ending.services, ServerEndpoint)
      yield* until(Effect.sync(() => endpoint.stats.calls === calls.length))
      yield* ending.end
      yield* start(
        padOf("next", seen, pause(5)).pipe(
          Layer.provide(Cluster.layer({ ...options, shardingConfig: quick(yield* freePort) })),
          Layer.provide(layer)
        )
      )
      expect(yield* Fiber.join(replies)).toEqual(["next", "next", [1, 2, 3], [1, 2, 3]])
      expect(seen.done).toEqual(["a"])
    }).pipe(Effect.scoped)
  )
}

it.live("the next owner answers a call whose entity was not made yet", () =>
  Effect.gen(function* () {
    const seen = makeSeen()
    const { layer, locks } = yield* sharedStorage
    const runner = (entity: ReturnType<typeof padOf>) =>
      Effect.flatMap(freePort, (port) =>
        start(
          entity.pipe(
            Layer.provide(Cluster.layer({ storage: "byo", shardingConfig: quick(port) })),
            Layer.provide(layer)
          )
        )
      )
    let making = 0
    const neverMade = Effect.suspend(() => {
      making++
      return Effect.never
    })
    const ending = yield* runner(Pad.toLayer(neverMade))
    yield* until(Effect.sync(() => locks.size === 12))
    const { services } = yield* start(
      Cluster.layer({ storage: "byo", clientOnly: true, shardingConfig: quick() }).pipe(Layer.provideMerge(layer))
    )
    const pad = (yield* Effect.provide(Pad.client, services))("a")
    const call = yield* Effect.forkChild(pad.where())
    yield* until(Effect.sync(() => making === 1))
    const end = yield* Effect.forkChild(ending.end)
    yield* runner(padOf("next", seen, pause(5)))
    yield* Fiber.join(end)
    expect(yield* Fiber.join(call)).toBe("next")
  }).pipe(Effect.scoped)
)
