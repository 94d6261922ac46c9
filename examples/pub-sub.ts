/** A PUB with two topics, and a SUB for one of them. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Fiber, Stream } from "effect"
import { Zmq } from "effect-zmq"

// A message is received if its first frame begins with the topic.
const listener = Zmq.messages.pipe(
  Stream.take(3),
  Stream.runForEach(([topic, report]) => Effect.sync(() => console.log(`${topic}: ${report}`)))
)

const program = Effect.gen(function* () {
  const station = yield* Zmq.pub()
  const connect = yield* station.bind("tcp://127.0.0.1:*")
  const listening = yield* listener.pipe(
    Effect.provide(Zmq.layer(Zmq.sub({ connect, subscribe: ["weather."] }))),
    Effect.forkChild
  )
  // What is sent before anybody has subscribed goes nowhere.
  yield* station.awaitSubscribers("weather.")
  for (const degrees of [18, 21, 17]) {
    yield* station.send(["traffic.oslo", "jammed"])
    yield* station.send(["weather.oslo", `${degrees} degrees`])
  }
  yield* Fiber.join(listening)
})

NodeRuntime.runMain(Effect.scoped(program))
