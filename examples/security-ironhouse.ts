/**
 * The last of five set-ups: ironhouse. All is encrypted, and only those may come
 * whose certificates are in a folder. Add one, and its owner may; remove it, and
 * they may not.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect, Fiber, FileSystem, Option, References, Stream } from "effect"
import { Curve, Zap, Zmq } from "effect-zmq"

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  const [keys, ann, eve] = [yield* Curve.generate, yield* Curve.generate, yield* Curve.generate]
  // The secret key of a client stays with the client.
  yield* Curve.writeCertificate(`${folder}/ann.key`, { publicKey: ann.publicKey, metadata: { name: "Ann" } })

  const house = Effect.gen(function* () {
    const zap = yield* Zap.Zap
    const server = yield* Zmq.push({ security: Curve.server({ keys, domain: "global" }) })
    const endpoint = yield* server.bind("tcp://127.0.0.1:*")

    const client = (name: string, pair: Curve.KeyPair) =>
      Effect.gen(function* () {
        const decided = yield* Effect.forkScoped(Stream.runHead(zap.decisions), { startImmediately: true })
        const security = Curve.client({ keys: pair, serverKey: keys.publicKey })
        const socket = yield* Zmq.pull({ connect: endpoint, security })
        const decision = Option.getOrThrow(yield* Fiber.join(decided))
        console.log(`${name}: ${decision._tag}`)
        return socket
      })
    yield* client("eve", eve)
    const socket = yield* client("ann", ann)
    yield* server.send("Hello")
    console.log(`ann received: ${yield* socket.recvString}`)
  })

  yield* house.pipe(Effect.scoped, Effect.provide(Zap.layer({ curve: Zap.certificates(folder) })))
})

program.pipe(
  Effect.scoped,
  Effect.provide(NodeServices.layer),
  Effect.provideService(References.MinimumLogLevel, "Error"),
  NodeRuntime.runMain
)
