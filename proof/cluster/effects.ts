/** Reads what the runners did, and who did it when it was another's to do. */
import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { Away } from "./blows.ts"
import type { Effected } from "./schema.ts"

export interface Effects {
  readonly count: number
  /** How often each call was executed. */
  readonly times: ReadonlyMap<string, number>
  /** By a runner that had been away, and did not know that its shard was with another. */
  readonly late: number
  /** By a runner that had not, while its shard was with another. */
  readonly overlaps: ReadonlyArray<string>
  /** By an entity that a runner had before it lost the shard, while it had it again. */
  readonly outlived: ReadonlyArray<string>
}

/** How long a runner may take to know, in milliseconds after it is back. */
const patience = 10_000

/**
 * Judges each effect by its token. An older one than that of the moment is wrong if somebody works with a newer one. A
 * token that nobody has ever worked with does not count: whoever took it had the lock no longer when it was told, as where it
 * was killed, frozen or ended in between.
 */
export const judge = (effects: ReadonlyArray<Effected>, aways: ReadonlyArray<Away>): Effects => {
  const times = new Map<string, number>()
  /** Who works for a shard, by token. */
  const workers = new Map<string, Map<number, string>>()
  for (const { call, runner, shard, token } of effects) {
    times.set(call, (times.get(call) ?? 0) + 1)
    if (!workers.has(shard)) workers.set(shard, new Map())
    workers.get(shard)!.set(token, runner)
  }
  const wasAway = (name: string, at: number): boolean =>
    aways.some(({ from, runner, to }) => runner === name && at >= from && at <= to + patience)

  const overlaps: Array<string> = []
  const outlived: Array<string> = []
  let late = 0
  for (const { at, call, current, runner, shard, token } of effects) {
    const newer = [...workers.get(shard)!].filter(([other]) => other > token && other <= current)
    const others = newer.filter(([, worker]) => worker !== runner)
    if (others.length > 0) {
      // One that was away may have taken the lock before, and begin to work when it is back.
      if (wasAway(runner, at) || others.every(([, worker]) => wasAway(worker, at))) late++
      else {
        const [[since, worker]] = others as [[number, string]]
        overlaps.push(`${call} of shard ${shard} by ${runner} (${token}), which was with ${worker} (${since})`)
      }
    } else if (newer.length > 0) {
      outlived.push(`${call} of shard ${shard} by ${runner} (${token}), which had it again (${newer[0]![0]})`)
    }
  }
  return { count: effects.length, times, late, overlaps, outlived }
}

export const readEffects = (sql: SqlClient.SqlClient, aways: ReadonlyArray<Away>) =>
  Effect.map(
    sql<Effected>`select call, shard, runner, token::float8 as token, current::float8 as current,
      (extract(epoch from at) * 1000)::float8 as at from effects order by seq`,
    (effects) => judge(effects, aways)
  )
