/**
 * A sender that never has to wait. It uses up its budget of operations at the
 * same place every time, so that is where it is interrupted, as good as always.
 * What it was told to have sent is what was sent, and nothing else.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { Zmq } from "../src/index.ts"
import { openNow, outcome, randomOf, turns, turnsUntil } from "./support/scripted.ts"

const interrupts = 300

/** Sends numbers, and says which were sent. */
type Form = (push: Zmq.Push, number: number) => Effect.Effect<unknown, unknown>

const random = randomOf(1925)

/** Up to `most` operations that do nothing, so that the budget ends in another place each time. */
const work = (most: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let i = Math.floor(random() * (most + 1)); i > 0; i--) yield* Effect.void
  })

const forms: { readonly [name: string]: Form } = {
  "a plain send": (push, number) => push.send(`${number}`),
  "the accessor": (push, number) => Effect.provideService(Zmq.send(`${number}`), Zmq.Sender, push),
  trySend: (push, number) => push.trySend(`${number}`),
  "Effect.map of trySend": (push, number) => Effect.map(push.trySend(`${number}`), (sent) => !sent),
  sendJson: (push, number) => Effect.map(push.sendJson(number), () => 1),
  sendSchema: (push, number) => Effect.map(push.sendSchema(Schema.Number)(number), () => 1),
  "Effect.map": (push, number) => Effect.map(push.send(`${number}`), () => 1),
  "many Effect.map": (push, number) =>
    Array(40)
      .fill(0)
      .reduce<Effect.Effect<unknown, unknown>>((self) => Effect.map(self, () => 1), push.send(`${number}`)),
  "Effect.tap": (push, number) => Effect.tap(push.send(`${number}`), () => Effect.void),
  "Effect.timeout": (push, number) => Effect.timeout(push.send(`${number}`), "1 hour"),
  "Effect.timeoutOption": (push, number) => Effect.timeoutOption(push.send(`${number}`), "1 hour"),
  "Effect.raceFirst with Effect.never": (push, number) => Effect.raceFirst(push.send(`${number}`), Effect.never),
  "Effect.race with Effect.never": (push, number) => Effect.race(Effect.never, push.send(`${number}`)),
  "Effect.withSpan": (push, number) => Effect.withSpan(push.send(`${number}`), "send"),
  "a timeout in a span in a race": (push, number) =>
    Effect.raceFirst(Effect.never, Effect.withSpan(Effect.timeout(push.send(`${number}`), "1 hour"), "send")),
  "Effect.exit and Effect.ensuring": (push, number) =>
    Effect.exit(Effect.ensuring(push.send(`${number}`), Effect.void)),
  "work before it, in a timeout": (push, number) =>
    Effect.timeout(Effect.andThen(work(40), push.send(`${number}`)), "1 hour"),
  "work before it, in a race, and in a span": (push, number) =>
    Effect.andThen(
      work(40),
      Effect.withSpan(Effect.raceFirst(Effect.andThen(work(40), push.send(`${number}`)), Effect.never), "send")
    )
}

describe("A sender that never waits is told of each message that was sent, though interrupted 300 times", () => {
  for (const [name, form] of Object.entries(forms)) {
    it.live(name, () =>
      Effect.promise(async () => {
        const { port, socket } = openNow(Zmq.push())
        let next = 0
        let told = 0
        const ghosts: Array<string> = []
        for (let i = 0; i < interrupts; i++) {
          const fiber = Effect.runFork(
            Effect.gen(function* () {
              while (true) {
                yield* form(socket, next++)
                told++
              }
            })
          )
          await turns(1 + (i % 4))
          fiber.interruptUnsafe()
          expect(await turnsUntil(() => fiber.pollUnsafe() !== undefined, 100)).toBe(true)
          ghosts.push(...port.sent.splice(0).slice(told))
          told = 0
        }
        expect(next).toBeGreaterThan(interrupts)
        expect(ghosts).toEqual([])
      })
    )
  }
})

describe("A fiber that rests before it sends", () => {
  it.live("is overtaken by nobody who comes later", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.push())
      const run = Effect.runFork(
        Effect.gen(function* () {
          yield* socket.send("0")
          const others = []
          for (const number of [1, 2, 3]) {
            others.push(yield* Effect.forkChild(socket.send(`${number}`), { startImmediately: true }))
          }
          yield* socket.send("4")
          yield* socket.sendAll(["5", "6"])
          yield* Fiber.awaitAll(others)
        })
      )
      expect(await turnsUntil(() => run.pollUnsafe() !== undefined, 100)).toBe(true)
      expect(port.sent).toEqual(["0", "1", "2", "3", "4", "5", "6"])
    })
  )

  it.live("does not keep others from trying", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.push())
      const tried = Effect.runFork(
        Effect.gen(function* () {
          yield* socket.send("0")
          const child = yield* Effect.forkChild(socket.send("1"), { startImmediately: true })
          const sent = yield* socket.trySend("2")
          yield* Fiber.join(child)
          return sent
        })
      )
      await turns(2)
      expect(outcome(tried)).toBe("true")
      expect(port.sent.toSorted()).toEqual(["0", "1", "2"])
    })
  )

  it.live("has not sent when it is interrupted then, and the next goes on", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.push())
      const first = Effect.runFork(socket.send("1"))
      const second = Effect.runFork(socket.send("2"))
      first.interruptUnsafe()
      await turns(2)
      expect([outcome(first), outcome(second)]).toEqual(["interrupted", "undefined"])
      expect(port.sent).toEqual(["2"])
    })
  )

  it.live("has not sent when the socket closes then", () =>
    Effect.promise(async () => {
      const { close, port, socket } = openNow(Zmq.push())
      const fibers = [socket.send("1"), socket.send("2"), socket.trySend("3")].map((send) => Effect.runFork(send))
      await close()
      await turns(2)
      expect(fibers.map(outcome)).toEqual(["Closed", "Closed", "Closed"])
      expect(port.sent).toEqual([])
    })
  )

  it.live("waits for room behind those who wait, as long as it may", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.push({ sendTimeout: 0 }), { admission: "writable", room: 1 })
      const fibers = ["1", "2", "3"].map((text) => Effect.runFork(socket.send(text)))
      await turns(3)
      expect(fibers.map(outcome)).toEqual(["undefined", "Again", "Again"])
      expect(port.sent).toEqual(["1"])
    })
  )

  it("may be run by runSync", () => {
    const { port, socket } = openNow(Zmq.push())
    Effect.runSync(socket.send("1"))
    expect(Effect.runSync(socket.trySend("2"))).toBe(true)
    expect(port.sent).toEqual(["1", "2"])
  })

  it.live("and a new one for each message, let the event loop have its turns", () =>
    Effect.promise(async () => {
      const { socket } = openNow(Zmq.push())
      const flooded = openNow(Zmq.pull(), { flood: String }).socket
      for (const one of [socket.send("message"), flooded.recv]) {
        let done = 0
        const fiber = Effect.runFork(
          Effect.gen(function* () {
            for (; done < 10_000; done++) yield* Effect.timeout(one, "1 hour")
          })
        )
        await turns(5)
        expect(done).toBeGreaterThan(0)
        expect(done).toBeLessThan(5_000)
        fiber.interruptUnsafe()
      }
    })
  )
})
