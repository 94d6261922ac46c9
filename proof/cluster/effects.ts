/** Reads what the runners did, and who did it when it was another's to do. */
import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { Away } from "./blows.ts"
import type { Effected } from "./schema.ts"

export interface Effects {
  readonly count: number
  /** How often each call was executed. */
  readonly times: ReadonlyMap<string, number>
  /** By a runner that had been away. */
  readonly late: number
  /** By one that had not. */
  readonly overlaps: ReadonlyArray<string>
}

export const readEffects = (sql: SqlClient.SqlClient, aways: ReadonlyArray<Away>) =>
  Effect.map(
    sql<Effected>`select call, kind, shard, runner, token, current, holder,
      (extract(epoch from at) * 1000)::float8 as at from effects order by seq`,
    (all): Effects => {
      const times = new Map<string, number>()
      const overlaps: Array<string> = []
      let late = 0
      // One that is back may begin to work for a shard, and so take its fence from who has it.
      const wasAway = (name: string, at: number): boolean =>
        aways.some(({ from, runner, to }) => runner === name && at >= from && at <= to + 10_000)
      for (const { at, call, current, holder, runner, shard, token } of all) {
        times.set(call, (times.get(call) ?? 0) + 1)
        if (token === current) continue
        if (wasAway(runner, at) || wasAway(holder, at)) late++
        else overlaps.push(`${call} of shard ${shard} by ${runner} (${token}), which was with ${holder} (${current})`)
      }
      return { count: all.length, times, late, overlaps }
    }
  )
