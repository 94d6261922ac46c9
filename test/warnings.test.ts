/** Warnings about what strangers do: how many there are. */
import { describe, expect, it } from "@effect/vitest"
import { afterEach, beforeEach, vi } from "vitest"
import { Warnings } from "../src/internal/socket/warnings.ts"

const minute = 60_000

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const made = () => {
  const lines: Array<string> = []
  const warnings = new Warnings((count, minutes) => void lines.push(`${count} in ${minutes}`))
  const tell = (kind: string, times = 1) => {
    for (let i = 0; i < times; i++) if (warnings.isNew(kind)) lines.push(kind)
  }
  return { lines, tell, warnings }
}

describe("of what comes again and again", () => {
  it("the first of each kind is told, and the others are counted a minute later", () => {
    const { lines, tell } = made()
    tell("a", 5000)
    tell("b", 5000)
    tell("a", 5000)
    expect(lines).toEqual(["a", "b"])
    vi.advanceTimersByTime(minute)
    expect(lines).toEqual(["a", "b", "14998 in 1"])
  })

  it("no more than a hundred kinds are told, or kept in mind", () => {
    const { lines, tell } = made()
    for (let i = 0; i < 10_000; i++) tell(`${i}`)
    expect(lines).toHaveLength(100)
    vi.advanceTimersByTime(minute)
    expect(lines.slice(100)).toEqual(["9900 in 1"])
  })

  it("the counts come less and less often, and once an hour at the end", () => {
    const { lines, tell } = made()
    tell("a")
    for (let i = 0; i < 250; i++) {
      vi.advanceTimersByTime(minute - 1)
      tell("a")
      vi.advanceTimersByTime(1)
    }
    const waits = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    expect(lines).toEqual(["a", ...waits.map((minutes) => `${minutes} in ${minutes}`)])
  })

  it("it is told at once when there was peace for as long as from one count to the next", () => {
    const { lines, tell } = made()
    tell("a", 3)
    vi.advanceTimersByTime(minute)
    expect(lines).toEqual(["a", "2 in 1"])
    vi.advanceTimersByTime(minute)
    tell("a")
    vi.advanceTimersByTime(minute)
    expect(lines).toEqual(["a", "2 in 1", "1 in 2"])
    vi.advanceTimersByTime(10 * minute)
    tell("a")
    expect(lines).toEqual(["a", "2 in 1", "1 in 2", "a"])
    expect(vi.getTimerCount()).toBe(1)
    vi.advanceTimersByTime(minute)
    expect(vi.getTimerCount()).toBe(0)
  })

  it("nothing is told when it is closed", () => {
    const { lines, tell, warnings } = made()
    tell("a", 3)
    warnings.close()
    vi.advanceTimersByTime(10 * minute)
    expect(lines).toEqual(["a"])
    expect(vi.getTimerCount()).toBe(0)
  })
})
