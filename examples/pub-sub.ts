/** A PUB with two topics, and a SUB for one of them. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Random, Stream } from "effect"
import { Zmq } from "effect-zmq"

const station = Effect.gen(function* () {
  const degrees = yield* Random.nextIntBetween(10, 30)
  yield* Zmq.send(["weather.oslo", `${degrees} degrees`])
  yield* Zmq.send(["traffic.oslo", "jammed"])
  yield* Effect.sleep("20 millis")
}).pipe(Effect.forever)

// A message is received if its first frame begins with the topic.
const listener = Zmq.messages.pipe(
  Stream.take(3),
  Stream.runForEach(([topic, report]) => Effect.sync(() => console.log(`${topic}: ${report}`)))
)

const program = Effect.gen(function* () {
  const pub = yield* Zmq.pub()
  const connect = yield* pub.bind("tcp://127.0.0.1:*")
  yield* listener.pipe(
    Effect.provide(Zmq.layer(Zmq.sub({ connect, subscribe: ["weather."] }))),
    // The station stops when the listener has heard enough.
    Effect.raceFirst(station.pipe(Effect.provideService(Zmq.Sender, pub)))
  )
  console.log("heard enough")
})

NodeRuntime.runMain(Effect.scoped(program))
