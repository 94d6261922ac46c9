/** Runs a runner of a cluster, or a client of it, until it is told to end. */
import { Cause, Effect, Exit, Layer } from "effect"
import { type MessageStorage, ShardId, Sharding } from "effect/cluster"
import type { SqlClient } from "effect/sql"
import { writeLine } from "../line.ts"
import { layerCluster, layerDatabase, layerLog, type PeerConfig } from "./peer.ts"

type Clustered = Sharding.Sharding | MessageStorage.MessageStorage | SqlClient.SqlClient

const layerAll = (config: PeerConfig) => Layer.provideMerge(layerCluster(config), layerDatabase(config))

const run = (program: Effect.Effect<unknown, unknown>): void => {
  const fiber = Effect.runFork(Effect.provide(program, layerLog))
  fiber.addObserver((exit) => {
    const failed = Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
    if (failed) console.error(Cause.pretty(exit.cause))
    process.exit(failed ? 1 : 0)
  })
  process.on("SIGTERM", () => fiber.interruptUnsafe())
}

const tellShards = (shards: number) =>
  Effect.gen(function* () {
    const sharding = yield* Sharding.Sharding
    const had = new Set<number>()
    const look = Effect.sync(() => {
      const changes: Array<string> = []
      for (let id = 1; id <= shards; id++) {
        const has = sharding.hasShardId(ShardId.make("default", id))
        if (has === had.has(id)) continue
        changes.push(`${has ? "+" : "-"}${id}`)
        if (has) had.add(id)
        else had.delete(id)
      }
      if (changes.length > 0) writeLine(`shards ${Date.now()} ${changes.join(" ")}`)
    })
    writeLine(`started ${Date.now()}`)
    yield* Effect.forever(Effect.andThen(look, Effect.sleep(20)))
  })

/** A runner with this work. Writes `started TIME`, and `shards TIME +1 -2` whenever it has others than before. */
export const runRunner = (config: PeerConfig, work: Layer.Layer<never, unknown, Clustered>): void =>
  run(
    Layer.launch(
      Layer.effectDiscard(Effect.forkScoped(tellShards(config.shards))).pipe(
        Layer.merge(work),
        Layer.provide(layerAll(config))
      )
    )
  )

export const runClient = <E>(config: PeerConfig, program: Effect.Effect<void, E, Clustered>): void =>
  run(Effect.provide(program, layerAll(config)))
