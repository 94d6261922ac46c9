/** A ventilator, six workers and a sink, and the weather they work in. */
import { Effect, Fiber, Option, Random, Schedule } from "effect"
import { Zmq } from "effect-zmq"
import type { Jobs, OpenJobs } from "./jobs.ts"
import { Ledger } from "./ledger.ts"
import type { Storm } from "./progress.ts"

/** What a worker has: jobs, the way to the sink, and the ledger. */
interface Desk {
  readonly jobs: Jobs
  readonly results: Zmq.Push
  readonly ledger: Ledger
}

// Only the wait for a job can be interrupted. A job that has come is finished.
const handleOne = <E>(desk: Desk, receive: Effect.Effect<Option.Option<string>, E>) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const job = yield* restore(receive)
      if (Option.isSome(job)) yield* desk.results.send(job.value)
      return Option.isSome(job)
    })
  )

const patient = (desk: Desk) => Effect.forever(handleOne(desk, Effect.asSome(desk.jobs.recvString)))

const timedOut = (desk: Desk) =>
  Effect.gen(function* () {
    const millis = yield* Random.nextIntBetween(0, 2)
    const inTime = yield* handleOne(desk, Effect.timeoutOption(desk.jobs.recvString, millis))
    if (!inTime) desk.ledger.timeouts++
  }).pipe(Effect.forever)

const raced = (desk: Desk) =>
  Effect.gen(function* () {
    const other = Effect.as(Effect.sleep("1 millis"), Option.none())
    const won = yield* handleOne(desk, Effect.raceFirst(Effect.asSome(desk.jobs.recvString), other))
    if (!won) desk.ledger.races++
  }).pipe(Effect.forever)

// This one is interrupted while it works, too. Its jobs are handled at least once.
const thorough = (desk: Desk) =>
  desk.jobs.runForEach((job) =>
    Effect.gen(function* () {
      desk.ledger.handlerStarted(Number(job))
      yield* Effect.yieldNow
      yield* desk.results.send(job)
    })
  )

const workers = [patient, timedOut, raced, thorough, patient, thorough]

/** Starts a worker, interrupts it a few milliseconds later, and again, and again. */
const restartForever = (worker: Effect.Effect<never, unknown>, ledger: Ledger) =>
  Effect.gen(function* () {
    // A worker that fails is restarted as well: the wrapper's do, as zeromq.js
    // has the receive that was interrupted still pending (EBUSY).
    const fiber = yield* Effect.forkChild(worker)
    yield* Effect.sleep(yield* Random.nextIntBetween(1, 6))
    yield* Fiber.interrupt(fiber)
    ledger.interrupts++
  }).pipe(Effect.forever)

/** Sends the numbers in bursts, so that workers are now idle and now behind. */
const ventilate = (out: Zmq.Push, messages: number, ledger: Ledger) =>
  Effect.gen(function* () {
    while (ledger.sent < messages) {
      const size = Math.min(yield* Random.nextIntBetween(1, 50), messages - ledger.sent)
      for (let i = 0; i < size; i++) {
        yield* out.send(String(ledger.sent))
        ledger.sent++
      }
      yield* Effect.sleep(yield* Random.nextIntBetween(0, 3))
    }
  })

const collect = (sink: Zmq.Pull, ledger: Ledger) =>
  Effect.forever(Effect.map(sink.recvString, (job) => ledger.reachedSink(Number(job))))

/** What the next receives get: all that is still there, until nothing came for a second. */
const drain = (jobs: Jobs, ledger: Ledger) =>
  jobs.recvString.pipe(
    Effect.retry(Schedule.spaced("1 millis")),
    Effect.timeout("1 second"),
    Effect.map((job) => ledger.foundInQueue(Number(job))),
    Effect.forever,
    Effect.ignore
  )

export const storm = (openJobs: OpenJobs, messages: number): Storm => {
  const ledger = new Ledger(messages)
  const run = Effect.gen(function* () {
    const ventilator = yield* Zmq.push({ bind: "tcp://127.0.0.1:*" })
    const sink = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
    const desks: Array<Desk> = []
    for (const _ of workers) {
      desks.push({
        jobs: yield* openJobs(ventilator.endpoints[0]!),
        results: yield* Zmq.push({ connect: sink.endpoints[0]! }),
        ledger
      })
    }
    yield* Effect.forkScoped(collect(sink, ledger))
    const weather = yield* Effect.forkScoped(
      Effect.forEach(workers, (worker, i) => restartForever(worker(desks[i]!), ledger), { concurrency: "unbounded" })
    )
    yield* ventilate(ventilator, messages, ledger)
    // The last numbers are still on their way. The storm ends where it stands.
    yield* Fiber.interrupt(weather)
    yield* Effect.forEach(desks, (desk) => drain(desk.jobs, ledger), { concurrency: "unbounded" })
  })
  return { ledger, run: Effect.scoped(run) }
}
