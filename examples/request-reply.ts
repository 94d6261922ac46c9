/** A REP that answers, a REQ that gives up on a slow answer and simply asks again. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { Zmq } from "effect-zmq"

let asked = 0
const slowAtFirst = Zmq.serve(([question]) =>
  Effect.gen(function* () {
    if (asked++ === 0) yield* Effect.sleep("300 millis")
    return `the answer to ${question}`
  })
)

const client = Effect.gen(function* () {
  // The late answer to the first attempt is never taken for the answer to the second.
  const [answer] = yield* Zmq.request("life").pipe(
    Effect.timeout("200 millis"),
    Effect.tapError((error) => Effect.sync(() => console.log(`no answer yet: ${error._tag}`))),
    Effect.retry({ times: 5 })
  )
  console.log(`${answer}`)
  const [other] = yield* Zmq.request("everything")
  console.log(`${other}`)
})

const program = Effect.gen(function* () {
  const server = yield* Zmq.rep()
  const connect = yield* server.bind("tcp://127.0.0.1:*")
  yield* slowAtFirst.pipe(Effect.provideService(Zmq.Responder, server), Effect.forkScoped)
  yield* client.pipe(Effect.provide(Zmq.layer(Zmq.req({ connect }))))
})

NodeRuntime.runMain(Effect.scoped(program))
