/** What `rpcServer.ts` serves. */
import { Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"

export const Counting = RpcGroup.make(
  Rpc.make("next", { payload: { after: Schema.Number }, success: Schema.Number }),
  Rpc.make("stuck")
)
