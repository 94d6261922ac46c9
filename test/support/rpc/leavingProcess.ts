/**
 * A client of RPC that nobody has answered, and one whose server has gone. When both have closed the process has nothing
 * to do. Argument: the endpoint.
 */
import { Effect, Exit } from "effect"
import { until } from "../sockets.ts"
import { serializations, startClient, startServer } from "./transports.ts"

const [endpoint = ""] = process.argv.slice(2)

const client = Effect.map(startClient({ connect: endpoint, openTimeout: "500 millis" }), (client) => ({
  answered: until(Effect.map(Effect.exit(client.get({ id: 1 })), Exit.isSuccess)),
  failed: until(Effect.map(Effect.exit(client.get({ id: 1 })), Exit.isFailure))
}))

const main = Effect.gen(function* () {
  yield* Effect.scoped(Effect.flatMap(client, ({ failed }) => failed))
  const { answered, failed } = yield* client
  yield* Effect.scoped(Effect.andThen(startServer({ bind: endpoint }), answered))
  yield* failed
}).pipe(Effect.scoped, Effect.provide(serializations.ndjson))

await Effect.runPromise(main)
console.log("closed")
