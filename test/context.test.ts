/** Contexts, and what went through a socket. */
import { inspect } from "node:util"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Metric, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Zmq } from "effect-zmq"
import { freshEndpoint, numbers, openFiles, outcome, until } from "./support/sockets.ts"

const fork = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

describe("a context", () => {
  it.effect("has inproc endpoints of its own", () =>
    Effect.gen(function* () {
      const endpoint = freshEndpoint("inproc")
      const pull = yield* Zmq.pull({ bind: endpoint })
      yield* Effect.gen(function* () {
        const other = yield* Zmq.pull({ bind: endpoint })
        const push = yield* Zmq.push({ connect: endpoint })
        yield* push.send("to the other")
        expect(yield* other.recvString).toBe("to the other")
      }).pipe(Effect.scoped, Effect.provide(Zmq.Context.layer()))
      const push = yield* Zmq.push({ connect: endpoint })
      yield* push.send("to this one")
      expect(yield* pull.recvString).toBe("to this one")
    })
  )

  it.effect("closes its sockets before it ends, and opens none after it", () =>
    Effect.gen(function* () {
      const inside = yield* Scope.make()
      const outside = yield* Scope.make()
      const context = yield* Scope.provide(Layer.build(Zmq.Context.layer({ ioThreads: 1 })), inside)
      const open = Effect.provide(Zmq.pull({ bind: freshEndpoint("tcp") }), context)
      const pull = yield* Scope.provide(open, outside)
      const waiting = yield* fork(outcome(pull.recv))
      yield* Scope.close(inside, Exit.void)
      expect(yield* Fiber.join(waiting)).toBe("Closed")
      const again = yield* Effect.exit(Effect.scoped(open))
      expect(again).toMatchObject({ cause: { reasons: [{ error: { _tag: "OpenError", reason: "ContextClosed" } }] } })
      yield* Scope.close(outside, Exit.void)
    })
  )

  it.effect("limits its sockets, and says so", () =>
    Effect.gen(function* () {
      const opened = yield* Effect.all(numbers(0, 2).map(() => Zmq.pull()))
      expect(opened.length).toBe(2)
      const exit = yield* Effect.exit(Zmq.pull())
      expect(exit).toMatchObject({ cause: { reasons: [{ error: { _tag: "OpenError", reason: "TooManySockets" } }] } })
    }).pipe(Effect.scoped, Effect.provide(Zmq.Context.layer({ maxSockets: 2 })))
  )

  it.effect("has its sockets use IPv6 unless told otherwise", () =>
    Effect.gen(function* () {
      yield* Zmq.push({ connect: "tcp://[::1]:5555" })
      expect(yield* outcome(Effect.scoped(Zmq.push({ connect: "tcp://[::1]:5555", ipv6: false })))).toBe("ConnectError")
    }).pipe(Effect.scoped, Effect.provide(Zmq.Context.layer({ ipv6: true })))
  )

  it.effect("is made from options that exist and are in range", () =>
    Effect.gen(function* () {
      const wrong = [
        { ioThreads: -1 },
        { ioThreads: 1.5 },
        { maxSockets: 0 },
        { ipv6: 1 },
        { threads: 4 },
        { maxMessageSize: NaN }
      ]
      for (const options of wrong) {
        const use = Effect.void.pipe(Effect.provide(Zmq.Context.layer(options as Zmq.ContextOptions)))
        expect(yield* outcome(use)).toBe("OptionError")
      }
    })
  )

  it.effect("is used again, as libzmq's threads of one end with the process", () =>
    Effect.gen(function* () {
      const once = Effect.scoped(Zmq.pull({ bind: "inproc://same" })).pipe(
        Effect.provide(Zmq.Context.layer({ maxSockets: 317 }))
      )
      yield* once
      const before = openFiles()
      for (const _ of numbers(0, 100)) yield* once
      // libzmq closes in another thread.
      yield* until(Effect.sync(() => openFiles() < before + 20))
    })
  )
})

describe("stats", () => {
  it.effect("count messages and bytes, what was put back, and what was left", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pull = yield* Scope.provide(Zmq.pull({ bind: freshEndpoint("inproc") }), scope)
      const push = yield* Zmq.push({ connect: pull.endpoints[0]! })
      yield* push.send("four")
      yield* push.send(["é", new Uint8Array(3)])
      yield* push.sendAll(["a", "bc"])
      expect(yield* push.trySend("d")).toBe(true)
      expect(push.stats).toMatchObject({ messagesOut: 5, bytesOut: 4 + 5 + 3 + 1, messagesIn: 0 })
      yield* Effect.exit(pull.runForEach(() => Effect.fail("not now")))
      expect(pull.stats.putBack).toBe(1)
      yield* pull.recv
      yield* pull.recv
      expect(pull.stats).toMatchObject({ messagesIn: 5, bytesIn: 13, queued: 3, leftAtClose: 0 })
      yield* Scope.close(scope, Exit.void)
      expect(pull.stats).toMatchObject({ leftAtClose: 3 })
    })
  )

  it.effect("count offers that libzmq refused", () =>
    Effect.gen(function* () {
      const push = yield* Zmq.push()
      expect(yield* push.trySend("nobody there")).toBe(false)
      expect(push.stats).toMatchObject({ messagesOut: 0, again: 1 })
    })
  )

  it.effect("are reported as metrics, by the clock and at the end", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc") })
      const push = yield* Zmq.push({ connect: pull.endpoints[0]! })
      const value = (id: string) =>
        Effect.map(Metric.snapshot, (all) => {
          const found = all.find((metric) => metric.id === id && metric.attributes?.name === "jobs")
          return found?.state as { readonly count?: number; readonly value?: number } | undefined
        })
      const scope = yield* Scope.make()
      yield* Scope.provide(Zmq.reportMetrics(pull, { interval: "1 minute", attributes: { name: "jobs" } }), scope)
      yield* push.sendAll(["one", "two", "three"])
      yield* pull.recv
      expect(yield* value("zmq_messages_in")).toBeUndefined()
      yield* TestClock.adjust("1 minute")
      expect(yield* value("zmq_messages_in")).toMatchObject({ count: 3 })
      expect(yield* value("zmq_bytes_in")).toMatchObject({ count: 11 })
      expect(yield* value("zmq_messages_queued")).toMatchObject({ value: 2 })
      yield* push.send("four")
      for (const _ of numbers(0, 3)) yield* pull.recv
      yield* Scope.close(scope, Exit.void)
      expect(yield* value("zmq_messages_in")).toMatchObject({ count: 4 })
      expect(yield* value("zmq_messages_queued")).toMatchObject({ value: 0 })
    })
  )

  it.effect("and handlers as spans, where asked for", () =>
    Effect.gen(function* () {
      const router = yield* Zmq.router({ bind: freshEndpoint("inproc") })
      const dealer = yield* Zmq.dealer({ connect: router.endpoints[0]! })
      const reply = Effect.map(Effect.currentSpan, (span) => `${span.name} ${span.kind}`)
      yield* fork(router.serve(() => Effect.orElseSucceed(reply, () => "no span"), { span: "answer" }))
      expect(`${yield* dealer.request("?")}`).toBe("answer server")
      const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc") })
      const push = yield* Zmq.push({ connect: pull.endpoints[0]! })
      yield* push.sendAll(["a", "b"])
      const stop = Effect.flatMap(
        Effect.orElseSucceed(reply, () => "no span"),
        Effect.fail
      )
      expect(yield* Effect.flip(pull.runForEach(() => stop, { span: "job" }))).toBe("job consumer")
      expect(yield* Effect.flip(pull.runForEach(() => stop))).toBe("no span")
    })
  )

  it.effect("show at a breakpoint", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: "inproc://seen-inside" })
      expect(JSON.parse(JSON.stringify(pull))).toMatchObject({
        _id: "Zmq.pull",
        endpoints: ["inproc://seen-inside"],
        closed: false,
        stats: { messagesIn: 0 }
      })
      expect(`${pull}`).toContain("inproc://seen-inside")
      expect(inspect(pull)).toContain("inproc://seen-inside")
    })
  )
})

describe("a context that is used again", () => {
  it.effect("has nothing left of the one before: no message, and nobody who waits for a name", () =>
    Effect.gen(function* () {
      const layer = Zmq.Context.layer({ maxSockets: 417 })
      const endpoint = freshEndpoint("inproc")
      yield* Effect.gen(function* () {
        const push = yield* Zmq.push({ connect: endpoint })
        yield* push.send("from the one before")
        yield* Zmq.pair({ connect: `${endpoint}-pair` })
      }).pipe(Effect.scoped, Effect.provide(layer))
      yield* Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: endpoint })
        const push = yield* Zmq.push({ connect: endpoint })
        yield* push.send("from this one")
        expect(yield* pull.recvString).toBe("from this one")
        const one = yield* Zmq.pair({ bind: `${endpoint}-pair` })
        const two = yield* Zmq.pair({ connect: `${endpoint}-pair` })
        yield* one.send("to the other")
        expect(yield* two.recvString).toBe("to the other")
      }).pipe(Effect.scoped, Effect.provide(layer))
    })
  )
})
