/** A PUSH deals out jobs, three workers share them, and a PULL collects the results. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { Zmq } from "effect-zmq"

const worker = Effect.gen(function* () {
  const job = Number(yield* Zmq.recvString)
  yield* Zmq.send(String(job * job))
}).pipe(Effect.forever)

const program = Effect.gen(function* () {
  const ventilator = yield* Zmq.push()
  const sink = yield* Zmq.pull()
  const jobs = Zmq.layer(Zmq.pull({ connect: yield* ventilator.bind("tcp://127.0.0.1:*") }))
  const results = Zmq.layer(Zmq.push({ connect: yield* sink.bind("tcp://127.0.0.1:*") }))

  // Each worker has sockets of its own, which live as long as the worker. Without
  // `local`, Effect would build the two layers once and all three would share them.
  const workers = Effect.forEach(
    ["Ann", "Bob", "Cid"],
    () => worker.pipe(Effect.provide([jobs, results], { local: true })),
    { concurrency: "unbounded" }
  )
  yield* Effect.forkScoped(workers)

  for (let job = 1; job <= 30; job++) yield* ventilator.send(String(job))
  let sum = 0
  for (let job = 1; job <= 30; job++) sum += Number(yield* sink.recvString)
  console.log(`the sum of the first 30 squares is ${sum}`)
})

NodeRuntime.runMain(Effect.scoped(program))
