/** A REP that answers, a REQ that gives up on a slow answer and simply asks again. */
import { NodeRuntime } from "@effect/platform-node"
import { Deferred, Effect } from "effect"
import { Zmq } from "effect-zmq"

const program = Effect.gen(function* () {
  const server = yield* Zmq.rep()
  const connect = yield* server.bind("tcp://127.0.0.1:*")

  // The first answer takes longer than the client is willing to wait.
  const tooLate = yield* Deferred.make<void>()
  yield* server
    .serve(([question]) => Effect.as(Deferred.await(tooLate), `the answer to ${question}`))
    .pipe(Effect.forkScoped)

  const client = Effect.gen(function* () {
    // The late answer to the first attempt is never taken for the answer to the second.
    const [answer] = yield* Zmq.request("life").pipe(
      Effect.timeout("200 millis"),
      Effect.catchTag("TimeoutError", (error) =>
        Effect.gen(function* () {
          console.log(`no answer yet: ${error._tag}`)
          yield* Deferred.succeed(tooLate, undefined)
          return yield* Zmq.request("life")
        })
      )
    )
    console.log(`${answer}`)
    const [other] = yield* Zmq.request("everything")
    console.log(`${other}`)
  })
  yield* client.pipe(Effect.provide(Zmq.layer(Zmq.req({ connect }))))
})

NodeRuntime.runMain(Effect.scoped(program))
