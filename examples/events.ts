/** What becomes of connections, and how not to lose the first messages on a subscriber that is late. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Fiber, Stream } from "effect"
import { Zmq } from "effect-zmq"

const words: Partial<Record<Zmq.SocketEvent["_tag"], string>> = {
  Listening: "listening",
  Accepted: "somebody came in",
  HandshakeSucceeded: "a peer is there",
  Disconnected: "the peer has left"
}

const program = Effect.gen(function* () {
  const station = yield* Zmq.pub({ bind: "tcp://127.0.0.1:*" })
  const listener = Effect.gen(function* () {
    const radio = yield* Zmq.sub({ connect: [...station.endpoints], subscribe: "weather." })
    // Whatever happened before somebody looks is told all the same.
    yield* radio.awaitConnected
    return yield* radio.recvString
  }).pipe(Effect.scoped)

  const listening = yield* Effect.forkChild(listener)
  yield* station.awaitSubscribers("weather.")
  yield* station.send("weather.oslo 21 degrees")
  console.log(`heard: ${yield* Fiber.join(listening)}`)

  yield* station.events.pipe(
    Stream.takeUntil((event) => event._tag === "Disconnected"),
    Stream.runForEach((event) => Effect.sync(() => console.log(`station: ${words[event._tag] ?? event._tag}`)))
  )
  const { bytesOut, messagesOut } = station.stats
  console.log(`sent ${messagesOut} message, ${bytesOut} bytes`)
})

NodeRuntime.runMain(Effect.scoped(program))
