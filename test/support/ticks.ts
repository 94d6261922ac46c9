/** What `rpcPublisher.ts` publishes. */
import { Schema } from "effect"
import { Rpc } from "effect/rpc"

export const Ticks = Rpc.make("ticks", {
  payload: { name: Schema.String },
  success: Schema.Number,
  error: Schema.String,
  stream: true
})
