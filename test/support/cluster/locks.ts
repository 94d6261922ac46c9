/** Who runs, and who has which shard, in the memory of this process: for any number of runners in it. */
import { Context, Effect, Layer } from "effect"
import { MessageStorage, RunnerStorage, ShardingConfig, Snowflake } from "effect/cluster"

const makeLocks = () => {
  const runners = new Map<string, { readonly runner: string; healthy: boolean }>()
  const locks = new Map<string, string>()
  let machines = 0
  const held = (address: string, ids: ReadonlyArray<string>) => ids.filter((id) => locks.get(id) === address)
  const storage = RunnerStorage.makeEncoded({
    getRunners: Effect.sync(() => [...runners.values()].map(({ healthy, runner }) => [runner, healthy] as const)),
    register: (address, runner, healthy) =>
      Effect.sync(() => {
        runners.set(address, { runner, healthy })
        return machines++
      }),
    unregister: (address) => Effect.sync(() => void runners.delete(address)),
    setRunnerHealth: (address, healthy) =>
      Effect.sync(() => {
        const entry = runners.get(address)
        if (entry !== undefined) entry.healthy = healthy
      }),
    acquire: (address, ids) =>
      Effect.sync(() => {
        for (const id of ids) if (!locks.has(id)) locks.set(id, address)
        return held(address, ids)
      }),
    refresh: (address, ids) => Effect.sync(() => held(address, ids)),
    release: (address, id) =>
      Effect.sync(() => {
        if (locks.get(id) === address) locks.delete(id)
      }),
    releaseAll: (address) =>
      Effect.sync(() => {
        for (const [id, holder] of locks) if (holder === address) locks.delete(id)
      })
  })
  return { locks, runners, storage }
}

/** The storages of runners that share what they keep. */
export const sharedStorage = Effect.gen(function* () {
  const { locks, runners, storage } = makeLocks()
  const kept = yield* Layer.build(Layer.provide(MessageStorage.layerMemory, ShardingConfig.layer()))
  const { encoded } = Context.get(kept, MessageStorage.MemoryDriver)
  // Who waits for a reply is of one runner alone.
  const messages = Layer.effect(MessageStorage.MessageStorage, MessageStorage.makeEncoded(encoded)).pipe(
    Layer.provide(Snowflake.layerGenerator)
  )
  return { locks, runners, layer: Layer.merge(messages, Layer.succeed(RunnerStorage.RunnerStorage, storage)) }
})
