/** Calls between runners with more bytes than a runner takes. */
import { expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Schema } from "effect"
import { ClusterSchema, Entity } from "effect/cluster"
import { Rpc } from "effect/rpc"
import * as Cluster from "effect-zmq/Cluster"
import { sharedStorage } from "./support/cluster/locks.ts"
import { freePort, quick, start } from "./support/cluster/runners.ts"
import { pause, until } from "./support/sockets.ts"

const most = 20_000

const payload = { id: Schema.String, text: Schema.String, bytes: Schema.Number }

const Heap = Entity.make("Heap", [
  Rpc.make("wait", { payload: { id: Schema.String }, success: Schema.String }),
  Rpc.make("volatile", { payload, success: Schema.String }),
  Rpc.make("persisted", { payload, success: Schema.String, primaryKey: ({ id }) => id }).annotate(
    ClusterSchema.Persisted,
    true
  )
])

const large = "x".repeat(most)

for (const serialization of ["binary", "ndjson"] as const) {
  it.live(`end by themselves, and once: as ${serialization}`, () =>
    Effect.gen(function* () {
      const done: Array<string> = []
      const waits = { begun: 0, over: false }
      const fill = ({
        payload: { bytes, id }
      }: {
        readonly payload: { readonly bytes: number; readonly id: string }
      }) =>
        Effect.sync(() => {
          done.push(id)
          return "x".repeat(bytes)
        })
      const wait = () =>
        Effect.gen(function* () {
          waits.begun++
          while (!waits.over) yield* pause(5)
          return "waited"
        })
      const handlers = Heap.toLayer({ wait, volatile: fill, persisted: fill }, { concurrency: "unbounded" })
      const { layer } = yield* sharedStorage
      const options = { storage: "byo", serialization, maxMessageSize: most } as const
      const port = yield* freePort
      yield* start(
        handlers.pipe(Layer.provide(Cluster.layer({ ...options, shardingConfig: quick(port) })), Layer.provide(layer))
      )
      const client = yield* start(
        Cluster.layer({ ...options, clientOnly: true, shardingConfig: quick() }).pipe(Layer.provideMerge(layer))
      )
      const heap = (yield* Effect.provide(Heap.client, client.services))("one")

      const waiting = yield* Effect.forkChild(heap.wait({ id: "wait" }))
      yield* until(Effect.sync(() => waits.begun === 1))
      const endOf = <A, E>(self: Effect.Effect<A, E>) =>
        Effect.map(Effect.exit(self), (exit) =>
          Exit.isSuccess(exit) ? exit.value : Cause.hasDies(exit.cause) ? `${Cause.squash(exit.cause)}` : exit.cause
        )
      expect(yield* endOf(heap.volatile({ id: "a", text: large, bytes: 1 }))).toMatch(
        /TooLarge: the call has \d+ bytes/
      )
      expect(yield* endOf(heap.volatile({ id: "b", text: "", bytes: most }))).toMatch(
        /TooLarge: the reply has \d+ bytes/
      )
      // The storage has them.
      expect(yield* endOf(heap.persisted({ id: "c", text: large, bytes: 1 }))).toBe("x")
      expect(yield* endOf(heap.persisted({ id: "d", text: "", bytes: most }))).toBe(large)
      expect(yield* endOf(heap.persisted({ id: "e", text: large, bytes: most }))).toBe(large)
      expect(yield* endOf(heap.persisted({ id: "f", text: large, bytes: 1 }, { discard: true }))).toBe(undefined)
      yield* until(Effect.sync(() => done.includes("f")))
      expect(yield* endOf(heap.volatile({ id: "g", text: large, bytes: 1 }, { discard: true }))).toMatch(
        /TooLarge: the call/
      )
      expect(done).toEqual(["b", "c", "d", "e", "f"])

      // Whoever was under way beside them has noticed nothing.
      waits.over = true
      expect(yield* Fiber.join(waiting)).toBe("waited")
      expect(waits.begun).toBe(1)
    }).pipe(Effect.scoped)
  )
}
