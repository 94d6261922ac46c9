/** A CURVE server, a client that has its public key, and one that does not and stays outside. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, References, Stream } from "effect"
import { Curve, Zmq } from "effect-zmq"

const program = Effect.gen(function* () {
  // In a real system each side makes its own keys (`Curve.writeCertificate` keeps
  // them in files), and only the public ones travel.
  const serverKeys = yield* Curve.generate
  const clientKeys = yield* Curve.generate
  const strangersKeys = yield* Curve.generate

  const server = yield* Zmq.rep({ bind: "tcp://127.0.0.1:*", security: Curve.server({ keys: serverKeys }) })
  const connect = [...server.endpoints]
  yield* Effect.forkScoped(server.serve(([question]) => Effect.succeed(`the answer to ${question}`)))

  const client = yield* Zmq.req({
    connect,
    security: Curve.client({ keys: clientKeys, serverKey: serverKeys.publicKey })
  })
  const [answer] = yield* client.request("life")
  console.log(`${answer}`)

  // Who has another key than the server's cannot even ask.
  const stranger = yield* Zmq.req({
    connect,
    linger: 0,
    security: Curve.client({ keys: strangersKeys, serverKey: strangersKeys.publicKey })
  })
  const refused = (socket: Zmq.Socket) =>
    socket.events.pipe(Stream.filter(Zmq.SocketEvent.$is("HandshakeFailed")), Stream.take(1), Stream.runCollect)
  const [seenByServer] = yield* refused(server)
  const [seenByStranger] = yield* refused(stranger)
  console.log(`the server refused a peer: ${seenByServer?.reason}, ${seenByServer?.code}`)
  console.log(`the stranger was refused: ${seenByStranger?._tag}`)

  // A secret key is Redacted: no log shows it.
  console.log(`secret key: ${clientKeys.secretKey}`)
})

// Each refusal is a warning, too. Here the events say it all.
NodeRuntime.runMain(Effect.scoped(program).pipe(Effect.provideService(References.MinimumLogLevel, "Error")))
