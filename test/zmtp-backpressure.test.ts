/** What waits for room on this engine, and when it goes on. */
import { expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Engine, Zmq } from "effect-zmq"
import { boundTo, freshEndpoint, nextTurn, until } from "./support/sockets.ts"

it.live.each(["inproc", "tcp"] as const)("over %s a PUB with noDrop waits for a SUB that is behind", (transport) =>
  Effect.gen(function* () {
    const pub = yield* Zmq.pub({ bind: freshEndpoint(transport), noDrop: true, sendHighWaterMark: 3 })
    const sub = yield* Zmq.sub({ connect: boundTo(pub), subscribe: "", receiveHighWaterMark: 3 })
    yield* pub.awaitSubscribers("")
    const body = Buffer.alloc(1024 * 1024, "x")
    let sent = 0
    while (yield* pub.trySend([String(sent), body])) sent++
    const waiting = yield* Effect.forkChild(pub.send([String(sent), body]), { startImmediately: true })
    // Others go on meanwhile. The kernel may take some more.
    yield* nextTurn
    if (transport === "inproc") expect(waiting.pollUnsafe()).toBeUndefined()
    for (let i = 0; i <= sent; i++) expect(String((yield* sub.recv)[0])).toBe(String(i))
    yield* Fiber.join(waiting)
  }).pipe(Effect.provide(Engine.layerZmtp))
)

it.live("a PUB with noDrop goes on when the SUB that was behind has left", () =>
  Effect.gen(function* () {
    const pub = yield* Zmq.pub({ bind: freshEndpoint("tcp"), noDrop: true, sendHighWaterMark: 3 })
    const body = Buffer.alloc(1024 * 1024, "x")
    const waiting = yield* Effect.scoped(
      Effect.gen(function* () {
        yield* Zmq.sub({ connect: boundTo(pub), subscribe: "", receiveHighWaterMark: 3 })
        yield* pub.awaitSubscribers("")
        while (yield* pub.trySend(body)) {}
        return yield* Effect.forkChild(pub.send(body), { startImmediately: true })
      })
    )
    yield* Fiber.join(waiting)
    yield* until(Effect.map(pub.status, ({ peers }) => peers === 0))
  }).pipe(Effect.provide(Engine.layerZmtp))
)
