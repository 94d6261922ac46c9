/**
 * Requests whose peer sends other messages as well, tries to
 * answer what it was not asked, or answers what was given up.
 */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Logger } from "effect"
import { Zmq } from "effect-zmq"
import {
  floor,
  messageOf,
  openNow,
  openScripted,
  outcome,
  type ScriptedSocket,
  turns,
  turnsUntil
} from "./support/scripted.ts"
import { numbers, texts } from "./support/sockets.ts"

const untilSo = (done: () => boolean) =>
  Effect.map(
    Effect.promise(() => turnsUntil(done)),
    (isSo) => expect(isSo).toBe(true)
  )
const aFewTurns = Effect.promise(() => turns(10))

/** The ids of the requests that were sent, in order. */
const idsOf = (port: ScriptedSocket): Array<Buffer> =>
  port.sent.map((text) => Buffer.from(text, "latin1").subarray(0, 16))

const reply = (port: ScriptedSocket, id: Buffer, body: string): void => port.arriveMessage(messageOf(id, "", body))

/** Collects what is logged. */
const collecting = () => {
  const logged: Array<string> = []
  return { logged, layer: Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))]) }
}

describe("A request whose reply is behind other messages", () => {
  for (const capacity of [1, 10, 1000]) {
    const most = Math.min(capacity, 256)
    it.live.skipIf(floor === "port")(
      `waits until some of ${most} are received, loses none and says so once (high-water mark ${capacity})`,
      () => {
        const { layer, logged } = collecting()
        return Effect.gen(function* () {
          const { port, socket } = yield* openScripted(Zmq.dealer({ receiveHighWaterMark: capacity }))
          const request = yield* Effect.forkScoped(
            Effect.map(socket.request("?"), ([body]) => `${body}`),
            {
              startImmediately: true
            }
          )
          yield* untilSo(() => port.sent.length === 1)
          const others = numbers(0, 3 * most + 7).map(String)
          port.arrive(...others)
          reply(port, idsOf(port)[0]!, "!")
          yield* aFewTurns
          yield* untilSo(() => socket.stats.queued === most)
          const received: Array<string> = []
          while (outcome(request) === "running") {
            expect(socket.stats.queued).toBeLessThanOrEqual(most)
            received.push(yield* socket.recvString)
            yield* aFewTurns
          }
          expect(outcome(request)).toBe("!")
          // As soon as it is not behind more than the mailbox holds.
          expect(received.length).toBeGreaterThan(2 * most)
          expect(received.length).toBeLessThanOrEqual(2 * most + 8)
          received.push(...(yield* socket.drain).flatMap(texts))
          expect(received).toEqual(others)
          expect(logged.filter((text) => text.includes("may be behind"))).toEqual([
            `effect-zmq: a reply to a request may be behind ${most} messages that nobody receives, and waits until some are received: receive on the DEALER`
          ])
        }).pipe(Effect.scoped, Effect.provide(layer))
      }
    )
  }

  it.live.skipIf(floor === "port")("is not read ahead for when it is given up", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.dealer())
      const request = yield* Effect.forkScoped(socket.request("?"), { startImmediately: true })
      yield* untilSo(() => port.isReceiving)
      yield* Fiber.interrupt(request)
      port.arrive("a", "b", "c")
      yield* aFewTurns
      // One was waited for already.
      expect(port.handedOver).toBe(1)
    }).pipe(Effect.scoped)
  )

  it.live("does not hold up a receive of the others", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.dealer({ receiveHighWaterMark: 5 }))
      const requests = yield* Effect.forkScoped(
        Effect.forEach(numbers(0, 20), (number) => socket.request(`${number}`), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      const received: Array<string> = []
      yield* untilSo(() => port.sent.length === 20)
      port.arrive(...numbers(0, 40).map(String))
      for (const [number, id] of idsOf(port).entries()) {
        reply(port, id, `re ${number}`)
        port.arrive(`after ${number}`)
      }
      yield* Effect.forkScoped(
        socket.runForEach(([body]) =>
          Effect.sync(() => {
            received.push(`${body}`)
          })
        )
      )
      expect((yield* Fiber.join(requests)).map(([body]) => `${body}`)).toEqual(numbers(0, 20).map((n) => `re ${n}`))
      yield* untilSo(() => received.length === 60)
      expect(received).toEqual([...numbers(0, 40).map(String), ...numbers(0, 20).map((n) => `after ${n}`)])
    }).pipe(Effect.scoped)
  )
})

describe("The ids of requests", () => {
  it.live("have the prefix of their socket, and are random behind it", () =>
    Effect.gen(function* () {
      const idsOfSocket = Effect.gen(function* () {
        const { port, socket } = yield* openScripted(Zmq.dealer())
        yield* Effect.forkScoped(
          Effect.forEach(numbers(0, 1000), () => socket.request("?"), { concurrency: "unbounded" })
        )
        yield* untilSo(() => port.sent.length === 1000)
        return idsOf(port)
      })
      const one = yield* idsOfSocket
      const other = yield* idsOfSocket
      for (const ids of [one, other]) {
        expect(ids.every((id) => id.length === 16)).toBe(true)
        expect(new Set(ids.map((id) => id.toString("hex", 0, 4))).size).toBe(1)
        // Random bytes: each value, at each place, and not one more or less than the id before.
        for (const at of numbers(4, 16)) {
          const values = new Set(ids.map((id) => id[at]))
          expect(values.size).toBeGreaterThan(200)
          const steps = new Set(ids.slice(1).map((id, index) => (id[at]! - ids[index]![at]! + 256) % 256))
          expect(steps.size).toBeGreaterThan(200)
        }
        expect(new Set(ids.map((id) => id.toString("hex"))).size).toBe(1000)
      }
      expect(one[0]!.subarray(0, 4)).not.toEqual(other[0]!.subarray(0, 4))
    }).pipe(Effect.scoped)
  )

  it.live("that nobody waits for go no further, and answer no other request", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.dealer())
      const given = yield* Effect.forEach(numbers(0, 5), () =>
        Effect.forkScoped(socket.request("given up"), { startImmediately: true })
      )
      yield* untilSo(() => port.sent.length === 5)
      for (const fiber of given) yield* Fiber.interrupt(fiber)
      const request = yield* Effect.forkScoped(
        Effect.map(socket.request("?"), ([body]) => `${body}`),
        {
          startImmediately: true
        }
      )
      yield* untilSo(() => port.sent.length === 6)
      const ids = idsOf(port)
      for (const id of ids.slice(0, 5)) reply(port, id, "late")
      // Of our prefix, and guessed.
      const guessed = Buffer.from(ids[5]!)
      guessed[15]! ^= 1
      reply(port, guessed, "forged")
      yield* aFewTurns
      expect(outcome(request)).toBe("running")
      reply(port, ids[5]!, "!")
      yield* untilSo(() => outcome(request) === "!")
      // A second reply to it goes no further either.
      reply(port, ids[5]!, "again")
      expect(yield* socket.drain).toEqual([])
      expect(socket.stats.queued).toBe(0)
    }).pipe(Effect.scoped)
  )

  it.live("that are not ours are ordinary messages", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.dealer())
      const request = yield* Effect.forkScoped(
        Effect.map(socket.request("?"), ([body]) => `${body}`),
        {
          startImmediately: true
        }
      )
      yield* untilSo(() => port.sent.length === 1)
      const [id] = idsOf(port) as [Buffer]
      const foreign: Buffer = Buffer.from(id)
      foreign[0]! ^= 1
      const others = [
        messageOf(foreign, "", "of another socket"),
        messageOf(id.subarray(0, 15), "", "too short"),
        messageOf(Buffer.concat([id, Buffer.from("x")]), "", "too long"),
        messageOf(id, "no delimiter", "body"),
        messageOf(id, ""),
        messageOf(id)
      ]
      for (const message of others) port.arriveMessage(message)
      yield* aFewTurns
      expect(outcome(request)).toBe("running")
      reply(port, id, "!")
      yield* untilSo(() => outcome(request) === "!")
      expect(yield* socket.drain).toEqual(others)
    }).pipe(Effect.scoped)
  )

  it.live("may be used by any number of requests, in any order of their replies", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.dealer())
      const requests = yield* Effect.forkScoped(
        Effect.forEach(numbers(0, 2000), (n) => socket.request(`${n}`), { concurrency: "unbounded" })
      )
      yield* untilSo(() => port.sent.length === 2000)
      for (const [at, id] of [...idsOf(port).entries()].toReversed()) reply(port, id, port.sent[at]!.slice(18))
      expect((yield* Fiber.join(requests)).map(([body]) => `${body}`)).toEqual(numbers(0, 2000).map(String))
    }).pipe(Effect.scoped)
  )
})

describe("A request", () => {
  it.live("that is in flight when its socket closes fails with Closed", () =>
    Effect.gen(function* () {
      const fibers = yield* Effect.scoped(
        Effect.gen(function* () {
          const { port, socket } = yield* openScripted(Zmq.dealer({ receiveHighWaterMark: 2 }))
          const fibers = yield* Effect.forEach(numbers(0, 3), () =>
            Effect.forkDetach(socket.request("?"), { startImmediately: true })
          )
          yield* untilSo(() => port.sent.length === 3)
          // Also behind messages that nobody receives.
          port.arrive("a", "b", "c", "d")
          yield* aFewTurns
          return fibers
        })
      )
      for (const fiber of fibers) {
        const exit = yield* Fiber.await(fiber)
        expect(exit._tag === "Failure" && Cause.squash(exit.cause)).toMatchObject({ _tag: "Closed" })
      }
    }).pipe(Effect.scoped)
  )
})

it.live("A reply that was on its way when its request was given up is not taken for that of the next", () =>
  Effect.promise(async () => {
    const { port, socket } = openNow(Zmq.req())
    const first = Effect.runFork(socket.request("first"))
    expect(await turnsUntil(() => port.sent.length === 1 && port.isReceiving)).toBe(true)
    // All in one task: libzmq has handed it over, and nobody has it yet.
    port.arrive("re first")
    first.interruptUnsafe()
    const second = Effect.runFork(Effect.map(socket.request("second"), texts))
    await turns(3)
    expect(port.sent).toEqual(["first", "second"])
    port.arrive("re second")
    expect(await turnsUntil(() => second.pollUnsafe() !== undefined)).toBe(true)
    expect(second.pollUnsafe()).toEqual(Exit.succeed(["re second"]))
  })
)
