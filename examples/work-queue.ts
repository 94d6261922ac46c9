/**
 * Jobs that survive a worker that stops. What a PUSH has dealt to a PULL is gone
 * with it; a request is done when its reply has come, and is sent again if none does.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Ref } from "effect"
import { Zmq } from "effect-zmq"

const worker = (name: string, connect: string) =>
  Effect.gen(function* () {
    const socket = yield* Zmq.rep({ connect })
    yield* socket.serve(([job]) =>
      Effect.gen(function* () {
        yield* Effect.sleep("2 millis")
        // What goes wrong with a job is tried again here: a handler that fails ends the worker.
        return `${job} by ${name}`
      })
    )
  }).pipe(Effect.scoped)

const program = Effect.gen(function* () {
  // A DEALER deals its requests to all who have connected, in turn.
  const jobs = yield* Zmq.dealer()
  const endpoint = yield* jobs.bind("tcp://127.0.0.1:*")

  yield* Effect.forkScoped(worker("ann", endpoint))
  yield* Effect.forkScoped(worker("ben", endpoint))
  // This one stops in the middle of its work, and takes along what it was dealt.
  yield* worker("eve", endpoint).pipe(Effect.timeout("100 millis"), Effect.ignore, Effect.forkScoped)

  const again = yield* Ref.make(0)
  const done = yield* Effect.forEach(
    Array.from({ length: 500 }, (_, number) => `job ${number}`),
    (job) =>
      jobs.request(job).pipe(
        Effect.timeout("500 millis"),
        Effect.tapErrorTag("TimeoutError", () => Ref.update(again, (count) => count + 1)),
        Effect.retry({ times: 10 })
      ),
    // So many are out at a time.
    { concurrency: 12 }
  )
  console.log(`${done.length} jobs done, ${yield* Ref.get(again)} of them sent again`)
})

NodeRuntime.runMain(Effect.scoped(program))
