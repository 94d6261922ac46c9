/**
 * Services and those who ask them, interrupted at each of their steps, never idle, and in a storm: each request has
 * its own reply, and none is replied to twice or lost.
 */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { Codec, Zmq } from "effect-zmq"
import type { Message } from "../src/Message.ts"
import { floor, messageOf, openNow, randomOf, type ScriptedSocket, turns, turnsUntil } from "./support/scripted.ts"
import { boundTo, freshEndpoint, nextTurn, numbers, randomFrom, transports } from "./support/sockets.ts"
import { sweep } from "./support/sweep.ts"

const codecs = { request: Codec.json(Schema.Number), reply: Codec.json(Schema.Number) }

// -----------------------------------------------------------------------------
// who asks
// -----------------------------------------------------------------------------

type Ask = (socket: Zmq.Requester, number: number) => Effect.Effect<number, unknown>
const asks: Record<string, Ask> = {
  request: (socket, number) => Effect.map(socket.request(`${number}`), ([body]) => Number(body)),
  requestAs: (socket, number) => socket.requestAs(codecs)(number)
}

/** Has a socket get ten times what it asks: a moment after it has asked, or in a later turn. */
const answering = (type: "req" | "dealer", port: ScriptedSocket, late: boolean): void => {
  port.answer = (message) => {
    const frames = [message].flat().map((frame) => Buffer.from(frame as Uint8Array))
    const body = frames.pop()!
    const reply = messageOf(...frames, `${Number(body) * 10}`)
    const asked = port.sent.length + 1
    // What answers an earlier request of a REQ is dropped by libzmq, as `correlate` says.
    if (type === "req") port.forget()
    const answer = () => {
      if (type === "dealer" || asked === port.sent.length) port.arriveMessage(reply)
    }
    if (late) setImmediate(answer)
    else queueMicrotask(answer)
    return "sent"
  }
}

const requesters = { req: Zmq.req(), dealer: Zmq.dealer() } as const

describe("Requests", () => {
  for (const type of ["req", "dealer"] as const) {
    const open = () => openNow<Zmq.Requester & Zmq.Socket, unknown>(requesters[type], { admission: "writable" })
    for (const [name, ask] of Object.entries(asks)) {
      for (const late of [false, true]) {
        it.live(
          `interrupted at each step have their own replies, ${late ? "late" : "soon"}: ${name} of a ${type}`,
          () =>
            Effect.promise(async () => {
              let givenUp = 0
              const steps = await sweep(() => {
                const { port, socket } = open()
                answering(type, port, late)
                const got: Array<readonly [number, number]> = []
                return {
                  program: Effect.gen(function* () {
                    for (const number of [1, 2, 3]) got.push([number, yield* ask(socket, number)])
                  }),
                  script: async () => turns(3),
                  check: async ({ moment, step }) => {
                    // At once: the reply to what was given up may come only now.
                    const next = Effect.runFork(ask(socket, 9))
                    await turnsUntil(() => next.pollUnsafe() !== undefined, 1000)
                    const where = `interrupted ${moment} at step ${step}`
                    expect({ where, next: next.pollUnsafe() }).toEqual({ where, next: Exit.succeed(90) })
                    expect({ where, got }).toEqual({ where, got: got.map(([number]) => [number, number * 10]) })
                    // Each is asked once, whatever became of it, and no reply is left as a message of its own.
                    if (port.sent.length - 1 > got.length) givenUp++
                    expect(port.sent.length - 1 - got.length).toBeLessThanOrEqual(1)
                    await turns(2)
                    expect(socket.stats.queued).toBe(0)
                    expect(port.violations).toEqual([])
                  }
                }
              })
              expect(steps).toBeGreaterThan(20)
              expect(givenUp).toBeGreaterThan(3)
            })
        )

        it.live(`that never end have their own, ${late ? "late" : "soon"}: ${name} of a ${type}`, () =>
          Effect.promise(async () => {
            const { port, socket } = open()
            answering(type, port, late)
            const wrong: Array<string> = []
            let [asked, answered] = [0, 0]
            const one = Effect.gen(function* () {
              while (true) {
                const number = asked++
                const reply = yield* ask(socket, number)
                if (reply !== number * 10) wrong.push(`${reply} to ${number}`)
                answered++
              }
            })
            for (let i = 0; i < 300; i++) {
              const fibers = numbers(0, 1 + (i % 3)).map(() => Effect.runFork(one))
              await turns(1 + (i % 4))
              for (const fiber of fibers) fiber.interruptUnsafe()
              expect(await turnsUntil(() => fibers.every((fiber) => fiber.pollUnsafe() !== undefined), 100)).toBe(true)
            }
            // What comes too late is gone when the next has come.
            expect(await Effect.runPromise(ask(socket, 9))).toBe(90)
            await turns(2)
            expect(wrong.slice(0, 3)).toEqual([])
            expect(answered).toBeGreaterThan(100)
            expect(socket.stats.queued).toBe(0)
          })
        )
      }
    }
  }
})

// -----------------------------------------------------------------------------
// who serves
// -----------------------------------------------------------------------------

describe("serveAs that is never idle", () => {
  const servers = { rep: Zmq.rep(), router: Zmq.router() } as const
  for (const type of ["rep", "router"] as const) {
    for (const stops of [false, true]) {
      for (const concurrency of type === "rep" ? [1] : [1, 4]) {
        const what = stops ? "told to stop" : "interrupted"
        it.live(
          `replies to each request once when it is ${what} again and again, ${concurrency} at a time: ${type}`,
          () =>
            Effect.promise(async () => {
              const bodyOf = (number: number) => (number % 3 === 0 ? `x${number}` : `${number}`)
              const { port, socket } = openNow<Zmq.Rep | Zmq.Router, unknown>(servers[type], {
                admission: "ask",
                flood: (number) => (type === "rep" ? bodyOf(number) : ["peer", "", bodyOf(number)])
              })
              const random = randomOf(concurrency)
              const work = Effect.suspend(() => Effect.forEach(numbers(0, Math.floor(random() * 6)), () => Effect.void))
              const handle = (number: number) => Effect.as(work, number)
              for (let i = 0; i < 200; i++) {
                const stop = Deferred.makeUnsafe<void>()
                const fiber = Effect.runFork(
                  socket.serveAs(codecs, handle, {
                    concurrency,
                    onInvalid: (error) => Effect.as(work, -Number(`${error.frames.at(-1)}`.slice(1))),
                    until: Deferred.await(stop)
                  })
                )
                await turns(1 + (i % 4))
                if (stops) Deferred.doneUnsafe(stop, Effect.void)
                else fiber.interruptUnsafe()
                expect(await turnsUntil(() => fiber.pollUnsafe() !== undefined, 100)).toBe(true)
                if (stops) expect(fiber.pollUnsafe()).toEqual(Exit.void)
              }
              port.flooding = false
              await turns(5)
              const left = await leftOf(socket, port)
              const replied = port.sent.map((text) => Math.abs(Number(text.split("|").at(-1))))
              expect(replied.length).toBeGreaterThan(200)
              // Each once, in their order where one is handled at a time: the first that is not.
              const all = [...replied, ...left]
              const ordered = concurrency === 1 ? all : all.toSorted((a, b) => a - b)
              expect(ordered.find((number, index) => number !== index)).toBeUndefined()
              expect(all.length).toBe(port.handedOver)
              expect(left.find((number, index) => index > 0 && number < left[index - 1]!)).toBeUndefined()
              if (stops) expect(socket.stats.putBack).toBe(0)
            })
        )
      }
    }
  }

  /** The requests that nobody has replied to, as numbers. A REP replies to each before it has the next. */
  const leftOf = async (socket: Zmq.Rep | Zmq.Router, port: ScriptedSocket): Promise<ReadonlyArray<number>> => {
    const numberOf = (message: Message) => Number(`${message.at(-1)}`.replace("x", ""))
    if (socket.type === "router") return (await Effect.runPromise(socket.drain)).map(numberOf)
    const left: Array<number> = []
    const until = Effect.promise(() => turns(50))
    const handle = (message: Message) => Effect.sync(() => `${left.push(numberOf(message)) * 0}`)
    const sent = port.sent.length
    await Effect.runPromise(socket.serve(handle, { until }))
    port.sent.length = sent
    return left
  }
})

// -----------------------------------------------------------------------------
// the storm
// -----------------------------------------------------------------------------

// Of real sockets.
describe.skipIf(floor === "port")("A storm of services and requests that are interrupted", () => {
  for (const transport of transports) {
    it.live(`over ${transport}: each patient request has its reply, and none is handled again after it succeeded`, () =>
      Effect.gen(function* () {
        const total = 3000
        const random = randomFrom(total + transport.length)
        const router = yield* Zmq.router({ bind: freshEndpoint(transport) })
        const dealer = yield* Zmq.dealer({ connect: boundTo(router) })
        const reqs = yield* Effect.forEach(numbers(0, 3), () => Zmq.req({ connect: boundTo(router) }))
        const wrong: Array<string> = []

        // A handler that has succeeded has replied: its request never comes again.
        const handled = new Set<number>()
        const handle = (number: number) =>
          Effect.gen(function* () {
            for (let steps = random(4); steps > 0; steps--) yield* random(3) === 0 ? nextTurn : Effect.yieldNow
            if (handled.has(number)) wrong.push(`${number} was handled again`)
            handled.add(number)
            return number * 10
          })
        let runs = 0
        const services = yield* Effect.forkChild(
          Effect.forever(
            Effect.gen(function* () {
              const options = { concurrency: 1 + random(4) }
              const stops = random(2) === 0
              const until = stops ? Effect.andThen(nextTurn, nextTurn) : Effect.never
              const run = yield* Effect.forkChild(router.serveAs(codecs, handle, { ...options, until }))
              for (let turns = random(6); turns > 0; turns--) yield* nextTurn
              if (!stops) yield* Fiber.interrupt(run)
              yield* Fiber.await(run)
              runs++
            })
          )
        )

        let [patient, givenUp] = [0, 0]
        const ask = (socket: Zmq.Requester, number: number) =>
          Effect.gen(function* () {
            const once = Effect.map(socket.requestAs(codecs)(number), (reply) => {
              if (reply !== number * 10) wrong.push(`${reply} to ${number}`)
            })
            if (random(3) === 0) {
              yield* once
              if (!handled.has(number)) wrong.push(`${number} has a reply and was not handled`)
              patient++
              return
            }
            const asking = yield* Effect.forkChild(once, { startImmediately: random(2) === 0 })
            for (let turns = random(5); turns > 0; turns--) yield* random(2) === 0 ? nextTurn : Effect.yieldNow
            yield* Fiber.interrupt(asking)
            givenUp++
          })
        let next = 0
        const asker = (socket: Zmq.Requester) =>
          Effect.gen(function* () {
            while (next < total) yield* ask(socket, next++)
          })
        // A DEALER has any number in flight.
        yield* Effect.all([...reqs.map(asker), ...numbers(0, 5).map(() => asker(dealer))], { concurrency: "unbounded" })
        yield* Fiber.interrupt(services)
        expect(wrong).toEqual([])
        expect(patient + givenUp).toBe(total)
        expect(Math.min(patient, givenUp, runs)).toBeGreaterThan(100)
        expect(yield* dealer.drain).toEqual([])
      })
    )
  }
})
