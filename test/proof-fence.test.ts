/** The proof of a cluster finds who works for a shard that is with another, and nobody else. */
import { expect, it } from "vitest"
import type { Away } from "../proof/cluster/blows.ts"
import { judge } from "../proof/cluster/effects.ts"

/** `runner token current`, each a millisecond after the one before, on one shard. */
const effects = (...lines: ReadonlyArray<string>) =>
  lines.map((line, at) => {
    const [runner = "", token, current] = line.split(" ")
    return { call: `p${at}`, shard: "default:1", runner, token: Number(token), current: Number(current), at }
  })

const judged = (lines: ReadonlyArray<string>, aways: ReadonlyArray<Away> = []) => {
  const { late, outlived, overlaps } = judge(effects(...lines), aways)
  return { late, outlived: outlived.length, overlaps: overlaps.length }
}

const nothing = { late: 0, outlived: 0, overlaps: 0 }

it("a shard may go from runner to runner, and come back", () => {
  expect(judged(["a 1 1", "a 1 1", "b 2 2", "a 3 3", "a 4 4"])).toEqual(nothing)
})

it("who works while it is with another is found", () => {
  expect(judged(["a 1 1", "b 2 2", "a 1 2", "b 2 2"])).toEqual({ ...nothing, overlaps: 1 })
  // Before the other has begun, too.
  expect(judged(["a 1 2", "b 2 2"])).toEqual({ ...nothing, overlaps: 1 })
  // And where it has come back to the same since.
  expect(judged(["a 1 1", "b 2 2", "a 3 3", "a 1 3"])).toEqual({ ...nothing, overlaps: 1 })
  expect(judge(effects("a 1 1", "b 2 2", "a 1 2"), []).overlaps).toEqual([
    "p2 of shard default:1 by a (1), which was with b (2)"
  ])
})

it("an entity that outlives its shard in a runner that has it again is another matter", () => {
  expect(judged(["a 1 1", "a 2 2", "a 1 2"])).toEqual({ ...nothing, outlived: 1 })
})

it("who has been told of a lock, and never worked with it, stops nobody", () => {
  expect(judged(["a 1 1", "a 1 2", "a 1 2", "c 3 3"])).toEqual(nothing)
  expect(judged(["a 1 1", "a 1 2", "c 3 3", "a 1 3"])).toEqual({ ...nothing, overlaps: 1 })
})

it("who was away may be late, for some time, and nobody else at that time", () => {
  const away = (runner: string, to: number) => [{ runner, from: 0, to }]
  const lines = ["a 1 1", "b 2 2", "a 1 2"]
  expect(judged(lines, away("a", 1))).toEqual({ ...nothing, late: 1 })
  expect(judged(lines, away("b", 1))).toEqual({ ...nothing, late: 1 })
  expect(judged(lines, away("c", 1))).toEqual({ ...nothing, overlaps: 1 })
  expect(judged(lines, away("a", -10_000))).toEqual({ ...nothing, overlaps: 1 })
  // With two others, of which one was there all the time.
  expect(judged(["a 1 1", "b 2 2", "c 3 3", "a 1 3"], away("b", 1))).toEqual({ ...nothing, overlaps: 1 })
})

it("each shard has its own tokens, and each call its own count", () => {
  const [one, two] = [effects("a 1 1", "a 1 1"), effects("b 5 5").map((one) => ({ ...one, shard: "default:2" }))]
  const { count, overlaps, times } = judge([...one, ...two], [])
  expect([count, times.get("p0"), times.get("p1"), overlaps]).toEqual([3, 2, 1, []])
})
