/** A runner with a workflow, a singleton that ticks, and a job for each second. */
import { Cron, DateTime, Effect, Layer } from "effect"
import { ClusterCron, ClusterWorkflowEngine, Singleton } from "effect/cluster"
import { fenced } from "./fenced.ts"
import { layerOrder } from "./order.ts"
import { readConfig } from "./peer.ts"
import { runRunner } from "./run.ts"

const config = readConfig()

const Ticker = Singleton.make(
  "ticker",
  Effect.gen(function* () {
    const effect = yield* fenced("ticker", config.name)
    yield* Effect.forever(Effect.andThen(effect("tick", "tick", "ticker"), Effect.sleep(20)))
  })
)

const Bell = ClusterCron.make({
  name: "bell",
  cron: Cron.parseUnsafe("* * * * * *"),
  // None is left out while nobody is there.
  calculateNextRunFromPrevious: true,
  execute: Effect.gen(function* () {
    const time = DateTime.formatIso(yield* ClusterCron.CurrentScheduledTime)
    const effect = yield* fenced("bell", config.name)
    yield* effect(time, "bell", "bell")
  })
})

runRunner(config, Layer.mergeAll(Ticker, Bell, Layer.provide(layerOrder(config.name), ClusterWorkflowEngine.layer)))
