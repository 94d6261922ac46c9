/**
 * The first of five set-ups, from the guide of ZeroMQ: grasslands. No security:
 * everybody can connect, and everybody on the way can read. As it is unless you
 * say otherwise.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { Zmq } from "effect-zmq"

const program = Effect.gen(function* () {
  const server = yield* Zmq.push()
  const endpoint = yield* server.bind("tcp://127.0.0.1:*")
  const client = yield* Zmq.pull({ connect: endpoint })

  yield* server.send("Hello")
  console.log(`the client received: ${yield* client.recvString}`)
})

NodeRuntime.runMain(Effect.scoped(program))
