/**
 * A service that a signal stops: it takes no new request, finishes those it has,
 * sends their replies, and ends. Without that, a signal interrupts its handlers, and
 * their clients have to ask again.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Deferred, Effect, Fiber } from "effect"
import { Zmq } from "effect-zmq"

/** Has an interruption tell `run` to stop, and waits until it has. */
const gracefully = <A, E, R>(run: (told: Effect.Effect<void>) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const stop = yield* Deferred.make<void>()
    const service = yield* Effect.forkChild(run(Deferred.await(stop)))
    return yield* Effect.onInterrupt(Fiber.join(service), () =>
      Effect.gen(function* () {
        yield* Effect.sync(() => console.log("stopping"))
        yield* Deferred.succeed(stop, undefined)
        // Whoever wants to wait no longer than a time puts a time limit here.
        yield* Fiber.await(service)
        yield* Effect.sync(() => console.log("stopped"))
      })
    )
  })

const answer = (question: string) =>
  Effect.gen(function* () {
    yield* Effect.sync(() => console.log(`working on ${question}`))
    yield* Effect.sleep("500 millis")
    return `the answer to ${question}`
  })

const program = Effect.gen(function* () {
  const server = yield* Zmq.router({ bind: process.env.ENDPOINT ?? "tcp://127.0.0.1:5559" })
  console.log(`listening on ${server.endpoints[0]}`)
  yield* gracefully((told) =>
    server.serve(([question]) => answer(question.toString()), { concurrency: 4, until: told })
  )
}).pipe(Effect.scoped)

// SIGTERM and SIGINT interrupt the program. It exits with 130 then, as shells expect of it.
NodeRuntime.runMain(program)
