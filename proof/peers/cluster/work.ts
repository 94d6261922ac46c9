/** What the runners of a cluster do: accounts, whose effects are counted, and desks that ask them for others. */
import { Effect, Layer, Schema } from "effect"
import { ClusterSchema, Entity } from "effect/cluster"
import { Rpc } from "effect/rpc"
import { SqlClient } from "effect/sql"

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

/** What a shard is worked for with: its token, and a way to write down an effect. */
const fenced = (name: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const address = yield* Entity.CurrentAddress
    const shard = address.shardId.toString()
    // The database is away when this runner is cut off from it; in the end its shards are taken away, and this interrupted.
    const persist = <A, E, R>(self: Effect.Effect<A, E, R>) =>
      Effect.eventually(Effect.tapError(self, () => Effect.sleep(50)))
    const [row] = yield* persist(sql<{ token: string }>`select enter(${shard}, ${name}) as token`)
    const token = row!.token
    return (id: string, kind: string) =>
      persist(sql`select effect(${id}, ${kind}, ${address.entityId}, ${shard}, ${name}, ${token}::bigint)`)
  })

export const layerWork = (name: string) =>
  Layer.merge(
    Account.toLayer(
      Effect.gen(function* () {
        const effect = yield* fenced(name)
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
