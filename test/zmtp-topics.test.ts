/** Topics in a radix tree, held against a list of them. */
import { describe, expect, it } from "vitest"
import { Topics } from "../src/internal/zmtp/topics.ts"

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
          more = topics.removeSome(owner, most, (topic, wasLast) => {
            removed++
            if (wasLast) gone.push(topic.toString("latin1"))
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
    // Not in one turn.
    let turns = 1
    while (topics.removeSome("deep", 2000, () => gone++)) turns++
    expect(turns).toBeGreaterThan(10)
    expect(gone).toBe(4001)
    expect(topics.matches(longest)).toBe(false)
    expect(topics.sizeOf("deep")).toEqual({ count: 0, bytes: 0 })
  })
})
