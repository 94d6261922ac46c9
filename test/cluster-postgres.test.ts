/** A cluster whose runners share a Postgres, and the environment, as it is in use. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Fiber, Layer, Redacted, Stream } from "effect"
import * as Cluster from "effect-zmq/Cluster"
import { expect, it } from "vitest"
import { makeSeen, Pad, padOf } from "./support/cluster/pad.ts"
import { freePort, quick, start } from "./support/cluster/runners.ts"
import { hasPostgres, missingPostgres, postgres } from "./support/postgres.ts"
import { numbers, pause, until } from "./support/sockets.ts"

const started = (isAdvisory: boolean) =>
  Effect.gen(function* () {
    const seen = makeSeen()
    const database = PgClient.layer({ url: Redacted.make(yield* postgres) })
    const config = (port?: number) => ({
      ...quick(port),
      shardLockDisableAdvisory: !isAdvisory,
      // Each is also how long Postgres may take.
      refreshAssignmentsInterval: 500,
      shardLockRefreshInterval: 5000,
      shardLockExpiration: 20_000
    })
    const runner = (name: string, port: number) =>
      start(
        padOf(name, seen, pause(5)).pipe(
          Layer.provide(Cluster.layer({ shardingConfig: config(port) })),
          Layer.provide(database)
        )
      )
    const { services } = yield* start(
      Cluster.layer({ clientOnly: true, shardingConfig: config() }).pipe(Layer.provide(database))
    )
    return { seen, runner, pad: yield* Effect.provide(Pad.client, services) }
  })

for (const isAdvisory of [true, false]) {
  const name = isAdvisory ? "advisory locks" : "rows as locks"
  it.skipIf(!hasPostgres)(hasPostgres ? name : `${name} (${missingPostgres})`, { timeout: 300_000 }, () =>
    Effect.gen(function* () {
      const { pad, runner, seen } = yield* started(isAdvisory)
      yield* runner("one", yield* freePort)
      const two = yield* runner("two", yield* freePort)
      const ids = numbers(0, 30).map(String)
      const wheres = Effect.map(
        Effect.forEach(ids, (id) => pad(id).where(), { concurrency: "unbounded" }),
        (names) => new Set(names)
      )
      yield* until(Effect.map(wheres, ({ size }) => size === 2))

      // Persisted: replied, and streamed to its end.
      const jobs = yield* Effect.forEach(ids, (id) => pad(id).job({ id }), { concurrency: "unbounded" })
      expect(new Set(jobs)).toEqual(new Set(["one", "two"]))
      for (const id of ["0", "1", "2"]) {
        expect(yield* Stream.runCollect(pad(id).steps({ id, to: 5 }))).toEqual([1, 2, 3, 4, 5])
      }
      // Asked for again, it is replied from the storage.
      yield* Effect.forEach(ids, (id) => pad(id).job({ id }), { concurrency: "unbounded" })
      expect(new Set(seen.done)).toEqual(new Set(ids))

      // One leaves while jobs are under way: all are replied.
      const reply = (n: number) => pad(`${n % 30}`).job({ id: `more ${n}` })
      const more = yield* Effect.forkChild(Effect.forEach(numbers(0, 300), reply, { concurrency: 50 }))
      yield* until(Effect.sync(() => seen.done.length > 60))
      yield* two.end
      expect((yield* Fiber.join(more)).length).toBe(300)
      expect(yield* wheres).toEqual(new Set(["one"]))
    }).pipe(Effect.scoped, Effect.runPromise)
  )
}
