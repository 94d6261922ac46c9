/** Effects that are written down with a token: see `proof/cluster/schema.ts`. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/** Takes the fence of what is worked for, and gives a way to write down an effect with its token. */
export const fenced = (of: string, name: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    // The database is away when this runner is cut off from it; in the end its shards are taken away, and this interrupted.
    const persist = <A, E, R>(self: Effect.Effect<A, E, R>) =>
      Effect.eventually(Effect.tapError(self, () => Effect.sleep(50)))
    const [row] = yield* persist(sql<{ token: string }>`select enter(${of}, ${name}) as token`)
    const token = row!.token
    return (call: string, kind: string, entity: string) =>
      Effect.asVoid(persist(sql`select effect(${call}, ${kind}, ${entity}, ${of}, ${name}, ${token}::bigint)`))
  })
