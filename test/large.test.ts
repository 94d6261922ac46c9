/**
 * Large messages: V8 does not count their buffers as young, so the library sees
 * to it that they are collected while they are.
 */
import { syncBuiltinESMExports } from "node:module"
import { constants, PerformanceObserver } from "node:perf_hooks"
import v8 from "node:v8"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { constant } from "effect/Function"
import { Zmq } from "../src/index.ts"
import { textMade } from "../src/internal/texts.ts"
import { scavengeInTime } from "../src/internal/zeromq/scavenge.ts"
import { ofBinding } from "./support/byEngine.ts"
import { openNow, randomOf, turns } from "./support/scripted.ts"

const KiB = 1024
const MiB = 1024 * KiB

/** How often V8 collected garbage in this way. */
const collections = (ofKind: number, work: Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    let count = 0
    const add = (entries: ReturnType<PerformanceObserver["takeRecords"]>) => {
      for (const entry of entries as ReadonlyArray<unknown>) {
        const { kind } = (entry as { readonly detail: { readonly kind: number } }).detail
        if (kind === ofKind) count++
      }
    }
    const observer = new PerformanceObserver((list) => add(list.getEntries()))
    observer.observe({ entryTypes: ["gc"] })
    yield* work
    yield* Effect.promise(() => turns(3))
    add(observer.takeRecords())
    observer.disconnect()
    return count
  })

const scavenges = (work: Effect.Effect<void, unknown>) => collections(constants.NODE_PERFORMANCE_GC_MINOR, work)

const young = () => v8.getHeapSpaceStatistics().find((space) => space.space_name === "new_space")!

/** The bytes it can hold. */
const youngGeneration = (): number => young().space_used_size + young().space_available_size

/** Has V8 say that it can hold so many. Returns what undoes it. */
const pretend = (bytes: number): (() => void) => {
  const real = v8.getHeapSpaceStatistics
  const space = { ...young(), space_used_size: 0, space_available_size: bytes }
  v8.getHeapSpaceStatistics = () => [space]
  syncBuiltinESMExports()
  return () => {
    v8.getHeapSpaceStatistics = real
    syncBuiltinESMExports()
  }
}

/** A peer that never stops. Says how many messages each burst was allowed to have. */
const flooded = (frame: number | ((number: number) => Buffer), options: Zmq.ReceivingOptions = {}) => {
  const flood = typeof frame === "number" ? constant(Buffer.alloc(frame)) : frame
  const { port, socket } = openNow(Zmq.pull(options), { flood })
  const allowed: Array<number> = []
  const receiveBurst = port.receiveBurst.bind(port)
  port.receiveBurst = (max, onMessage) => {
    allowed.push(max)
    return receiveBurst(max, onMessage)
  }
  let single = 0
  const receiveOne = port.receive.bind(port)
  port.receive = () => {
    single++
    return receiveOne()
  }
  return { port, socket, allowed, singles: () => single }
}

const receive = (socket: Zmq.Pull, messages: number) =>
  Effect.gen(function* () {
    for (let received = 0; received < messages; received++) yield* socket.recv
  })

describe("The young generation", () => {
  const total = 240 * MiB

  for (const [label, bytes] of [
    ["4 KiB", 4 * KiB],
    ["64 KiB", 64 * KiB],
    ["1 MiB", MiB],
    ["16 MiB", 16 * MiB]
  ] as const) {
    it.live(`is collected for every 12 MiB of messages of ${label}`, () =>
      Effect.gen(function* () {
        const { socket } = flooded(bytes)
        const count = yield* scavenges(receive(socket, total / bytes))
        // 20, or once a message of 16 MiB, and what small messages bring with them.
        expect(count).toBeGreaterThanOrEqual(12)
        if (bytes >= 64 * KiB) expect(count).toBeLessThanOrEqual(30)
      })
    )
  }

  for (const [label, bytes] of [
    ["64 KiB, which fills it, too", 64 * KiB],
    ["256 KiB, which is kept elsewhere", 256 * KiB]
  ] as const) {
    it.live(`is collected as often where messages are made text of ${label}`, () =>
      Effect.gen(function* () {
        const { socket } = flooded(bytes)
        const receiveText = Effect.gen(function* () {
          for (let received = 0; received < total; received += bytes) yield* socket.recvString
        })
        const count = yield* scavenges(receiveText)
        expect(count).toBeGreaterThanOrEqual(20)
        expect(count).toBeLessThanOrEqual(32)
      })
    )
  }

  it.live("is collected as often after any number of texts", () =>
    Effect.gen(function* () {
      const { socket } = flooded(64 * KiB)
      for (let made = 0; made < 1024 * MiB; made += 2 * KiB) textMade(2 * KiB)
      const count = yield* scavenges(receive(socket, total / (64 * KiB)))
      expect(count).toBeGreaterThanOrEqual(12)
    })
  )

  it.live("is filled whatever sizes messages have, as bytes and as text", () =>
    Effect.gen(function* () {
      const random = randomOf(1)
      for (let size = 0; size < 20_000; size++) {
        scavengeInTime(size)
        if (random() < 0.5) textMade(size)
      }
      const { port, socket } = flooded(() => Buffer.alloc(Math.floor(random() * 100_000), "x"))
      for (let received = 0; received < 3000; received++) yield* random() < 0.5 ? socket.recv : socket.recvString
      port.flooding = false
      const left = yield* socket.drain
      expect(port.handedOver).toBe(3000 + left.length)
    })
  )

  it.live("is filled as large as it is at the time, unless it is too large", () =>
    Effect.gen(function* () {
      const { socket } = flooded(64 * KiB)
      const scavengesAt = (size: number) => {
        const restore = pretend(size)
        return scavenges(receive(socket, total / (64 * KiB))).pipe(Effect.ensuring(Effect.sync(restore)))
      }
      yield* receive(socket, 1000)
      const size = youngGeneration()
      expect(yield* scavengesAt(size / 10)).toBeLessThanOrEqual(8)
      expect(yield* scavengesAt(size)).toBeGreaterThanOrEqual(12)
      expect(yield* scavengesAt(65 * MiB)).toBeLessThanOrEqual(6)
    })
  )

  it.live.skipIf(ofBinding("its buffers are libzmq's"))("is collected instead of everything, with real buffers", () =>
    Effect.gen(function* () {
      const frame = Buffer.alloc(64 * KiB)
      const receiver = yield* Zmq.pull({ bind: "inproc://large", receiveHighWaterMark: 0 })
      const sender = yield* Zmq.push({ connect: "inproc://large", sendHighWaterMark: 0 })
      const pass = Effect.gen(function* () {
        for (let sent = 0; sent < 40; sent++) yield* sender.send(frame)
        yield* receive(receiver, 40)
      })
      yield* Effect.repeat(pass, { times: 20 })
      const marked = yield* collections(constants.NODE_PERFORMANCE_GC_MAJOR, Effect.repeat(pass, { times: 400 }))
      // Of 1,000 MiB. It is 0 to 5, and 25 to 29 where V8 decides.
      expect(marked).toBeLessThanOrEqual(12)
    })
  )

  it.live("is collected once for a message that is much larger", () =>
    Effect.gen(function* () {
      const huge = Effect.sync(() => {
        for (let received = 0; received < 4; received++) scavengeInTime(100 * MiB)
      })
      expect(yield* scavenges(huge)).toBeLessThanOrEqual(8)
    })
  )

  it.live("is left alone for small messages", () =>
    Effect.gen(function* () {
      const small = Effect.sync(() => {
        for (let received = 0; received < total; received += 4 * KiB) scavengeInTime(4 * KiB - 1)
      })
      expect(yield* scavenges(small)).toBeLessThanOrEqual(2)
    })
  )
})

describe("Of large messages", () => {
  for (const [label, bytes, most] of [
    ["16 B", 16, 256],
    ["16 KiB", 16 * KiB, 256],
    ["64 KiB", 64 * KiB, 64],
    ["1 MiB", MiB, 4],
    ["8 MiB", 8 * MiB, 1]
  ] as const) {
    it.live(`a burst has about 4 MiB, or 256 messages, after a short first one: ${label}`, () =>
      Effect.gen(function* () {
        const { allowed, singles, socket } = flooded(bytes)
        yield* receive(socket, bytes < MiB ? 2000 : 20)
        expect(allowed[0]).toBe(8)
        expect(Math.max(...allowed.slice(1))).toBe(most)
        // One that was full is followed by another.
        expect(singles()).toBe(0)
      })
    )
  }

  it.live("a burst has no more than the high-water mark, from the first on", () =>
    Effect.gen(function* () {
      const { allowed, socket } = flooded(16, { receiveHighWaterMark: 3 })
      yield* receive(socket, 100)
      expect(new Set(allowed)).toEqual(new Set([3]))
    })
  )

  it.live("a burst is as long as the largest of the last one allows", () =>
    Effect.gen(function* () {
      const [small, large] = [Buffer.alloc(16), Buffer.alloc(MiB)]
      const { allowed, socket } = flooded((number) => (number === 300 ? large : small))
      yield* receive(socket, 600)
      expect(allowed).toEqual([8, 256, 256, 4, 256])
    })
  )

  it.live("the event loop gets its turn after 512, of which each counts for 5 if it has 64 KiB", () =>
    Effect.gen(function* () {
      const { port, socket } = flooded(64 * KiB)
      const perTurn: Array<number> = []
      let before = 0
      const count = () => {
        perTurn.push(port.handedOver - before)
        before = port.handedOver
        if (port.flooding) setImmediate(count)
      }
      setImmediate(count)
      yield* receive(socket, 2000)
      port.flooding = false
      // And the burst that was under way. The first may be of two turns, as others had begun one.
      expect(Math.max(...perTurn.slice(1))).toBeLessThanOrEqual(512 / 5 + 64)
      expect(perTurn.length).toBeGreaterThanOrEqual(12)
    })
  )
})
