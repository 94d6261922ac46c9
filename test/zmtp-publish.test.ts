/** What PUB, XPUB, SUB and XSUB of this engine do below the mailbox: bounds, room, and who is told. */
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import { openSocket } from "../src/internal/socket/open.ts"
import { freshEndpoint, until } from "./support/sockets.ts"
import { all, live, next, type Opened, ownerOf, rude, topic, turns } from "./support/zmtpPort.ts"
import { command, frame } from "./support/zmtpSides.ts"

const matching = ({ port }: Opened, text: string): number => port.subscribers!.matching(topic(text))

const subscribe = (topics: ReadonlyArray<string>): Buffer =>
  Buffer.concat(topics.map((topic) => command("SUBSCRIBE", topic)))

/** Topics that count as messages, with a last one that is short. */
const long = (count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => `${i}`.padStart(513, "-"))

describe("a PUB", () => {
  live(
    "tells who waits for subscriptions of each change, and of who leaves",
    Effect.gen(function* () {
      const pub = yield* openSocket("pub", { bind: freshEndpoint("inproc") })
      const sub = yield* openSocket("sub", { connect: pub.endpoints[0]!, subscribe: [] })
      yield* turns(2)
      let told = 0
      ownerOf(pub).onPeers = () => void told++
      pub.port.subscribers!.listen(() => {})
      for (const change of [
        () => sub.port.subscribe(topic("a")),
        () => sub.port.unsubscribe(topic("a")),
        () => sub.port.disconnect(pub.endpoints[0]!)
      ]) {
        told = 0
        change()
        yield* until(Effect.sync(() => told > 0))
      }
    })
  )

  live(
    "with noDrop sends to all or to nobody, and goes on when who was behind has room",
    Effect.gen(function* () {
      const pub = yield* openSocket("pub", { bind: freshEndpoint("inproc"), noDrop: true, sendHighWaterMark: 1 })
      const of = { connect: pub.endpoints[0]!, subscribe: "" }
      const other = yield* openSocket("sub", { ...of, receiveHighWaterMark: 0 })
      const slow = yield* openSocket("sub", { ...of, receiveHighWaterMark: 1 })
      for (const text of ["1", "2"]) expect(pub.port.offer(text)).toBe("sent")
      expect(pub.port.offer("3")).toBe("full")
      let told = 0
      ownerOf(pub).onRoom = () => void told++
      pub.port.awaitRoom("")
      yield* turns(3)
      expect(told).toBe(0)
      expect(all(slow)).toEqual([["1"], ["2"]])
      yield* until(Effect.sync(() => told === 1))
      expect(pub.port.offer("3")).toBe("sent")
      expect([all(slow).length, all(other).length]).toEqual([1, 3])
      // There is room before it is asked for.
      while (pub.port.offer("4") === "sent");
      all(slow)
      pub.port.awaitRoom("")
      yield* until(Effect.sync(() => told === 2))
    })
  )

  live(
    "with noDrop goes on when who was behind leaves",
    Effect.gen(function* () {
      const pub = yield* openSocket("pub", { bind: freshEndpoint("inproc"), noDrop: true, sendHighWaterMark: 1 })
      const of = { connect: pub.endpoints[0]!, subscribe: "" }
      const slow = yield* openSocket("sub", { ...of, receiveHighWaterMark: 1 })
      while (pub.port.offer("news") === "sent");
      let told = 0
      ownerOf(pub).onRoom = () => void told++
      pub.port.awaitRoom("")
      slow.port.disconnect(pub.endpoints[0]!)
      yield* until(Effect.sync(() => told === 1))
      expect(pub.port.offer("news")).toBe("sent")
    })
  )

  live(
    "with noDrop goes on when who was behind wants the message no more",
    Effect.gen(function* () {
      const pub = yield* openSocket("pub", { bind: freshEndpoint("inproc"), noDrop: true, sendHighWaterMark: 1 })
      const sub = yield* openSocket("sub", { connect: pub.endpoints[0]!, subscribe: "a", receiveHighWaterMark: 1 })
      while (pub.port.offer("a") === "sent");
      let told = 0
      ownerOf(pub).onRoom = () => void told++
      pub.port.awaitRoom("")
      sub.port.unsubscribe(topic("a"))
      yield* until(Effect.sync(() => told === 1))
      expect(pub.port.offer("a")).toBe("sent")
    })
  )

  live(
    "with invertMatching sends to those who are there and have not subscribed",
    Effect.gen(function* () {
      const [here, later] = [freshEndpoint("inproc"), freshEndpoint("inproc")]
      const pub = yield* openSocket("pub", { bind: here, connect: later, invertMatching: true })
      const of = { invertMatching: true, connect: here }
      const some = yield* openSocket("sub", { ...of, subscribe: "a" })
      const none = yield* openSocket("sub", { ...of, subscribe: [] })
      expect(["a", "b"].map((text) => matching(pub, text))).toEqual([1, 2])
      for (const text of ["a", "b"]) pub.port.offer(text)
      expect([all(some), all(none)]).toEqual([[["b"]], [["a"], ["b"]]])
      expect(all(yield* openSocket("sub", { invertMatching: true, bind: later, subscribe: [] }))).toEqual([])
    })
  )

  live(
    "drops and counts what subscribers say besides",
    Effect.gen(function* () {
      const pub = yield* openSocket("pub", { bind: freshEndpoint("inproc") })
      const xsub = yield* openSocket("xsub", { connect: pub.endpoints[0]! })
      for (const text of ["hello", "again"]) xsub.port.offer(text)
      expect([pub.port.ready, pub.port.dropped]).toEqual([0, 2])
    })
  )

  live(
    "takes nothing more of who subscribes to more than it may, though it reads nothing",
    Effect.gen(function* () {
      const pub = yield* openSocket("pub", { bind: freshEndpoint("tcp"), maxMessageSize: 100_000, linger: 0 })
      const peer = yield* rude(pub, "SUB")
      peer.pause().write(subscribe(["news"]))
      yield* until(Effect.sync(() => matching(pub, "news") === 1))
      // So that there is something to write to it, and it is not ended at once.
      pub.port.offer(["news", Buffer.alloc(64 * 2 ** 20)])
      const huge = Array.from({ length: 1050 }, (_, i) => `${i}`.padStart(64_000, "-"))
      peer.write(subscribe(huge))
      yield* until(Effect.sync(() => matching(pub, huge[1044]!) === 1))
      peer.write(subscribe(["late"]))
      yield* turns(50)
      expect([matching(pub, huge[1045]!), matching(pub, "late")]).toEqual([0, 0])
      yield* until(Effect.sync(() => pub.port.peers === 0))
      expect(matching(pub, "news")).toBe(0)
    })
  )
})

describe("an XPUB that nobody receives from", () => {
  live(
    "keeps 1,000 messages, counts what it drops, and hears of subscriptions behind them",
    Effect.gen(function* () {
      const xpub = yield* openSocket("xpub", { bind: freshEndpoint("tcp"), receiveHighWaterMark: 5 })
      const peer = yield* rude(xpub, "XSUB")
      peer.write(Buffer.concat([Buffer.alloc(1500 * 3, frame(0, "x")), subscribe(["behind"])]))
      yield* until(Effect.sync(() => matching(xpub, "behind") === 1))
      expect([xpub.port.ready, xpub.port.dropped]).toEqual([1001, 500])
    })
  )

  live(
    "keeps news of 1,000 long topics, and all of them take effect",
    Effect.gen(function* () {
      const xpub = yield* openSocket("xpub", { bind: freshEndpoint("inproc") })
      const topics = long(1200)
      yield* openSocket("sub", { connect: xpub.endpoints[0]!, subscribe: topics })
      expect([xpub.port.ready, xpub.port.dropped]).toEqual([1000, 200])
      expect(matching(xpub, topics.at(-1)!)).toBe(1)
    })
  )

  live(
    "keeps news of 100,000 short topics, and all of them take effect",
    Effect.gen(function* () {
      const xpub = yield* openSocket("xpub", { bind: freshEndpoint("inproc") })
      const { port } = yield* openSocket("sub", { connect: xpub.endpoints[0]!, subscribe: [] })
      for (let i = 0; i < 100_200; i++) port.subscribe(topic(String(i).padStart(6, "0")))
      expect([xpub.port.ready, xpub.port.dropped]).toEqual([100_000, 200])
      expect(matching(xpub, "100199")).toBe(1)
    })
  )
})

describe("an XPUB", () => {
  for (const how of ["listen", "look"] as const)
    live(
      `that receives, and is behind, reads no more long topics than its high-water mark says (${how})`,
      Effect.gen(function* () {
        const xpub = yield* openSocket("xpub", { bind: freshEndpoint("tcp"), receiveHighWaterMark: 5 })
        ownerOf(xpub).onMessages = () => {}
        if (how === "listen") xpub.port.listen()
        else xpub.port.look(1, () => {})
        const peer = yield* rude(xpub, "SUB")
        const topics = long(20)
        peer.write(subscribe(topics))
        yield* until(Effect.sync(() => xpub.port.ready >= 5))
        yield* turns(10)
        expect(xpub.port.ready).toBe(5)
        const heard: Array<string> = []
        while (heard.length < 20) heard.push(...(yield* next(xpub)))
        expect(heard).toEqual(topics.map((text) => `\u0001${text}`))
      })
    )

  live(
    "hears nothing more when nobody receives any more",
    Effect.gen(function* () {
      const xpub = yield* openSocket("xpub", { bind: freshEndpoint("inproc") })
      const sub = yield* openSocket("sub", { connect: xpub.endpoints[0]!, subscribe: "before" })
      expect(xpub.port.ready).toBe(1)
      xpub.port.dismiss()
      sub.port.subscribe(topic("after"))
      expect([xpub.port.ready, xpub.port.left]).toEqual([0, 1])
    })
  )

  live(
    "hears in the order in which it came, and not from one peer after the other",
    Effect.gen(function* () {
      const xpub = yield* openSocket("xpub", { bind: freshEndpoint("inproc") })
      const xsub = openSocket("xsub", { connect: xpub.endpoints[0]! })
      const [one, two] = yield* Effect.all([xsub, xsub])
      for (const [{ port }, text] of [
        [one, "1"],
        [one, "2"],
        [two, "3"],
        [one, "4"]
      ] as const)
        port.offer(text)
      expect(all(xpub).flat()).toEqual(["1", "2", "3", "4"])
    })
  )
})

live(
  "topics are bytes, whichever form a message has",
  Effect.gen(function* () {
    const pub = yield* openSocket("pub", { bind: freshEndpoint("inproc") })
    const sub = yield* openSocket("sub", { connect: pub.endpoints[0]!, subscribe: "\u00e4" })
    for (const message of ["\u00e4 1", ["\u00e4 2"], Buffer.from("\u00e4 3"), "\u00c3 4"])
      pub.port.offer(message as never)
    expect(all(sub).flat()).toEqual(["\u00e4 1", "\u00e4 2", "\u00e4 3"])
  })
)

live(
  "who listens to an XPUB is told of a subscription, and who waits to send by an XSUB at once",
  Effect.gen(function* () {
    const xpub = yield* openSocket("xpub", { bind: freshEndpoint("inproc") })
    const xsub = yield* openSocket("xsub", { connect: xpub.endpoints[0]! })
    let told = 0
    ownerOf(xpub).onMessages = () => void told++
    ownerOf(xsub).onRoom = () => void told++
    xpub.port.listen()
    xsub.port.subscribe(topic("a"))
    yield* until(Effect.sync(() => told === 1))
    xsub.port.awaitRoom("")
    yield* until(Effect.sync(() => told === 2))
  })
)

describe("an XSUB", () => {
  live(
    "subscribes by a message of one frame, and says all else to the publishers",
    Effect.gen(function* () {
      const xpub = yield* openSocket("xpub", { bind: freshEndpoint("inproc") })
      const xsub = yield* openSocket("xsub", { connect: xpub.endpoints[0]! })
      const counts: Array<number> = []
      for (const message of ["\u0001a", ["\u0001b", "more"], ["\u0001c"], "hello", "\u0000a"]) {
        expect(xsub.port.offer(message as never)).toBe("sent")
        counts.push(["a", "b", "c"].reduce((sum, text) => sum + matching(xpub, text), 0))
      }
      expect(counts).toEqual([1, 1, 2, 2, 1])
      expect(all(xpub)).toEqual([["\u0001a"], ["\u0001b", "more"], ["\u0001c"], ["hello"], ["\u0000a"]])
    })
  )

  live(
    "receives what it has not subscribed to, too",
    Effect.gen(function* () {
      const xsub = yield* openSocket("xsub", { bind: freshEndpoint("tcp") })
      const peer = yield* rude(xsub, "PUB")
      peer.write(frame(0, "unasked"))
      expect(yield* next(xsub)).toEqual(["unasked"])
    })
  )

  live(
    "drops what a publisher has no room for",
    Effect.gen(function* () {
      const xpub = yield* openSocket("xpub", { bind: freshEndpoint("inproc"), receiveHighWaterMark: 2 })
      const xsub = yield* openSocket("xsub", { connect: xpub.endpoints[0]!, sendHighWaterMark: 1 })
      for (let i = 0; i < 5; i++) expect(xsub.port.offer(`${i}`)).toBe("sent")
      expect(all(xpub).flat()).toEqual(["0", "1", "2"])
    })
  )
})
