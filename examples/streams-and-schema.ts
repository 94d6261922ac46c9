/** Typed messages: encoded by a schema, sent from one stream, and received as another. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Schema, Stream } from "effect"
import { Zmq } from "effect-zmq"

const Reading = Schema.Struct({ sensor: Schema.String, celsius: Schema.Number, at: Schema.Date })

const readings = Stream.make(
  { sensor: "roof", celsius: 21.5, at: new Date("2025-06-01T10:00:00Z") },
  { sensor: "cellar", celsius: 11, at: new Date("2025-06-01T10:01:00Z") },
  { sensor: "roof", celsius: 22.5, at: new Date("2025-06-01T10:02:00Z") }
)

const program = Effect.gen(function* () {
  const station = yield* Zmq.pull()
  const sensors = yield* Zmq.push({ connect: yield* station.bind("tcp://127.0.0.1:*") })

  yield* Stream.runForEach(readings, sensors.sendSchema(Reading))
  const average = yield* station.stream(Reading).pipe(
    Stream.take(3),
    Stream.tap(({ at, sensor }) => Effect.sync(() => console.log(`${at.toISOString()} ${sensor}`))),
    Stream.runFold(
      () => 0,
      (sum, { celsius }) => sum + celsius / 3
    )
  )
  console.log(`average ${average.toFixed(1)}`)

  // What does not fit the schema fails, and the error has the message.
  yield* sensors.sendJson({ sensor: "attic" })
  const error = yield* Effect.flip(station.recvSchema(Reading))
  if (error._tag === "DecodeError") console.log(`refused: ${error.frames[0]}`)
})

NodeRuntime.runMain(Effect.scoped(program))
