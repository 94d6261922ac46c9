/** Batches into a store: each is one write and one `fsync`, and is settled when it is on the disk. */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Array, Deferred, Effect, Fiber, FileSystem, Schema } from "effect"
import { Codec, Zmq } from "effect-zmq"

const Reading = Schema.Struct({ id: Schema.Int, celsius: Schema.Number })
type Reading = typeof Reading.Type
const reading = Codec.json(Reading)

/**
 * Stands for a database. There, `insert` would be one transaction:
 * INSERT … ON CONFLICT (id) DO NOTHING. A batch whose handler fails or is interrupted
 * comes again: so its rows have a key, and one that is there twice counts once.
 */
const openStore = Effect.fn(function* (path: string) {
  const file = yield* (yield* FileSystem.FileSystem).open(path, { flag: "a" })
  const insert = (rows: ReadonlyArray<Reading>) =>
    file
      .writeAll(Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join("")))
      .pipe(Effect.andThen(file.sync), Effect.uninterruptible)
  return { insert }
})

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* fs.makeTempFileScoped()
  const store = yield* openStore(path)
  const readings = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
  const sensor = yield* Zmq.push({ connect: readings.endpoints })

  const all = yield* Deferred.make<void>()
  let [written, batches] = [0, 0]
  const record = (batch: Zmq.Batch) =>
    Effect.gen(function* () {
      // What does not decode costs nothing else.
      const [rows, invalid] = Array.partition(batch, reading.decode)
      for (const { reason } of invalid) yield* Effect.logWarning(reason)
      yield* store.insert(rows)
      batches++
      written += rows.length
      if (written >= 2000) yield* Deferred.succeed(all, undefined)
    })
  const recorder = yield* Effect.forkScoped(
    readings.runForEachBatch(record, { max: 500, within: "50 millis", until: Deferred.await(all) }),
    { startImmediately: true }
  )

  const ids = Array.range(1, 2000)
  yield* sensor.sendAll(ids.map((id) => JSON.stringify({ id, celsius: 20 + (id % 5) })))
  yield* Fiber.join(recorder)
  const lines = (yield* fs.readFileString(path)).trimEnd().split("\n")
  console.log(`${lines.length} rows, ${batches < 100 ? "in batches" : "one by one"}`)
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
