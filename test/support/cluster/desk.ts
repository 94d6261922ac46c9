/** What runners in processes of their own are asked. */
import { Schema } from "effect"
import { ClusterSchema, Entity } from "effect/cluster"
import { Rpc } from "effect/rpc"
import { Workflow } from "effect/workflow"

const payload = { id: Schema.String }

export const Desk = Entity.make("Desk", [
  Rpc.make("persisted", { payload, primaryKey: ({ id }) => id, success: Schema.String }).annotate(
    ClusterSchema.Persisted,
    true
  ),
  Rpc.make("volatile", { payload, success: Schema.String }),
  Rpc.make("where", { success: Schema.String })
])

export class Sold extends Schema.TaggedError<Sold>()("Sold", {}) {}

/** Takes, and gives back, as what it is for fails. */
export class Order extends Workflow.make("Order", {
  payload,
  idempotencyKey: ({ id }) => id,
  error: Sold
}) {}
