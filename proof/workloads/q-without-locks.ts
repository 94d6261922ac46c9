/** Locks of shards that everyone gets: two runners work for one shard, and the fence must find it. */
import { Effect } from "effect"
import { Blows } from "../cluster/blows.ts"
import { startCluster, until } from "../cluster/cluster.ts"
import { readEffects } from "../cluster/effects.ts"
import { schema } from "../cluster/schema.ts"
import { randomOf, seed } from "../moments.ts"
import type { Outcome, Size } from "../row.ts"
import { outcomeOf, progress } from "../watch.ts"

export const withoutLocks = async (size: Size): Promise<Outcome> => {
  const faults: Array<string> = []
  const program = Effect.gen(function* () {
    const cluster = yield* startCluster({
      transport: "zmq",
      locks: "none",
      expiry: 3,
      shards: 32,
      schema,
      runner: "runner.ts"
    })
    yield* Effect.forEach([1, 2, 3], (number) => cluster.start(number), { concurrency: "unbounded" })
    yield* cluster.whole
    const client = yield* cluster.startClient(0, "client.ts", {}, "60")
    const ended = () => client.lines.filter((line) => line.startsWith("end v")).length
    const blows = new Blows(cluster, randomOf())
    // Who joins takes its part at once, while the others have it.
    let effects = yield* readEffects(cluster.sql, [])
    const most = 10
    for (let joined = 0; joined < most && effects.overlaps.length === 0; joined++) {
      progress(() => `${joined} of at most ${most} runners joined`)
      const before = ended()
      yield* until("calls", () => ended() >= before + size.count)
      yield* blows.strike("joined")
      effects = yield* readEffects(cluster.sql, [])
    }
    const { count, overlaps } = effects
    if (overlaps.length === 0) faults.push("no effect was found that was another's")
    const calls = ended()
    return {
      sent: calls,
      delivered: calls,
      lost: 0,
      duplicated: 0,
      notes: [
        `found, as it must be, when ${blows.counts.joined} had joined: ${overlaps.length} of ${count} effects while the shard was with another, as ${overlaps[0]}`,
        `seed ${seed}`
      ]
    }
  })
  return outcomeOf(program, faults)
}
