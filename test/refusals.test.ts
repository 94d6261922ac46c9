/** When a socket is read for the sake of peers that have no room, and how far. */
import { afterEach, beforeEach, expect, it, vi } from "@effect/vitest"
import { describe } from "vitest"
import { Refusals } from "../src/internal/zeromq/fullPeers.ts"

describe("a socket is read ahead", () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const remembering = () => {
    const changes: Array<string> = []
    return { changes, refusals: new Refusals((how) => changes.push(how)) }
  }
  /** A peer is tried again and again, for so many milliseconds. */
  const refuse = (refusals: Refusals, peer: string, millis: number) => {
    for (let passed = 0; passed < millis; passed += 50) {
      refusals.refused(peer)
      vi.advanceTimersByTime(50)
    }
  }

  it("as soon as a peer has no room, further when it has none for a quarter of a second, until it has", () => {
    const { changes, refusals } = remembering()
    refusals.refused("a")
    expect(changes).toEqual(["some"])
    refuse(refusals, "a", 200)
    expect(changes).toEqual(["some"])
    refuse(refusals, "a", 400)
    expect(changes).toEqual(["some", "far"])
    refuse(refusals, "a", 5000)
    expect(changes).toEqual(["some", "far"])
    refusals.answered("a")
    expect(changes).toEqual(["some", "far", "not"])
    expect(refusals.isEmpty).toBe(true)
    expect(vi.getTimerCount()).toBe(0)
    refusals.refused("a")
    expect(changes).toEqual(["some", "far", "not", "some"])
  })

  it("for as long as any peer has none", () => {
    const { changes, refusals } = remembering()
    refusals.refused("a")
    refusals.refused("b")
    refusals.answered("a")
    refusals.answered("c")
    expect(changes).toEqual(["some"])
    refusals.answered("b")
    expect(changes).toEqual(["some", "not"])
  })

  it("for a second when nobody sends it anything any more", () => {
    const { changes, refusals } = remembering()
    refuse(refusals, "given up", 500)
    vi.advanceTimersByTime(800)
    expect(changes).toEqual(["some", "far"])
    vi.advanceTimersByTime(500)
    expect(changes).toEqual(["some", "far", "not"])
    expect(refusals.isEmpty).toBe(true)
    expect(vi.getTimerCount()).toBe(0)
  })

  it("not when the socket has closed", () => {
    const { changes, refusals } = remembering()
    refusals.refused("a")
    refusals.end()
    vi.advanceTimersByTime(5000)
    expect(changes).toEqual(["some", "not"])
    refusals.end()
    expect(changes).toEqual(["some", "not"])
    expect(vi.getTimerCount()).toBe(0)
  })
})
