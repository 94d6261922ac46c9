/** What happens when several things happen in one tick, on a socket that a script plays. */
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { Zmq } from "effect-zmq"
import {
  floor,
  openNow,
  openScripted,
  outcome,
  randomOf,
  type ScriptedSocket,
  turns,
  turnsUntil
} from "./support/scripted.ts"

const textOf = (message: Zmq.Message): string => message.map((frame) => frame.toString()).join("|")

const drain = (socket: Zmq.Receiver): Effect.Effect<Array<string>> =>
  Effect.map(Effect.orDie(socket.drain), (messages) => messages.map(textOf))

const hop = (count = 1): Effect.Effect<void> => Effect.promise(() => turns(count))

/** A clock that moves on at once, and not a turn later. */
class HandClock implements Clock.Clock {
  private now = 0
  private readonly sleepers = new Map<() => void, number>()
  currentTimeMillisUnsafe = () => this.now
  currentTimeNanosUnsafe = () => BigInt(this.now) * 1_000_000n
  monotonicTimeNanosUnsafe = () => this.currentTimeNanosUnsafe()
  readonly currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos = Effect.sync(() => this.monotonicTimeNanosUnsafe())

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const wake = () => resume(Effect.void)
      this.sleepers.set(wake, this.now + Duration.toMillis(duration))
      return Effect.sync(() => void this.sleepers.delete(wake))
    })
  }

  /** How many wait. */
  get waiting(): number {
    return this.sleepers.size
  }

  advance(millis: number): void {
    this.now += millis
    for (const [wake, at] of [...this.sleepers]) {
      if (at > this.now || !this.sleepers.delete(wake)) continue
      wake()
    }
  }
}

const ordersOf = <A>(items: ReadonlyArray<A>): Array<Array<A>> =>
  items.length === 0
    ? [[]]
    : [
        [],
        ...items.flatMap((item) => ordersOf(items.filter((other) => other !== item)).map((order) => [item, ...order]))
      ]

// -----------------------------------------------------------------------------
// one tick
// -----------------------------------------------------------------------------

describe("In one tick", () => {
  const gaps = {
    "at once": async () => {},
    "a microtask apart": () => Promise.resolve(),
    "three microtasks apart": async () => {
      for (let i = 0; i < 3; i++) await Promise.resolve()
    },
    "a turn apart": () => turns()
  }
  const receives: { readonly [name: string]: (socket: Zmq.Pull) => Effect.Effect<string, { readonly _tag: string }> } =
    {
      "a receive with a time limit": (socket) => socket.recvString,
      "a receive in Effect.timeout": (socket) => Effect.timeout(socket.recvString, "10 millis"),
      "a receive in a race": (socket) => Effect.raceFirst(socket.recvString, Effect.never)
    }
  const actions = ["message", "another message", "time limit", "interruption", "close"] as const

  for (const [name, receive] of Object.entries(receives)) {
    for (const [apart, gap] of Object.entries(gaps)) {
      it.live(`${name}: message, time limit, interruption and close in every order, ${apart}`, () =>
        Effect.promise(async () => {
          const ends = new Map<string, number>()
          for (const order of ordersOf(actions)) {
            const clock = new HandClock()
            const { close, port, socket } = openNow(
              Zmq.pull(name === "a receive with a time limit" ? { receiveTimeout: "10 millis" } : {})
            )
            const fiber = Effect.runFork(Effect.provideService(receive(socket), Clock.Clock, clock))
            await turns(2)
            let closing: Promise<void> | undefined
            let offered = 0
            for (const action of order) {
              if (action === "message" || action === "another message") {
                // there is nobody to send to a socket that is closed
                if (closing === undefined) port.arrive(`${offered++}`)
              } else if (action === "time limit") clock.advance(10)
              else if (action === "interruption") fiber.interruptUnsafe()
              else closing = close()
              await gap()
            }
            await turns(3)
            const end = outcome(fiber)
            fiber.interruptUnsafe()
            // Closed says that nothing is left.
            const left = await Effect.runPromise(
              Effect.catch(socket.drain, () => Effect.succeed<Array<Zmq.Message>>([]))
            )
            await closing
            const got = end === "0" || end === "1" ? [end] : []
            const messages = [...got, ...left.map(textOf)]
            const where = `${order.join(", ")}: ${end}`
            expect({ where, messages }).toEqual({ where, messages: port.offered.slice(0, port.handedOver) })
            expect(end).toMatch(/^(0|Again|TimeoutError|interrupted|Closed|running)$/)
            if (order.length === 0) expect(end).toBe("running")
            else if (offered > 0 || order.some((action) => action !== "time limit")) expect(end).not.toBe("running")
            // no timer is left behind
            expect(clock.waiting).toBe(0)
            expect(port.violations).toEqual([])
            ends.set(end, (ends.get(end) ?? 0) + 1)
          }
          for (const end of ["0", "interrupted", "Closed"]) expect(ends.get(end)).toBeGreaterThan(20)
        })
      )
    }
  }

  it.live("a send: room, time limit, interruption and close in every order, and one fate", () =>
    Effect.promise(async () => {
      for (const gap of Object.values(gaps)) {
        for (const order of ordersOf(["room", "early", "time limit", "interruption", "close"] as const)) {
          const clock = new HandClock()
          const { close, port, socket } = openNow(Zmq.push({ sendTimeout: "10 millis" }), {
            admission: "writable",
            room: 0
          })
          const fiber = Effect.runFork(Effect.provideService(Effect.as(socket.send("a"), "sent"), Clock.Clock, clock))
          await turns(2)
          let closing: Promise<void> | undefined
          for (const action of order) {
            if (action === "room") port.giveRoom(1)
            else if (action === "early") port.endWait()
            else if (action === "time limit") clock.advance(10)
            else if (action === "interruption") fiber.interruptUnsafe()
            else closing = close()
            await gap()
          }
          await turns(3)
          const end = outcome(fiber)
          const sent = [...port.sent]
          // no ghost
          port.giveRoom(5)
          await turns(2)
          const where = `${order.join(", ")}: ${end}`
          if (end !== "running") expect({ where, sent: port.sent }).toEqual({ where, sent })
          // What an interruption finds was sent before it came, or never is.
          if (end === "sent" || end === "running") expect({ where, sent: port.sent }).toEqual({ where, sent: ["a"] })
          else if (end !== "interrupted") expect({ where, sent: port.sent }).toEqual({ where, sent: [] })
          if (order.length > 0 && order.some((action) => action !== "early")) expect(end).not.toBe("running")
          expect(end).toMatch(/^(sent|Again|interrupted|Closed|running)$/)
          expect(port.violations).toEqual([])
          await closing
        }
      }
    })
  )

  it.live.skipIf(floor === "port")("a woken receive that is interrupted leaves its message to the next in line", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      const first = yield* Effect.forkChild(socket.recvString)
      const second = yield* Effect.forkChild(socket.recvString)
      yield* hop(2)
      port.arrive("0")
      // the message is on its way from the native receive to the mailbox
      first.interruptUnsafe()
      yield* hop()
      expect([outcome(first), outcome(second)]).toEqual(["interrupted", "0"])
    })
  )

  it.live.skipIf(floor === "port")(
    "a receive interrupted by the one before it, as that one goes on, loses nothing",
    () =>
      Effect.promise(async () => {
        const { port, socket } = openNow(Zmq.pull())
        const got: Array<string> = []
        const fibers: Array<Fiber.Fiber<void, unknown>> = []
        for (let i = 0; i < 4; i++) {
          fibers.push(
            Effect.runFork(
              Effect.gen(function* () {
                got.push(yield* socket.recvString)
                // 0 interrupts 1, and 2 interrupts 3, who were woken together with them
                if (i % 2 === 0) fibers[i + 1]!.interruptUnsafe()
              })
            )
          )
        }
        await turns(2)
        port.arriveUnnoticed("0", "1", "2", "3")
        port.recheck()
        await turns(4)
        const left = await Effect.runPromise(drain(socket))
        expect([...got, ...left]).toEqual(["0", "1", "2", "3"])
        expect(got).toEqual(["0", "1"])
      })
  )
})

// -----------------------------------------------------------------------------
// time
// -----------------------------------------------------------------------------

describe("Time limits", () => {
  it.effect("pass by the test clock, for receives, and not before", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull({ receiveTimeout: "1 minute" }))
      const first = yield* Effect.forkChild(socket.recvString)
      yield* TestClock.adjust("59999 millis")
      expect(outcome(first)).toBe("running")
      yield* TestClock.adjust("1 millis")
      expect(outcome(first)).toBe("Again")
      const second = yield* Effect.forkChild(socket.recvString)
      yield* TestClock.adjust("30 seconds")
      port.arrive("0")
      yield* hop()
      expect(outcome(second)).toBe("0")
      // a new receive has the whole time again
      const third = yield* Effect.forkChild(socket.recvString)
      yield* TestClock.adjust("59 seconds")
      expect(outcome(third)).toBe("running")
      yield* Fiber.interrupt(third)
    })
  )

  it.effect("pass by the test clock, for sends, however often a send was called too early", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.push({ sendTimeout: "1 minute" }), {
        admission: "writable",
        room: 0
      })
      const send = yield* Effect.forkChild(Effect.as(socket.send("a"), "sent"))
      for (let i = 0; i < 5; i++) {
        yield* TestClock.adjust("10 seconds")
        port.endWait()
        yield* hop()
      }
      expect(outcome(send)).toBe("running")
      yield* TestClock.adjust("10 seconds")
      expect(outcome(send)).toBe("Again")
      port.giveRoom(1)
      yield* hop(2)
      expect(port.sent).toEqual([])
    })
  )

  it.effect("of 0 never wait", () =>
    Effect.gen(function* () {
      const pull = yield* openScripted(Zmq.pull({ receiveTimeout: 0 }))
      expect((yield* Effect.flip(pull.socket.recvString))._tag).toBe("Again")
      pull.port.arrive("0", "1")
      expect(yield* pull.socket.recvString).toBe("0")
      expect(yield* pull.socket.recvString).toBe("1")
      expect((yield* Effect.flip(pull.socket.recvString))._tag).toBe("Again")
      const push = yield* openScripted(Zmq.push({ sendTimeout: 0 }), { admission: "writable", room: 1 })
      yield* push.socket.send("a")
      expect((yield* Effect.flip(push.socket.send("b")))._tag).toBe("Again")
      expect(push.port.sent).toEqual(["a"])
    })
  )
})

// -----------------------------------------------------------------------------
// closing
// -----------------------------------------------------------------------------

describe("Closing", () => {
  it.live("fails all who wait, at once", () =>
    Effect.promise(async () => {
      const pull = openNow(Zmq.pull({ receiveTimeout: "1 hour" }))
      const push = openNow(Zmq.push({ sendTimeout: "1 hour" }), { admission: "writable", room: 0 })
      const router = openNow(Zmq.router(), { admission: "ask", room: 0 })
      const fibers: Array<Fiber.Fiber<unknown, { readonly _tag: string }>> = []
      for (let i = 0; i < 50; i++) {
        fibers.push(
          Effect.runFork(pull.socket.recvString),
          Effect.runFork(push.socket.send("a")),
          Effect.runFork(router.socket.send([`peer ${i % 3}`, "a"])),
          Effect.runFork(router.socket.recvStrings)
        )
      }
      fibers.push(
        Effect.runFork(Stream.runDrain(router.socket.messages)),
        Effect.runFork(pull.socket.runForEach(() => Effect.void, { concurrency: 3 })),
        Effect.runFork(push.socket.sendAll(["a", "b"]))
      )
      await turns(3)
      for (const fiber of fibers) expect(outcome(fiber)).toBe("running")
      await Promise.all([pull.close(), push.close(), router.close()])
      await turns(2)
      expect(new Set(fibers.map(outcome))).toEqual(new Set(["Closed"]))
      for (const { port } of [pull, push, router]) expect([port.sent, port.violations]).toEqual([[], []])
    })
  )

  for (const type of ["req", "dealer"] as const) {
    it.live(`fails the requests in flight (${type})`, () =>
      Effect.promise(async () => {
        const { close, socket } = openNow<Zmq.Requester, unknown>(Zmq[type]())
        const fibers = [1, 2, 3].map(() => Effect.runFork(socket.request("a")))
        await turns(3)
        await close()
        const ended = await turnsUntil(() => fibers.every((fiber) => fiber.pollUnsafe() !== undefined), 50)
        expect(ended).toBe(true)
        expect(fibers.map(outcome)).toEqual(["Closed", "Closed", "Closed"])
      })
    )
  }

  it.live("keeps what was received and taken by nobody", () =>
    Effect.promise(async () => {
      const { close, port, socket } = openNow(Zmq.pull())
      port.arrive("0", "1", "2", "3")
      expect(await Effect.runPromise(socket.recvString)).toBe("0")
      await close()
      expect(await Effect.runPromise(socket.recvString)).toBe("1")
      expect((await Effect.runPromise(socket.tryRecv)).pipe(Option.map(textOf))).toEqual(Option.some("2"))
      expect(await Effect.runPromise(drain(socket))).toEqual(["3"])
      for (const receive of [socket.recv, socket.recvString, socket.tryRecv, socket.drain]) {
        expect((await Effect.runPromise(Effect.flip<unknown, { readonly _tag: string }, never>(receive)))._tag).toBe(
          "Closed"
        )
      }
    })
  )

  it.live("is told with a time limit of 0, too", () =>
    Effect.promise(async () => {
      const pull = openNow(Zmq.pull({ receiveTimeout: 0 }))
      const push = openNow(Zmq.push({ sendTimeout: 0 }), { admission: "writable", room: 0 })
      const start = () =>
        [
          pull.socket.recv,
          pull.socket.recvString,
          Stream.runDrain(pull.socket.messages),
          pull.socket.runForEach(() => Effect.void),
          push.socket.send("a"),
          push.socket.sendAll(["a"])
        ].map((effect) => Effect.runFork<unknown, { readonly _tag: string }>(effect))
      const before = start()
      await turns(3)
      expect(new Set(before.map(outcome))).toEqual(new Set(["Again"]))
      await Promise.all([pull.close(), push.close()])
      const after = start()
      await turns(3)
      const ends = after.map(outcome)
      for (const fiber of after) fiber.interruptUnsafe()
      expect(new Set(ends)).toEqual(new Set(["Closed"]))
    })
  )

  it.live.skipIf(floor === "port")("is told to one who only looks, if it comes meanwhile", () =>
    Effect.promise(async () => {
      const { close, port, socket } = openNow(Zmq.dealer({ receiveTimeout: 0 }))
      // leaves a native receive, which those who look have to wait for
      const request = Effect.runFork(socket.request("a"))
      expect(await turnsUntil(() => outcome(request) === "Again")).toBe(true)
      expect(port.isReceiving).toBe(true)
      const fibers = [socket.recv, socket.tryRecv, socket.drain].map((receive) =>
        Effect.runFork<unknown, { readonly _tag: string }>(receive)
      )
      await close()
      await turns(3)
      const ends = fibers.map(outcome)
      for (const fiber of fibers) fiber.interruptUnsafe()
      expect(ends).toEqual(["Closed", "Closed", "Closed"])
    })
  )

  it.live.skipIf(floor === "port")("keeps the message that a pending receive ends with", () =>
    Effect.promise(async () => {
      const { close, port, socket } = openNow(Zmq.pull())
      const fiber = Effect.runFork(socket.recvString)
      await turns(2)
      port.arriveUnnoticed("0", "1")
      await close()
      await turns(2)
      expect(outcome(fiber)).toBe("Closed")
      expect(port.handedOver).toBe(1)
      expect(await Effect.runPromise(drain(socket))).toEqual(["0"])
    })
  )

  it.live("ends a receive with Closed, whatever the native layer calls it", () =>
    Effect.promise(async () => {
      for (const code of ["EBADF", "ENOTSOCK", "ETERM", "EFAULT", "ENOTSUP"]) {
        const { port, socket } = openNow(Zmq.pull())
        const fiber = Effect.runFork(socket.recvString)
        await turns(2)
        port.failReceive(code)
        await turns(2)
        expect(outcome(fiber)).toBe("Closed")
      }
    })
  )

  it.live("is not what an EAGAIN means: the receive goes on", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.pull())
      const fiber = Effect.runFork(socket.recvString)
      await turns(2)
      for (let i = 0; i < 5; i++) {
        expect(port.isReceiving).toBe(true)
        port.failReceive("EAGAIN")
        await turns(3)
      }
      expect(outcome(fiber)).toBe("running")
      port.arrive("0")
      await turns(2)
      expect(outcome(fiber)).toBe("0")
    })
  )
})

// -----------------------------------------------------------------------------
// many fibers
// -----------------------------------------------------------------------------

describe("Many fibers on one socket", () => {
  const numbers = Array.from({ length: 200 }, (_, index) => index)

  for (const burst of [1, 7, 200]) {
    it.live(`receive first come, first served, ${burst} at a time`, () =>
      Effect.promise(async () => {
        const { port, socket } = openNow(Zmq.pull())
        const fibers = numbers.map(() => Effect.runFork(socket.recvString))
        await turns(2)
        const random = randomOf(burst)
        const left = numbers.filter((number) => {
          if (random() < 0.7) return true
          fibers[number]!.interruptUnsafe()
          return false
        })
        for (let at = 0; at < left.length; at += burst) {
          port.arrive(...left.slice(at, at + burst).map(String))
          await turns()
        }
        await turns(4)
        expect(left.map((number) => outcome(fibers[number]!))).toEqual(left.map(String))
      })
    )

    it.live(`send first come, first served, room for ${burst} at a time`, () =>
      Effect.promise(async () => {
        const { port, socket } = openNow(Zmq.push(), { admission: "writable", room: 0 })
        const fibers = numbers.map((number) => Effect.runFork(socket.send(`${number}`)))
        await turns(2)
        const random = randomOf(burst)
        const left = numbers.filter((number) => {
          if (random() < 0.7) return true
          fibers[number]!.interruptUnsafe()
          return false
        })
        for (let at = 0; at < left.length; at += burst) {
          port.giveRoom(burst)
          await turns(2)
        }
        await turns(4)
        expect(port.sent).toEqual(left.map(String))
        expect(left.map((number) => outcome(fibers[number]!))).toEqual(left.map(() => "undefined"))
      })
    )
  }

  it.live("take turns: who comes back does not overtake who waits", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.pull())
      const got: Array<string> = []
      // without a pause
      const consumer = (name: string) =>
        Effect.gen(function* () {
          while (true) got.push(name + (yield* socket.recvString))
        })
      const fibers = ["a", "b", "c"].map((name) => Effect.runFork(consumer(name)))
      await turns(2)
      for (let i = 0; i < 9; i += 3) {
        port.arrive(`${i}`, `${i + 1}`, `${i + 2}`)
        await turns(2)
      }
      expect(got).toEqual(["a0", "b1", "c2", "a3", "b4", "c5", "a6", "b7", "c8"])
      for (const fiber of fibers) fiber.interruptUnsafe()
    })
  )

  it.live("take turns: who comes back while a burst is handed over does not overtake who waits", () =>
    Effect.promise(async () => {
      // how long the first one works on its message
      for (let microtasks = 0; microtasks < 8; microtasks++) {
        const { port, socket } = openNow(Zmq.pull())
        const first = Effect.runFork(
          Effect.gen(function* () {
            const one = yield* socket.recvString
            yield* Effect.promise(async () => {
              for (let i = 0; i < microtasks; i++) await Promise.resolve()
            })
            return `${one} and ${yield* socket.recvString}`
          })
        )
        const others = [1, 2, 3].map(() => Effect.runFork(socket.recvString))
        await turns(2)
        // The pending receive gets 0, and a burst the others, a microtask apart.
        port.arrive("0", "1", "2", "3", "4")
        await turns(3)
        const got = [first, ...others].map(outcome)
        expect({ microtasks, got }).toEqual({ microtasks, got: ["0 and 4", "1", "2", "3"] })
      }
    })
  )

  it.live("take turns: who comes when there is room again does not overtake who waits for it", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.push(), { admission: "writable", room: 0 })
      const first = Effect.runFork(socket.send("0"))
      await turns(2)
      port.giveRoom(1)
      const second = Effect.runFork(socket.send("1"))
      const all = Effect.runFork(socket.sendAll(["2", "3"]))
      expect(await Effect.runPromise(socket.trySend("never"))).toBe(false)
      await turns(3)
      expect([port.sent, outcome(first), outcome(second)]).toEqual([["0"], "undefined", "running"])
      for (let i = 0; i < 3; i++) {
        port.giveRoom(1)
        await turns(3)
      }
      expect(port.sent).toEqual(["0", "1", "2", "3"])
      expect([outcome(second), outcome(all)]).toEqual(["undefined", "undefined"])
    })
  )

  // On an odd port who waits is told now and then, and may be before.
  it.live.skipIf(process.env.SCRIPTED === "odd")(
    "take turns: who has just sent, and tries, does not overtake who waits for room",
    () =>
      Effect.promise(async () => {
        const { port, socket } = openNow(Zmq.push(), { admission: "writable", room: 1 })
        let waiting: Fiber.Fiber<void, { readonly _tag: string }> | undefined
        const tried = Effect.runFork(
          Effect.gen(function* () {
            // A fiber that has rested: nothing stands between it and the next message.
            const first = yield* socket.trySend("0")
            waiting = Effect.runFork(socket.send("1"))
            yield* hop(2)
            const none = yield* socket.trySend("never")
            yield* hop()
            port.giveRoom(2)
            return [first, none, yield* socket.trySend("never"), yield* socket.trySend("never")]
          })
        )
        await turns(6)
        expect(outcome(tried)).toBe("true,false,false,false")
        expect(outcome(waiting!)).toBe("undefined")
        expect(port.sent).toEqual(["0", "1"])
        expect(await Effect.runPromise(socket.trySend("2"))).toBe(true)
        expect(port.sent).toEqual(["0", "1", "2"])
      })
  )

  it.live("leave the line when it is not their turn any more, and the next may send", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.req(), { room: 0 })
      const two = ["0", "1"].map((text) => Effect.runFork(socket.send(text)))
      await turns(2)
      port.giveRoom(3)
      await turns(3)
      expect(two.map(outcome)).toEqual(["undefined", "InvalidState"])
      port.arrive("reply")
      await Effect.runPromise(socket.recv)
      const next = Effect.runFork(socket.send("2"))
      await turns(3)
      expect([port.sent, outcome(next)]).toEqual([["0", "2"], "undefined"])
    })
  )

  it.live("are told what they have sent, whatever the next in line does to them", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.push(), { admission: "writable", room: 0 })
      const fibers: Array<Fiber.Fiber<string, { readonly _tag: string }>> = []
      for (let i = 0; i < 4; i++) {
        fibers.push(
          Effect.runFork(
            Effect.gen(function* () {
              yield* socket.send(`${i}`)
              for (const fiber of fibers.slice(0, i)) fiber.interruptUnsafe()
              return "sent"
            })
          )
        )
      }
      await turns(2)
      port.giveRoom(4)
      await turns(4)
      expect(port.sent).toEqual(["0", "1", "2", "3"])
      expect(fibers.map(outcome)).toEqual(["sent", "sent", "sent", "sent"])
    })
  )

  it.live("lose nothing when they are interrupted at random", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.pull())
      const random = randomOf(7)
      const got: Array<string> = []
      let fibers: Array<Fiber.Fiber<void, unknown>> = []
      const receive = Effect.gen(function* () {
        got.push(yield* socket.recvString)
      })
      for (let i = 0; i < 3_000; i++) {
        const what = random()
        if (what < 0.4) fibers.push(Effect.runFork(receive))
        else if (what < 0.7) port.arrive(`${port.offered.length}`)
        else fibers[Math.floor(random() * fibers.length)]?.interruptUnsafe()
        if (random() < 0.3) await Promise.resolve()
        if (random() < 0.1) await turns()
        fibers = fibers.filter((fiber) => fiber.pollUnsafe() === undefined)
        // Nobody waits while there is something.
      }
      await turns(4)
      const waiting = fibers.filter((fiber) => fiber.pollUnsafe() === undefined).length
      for (const fiber of fibers) fiber.interruptUnsafe()
      const left = await Effect.runPromise(drain(socket))
      expect([...got, ...left]).toEqual(port.offered)
      expect(waiting === 0 || left.length === 0).toBe(true)
    })
  )
})

it.live("A message that comes with the end of a socket is counted as left in it", () =>
  Effect.promise(async () => {
    const { close, port, socket } = openNow(Zmq.pull())
    const fiber = Effect.runFork(socket.recv)
    await turns(2)
    fiber.interruptUnsafe()
    await turns()
    port.arriveUnnoticed("message")
    await close()
    expect(socket.stats.leftAtClose).toBe(1)
  })
)

// -----------------------------------------------------------------------------
// requests
// -----------------------------------------------------------------------------

/** A DEALER, the ids of the requests it has sent, and how to reply to one. */
const openDealer = () => {
  const opened = openNow(Zmq.dealer())
  const ids: Array<Buffer> = []
  opened.port.answer = (message) => {
    ids.push(message[0] as Buffer)
    return "sent"
  }
  const reply = (request: number) =>
    opened.port.arriveMessage([ids[request]!, Buffer.alloc(0), Buffer.from(`reply to ${request}`)])
  const request = () => Effect.runFork(Effect.map(opened.socket.request("request"), textOf))
  return { ...opened, reply, request }
}

describe("A late reply", () => {
  it.live("does not answer the next request (REQ)", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.req())
      const first = Effect.runFork(socket.request("a"))
      await turns(2)
      expect(port.sent).toEqual(["a"])
      first.interruptUnsafe()
      await turns()
      // the receive that `first` began is still pending, and gets it
      port.arrive("reply to a")
      await turns()
      const second = Effect.runFork(Effect.map(socket.request("b"), textOf))
      await turns(2)
      expect(port.sent).toEqual(["a", "b"])
      expect(outcome(second)).toBe("running")
      port.arrive("reply to b")
      await turns(2)
      expect([outcome(first), outcome(second)]).toEqual(["interrupted", "reply to b"])
    })
  )

  it.live.skipIf(floor === "port")(
    "does not answer the next request that is sent in the tick in which it comes (REQ)",
    () =>
      Effect.promise(async () => {
        const { port, socket } = openNow(Zmq.req())
        // The peer answers before the send has returned.
        port.answer = (message) => {
          port.arriveUnnoticed(`reply to ${message}`)
          return "sent"
        }
        const first = Effect.runFork(socket.request("a"))
        first.interruptUnsafe()
        const second = Effect.runFork(Effect.map(socket.request("b"), textOf))
        await turns(4)
        expect([outcome(first), outcome(second)]).toEqual(["interrupted", "reply to b"])
      })
  )

  it.live("does not answer the next request, interrupted at whatever moment (REQ)", () =>
    Effect.promise(async () => {
      for (let replyAt = 0; replyAt < 8; replyAt++) {
        for (let interruptAt = 0; interruptAt < 8; interruptAt++) {
          for (let sendAt = interruptAt; sendAt < 8; sendAt++) {
            // The native layer lets microtasks run as soon as it has handed over.
            if (sendAt === replyAt) continue
            const { port, socket } = openNow(Zmq.req())
            const first = Effect.runFork(Effect.map(socket.request("a"), textOf))
            await turns(2)
            let second: Fiber.Fiber<string, { readonly _tag: string }> | undefined
            for (let tick = 0; tick < 8; tick++) {
              // libzmq drops what answers another request than the last one
              if (tick === replyAt && second === undefined) port.arrive("reply to a")
              if (tick === interruptAt) first.interruptUnsafe()
              if (tick === sendAt) second = Effect.runFork(Effect.map(socket.request("b"), textOf))
              await Promise.resolve()
            }
            await turns(2)
            port.arrive("reply to b")
            await turns(2)
            const where = `reply at ${replyAt}, interruption at ${interruptAt}, next request at ${sendAt}`
            expect({ where, reply: outcome(second!) }).toEqual({ where, reply: "reply to b" })
            expect(outcome(first)).toMatch(/^(interrupted|reply to a)$/)
          }
        }
      }
    })
  )

  it.live("does not answer the next request, nor is it received (DEALER)", () =>
    Effect.promise(async () => {
      const { port, reply, request, socket } = openDealer()
      const first = request()
      await turns(2)
      first.interruptUnsafe()
      const others = [request(), request()]
      const receive = Effect.runFork(socket.recvString)
      await turns(2)
      reply(0)
      reply(2)
      reply(0)
      reply(1)
      reply(1)
      port.arrive("news")
      await turns(3)
      expect(outcome(first)).toBe("interrupted")
      expect(others.map(outcome)).toEqual(["reply to 1", "reply to 2"])
      expect(outcome(receive)).toBe("news")
      expect(await Effect.runPromise(drain(socket))).toEqual([])
    })
  )

  it.live("ends a request, and the receiving for its sake, even if the socket is closed in that tick (DEALER)", () =>
    Effect.promise(async () => {
      for (const closed of [false, true]) {
        const { close, port, reply, request } = openDealer()
        const fiber = request()
        await turns(2)
        expect(port.isReceiving).toBe(true)
        reply(0)
        // It is with the socket by now, and its fiber has not been told.
        await Promise.resolve()
        if (closed) close()
        await turns(2)
        expect(outcome(fiber)).toBe("reply to 0")
        expect(port.isReceiving).toBe(false)
      }
    })
  )

  it.live("is dropped when it comes in the tick of the interruption (DEALER)", () =>
    Effect.promise(async () => {
      for (let interruptAt = 0; interruptAt < 6; interruptAt++) {
        const { reply, request, socket } = openDealer()
        const fiber = request()
        await turns(2)
        reply(0)
        for (let i = 0; i < interruptAt; i++) await Promise.resolve()
        fiber.interruptUnsafe()
        await turns(2)
        expect(outcome(fiber)).toMatch(/^(interrupted|reply to 0)$/)
        expect(await Effect.runPromise(drain(socket))).toEqual([])
      }
    })
  )
})

// -----------------------------------------------------------------------------
// what was lent
// -----------------------------------------------------------------------------

describe("What a stream has lent", () => {
  const open = (...texts: Array<string>) => {
    const opened = openNow(Zmq.pull())
    opened.port.arrive(...texts)
    return opened
  }

  it.live("goes to the next receive first, when the handler was interrupted", () =>
    Effect.promise(async () => {
      const { port, socket } = open("0", "1", "2")
      for (const consume of [
        Stream.runForEach(socket.strings, () => Effect.never),
        socket.runForEach(() => Effect.never)
      ]) {
        const fiber = Effect.runFork(consume)
        await turns(4)
        fiber.interruptUnsafe()
        await turns()
      }
      port.arrive("3")
      expect(await Effect.runPromise(socket.recvString)).toBe("0")
      expect(await Effect.runPromise(drain(socket))).toEqual(["1", "2", "3"])
    })
  )

  it.live("goes to one who has been waiting", () =>
    Effect.promise(async () => {
      const { socket } = open("0")
      const fiber = Effect.runFork(Stream.runForEach(socket.strings, () => Effect.never))
      await turns(3)
      const waiting = Effect.runFork(socket.recvString)
      await turns(3)
      expect(outcome(waiting)).toBe("running")
      fiber.interruptUnsafe()
      await turns()
      expect(outcome(waiting)).toBe("0")
    })
  )

  it.live("does not come back once the next one was asked for", () =>
    Effect.promise(async () => {
      const consumers: ReadonlyArray<(socket: Zmq.Pull) => Effect.Effect<unknown, unknown>> = [
        (socket) => Stream.runDrain(socket.strings),
        (socket) => Stream.runForEach(socket.messages, () => Effect.yieldNow),
        (socket) => socket.runForEach(() => Effect.yieldNow),
        (socket) => socket.runForEach(() => Effect.yieldNow, { concurrency: 3 })
      ]
      for (const consume of consumers) {
        const { port, socket } = open("0", "1", "2")
        const fiber = Effect.runFork(consume(socket))
        await turns(12)
        expect(port.isReceiving).toBe(true)
        fiber.interruptUnsafe()
        await turns(2)
        expect(await Effect.runPromise(drain(socket))).toEqual([])
      }
    })
  )

  it.live("comes back in order, whichever of 4 handlers had settled", () =>
    Effect.promise(async () => {
      // every set of the first 4 messages that may have been settled
      for (let settled = 0; settled < 16; settled++) {
        const texts = Array.from({ length: 12 }, (_, index) => `${index}`.padStart(2, "0"))
        const { socket } = open(...texts)
        const done: Array<string> = []
        const fiber = Effect.runFork(
          socket.runForEach(
            (message) =>
              Effect.suspend(() => {
                const number = Number(message)
                if (number >= 4 || (settled & (1 << number)) === 0) return Effect.never
                done.push(textOf(message))
                return Effect.void
              }),
            { concurrency: 4 }
          )
        )
        await turns(6)
        fiber.interruptUnsafe()
        await turns(2)
        const left = await Effect.runPromise(drain(socket))
        expect(left).toEqual(texts.filter((text) => !done.includes(text)))
        expect([...done, ...left].length).toBe(texts.length)
      }
    })
  )

  it.live("goes back when a handler fails, and is handled by the next one", () =>
    Effect.promise(async () => {
      const { socket } = open("0", "1", "2")
      const failing = [
        Stream.runForEach(socket.strings, () => Effect.fail("broken")),
        Stream.runDrain(Stream.mapEffect(socket.strings, () => Effect.fail("broken"))),
        socket.runForEach(() => Effect.fail("broken")),
        socket.runForEach(() => Effect.die("broken"), { concurrency: 2 })
      ]
      for (const consume of failing) expect(Exit.isFailure(await Effect.runPromiseExit(consume))).toBe(true)
      expect(await Effect.runPromise(drain(socket))).toEqual(["0", "1", "2"])
    })
  )

  it.live("is not handled by another worker of the runForEach that fails with it", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.pull())
      let handled = 0
      const fiber = Effect.runFork(
        socket.runForEach(
          () =>
            Effect.suspend(() => {
              handled++
              return Effect.fail("broken")
            }),
          { concurrency: 4 }
        )
      )
      await turns(2)
      port.arrive("0")
      await turns(3)
      expect(Exit.isFailure(await Effect.runPromise(Fiber.await(fiber)))).toBe(true)
      expect(await Effect.runPromise(drain(socket))).toEqual(["0"])
      expect(handled).toBe(1)
    })
  )

  it.live("is consumed when the stream ends as it should", () =>
    Effect.promise(async () => {
      const texts = ["0", "1", "2", "3", "4"]
      const ends: ReadonlyArray<readonly [number, (strings: Zmq.Pull["strings"]) => Effect.Effect<unknown, unknown>]> =
        [
          [3, (strings) => Stream.runDrain(Stream.take(strings, 3))],
          [3, (strings) => Stream.runCollect(Stream.take(strings, 3))],
          [3, (strings) => Stream.runDrain(Stream.takeUntil(strings, (text) => text === "2"))],
          // it has seen 2, and dropped it
          [3, (strings) => Stream.runDrain(Stream.takeWhile(strings, (text) => text !== "2"))],
          [1, (strings) => Stream.runHead(strings)],
          [0, (strings) => Stream.runDrain(Stream.take(strings, 0))]
        ]
      for (const [consumed, run] of ends) {
        const { socket } = open(...texts)
        expect(Exit.isSuccess(await Effect.runPromiseExit(run(socket.strings)))).toBe(true)
        expect(await Effect.runPromise(drain(socket))).toEqual(texts.slice(consumed))
      }
    })
  )

  it.live("is one message at a time: two streams share the rest", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.pull())
      const got: Array<string> = []
      const consume = (name: string) =>
        Effect.runFork(Stream.runForEach(socket.strings, (text) => Effect.sync(() => void got.push(name + text))))
      const fibers = [consume("a"), consume("b")]
      await turns(3)
      for (let i = 0; i < 4; i += 2) {
        port.arrive(`${i}`, `${i + 1}`)
        await turns(2)
      }
      expect(got).toEqual(["a0", "b1", "a2", "b3"])
      for (const fiber of fibers) fiber.interruptUnsafe()
    })
  )
})

// -----------------------------------------------------------------------------
// the newest only
// -----------------------------------------------------------------------------

describe("With CONFLATE", () => {
  const consumers: {
    readonly [name: string]: (
      socket: Zmq.Pull,
      handle: (text: string) => Effect.Effect<void>
    ) => Effect.Effect<unknown, unknown>
  } = {
    recv: (socket, handle) => Effect.forever(Effect.flatMap(socket.recvString, handle)),
    tryRecv: (socket, handle) =>
      Effect.forever(
        Effect.flatMap(
          socket.tryRecv,
          Option.match({ onNone: () => Effect.yieldNow, onSome: (one) => handle(`${one}`) })
        )
      ),
    drain: (socket, handle) =>
      Effect.forever(Effect.flatMap(socket.drain, (all) => Effect.forEach(all, (one) => handle(`${one}`)))),
    strings: (socket, handle) => Stream.runForEach(socket.strings, handle),
    messages: (socket, handle) => Stream.runForEach(socket.messages, (message) => handle(`${message}`)),
    runForEach: (socket, handle) => socket.runForEach((message) => handle(`${message}`))
  }
  for (const [name, consume] of Object.entries(consumers)) {
    it.live(`what is held is out of date when there is something newer: ${name}`, () =>
      Effect.promise(async () => {
        const { port, socket } = openNow(Zmq.pull({ conflate: true }))
        // One message is in the mailbox, as a receive was given up, and another with libzmq.
        const bring = async (number: number) => {
          const givenUp = Effect.runFork(socket.recv)
          await turns()
          givenUp.interruptUnsafe()
          expect(port.isReceiving).toBe(true)
          port.arrive(`old ${number}`)
          await turns()
          port.arriveUnnoticed(`new ${number}`)
        }
        const got: Array<string> = []
        await bring(0)
        const consumer = Effect.runFork(
          consume(socket, (text) =>
            Effect.promise(async () => {
              got.push(text)
              if (got.length < 5) await bring(got.length)
            })
          )
        )
        expect(await turnsUntil(() => got.length === 5)).toBe(true)
        consumer.interruptUnsafe()
        expect(got).toEqual(["new 0", "new 1", "new 2", "new 3", "new 4"])
      })
    )
  }
})

// -----------------------------------------------------------------------------
// messages that libzmq gives back
// -----------------------------------------------------------------------------

describe("A message that libzmq takes back", () => {
  it.live.skipIf(floor === "port")("is sent again before all others, once", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.push(), { admission: "writable", room: 1 })
      await Effect.runPromise(socket.send("a"))
      const next = Effect.runFork(socket.send("b"))
      await turns(2)
      port.giveBack("a")
      await turns(2)
      port.endWait()
      await turns(2)
      expect(port.sent).toEqual([])
      port.giveRoom(1)
      await turns(2)
      expect(port.sent).toEqual(["a"])
      port.giveRoom(1)
      await turns(2)
      expect(port.sent).toEqual(["a", "b"])
      expect(outcome(next)).toBe("undefined")
    })
  )
})

// -----------------------------------------------------------------------------
// a flood
// -----------------------------------------------------------------------------

describe("Under a flood that never ends", () => {
  // In one turn of the event loop, and not one more: a fiber that was let loose
  // would go on for ever, so it is stopped here.
  const tooMany = 20_000

  const consumers: {
    readonly [name: string]: (socket: Zmq.Pull, count: (messages: number) => void) => Effect.Effect<unknown, unknown>
  } = {
    recv: (socket, count) => Effect.forever(Effect.flatMap(socket.recvString, () => Effect.sync(() => count(1)))),
    "recv in a timeout": (socket, count) =>
      Effect.forever(Effect.flatMap(Effect.timeout(socket.recvString, "1 hour"), () => Effect.sync(() => count(1)))),
    tryRecv: (socket, count) => Effect.forever(Effect.flatMap(socket.tryRecv, () => Effect.sync(() => count(1)))),
    "a stream": (socket, count) => Stream.runForEach(socket.strings, () => Effect.sync(() => count(1))),
    runForEach: (socket, count) => socket.runForEach(() => Effect.sync(() => count(1)), { concurrency: 4 }),
    "many fibers": (socket, count) =>
      Effect.forEach(
        Array(20),
        () => Effect.forever(Effect.flatMap(socket.recvString, () => Effect.sync(() => count(1)))),
        { concurrency: 20, discard: true }
      )
  }
  const ports: { readonly [name: string]: (port: ScriptedSocket) => void } = {
    "in bursts": () => {},
    // as when each message comes just after the last one was taken
    "one by one": (port) => {
      port.receiveBurst = () => undefined
    }
  }

  for (const [how, prepare] of Object.entries(ports)) {
    for (const [name, consume] of Object.entries(consumers)) {
      it.live(`timers and other fibers get their turn: ${name}, ${how}`, () =>
        Effect.promise(async () => {
          const { port, socket } = openNow(Zmq.pull(), { flood: String })
          prepare(port)
          let inThisTurn = 0
          let most = 0
          let stopped = false
          const fiber = Effect.runFork(
            consume(socket, (messages) => {
              inThisTurn += messages
              most = Math.max(most, inThisTurn)
              if (inThisTurn < tooMany) return
              stopped = true
              throw new Error("the event loop has stopped")
            })
          )
          let others = 0
          const other = Effect.runFork(
            Effect.forever(
              Effect.andThen(
                Effect.sync(() => void others++),
                Effect.yieldNow
              )
            )
          )
          let timers = 0
          const timer = setInterval(() => {
            timers++
          }, 1)
          let loops = 0
          for (; loops < 50 || (timers < 3 && loops < 1_000_000); loops++) {
            inThisTurn = 0
            await turns()
          }
          clearInterval(timer)
          fiber.interruptUnsafe()
          other.interruptUnsafe()
          await turns(2)
          expect(stopped).toBe(false)
          expect(most).toBeGreaterThan(0)
          // one fiber's budget, or a few, and never all there is
          expect(most).toBeLessThan(10_000)
          expect(timers).toBeGreaterThanOrEqual(3)
          expect(others).toBeGreaterThanOrEqual(20)
          expect(port.violations).toEqual([])
        })
      )
    }
  }

  it.live("drain comes to an end, and loses nothing", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.pull(), { flood: String })
      const fiber = Effect.runFork(socket.drain)
      let loops = 0
      while (fiber.pollUnsafe() === undefined && loops++ < 10_000) await turns()
      const messages = await Effect.runPromise(Fiber.join(fiber))
      expect(loops).toBeGreaterThan(10)
      expect(messages.length).toBe(port.handedOver)
      expect(messages.every((message, index) => message.toString() === String(index))).toBe(true)
    })
  )

  it.live("nothing is taken that nobody asked for, but for one burst", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.pull(), { flood: String })
      await turns(5)
      expect(port.handedOver).toBe(0)
      expect(await Effect.runPromise(socket.recvString)).toBe("0")
      await turns(20)
      expect(port.handedOver).toBeLessThanOrEqual(256)
      const small = openNow(Zmq.pull({ receiveHighWaterMark: 3 }), { flood: String })
      expect(await Effect.runPromise(small.socket.recvString)).toBe("0")
      await turns(20)
      expect(small.port.handedOver).toBeLessThanOrEqual(3)
    })
  )
})
