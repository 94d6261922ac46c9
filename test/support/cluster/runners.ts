/** Runners and clients of a cluster in this process, each with layers of its own. */
import { createServer } from "node:net"
import { Effect, type Layer, ManagedRuntime, Option } from "effect"
import { RunnerAddress, type ShardingConfig } from "effect/cluster"

/** A port that is free now. */
export const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

export const address = (port: number) => RunnerAddress.make("127.0.0.1", port)

/** Few shards, that are looked at often. */
export const quick = (port?: number): Partial<ShardingConfig.ShardingConfig["Service"]> => ({
  ...(port === undefined ? {} : { runnerAddress: Option.some(address(port)) }),
  shardsPerGroup: 12,
  refreshAssignmentsInterval: 50,
  shardLockRefreshInterval: 100,
  entityMessagePollInterval: 100,
  entityReplyPollInterval: 20,
  sendRetryInterval: 20,
  runnerHealthCheckInterval: 500
})

/** Layers that live until the scope closes, or `end` is run, beside others of their kind. */
export const start = <A, E>(layer: Layer.Layer<A, E>) =>
  Effect.gen(function* () {
    const runtime = ManagedRuntime.make(layer)
    yield* Effect.addFinalizer(() => runtime.disposeEffect)
    const services = yield* runtime.contextEffect
    return { services, end: runtime.disposeEffect }
  })
