/** A client of RPC in a process of its own, that asks for what never ends. Argument: the endpoint. */
import { Effect } from "effect"
import { RpcClient, RpcSerialization } from "effect/rpc"
import * as Rpc from "effect-zmq/Rpc"
import { Api } from "./api.ts"

const [endpoint = "", name = ""] = process.argv.slice(2)

const main = Effect.gen(function* () {
  const protocol = yield* Rpc.makeProtocolClient({ connect: endpoint, pingInterval: "300 millis" })
  const client = yield* RpcClient.make(Api).pipe(Effect.provideService(RpcClient.Protocol, protocol))
  yield* client.forever({ name })
}).pipe(Effect.scoped, Effect.provide(RpcSerialization.layerNdjson))

Effect.runFork(main)
