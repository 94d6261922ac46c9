/** A ROUTER that works on many requests at once, and a DEALER that has many in flight. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { Zmq } from "effect-zmq"

const square = Zmq.serve(
  ([number]) => {
    const n = Number(number)
    // The first requests take longest, so that their replies come last.
    return Effect.as(Effect.sleep(100 - n * 10), String(n * n))
  },
  { concurrency: 10 }
)

const client = Effect.gen(function* () {
  const squares = yield* Effect.forEach(
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
    (n) => Effect.map(Zmq.request(String(n)), ([reply]) => Number(reply)),
    { concurrency: "unbounded" }
  )
  console.log(squares.join(" "))
})

const program = Effect.gen(function* () {
  const server = yield* Zmq.router()
  const connect = yield* server.bind("tcp://127.0.0.1:*")
  yield* square.pipe(Effect.provideService(Zmq.Responder, server), Effect.forkScoped)
  yield* client.pipe(Effect.provide(Zmq.layer(Zmq.dealer({ connect }))))

  // A message to a client that is not there is an error, and not silently gone.
  const error = yield* Effect.flip(server.send(["nobody", "hello?"]))
  console.log(error._tag)
})

NodeRuntime.runMain(Effect.scoped(program))
