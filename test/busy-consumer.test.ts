/**
 * A consumer with a backlog that never ends. It uses up its budget of operations
 * at the same place every time, so that is where it is interrupted, as good as
 * always. Every message is numbered, and every one is accounted for.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Zmq } from "effect-zmq"
import { openNow, randomOf, type ScriptedSocket, turns, turnsUntil } from "./support/scripted.ts"

const interrupts = 1_000

/** What became of the messages of one socket. They have to come in order. */
class Account {
  readonly socket: Zmq.Pull
  readonly port: ScriptedSocket
  handled = 0
  redelivered = 0
  /** Messages that came after one that never did, or twice. */
  readonly wrong: Array<string> = []
  private readonly lent: boolean

  constructor(lent: boolean) {
    const { port, socket } = openNow(Zmq.pull(), { flood: String })
    this.port = port
    this.socket = socket
    this.lent = lent
  }

  readonly handle = (text: string): void => {
    const number = Number(text)
    if (number === this.handled) this.handled++
    else if (this.lent && number === this.handled - 1) this.redelivered++
    else {
      if (this.wrong.length < 10) this.wrong.push(`${number} and not ${this.handled}`)
      this.handled = Math.max(this.handled, number + 1)
    }
  }

  /** Handles what is left, so that the books must balance. */
  async close(): Promise<void> {
    this.port.flooding = false
    for (const message of await Effect.runPromise(this.socket.drain)) this.handle(message.toString())
    expect(this.wrong).toEqual([])
    expect({ handled: this.handled }).toEqual({ handled: this.port.handedOver })
    expect(this.port.violations).toEqual([])
  }
}

type Consumer = (one: Account, two: Account) => Effect.Effect<unknown, unknown>

const loop = <E>(account: Account, receive: (recv: Zmq.Pull["recvString"]) => Effect.Effect<string, E>) =>
  Effect.gen(function* () {
    const once = receive(account.socket.recvString)
    while (true) account.handle(yield* once)
  })

const handling = (account: Account) => (text: string) => Effect.sync(() => account.handle(text))

const random = randomOf(1925)

/** Up to `most` operations that do nothing, so that the budget ends in another place each time. */
const work = (most: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let i = Math.floor(random() * (most + 1)); i > 0; i--) yield* Effect.void
  })

const exactlyOnce: { readonly [name: string]: Consumer } = {
  "a plain loop": (one) => loop(one, (recv) => recv),
  "the accessor": (one) =>
    Effect.provideService(
      Effect.gen(function* () {
        while (true) one.handle(yield* Zmq.recvString)
      }),
      Zmq.Receiver,
      one.socket
    ),
  "Effect.forever": (one) => Effect.forever(Effect.flatMap(one.socket.recvString, handling(one))),
  "Effect.map": (one) => loop(one, (recv) => Effect.map(recv, (text) => text)),
  "many Effect.map": (one) =>
    loop(one, (recv) =>
      Array(40)
        .fill(0)
        .reduce<typeof recv>((self) => Effect.map(self, (text) => text), recv)
    ),
  "Effect.timeout": (one) => loop(one, (recv) => Effect.timeout(recv, "1 hour")),
  "Effect.timeoutOption": (one) =>
    loop(one, (recv) =>
      Effect.map(Effect.timeoutOption(recv, Duration.hours(1)), (option) => (option as { value: string }).value)
    ),
  "Effect.raceFirst with Effect.never": (one) => loop(one, (recv) => Effect.raceFirst(recv, Effect.never)),
  "Effect.race with Effect.never": (one) => loop(one, (recv) => Effect.race(Effect.never, recv)),
  "Effect.raceFirst of two sockets": (one, two) =>
    Effect.gen(function* () {
      const either = Effect.raceFirst(
        Effect.map(one.socket.recvString, (text) => ({ account: one, text })),
        Effect.map(two.socket.recvString, (text) => ({ account: two, text }))
      )
      while (true) {
        const { account, text } = yield* either
        account.handle(text)
      }
    }),
  "Effect.withSpan": (one) => loop(one, (recv) => Effect.withSpan(recv, "recv")),
  "a timeout in a span in a race": (one) =>
    loop(one, (recv) => Effect.raceFirst(Effect.never, Effect.withSpan(Effect.timeout(recv, "1 hour"), "recv"))),
  "Effect.exit and Effect.ensuring": (one) =>
    Effect.gen(function* () {
      while (true) {
        const exit = yield* Effect.exit(Effect.ensuring(one.socket.recvString, Effect.void))
        if (exit._tag === "Success") one.handle(exit.value)
      }
    }),
  "Effect.forEach, 2 at a time": (one) =>
    Effect.forever(
      Effect.forEach([1, 2], () => Effect.flatMap(one.socket.recvString, handling(one)), { concurrency: 2 })
    ),
  "Effect.forEach, 5 at a time": (one) =>
    Effect.forEach(Array(5), () => Effect.forever(Effect.flatMap(one.socket.recvString, handling(one))), {
      concurrency: 5,
      discard: true
    }),
  "Effect.all": (one, two) =>
    Effect.forever(
      Effect.all(
        [Effect.flatMap(one.socket.recvString, handling(one)), Effect.flatMap(two.socket.recvString, handling(two))],
        { concurrency: "unbounded" }
      )
    ),
  "work before it": (one) => loop(one, (recv) => Effect.andThen(work(7), recv)),
  "work before it, in a timeout": (one) =>
    loop(one, (recv) => Effect.timeout(Effect.andThen(work(40), recv), "1 hour")),
  "work before and after it, in a race": (one) =>
    loop(one, (recv) => Effect.andThen(work(40), Effect.raceFirst(Effect.andThen(work(40), recv), Effect.never))),
  "work before and after it, in a span": (one) =>
    loop(one, (recv) => Effect.andThen(work(40), Effect.withSpan(recv, "recv"))),
  recvWithPeer: (one) =>
    Effect.gen(function* () {
      while (true) {
        const [message] = yield* one.socket.recvWithPeer
        one.handle(message.toString())
      }
    }),
  tryRecv: (one) =>
    Effect.gen(function* () {
      while (true) {
        const message = yield* one.socket.tryRecv
        if (message._tag === "Some") one.handle(message.value.toString())
      }
    }),
  "Stream.fromEffect and Stream.repeat": (one) =>
    Stream.fromEffect(one.socket.recvString).pipe(Stream.repeat(Schedule.forever), Stream.runForEach(handling(one)))
}

const atLeastOnce: { readonly [name: string]: Consumer } = {
  "Stream.runForEach": (one) => Stream.runForEach(one.socket.strings, handling(one)),
  "Stream.mapEffect": (one) => one.socket.strings.pipe(Stream.mapEffect(handling(one)), Stream.runDrain),
  "Stream.map and Stream.filter": (one) =>
    one.socket.strings.pipe(
      Stream.map((text) => text),
      Stream.filter(() => true),
      Stream.runForEach(handling(one))
    ),
  "Stream.take": (one) => Effect.forever(Stream.runForEach(Stream.take(one.socket.strings, 3), handling(one))),
  "Stream.interruptWhen": (one) =>
    one.socket.strings.pipe(Stream.interruptWhen(Effect.never), Stream.runForEach(handling(one))),
  "the accessor": (one) =>
    Effect.provideService(Stream.runForEach(Zmq.strings, handling(one)), Zmq.Receiver, one.socket),
  "work in the handler": (one) =>
    Stream.runForEach(one.socket.strings, (text) =>
      Effect.andThen(
        work(20),
        Effect.andThen(
          Effect.sync(() => one.handle(text)),
          work(20)
        )
      )
    ),
  runForEach: (one) =>
    one.socket.runForEach((message) =>
      Effect.andThen(
        work(5),
        Effect.sync(() => one.handle(message.toString()))
      )
    )
}

const malformed: Consumer = (one) =>
  Effect.gen(function* () {
    const once = Effect.flip(one.socket.recvSchema(Schema.Boolean))
    while (true) {
      const error = yield* once
      if (error._tag === "DecodeError") one.handle(error.frames.toString())
    }
  })
// Errors with a stack take their time, and so do two sockets that are never idle.
const fewInterrupts = 200
const slow = new Set(["Effect.raceFirst of two sockets"])

const run = async (consume: Consumer, lent: boolean, times = interrupts): Promise<Account> => {
  const one = new Account(lent)
  const two = new Account(lent)
  for (let i = 0; i < times; i++) {
    const fiber = Effect.runFork(consume(one, two))
    await turns(1 + (i % 4))
    fiber.interruptUnsafe()
    expect(await turnsUntil(() => fiber.pollUnsafe() !== undefined, 100)).toBe(true)
  }
  // By the consumers, and not by what comes after them.
  expect(one.handled).toBeGreaterThan(times / 4)
  await one.close()
  await two.close()
  return one
}

describe("A consumer that is never idle loses nothing when it is interrupted again and again", () => {
  for (const [name, consume] of Object.entries(exactlyOnce)) {
    it.live(`and handles each message once: ${name}`, () =>
      Effect.promise(() => run(consume, false, slow.has(name) ? fewInterrupts : interrupts))
    )
  }

  for (const [name, consume] of Object.entries(atLeastOnce)) {
    it.live(`and handles each message of a stream: ${name}`, () => Effect.promise(() => run(consume, true)))
  }

  it.live("and gets each message that cannot be decoded", () =>
    Effect.promise(() => run(malformed, false, fewInterrupts))
  )

  for (const concurrency of [1, 4]) {
    it.live(`and handles each message once where it is told to stop again and again, ${concurrency} at a time`, () =>
      Effect.promise(async () => {
        const { port, socket } = openNow(Zmq.pull(), { flood: String })
        const begun: Array<number> = []
        const done: Array<number> = []
        for (let i = 0; i < fewInterrupts; i++) {
          const stop = Deferred.makeUnsafe<void>()
          const fiber = Effect.runFork(
            socket.runForEach(
              (message) =>
                Effect.andThen(
                  Effect.andThen(
                    Effect.sync(() => begun.push(Number(message))),
                    work(5)
                  ),
                  Effect.sync(() => done.push(Number(message)))
                ),
              { concurrency, until: Deferred.await(stop) }
            )
          )
          await turns(1 + (i % 4))
          Deferred.doneUnsafe(stop, Effect.void)
          expect(await turnsUntil(() => fiber.pollUnsafe() !== undefined, 100)).toBe(true)
          expect(fiber.pollUnsafe()).toEqual(Exit.void)
        }
        expect(done.length).toBeGreaterThan(fewInterrupts)
        port.flooding = false
        const left = (await Effect.runPromise(socket.drain)).map(Number)
        const inOrder = (numbers: ReadonlyArray<number>) => numbers.toSorted((a, b) => a - b)
        expect(inOrder(begun)).toEqual(inOrder(done))
        expect(inOrder([...done, ...left])).toEqual(Array.from({ length: port.handedOver }, (_, number) => number))
        expect(left).toEqual(inOrder(left))
        if (concurrency === 1) expect(done).toEqual(inOrder(done))
        expect(socket.stats.putBack).toBe(0)
      })
    )
  }

  it.live("and handles each message of runForEach, 4 at a time", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.pull(), { flood: String })
      // A message is handled in one go, but not in turn.
      const handled = new Set<number>()
      let redelivered = 0
      for (let i = 0; i < interrupts; i++) {
        const fiber = Effect.runFork(
          socket.runForEach(
            (message) =>
              Effect.andThen(
                work(5),
                Effect.sync(() => {
                  const number = Number(message)
                  if (handled.has(number)) redelivered++
                  handled.add(number)
                })
              ),
            { concurrency: 4 }
          )
        )
        await turns()
        fiber.interruptUnsafe()
        expect(await turnsUntil(() => fiber.pollUnsafe() !== undefined, 100)).toBe(true)
      }
      port.flooding = false
      const left = (await Effect.runPromise(socket.drain)).map(Number)
      expect(left).toEqual(left.toSorted((a, b) => a - b))
      for (const number of left) handled.add(number)
      expect(handled.size).toBe(port.handedOver)
      expect(redelivered).toBeLessThanOrEqual(4 * interrupts)
    })
  )
})

describe("A drain that finds all in the mailbox does not suspend for it, and loses nothing", () => {
  const shapes: {
    readonly [name: string]: (drain: Zmq.Pull["drain"]) => Effect.Effect<ReadonlyArray<Zmq.Message>, unknown>
  } = {
    "many Effect.map": (drain) =>
      Array(40)
        .fill(0)
        .reduce<typeof drain>((self) => Effect.map(self, (messages) => messages), drain),
    "Effect.timeout": (drain) => Effect.timeout(drain, "1 hour"),
    "Effect.raceFirst with Effect.never": (drain) => Effect.raceFirst(drain, Effect.never),
    "Effect.withSpan": (drain) => Effect.withSpan(drain, "drain")
  }
  const budget = 2048
  for (const [name, shape] of Object.entries(shapes)) {
    it.live(`wherever the budget of its fiber ends: ${name}`, () =>
      Effect.promise(async () => {
        let interrupted = 0
        for (let spent = budget - 150; spent <= budget + 10; spent++) {
          for (let turnsBefore = 0; turnsBefore < 4; turnsBefore++) {
            const { port, socket } = openNow(Zmq.pull())
            port.arrive("0", "1", "2", "3")
            expect(await Effect.runPromise(socket.recvString)).toBe("0")
            const handled: Array<string> = []
            const fiber = Effect.runFork(
              Effect.gen(function* () {
                while ((yield* Effect.fiber).currentOpCount < spent) yield* Effect.void
                for (const message of yield* shape(socket.drain)) handled.push(`${message}`)
              })
            )
            await turns(turnsBefore)
            fiber.interruptUnsafe()
            await turns(2)
            if (handled.length === 0) interrupted++
            const left = (await Effect.runPromise(socket.drain)).map(String)
            expect({ spent, turnsBefore, messages: [...handled, ...left] }).toEqual({
              spent,
              turnsBefore,
              messages: ["1", "2", "3"]
            })
          }
        }
        expect(interrupted).toBeGreaterThan(100)
      })
    )
  }
})
