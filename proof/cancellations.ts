/**
 * Every way to be cancelled that Effect has, around a receive. Each runs for a
 * moment and ends with its cancellation; what it got is in the reader's ledger.
 */
import { Effect, Exit, Fiber, Scope, Stream } from "effect"
import type { Notes } from "./ledger.ts"
import { type Random, someMoment } from "./moments.ts"
import type { Subject } from "./subjects.ts"
import { watchExit, watchFiber } from "./watch.ts"

interface Cancelled {
  readonly subject: Subject
  readonly reader: Notes
  readonly random: Random
}

type Way = (on: Cancelled) => Effect.Effect<unknown, unknown>

class Sibling {
  readonly _tag = "SiblingFailed"
}

const take = ({ reader, subject }: Cancelled) => Effect.map(subject.recv, (text) => reader.took(text))

const takeMany = (on: Cancelled) => Effect.forever(take(on))

const failSoon = ({ random }: Cancelled) => Effect.andThen(someMoment(random), Effect.fail(new Sibling()))

/** Handles a message that is lent, sometimes in one step and sometimes in several. */
const handle = ({ random, reader }: Cancelled, text: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    reader.began(text)
    const settle = Effect.sync(() => reader.settled(text))
    return random(4) === 0 ? Effect.andThen(someMoment(random), settle) : settle
  })

const interruptSoon = ({ random }: Cancelled, self: Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    const fiber = watchFiber(yield* Effect.forkChild(self))
    yield* someMoment(random)
    yield* Fiber.interrupt(fiber)
  })

/** What takes a message exactly once. */
export const exactlyOnce: Record<string, Way> = {
  interrupt: (on) => interruptSoon(on, takeMany(on)),
  interruptGenerator: (on) =>
    interruptSoon(
      on,
      Effect.gen(function* () {
        while (true) on.reader.took(yield* on.subject.recv)
      })
    ),
  interruptOne: (on) => interruptSoon(on, take(on)),
  timeout: (on) => Effect.timeout(on.subject.recv, on.random(2)).pipe(Effect.map((text) => on.reader.took(text))),
  timeoutOption: (on) =>
    Effect.map(Effect.timeoutOption(on.subject.recv, on.random(3)), (text) => {
      if (text._tag === "Some") on.reader.took(text.value)
    }),
  timeoutInterrupted: (on) =>
    interruptSoon(
      on,
      Effect.timeout(on.subject.recv, "1 hour").pipe(
        Effect.map((text) => on.reader.took(text)),
        Effect.forever
      )
    ),
  race: (on) =>
    Effect.map(Effect.race(on.subject.recv, Effect.as(someMoment(on.random), undefined)), (text) => {
      if (text !== undefined) on.reader.took(text)
    }),
  raceFirst: (on) =>
    Effect.map(Effect.raceFirst(on.subject.recv, Effect.as(someMoment(on.random), undefined)), (text) => {
      if (text !== undefined) on.reader.took(text)
    }),
  raceOfReceives: (on) =>
    interruptSoon(
      on,
      Effect.raceFirst(on.subject.recv, on.subject.recv).pipe(
        Effect.map((text) => on.reader.took(text)),
        Effect.forever
      )
    ),
  all: (on) => Effect.all([take(on), failSoon(on)], { concurrency: "unbounded" }),
  forEach: (on) =>
    Effect.forEach([takeMany(on), failSoon(on)], (one) => one, { concurrency: "unbounded", discard: true }),
  scope: (on) =>
    Effect.scoped(
      Effect.gen(function* () {
        watchFiber(yield* Effect.forkScoped(takeMany(on)))
        yield* someMoment(on.random)
      })
    ),
  scopeClosed: (on) =>
    Effect.gen(function* () {
      const scope = Scope.makeUnsafe()
      const fiber = watchFiber(yield* Effect.forkIn(takeMany(on), scope))
      yield* someMoment(on.random)
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.await(fiber)
    }),
  span: (on) =>
    interruptSoon(
      on,
      Effect.withSpan(on.subject.recv, "receive").pipe(
        Effect.map((text) => on.reader.took(text)),
        Effect.forever
      )
    ),
  abortSignal: (on) =>
    Effect.promise(() => {
      const controller = new AbortController()
      const run = Effect.runPromiseExit(takeMany(on), { signal: controller.signal })
      setImmediate(() => controller.abort())
      return run.then(watchExit)
    }),
  tryRecv: (on) =>
    on.subject.tryRecv === undefined
      ? Effect.void
      : interruptSoon(
          on,
          Effect.map(on.subject.tryRecv, (text) => {
            if (text._tag === "Some") on.reader.took(text.value)
          }).pipe(Effect.andThen(Effect.yieldNow), Effect.forever)
        ),
  drain: (on) =>
    on.subject.drain === undefined
      ? Effect.void
      : interruptSoon(
          on,
          Effect.map(on.subject.drain, (texts) => {
            for (const text of texts) on.reader.took(text)
          }).pipe(Effect.andThen(Effect.yieldNow), Effect.forever)
        )
}

/** What lends a message: the handler of a message that comes back is run again. */
export const lent: Record<string, Way> = {
  streamInterrupted: (on) =>
    interruptSoon(
      on,
      Stream.runForEach(on.subject.stream, (text) => handle(on, text))
    ),
  mapEffectInterrupted: (on) =>
    interruptSoon(
      on,
      on.subject.stream.pipe(
        Stream.mapEffect((text) => handle(on, text)),
        Stream.runDrain
      )
    ),
  interruptWhen: (on) =>
    on.subject.stream.pipe(
      Stream.mapEffect((text) => handle(on, text)),
      Stream.interruptWhen(someMoment(on.random)),
      Stream.runDrain
    ),
  haltWhen: (on) =>
    on.subject.stream.pipe(
      Stream.haltWhen(someMoment(on.random)),
      Stream.runForEach((text) => handle(on, text))
    ),
  streamTake: (on) =>
    on.subject.stream.pipe(
      Stream.take(1 + on.random(4)),
      Stream.runForEach((text) => handle(on, text)),
      Effect.timeoutOption(1 + on.random(2))
    ),
  streamTimeout: (on) =>
    on.subject.stream.pipe(
      Stream.mapEffect((text) => handle(on, text)),
      Stream.timeout(1),
      Stream.runDrain,
      Effect.timeoutOption(2)
    ),
  streamFails: (on) =>
    on.subject.stream.pipe(
      Stream.mapEffect((text) => (on.random(5) === 0 ? Effect.fail(new Sibling()) : handle(on, text))),
      Stream.runDrain,
      Effect.timeoutOption(2)
    ),
  runForEach: (on) =>
    interruptSoon(
      on,
      on.subject.runForEach((text) => handle(on, text), 1)
    )
}

/** As `lent`, several handlers at a time. */
export const lentToMany: Record<string, Way> = {
  ...lent,
  runForEachOfFour: (on) =>
    interruptSoon(
      on,
      on.subject.runForEach((text) => handle(on, text), 4)
    )
}

/**
 * Stages of Effect's that read ahead, before the handler and not after it: they
 * ask for elements that they then drop.
 */
export const readAhead: Record<string, Way> = {
  interruptWhenBeforeHandler: (on) =>
    on.subject.stream.pipe(
      Stream.interruptWhen(someMoment(on.random)),
      Stream.runForEach((text) => handle(on, text))
    ),
  timeoutBeforeHandler: (on) =>
    on.subject.stream.pipe(
      Stream.timeout(1),
      Stream.runForEach((text) => handle(on, text)),
      Effect.timeoutOption(2)
    )
}
