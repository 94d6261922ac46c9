/** Two copies of a program in one process, each in a context of its own, and what went through their sockets. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Metric } from "effect"
import { Zmq } from "effect-zmq"

// Both bind the same name: a context has its own.
const program = (name: string) =>
  Effect.gen(function* () {
    const jobs = yield* Zmq.pull({ bind: "inproc://jobs" })
    const source = yield* Zmq.push({ connect: "inproc://jobs" })
    yield* Zmq.reportMetrics(jobs, { attributes: { program: name } })
    yield* source.sendAll(["one", "two", "three"].map((job) => `${job} of ${name}`))
    yield* jobs.recvString
    const job = yield* jobs.recvString
    console.log(`${job}; ${jobs.stats.queued} left`)
  }).pipe(Effect.scoped, Effect.provide(Zmq.Context.layer({ ioThreads: 0 })))

const metrics = Effect.gen(function* () {
  for (const { attributes, id, state } of yield* Metric.snapshot) {
    if (id === "zmq_bytes_in" && "count" in state) console.log(`${attributes?.program}: ${state.count} bytes`)
  }
})

NodeRuntime.runMain(
  Effect.all([program("left"), program("right")], { concurrency: "unbounded" }).pipe(Effect.andThen(metrics))
)
