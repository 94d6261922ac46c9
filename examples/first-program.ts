/** The smallest program: a PULL that listens, a PUSH that connects, a message between them. */
import { Effect } from "effect"
import { Zmq } from "effect-zmq"

const program = Effect.gen(function* () {
  const jobs = yield* Zmq.pull()
  const endpoint = yield* jobs.bind("tcp://127.0.0.1:*")
  const out = yield* Zmq.push({ connect: endpoint })

  yield* out.send("hello")
  console.log(`received: ${yield* jobs.recvString}`)
})

// The scope of the program closes both sockets at its end.
Effect.runPromise(Effect.scoped(program))
