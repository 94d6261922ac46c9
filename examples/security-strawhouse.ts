/**
 * The second of five set-ups: strawhouse. Clients are let in by their address.
 * Nothing is encrypted.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, References, Stream } from "effect"
import { Null, Zap, Zmq } from "effect-zmq"

const program = Effect.gen(function* () {
  const server = yield* Zmq.push({ security: Null.server({ domain: "global" }) })
  const endpoint = yield* server.bind("tcp://127.0.0.1:*")
  const client = yield* Zmq.pull({ connect: endpoint })
  yield* server.send("Hello")
  console.log(`the client received: ${yield* client.recvString}`)

  // From now on only others may connect. Who is connected stays so.
  const zap = yield* Zap.Zap
  yield* zap.setAddressRules({ allow: ["10.0.0.0/8"] })
  const another = yield* Zmq.pull({ connect: endpoint })
  yield* another.events.pipe(
    Stream.filter(Zmq.SocketEvent.$is("HandshakeFailed")),
    Stream.take(1),
    Stream.runForEach(({ status }) => Effect.sync(() => console.log(`another client was refused: ${status}`)))
  )
})

program.pipe(
  Effect.scoped,
  Effect.provide(Zap.layer({ allow: ["127.0.0.1", "10.0.0.0/8"], deny: ["10.1.2.3"] })),
  // Each denial is a warning in the log.
  Effect.provideService(References.MinimumLogLevel, "Error"),
  NodeRuntime.runMain
)
