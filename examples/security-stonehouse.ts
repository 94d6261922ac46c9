/**
 * The fourth of five set-ups: stonehouse. All is encrypted, and clients know that
 * they talk to the server. Everybody may come who has its public key.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, References, Stream } from "effect"
import { Curve, Zap, Zmq } from "effect-zmq"

const program = Effect.gen(function* () {
  const keys = yield* Curve.generate
  const server = yield* Zmq.push({ security: Curve.server({ keys, domain: "global" }) })
  const endpoint = yield* server.bind("tcp://127.0.0.1:*")

  // Any pair of keys will do.
  const client = yield* Zmq.pull({
    connect: endpoint,
    security: Curve.client({ keys: yield* Curve.generate, serverKey: keys.publicKey })
  })
  yield* server.send("Hello")
  console.log(`the client received: ${yield* client.recvString}`)

  // One that takes the server for another, and one that does not encrypt.
  const { publicKey } = yield* Curve.generate
  const security = Curve.client({ keys: yield* Curve.generate, serverKey: publicKey })
  for (const stranger of [yield* Zmq.pull({ connect: endpoint, security }), yield* Zmq.pull({ connect: endpoint })]) {
    yield* stranger.events.pipe(
      Stream.filter(Zmq.SocketEvent.$is("HandshakeFailed")),
      Stream.take(1),
      Stream.runForEach(() => Effect.sync(() => console.log("a stranger was refused")))
    )
  }
})

program.pipe(
  Effect.scoped,
  Effect.provide(Zap.layer({ curve: Zap.anybody, deny: ["10.1.2.3"] })),
  Effect.provideService(References.MinimumLogLevel, "Error"),
  NodeRuntime.runMain
)
