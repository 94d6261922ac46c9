import { it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Stream } from "effect"
import { Zmq } from "effect-zmq"
import { expect } from "vitest"
import { openNow, outcome, turns, turnsUntil } from "./support/scripted.ts"

it.live.each([0, 1, 2, 300])("sendAll dies with the error of its iterable, and has sent the %i before it", (count) =>
  Effect.gen(function* () {
    const name = `inproc://broken-iterable-${count}`
    const pull = yield* Zmq.pull({ bind: name })
    const push = yield* Zmq.push({ connect: name })
    const broken = function* () {
      for (let i = 0; i < count; i++) yield `${i}`
      throw new Error("mine")
    }
    const exit = yield* Effect.exit(push.sendAll(broken()))
    expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain("mine")
    expect(Exit.isFailure(exit) && Cause.hasDies(exit.cause)).toBe(true)
    expect((yield* pull.drain).map(String)).toEqual(Array.from({ length: count }, (_, i) => `${i}`))
    yield* push.sendAll(["after"])
    expect(yield* pull.recvString).toBe("after")
  })
)

it.live("sendAll stops at the message whose making interrupts it", () =>
  Effect.gen(function* () {
    const pull = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
    const push = yield* Zmq.push({ connect: pull.endpoints[0]! })
    const own: { fiber?: Fiber.Fiber<unknown, unknown> } = {}
    const messages = function* () {
      for (let i = 0; i < 1000; i++) {
        if (i === 5) own.fiber!.interruptUnsafe()
        yield `${i}`
      }
    }
    own.fiber = yield* Effect.forkChild(Effect.andThen(Effect.yieldNow, push.sendAll(messages())))
    yield* Fiber.await(own.fiber)
    yield* push.send("after")
    const received = yield* Stream.runCollect(Stream.takeUntil(pull.strings, (text) => text === "after"))
    expect(received).toEqual(["0", "1", "2", "3", "4", "after"])
  })
)

/** Gives so many texts, and notes what becomes of it. */
class Counted implements Iterator<string>, Iterable<string> {
  /** The texts that have been asked for. */
  given = 0
  /** How often it was told that no more is wanted. */
  returned = 0
  private readonly make: (number: number) => string
  constructor(make: (number: number) => string = String) {
    this.make = make
  }
  [Symbol.iterator](): Iterator<string> {
    return this
  }
  next(): IteratorResult<string> {
    return this.given < 1000 ? { done: false, value: this.make(this.given++) } : { done: true, value: undefined }
  }
  return(): IteratorResult<string> {
    this.returned++
    return { done: true, value: undefined }
  }
}

it.live("sendAll tells its iterable when it ends before it, and then only", () =>
  Effect.promise(async () => {
    const open = (room: number) => openNow(Zmq.push(), { admission: "writable", room })
    const run = async (
      room: number,
      messages: Counted,
      end: (opened: ReturnType<typeof open>, fiber: Fiber.Fiber<void, { readonly _tag: string }>) => void
    ) => {
      const opened = open(room)
      const fiber = Effect.runFork(opened.socket.sendAll(messages))
      await turns(2)
      end(opened, fiber)
      expect(await turnsUntil(() => fiber.pollUnsafe() !== undefined)).toBe(true)
      const { returned } = messages
      return { end: outcome(fiber), sent: opened.port.sent.length, returned }
    }
    const interrupt = (_: unknown, fiber: Fiber.Fiber<void, { readonly _tag: string }>) => fiber.interruptUnsafe()
    const close = (opened: ReturnType<typeof open>) => void opened.close()
    const nothing = () => {}
    expect(await run(5, new Counted(), interrupt)).toEqual({ end: "interrupted", sent: 5, returned: 1 })
    expect(await run(5, new Counted(), close)).toEqual({ end: "Closed", sent: 5, returned: 1 })
    const wrong = () => new Counted((number) => (number < 7 ? `${number}` : (7 as never)))
    expect(await run(1000, wrong(), nothing)).toEqual({ end: "EncodeError", sent: 7, returned: 1 })
    expect(await run(1000, new Counted(), nothing)).toEqual({ end: "undefined", sent: 1000, returned: 0 })
    const broken = new Counted((number) => {
      if (number === 3) throw new Error("mine")
      return `${number}`
    })
    expect(await run(1000, broken, nothing)).toMatchObject({ sent: 3, returned: 0 })
    expect(await run(0, new Counted(() => [] as never), interrupt)).toEqual({
      end: "EncodeError",
      sent: 0,
      returned: 1
    })
  })
)

it.live("what an interrupted sendAll has sent is settled when it has ended, at whatever moment it comes", () =>
  Effect.promise(async () => {
    // when it is known that libzmq has taken a message
    const answers = { "a microtask later": () => Promise.resolve(), "a turn later": () => turns() }
    for (const [answered, answer] of Object.entries(answers)) {
      let inTheMiddle = 0
      for (let moments = 0; moments < 40; moments++) {
        const { port, socket } = openNow(Zmq.push())
        port.offerAll = async (source) => {
          for (let message = source.peek(); message !== undefined; message = source.peek()) {
            port.offer(message)
            await answer()
            source.sent()
          }
          return "sent"
        }
        let settled = 0
        const messages = function* () {
          for (; ; settled++) yield `${settled}`
        }
        const fiber = Effect.runFork(socket.sendAll(messages()))
        for (let i = 0; i < moments; i++) await answer()
        const sentBefore = port.sent.length
        await Effect.runPromise(Fiber.interrupt(fiber))
        const sent = port.sent.length
        expect({ answered, moments, settled }).toEqual({ answered, moments, settled: sent })
        // The message that was being offered, and no other.
        expect(sent - sentBefore).toBeLessThanOrEqual(1)
        expect(socket.stats.messagesOut).toBe(sent)
        if (sent > 0 && sent < 256) inTheMiddle++
        await turns(2)
        expect(port.sent.length).toBe(sent)
      }
      expect(inTheMiddle).toBeGreaterThan(20)
    }
  })
)

it.live("sendAll goes behind who waits, also when there is room again and they have not tried", () =>
  Effect.promise(async () => {
    const { port, socket } = openNow(Zmq.push(), { admission: "writable", room: 0 })
    const waiting = Effect.runFork(socket.send("a"))
    await turns(2)
    const sending = Effect.runFork(socket.sendAll(["b", "c"]))
    port.giveRoom(10)
    await turns(3)
    expect([waiting, sending].map(outcome)).toEqual(["undefined", "undefined"])
    expect(port.sent).toEqual(["a", "b", "c"])
  })
)

it.live("sendAll gives others their turn after some hundred messages", () =>
  Effect.promise(async () => {
    const { port, socket } = openNow(Zmq.push())
    const fiber = Effect.runFork(socket.sendAll(Array.from({ length: 10_000 }, (_, i) => `${i}`)))
    for (const turn of [1, 2, 3, 4, 5]) {
      await turns()
      expect(port.sent.length).toBeLessThanOrEqual((turn + 1) * 256)
    }
    expect(await turnsUntil(() => fiber.pollUnsafe() !== undefined)).toBe(true)
    expect(port.sent.length).toBe(10_000)
  })
)
