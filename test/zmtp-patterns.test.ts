/** What sockets of this engine do below the mailbox, where what the library does above hides it. */
import { describe, expect } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Zmq } from "effect-zmq"
import { openSocket } from "../src/internal/socket/open.ts"
import { freshEndpoint, nextTurn, until } from "./support/sockets.ts"
import { all, live, next, rude, topic } from "./support/zmtpPort.ts"
import { frame } from "./support/zmtpSides.ts"

describe("a SUB", () => {
  live(
    "receives nothing that it does not want, or wants no more, from whoever sends it all the same",
    Effect.gen(function* () {
      const sub = yield* openSocket("sub", { bind: freshEndpoint("tcp"), subscribe: "a" })
      const peer = yield* rude(sub, "PUB")
      peer.write(Buffer.concat(["b1", "a1"].map((text) => frame(0, text))))
      expect(yield* next(sub)).toEqual(["a1"])
      sub.port.unsubscribe(topic("a"))
      sub.port.subscribe(topic("b"))
      peer.write(Buffer.concat(["a2", "b2"].map((text) => frame(0, text))))
      expect(yield* next(sub)).toEqual(["b2"])
    })
  )

  live(
    "wants a topic until it has ended it as often as it began it",
    Effect.gen(function* () {
      const sub = yield* openSocket("sub", { bind: freshEndpoint("inproc"), subscribe: [] })
      const publisher = openSocket("xpub", { connect: sub.endpoints[0]! })
      const xpub = yield* publisher
      const matching = ({ port } = xpub) => port.subscribers!.matching(topic("ab"))
      // It may be changed when it is said.
      const given = topic("ab")
      for (const _ of [1, 2]) sub.port.subscribe(given)
      given.fill("x")
      sub.port.unsubscribe(topic("ab"))
      expect(matching()).toBe(1)
      xpub.port.offer("ab1")
      expect(all(sub)).toEqual([["ab1"]])
      expect(matching(yield* publisher)).toBe(1)
      sub.port.unsubscribe(topic("ab"))
      expect(matching()).toBe(0)
    })
  )
})

describe("an XPUB", () => {
  const heard = {
    none: ["\u0001a", "\u0000a"],
    allSubs: ["\u0001a", "\u0001a", "\u0000a"],
    allSubsUnsubs: ["\u0001a", "\u0001a", "\u0000a", "\u0000a"]
  } as const
  for (const [verbosity, expected] of Object.entries(heard))
    live(
      `hears of what two subscribe to as it has asked (${verbosity})`,
      Effect.gen(function* () {
        const bind = freshEndpoint("inproc")
        const xpub = yield* openSocket("xpub", verbosity === "none" ? { bind } : { bind, verbosity })
        const subs = [1, 2].map(() => openSocket("sub", { connect: bind, subscribe: "a" }))
        for (const { port } of yield* Effect.all(subs)) port.unsubscribe(topic("a"))
        expect(all(xpub).map(([news]) => news)).toEqual(expected)
      })
    )

  live(
    "counts each topic for 256 bytes more than it has",
    Effect.gen(function* () {
      const xpub = yield* openSocket("xpub", { bind: freshEndpoint("inproc") })
      const sub = yield* openSocket("sub", { connect: xpub.endpoints[0]!, subscribe: [] })
      const most = Math.floor((64 * 1024 * 1024) / (500 + 256))
      for (let i = 0; i < most; i++) sub.port.subscribe(topic(`${i}`.padStart(500, "-")))
      expect(xpub.port.peers).toBe(1)
      sub.port.subscribe(topic("one more"))
      expect(xpub.port.peers).toBe(0)
    })
  )
})

live(
  "a PAIR hears all of one partner before it hears the next",
  Effect.gen(function* () {
    const pair = yield* openSocket("pair", { bind: freshEndpoint("inproc") })
    for (const one of ["a", "b"])
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { port } = yield* openSocket("pair", { connect: pair.endpoints[0]! })
          for (const i of [1, 2, 3]) port.offer(`${one}${i}`)
        })
      )
    expect(all(pair).flat()).toEqual(["a1", "a2", "a3", "b1", "b2", "b3"])
  })
)

live(
  "with conflate no more than the newest message of a peer is kept",
  Effect.gen(function* () {
    const pull = yield* openSocket("pull", { bind: freshEndpoint("inproc"), conflate: true })
    const push = yield* openSocket("push", { connect: pull.endpoints[0]! })
    for (const text of ["1", "2", "3"]) push.port.offer(text)
    expect(all(pull)).toEqual([["3"]])
  })
)

live(
  "what is sent to a PUSH is dropped and counted",
  Effect.gen(function* () {
    const push = yield* openSocket("push", { bind: freshEndpoint("tcp") })
    const peer = yield* rude(push, "PULL")
    peer.write(Buffer.concat([frame(0, "1"), frame(0, "2")]))
    yield* until(Effect.sync(() => push.port.dropped === 2))
    expect(push.port.ready).toBe(0)
  })
)

describe("a REQ", () => {
  const envelope = frame(1, "")

  live(
    "receives one reply to a request, and ends the connection of who replies without its envelope",
    Effect.gen(function* () {
      const req = yield* openSocket("req", { bind: freshEndpoint("tcp"), correlate: false })
      const peer = yield* rude(req, "REP")
      yield* until(Effect.sync(() => req.port.offer("question") === "sent"))
      peer.write(Buffer.concat([envelope, frame(0, "one"), envelope, frame(0, "two"), frame(0, "three")]))
      yield* Effect.callback<void>((resume) => void peer.once("close", () => resume(Effect.void)))
      expect(all(req)).toEqual([["one"]])
    })
  )

  live(
    "has no use for a reply without its envelope over inproc, and stays",
    Effect.gen(function* () {
      const router = yield* openSocket("router", { bind: freshEndpoint("inproc") })
      const req = yield* openSocket("req", { connect: router.endpoints[0]!, correlate: false })
      req.port.offer("question")
      const [name] = router.port.take()
      router.port.offer([name, "without"])
      router.port.offer([name, "", "with"])
      expect(all(req)).toEqual([["with"]])
      expect(req.port.peers).toBe(1)
    })
  )
})

for (const [relaxed, correlate, takes] of [
  [false, false, true],
  [false, true, true],
  [true, false, false],
  [true, true, true]
] as const)
  live(
    `a REQ ${takes ? "takes" : "does not take"} a reply of a server that was away (relaxed ${relaxed}, correlate ${correlate})`,
    Effect.gen(function* () {
      const at = freshEndpoint("inproc")
      const req = yield* openSocket("req", { connect: at, routingId: "asks", relaxed, correlate })
      const before = yield* openSocket("router", { bind: at })
      req.port.offer("question")
      const envelope = before.port.take().slice(0, -1)
      before.port.close(0, () => {})
      const server = yield* openSocket("router", { bind: at })
      // One that is strict goes on waiting.
      if (!relaxed) expect(req.port.offer("again")).toBe("outOfTurn")
      expect(server.port.offer([...envelope, "reply"] as never)).toBe("sent")
      expect(all(req)).toEqual(takes ? [["reply"]] : [])
    })
  )

describe("a REP", () => {
  live(
    "drops and counts what is no request, and replies that its client has no room for",
    Effect.gen(function* () {
      const rep = yield* openSocket("rep", { bind: freshEndpoint("inproc"), sendHighWaterMark: 1 })
      const client = yield* openSocket("dealer", { connect: rep.endpoints[0]!, receiveHighWaterMark: 1 })
      client.port.offer("no request")
      expect([rep.port.ready, rep.port.dropped]).toEqual([0, 1])
      for (const reply of ["1", "2", "3"]) {
        client.port.offer(["", "question"])
        rep.port.take()
        expect(rep.port.offer(reply)).toBe("sent")
      }
      expect(rep.port.dropped).toBe(2)
      expect(all(client)).toEqual([
        ["", "1"],
        ["", "2"]
      ])
    })
  )

  live(
    "gives the next request to who waits for it when it has replied",
    Effect.gen(function* () {
      const rep = yield* Zmq.rep({ bind: freshEndpoint("inproc") })
      const clients = yield* Effect.all([1, 2].map(() => Zmq.dealer({ connect: rep.endpoints })))
      const receive = Effect.forkChild(rep.recvString, { startImmediately: true })
      const [first, waiting] = yield* Effect.all([receive, receive])
      for (const client of clients) yield* client.send(["", "question"])
      yield* Fiber.join(first)
      yield* nextTurn
      yield* nextTurn
      yield* rep.send("reply")
      expect(yield* Fiber.join(waiting)).toBe("question")
    })
  )
})

live(
  "a PUB drops what a subscriber has no room for, and nothing of the others",
  Effect.gen(function* () {
    const pub = yield* openSocket("pub", { bind: freshEndpoint("inproc"), sendHighWaterMark: 2 })
    const of = { connect: pub.endpoints[0]!, subscribe: "" }
    const slow = yield* openSocket("sub", { ...of, receiveHighWaterMark: 3 })
    const other = yield* openSocket("sub", { ...of, receiveHighWaterMark: 0 })
    for (let i = 0; i < 10; i++) expect(pub.port.offer(`${i}`)).toBe("sent")
    expect([slow.port.ready, other.port.ready]).toEqual([5, 10])
  })
)
