/** The scenario this library was made for, and a storm of everything that could lose a message. */
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Ref, Schedule, type Scope, Stream } from "effect"
import { Codec, Zmq } from "effect-zmq"
import { boundTo, freshEndpoint, nextTurn, numbers, randomFrom, transports, until } from "./support/sockets.ts"

let complaints: Array<unknown> = []
const complain = (complaint: unknown) => void complaints.push(complaint)
beforeEach(() => {
  complaints = []
  process.on("warning", complain)
  process.on("unhandledRejection", complain)
})
afterEach(() => {
  process.off("warning", complain)
  process.off("unhandledRejection", complain)
  expect(complaints).toEqual([])
})

const fork = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

describe("PyZMQ issue 1925: a loop on recvString with a small receiveTimeout, cancelled", () => {
  for (const transport of transports) {
    it.live(`1,000 times over ${transport}: no message is missing, doubled or out of order`, () =>
      Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: freshEndpoint(transport), receiveTimeout: "1 millis" })
        const push = yield* Zmq.push({ connect: boundTo(pull) })
        const random = randomFrom(1925)
        const received: Array<number> = []
        let timeouts = 0
        let sent = 0

        const receiver = Effect.forever(
          pull.recvString.pipe(
            Effect.tap((text) => Effect.sync(() => received.push(Number(text)))),
            Effect.catchTag("Again", () => Effect.sync(() => timeouts++))
          )
        )
        for (const round of numbers(0, 1000)) {
          const task = yield* fork(receiver)
          const messages = random(4)
          for (let message = 0; message < messages; message++) {
            yield* push.send(`${sent++}`)
            if (random(3) === 0) yield* nextTurn
          }
          // Now and then long enough for the timeout, whose tick the cancellation then meets.
          if (round % 3 === 0) yield* Effect.sleep(`${900 + random(2000)} micros`)
          yield* Fiber.interrupt(task)
          expect(Exit.isFailure(yield* Fiber.await(task))).toBe(true)
        }
        while (received.length < sent) {
          const next = yield* Effect.option(pull.recvString)
          if (Option.isSome(next)) received.push(Number(next.value))
        }
        expect(received).toEqual(numbers(0, sent))
        expect(timeouts).toBeGreaterThan(100)
        expect(yield* pull.drain).toEqual([])
      })
    )
  }
})

// -----------------------------------------------------------------------------
// the storm
// -----------------------------------------------------------------------------

type Storm = (pull: Zmq.Pull, handled: (text: string) => void) => Effect.Effect<unknown, unknown, Scope.Scope>

/** Each handles a message in the operation that has it: what was handled is exactly what left the library. */
const consumers: ReadonlyArray<readonly [name: string, consumer: Storm]> = [
  ["recv", (pull, handled) => Effect.forever(Effect.map(pull.recvString, handled))],
  [
    "recvWithPeer",
    (pull, handled) => Effect.forever(Effect.map(pull.recvWithPeer, ([[frame]]) => handled(`${frame}`)))
  ],
  [
    "timeout",
    (pull, handled) =>
      Effect.forever(Effect.map(Effect.timeoutOption(pull.recvString, "1 millis"), Option.map(handled)))
  ],
  [
    "raceFirst of two receives",
    (pull, handled) => {
      const one = Effect.map(pull.recvString, (text) => ({ text }))
      return Effect.forever(Effect.map(Effect.raceFirst(one, one), ({ text }) => handled(text)))
    }
  ],
  [
    "race with a sleep",
    (pull, handled) =>
      Effect.forever(
        // A rival that may win or lose: either way nothing is lost.
        Effect.map(Effect.raceFirst(pull.recvString, Effect.sleep("1 millis")), (text) => {
          if (text !== undefined) handled(text)
        })
      )
  ],
  [
    "all with a sibling that fails",
    (pull, handled) =>
      Effect.forever(
        Effect.ignore(
          Effect.all([Effect.map(pull.recvString, handled), Effect.andThen(nextTurn, Effect.fail("no"))], {
            concurrency: "unbounded"
          })
        )
      )
  ],
  [
    "a scope that closes",
    (pull, handled) =>
      Effect.forever(
        Effect.scoped(Effect.andThen(Effect.forkScoped(Effect.forever(Effect.map(pull.recvString, handled))), nextTurn))
      )
  ],
  [
    "runForEach",
    (pull, handled) => pull.runForEach(([frame]) => Effect.sync(() => handled(`${frame}`)), { concurrency: 3 })
  ],
  [
    "runForEach, until",
    (pull, handled) =>
      Effect.forever(
        pull.runForEach(([frame]) => Effect.sync(() => handled(`${frame}`)), { concurrency: 3, until: nextTurn })
      )
  ],
  [
    "runForEach, retry",
    (pull, handled) => {
      let count = 0
      return pull.runForEach(
        ([frame]) => (count++ % 3 === 0 ? Effect.fail("again") : Effect.sync(() => handled(`${frame}`))),
        { concurrency: 3, retry: Schedule.spaced("1 millis") }
      )
    }
  ],
  [
    "runForEachBatch",
    (pull, handled) =>
      pull.runForEachBatch(
        (batch) =>
          Effect.sync(() => {
            for (const [frame] of batch) handled(`${frame}`)
          }),
        { max: 7, within: "1 millis", concurrency: 2 }
      )
  ],
  [
    "runForEachAs",
    (pull, handled) => pull.runForEachAs(Codec.string, (text) => Effect.sync(() => handled(text)), { concurrency: 3 })
  ],
  [
    "tryRecv",
    (pull, handled) =>
      Effect.forever(
        Effect.flatMap(
          Effect.map(
            pull.tryRecv,
            Option.map(([frame]) => handled(`${frame}`))
          ),
          (found) => (Option.isSome(found) ? Effect.void : nextTurn)
        )
      )
  ],
  [
    "drain",
    (pull, handled) =>
      Effect.forever(
        Effect.andThen(
          Effect.map(pull.drain, (all) => {
            for (const [frame] of all) handled(`${frame}`)
          }),
          nextTurn
        )
      )
  ]
]

/** A stream that is interrupted after its handler and before it asks for more gives its element back. */
const lenders: ReadonlyArray<readonly [name: string, consumer: Storm]> = [
  ["stream", (pull, handled) => Stream.runForEach(pull.strings, (text) => Effect.sync(() => handled(text)))],
  [
    "batches",
    (pull, handled) =>
      Stream.runForEach(pull.batches({ max: 7, within: "1 millis" }), (batch) =>
        Effect.sync(() => {
          for (const [frame] of batch) handled(`${frame}`)
        })
      )
  ],
  [
    "stream, take",
    (pull, handled) =>
      Effect.forever(Stream.runForEach(Stream.take(pull.strings, 3), (text) => Effect.sync(() => handled(text))))
  ],
  [
    "stream, interruptWhen",
    (pull, handled) =>
      Effect.forever(
        Stream.runForEach(Stream.interruptWhen(pull.strings, nextTurn), (text) => Effect.sync(() => handled(text)))
      )
  ]
]

describe("a storm of interrupts, timeouts, races and closing scopes", () => {
  for (const transport of transports) {
    for (const streams of [false, true]) {
      const promise = streams ? "with streams, no message is lost, and none that was taken comes again" : "exactly once"
      it.live(`20,000 messages over ${transport}: ${promise}`, () =>
        Effect.gen(function* () {
          const total = 20_000
          const seed = total + transport.length
          const random = randomFrom(seed)
          const pull = yield* Zmq.pull({ bind: freshEndpoint(transport) })
          const push = yield* Zmq.push({ connect: boundTo(pull) })
          const taken = new Uint8Array(total)
          const lent = new Uint8Array(total)
          const wrong: Array<string> = []
          let settled = 0
          const handlers = (name: string, exactly: boolean) => (text: string) => {
            const number = Number(text)
            if (taken[number]! > 0) wrong.push(`${number} again, by ${name}`)
            if (taken[number]! + lent[number]! === 0) settled++
            if (exactly) taken[number] = 1
            else lent[number] = 1
          }
          // Now in bursts, now one by one: a consumer that is idle, and one that never catches up.
          const sender = yield* fork(
            Effect.gen(function* () {
              for (let number = 0; number < total; ) {
                const burst = Math.min(total - number, random(4) === 0 ? 1 + random(400) : 1 + random(3))
                yield* push.sendAll(numbers(number, number + burst).map(String))
                number += burst
                if (random(2) === 0) yield* nextTurn
              }
            })
          )
          const all = [
            ...consumers.map(([name, consume]) => consume(pull, handlers(name, true))),
            ...(streams ? lenders.map(([name, consume]) => consume(pull, handlers(name, false))) : [])
          ]
          let interrupts = 0
          while (sender.pollUnsafe() === undefined || settled < total) {
            const tasks = yield* Effect.forEach(numbers(0, 1 + random(3)), () =>
              Effect.forkChild(Effect.scoped(all[interrupts++ % all.length]!), { startImmediately: random(2) === 0 })
            )
            for (let turns = random(6); turns > 0; turns--) yield* random(2) === 0 ? nextTurn : Effect.yieldNow
            // Let some timers end as well, now and then; nothing waits for it.
            if (random(10) === 0) yield* Effect.sleep("1 millis")
            yield* Fiber.interruptAll(tasks)
          }
          yield* Fiber.join(sender)
          // What a stream gave back and nobody asked for yet.
          for (const [frame] of yield* pull.drain) handlers("drain", true)(`${frame}`)
          expect({ seed, wrong, settled }).toEqual({ seed, wrong: [], settled: total })
          expect(interrupts).toBeGreaterThan(100)
        })
      )
    }
  }
})

describe("cancelled sends", () => {
  for (const transport of transports) {
    for (const highWaterMark of [1, 10]) {
      it.live(
        `over ${transport} at a high-water mark of ${highWaterMark}: what was sent is what arrives, in order`,
        () =>
          Effect.gen(function* () {
            const options = { sendHighWaterMark: highWaterMark }
            const push = yield* Zmq.push({ bind: freshEndpoint(transport), ...options })
            const pull = yield* Zmq.pull({ connect: boundTo(push), receiveHighWaterMark: highWaterMark })
            const random = randomFrom(highWaterMark)
            const received: Array<string> = []
            const reading = yield* Ref.make(true)
            const reader = yield* fork(
              Effect.gen(function* () {
                while (true) {
                  const reads = yield* Ref.get(reading)
                  if (reads)
                    for (let count = random(8); count > 0; count--) received.push((yield* pull.recv)[0].toString())
                  yield* nextTurn
                }
              })
            )
            // In the order in which they began.
            const sends: Array<{ readonly text: string; readonly fiber: Fiber.Fiber<unknown, unknown> }> = []
            const forked: Array<Fiber.Fiber<unknown, unknown>> = []
            let number = 0
            for (const round of numbers(0, 400)) {
              yield* Ref.set(reading, round % 5 !== 0)
              const started = yield* Effect.forEach(numbers(0, 1 + random(6)), () => {
                const text = `${number++}`
                const frames = random(2) === 0 ? text : ([text, "second frame"] as const)
                const send = Effect.suspend(() => {
                  sends.push({ text, fiber: Fiber.getCurrent()! })
                  return push.send(frames)
                })
                return Effect.forkChild(send, { startImmediately: random(2) === 0 })
              })
              forked.push(...started)
              for (let turns = random(3); turns > 0; turns--) yield* random(2) === 0 ? nextTurn : Effect.yieldNow
              for (const fiber of started) if (random(3) > 0) yield* Fiber.interrupt(fiber)
            }
            yield* Ref.set(reading, true)
            // Some of them may not have begun yet.
            for (const fiber of forked) yield* Fiber.await(fiber)
            const fates = yield* Effect.forEach(sends, ({ fiber, text }) =>
              Effect.map(Fiber.await(fiber), (exit) => ({ text, sent: Exit.isSuccess(exit) }))
            )
            const sent = fates.filter((fate) => fate.sent).map(({ text }) => text)
            yield* push.send("end")
            yield* until(Effect.sync(() => received.at(-1) === "end"))
            yield* Fiber.interrupt(reader)
            expect(received.slice(0, -1)).toEqual(sent)
            expect(sent.length).toBeGreaterThan(50)
            expect(sent.length).toBeLessThan(sends.length)
            expect(yield* pull.drain).toEqual([])
          })
      )
    }
  }
})
