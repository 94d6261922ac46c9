/** What is only true of the engine on ZMTP over inproc: it knows who is there, and whoever was there may come back. */
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { Engine, Zmq } from "effect-zmq"
import { vi } from "vitest"
import { openSocket } from "../src/internal/socket/open.ts"
import { InprocPipe } from "../src/internal/zmtp/inproc.ts"
import { boundTo, freshEndpoint, nextTurn, texts } from "./support/sockets.ts"

it.effect("a name is connected when it is bound, lost when it is not, and connected again", () =>
  Effect.gen(function* () {
    const endpoint = freshEndpoint("inproc")
    const push = yield* Zmq.push({ connect: endpoint })
    expect((yield* push.status).endpoints).toMatchObject([{ state: "connecting" }])
    yield* push.send("0")
    for (const round of [1, 2]) {
      const scope = yield* Scope.make()
      const pull = yield* Scope.provide(Zmq.pull({ bind: endpoint }), scope)
      yield* push.awaitConnected
      expect((yield* push.status).endpoints).toMatchObject([{ state: "connected" }])
      expect([(yield* pull.status).peers, (yield* push.status).peers]).toEqual([1, 1])
      yield* push.send(`${round}`)
      if (round === 1) expect(yield* pull.recvString).toBe("0")
      expect(yield* pull.recvString).toBe(`${round}`)
      yield* Scope.close(scope, Exit.void)
      yield* Effect.yieldNow
      expect((yield* push.status).endpoints).toMatchObject([{ state: "connecting" }])
    }
  }).pipe(Effect.scoped, Effect.provide(Engine.layerZmtp))
)

it.effect("a PAIR that has a partner and connects to another is in the way of nobody there", () =>
  Effect.gen(function* () {
    const [first, second] = yield* Effect.all([1, 2].map(() => Zmq.pair({ bind: freshEndpoint("inproc") })))
    const pair = yield* Zmq.pair({ connect: boundTo(first!) })
    yield* pair.connect(boundTo(second!))
    const other = yield* Zmq.pair({ connect: boundTo(second!) })
    yield* other.send("hello")
    expect(yield* second!.recvString).toBe("hello")
    yield* second!.send("and back")
    expect(yield* other.recvString).toBe("and back")
  }).pipe(Effect.scoped, Effect.provide(Engine.layerZmtp))
)

it.effect("nor is it, once closed, where the other is bound later", () =>
  Effect.gen(function* () {
    const at = freshEndpoint("inproc")
    const first = yield* Zmq.pair({ bind: freshEndpoint("inproc") })
    // This connection is not ended before it.
    const outer = yield* Effect.scope
    yield* Effect.scoped(
      Effect.gen(function* () {
        const pair = yield* Zmq.pair({ connect: boundTo(first) })
        yield* Scope.provide(pair.connect(at), outer)
        yield* pair.disconnect(boundTo(first))
      })
    )
    const second = yield* Zmq.pair({ bind: at })
    const other = yield* Zmq.pair({ connect: at })
    yield* other.send("hello")
    expect(yield* second.recvString).toBe("hello")
  }).pipe(Effect.scoped, Effect.provide(Engine.layerZmtp))
)

it.effect("nothing is left of those who were not let in", () =>
  Effect.gen(function* () {
    const at = freshEndpoint("inproc")
    const { port } = yield* openSocket("pair", { bind: at })
    yield* openSocket("pair", { connect: at })
    const refused = yield* openSocket("pair", {})
    for (let i = 0; i < 100; i++) {
      refused.port.connect(at, () => {})
      refused.port.disconnect(at)
    }
    const close = vi.spyOn(InprocPipe.prototype, "close")
    port.close(0, () => {})
    expect(close).toHaveBeenCalledTimes(1)
    close.mockRestore()
  }).pipe(Effect.scoped, Effect.provide(Engine.layerZmtp))
)

it.effect("who has stopped receiving gives what it owes to who binds the name only now", () =>
  Effect.gen(function* () {
    const at = freshEndpoint("inproc")
    const { port } = yield* openSocket("push", { connect: at })
    expect(port.offer("owed")).toBe("sent")
    port.dismiss()
    const pull = yield* openSocket("pull", { bind: at })
    expect(texts(pull.port.take())).toEqual(["owed"])
    port.close(0, () => {})
    expect(pull.port.peers).toBe(0)
  }).pipe(Effect.scoped, Effect.provide(Engine.layerZmtp))
)

it.effect("of two with one name that a ROUTER connects to, the one whose name was taken over is none any more", () =>
  Effect.gen(function* () {
    const named = () => Zmq.dealer({ bind: freshEndpoint("inproc"), routingId: "name" })
    const [first, second] = [yield* named(), yield* named()]
    const router = yield* Zmq.router({ handover: true })
    yield* router.connect(boundTo(first))
    yield* router.connect(boundTo(second))
    yield* nextTurn
    expect([yield* first.status, yield* second.status, yield* router.status].map(({ peers }) => peers)).toEqual([
      0, 1, 1
    ])
    yield* router.send(["name", "hello"])
    expect(yield* second.recvString).toBe("hello")
  }).pipe(Effect.scoped, Effect.provide(Engine.layerZmtp))
)
