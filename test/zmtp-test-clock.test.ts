/**
 * Programs over inproc by a clock that the test turns, once. On the engine whose
 * inproc needs no real time, each wait of theirs is as long as it says.
 */
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Schedule, Schema, type Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Codec, Engine, Proxy, Zmq } from "effect-zmq"

const seconds = Effect.map(Clock.currentTimeMillis, (now) => now / 1000)
const sleep = Effect.sleep

/** What came about, and when. */
const makeDiary = () => {
  const lines: Array<string> = []
  const note = (what: string) => Effect.map(seconds, (now) => void lines.push(`${what} at ${now}`))
  return { lines, note }
}

/**
 * Begins a program by the clock. TestClock waits for all that it has woken, but of what has
 * begun before, only for two turns of the event loop.
 */
const begin = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkScoped(Effect.delay(self, "1 second"))

// For how long the clock waits, in real time, for one that it has woken: a second is not enough for a busy machine.
const clock = TestClock.layer({ warningDelay: "1 minute" })

/** A test of a program, which has a context and a clock of its own. */
const onClock = <A, E>(name: string, program: Effect.Effect<A, E, Scope.Scope>) =>
  it.live(name, () =>
    program.pipe(Effect.scoped, Effect.provide([Zmq.Context.layer(), clock]), Effect.provide(Engine.layerZmtp))
  )

// What handlers do before they wait, so that their fibers are not at rest at once.
const detours: Record<string, Effect.Effect<unknown>> = {
  "at once": Effect.void,
  "after a yield": Effect.yieldNow,
  "after many yields": Effect.repeat(Effect.yieldNow, { times: 20 }),
  "after a child fiber": Effect.flatMap(Effect.forkChild(Effect.yieldNow), Fiber.join),
  "after a promise": Effect.promise(() => Promise.resolve())
}

describe("A client that tries again", () => {
  interface Limit {
    readonly receiveTimeout?: "500 millis"
  }
  const clients = {
    dealer: (limit: Limit) => Zmq.dealer({ connect: "inproc://prices", ...limit }),
    req: (limit: Limit) => Zmq.req({ connect: "inproc://prices", relaxed: true, correlate: true, ...limit })
  }
  for (const [type, open] of Object.entries(clients)) {
    for (const [detour, before] of Object.entries(detours)) {
      for (const limit of ["receiveTimeout", "Effect.timeout"] as const) {
        onClock(
          `asks three times, as a ${type}, by ${limit}, where the third is answered ${detour}`,
          Effect.gen(function* () {
            const { lines, note } = makeDiary()
            const server = yield* Zmq.router({ bind: "inproc://prices" })
            const client = yield* open(limit === "receiveTimeout" ? { receiveTimeout: "500 millis" } : {})
            let asked = 0
            const answer = Effect.gen(function* () {
              yield* note("asked")
              asked++
              yield* before
              yield* sleep(asked < 3 ? "1 hour" : "400 millis")
              return "42"
            })
            yield* Effect.forkScoped(server.serve(() => answer, { concurrency: 8 }))
            const once = client.request("ACME")
            const asking = yield* (limit === "receiveTimeout" ? once : Effect.timeout(once, "500 millis")).pipe(
              Effect.retry(Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 8 }))),
              Effect.tap(([reply]) => note(`${reply}`)),
              begin
            )
            yield* TestClock.adjust("10 minutes")
            expect(lines).toEqual(["asked at 1", "asked at 2.5", "asked at 5", "42 at 5.4"])
            yield* Fiber.join(asking)
          })
        )
      }
    }
  }
})

describe("A worker", () => {
  for (const [detour, before] of Object.entries(detours)) {
    onClock(
      `gives a job up after three tries, and goes on with others meanwhile, ${detour}`,
      Effect.gen(function* () {
        const { lines, note } = makeDiary()
        const jobs = yield* Zmq.pull({ bind: "inproc://jobs" })
        const out = yield* Zmq.push({ connect: "inproc://jobs" })
        const work = (job: string) =>
          Effect.gen(function* () {
            yield* note(job)
            yield* before
            yield* sleep("100 millis")
            if (job === "bad") return yield* Effect.fail("no paint")
          })
        yield* jobs
          .runForEach(([job]) => work(`${job}`), {
            retry: Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 2 })),
            orElse: ([job]) => Effect.andThen(before, Effect.andThen(sleep("100 millis"), note(`gave up ${job}`)))
          })
          .pipe(Effect.forkScoped)
        const arriving = { bad: 1, good: 0.25, late: 3 }
        yield* Effect.forkScoped(
          Effect.forEach(Object.entries(arriving), ([job, after]) =>
            Effect.andThen(sleep(`${after} seconds`), Effect.andThen(before, out.send(job)))
          )
        )
        yield* TestClock.adjust("10 minutes")
        expect(lines).toEqual([
          "bad at 1",
          "good at 1.25",
          "bad at 2.1",
          "bad at 4.2",
          "gave up bad at 4.4",
          "late at 4.4"
        ])
        expect(jobs.stats).toMatchObject({ putBack: 0, queued: 0 })
      })
    )
  }
})

describe("A service", () => {
  const codecs = {
    request: Codec.json(Schema.Struct({ symbol: Schema.String })),
    reply: Codec.json(Schema.NullOr(Schema.Int))
  }
  for (const [detour, before] of Object.entries(detours)) {
    onClock(
      `answers in its time, or says that it cannot, ${detour}`,
      Effect.gen(function* () {
        const { lines, note } = makeDiary()
        const server = yield* Zmq.router({ bind: "inproc://prices" })
        const client = yield* Zmq.dealer({ connect: "inproc://prices" })
        const lookUp = (symbol: string) =>
          Effect.andThen(before, Effect.as(sleep(symbol === "SLOW" ? "1 hour" : "300 millis"), 42))
        yield* server
          .serveAs(
            codecs,
            ({ symbol }) =>
              Effect.timeoutOrElse(lookUp(symbol), { duration: "500 millis", orElse: () => Effect.succeed(null) }),
            { concurrency: 2 }
          )
          .pipe(Effect.forkScoped)
        const ask = (symbol: string) =>
          Effect.flatMap(client.requestAs(codecs)({ symbol }), (price) => note(`${symbol} is ${price}`))
        yield* begin(Effect.forEach(["ACME", "SLOW", "EMCA"], ask, { concurrency: "unbounded" }))
        yield* TestClock.adjust("10 minutes")
        expect(lines).toEqual(["ACME is 42 at 1.3", "SLOW is null at 1.5", "EMCA is 42 at 1.6"])
      })
    )

    onClock(
      `finishes what is in hand when it is to stop, and begins nothing, ${detour}`,
      Effect.gen(function* () {
        const { lines, note } = makeDiary()
        const server = yield* Zmq.router({ bind: "inproc://prices" })
        const client = yield* Zmq.dealer({ connect: "inproc://prices", receiveTimeout: "10 seconds" })
        const answer = Effect.andThen(before, Effect.as(sleep("2 seconds"), "42"))
        yield* server
          .serve(() => answer, { until: Effect.andThen(sleep("4 seconds"), before) })
          .pipe(Effect.andThen(sleep("1 second")), Effect.andThen(note("stopped")), Effect.forkScoped)
        const ask = Effect.matchEffect(client.request("ACME"), {
          onFailure: ({ _tag }) => note(_tag),
          onSuccess: ([reply]) => note(`${reply}`)
        })
        yield* begin(Effect.forEach([1, 2, 3], () => ask, { concurrency: "unbounded" }))
        yield* TestClock.adjust("10 minutes")
        expect(lines).toEqual(["42 at 3", "42 at 5", "stopped at 6", "Again at 11"])
        expect(server.stats.queued).toBe(1)
      })
    )
  }
})

describe("The time limits of a socket", () => {
  onClock(
    "let pass what comes just before they are over: receiveTimeout",
    Effect.gen(function* () {
      const { lines, note } = makeDiary()
      const pull = yield* Zmq.pull({ bind: "inproc://jobs", receiveTimeout: "1 second" })
      const push = yield* Zmq.push({ connect: "inproc://jobs" })
      const receive = Effect.matchEffect(pull.recvString, { onFailure: ({ _tag }) => note(_tag), onSuccess: note })
      yield* begin(Effect.repeat(receive, { times: 2 }))
      yield* begin(Effect.andThen(sleep("1999 millis"), push.send("just in time")))
      yield* TestClock.adjust("10 minutes")
      expect(lines).toEqual(["Again at 2", "just in time at 2.999", "Again at 3.999"])
    })
  )

  onClock(
    "let pass what comes just before they are over: sendTimeout",
    Effect.gen(function* () {
      const { lines, note } = makeDiary()
      const pull = yield* Zmq.pull({ bind: "inproc://jobs", receiveHighWaterMark: 1 })
      const push = yield* Zmq.push({ connect: "inproc://jobs", sendHighWaterMark: 1, sendTimeout: "1 second" })
      while (yield* push.trySend("before")) yield* Effect.void
      const send = Effect.matchEffect(push.send("one more"), {
        onFailure: ({ _tag }) => note(_tag),
        onSuccess: () => note("sent")
      })
      yield* begin(Effect.repeat(send, { times: 1 }))
      yield* begin(Effect.andThen(sleep("1999 millis"), pull.drain))
      yield* TestClock.adjust("10 minutes")
      expect(lines).toEqual(["Again at 2", "sent at 2.999"])
    })
  )
})

describe("Messages that come by the clock", () => {
  for (const [detour, before] of Object.entries(detours)) {
    onClock(
      `make batches by their time, ${detour}`,
      Effect.gen(function* () {
        const { lines, note } = makeDiary()
        const rows = yield* Zmq.pull({ bind: "inproc://rows" })
        const out = yield* Zmq.push({ connect: "inproc://rows" })
        const insert = (rows: ReadonlyArray<Zmq.Message>) =>
          Effect.andThen(before, Effect.andThen(sleep("100 millis"), note(rows.join())))
        yield* Effect.forkScoped(rows.runForEachBatch(insert, { max: 4, within: "1 second" }))
        const send = (at: number, i: number) =>
          Effect.andThen(sleep(`${at} seconds`), Effect.andThen(before, out.send(`${i}`)))
        yield* begin(Effect.forEach([0, 0.25, 0.5, 2, 2, 2, 2, 2], send, { concurrency: "unbounded" }))
        yield* TestClock.adjust("10 minutes")
        expect(lines).toEqual(["0,1,2 at 2.1", "3,4,5,6 at 3.1", "7 at 4.2"])
      })
    )

    onClock(
      `are published together, and handled one by one, ${detour}`,
      Effect.gen(function* () {
        const { lines, note } = makeDiary()
        const pub = yield* Zmq.pub({ bind: "inproc://ticks" })
        const sub = yield* Zmq.sub({ connect: "inproc://ticks", subscribe: "" })
        yield* sub.strings.pipe(
          Stream.take(4),
          Stream.runForEach((tick) => Effect.andThen(before, Effect.andThen(sleep("1 second"), note(tick)))),
          Effect.forkScoped
        )
        const tick = Effect.andThen(pub.sendAll(["a", "b"]), before)
        yield* begin(Effect.repeat(tick, Schedule.spaced("5 seconds")))
        yield* TestClock.adjust("1 minute")
        expect(lines).toEqual(["a at 2", "b at 3", "a at 7", "b at 8"])
      })
    )
  }

  const byTime = {
    100: [[2, 100]],
    // More than one turn of the event loop takes.
    1200: [
      [2, 1000],
      [3, 200]
    ]
  }
  const ways = {
    directly: Effect.void,
    "through a proxy": Effect.gen(function* () {
      const source = yield* Zmq.pull({ bind: "inproc://in", receiveHighWaterMark: 0 })
      const target = yield* Zmq.push({ connect: "inproc://jobs", sendHighWaterMark: 0 })
      yield* Effect.forkScoped(Proxy.run(source, target))
    })
  }
  const senders = {
    send: (push: Zmq.Push, jobs: ReadonlyArray<string>) => Effect.forEach(jobs, push.send, { discard: true }),
    sendAll: (push: Zmq.Push, jobs: ReadonlyArray<string>) => push.sendAll(jobs)
  }
  for (const [way, open] of Object.entries(ways)) {
    for (const [[name, sendBy], [count, expected]] of Object.entries(senders).flatMap((sender) =>
      Object.entries(byTime).map((times) => [sender, times] as const)
    )) {
      onClock(
        `are handled together, where they come together: ${count} by ${name}, ${way}`,
        Effect.gen(function* () {
          yield* open
          const pull = yield* Zmq.pull({ bind: "inproc://jobs", receiveHighWaterMark: 0 })
          const connect = way === "directly" ? "inproc://jobs" : "inproc://in"
          const push = yield* Zmq.push({ connect, sendHighWaterMark: 0 })
          const jobs = Array.from({ length: Number(count) }, (_, i) => `${i}`)
          const handled = new Map<number, number>()
          const handle = Effect.repeat(Effect.yieldNow, { times: 20 }).pipe(
            Effect.andThen(sleep("1 second")),
            Effect.andThen(seconds),
            Effect.map((now) => handled.set(now, (handled.get(now) ?? 0) + 1))
          )
          yield* Effect.forkScoped(pull.runForEach(() => handle, { concurrency: 1000 }))
          yield* begin(sendBy(push, jobs))
          // What would pass meanwhile, if it were not waited for.
          yield* Effect.forkScoped(Effect.repeat(sleep("1 millis"), { times: 5000 }))
          yield* TestClock.adjust("1 minute")
          expect([...handled]).toEqual(expected)
        })
      )
    }
  }
})

describe("A proxy", () => {
  for (const [detour, before] of Object.entries(detours)) {
    onClock(
      `takes no time, before a service that works ${detour}`,
      Effect.gen(function* () {
        const { lines, note } = makeDiary()
        const frontend = yield* Zmq.router({ bind: "inproc://front" })
        const backend = yield* Zmq.dealer({ bind: "inproc://back" })
        yield* Effect.forkScoped(Proxy.run(frontend, backend))
        const server = yield* Zmq.router({ connect: "inproc://back" })
        yield* Effect.forkScoped(server.serve(() => Effect.andThen(before, Effect.as(sleep("1 second"), "42"))))
        const client = yield* Zmq.dealer({ connect: "inproc://front", receiveTimeout: "1500 millis" })
        const ask = Effect.flatMap(client.request("ACME"), ([reply]) => note(`${reply}`))
        yield* begin(Effect.repeat(ask, { times: 2 }))
        yield* TestClock.adjust("10 minutes")
        expect(lines).toEqual(["42 at 2", "42 at 3", "42 at 4"])
      })
    )
  }
})
