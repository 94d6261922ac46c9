/**
 * The options `retry` and `orElse`: a message whose handler fails costs its tries
 * and not the run, and holds up no others while it waits for the next.
 */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Clock, Deferred, Effect, Exit, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { Draft, Zmq } from "effect-zmq"
import { messageOf, openNow, openScripted, outcome, turns, turnsUntil } from "./support/scripted.ts"
import { numbers, until } from "./support/sockets.ts"
import { sweep } from "./support/sweep.ts"

const aFewTurns = Effect.promise(() => turns(10))
const untilSo = (done: () => boolean) => until(Effect.sync(done))
const bodies = (messages: ReadonlyArray<Zmq.Message>) => messages.map((message) => `${message.at(-1)}`)
const seconds = (count: number) => Schedule.spaced("1 second").pipe(Schedule.upTo({ times: count }))

/** A handler that fails on some messages, and what it was called with, and when. */
const failing = (isBad: (body: string, tries: number) => boolean) => {
  const begun: Array<string> = []
  const done: Array<string> = []
  const tries = new Map<string, number>()
  const handle = (body: string): Effect.Effect<void, string> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      begun.push(`${body} at ${now / 1000}`)
      const count = (tries.get(body) ?? 0) + 1
      tries.set(body, count)
      if (isBad(body, count)) return Effect.fail(`no ${body}`)
      // In its last operation: behind that it cannot be interrupted.
      return Effect.sync(() => void done.push(body))
    })
  return { begun, done, handle }
}
const isBad = (body: string) => body.startsWith("bad")

describe("A handler that fails", () => {
  for (const concurrency of [1, 3]) {
    it.effect(`is run again by the clock, and others go on meanwhile, ${concurrency} at a time`, () =>
      Effect.gen(function* () {
        const { port, socket } = yield* openScripted(Zmq.pull())
        const { begun, done, handle } = failing(isBad)
        const dead: Array<readonly [string, unknown]> = []
        yield* Effect.forkScoped(
          socket.runForEach(([body]) => handle(`${body}`), {
            concurrency,
            retry: seconds(2),
            orElse: ([body], cause) => Effect.sync(() => dead.push([`${body}`, Cause.squash(cause)]))
          })
        )
        port.arrive("a", "bad", "b", "c")
        yield* untilSo(() => done.length === 3)
        expect(begun).toEqual(["a at 0", "bad at 0", "b at 0", "c at 0"])
        for (const second of [1, 2]) {
          yield* TestClock.adjust("999 millis")
          yield* aFewTurns
          expect(begun.length).toBe(3 + second)
          yield* TestClock.adjust("1 millis")
          yield* aFewTurns
          expect(begun.at(-1)).toBe(`bad at ${second}`)
        }
        expect(dead).toEqual([["bad", "no bad"]])
        port.arrive("d")
        yield* untilSo(() => done.length === 4)
        expect(socket.stats).toMatchObject({ putBack: 0, queued: 0 })
      }).pipe(Effect.scoped)
    )
  }

  it.effect("is run again when others have been, and no more run at a time than may", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      const begun: Array<string> = []
      const gate = Deferred.makeUnsafe<void>()
      yield* Effect.forkScoped(
        socket.runForEach(
          ([body]) => {
            begun.push(`${body}`)
            return `${body}` === "slow" ? Deferred.await(gate) : Effect.fail("no")
          },
          { retry: seconds(1), orElse: () => Effect.void }
        )
      )
      port.arrive("bad 0", "bad 1", "slow", "bad 2")
      yield* untilSo(() => begun.includes("slow"))
      yield* TestClock.adjust("1 minute")
      yield* aFewTurns
      expect(begun).toEqual(["bad 0", "bad 1", "slow"])
      Deferred.doneUnsafe(gate, Effect.void)
      yield* untilSo(() => begun.length === 6)
      // What is due goes before what is new.
      expect(begun).toEqual(["bad 0", "bad 1", "slow", "bad 0", "bad 1", "bad 2"])
    }).pipe(Effect.scoped)
  )

  it.effect("is run again at once where its schedule says so, before others", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      const { begun, done, handle } = failing((body, tries) => isBad(body) && tries < 4)
      yield* Effect.forkScoped(socket.runForEach(([body]) => handle(`${body}`), { retry: Schedule.recurs(3) }))
      port.arrive("bad", "a")
      yield* untilSo(() => done.length === 2)
      expect(begun).toEqual(["bad at 0", "bad at 0", "bad at 0", "bad at 0", "a at 0"])
    }).pipe(Effect.scoped)
  )

  it.effect("ends the run when it is given up, without orElse, and its message comes again", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      const { begun, handle } = failing(isBad)
      const run = yield* Effect.forkScoped(socket.runForEach(([body]) => handle(`${body}`), { retry: seconds(1) }))
      port.arrive("bad")
      yield* untilSo(() => begun.length === 1)
      yield* aFewTurns
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.await(run)).toEqual(Exit.fail("no bad"))
      expect(begun).toEqual(["bad at 0", "bad at 1"])
      expect(bodies(yield* socket.drain)).toEqual(["bad"])
    }).pipe(Effect.scoped)
  )

  it.effect("with a defect is not run again, and orElse deals with it", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      const given: Array<unknown> = []
      const bug = new Error("a bug")
      let tries = 0
      yield* Effect.forkScoped(
        socket.runForEach(
          () => {
            tries++
            return tries === 1 ? Effect.die(bug) : Effect.void
          },
          { retry: seconds(5), orElse: (_, cause) => Effect.sync(() => given.push(Cause.squash(cause))) }
        )
      )
      port.arrive("0", "1")
      yield* untilSo(() => tries === 2)
      expect(given).toEqual([bug])
    }).pipe(Effect.scoped)
  )

  it.effect("ends the run with what orElse fails with", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      const run = yield* Effect.forkScoped(
        socket.runForEach(() => Effect.fail("no"), { orElse: (_, cause) => Effect.fail(`${Cause.squash(cause)}!`) })
      )
      port.arrive("0", "1")
      expect(yield* Fiber.await(run)).toEqual(Exit.fail("no!"))
      expect(bodies(yield* socket.drain)).toEqual(["0", "1"])
    }).pipe(Effect.scoped)
  )

  it.effect("waits with its message where a thousand wait already", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      const { begun, handle } = failing(isBad)
      yield* Effect.forkScoped(
        socket.runForEach(([body]) => handle(`${body}`), { retry: seconds(1), orElse: () => Effect.void })
      )
      port.arrive(...numbers(0, 1500).map((number) => `bad ${number}`), "good")
      yield* untilSo(() => begun.length > 1000)
      yield* aFewTurns
      expect(begun.length).toBe(1001)
      yield* TestClock.adjust("1 second")
      yield* untilSo(() => begun.length >= 2002)
      yield* aFewTurns
      yield* TestClock.adjust("1 second")
      yield* untilSo(() => begun.some((text) => text.startsWith("good")))
      yield* TestClock.adjust("1 second")
      yield* untilSo(() => begun.length === 3001)
    }).pipe(Effect.scoped)
  )

  for (const how of ["interrupted", "stopped", "failed", "closed"] as const) {
    it.effect(`gives back what waits for its next try, in its place, when the run is ${how}`, () =>
      Effect.gen(function* () {
        const { close, port, socket } = openNow(Zmq.pull())
        const stop = Deferred.makeUnsafe<void, string>()
        const { begun, handle } = failing(isBad)
        const run = yield* Effect.forkScoped(
          socket.runForEach(([body]) => handle(`${body}`), { retry: seconds(5), until: Deferred.await(stop) })
        )
        port.arrive("bad 0", "a", "bad 1")
        yield* untilSo(() => begun.length === 3)
        yield* aFewTurns
        expect(outcome(run as never)).toBe("running")
        if (how === "interrupted") yield* Fiber.interrupt(run)
        else if (how === "closed") yield* Effect.promise(close)
        else Deferred.doneUnsafe(stop, how === "stopped" ? Effect.void : Effect.fail("broken"))
        const exit = yield* Fiber.await(run)
        expect(Exit.isSuccess(exit)).toBe(how === "stopped")
        port.arrive("b")
        expect(bodies(yield* socket.drain)).toEqual(["bad 0", "bad 1", ...(how === "closed" ? [] : ["b"])])
        if (how === "closed") expect(socket.stats.leftAtClose).toBe(2)
        yield* TestClock.adjust("1 minute")
        yield* aFewTurns
        expect(begun.length).toBe(3)
      })
    )
  }

  it.effect("goes back, and is not put aside, when the run has been told to stop", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      const stop = Deferred.makeUnsafe<void>()
      const gate = Deferred.makeUnsafe<void, string>()
      let begun = 0
      const run = yield* Effect.forkScoped(
        socket.runForEach(
          () => {
            begun++
            return Deferred.await(gate)
          },
          { retry: seconds(5), until: Deferred.await(stop) }
        )
      )
      port.arrive("0")
      yield* untilSo(() => begun === 1)
      Deferred.doneUnsafe(stop, Effect.void)
      yield* aFewTurns
      Deferred.doneUnsafe(gate, Effect.fail("no"))
      expect(yield* Fiber.await(run)).toEqual(Exit.void)
      expect(bodies(yield* socket.drain)).toEqual(["0"])
    }).pipe(Effect.scoped)
  )
})

// -----------------------------------------------------------------------------
// serve
// -----------------------------------------------------------------------------

const answer = (body: string): Effect.Effect<string, string> =>
  isBad(body) ? Effect.fail(`no ${body}`) : Effect.succeed(`re ${body}`)

describe("A request whose handler fails", () => {
  it.effect("has the reply of orElse, or none, of a ROUTER", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.router(), { admission: "ask" })
      yield* Effect.forkScoped(
        socket.serve(([body]) => answer(`${body}`), {
          retry: seconds(1),
          orElse: ([body], cause) =>
            `${body}` === "bad 0" ? Effect.succeed(["failed", `${Cause.squash(cause)}`] as const) : Effect.void
        })
      )
      for (const body of ["bad 0", "bad 1", "a"]) port.arriveMessage(messageOf("peer", "", body))
      yield* untilSo(() => port.sent.length === 1)
      yield* aFewTurns
      yield* TestClock.adjust("1 second")
      yield* untilSo(() => port.sent.length === 2)
      yield* aFewTurns
      expect(port.sent).toEqual(["peer||re a", "peer||failed|no bad 0"])
      expect(socket.stats).toMatchObject({ putBack: 0, queued: 0 })
    }).pipe(Effect.scoped)
  )

  it.effect("has the reply of orElse of a SERVER, that is told of the peer", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Draft.server(), { admission: "ask" })
      yield* Effect.forkScoped(
        socket.serve(({ data }) => answer(`${data}`), {
          orElse: ({ data, routingId }) => Effect.succeed(`${data} of ${routingId}`)
        })
      )
      port.arriveMessage(messageOf(Buffer.from([0, 0, 0, 7]), "bad"))
      yield* untilSo(() => port.sent.length === 1)
      expect(port.sent[0]!.slice(5)).toBe("bad of 7")
    }).pipe(Effect.scoped)
  )

  it.effect("holds up a REP until it has a reply, which may be empty", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.rep(), { admission: "ask" })
      yield* Effect.forkScoped(
        socket.serve(([body]) => answer(`${body}`), { retry: seconds(1), orElse: () => Effect.void })
      )
      port.arrive("bad", "a")
      yield* aFewTurns
      expect(port.sent).toEqual([])
      yield* TestClock.adjust("1 second")
      yield* untilSo(() => port.sent.length === 2)
      expect(port.sent).toEqual(["", "re a"])
    }).pipe(Effect.scoped)
  )

  for (const how of ["stopped", "interrupted"] as const) {
    it.effect(`goes back to a REP that is ${how} while it waits`, () =>
      Effect.gen(function* () {
        const { port, socket } = yield* openScripted(Zmq.rep(), { admission: "ask" })
        const stop = Deferred.makeUnsafe<void>()
        const run = yield* Effect.forkScoped(
          socket.serve(([body]) => answer(`${body}`), { retry: seconds(1), until: Deferred.await(stop) })
        )
        port.arrive("bad")
        yield* untilSo(() => port.handedOver === 1)
        yield* aFewTurns
        if (how === "interrupted") yield* Fiber.interrupt(run)
        else Deferred.doneUnsafe(stop, Effect.void)
        expect(Exit.isSuccess(yield* Fiber.await(run))).toBe(how === "stopped")
        expect(bodies([yield* socket.recv])).toEqual(["bad"])
      }).pipe(Effect.scoped)
    )
  }

  it.effect("as its reply is no message is dealt with in the same way", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.router(), { admission: "ask" })
      yield* Effect.forkScoped(
        socket.serve(() => Effect.succeed([] as never), { orElse: () => Effect.succeed("sorry") })
      )
      port.arriveMessage(messageOf("peer", "", "a"))
      yield* untilSo(() => port.sent.length === 1)
      expect(port.sent).toEqual(["peer||sorry"])
    }).pipe(Effect.scoped)
  )
})

// -----------------------------------------------------------------------------
// interrupted at every moment
// -----------------------------------------------------------------------------

/** A clock whose sleeps take a turn of the event loop. */
const quick = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Clock.Clock, (clock) =>
    Effect.provideService(
      self,
      Clock.Clock,
      Object.assign(Object.create(clock) as Clock.Clock, { sleep: () => Effect.promise(() => turns()) })
    )
  )

describe("Handlers that fail, in a run that is interrupted or stopped at each of its steps,", () => {
  for (const what of ["interrupted", "stopped"] as const) {
    for (const concurrency of [1, 3]) {
      it.live(`${what}: each message is handled or goes back, ${concurrency} at a time`, () =>
        Effect.promise(async () => {
          let waited = 0
          const steps = await sweep(() => {
            const { port, socket } = openNow(Zmq.pull())
            const stop = Deferred.makeUnsafe<void>()
            // The even ones fail once, and 3 always.
            const { begun, done, handle } = failing(
              (body, tries) => body === "3" || (Number(body) % 2 === 0 && tries === 1)
            )
            const dead: Array<string> = []
            port.arrive("0", "1", "2")
            return {
              program: quick(
                socket.runForEach(([body]) => handle(`${body}`), {
                  concurrency,
                  retry: seconds(1),
                  orElse: ([body]) => Effect.sync(() => dead.push(`${body}`)),
                  until: Deferred.await(stop)
                })
              ),
              all: true,
              ...(what === "stopped" ? { instead: () => Deferred.doneUnsafe(stop, Effect.void) } : {}),
              script: async () => {
                await turns(2)
                port.arrive("3", "4")
                await turns(3)
              },
              check: async ({ fiber, moment, step }) => {
                const where = `${moment} at step ${step}`
                const left = bodies(await Effect.runPromise(socket.drain))
                expect({ where, all: [...done, ...dead, ...left].sort() }).toEqual({
                  where,
                  all: ["0", "1", "2", "3", "4"]
                })
                expect({ where, left }).toEqual({ where, left: left.toSorted() })
                if (what === "stopped" && left.length > 0) expect(fiber.pollUnsafe()).toEqual(Exit.void)
                if (left.some((body) => begun.some((text) => text.startsWith(body)))) waited++
                expect(port.violations).toEqual([])
              }
            }
          })
          expect(steps).toBeGreaterThan(30)
          expect(waited).toBeGreaterThan(3)
        })
      )
    }
  }
})

it.live("A busy consumer whose handlers fail loses nothing when it is interrupted again and again", () =>
  Effect.promise(async () => {
    for (const concurrency of [1, 4]) {
      const { port, socket } = openNow(Zmq.pull(), { flood: String })
      const { done, handle } = failing((body, tries) => Number(body) % 3 === 0 && tries % 2 === 1)
      for (let i = 0; i < 100; i++) {
        const fiber = Effect.runFork(
          quick(socket.runForEach(([body]) => handle(`${body}`), { concurrency, retry: seconds(3) }))
        )
        await turns(1 + (i % 4))
        fiber.interruptUnsafe()
        expect(await turnsUntil(() => fiber.pollUnsafe() !== undefined, 100)).toBe(true)
      }
      port.flooding = false
      const left = bodies(await Effect.runPromise(socket.drain)).map(Number)
      expect(left).toEqual(left.toSorted((a, b) => a - b))
      const all = [...done.map(Number), ...left].toSorted((a, b) => a - b)
      expect(done.length).toBeGreaterThan(100)
      // Each of them once: a handler that has succeeded has settled its message.
      expect(all.length).toBe(port.handedOver)
      expect(new Set(all).size).toBe(port.handedOver)
    }
  })
)
