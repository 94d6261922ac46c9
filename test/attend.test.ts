/** Sockets that nobody calls are attended to: now and then, and soon when there is news. */
import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import { Effect, Scope } from "effect"
import { Zmq } from "effect-zmq"
import { attendTo, leave, soon } from "../src/internal/zeromq/attend.ts"
import { partsOf } from "./support/engine.ts"
import { boundTo, freshEndpoint, until } from "./support/sockets.ts"

describe("a socket that nobody calls", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const idle = () => {
    const times: Array<number> = []
    const begun = performance.now()
    return { times, attend: () => void times.push(Math.round(performance.now() - begun)) }
  }

  it("is attended to five times a second, until it closes", () => {
    const one = idle()
    const other = idle()
    attendTo(one)
    attendTo(other)
    vi.advanceTimersByTime(1000)
    expect(one.times).toEqual([200, 400, 600, 800, 1000])
    expect(other.times).toEqual(one.times)
    leave(one)
    vi.advanceTimersByTime(1000)
    expect(one.times.length).toBe(5)
    expect(other.times.length).toBe(10)
    leave(other)
    expect(vi.getTimerCount()).toBe(0)
    attendTo(one)
    vi.advanceTimersByTime(200)
    expect(one.times.length).toBe(6)
    leave(one)
  })

  it("is attended to at once when there is news, and again after 1, 2, 4 … 128 ms", () => {
    const one = idle()
    attendTo(one)
    soon(one)
    expect(one.times).toEqual([0])
    vi.advanceTimersByTime(199)
    expect(one.times).toEqual([0, 1, 3, 7, 15, 31, 63, 127])
    vi.advanceTimersByTime(1)
    expect(one.times.at(-1)).toBe(200)
    vi.advanceTimersByTime(100)
    expect(one.times.slice(8)).toEqual([200, 255])
    // More news begins anew, and is not added to what is going on.
    soon(one)
    vi.advanceTimersByTime(2)
    soon(one)
    vi.advanceTimersByTime(80)
    expect(one.times.slice(10)).toEqual([300, 301, 302, 303, 305, 309, 317, 333, 365])
    leave(one)
    vi.advanceTimersByTime(1000)
    expect(one.times.length).toBe(19)
    expect(vi.getTimerCount()).toBe(0)
  })

  it("is not attended to any more when it has closed, whatever there is to hear", () => {
    const one = idle()
    attendTo(one)
    leave(one)
    soon(one)
    vi.advanceTimersByTime(1000)
    expect(one.times).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })
})

it.live(
  "A socket that nobody calls is attended to in the moment in which another meets it at an inproc name, or parts",
  () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc") })
      const push = yield* Zmq.push()
      const attended = vi.spyOn(partsOf(pull).native, "attend")
      const endpoint = boundTo(pull)
      const scope = yield* Scope.make()
      // In one task, so that no timer comes between.
      Effect.runSync(Scope.provide(push.connect(endpoint), scope))
      expect(attended).toHaveBeenCalled()
      attended.mockClear()
      Effect.runSync(push.disconnect(endpoint))
      expect(attended).toHaveBeenCalled()
    })
)

it.live("A ROUTER lets a peer of this thread that comes back take over from itself, and after a moment nobody", () =>
  Effect.gen(function* () {
    const router = yield* Zmq.router({ bind: freshEndpoint("inproc") })
    const set = vi.spyOn(partsOf(router).native, "set")
    const handover = () => set.mock.calls.flatMap(([{ option, value }]) => (option === "handover" ? [value] : []))
    const dealer = yield* Zmq.dealer({ routingId: "ann" })
    for (const _ of [1, 2]) {
      yield* Effect.scoped(dealer.connect(boundTo(router)))
    }
    expect(handover()).toEqual([true])
    yield* until(Effect.sync(() => handover().length === 2))
    expect(handover()).toEqual([true, false])
  })
)
