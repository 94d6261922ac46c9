/** Procedures of a server in a process of its own. */
import { Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"

export class Work extends RpcGroup.make(
  Rpc.make("name", { success: Schema.String }),
  Rpc.make("run", { payload: { id: Schema.String }, success: Schema.String }),
  Rpc.make("hang", { payload: { id: Schema.String }, success: Schema.String }),
  Rpc.make("block", { payload: { millis: Schema.Number }, success: Schema.String }),
  Rpc.make("ticks", { payload: { every: Schema.Number }, success: Schema.Number, stream: true })
) {}
