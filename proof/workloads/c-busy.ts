/**
 * A consumer that never catches up. It uses up its budget of operations at the
 * same place each time, and that is where it is interrupted.
 */
import { Effect, Fiber, Stream } from "effect"
import { Zmq } from "effect-zmq"
import { Ledger, type Reader } from "../ledger.ts"
import { nextTurn, randomOf, seed } from "../moments.ts"
import { needsPyzmq } from "../python.ts"
import type { Outcome, Size, Workload } from "../row.ts"
import { effectZmq, type OpenSubject, type Subject, wrapper } from "../subjects.ts"
import { progress, settle, watchFiber } from "../watch.ts"

/** What people put behind a receive: each adds operations after the message was taken. */
const consumers: Record<string, (subject: Subject, took: (text: string) => void) => Effect.Effect<unknown, unknown>> = {
  map: ({ recv }, took) => Effect.forever(Effect.map(recv, took)),
  generator: ({ recv }, took) =>
    Effect.gen(function* () {
      while (true) took(yield* recv)
    }),
  manyMaps: ({ recv }, took) => {
    let all: Effect.Effect<string, unknown> = recv
    for (let i = 0; i < 7; i++) all = Effect.map(all, (text) => text)
    return Effect.forever(Effect.map(all, took))
  },
  timeout: ({ recv }, took) => Effect.forever(Effect.map(Effect.timeout(recv, "1 hour"), took)),
  span: ({ recv }, took) => Effect.forever(Effect.map(Effect.withSpan(recv, "receive"), took)),
  raceFirst: ({ recv }, took) => Effect.forever(Effect.map(Effect.raceFirst(recv, Effect.never), took)),
  race: ({ recv }, took) => Effect.forever(Effect.map(Effect.race(recv, Effect.never), took)),
  all: ({ recv }, took) =>
    Effect.forever(
      Effect.map(Effect.all([recv, recv, recv]), (texts) => {
        for (const text of texts) took(text)
      }).pipe(Effect.uninterruptible)
    ),
  stream: ({ stream }, took) => Stream.runForEach(stream, (text) => Effect.sync(() => took(text))),
  mapEffect: ({ stream }, took) =>
    stream.pipe(
      Stream.mapEffect((text) => Effect.sync(() => took(text))),
      Stream.runDrain
    ),
  runForEach: (subject, took) => subject.runForEach((text) => Effect.sync(() => took(text)), 1)
}
const lends = new Set(["stream", "mapEffect", "runForEach"])

const run =
  (open: OpenSubject) =>
  async (size: Size): Promise<Outcome> => {
    const ledger = new Ledger(60_000_000)
    const random = randomOf()
    const kinds = Object.entries(consumers)
    const program = Effect.gen(function* () {
      const push = yield* Zmq.push({ bind: `inproc://busy-${process.pid}` })
      const subject = yield* open(push.endpoints[0]!)
      const flood = Effect.gen(function* () {
        while (!ledger.full) {
          const burst: Array<string> = []
          for (let i = 0; i < 512 && !ledger.full; i++) burst.push(String(ledger.next()))
          yield* push.sendAll(burst)
        }
      })
      const sender = watchFiber(yield* Effect.forkScoped(flood))
      const reader = ledger.reader()
      for (let round = 0; round < size.count; round++) {
        const [name, consumer] = kinds[round % kinds.length]!
        const fiber = watchFiber(yield* Effect.forkChild(consumer(subject, tookBy(reader, lends.has(name)))))
        for (let turns = random(4); turns >= 0; turns--) yield* nextTurn
        yield* Fiber.interrupt(fiber)
        progress(() => `${round} interrupts, ${ledger.sent} sent`)
      }
      // The burst that is half sent is sent to its end, so that each number is somewhere.
      const texts: Array<string> = []
      ledger.enough = true
      const rest = yield* Effect.forkChild(
        Effect.map(subject.rest(ledger.missing), (found) => void texts.push(...found))
      )
      yield* Fiber.await(sender)
      yield* Fiber.join(rest)
      ledger.foundAtEnd(texts.map(Number))
    })
    await Effect.runPromise(settle(Effect.scoped(program)))
    return {
      ...ledger.books(),
      notes: [`${size.count} interrupts of a consumer with a backlog`, `seed ${seed}`]
    }
  }

const tookBy = (reader: Reader, lent: boolean) => (text: string) => {
  const number = Number(text)
  if (!lent) return reader.took(number)
  reader.began(number)
  reader.settled(number)
}

const limit = { quick: 180, full: 1200 }

export const workload: Workload = {
  id: "c",
  title: "a busy consumer, interrupted while it has a backlog",
  counting: "Behind the receive is what people put there: maps, a time limit, a span, a race, a stream.",
  rows: [
    { library: "effect-zmq", variant: "inproc", quick: 600, full: 5000, limit, run: run(effectZmq) },
    { library: "wrapper", variant: "inproc", quick: 600, full: 5000, limit, run: run(wrapper) },
    {
      library: "PyZMQ",
      variant: "inproc",
      quick: 600,
      full: 5000,
      limit,
      run: { python: "busy.py" },
      skip: needsPyzmq
    }
  ]
}
