/** The app: counters, a nightly job, and transfers between counters. It knows nothing of where it runs. */
import { Config, Cron, DateTime, Effect, Layer, Option, Schema, Stream, SubscriptionRef } from "effect"
import { ClusterCron, ClusterSchema, ClusterWorkflowEngine, Entity } from "effect/cluster"
import { KeyValueStore } from "effect/persistence"
import { Rpc } from "effect/rpc"
import { Activity, Workflow } from "effect/workflow"

// --- a counter, of which there is one for each name ---

export class Closed extends Schema.TaggedError<Closed>()("Closed", { counter: Schema.String }) {}

export const Counter = Entity.make("Counter", [
  // Kept until it is done, and done once for each id.
  Rpc.make("add", {
    payload: { id: Schema.String, by: Schema.Int },
    primaryKey: ({ id }) => id,
    success: Schema.Int,
    error: Closed
  }).annotate(ClusterSchema.Persisted, true),
  Rpc.make("value", { success: Schema.Int }),
  Rpc.make("changes", { success: Schema.Int, stream: true }),
  Rpc.make("runner", { success: Schema.String })
])

const State = Schema.Struct({ value: Schema.Int, done: Schema.Array(Schema.String) })

export const Counters = Counter.toLayer(
  Effect.gen(function* () {
    const { entityId } = yield* Entity.CurrentAddress
    const runner = yield* Entity.CurrentRunnerAddress
    const store = KeyValueStore.toSchemaStore(yield* KeyValueStore.KeyValueStore, State)
    // What a counter has is in the store: it may be on another runner next time.
    const found = yield* Effect.orDie(store.get(entityId))
    const state = yield* SubscriptionRef.make<typeof State.Type>(
      Option.getOrElse(found, () => ({ value: 0, done: [] }))
    )
    return Counter.of({
      add: ({ payload: { by, id } }) =>
        SubscriptionRef.updateAndGetEffect(state, (now) => {
          if (entityId === "closed") return Effect.fail(new Closed({ counter: entityId }))
          // It comes again if its runner, or its shard, was gone before the reply was kept: here, not long after.
          if (now.done.includes(id)) return Effect.succeed(now)
          const next = { value: now.value + by, done: [...now.done, id].slice(-100) }
          return Effect.as(Effect.orDie(store.set(entityId, next)), next)
        }).pipe(Effect.map(({ value }) => value)),
      value: () => Effect.map(SubscriptionRef.get(state), ({ value }) => value),
      // A stream goes on while others add.
      changes: () => Rpc.fork(Stream.map(SubscriptionRef.changes(state), ({ value }) => value)),
      runner: () => Effect.succeed(`${runner.host}:${runner.port}`)
    })
  })
)

// --- a job, once each night, whichever runners there are ---

export const Nightly = Layer.unwrap(
  Effect.gen(function* () {
    const schedule = yield* Config.String("NIGHTLY").pipe(Config.withDefault("0 3 * * *"))
    return ClusterCron.make({
      name: "nightly",
      cron: Cron.parseUnsafe(schedule),
      execute: Effect.gen(function* () {
        const night = DateTime.formatIso(yield* ClusterCron.CurrentScheduledTime)
        const counter = yield* Counter.client
        yield* Effect.orDie(counter("nights").add({ id: night, by: 1 }))
      })
    })
  })
)

// --- a transfer, all of it or nothing, even if its runner dies ---

export class Transfer extends Workflow.make("Transfer", {
  payload: { id: Schema.String, from: Schema.String, to: Schema.String, by: Schema.Int },
  idempotencyKey: ({ id }) => id,
  error: Closed
}) {}

/** A step of a transfer, done once for each of them. */
const step = (name: string, { by, counter, transfer }: { by: number; counter: string; transfer: string }) =>
  Activity.make({
    name,
    error: Closed,
    execute: Effect.gen(function* () {
      const counters = yield* Counter.client
      yield* counters(counter)
        .add({ id: `${transfer}/${name}`, by })
        .pipe(Effect.catchIf((error) => error._tag !== "Closed", Effect.die))
    })
  })

export const Transfers = Transfer.toLayer(({ by, from, to }, transfer) =>
  Effect.gen(function* () {
    yield* step("take", { counter: from, by: -by, transfer }).pipe(
      // Where a later step fails, what was taken is given back.
      Transfer.withCompensation(() => Effect.orDie(step("give back", { counter: from, by, transfer })))
    )
    yield* step("give", { counter: to, by, transfer })
  })
)

/** All of it, for every runner. */
export const App = Layer.mergeAll(Counters, Nightly, Transfers).pipe(Layer.provideMerge(ClusterWorkflowEngine.layer))
