/** One streaming RPC to any number of subscribers: late ones, slow ones, and publishers that come back. */
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Logger, Queue, Schedule, Schema, Stream } from "effect"
import { Rpc, RpcSerialization } from "effect/rpc"
import { Zmq } from "effect-zmq"
import * as ZmqRpc from "effect-zmq/Rpc"
import { Feed, headerOf, readHeader } from "../src/internal/rpc/feed.ts"
import { Position } from "../src/internal/rpc/subscribe.ts"
import { nodeArguments } from "./support/child.ts"
import { turns } from "./support/scripted.ts"
import { freshEndpoint, numbers, pause, randomFrom, transports, until } from "./support/sockets.ts"
import { sweep } from "./support/sweep.ts"
import { Ticks } from "./support/ticks.ts"

class Unknown extends Schema.TaggedError<Unknown>()("Unknown", { symbol: Schema.String }) {}

const Prices = Rpc.make("prices", {
  payload: { symbol: Schema.String, depth: Schema.Number },
  success: Schema.Struct({ price: Schema.Number, at: Schema.Date, note: Schema.String }),
  error: Unknown,
  stream: true
})
type Price = Rpc.SuccessChunk<typeof Prices>

const priceOf = (price: number, note = ""): Price => ({ price, at: new Date(price), note })

const serializations = {
  json: RpcSerialization.layerJson,
  ndjson: RpcSerialization.layerNdjson,
  jsonRpc: RpcSerialization.layerJsonRpc(),
  ndJsonRpc: RpcSerialization.layerNdJsonRpc(),
  schemaBinary: RpcSerialization.layerSchemaBinary()
}

/** A publisher whose streams a test feeds, by symbol. */
const fed = (options: ZmqRpc.PublishOptions) =>
  Effect.gen(function* () {
    const feeds = new Map<string, Queue.Queue<Price, Unknown | Cause.Done>>()
    const runs: Array<string> = []
    let running = 0
    const publication = yield* ZmqRpc.publish(
      Prices,
      ({ symbol }) =>
        Stream.unwrap(
          Effect.gen(function* () {
            const queue = yield* Queue.unbounded<Price, Unknown | Cause.Done>()
            feeds.set(symbol, queue)
            runs.push(symbol)
            running++
            return Stream.ensuring(
              Stream.fromQueue(queue),
              Effect.sync(() => running--)
            )
          })
        ),
      options
    )
    const feedOf = (symbol: string) =>
      Effect.gen(function* () {
        yield* until(Effect.sync(() => feeds.has(symbol)))
        return feeds.get(symbol)!
      })
    const say = (symbol: string, ...prices: Array<number>) =>
      Effect.flatMap(feedOf(symbol), (queue) =>
        Queue.offerAll(
          queue,
          prices.map((price) => priceOf(price))
        )
      )
    return {
      publication,
      connect: publication.endpoints[0]!,
      runs,
      feedOf,
      say,
      running: () => running
    }
  })

/** A subscriber, with what it has got so far and how it ended. */
const following = (symbol: string, options: ZmqRpc.SubscribeOptions) =>
  Effect.gen(function* () {
    const got: Array<number> = []
    const fiber = yield* ZmqRpc.subscribe(Prices, { symbol, depth: 1 }, options).pipe(
      Stream.runForEach(({ price }) => Effect.sync(() => void got.push(price))),
      Effect.forkChild({ startImmediately: true })
    )
    return { got, fiber, has: (count: number) => until(Effect.sync(() => got.length >= count)) }
  })

describe.each(transports)("over %s", (transport) => {
  it.live("each subscriber gets each value, the first from the one before it came, and then the end", () =>
    Effect.gen(function* () {
      const { connect, feedOf, runs, say } = yield* fed({ bind: freshEndpoint(transport) })
      const first = yield* following("A", { connect })
      yield* say("A", 1, 2, 3)
      yield* first.has(3)
      const late = yield* following("A", { connect })
      yield* late.has(1)
      yield* say("A", 4, 5)
      yield* first.has(5)
      yield* late.has(3)
      yield* Queue.end(yield* feedOf("A"))
      yield* Fiber.join(first.fiber)
      yield* Fiber.join(late.fiber)
      expect(first.got).toEqual([1, 2, 3, 4, 5])
      expect(late.got).toEqual([3, 4, 5])
      expect(runs).toEqual(["A"])
    }).pipe(Effect.provide(serializations.ndjson))
  )

  it.live("those who come while it is published have no gap and nothing twice", () =>
    Effect.gen(function* () {
      const { connect, feedOf, say } = yield* fed({ bind: freshEndpoint(transport), sendHighWaterMark: 0 })
      const first = yield* following("A", { connect, receiveHighWaterMark: 0 })
      const feed = yield* feedOf("A")
      const storm = yield* Effect.forkChild(
        Effect.forEach(
          numbers(1, 3_001),
          (i) => Effect.andThen(Queue.offer(feed, priceOf(i)), i % 10 === 0 ? pause(1) : Effect.void),
          {
            discard: true
          }
        )
      )
      const others = yield* Effect.forEach(numbers(0, 20), () =>
        Effect.andThen(pause(7), following("A", { connect, receiveHighWaterMark: 0 }))
      )
      yield* Fiber.join(storm)
      yield* say("A", 3_001)
      yield* Queue.end(feed)
      for (const { fiber, got } of [first, ...others]) {
        yield* Fiber.join(fiber)
        expect(got).toEqual(numbers(got[0]!, 3_002))
      }
      expect(first.got[0]).toBe(1)
    }).pipe(Effect.provide(serializations.json))
  )

  it.live("a failure is told, typed, and a defect; whoever comes then has it run again", () =>
    Effect.gen(function* () {
      const { connect, feedOf, runs, say } = yield* fed({ bind: freshEndpoint(transport) })
      const one = yield* following("A", { connect })
      yield* say("A", 1)
      yield* Queue.fail(yield* feedOf("A"), new Unknown({ symbol: "A" }))
      expect(yield* Effect.flip(Fiber.join(one.fiber))).toEqual(new Unknown({ symbol: "A" }))
      const two = yield* following("A", { connect })
      yield* until(Effect.sync(() => runs.length === 2))
      yield* say("A", 2)
      yield* two.has(1)
      yield* Queue.failCause(yield* feedOf("A"), Cause.die(new Error("a defect")))
      const exit = yield* Fiber.await(two.fiber)
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({ message: "a defect" })
      expect([one.got, two.got]).toEqual([[1], [2]])
    }).pipe(Effect.provide(serializations.ndjson), Effect.provide(Logger.layer([])))
  )

  it.live("an end before the first value is told as any other, to whoever comes before it or after it", () =>
    Effect.gen(function* () {
      const ends: Record<string, () => Stream.Stream<Price, Unknown>> = {
        fails: () => Stream.fail(new Unknown({ symbol: "fails" })),
        dies: () => Stream.die(new Error("a defect")),
        empty: () => Stream.empty,
        one: () => Stream.make(priceOf(1))
      }
      const random = randomFrom(7)
      const { endpoints } = yield* ZmqRpc.publish(
        Prices,
        // At once, and about when the next of those who come together is told how far it is.
        ({ depth, symbol }) => Stream.unwrap(Effect.as(depth === 0 ? Effect.void : pause(random(25)), ends[symbol]!())),
        { bind: freshEndpoint(transport) }
      )
      const come = (symbol: string, depth: number) =>
        ZmqRpc.subscribe(Prices, { symbol, depth }, { connect: endpoints }).pipe(
          Stream.map(({ price }) => price),
          Stream.runCollect,
          Effect.exit
        )
      const right = {
        fails: Exit.fail(new Unknown({ symbol: "fails" })),
        dies: Exit.die(expect.objectContaining({ message: "a defect" })),
        empty: Exit.succeed([]),
        one: Exit.succeed([1])
      }
      for (const [symbol, exit] of Object.entries(right)) {
        for (let time = 0; time < 2; time++) expect(yield* come(symbol, 0)).toEqual(exit)
        const together = numbers(0, 20).map((i) => Effect.andThen(pause(2 * i), come(symbol, 1)))
        const exits = yield* Effect.all(together, { concurrency: "unbounded" })
        expect(exits).toEqual(exits.map(() => exit))
      }
    }).pipe(Effect.provide(serializations.ndjson), Effect.provide(Logger.layer([])))
  )

  it.live("each payload is a stream of its own, which ends when nobody wants it any more", () =>
    Effect.gen(function* () {
      const { connect, publication, running, say } = yield* fed({
        bind: freshEndpoint(transport),
        beatInterval: 10,
        idleTimeToLive: 0
      })
      const [a, b] = [yield* following("A", { connect }), yield* following("AB", { connect })]
      yield* say("A", 1)
      yield* say("AB", 2)
      yield* a.has(1)
      yield* b.has(1)
      expect(running()).toBe(2)
      yield* Fiber.interrupt(a.fiber)
      yield* until(Effect.sync(() => running() === 1))
      yield* say("AB", 3)
      yield* b.has(2)
      yield* Fiber.interrupt(b.fiber)
      yield* until(Effect.sync(() => running() === 0 && publication.topics === 0))
      expect([a.got, b.got]).toEqual([[1], [2, 3]])
    }).pipe(Effect.provide(serializations.ndjson))
  )

  it.live("a slow subscriber stops nobody, and is told how many values it has missed", () =>
    Effect.gen(function* () {
      const { connect, feedOf } = yield* fed({
        bind: freshEndpoint(transport),
        sendHighWaterMark: 5_000,
        beatInterval: 20
      })
      const fast = yield* following("A", { connect, receiveHighWaterMark: 0 })
      const feed = yield* feedOf("A")
      const go = yield* Deferred.make<void>()
      const slow: Array<number> = []
      let missed = 0
      const slowly = yield* ZmqRpc.subscribe(
        Prices,
        { symbol: "A", depth: 1 },
        {
          connect,
          receiveHighWaterMark: 1,
          onMissed: ({ count, reason }) =>
            Effect.sync(() => {
              expect(reason).toBe("Dropped")
              missed += count!
            })
        }
      ).pipe(
        Stream.runForEach(({ price }) => {
          slow.push(price)
          return slow.length === 1 ? Deferred.await(go) : Effect.void
        }),
        Effect.forkChild({ startImmediately: true })
      )
      yield* Queue.offer(feed, priceOf(1))
      yield* until(Effect.sync(() => slow.length === 1))
      const note = "x".repeat(1_000)
      let published = 1
      // More than the network and both queues hold.
      for (const _ of numbers(0, 200)) {
        yield* Queue.offerAll(
          feed,
          numbers(0, 100).map(() => priceOf(++published, note))
        )
        yield* fast.has(published)
      }
      yield* Deferred.succeed(go, undefined)
      // The last of them were dropped for it, too: it sees that at the next beat.
      yield* until(Effect.sync(() => slow.at(-1) === published))
      yield* Queue.end(feed)
      yield* Fiber.join(slowly)
      yield* Fiber.join(fast.fiber)
      expect(fast.got).toEqual(numbers(1, published + 1))
      expect(missed).toBeGreaterThan(0)
      expect(slow.length + missed).toBe(published)
      expect(slow).toEqual([...slow].sort((a, b) => a - b))
    }).pipe(Effect.provide(serializations.json))
  )

  it.live("what was missed is an error, unless there is an onMissed", () =>
    Effect.gen(function* () {
      const { connect, feedOf } = yield* fed({ bind: freshEndpoint(transport), sendHighWaterMark: 1, beatInterval: 20 })
      const go = yield* Deferred.make<void>()
      let got = 0
      const fiber = yield* ZmqRpc.subscribe(
        Prices,
        { symbol: "A", depth: 1 },
        { connect, receiveHighWaterMark: 1 }
      ).pipe(
        Stream.runForEach(() => (++got === 1 ? Deferred.await(go) : Effect.void)),
        Effect.forkChild({ startImmediately: true })
      )
      const feed = yield* feedOf("A")
      const note = "x".repeat(100_000)
      // The first may be missed as well: a beat may have taken its place.
      const hasMissed = () => fiber.pollUnsafe() !== undefined
      yield* Queue.offer(feed, priceOf(1))
      yield* until(Effect.sync(() => got === 1 || hasMissed()))
      yield* Queue.offerAll(
        feed,
        numbers(2, 500).map((i) => priceOf(i, note))
      )
      yield* until(Effect.map(Queue.size(feed), (size) => size === 0 || hasMissed()))
      yield* Deferred.succeed(go, undefined)
      expect(yield* Effect.flip(Fiber.join(fiber))).toMatchObject({ _tag: "Missed", rpc: "prices", reason: "Dropped" })
    }).pipe(Effect.provide(serializations.json))
  )

  it.live("a publisher that ends: its subscribers wait for the next, or fail, as they like", () =>
    Effect.gen(function* () {
      const bind = freshEndpoint(transport)
      const stop = yield* Deferred.make<void>()
      const bound = yield* Deferred.make<Effect.Success<ReturnType<typeof fed>>>()
      const publisher = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            yield* Deferred.succeed(bound, yield* fed({ bind }))
            yield* Deferred.await(stop)
          })
        )
      )
      const { connect, say } = yield* Deferred.await(bound)
      const missed: Array<string> = []
      const waits = yield* following("A", { connect, onMissed: ({ reason }) => Effect.sync(() => missed.push(reason)) })
      const fails = yield* following("A", { connect, whileDisconnected: "fail" })
      yield* say("A", 1)
      yield* waits.has(1)
      yield* fails.has(1)
      yield* Deferred.succeed(stop, undefined)
      expect(yield* Effect.flip(Fiber.join(fails.fiber))).toMatchObject({ _tag: "PublisherError", reason: "Gone" })
      yield* Fiber.join(publisher)
      // libzmq does not make a connection of inproc again.
      if (transport === "inproc") {
        expect(yield* Effect.flip(Fiber.join(waits.fiber))).toMatchObject({ reason: "Gone" })
        return
      }
      const next = yield* fed({ bind: connect })
      yield* next.say("A", 10)
      yield* waits.has(2)
      expect(waits.got).toEqual([1, 10])
      expect(missed).toEqual(["Restarted"])
      yield* Fiber.interrupt(waits.fiber)
    }).pipe(Effect.provide(serializations.ndjson))
  )
})

describe.each(transports)("a value that is larger than a subscriber takes, over %s", (transport) => {
  const large = (price: number): Price => priceOf(price, "x".repeat(5000))
  const tooLarge = { _tag: "Missed", reason: "TooLarge", count: 1, bytes: expect.closeTo(5080, -2) }

  it.live("is missed by that one, which is told, and by nobody else", () =>
    Effect.gen(function* () {
      const { connect, feedOf, say } = yield* fed({ bind: freshEndpoint(transport) })
      const missed: Array<unknown> = []
      const all = yield* following("A", { connect })
      const some = yield* following("A", {
        connect,
        maxMessageSize: 1000,
        onMissed: (one) => Effect.sync(() => void missed.push(one))
      })
      const one = yield* following("A", { connect, maxMessageSize: 2000 })
      yield* say("A", 1)
      for (const { has } of [all, some, one]) yield* has(1)
      const feed = yield* feedOf("A")
      yield* Queue.offer(feed, large(2))
      expect(yield* Effect.flip(Fiber.join(one.fiber))).toMatchObject(tooLarge)
      // It is the latest for those who come now.
      const late = yield* following("A", { connect, maxMessageSize: 1000 })
      expect(yield* Effect.flip(Fiber.join(late.fiber))).toMatchObject(tooLarge)
      const exact = yield* following("A", { connect, maxMessageSize: 6000 })
      yield* exact.has(1)
      yield* say("A", 3)
      yield* Queue.end(feed)
      for (const { fiber } of [all, some, exact]) yield* Fiber.join(fiber)
      expect([all.got, some.got, exact.got]).toEqual([
        [1, 2, 3],
        [1, 3],
        [2, 3]
      ])
      expect(missed).toMatchObject([tooLarge])
    }).pipe(Effect.provide(serializations.ndjson))
  )

  it.live("is told as such if it is the end", () =>
    Effect.gen(function* () {
      const { connect, feedOf, say } = yield* fed({ bind: freshEndpoint(transport) })
      const all = yield* following("A", { connect })
      const one = yield* following("A", { connect, maxMessageSize: 1000, onMissed: () => Effect.void })
      yield* say("A", 1)
      for (const { has } of [all, one]) yield* has(1)
      const failure = new Unknown({ symbol: "x".repeat(5000) })
      yield* Queue.fail(yield* feedOf("A"), failure)
      expect(yield* Effect.flip(Fiber.join(all.fiber))).toEqual(failure)
      expect(yield* Effect.flip(Fiber.join(one.fiber))).toMatchObject({ reason: "EndTooLarge" })
    }).pipe(Effect.provide(serializations.ndjson))
  )
})

describe("a publisher in another process that is killed", () => {
  const publisher = (endpoint: string, from: number) =>
    Effect.acquireRelease(
      Effect.callback<{ readonly child: ChildProcess; readonly lines: Array<string>; readonly endpoint: string }>(
        (resume) => {
          const { NODE_OPTIONS: _, ...env } = process.env
          const child = spawn(process.execPath, [...nodeArguments("rpcPublisher.ts"), endpoint, `${from}`], {
            env,
            stdio: ["ignore", "pipe", "inherit"]
          })
          const lines: Array<string> = []
          createInterface({ input: child.stdout! }).on("line", (line) => {
            lines.push(line)
            if (line.includes("://")) resume(Effect.succeed({ child, lines, endpoint: line }))
          })
        }
      ),
      ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
    )

  for (const transport of ["tcp", "ipc"] as const) {
    it.live(`over ${transport}: that is known within a second, and those who wait go on with the next`, () =>
      Effect.gen(function* () {
        const first = yield* publisher(freshEndpoint(transport), 0)
        const connect = first.endpoint
        const missed: Array<string> = []
        const got: Array<number> = []
        yield* ZmqRpc.subscribe(
          Ticks,
          { name: "a" },
          { connect, onMissed: ({ reason }) => Effect.sync(() => missed.push(reason)) }
        ).pipe(
          Stream.runForEach((i) => Effect.sync(() => void got.push(i))),
          Effect.forkChild({ startImmediately: true })
        )
        let failing = 0
        const fails = yield* ZmqRpc.subscribe(Ticks, { name: "a" }, { connect, whileDisconnected: "fail" }).pipe(
          Stream.runForEach(() => Effect.sync(() => void failing++)),
          Effect.forkChild({ startImmediately: true })
        )
        yield* until(Effect.sync(() => got.length > 5 && failing > 5))
        const killed = performance.now()
        first.child.kill("SIGKILL")
        expect(yield* Effect.flip(Fiber.join(fails))).toMatchObject({ _tag: "PublisherError", reason: "Gone" })
        expect(performance.now() - killed).toBeLessThan(1_000)
        yield* publisher(connect, 1_000_000)
        yield* until(Effect.sync(() => got.at(-1)! >= 1_000_005))
        expect(missed).toEqual(["Restarted"])
        const again = got.findIndex((i) => i >= 1_000_000)
        expect(got.slice(0, again)).toEqual(numbers(got[0]!, got[0]! + again))
        expect(got.slice(again)).toEqual(numbers(got[again]!, got[again]! + got.length - again))
      }).pipe(Effect.provide(serializations.ndjson))
    )
  }
})

describe("a publisher", () => {
  it.live("publishes with every serialization of RPC", () =>
    Effect.gen(function* () {
      for (const [name, serialization] of Object.entries(serializations)) {
        const got = yield* Effect.gen(function* () {
          const { connect, feedOf, say } = yield* fed({ bind: freshEndpoint("tcp") })
          const fiber = yield* Effect.forkChild(
            Stream.runCollect(ZmqRpc.subscribe(Prices, { symbol: "A", depth: 1 }, { connect }))
          )
          yield* say("A", 1, 2)
          yield* Queue.end(yield* feedOf("A"))
          return yield* Fiber.join(fiber)
        }).pipe(Effect.scoped, Effect.provide(serialization))
        expect({ [name]: got }).toEqual({ [name]: [priceOf(1), priceOf(2)] })
      }
    })
  )

  it.live("runs so many streams, and tells others that there are too many", () =>
    Effect.gen(function* () {
      const { connect, say } = yield* fed({
        bind: freshEndpoint("tcp"),
        maxTopics: 2,
        idleTimeToLive: 0,
        beatInterval: 10
      })
      const [a, b] = [yield* following("A", { connect }), yield* following("B", { connect })]
      yield* say("A", 1)
      yield* say("B", 1)
      yield* a.has(1)
      yield* b.has(1)
      const c = yield* following("C", { connect })
      expect(yield* Effect.flip(Fiber.join(c.fiber))).toMatchObject({ _tag: "PublisherError", reason: "TooManyTopics" })
      yield* Fiber.interrupt(a.fiber)
      const again = ZmqRpc.subscribe(Prices, { symbol: "C", depth: 1 }, { connect }).pipe(
        Stream.take(1),
        Stream.runCollect,
        Effect.retry({ schedule: Schedule.spaced(10), while: ({ _tag }) => _tag === "PublisherError" })
      )
      const waiting = yield* Effect.forkChild(again)
      yield* say("C", 7)
      expect((yield* Fiber.join(waiting)).map(({ price }) => price)).toEqual([7])
    }).pipe(Effect.provide(serializations.ndjson))
  )

  it.live("knows 16 sizes that its subscribers take, of those that are there", () =>
    Effect.gen(function* () {
      const { connect, say } = yield* fed({ bind: freshEndpoint("tcp"), beatInterval: 10 })
      const of = (maxMessageSize: number) => following("A", { connect, maxMessageSize })
      const all = yield* Effect.forEach(numbers(1000, 1016), of)
      yield* say("A", 1)
      for (const { has } of all) yield* has(1)
      const other = yield* of(2000)
      expect(yield* Effect.flip(Fiber.join(other.fiber))).toMatchObject({ reason: "TooManyTopics" })
      yield* (yield* of(1000)).has(1)
      // Whoever takes everything always has a place.
      yield* (yield* following("A", { connect })).has(1)
      yield* Fiber.interrupt(all[0]!.fiber)
      yield* Fiber.interrupt(all[1]!.fiber)
      yield* ZmqRpc.subscribe(Prices, { symbol: "A", depth: 1 }, { connect, maxMessageSize: 3000 }).pipe(
        Stream.take(1),
        Stream.runDrain,
        Effect.retry({ schedule: Schedule.spaced(10), while: ({ _tag }) => _tag === "PublisherError" })
      )
    }).pipe(Effect.provide(serializations.ndjson))
  )

  it.live("is no matter to strangers, and strangers are none to it", () =>
    Effect.gen(function* () {
      const { connect, runs, say } = yield* fed({ bind: freshEndpoint("tcp") })
      const ours = yield* following("A", { connect })
      yield* say("A", 1)
      yield* ours.has(1)
      const everything = yield* Zmq.sub({ connect, subscribe: "" })
      const invalid = ['prices\0{"symbol":1}\0', "prices\0{\0", "prices\0\0", "prices\0null\0"]
      const others = yield* Zmq.xsub({ connect, subscribe: ["prices", "prices\0", "other\0{}\0", "\0", ...invalid] })
      yield* others.sendAll(numbers(0, 1_000).map((i) => `nonsense ${i}`))
      // Each of those that look like a topic is told that it is none.
      const told = new Set<string>()
      while (told.size < invalid.length) {
        const [topic, , body] = yield* others.recv
        if (body?.toString() === "InvalidPayload") told.add(topic.toString())
      }
      expect([...told].sort()).toEqual([...invalid].sort())
      yield* say("A", 2)
      yield* ours.has(2)
      expect((yield* everything.recv)[0].toString()).toContain("prices\0")
      expect(runs).toEqual(["A"])
    }).pipe(Effect.provide(serializations.ndjson), Effect.provide(Logger.layer([])))
  )

  it.live("has options that cannot be as typed errors, and an RPC without a stream as a defect", () =>
    Effect.gen(function* () {
      const bind = freshEndpoint("inproc")
      const opened = (options: Partial<ZmqRpc.PublishOptions>) =>
        Effect.scoped(ZmqRpc.publish(Prices, () => Stream.empty, { bind, ...options }))
      for (const wrong of [{ maxTopics: 0 }, { beatInterval: 0 }, { idleTimeToLive: -1 }]) {
        expect(yield* Effect.flip(opened(wrong))).toMatchObject({ _tag: "OptionError", option: Object.keys(wrong)[0] })
      }
      const plain = Rpc.make("plain", { success: Schema.Number })
      const exit = yield* Effect.exit(Effect.scoped(ZmqRpc.publish(plain as never, () => Stream.empty, { bind })))
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({
        message: expect.stringContaining("plain")
      })
    }).pipe(Effect.provide(serializations.ndjson))
  )
})

describe("a subscriber", () => {
  it.live("is told what is wrong with its payload, and with what it cannot decode", () =>
    Effect.gen(function* () {
      const { connect, say } = yield* fed({ bind: freshEndpoint("tcp") })
      const symbol = "x".repeat(600)
      const tooLong = ZmqRpc.subscribe(Prices, { symbol, depth: 1 }, { connect })
      expect(yield* Effect.flip(Stream.runDrain(tooLong))).toMatchObject({ reason: "PayloadTooLong" })
      const other = Rpc.make("prices", {
        payload: { symbol: Schema.String, depth: Schema.Number },
        success: Schema.Boolean,
        stream: true
      })
      const undecodable = yield* Effect.forkChild(
        Stream.runDrain(ZmqRpc.subscribe(other, { symbol: "A", depth: 1 }, { connect }))
      )
      yield* say("A", 1)
      expect(yield* Effect.flip(Fiber.join(undecodable))).toMatchObject({ reason: "Undecodable" })
      const invalid = Rpc.make("prices", { payload: { symbol: Schema.Number }, success: Schema.Number, stream: true })
      const refused = ZmqRpc.subscribe(invalid, { symbol: 1 }, { connect })
      expect(yield* Effect.flip(Stream.runDrain(refused))).toMatchObject({ reason: "InvalidPayload" })
    }).pipe(Effect.provide(serializations.ndjson))
  )

  it.effect("has to take the topic at least", () =>
    Effect.gen(function* () {
      const stream = ZmqRpc.subscribe(Prices, { symbol: "A", depth: 1 }, { connect: "inproc://x", maxMessageSize: 20 })
      const refused = { _tag: "OptionError", option: "maxMessageSize", value: 20 }
      expect(yield* Effect.flip(Stream.runDrain(stream))).toMatchObject(refused)
    }).pipe(Effect.provide(serializations.ndjson))
  )

  it.live("asks for the latest where it hears of an end alone", () =>
    Effect.gen(function* () {
      const feed = new Feed(Prices as never, yield* RpcSerialization.RpcSerialization)
      const xpub = yield* Zmq.xpub({ bind: freshEndpoint("tcp") })
      const { fiber } = yield* following("A", { connect: xpub.endpoints })
      const topic = (yield* xpub.recv)[0].subarray(1)
      const say = (kind: "latest" | "end", ...body: Array<Zmq.Frame>) =>
        xpub.send([topic, headerOf({ kind, run: Buffer.alloc(8), number: 0 }), ...body])
      const end = yield* feed.encodeExit(Exit.fail(new Unknown({ symbol: "A" })))
      yield* say("end", end)
      expect((yield* xpub.recv)[0].subarray(1)).toEqual(Buffer.concat([topic, Buffer.from("?")]))
      yield* say("latest")
      yield* say("end", end)
      expect(yield* Effect.flip(Fiber.join(fiber))).toEqual(new Unknown({ symbol: "A" }))
    }).pipe(Effect.provide(serializations.ndjson))
  )

  it("knows what it has missed, whatever is dropped", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = randomFrom(seed)
      const position = new Position()
      const run = Buffer.alloc(8, 1)
      let number = random(5)
      let got = 0
      let missed = 0
      let ended = false
      let last = 0
      const hear = (kind: "value" | "latest" | "beat" | "end", isDropped: boolean): void => {
        if (isDropped) return
        const step = position.step({ kind, run, number }, number > 0)
        if (step.isBehind === true) return
        missed += step.missed?.count ?? 0
        if (step.emits === true) {
          got++
          expect(number).toBeGreaterThan(last)
          last = number
        }
        ended ||= step.ends === true
      }
      hear("latest", false)
      const begun = number
      for (let i = 0; i < 50; i++) {
        const isDropped = random(3) === 0
        const what = random(4)
        if (what < 2) {
          number++
          hear("value", isDropped)
        } else hear(what === 2 ? "latest" : "beat", isDropped)
      }
      hear("end", false)
      expect({ seed, ended, all: got + missed }).toEqual({
        seed,
        ended: true,
        all: number - begun + (begun > 0 ? 1 : 0)
      })
    }
  })

  it("takes no header that is none", () => {
    const run = Buffer.from("12345678")
    expect(readHeader(headerOf({ kind: "beat", run, number: 2 ** 40 }))).toEqual({ kind: "beat", run, number: 2 ** 40 })
    for (const frame of [
      undefined,
      Buffer.alloc(0),
      Buffer.alloc(18),
      Buffer.alloc(17, 1),
      Buffer.alloc(18, 1).fill(9, 1)
    ]) {
      expect(readHeader(frame)).toBeUndefined()
    }
  })

  it("has one topic for a payload, in whatever order it is, and none is the beginning of another", () => {
    const feed = new Feed(
      Rpc.make("r", {
        payload: Schema.Record(Schema.String, Schema.Unknown),
        success: Schema.Number,
        stream: true
      }) as never,
      RpcSerialization.json
    )
    const topic = (payload: unknown): string => Effect.runSync(feed.topicOf(payload)).toString()
    expect(topic({ a: 1, b: { c: [1, { d: 2, e: 3 }] } })).toBe(topic({ b: { c: [1, { e: 3, d: 2 }] }, a: 1 }))
    const topics = [{}, { a: 1 }, { a: 12 }, { a: "\0" }, { a: "x" }, { a: "xy" }].map(topic)
    for (const payload of [{}, { a: 1 }]) {
      const limited = Effect.runSync(feed.topicOf(payload, 1000))
      expect(feed.audienceOf(limited)).toEqual({ stream: Buffer.from(topic(payload)), most: 1000 })
      topics.push(limited.toString())
    }
    expect(feed.audienceOf(Buffer.from(topics[2]!)).most).toBe(Number.POSITIVE_INFINITY)
    for (const one of topics) expect(topics.filter((other) => other.startsWith(one))).toEqual([one])
    for (const one of topics) expect(feed.isTopic(Buffer.from(one))).toBe(true)
  })

  it.live("interrupted at each of its steps leaves no stream behind", () =>
    Effect.gen(function* () {
      const { connect, publication, running, say } = yield* fed({
        bind: freshEndpoint("inproc"),
        idleTimeToLive: 0,
        beatInterval: 5
      })
      const kept = yield* following("kept", { connect })
      yield* say("kept", 1)
      yield* kept.has(1)
      const serialization = yield* RpcSerialization.RpcSerialization
      const steps = yield* Effect.promise(() =>
        sweep(() => ({
          program: ZmqRpc.subscribe(Prices, { symbol: "kept", depth: 2 }, { connect }).pipe(
            Stream.take(2),
            Stream.runDrain,
            Effect.provideService(RpcSerialization.RpcSerialization, serialization)
          ),
          script: async () => {
            await turns(5)
            await Effect.runPromise(Effect.timeoutOption(say("kept", 2, 3), 20))
            await turns(15)
          },
          check: async () => Effect.runPromise(until(Effect.sync(() => publication.topics <= 1 && running() <= 1)))
        }))
      )
      expect(steps).toBeGreaterThan(30)
      expect(running()).toBe(1)
    }).pipe(Effect.provide(serializations.ndjson))
  )
})
