/** A server of Effect's RPC, until it is killed. Prints where it listens, and each call that it does not answer. */
import { Effect, Layer } from "effect"
import { RpcSerialization, RpcServer } from "effect/rpc"
import { SocketServer as EffectServer } from "effect/socket"
import * as SocketServer from "../../src/SocketServer.ts"
import { Counting } from "./counting.ts"

const main = Effect.gen(function* () {
  const server = yield* SocketServer.make({ bind: process.argv[2]! })
  const handlers = Counting.toLayer({
    next: ({ after }) => Effect.succeed(after + 1),
    stuck: () =>
      Effect.andThen(
        Effect.sync(() => console.log("stuck")),
        Effect.never
      )
  })
  console.log(server.endpoints[0])
  return yield* Layer.launch(
    RpcServer.layer(Counting).pipe(
      Layer.provide(handlers),
      Layer.provide(RpcServer.layerProtocolSocketServer),
      Layer.provide([RpcSerialization.layerNdjson, Layer.succeed(EffectServer.SocketServer, server)])
    )
  )
})

Effect.runFork(Effect.scoped(main))
