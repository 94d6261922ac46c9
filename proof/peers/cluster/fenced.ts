/** Effects that are written down with a token: see `proof/cluster/schema.ts`. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"

// The database is away when this runner is cut off from it; in the end its shards are taken away, and this interrupted.
const persist = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.eventually(Effect.tapError(self, () => Effect.sleep(50)))

/** A way to write down an effect on what is worked for with a token. */
export const fencedWith = (token: string, of: string, name: string) =>
  Effect.map(
    SqlClient.SqlClient,
    (sql) => (call: string, kind: string, entity: string) =>
      Effect.asVoid(persist(sql`select effect(${call}, ${kind}, ${entity}, ${of}, ${name}, ${token}::bigint)`))
  )

/** The same, for what has no lock of its own: it takes the fence as it begins. */
export const fenced = (of: string, name: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const [row] = yield* persist(sql<{ token: string }>`select enter(${of}, ${name}) as token`)
    return yield* fencedWith(row!.token, of, name)
  })
