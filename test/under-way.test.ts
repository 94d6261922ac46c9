/** What is under way when its socket, its context or another operation ends it. */
import type { LookupAddress } from "node:dns"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { Zmq } from "effect-zmq"
import { afterEach, vi } from "vitest"
import { byEngine } from "./support/byEngine.ts"
import { boundTo, failureOf, freshEndpoint, nextTurn, outcome, texts } from "./support/sockets.ts"

type Answer = (error: Error | null, address?: LookupAddress | string) => void

// Names are looked up when the test says so.
const asked = vi.hoisted(() => ({ lookups: [] as Array<Answer> }))
vi.mock("node:dns", async (original) => ({
  ...(await original<typeof import("node:dns")>()),
  lookup: (_: string, answer: Answer) => void asked.lookups.push(answer)
}))
const answerAll = (): void => {
  for (const answer of asked.lookups.splice(0)) answer(null, "127.0.0.1")
}
afterEach(answerAll)

const fork = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })
const tcp = "tcp://127.0.0.1:*"
const byName = (socket: Zmq.Socket) => boundTo(socket).replace("127.0.0.1", "localhost")

describe("while a name is looked up", () => {
  it.live("a connect fails when its socket closes, and nothing comes of it", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: tcp })
      const scope = yield* Scope.make()
      const push = yield* Scope.provide(Zmq.push(), scope)
      const connecting = yield* fork(outcome(Effect.scoped(push.connect(byName(pull)))))
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(connecting)).toBe("Closed")
      answerAll()
      yield* nextTurn
      expect(push.endpoints).toEqual([])
    }).pipe(Effect.scoped)
  )

  it.live("a socket that opens is not opened, when its context ends", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: tcp })
      const bind = freshEndpoint("inproc")
      const scope = yield* Scope.make()
      const context = yield* Scope.provide(Layer.build(Zmq.Context.layer()), scope)
      const opening = yield* fork(
        Effect.exit(Effect.scoped(Zmq.dealer({ bind, connect: byName(pull) })).pipe(Effect.provide(context)))
      )
      yield* Scope.close(scope, Exit.void)
      expect(failureOf(yield* Fiber.join(opening))).toMatchObject({ _tag: "OpenError", reason: "ContextClosed" })
    }).pipe(Effect.scoped)
  )

  it.live("two that connect to one endpoint make one connection, which the last of them ends", () =>
    Effect.gen(function* () {
      const pub = yield* Zmq.pub({ bind: tcp })
      const sub = yield* Zmq.xsub({ subscribe: "" })
      const scopes = [yield* Scope.make(), yield* Scope.make()] as const
      const connecting = yield* Effect.forEach(scopes, (scope) => fork(Scope.provide(sub.connect(byName(pub)), scope)))
      answerAll()
      yield* Effect.forEach(connecting, Fiber.join)
      yield* sub.awaitConnected
      yield* pub.awaitSubscribers("")
      expect(sub.endpoints.length).toBe(2)
      yield* Scope.close(scopes[0], Exit.void)
      yield* pub.sendAll(["a", "b"])
      expect([yield* sub.recvString, yield* sub.recvString]).toEqual(["a", "b"])
      yield* Scope.close(scopes[1], Exit.void)
      expect(sub.endpoints).toEqual([])
    }).pipe(Effect.scoped)
  )
})

it.live("an unbind that was given up has freed its endpoint when the socket has closed", () =>
  Effect.gen(function* () {
    for (const scheme of byEngine({ zeromq: ["tcp", "ws"], zmtp: ["tcp", "ipc"] })) {
      let bind = scheme === "ipc" ? freshEndpoint("ipc") : `${scheme}://127.0.0.1:*`
      // Often, as libzmq may be quicker.
      for (let i = 0; i < 400; i++) {
        const scope = yield* Scope.make()
        const pull = yield* Scope.provide(Zmq.pull({ bind }), scope)
        bind = boundTo(pull)
        yield* Fiber.interrupt(yield* fork(pull.unbind(bind)))
        yield* Scope.close(scope, Exit.void)
      }
    }
  })
)

it.live("a socket that has an endpoint does not bind it again, over ipc neither, and keeps it", () =>
  Effect.gen(function* () {
    for (const endpoint of [freshEndpoint("ipc"), freshEndpoint("inproc"), "ipc://@effect-zmq-test-twice"]) {
      const pull = yield* Zmq.pull({ bind: endpoint })
      const again = yield* Effect.exit(Effect.scoped(pull.bind(endpoint)))
      expect(failureOf(again)).toMatchObject({ _tag: "BindError", reason: "AddressInUse" })
      expect(pull.endpoints).toEqual([endpoint])
      const push = yield* Zmq.push({ connect: endpoint })
      yield* push.send("a")
      expect(texts(yield* pull.recv)).toEqual(["a"])
    }
  }).pipe(Effect.scoped)
)

it.live("a context ends when those of its sockets have closed that were closing already", () =>
  Effect.gen(function* () {
    const [inside, outside] = [yield* Scope.make(), yield* Scope.make()]
    const context = yield* Scope.provide(Layer.build(Zmq.Context.layer()), outside)
    // Nobody is there to take what it sends.
    const push = yield* Scope.provide(Zmq.push({ connect: "tcp://127.0.0.1:1", linger: "200 millis" }), inside).pipe(
      Effect.provide(context)
    )
    yield* push.send("a")
    const closing = yield* fork(Scope.close(inside, Exit.void))
    yield* Scope.close(outside, Exit.void)
    yield* nextTurn
    expect(closing.pollUnsafe()).toEqual(Exit.void)
  })
)
