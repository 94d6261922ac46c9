/** What the runners of a cluster do: accounts, whose effects are counted, and desks that ask them for others. */
import { Effect, Layer, Schema } from "effect"
import { ClusterSchema, Entity } from "effect/cluster"
import { Rpc } from "effect/rpc"
import { fencedWith } from "./fenced.ts"
import { tokenOf } from "./locks.ts"

const Call = { payload: { id: Schema.String }, success: Schema.String }

/** A persisted call is executed at least once, whoever dies. */
const Book = Rpc.make("book", { ...Call, primaryKey: ({ id }) => id }).annotate(ClusterSchema.Persisted, true)
/** A volatile one lives in memory alone. */
const Look = Rpc.make("look", Call)

export const Account = Entity.make("Account", [Book, Look])
/** In a process of its own more often than not: a call from runner to runner. */
export const Desk = Entity.make("Desk", [
  Rpc.make("ask", { payload: { id: Schema.String, account: Schema.String }, success: Schema.String })
])

/** Writes down the effects on an account, with the token of its shard. */
const fencedAccount = (name: string) =>
  Effect.gen(function* () {
    const address = yield* Entity.CurrentAddress
    const effect = yield* fencedWith(tokenOf(address.shardId), address.shardId.toString(), name)
    return (id: string, kind: string) => effect(id, kind, address.entityId)
  })

export const layerWork = (name: string) =>
  Layer.merge(
    Account.toLayer(
      Effect.gen(function* () {
        const effect = yield* fencedAccount(name)
        return {
          book: ({ payload: { id } }) => Effect.as(effect(id, "book"), id),
          look: ({ payload: { id } }) => Effect.as(effect(id, "look"), id)
        }
      })
    ),
    Desk.toLayer(
      Effect.gen(function* () {
        const accounts = yield* Account.client
        return { ask: ({ payload: { account, id } }) => Effect.orDie(accounts(account).look({ id })) }
      }),
      { concurrency: "unbounded" }
    )
  )
