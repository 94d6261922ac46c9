/**
 * A worker says what it needs and not where it comes from. So a test gives it
 * what it likes: sockets in memory, a clock it can turn, or no socket at all.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Context, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Zmq } from "effect-zmq"

// A name of your own, with just what the program uses of the socket.
class Results extends Context.Service<Results, Pick<Zmq.Push, "send">>()("app/Results") {
  static readonly layer = Layer.effect(Results, Zmq.push({ connect: "tcp://127.0.0.1:5558" }))
}

// The program: it needs something to receive from, and somewhere to put results.
const worker = Effect.gen(function* () {
  const results = yield* Results
  const job = yield* Zmq.recvString
  yield* results.send(job.toUpperCase())
})

// In production: two layers. This is where the endpoints are.
const jobs = Zmq.layer(Zmq.pull({ connect: "tcp://127.0.0.1:5557" }))
export const main = worker.pipe(Effect.forever, Effect.provide(Layer.merge(jobs, Results.layer)))

// In a test without sockets: doubles that can do what the worker uses.
const sent: Array<unknown> = []
const doubles = Layer.mergeAll(
  Layer.mock(Zmq.Receiver)({ recvString: Effect.succeed("paint it") }),
  Layer.succeed(Results, { send: (message) => Effect.sync(() => void sent.push(message)) })
)
const withDoubles = Effect.gen(function* () {
  yield* Effect.provide(worker, doubles)
  console.log(`the worker sent ${sent}`)
})

// In a test with real sockets, in memory, and a clock that the test turns.
const withTestClock = Effect.gen(function* () {
  const jobs = yield* Zmq.pull({ bind: "inproc://jobs", receiveTimeout: "1 hour" })
  const waiting = yield* Effect.forkChild(Effect.flip(jobs.recvString))
  yield* TestClock.adjust("1 hour")
  const error = yield* Fiber.join(waiting)
  console.log(`an hour later: ${error._tag}`)
}).pipe(Effect.scoped, Effect.provide(TestClock.layer()))

NodeRuntime.runMain(Effect.andThen(withDoubles, withTestClock))
