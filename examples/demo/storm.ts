/** A ventilator, six workers and a sink, and the weather they work in. */
import { Data, Effect, Fiber, Option, Random, Schedule } from "effect"
import { Zmq } from "effect-zmq"
import type { Jobs, OpenJobs } from "./jobs.ts"
import { Ledger } from "./ledger.ts"
import type { Storm } from "./progress.ts"

/** The books cannot be made up: messages are still on their way somewhere, and do not move. */
export class Unsettled extends Data.TaggedError("Unsettled")<{ readonly found: number; readonly sent: number }> {}

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

/** Not a number: the last message on a connection. Whoever has it has all that was sent before it. */
const end = "end"

const collect = (sink: Zmq.Pull, ledger: Ledger) =>
  Effect.gen(function* () {
    // An end for each worker: each has a connection of its own.
    let open = workers.length
    while (open > 0) {
      const job = yield* sink.recvString
      if (job === end) open--
      else ledger.reachedSink(Number(job))
    }
  })

/** What the next receives get: all that is still there. */
const drain = (jobs: Jobs, ledger: Ledger) =>
  Effect.gen(function* () {
    // The wrapper's receives fail as long as one that was interrupted is pending.
    const receive = Effect.retry(jobs.recvString, Schedule.spaced("1 millis"))
    for (let job = yield* receive; job !== end; job = yield* receive) ledger.foundInQueue(Number(job))
  })

/**
 * Counts until nothing can move any more, however slow the machine is. A
 * connection keeps its order: so an end is sent behind the jobs, and then one
 * behind the results. What nobody has got by then, nobody gets any more.
 */
const settle = (ventilator: Zmq.Push, desks: ReadonlyArray<Desk>, sink: Fiber.Fiber<void, unknown>, ledger: Ledger) =>
  Effect.gen(function* () {
    // Again and again: a receive of the wrapper that was interrupted swallows one.
    const anEndForEach = ventilator.sendAll(workers.map(() => end))
    const sendEnds = Effect.forever(Effect.andThen(anEndForEach, Effect.sleep("20 millis")))
    const drainAll = Effect.forEach(desks, (desk) => drain(desk.jobs, ledger), { concurrency: "unbounded" })
    yield* Effect.raceFirst(drainAll, sendEnds)
    for (const desk of desks) yield* desk.results.send(end)
    yield* Fiber.join(sink)
  })

/**
 * Fails when nothing has been sent, handled or found for a minute, or longer
 * where this process hardly gets its turn: it has to look so often.
 */
const giveUp = (ledger: Ledger) =>
  Effect.gen(function* () {
    let before = 0
    for (let looks = 0; looks < 600; looks++) {
      yield* Effect.sleep("100 millis")
      const now = ledger.sent + ledger.entries
      if (now !== before) looks = 0
      before = now
    }
    return yield* new Unsettled({ found: ledger.found, sent: ledger.sent })
  })

export const storm = (openJobs: OpenJobs, messages: number): Storm => {
  const ledger = new Ledger(messages)
  const run = Effect.gen(function* () {
    // What it has left in the end are ends that nobody waits for.
    const ventilator = yield* Zmq.push({ bind: "tcp://127.0.0.1:*", linger: 0 })
    const sink = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
    const desks: Array<Desk> = []
    for (const _ of workers) {
      desks.push({
        jobs: yield* openJobs(ventilator.endpoints[0]!),
        results: yield* Zmq.push({ connect: sink.endpoints[0]! }),
        ledger
      })
    }
    const collecting = yield* Effect.forkScoped(collect(sink, ledger))
    const weather = yield* Effect.forkScoped(
      Effect.forEach(workers, (worker, i) => restartForever(worker(desks[i]!), ledger), { concurrency: "unbounded" })
    )
    yield* ventilate(ventilator, messages, ledger)
    // The last numbers are still on their way. The storm ends where it stands.
    yield* Fiber.interrupt(weather)
    yield* settle(ventilator, desks, collecting, ledger)
  })
  return { ledger, run: Effect.raceFirst(Effect.scoped(run), giveUp(ledger)) }
}
