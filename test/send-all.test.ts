import { it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Stream } from "effect"
import { Zmq } from "effect-zmq"
import { expect } from "vitest"

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
