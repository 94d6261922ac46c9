/** An entity with calls of every kind, and what its handlers have seen. */
import { Effect, Schema, Stream } from "effect"
import { ClusterSchema, Entity } from "effect/cluster"
import { Rpc } from "effect/rpc"

export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { id: Schema.Number }) {}

export const Pad = Entity.make("Pad", [
  Rpc.make("where", { success: Schema.String }),
  Rpc.make("get", { payload: { id: Schema.Number }, success: Schema.String, error: NotFound }),
  Rpc.make("die", { success: Schema.String }),
  Rpc.make("count", { payload: { to: Schema.Number }, success: Schema.Number, stream: true }),
  Rpc.make("forever", { payload: { name: Schema.String }, success: Schema.String }),
  Rpc.make("slow", { payload: { name: Schema.String }, success: Schema.String }),
  Rpc.make("ticks", { payload: { name: Schema.String }, success: Schema.Number, stream: true }),
  Rpc.make("echo", { payload: { text: Schema.String }, success: Schema.String }),
  Rpc.make("job", { payload: { id: Schema.String }, primaryKey: ({ id }) => id, success: Schema.String }).annotate(
    ClusterSchema.Persisted,
    true
  ),
  Rpc.make("steps", {
    payload: { id: Schema.String, to: Schema.Number },
    primaryKey: ({ id }) => id,
    success: Schema.Number,
    stream: true
  }).annotate(ClusterSchema.Persisted, true)
])

export interface Seen {
  readonly running: Set<string>
  readonly interrupted: Array<string>
  readonly done: Array<string>
  /** What slow calls wait for. */
  readonly go: Set<string>
}

export const makeSeen = (): Seen => ({ running: new Set(), interrupted: [], done: [], go: new Set() })

/** The handlers of a runner with a name. */
export const padOf = (name: string, seen: Seen, pause: Effect.Effect<void>) => {
  const observed = <A>(call: string, self: Effect.Effect<A>) =>
    Effect.suspend(() => {
      seen.running.add(call)
      return Effect.onInterrupt(self, () => Effect.sync(() => void seen.interrupted.push(call)))
    }).pipe(Effect.ensuring(Effect.sync(() => void seen.running.delete(call))))
  return Pad.toLayer(
    {
      where: () => Effect.succeed(name),
      get: ({ payload: { id } }) => (id === 1 ? Effect.succeed("ann") : Effect.fail(new NotFound({ id }))),
      die: () => Effect.die(new Error("boom")),
      count: ({ payload: { to } }) => Stream.range(1, to),
      forever: ({ payload }) => observed(payload.name, Effect.as(Effect.never, "")),
      slow: ({ payload }) =>
        observed(
          payload.name,
          Effect.gen(function* () {
            while (!seen.go.has(payload.name)) yield* pause
            return name
          })
        ),
      ticks: ({ payload }) =>
        Stream.fromEffectRepeat(Effect.as(pause, 1)).pipe(
          Stream.onStart(Effect.sync(() => void seen.running.add(payload.name))),
          Stream.ensuring(Effect.sync(() => void seen.running.delete(payload.name)))
        ),
      echo: ({ payload: { text } }) => Effect.succeed(text),
      job: ({ payload: { id } }) =>
        Effect.sync(() => {
          seen.done.push(id)
          return name
        }),
      steps: ({ payload: { to } }) => Stream.range(1, to).pipe(Stream.rechunk(1))
    },
    // Otherwise an entity that has died begins anew, with the call that it died of.
    { concurrency: "unbounded", disableFatalDefects: true }
  )
}
