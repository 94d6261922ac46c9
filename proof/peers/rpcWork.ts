/** Procedures of which each execution and each end is written down. */
import { Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"

export class Refused extends Schema.TaggedError<Refused>()("Refused", { id: Schema.String }) {}

export class Work extends RpcGroup.make(
  Rpc.make("echo", { payload: { id: Schema.String }, success: Schema.String }),
  Rpc.make("slow", { payload: { id: Schema.String }, success: Schema.String }),
  Rpc.make("refuse", { payload: { id: Schema.String }, success: Schema.String, error: Refused }),
  Rpc.make("stream", { payload: { id: Schema.String }, success: Schema.String, stream: true })
) {}

/** How many elements a stream has. */
export const elements = 40

// Long enough that a process that waits for its turn on a busy machine is not taken for one that is stopped.
export const pings = { pingInterval: "1 second", pingTimeout: "1500 millis" } as const
