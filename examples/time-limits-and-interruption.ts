/** Time limits, races and interruption, with one message that survives them all. */
import { NodeRuntime } from "@effect/platform-node"
import { Deferred, Effect, Fiber, Option } from "effect"
import { Zmq } from "effect-zmq"

const program = Effect.gen(function* () {
  const jobs = yield* Zmq.pull()
  const out = yield* Zmq.push({ connect: yield* jobs.bind("tcp://127.0.0.1:*") })

  // 1. The time limit of the socket: a typed error.
  const impatient = yield* Zmq.pull({ receiveTimeout: "50 millis" })
  const error = yield* Effect.flip(impatient.recvString)
  console.log(`nothing came: ${error._tag}`)

  // 2. A time limit for one receive, a race, and an interruption. None of them leaves a
  //    receive behind that would swallow the next message.
  const late = yield* jobs.recvString.pipe(Effect.timeoutOption("5 millis"))
  console.log(`in time: ${Option.isSome(late)}`)
  const winner = yield* Effect.raceFirst(jobs.recvString, Effect.as(Effect.sleep("5 millis"), "the clock"))
  console.log(`the winner is ${winner}`)
  const fiber = yield* Effect.forkChild(jobs.recvString)
  yield* Effect.sleep("5 millis")
  yield* Fiber.interrupt(fiber)

  yield* out.send("the message")
  console.log(`received: ${yield* jobs.recvString}`)

  // 3. A handler that is interrupted in the middle: runForEach gives its message back.
  yield* out.send("a long job")
  const begun = yield* Deferred.make<void>()
  const handling = yield* Effect.forkChild(
    jobs.runForEach(() => Effect.andThen(Deferred.succeed(begun, undefined), Effect.sleep("1 hour")))
  )
  yield* Deferred.await(begun)
  yield* Fiber.interrupt(handling)
  console.log(`again: ${yield* jobs.recvString}`)

  // 4. What has to follow a receive, whatever happens: let only the wait be interrupted.
  const received = yield* Deferred.make<void>()
  const answerOne = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const job = yield* restore(jobs.recvString)
      yield* Deferred.succeed(received, undefined)
      yield* Effect.sleep("20 millis")
      console.log(`finished: ${job}`)
    })
  )
  yield* out.send("the last job")
  const finishing = yield* Effect.forkChild(answerOne)
  yield* Deferred.await(received)
  yield* Fiber.interrupt(finishing)

  // 5. A service that is told to stop while nothing comes: a race around the run ends at once.
  //    (`Stream.haltWhen` would wait for one more message.) What comes later is there for the next.
  const stop = yield* Deferred.make<void>()
  const service = jobs.runForEach(([job]) => Effect.sync(() => console.log(`handled: ${job}`)))
  const serving = yield* Effect.forkChild(Effect.raceFirst(service, Deferred.await(stop)))
  yield* Deferred.succeed(stop, undefined)
  yield* Fiber.join(serving)
  yield* out.send("a job for tomorrow")
  console.log(`stopped, and left: ${yield* jobs.recvString}`)
})

NodeRuntime.runMain(Effect.scoped(program))
