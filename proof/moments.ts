/** Random numbers that can be had again, and random moments to interrupt at. */
import { Effect } from "effect"

export type Random = (below: number) => number

/** The seed of a run: printed with its row, and taken from `PROOF_SEED` to run it again. */
export const seed = Number(process.env.PROOF_SEED ?? Date.now() & 0x7fffffff)

export const randomOf = (from: number = seed): Random => {
  let state = from >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below)
  }
}

export const nextTurn: Effect.Effect<void> = Effect.callback((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

const microtasks = (count: number): Effect.Effect<void> =>
  Effect.promise(async () => {
    for (let i = 0; i < count; i++) await undefined
  })

/** Some moment from now: in this tick, a few microtasks or turns of the event loop later, or milliseconds. */
export const someMoment = (random: Random): Effect.Effect<void> =>
  Effect.suspend(() => {
    switch (random(6)) {
      case 0:
        return Effect.yieldNow
      case 1:
        return microtasks(1 + random(8))
      case 2:
      case 3:
        return nextTurn
      case 4:
        return Effect.andThen(nextTurn, microtasks(random(6)))
      default:
        return Effect.sleep(random(3))
    }
  })
