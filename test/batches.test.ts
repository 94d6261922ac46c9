/** Batches: messages in lists, each of which is lent as one. */
import { describe, expect, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Schedule, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Draft, Zmq } from "effect-zmq"
import { messageOf, openNow, openScripted, turns, turnsUntil } from "./support/scripted.ts"
import { numbers, until } from "./support/sockets.ts"
import { sweep } from "./support/sweep.ts"

const untilSo = (done: () => boolean) => until(Effect.sync(done))
const aFewTurns = Effect.promise(() => turns(10))
const bodies = (messages: ReadonlyArray<Zmq.Message>) => messages.map((message) => `${message.at(-1)}`)
const names = (from: number, to: number) => numbers(from, to).map(String)

type Consume = (
  socket: Zmq.Pull,
  size: Zmq.BatchOptions,
  handle: (batch: ReadonlyArray<string>) => Effect.Effect<void>
) => Effect.Effect<unknown, unknown>

const consumers: Record<string, Consume> = {
  batches: (socket, size, handle) => Stream.runForEach(socket.batches(size), (batch) => handle(bodies(batch))),
  "batches, as an accessor": (socket, size, handle) =>
    Effect.provideService(
      Stream.runForEach(Zmq.batches(size), (batch) => handle(bodies(batch))),
      Zmq.Receiver,
      socket
    ),
  runForEachBatch: (socket, size, handle) => socket.runForEachBatch((batch) => handle(bodies(batch)), size),
  "runForEachBatch, as an accessor": (socket, size, handle) =>
    Effect.provideService(
      Zmq.runForEachBatch((batch) => handle(bodies(batch)), { ...size, concurrency: 3 }),
      Zmq.Receiver,
      socket
    )
}

for (const [name, consume] of Object.entries(consumers)) {
  describe(`${name}:`, () => {
    it.effect("a batch is over when it is full, or when its time is", () =>
      Effect.gen(function* () {
        const { port, socket } = yield* openScripted(Zmq.pull())
        const seen: Array<string> = []
        const size = { max: 3, within: "1 second" } as const
        const handle = (batch: ReadonlyArray<string>) =>
          Effect.map(Clock.currentTimeMillis, (now) => void seen.push(`${batch.join()} at ${now}`))
        yield* Effect.forkScoped(consume(socket, size, handle))
        yield* TestClock.adjust("10 seconds")
        port.arrive(...names(0, 7))
        yield* untilSo(() => seen.length === 2)
        yield* aFewTurns
        yield* TestClock.adjust("400 millis")
        port.arrive("7")
        yield* aFewTurns
        yield* TestClock.adjust("599 millis")
        yield* aFewTurns
        expect(seen).toEqual(["0,1,2 at 10000", "3,4,5 at 10000"])
        // From its first message on, and not from its last.
        yield* TestClock.adjust("1 millis")
        yield* untilSo(() => seen.length === 3)
        expect(seen[2]).toBe("6,7 at 11000")
        yield* TestClock.adjust("1 minute")
        yield* aFewTurns
        expect(seen.length).toBe(3)
        port.arrive("8", "9", "10")
        yield* untilSo(() => seen.length === 4)
        expect(seen[3]).toBe("8,9,10 at 71000")
      }).pipe(Effect.scoped)
    )

    it.effect("a batch of one, and one without end of time", () =>
      Effect.gen(function* () {
        for (const max of [1, 0, 2.5]) {
          const { port, socket } = yield* openScripted(Zmq.pull())
          const seen: Array<string> = []
          yield* Effect.forkScoped(
            consume(socket, { max, within: "Infinity" }, (batch) => Effect.sync(() => void seen.push(batch.join())))
          )
          port.arrive("0", "1", "2")
          yield* untilSo(() => seen.length === (max > 1 ? 1 : 3))
          yield* aFewTurns
          yield* TestClock.adjust("1000 days")
          yield* aFewTurns
          expect(seen).toEqual(max > 1 ? ["0,1"] : ["0", "1", "2"])
        }
      }).pipe(Effect.scoped)
    )

    it.effect("the time limit of a receive is for the first message", () =>
      Effect.gen(function* () {
        const { port, socket } = yield* openScripted(Zmq.pull({ receiveTimeout: "1 second" }))
        const seen: Array<string> = []
        const run = yield* Effect.forkScoped(
          consume(socket, { max: 9, within: "5 seconds" }, (batch) => Effect.sync(() => void seen.push(batch.join())))
        )
        port.arrive("0")
        yield* aFewTurns
        yield* TestClock.adjust("5 seconds")
        yield* untilSo(() => seen.length === 1)
        yield* aFewTurns
        yield* TestClock.adjust("1 second")
        const exit = yield* Fiber.await(run)
        expect(Exit.isFailure(exit) && `${exit.cause}`).toContain("Again")
        expect(seen).toEqual(["0"])
      }).pipe(Effect.scoped)
    )

    it.live("what was collected is handled when the socket closes", () =>
      Effect.promise(async () => {
        const { close, port, socket } = openNow(Zmq.pull())
        const seen: Array<string> = []
        const fiber = Effect.runFork(
          consume(socket, { max: 9, within: "1 hour" }, (batch) => Effect.sync(() => void seen.push(batch.join())))
        )
        port.arrive("0", "1")
        await turns(5)
        expect(seen).toEqual([])
        await close()
        expect(await turnsUntil(() => fiber.pollUnsafe() !== undefined)).toBe(true)
        expect(seen).toEqual(["0,1"])
        expect(`${JSON.stringify(fiber.pollUnsafe())}`).toContain("Closed")
        expect(socket.stats.leftAtClose).toBe(0)
      })
    )

    it.live("interrupted at each of its steps, each message is handled, or comes again with all of its batch", () =>
      Effect.promise(async () => {
        let again = 0
        const steps = await sweep(() => {
          const { port, socket } = openNow(Zmq.pull())
          const begun: Array<ReadonlyArray<string>> = []
          const done: Array<ReadonlyArray<string>> = []
          port.arrive(...names(0, 4))
          return {
            program: consume(socket, { max: 3, within: "1 hour" }, (batch) =>
              Effect.gen(function* () {
                begun.push(batch)
                yield* Effect.yieldNow
                yield* Effect.void
                done.push(batch)
              })
            ),
            all: true,
            script: async () => {
              await turns(2)
              port.arrive(...names(4, 7))
              await turns(3)
            },
            check: async ({ moment, step }) => {
              const left = bodies(await Effect.runPromise(socket.drain))
              const where = `interrupted ${moment} at step ${step}`
              expect({ where, all: [...new Set([...done.flat(), ...left])].sort() }).toEqual({
                where,
                all: names(0, 7)
              })
              expect({ where, left }).toEqual({ where, left: left.toSorted() })
              for (const batch of begun) {
                const back = batch.filter((text) => left.includes(text)).length
                expect([where, back === 0 || back === batch.length]).toEqual([where, true])
                if (back > 0) again++
              }
              expect(port.violations).toEqual([])
            }
          }
        })
        expect(steps).toBeGreaterThan(20)
        expect(again).toBeGreaterThan(5)
      })
    )

    it.live("a busy consumer loses nothing when it is interrupted again and again", () =>
      Effect.promise(async () => {
        const { port, socket } = openNow(Zmq.pull(), { flood: String })
        const handled = new Set<number>()
        let twice = 0
        for (let i = 0; i < 200; i++) {
          const fiber = Effect.runFork(
            consume(socket, { max: 1 + (i % 9), within: "1 hour" }, (batch) =>
              Effect.andThen(
                Effect.void,
                Effect.sync(() => {
                  for (const text of batch) {
                    if (handled.has(Number(text))) twice++
                    handled.add(Number(text))
                  }
                })
              )
            )
          )
          await turns(1 + (i % 4))
          fiber.interruptUnsafe()
          expect(await turnsUntil(() => fiber.pollUnsafe() !== undefined, 100)).toBe(true)
        }
        port.flooding = false
        const left = bodies(await Effect.runPromise(socket.drain)).map(Number)
        expect(left).toEqual(left.toSorted((a, b) => a - b))
        expect(handled.size).toBeGreaterThan(200)
        for (const number of left) handled.add(number)
        expect(handled.size).toBe(port.handedOver)
        // One batch at each interruption, and of the last consumer three.
        expect(twice).toBeLessThanOrEqual(200 * 9 * 3)
      })
    )
  })
}

it.live("Stream.take of batches has consumed those, and no more, at each of its steps", () =>
  Effect.promise(async () => {
    await sweep(() => {
      const { port, socket } = openNow(Zmq.pull())
      const handled: Array<string> = []
      port.arrive(...names(0, 7))
      return {
        program: socket.batches({ max: 2, within: "1 hour" }).pipe(
          Stream.take(2),
          Stream.runForEach((batch) => Effect.sync(() => void handled.push(...bodies(batch))))
        ),
        script: async () => {},
        check: async ({ fiber, moment, step }) => {
          const left = bodies(await Effect.runPromise(socket.drain))
          const where = `interrupted ${moment} at step ${step}`
          expect({ where, all: [...new Set([...handled, ...left])] }).toEqual({ where, all: names(0, 7) })
          if (fiber.pollUnsafe()?._tag === "Success") expect(left).toEqual(["4", "5", "6"])
        }
      }
    })
  })
)

it.live("Stream.take of batches loses nothing in a busy consumer that is interrupted again and again", () =>
  Effect.promise(async () => {
    const { port, socket } = openNow(Zmq.pull(), { flood: String })
    const handled = new Set<string>()
    for (let i = 0; i < 200; i++) {
      const fiber = Effect.runFork(
        Effect.forever(
          Stream.runForEach(Stream.take(socket.batches({ max: 1 + (i % 3), within: "1 hour" }), 1), (batch) =>
            Effect.sync(() => {
              for (const text of bodies(batch)) handled.add(text)
            })
          )
        )
      )
      await turns(1 + (i % 4))
      fiber.interruptUnsafe()
      expect(await turnsUntil(() => fiber.pollUnsafe() !== undefined, 100)).toBe(true)
    }
    port.flooding = false
    const left = bodies(await Effect.runPromise(socket.drain))
    expect(handled.size).toBeGreaterThan(200)
    expect(new Set([...handled, ...left]).size).toBe(port.handedOver)
  })
)

describe("runForEachBatch", () => {
  it.effect("collects one batch while others are handled, and each is whole", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      const begun: Array<string> = []
      yield* Effect.forkScoped(
        socket.runForEachBatch(
          (batch) => {
            begun.push(bodies(batch).join())
            return Effect.never
          },
          { max: 2, within: "1 second", concurrency: 3 }
        )
      )
      for (const name of names(0, 7)) {
        port.arrive(name)
        yield* aFewTurns
      }
      expect(begun).toEqual(["0,1", "2,3", "4,5"])
    }).pipe(Effect.scoped)
  )

  it.effect("hands over what it has collected when it is told to stop, and succeeds", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      const stop = Deferred.makeUnsafe<void>()
      const done: Array<string> = []
      const run = yield* Effect.forkScoped(
        socket.runForEachBatch((batch) => Effect.sync(() => done.push(bodies(batch).join())), {
          max: 10,
          within: "1 hour",
          concurrency: 2,
          until: Deferred.await(stop)
        })
      )
      port.arrive("0", "1")
      yield* aFewTurns
      Deferred.doneUnsafe(stop, Effect.void)
      port.arrive("2")
      expect(yield* Fiber.await(run)).toEqual(Exit.void)
      expect(done).toEqual(["0,1"])
      expect(bodies(yield* socket.drain)).toEqual(["2"])
      expect(socket.stats.putBack).toBe(0)
    }).pipe(Effect.scoped)
  )

  it.live("told to stop at each of its steps, handles each message once or leaves it", () =>
    Effect.promise(async () => {
      for (const concurrency of [1, 3]) {
        await sweep(() => {
          const { port, socket } = openNow(Zmq.pull())
          const stop = Deferred.makeUnsafe<void>()
          const done: Array<string> = []
          port.arrive(...names(0, 4))
          return {
            program: socket.runForEachBatch(
              (batch) =>
                Effect.andThen(
                  Effect.yieldNow,
                  Effect.sync(() => done.push(...bodies(batch)))
                ),
              { max: 3, within: "1 hour", concurrency, until: Deferred.await(stop) }
            ),
            all: true,
            instead: () => Deferred.doneUnsafe(stop, Effect.void),
            script: async () => {
              await turns(2)
              port.arrive(...names(4, 7))
              await turns(3)
            },
            check: async ({ step }) => {
              const left = bodies(await Effect.runPromise(socket.drain))
              expect([step, ...[...done, ...left].sort()]).toEqual([step, ...names(0, 7)])
              expect(left).toEqual(left.toSorted())
            }
          }
        })
      }
    })
  )

  it.effect("tries a batch again as a whole, lets others go on, and gives it up as a whole", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      const begun: Array<string> = []
      const dead: Array<string> = []
      const run = yield* Effect.forkScoped(
        socket.runForEachBatch(
          (batch) => {
            begun.push(bodies(batch).join())
            return bodies(batch).includes("bad") ? Effect.fail("no") : Effect.void
          },
          {
            max: 2,
            within: "1 hour",
            retry: Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 1 })),
            orElse: (batch) => Effect.sync(() => dead.push(bodies(batch).join()))
          }
        )
      )
      port.arrive("bad", "0", "1", "2")
      yield* untilSo(() => begun.length === 2)
      yield* TestClock.adjust("1 second")
      yield* untilSo(() => dead.length === 1)
      expect([begun, dead]).toEqual([["bad,0", "1,2", "bad,0"], ["bad,0"]])
      // Interrupted while it waits, all of it comes again.
      port.arrive("bad", "3")
      yield* untilSo(() => begun.length === 4)
      yield* aFewTurns
      yield* Fiber.interrupt(run)
      expect(bodies(yield* socket.drain)).toEqual(["bad", "3"])
    }).pipe(Effect.scoped)
  )

  it.effect("of a draft socket has the heading of each message", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Draft.dish())
      const seen: Array<unknown> = []
      yield* Effect.forkScoped(
        socket.runForEachBatch(
          (batch) => Effect.sync(() => seen.push(batch.map(({ data, group }) => `${group} ${data}`))),
          {
            max: 2,
            within: "1 second"
          }
        )
      )
      port.arriveMessage(messageOf("a", "0"))
      port.arriveMessage(messageOf("b", "1"))
      yield* untilSo(() => seen.length === 1)
      expect(seen).toEqual([["a 0", "b 1"]])
    }).pipe(Effect.scoped)
  )
})
