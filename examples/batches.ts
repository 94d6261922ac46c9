/**
 * Batches into a database: each is one insert into Postgres, and is settled when that is committed.
 * DATABASE_URL=postgres://me@localhost/test npx tsx examples/batches.ts
 */
import { NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Array, Config, Deferred, Effect, Fiber, Schedule, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Codec, Zmq } from "effect-zmq"

const reading = Codec.json(Schema.Struct({ id: Schema.Int, celsius: Schema.Number }))

const program = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE IF NOT EXISTS readings (id INTEGER PRIMARY KEY, celsius REAL NOT NULL)`
  const readings = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
  const sensor = yield* Zmq.push({ connect: readings.endpoints })

  const all = yield* Deferred.make<void>()
  let [written, inserts, settled] = [0, 0, 0]
  const record = (batch: Zmq.Batch) =>
    Effect.gen(function* () {
      // What does not decode costs nothing else.
      const [rows, invalid] = Array.partition(batch, reading.decode)
      for (const { reason } of invalid) yield* Effect.logWarning(reason)
      // A batch may come twice, and its rows have a key: one that is there already stays as it is.
      if (Array.isArrayNonEmpty(rows)) yield* sql`INSERT INTO readings ${sql.insert(rows)} ON CONFLICT (id) DO NOTHING`
      // As when a connection breaks behind the commit: the rows are there, and nobody knows.
      if (inserts++ === 0) return yield* Effect.fail("no answer")
      settled++
      written += rows.length
      if (written >= 2000) yield* Deferred.succeed(all, undefined)
    })
  const recorder = yield* Effect.forkScoped(
    readings.runForEachBatch(record, {
      max: 500,
      within: "50 millis",
      retry: Schedule.exponential("50 millis").pipe(Schedule.upTo({ times: 5 })),
      until: Deferred.await(all)
    }),
    { startImmediately: true }
  )

  const ids = Array.range(1, 2000)
  yield* sensor.sendAll(ids.map((id) => JSON.stringify({ id, celsius: 20 + (id % 5) })))
  yield* Fiber.join(recorder)
  const [counted] = yield* sql<{ rows: number }>`SELECT count(*)::int AS rows FROM readings`
  console.log(`${counted!.rows} rows, ${settled < 100 ? "in batches" : "one by one"}; ${inserts - settled} came twice`)
})

const database = PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") })
NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(database)))
