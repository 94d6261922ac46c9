/**
 * Large messages: V8 does not count their buffers as young, so the library sees
 * to it that they are collected while they are.
 */
import { constants, PerformanceObserver } from "node:perf_hooks"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Zmq } from "../src/index.ts"
import { scavengeInTime } from "../src/internal/scavenge.ts"
import { openNow, turns } from "./support/scripted.ts"

const KiB = 1024
const MiB = 1024 * KiB

/** How often V8 collected the young generation. */
const scavenges = (work: Effect.Effect<void, unknown>) =>
  Effect.gen(function* () {
    let count = 0
    const add = (entries: ReturnType<PerformanceObserver["takeRecords"]>) => {
      for (const entry of entries as ReadonlyArray<unknown>) {
        const { kind } = (entry as { readonly detail: { readonly kind: number } }).detail
        if (kind === constants.NODE_PERFORMANCE_GC_MINOR) count++
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

/** A peer that never stops. Says how many messages each burst was allowed to have. */
const flooded = (bytes: number, options: Zmq.ReceivingOptions = {}) => {
  const frame = Buffer.alloc(bytes)
  const { port, socket } = openNow(Zmq.pull(options), { flood: () => frame })
  const allowed: Array<number> = []
  const receiveBurst = port.receiveBurst.bind(port)
  port.receiveBurst = (max, onMessage) => {
    allowed.push(max)
    return receiveBurst(max, onMessage)
  }
  return { port, socket, allowed }
}

const receive = (socket: Zmq.Pull, messages: number) =>
  Effect.gen(function* () {
    for (let received = 0; received < messages; received++) yield* socket.recv
  })

describe("The young generation", () => {
  const total = 240 * MiB

  for (const [label, bytes] of [
    ["8 KiB", 8 * KiB],
    ["64 KiB", 64 * KiB],
    ["1 MiB", MiB],
    ["16 MiB", 16 * MiB]
  ] as const) {
    it.live(`is collected for every 12 MiB of messages of ${label}`, () =>
      Effect.gen(function* () {
        const { socket } = flooded(bytes)
        const count = yield* scavenges(receive(socket, total / bytes))
        // 20, or one for each message, while V8 may resize it.
        expect(count).toBeGreaterThanOrEqual(12)
      })
    )
  }

  it.live("is left alone for small messages, which fill it themselves", () =>
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
    it.live(`a burst has 4 MiB at most, and 256 messages, after a short first one: ${label}`, () =>
      Effect.gen(function* () {
        const { allowed, socket } = flooded(bytes)
        yield* receive(socket, bytes < MiB ? 2000 : 20)
        expect(allowed[0]).toBe(8)
        expect(Math.max(...allowed.slice(1))).toBe(most)
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

  it.live("the event loop gets its turn after 8 MiB", () =>
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
      // 512, of which each message takes 5, and the burst that was under way.
      expect(Math.max(...perTurn)).toBeLessThanOrEqual(512 / 5 + 64)
      expect(perTurn.length).toBeGreaterThanOrEqual(12)
    })
  )
})
