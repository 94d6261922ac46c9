/**
 * A workflow that ends its own runner, once, at the place that it is given: between two
 * of its activities, or in one, behind its effect and before its result is kept.
 */
import { Effect, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Activity, Workflow } from "effect/workflow"
import { fenced } from "./fenced.ts"

export class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}

export const steps = ["reserve", "charge", "ship"] as const

/** Where a runner can end, on the way to the end and on the way back. */
export const places = {
  forward: ["before reserve", "in reserve", "before charge", "in charge", "before ship", "in ship", "at the end"],
  back: ["undo ship", "undo charge", "undo reserve"].flatMap((undo) => [
    `before ${undo}`,
    `in ${undo}`,
    `after ${undo}`
  ])
} as const

export const Order = Workflow.make("Order", {
  payload: { id: Schema.String, endsAt: Schema.String, fails: Schema.Boolean },
  idempotencyKey: ({ id }) => id,
  success: Schema.String,
  error: Refused
})

export const layerOrder = (name: string) =>
  Order.toLayer(
    Effect.fnUntraced(function* ({ endsAt, fails, id }) {
      const sql = yield* SqlClient.SqlClient
      const effect = yield* fenced(`order ${id}`, name)
      const at = (place: string) =>
        Effect.gen(function* () {
          if (place !== endsAt) return
          const [row] = yield* Effect.orDie(sql<{ first: boolean }>`select ends(${id}, ${name}) as first`)
          if (row!.first) process.kill(process.pid, "SIGKILL")
        })
      const activity = (step: string) =>
        Activity.make({
          name: step,
          execute: Effect.andThen(effect(`${id} ${step}`, "step", id), at(`in ${step}`))
        })
      for (const step of steps) {
        yield* at(`before ${step}`)
        yield* Workflow.withCompensation(activity(step), () =>
          Effect.gen(function* () {
            yield* at(`before undo ${step}`)
            yield* activity(`undo ${step}`)
            yield* at(`after undo ${step}`)
          })
        )
      }
      yield* at("at the end")
      if (fails) return yield* new Refused()
      return id
    })
  )
