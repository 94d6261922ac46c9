/** The locks of shards in Postgres, with a token for each that this runner takes. */
import { Effect, Layer } from "effect"
import { ClusterError, RunnerStorage, type ShardId, SqlRunnerStorage } from "effect/cluster"
import { SqlClient } from "effect/sql"
import type { PeerConfig } from "./peer.ts"

/** How shards are locked; `none`: whoever asks for one gets it, so that there is something to be found. */
export type Locks = "advisory" | "rows" | "none"

type Storage = RunnerStorage.RunnerStorage["Service"]

/** The token of each shard that this runner has, or had last. */
const tokens = new Map<string, string>()

export const tokenOf = (shard: ShardId.ShardId): string => {
  const token = tokens.get(shard.toString())
  if (token === undefined) throw new Error(`no lock of ${shard} was ever taken here`)
  return token
}

const withoutLocks = (storage: Storage): Storage => ({
  ...storage,
  acquire: (_, shards) => Effect.succeed([...shards]),
  refresh: (_, shards) => Effect.succeed([...shards]),
  release: () => Effect.void,
  releaseAll: () => Effect.void
})

const make = ({ locks, name }: Pick<PeerConfig, "locks" | "name">) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const sqlStorage = yield* RunnerStorage.RunnerStorage
    const storage = locks === "none" ? withoutLocks(sqlStorage) : sqlStorage
    const enter = (shards: ReadonlyArray<ShardId.ShardId>) =>
      Effect.map(
        sql<{ shard: string; token: string }>`select shard, enter(shard, ${name}) as token
          from unnest(${shards.map(String)}::text[]) as shard order by shard`,
        (rows) => {
          for (const { shard, token } of rows) tokens.set(shard, token)
        }
      )
    return RunnerStorage.RunnerStorage.of({
      ...storage,
      acquire: (address, shards) =>
        Effect.tap(storage.acquire(address, shards), (acquired) =>
          acquired.length === 0 ? Effect.void : ClusterError.PersistenceError.refail(enter(acquired))
        )
    })
  })

export const layerLocks = (config: Pick<PeerConfig, "locks" | "name">) =>
  Layer.effect(RunnerStorage.RunnerStorage, make(config)).pipe(Layer.provide(Layer.orDie(SqlRunnerStorage.layer)))
