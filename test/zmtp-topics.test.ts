/** Topics in a radix tree, held against a list of them. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Engine } from "effect-zmq"
import { openSocket } from "../src/internal/socket/open.ts"
import { Topics } from "../src/internal/zmtp/topics.ts"
import { freshEndpoint, nextTurn, numbers } from "./support/sockets.ts"

/** Numbers that look random, the same in each run. */
const randomly = (seed: number) => (most: number) => {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff
  return (seed >> 8) % most
}

describe("topics", () => {
  it.each([1, 2, 3, 4, 5])("are those that were added and not removed, to the byte (%i)", (seed) => {
    const next = randomly(seed)
    // Few letters, so that edges are split and joined.
    const text = (most: number) =>
      Buffer.from(Array.from({ length: next(most + 1) }, () => "ab\0"[next(3)]).join(""), "latin1")
    const topics = new Topics<string>()
    const owners = ["x", "y", "z"]
    const held = new Map(owners.map((owner) => [owner, new Set<string>()]))
    const has = (topic: string) => owners.filter((owner) => held.get(owner)!.has(topic)).length
    for (let step = 0; step < 4000; step++) {
      const owner = owners[next(3)]!
      const own = held.get(owner)!
      const topic = text(6)
      const key = topic.toString("latin1")
      if (next(100) === 0) {
        const gone: Array<string> = []
        const most = 1 + next(20)
        let more = true
        while (more) {
          let removed = 0
          more = topics.removeSome(owner, (topic, wasLast) => {
            if (wasLast) gone.push(topic.toString("latin1"))
            return ++removed < most
          })
          expect(removed).toBeLessThanOrEqual(most)
        }
        const was = [...own]
        own.clear()
        expect(gone.sort()).toEqual(was.filter((topic) => has(topic) === 0).sort())
      } else if (next(2) === 0) {
        const had = own.has(key)
        own.add(key)
        expect(topics.add(topic, owner)).toBe(had ? undefined : has(key) === 1)
      } else {
        const had = own.delete(key)
        expect(topics.remove(topic, owner)).toBe(had ? has(key) === 0 : undefined)
      }
      const subject = text(8)
      const found = new Set<string>()
      topics.match(subject, (owner) => found.add(owner))
      const begins = (own: Set<string>) => [...own].some((topic) => subject.toString("latin1").startsWith(topic))
      expect([...found].sort()).toEqual(owners.filter((owner) => begins(held.get(owner)!)))
      expect(topics.matches(subject)).toBe(found.size > 0)
      expect(topics.sizeOf(owner)).toEqual({
        count: own.size,
        bytes: [...own].reduce((sum, topic) => sum + topic.length, 0)
      })
    }
  })

  it("may be nested as deep as they are long, and all be given up at once", () => {
    const topics = new Topics<string>()
    const longest = Buffer.alloc(4000, "x")
    for (let length = 0; length <= longest.length; length++) topics.add(longest.subarray(0, length), "deep")
    let gone = 0
    const isGone = (): boolean => {
      gone++
      return true
    }
    expect(topics.removeSome("deep", isGone)).toBe(false)
    expect(gone).toBe(4001)
    expect(topics.matches(longest)).toBe(false)
    expect(topics.sizeOf("deep")).toEqual({ count: 0, bytes: 0 })
  })
})

describe("the topics of subscribers that have left", () => {
  type Opened = Effect.Success<ReturnType<typeof openSocket>>

  /** How many ends of topics an XPUB hears of in each turn, until it has heard of so many. */
  const heardIn = (xpub: Opened, most: number): Effect.Effect<Array<number>> =>
    Effect.gen(function* () {
      const turns: Array<number> = []
      for (let heard = 0; heard < most; ) {
        let ends = 0
        while (xpub.port.ready > 0) if (xpub.port.take()[0][0] === 0) ends++
        turns.push(ends)
        heard += ends
        yield* nextTurn
      }
      return turns
    })

  const topics = (from: number, count: number): Array<string> => numbers(from, from + count).map((i) => `topic ${i}`)

  it.live("are forgotten in turns, however many leave at the same time", () =>
    Effect.gen(function* () {
      const xpub = yield* openSocket("xpub", { bind: freshEndpoint("inproc"), receiveHighWaterMark: 0 })
      const subscribers = yield* Effect.forEach(numbers(0, 20), (i) =>
        openSocket("sub", { connect: xpub.endpoints[0]!, subscribe: topics(i * 1000, 1000) })
      )
      while (xpub.port.ready > 0) xpub.port.take()
      for (const { port } of subscribers) port.close(0, () => {})
      const turns = yield* heardIn(xpub, 20_000)
      for (const ends of turns) expect(ends).toBeLessThanOrEqual(2000)
    }).pipe(Effect.provide(Engine.layerZmtp))
  )

  it.live("are forgotten in turns when the subscriber comes back, and those that it has then are not", () =>
    Effect.gen(function* () {
      const at = freshEndpoint("inproc")
      const xpub = yield* openSocket("xpub", { connect: at, receiveHighWaterMark: 0 })
      const first = yield* openSocket("sub", { bind: at, subscribe: topics(0, 10_000) })
      const matching = (topic: string) => xpub.port.subscribers!.matching(Buffer.from(topic))
      while (xpub.port.ready > 0) xpub.port.take()
      first.port.close(0, () => {})
      // None of them is sent anything, forgotten or not.
      expect(["topic 6", "topic 9998"].map(matching)).toEqual([0, 0])
      yield* openSocket("sub", { bind: at, subscribe: ["topic 7", "topic 9999"] })
      const turns = yield* heardIn(xpub, 9_998)
      for (const ends of turns) expect(ends).toBeLessThanOrEqual(2000)
      expect(["topic 6", "topic 7", "topic 9999"].map(matching)).toEqual([0, 1, 1])
    }).pipe(Effect.provide(Engine.layerZmtp))
  )

  it.live("are fewer in a turn where they are long", () =>
    Effect.gen(function* () {
      const xpub = yield* openSocket("xpub", { bind: freshEndpoint("inproc"), receiveHighWaterMark: 0 })
      const subscribe = numbers(0, 1000).map((length) => "x".repeat(length))
      const { port } = yield* openSocket("sub", { connect: xpub.endpoints[0]!, subscribe })
      while (xpub.port.ready > 0) xpub.port.take()
      port.close(0, () => {})
      const turns = yield* heardIn(xpub, 1000)
      for (const ends of turns) expect(ends).toBeLessThanOrEqual(600)
    }).pipe(Effect.provide(Engine.layerZmtp))
  )
})
