/** A runner of a cluster. Writes `started TIME`, and `shards TIME +1 -2` whenever it has others than before. */
import { Cause, Effect, Exit, Layer } from "effect"
import { ShardId, Sharding } from "effect/cluster"
import { writeLine } from "../line.ts"
import { layerCluster, layerDatabase, layerLog, readConfig } from "./peer.ts"
import { layerWork } from "./work.ts"

const config = readConfig()

const tellShards = Effect.gen(function* () {
  const sharding = yield* Sharding.Sharding
  const had = new Set<number>()
  const look = Effect.sync(() => {
    const changes: Array<string> = []
    for (let id = 1; id <= config.shards; id++) {
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

const program = Layer.launch(
  Layer.effectDiscard(Effect.forkScoped(tellShards)).pipe(
    Layer.merge(layerWork(config.name)),
    Layer.provide(layerCluster(config)),
    Layer.provide(layerDatabase(config))
  )
).pipe(Effect.provide(layerLog))

const fiber = Effect.runFork(program)
fiber.addObserver((exit) => {
  const failed = Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
  if (failed) console.error(Cause.pretty(exit.cause))
  process.exit(failed ? 1 : 0)
})
process.on("SIGTERM", () => fiber.interruptUnsafe())
