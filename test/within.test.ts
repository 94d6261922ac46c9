/** Waiting in real time, which is libzmq's. */
import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import { within } from "../src/internal/within.ts"

describe("within", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const waiting = (millis: number, self: Promise<unknown>) => {
    const state = { over: false }
    void within(millis, self).then(() => {
      state.over = true
    })
    return state
  }
  const never = new Promise(() => {})

  it("so many milliseconds, and no longer", async () => {
    const state = waiting(50, never)
    await vi.advanceTimersByTimeAsync(49)
    expect(state.over).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(state.over).toBe(true)
  })

  it.each([Number.POSITIVE_INFINITY, 2 ** 31])(
    "%s milliseconds, which no timer can wait for, is for ever",
    async (millis) => {
      const state = waiting(millis, never)
      await vi.advanceTimersByTimeAsync(100_000)
      expect(state.over).toBe(false)
    }
  )

  it("any time ends with what is waited for, and leaves no timer behind", async () => {
    const state = waiting(50, Promise.resolve())
    await vi.advanceTimersByTimeAsync(0)
    expect(state.over).toBe(true)
    expect(vi.getTimerCount()).toBe(0)
  })
})
