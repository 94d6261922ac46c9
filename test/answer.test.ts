/** Whether a promise that is rejected can be told from one that is not, without waiting for it. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, type Scope } from "effect"
import type { Zmq } from "effect-zmq"
import { vi } from "vitest"

const printed = vi.hoisted((): { as: (text: string) => string } => ({ as: (text) => text }))
vi.mock("node:util", async (original) => {
  const util = await original<typeof import("node:util")>()
  return { ...util, inspect: (value: unknown, options: object) => printed.as(util.inspect(value, options)) }
})

/** The module as it is loaded in a process that prints so. */
const loaded = async (as: (text: string) => string) => {
  printed.as = as
  vi.resetModules()
  return import("../src/internal/zeromq/answer.ts")
}
const asAlways = (text: string) => text

describe("a Node that prints promises", () => {
  it("as always is read", async () => {
    const { answerOf, checkAnswers, errorOf } = await loaded(asAlways)
    expect(() => checkAnswers()).not.toThrow()
    expect(answerOf(() => Promise.resolve())).toBe("sent")
    expect(answerOf(() => new Promise(() => {}))).toBe("sent")
    expect(answerOf(() => Promise.reject(errorOf("EAGAIN", "no")))).toBe("full")
    expect(answerOf(() => Promise.reject(errorOf("EHOSTUNREACH", "no")))).toBe("unroutable")
    expect(answerOf(() => Promise.reject(errorOf("EFSM", "no")))).toBe("outOfTurn")
    expect(answerOf(() => Promise.reject(errorOf("ENOTSOCK", "no")))).toBe("closed")
  })

  const others: ReadonlyArray<readonly [name: string, as: (text: string) => string]> = [
    ["with another word for rejected", (text) => text.replace("<rejected>", "<failed>")],
    ["with that word for all", (text) => text.replace("Promise {", "Promise { <rejected>")],
    ["without the codes of errors", (text) => text.replace(/code: '\w+'/, "")],
    ["not at all", () => "[object Promise]"]
  ]
  for (const [name, as] of others) {
    it(`${name} is noticed, and asked once`, async () => {
      const { checkAnswers } = await loaded(as)
      expect(() => checkAnswers()).toThrow("prints promises in another way")
      let asked = 0
      printed.as = (text) => {
        asked++
        return text
      }
      expect(() => checkAnswers()).toThrow("prints promises in another way")
      expect(asked).toBe(0)
    })
  }
})

describe("on a Node that cannot be read", () => {
  it("sockets that ask about each message are not opened, and others are", async () => {
    printed.as = (text) => text.replace("<rejected>", "<failed>")
    vi.resetModules()
    const { Draft: draft, Zmq: zmq } = await import("effect-zmq")
    const asking: ReadonlyArray<Effect.Effect<unknown, Zmq.SocketError, never>> = [
      zmq.req(),
      zmq.rep(),
      zmq.router(),
      zmq.rawStream(),
      zmq.pub({ noDrop: true }),
      zmq.xpub({ noDrop: true }),
      draft.server()
    ].map((open: Effect.Effect<unknown, Zmq.SocketError, Scope.Scope>) => Effect.scoped(open))
    for (const open of asking) {
      const exit = await Effect.runPromise(Effect.exit(open))
      expect(exit).toMatchObject({
        cause: { reasons: [{ error: { _tag: "OpenError", reason: "UnsupportedRuntime" } }] }
      })
      expect(`${exit}`).toContain("Update effect-zmq, or run Node")
    }
    for (const open of [zmq.pull(), zmq.push(), zmq.pub(), zmq.sub({ subscribe: "" }), zmq.dealer(), zmq.pair()]) {
      expect(Exit.isSuccess(await Effect.runPromise(Effect.exit(Effect.scoped(open as never))))).toBe(true)
    }
  })
})
