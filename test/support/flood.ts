/** Sends numbered messages to an endpoint as fast as it can, until it is killed. */
import { Effect } from "effect"
import { Zmq } from "effect-zmq"

function* numbered() {
  for (let number = 0; ; number++) yield `${number}`
}

await Effect.runPromise(
  Effect.scoped(
    Effect.gen(function* () {
      const push = yield* Zmq.push({ connect: process.argv[2]!, linger: 0 })
      yield* push.sendAll(numbered())
    })
  )
)
