/** A job queue: typed jobs that survive their worker, tries, a dead letter, and a worker that stops when it has finished. */
import { NodeRuntime } from "@effect/platform-node"
import { Deferred, Effect, Fiber, Ref, Schedule, Schema } from "effect"
import { Codec, Zmq } from "effect-zmq"

const Job = Codec.json(Schema.Struct({ id: Schema.Int }))
const Reply = Codec.json(
  Schema.Union([Schema.TaggedStruct("Done", { by: Schema.String }), Schema.TaggedStruct("GaveUp", {})])
)
type Reply = Codec.Type<typeof Reply>
const queue = { request: Job, reply: Reply }

const work = ({ id }: Codec.Type<typeof Job>) =>
  id === 13 ? Effect.fail(new Error("there is no room 13")) : Effect.sleep("2 millis")

const worker = (name: string, connect: string, dead: Zmq.Push, stop: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const socket = yield* Zmq.router({ connect })
    yield* socket.serveAs(queue, (job) => Effect.as(work(job), { _tag: "Done", by: name } satisfies Reply), {
      concurrency: 4,
      // A job that fails waits aside for its next try, and then goes where somebody looks at it.
      retry: Schedule.exponential("5 millis").pipe(Schedule.upTo({ times: 2 })),
      orElse: (job) => Effect.as(dead.sendAs(Job)(job), { _tag: "GaveUp" } satisfies Reply),
      // What is in hand is finished, and its reply is sent.
      until: stop
    })
  }).pipe(Effect.scoped)

const program = Effect.gen(function* () {
  // A DEALER deals its requests to all who have connected, in turn. One whose reply does not
  // come is sent again, where a PUSH has lost what it dealt to a worker that is gone.
  const jobs = yield* Zmq.dealer({ bind: "tcp://127.0.0.1:*" })
  const deadLetters = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
  const dead = yield* Zmq.push({ connect: deadLetters.endpoints })
  const stop = yield* Deferred.make<void>()
  const start = (name: string) => worker(name, jobs.endpoints[0]!, dead, Deferred.await(stop))

  const ann = yield* Effect.forkScoped(start("ann"))
  // This one dies in the middle of its work, and takes along what it was dealt.
  yield* start("eve").pipe(Effect.timeoutOption("100 millis"), Effect.forkScoped)
  const again = yield* Ref.make(0)
  const request = jobs.requestAs(queue)
  const ask = (id: number) =>
    request({ id }).pipe(
      Effect.timeout("500 millis"),
      Effect.tapErrorTag("TimeoutError", () => Ref.update(again, (count) => count + 1)),
      Effect.retry({ times: 10 })
    )
  const ids = Array.from({ length: 500 }, (_, id) => id)
  const replies = yield* Effect.forEach(ids, ask, { concurrency: 12 })
  console.log(`${replies.filter(({ _tag }) => _tag === "Done").length} jobs done, ${yield* Ref.get(again)} sent again`)
  console.log(`the dead letter: job ${(yield* deadLetters.recvAs(Job)).id}`)

  yield* Deferred.succeed(stop, undefined)
  yield* Fiber.join(ann)
  console.log("ann has stopped")
})

NodeRuntime.runMain(Effect.scoped(program))
