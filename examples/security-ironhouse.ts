/**
 * The last of five set-ups: ironhouse. All is encrypted, and only those may come
 * whose certificates are in a folder, which is watched. Add one, and its owner may;
 * remove it, and they may not.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect, FileSystem, References } from "effect"
import { Curve, Zap, Zmq } from "effect-zmq"

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  const [keys, ann, eve] = [yield* Curve.generate, yield* Curve.generate, yield* Curve.generate]
  // The secret key of a client stays with the client.
  const admit = (name: string, { publicKey }: Curve.KeyPair) =>
    Curve.writeCertificate(`${folder}/${name}.key`, { publicKey, metadata: { name } })
  yield* admit("ann", ann)

  const house = Effect.gen(function* () {
    const feed = yield* Zmq.pub({ bind: "tcp://127.0.0.1:*", security: Curve.server({ keys, domain: "global" }) })
    const client = (pair: Curve.KeyPair) =>
      Zmq.sub({
        connect: feed.endpoints,
        subscribe: "",
        security: Curve.client({ keys: pair, serverKey: keys.publicKey })
      })
    const hers = yield* client(ann)
    yield* feed.awaitSubscribers("")
    yield* feed.send("Hello Ann")
    console.log(`ann received: ${yield* hers.recvString}`)

    const other = yield* client(eve)
    const refused = yield* Effect.flip(other.awaitConnected)
    console.log(`eve: ${refused._tag}`)

    // A client that is refused tries again, and is let in when its certificate is there.
    yield* admit("eve", eve)
    yield* other.awaitConnected({ whileRefused: "wait" })
    yield* feed.awaitSubscribers("", 2)
    yield* feed.send("Hello Eve")
    console.log(`eve received: ${yield* other.recvString}`)
  })

  const certificates = Zap.layer({ curve: Zap.certificates(folder) })
  yield* house.pipe(Effect.scoped, Effect.provide(certificates))
})

program.pipe(
  Effect.scoped,
  Effect.provide(NodeServices.layer),
  Effect.provideService(References.MinimumLogLevel, "Error"),
  NodeRuntime.runMain
)
