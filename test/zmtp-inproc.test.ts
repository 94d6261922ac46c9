/** What is only true of the engine on ZMTP over inproc: it knows who is there, and whoever was there may come back. */
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { Engine, Zmq } from "effect-zmq"
import { vi } from "vitest"
import { openSocket } from "../src/internal/socket/open.ts"
import { InprocPipe } from "../src/internal/zmtp/inproc.ts"
import { boundTo, freshEndpoint, nextTurn, texts, until } from "./support/sockets.ts"
import { all, live, ownerOf, topic, turns } from "./support/zmtpPort.ts"

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

live(
  "with conflate the newest message is for who comes late",
  Effect.gen(function* () {
    const at = freshEndpoint("inproc")
    const push = yield* openSocket("push", { connect: at, conflate: true, sendHighWaterMark: 1 })
    for (const text of ["1", "2", "3"]) expect(push.port.offer(text)).toBe("sent")
    expect(all(yield* openSocket("pull", { bind: at }))).toEqual([["3"]])
  })
)

live(
  "with immediate there is no room for who is not there",
  Effect.gen(function* () {
    const at = freshEndpoint("inproc")
    const push = yield* openSocket("push", { connect: at, immediate: true })
    expect(push.port.offer("nobody")).toBe("full")
    let told = 0
    ownerOf(push).onRoom = () => void told++
    push.port.awaitRoom("")
    yield* turns(2)
    expect(told).toBe(0)
    const pull = yield* openSocket("pull", { bind: at })
    yield* until(Effect.sync(() => told === 1))
    expect(push.port.offer("somebody")).toBe("sent")
    expect(all(pull)).toEqual([["somebody"]])
  })
)

for (const [out, into, most] of [
  [3, 4, 3],
  [0, 1, 5000],
  [1, 0, 5000]
] as const)
  live(
    `there is room for what the marks say, and 0 is none (${out} and ${into})`,
    Effect.gen(function* () {
      const at = freshEndpoint("inproc")
      const push = yield* openSocket("push", { connect: at, sendHighWaterMark: out })
      let before = 0
      while (before < 100 && push.port.offer("before") === "sent") before++
      expect(before).toBe(out === 0 ? 100 : out)
      const pull = yield* openSocket("pull", { bind: at, receiveHighWaterMark: into })
      let count = before
      while (count < 5000 && push.port.offer("hello") === "sent") count++
      expect(count).toBe(most === 5000 ? most : out + into)
      expect(all(pull).length).toBe(count)
    })
  )

live(
  "who waits for room is told once, when the receiver has half of what it may have",
  Effect.gen(function* () {
    const pull = yield* openSocket("pull", { bind: freshEndpoint("inproc"), receiveHighWaterMark: 4 })
    const push = yield* openSocket("push", { connect: pull.endpoints[0]!, sendHighWaterMark: 4 })
    while (push.port.offer("hello") === "sent");
    let told = 0
    ownerOf(push).onRoom = () => void told++
    push.port.awaitRoom("")
    for (let i = 0; i < 5; i++) pull.port.take()
    yield* turns(2)
    expect(told).toBe(0)
    for (let i = 0; i < 2; i++) pull.port.take()
    yield* turns(2)
    expect(told).toBe(1)
    for (let i = 0; i < 7; i++) expect(push.port.offer("again")).toBe("sent")
    expect(push.port.offer("again")).toBe("full")
  })
)

live(
  "what waits for a name comes behind its probe, and before what is sent as it is bound",
  Effect.gen(function* () {
    const at = freshEndpoint("inproc")
    const push = yield* openSocket("push", { connect: at })
    const dealer = yield* openSocket("dealer", { connect: at, probeRouter: true })
    for (const text of ["1", "2"]) dealer.port.offer(text)
    expect(push.port.offer("not for a router")).toBe("sent")
    const router = yield* openSocket("router", { bind: at })
    dealer.port.offer("3")
    expect(all(router).map(([, text]) => text)).toEqual(["", "1", "2", "3"])
  })
)

live(
  "one that has closed with something unsent says how many, at once or when its linger is over",
  Effect.gen(function* () {
    for (const linger of [0, 1000]) {
      const { port } = yield* openSocket("push", { connect: freshEndpoint("inproc") })
      for (const text of ["1", "2"]) port.offer(text)
      const delivery = yield* Effect.callback((resume) => port.close(linger, (it) => resume(Effect.succeed(it))))
      // With a linger it may come yet.
      expect(delivery).toEqual({ inTime: true, unsent: linger === 0 ? 2 : 0 })
    }
  })
)

live(
  "what one that has closed had sent is not kept when its linger is over, and one that is gone needs no timer",
  Effect.gen(function* () {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    try {
      const at = freshEndpoint("inproc")
      const { port } = yield* openSocket("push", { connect: at })
      port.offer("hello")
      const timers = vi.getTimerCount()
      port.close(1000, () => {})
      expect(vi.getTimerCount()).toBe(timers + 1)
      expect(all(yield* openSocket("pull", { bind: at }))).toEqual([["hello"]])
      expect(vi.getTimerCount()).toBe(timers)
    } finally {
      vi.useRealTimers()
    }
  })
)

live(
  "a subscription that is ended is ended for those who come later, too",
  Effect.gen(function* () {
    const at = freshEndpoint("inproc")
    const sub = yield* openSocket("sub", { connect: at, subscribe: ["a", "b"] })
    sub.port.unsubscribe(topic("a"))
    const xpub = yield* openSocket("xpub", { bind: at })
    expect(all(xpub)).toEqual([["\u0001b"]])
  })
)
