/** Small parts of the engine on zeromq.js, each by itself. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { Ahead } from "../src/internal/zeromq/ahead.ts"
import { Incoming } from "../src/internal/zeromq/incoming.ts"
import { Neighbours } from "../src/internal/zeromq/neighbours.ts"
import { Recent } from "../src/internal/zeromq/recent.ts"
import { Rooms } from "../src/internal/zeromq/rooms.ts"
import { messageOf, ScriptedSocket, turns } from "./support/scripted.ts"
import { numbers } from "./support/sockets.ts"

// -----------------------------------------------------------------------------
// who waits for room
// -----------------------------------------------------------------------------

/** Rooms whose looks happen when the test says so. */
const rooms = (byPeer = true) => {
  let answer: ((mayBe: boolean) => void) | undefined
  const told: Array<string> = []
  const native = Object.assign(new ScriptedSocket(), {
    room: () =>
      new Promise<boolean>((resolve) => {
        answer = resolve
      })
  })
  const self = new Rooms(native, byPeer, (lane) => told.push(lane))
  return {
    self,
    /** Whether somebody is being looked for. */
    isLooking: () => answer !== undefined,
    /** One look: who is told then. */
    look: async (mayBe = true): Promise<ReadonlyArray<string>> => {
      const resolve = answer!
      answer = undefined
      resolve(mayBe)
      await Promise.resolve()
      return told.splice(0)
    },
    /** How many looks it takes until a lane is told, at most so many. */
    looksUntil: async (lane: string, mayBe = true): Promise<number> => {
      for (let looks = 1; looks <= 100; looks++) {
        const resolve = answer
        answer = undefined
        resolve?.(mayBe)
        await Promise.resolve()
        if (told.splice(0).includes(lane)) return looks
      }
      return Number.POSITIVE_INFINITY
    }
  }
}

describe("Rooms", () => {
  it("tell who waits at the first look, once, and look no more when nobody waits", async () => {
    const { isLooking, look, self } = rooms()
    expect(isLooking()).toBe(false)
    self.await("a")
    self.await("a")
    self.await("b")
    expect(await look()).toEqual(["a", "b"])
    expect(isLooking()).toBe(false)
    expect(self.isEmpty).toBe(false)
    self.forgo("a")
    self.forgo("b")
    expect(self.isEmpty).toBe(true)
  })

  it("forget a lane that nobody waits in, told or not", async () => {
    const { isLooking, look, self } = rooms()
    self.await("a")
    self.await("b")
    self.forgo("a")
    expect(await look()).toEqual(["b"])
    self.await("b")
    self.forgo("b")
    expect(await look()).toEqual([])
    expect(isLooking()).toBe(false)
    self.await("a")
    expect(await look()).toEqual(["a"])
  })

  it("have a lane that tried for nothing wait for twice as many looks, up to five, until it has sent", async () => {
    const { looksUntil, self } = rooms()
    const looks: Array<number> = []
    for (const _ of numbers(0, 5)) {
      self.await("a")
      looks.push(await looksUntil("a"))
    }
    expect(looks).toEqual([1, 2, 4, 5, 5])
    self.answered("a")
    self.await("a")
    expect(await looksUntil("a")).toBe(2)
  })

  it("have no patience where all peers share one lane", async () => {
    const { looksUntil, self } = rooms(false)
    for (const _ of numbers(0, 3)) {
      self.await("")
      expect(await looksUntil("")).toBe(1)
    }
  })

  it("have a lane try at each 25th look, where no peer has room: its peer may have left", async () => {
    const { looksUntil, self } = rooms()
    self.await("a")
    expect(await looksUntil("a", false)).toBe(25)
  })

  it("tell 50 at a look, those first that were full for the shortest time, and each of many within 25", async () => {
    const { look, looksUntil, self } = rooms()
    const all = numbers(0, 120).map(String)
    for (const lane of all) self.await(lane)
    expect(await look()).toEqual(all.slice(0, 50))
    // These have tried for nothing.
    for (const lane of all.slice(0, 50)) self.await(lane)
    expect(await look()).toEqual(all.slice(50, 100))
    self.await("new")
    // Both are due: the new one has waited for less.
    expect((await look()).slice(0, 21)).toEqual([...all.slice(100), "new"])
    const looks: Array<number> = []
    for (const _ of numbers(0, 6)) {
      self.await("new")
      looks.push(await looksUntil("new"))
    }
    expect(looks.at(-1)).toBe(25)
  })

  it("tell nobody when they are closed", async () => {
    const { isLooking, look, self } = rooms()
    self.await("a")
    self.close()
    expect(await look()).toEqual([])
    self.await("a")
    expect(isLooking()).toBe(false)
    expect(self.isEmpty).toBe(true)
  })
})

// -----------------------------------------------------------------------------
// what comes when nobody receives any more
// -----------------------------------------------------------------------------

describe("Messages that come when nobody receives any more", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }))
  afterEach(() => void vi.useRealTimers())

  const dismissed = (owes: () => boolean) => {
    const port = new ScriptedSocket()
    const told: Array<string> = []
    const incoming = new Incoming(port, {
      prefetch: 10,
      newestOnly: false,
      laneOf: () => "",
      accept: undefined,
      room: () => 10,
      wanted: () => false,
      onMessages: () => told.push("messages"),
      onEnd: () => told.push("end")
    })
    incoming.dismiss(owes)
    const pass = async (...texts: Array<string>) => {
      port.arrive(...texts)
      vi.advanceTimersByTime(20)
      await turns(2)
      return { left: incoming.left, taken: port.handedOver, ready: incoming.ready, told }
    }
    return { incoming, pass }
  }

  it("are taken and counted while somebody is owed something, as its end may be behind them", async () => {
    let owes = true
    const { incoming, pass } = dismissed(() => owes)
    expect(await pass("a", "b")).toEqual({ left: 2, taken: 2, ready: 0, told: [] })
    expect(await pass("c")).toEqual({ left: 3, taken: 3, ready: 0, told: [] })
    owes = false
    expect(await pass("d")).toEqual({ left: 3, taken: 3, ready: 0, told: [] })
    owes = true
    expect(await pass()).toEqual({ left: 4, taken: 4, ready: 0, told: [] })
    incoming.end()
    expect(await pass("e")).toEqual({ left: 4, taken: 4, ready: 0, told: [] })
  })

  it("are left where they are, if nobody is", async () => {
    const { pass } = dismissed(() => false)
    expect(await pass("a")).toEqual({ left: 0, taken: 0, ready: 0, told: [] })
    expect(vi.getTimerCount()).toBe(0)
  })
})

// -----------------------------------------------------------------------------
// names and queues
// -----------------------------------------------------------------------------

it("What was read further ahead goes on one of each peer in turn, in the order of that peer", () => {
  const ahead = new Ahead()
  for (const text of ["a1", "a2", "a3", "b1", "c1", "c2"]) ahead.put(text[0]!, messageOf(text))
  expect(ahead.size).toBe(6)
  const take = () => `${ahead.take()}`
  expect([take(), take(), take(), take()]).toEqual(["a1", "b1", "c1", "a2"])
  // One that has had all its messages is behind the others.
  ahead.put("b", messageOf("b2"))
  expect([take(), take(), take(), ahead.size]).toEqual(["c2", "a3", "b2", 0])
})

it("Of recent names the oldest are forgotten, by when they were last said", () => {
  const recent = new Recent(2)
  for (const name of ["a", "b", "a", "c"]) recent.add(name)
  expect([recent.delete("b"), recent.delete("a"), recent.delete("c"), recent.delete("c")]).toEqual([
    false,
    true,
    true,
    false
  ])
})

it("Neighbours are those who meet at a name and have not parted", () => {
  const neighbours = new Neighbours<string>()
  expect([...neighbours.join("x", "ann")]).toEqual(["ann"])
  expect([...neighbours.join("x", "bob")]).toEqual(["ann", "bob"])
  expect([...neighbours.join("y", "eve")]).toEqual(["eve"])
  expect([...neighbours.part("x", "ann")]).toEqual(["bob"])
  expect([...neighbours.part("x", "bob")]).toEqual([])
  expect([...neighbours.part("nowhere", "bob")]).toEqual([])
  expect([...neighbours.join("x", "eve")]).toEqual(["eve"])
})
