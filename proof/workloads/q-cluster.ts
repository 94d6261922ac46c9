/** A cluster whose runners are killed, frozen, ended, cut off the network, and joined by others. */
import { Effect } from "effect"
import { Blows, type Kind, kinds } from "../cluster/blows.ts"
import { type Cluster, type ClusterOptions, isOver, needsPostgres, startCluster, until } from "../cluster/cluster.ts"
import { readEffects } from "../cluster/effects.ts"
import { schema } from "../cluster/schema.ts"
import { randomOf, seed } from "../moments.ts"
import type { Peer } from "../processes.ts"
import type { Outcome, Row, Size, Workload } from "../row.ts"
import { outcomeOf, progress } from "../watch.ts"
import { strangers } from "./q-curve.ts"
import { durable } from "./q-durable.ts"
import { withoutLocks } from "./q-without-locks.ts"

const entities = 60
const shards = 32

const storm =
  (how: Pick<ClusterOptions, "transport" | "locks">) =>
  async (size: Size): Promise<Outcome> => {
    const random = randomOf()
    const faults: Array<string> = []
    const expiry = 5
    const program = Effect.gen(function* () {
      const cluster = yield* startCluster({ ...how, expiry, shards, schema, runner: "runner.ts" })
      const runners = size.quick ? 3 : 4
      yield* Effect.forEach(
        Array.from({ length: runners }, (_, at) => at + 1),
        (number) => cluster.start(number),
        { concurrency: "unbounded" }
      )
      yield* cluster.whole
      const client = yield* cluster.startClient(0, "client.ts", {}, String(entities))
      const blows = new Blows(cluster, random)
      const plan = size.quick
        ? (["killed", "frozen", "cut off", "killed", "ended"] as const)
        : Array.from({ length: 20 }, (_, at) => kinds[at % kinds.length]!)
      const shuffled = plan.map((kind) => [random(1 << 20), kind] as const).sort(([a], [b]) => a - b)
      const portion = Math.ceil(size.count / shuffled.length)

      const found = (text: string) => Effect.sync(() => void faults.push(text, `seed ${seed}`))
      const aged: Array<string> = []
      const note = (text: string) => Effect.sync(() => void aged.push(text))
      const replied = (): number => client.lines.filter((line) => line.startsWith("end p")).length
      const interrupted = (): number => client.lines.filter((line) => / interrupted /.test(line)).length
      const interrupts = new Map<Kind, number>()
      const tell = (line: string) => Effect.sync(() => void client.child.stdin!.write(`${line}\n`))
      for (const [at, [, kind]] of shuffled.entries()) {
        progress(() => `${replied()} of ${size.count} persisted calls, ${at} of ${shuffled.length} blows`)
        yield* tell(`go ${portion}`)
        // In the midst of them.
        const done = portion * at
        yield* until("some persisted calls replied", () => replied() >= done + Math.floor(portion / 4))
        const before = interrupted()
        yield* blows.strike(kind)
        const all = (patience: number) =>
          until(`all persisted calls replied (${kind})`, () => replied() >= done + portion || isOver(client), patience)
        // A message that a runner has read is read again after 10 minutes, where the runner lost its shard in between.
        // In the quick form the messages are made as old as that.
        const atLast = size.quick
          ? Effect.catch(all(60_000), () => Effect.andThen(Effect.flatMap(age(cluster), note), all(240_000)))
          : all(660_000)
        yield* Effect.tapError(atLast, () => Effect.flatMap(whereAre(cluster, client, done + portion), found))
        interrupts.set(kind, (interrupts.get(kind) ?? 0) + interrupted() - before)
      }
      yield* tell("stop")
      yield* until("the end of all calls", () => isOver(client))

      // The books.
      const last = client.lines.at(-1)?.split(" ") ?? []
      if (last[0] !== "done") faults.push(`the client ended early: ${client.stderr().slice(-2000)}`)
      const [persisted, volatile] = [Number(last[1]), Number(last[2])]
      const ends = new Map<string, string>()
      const ofKind = { p: new Map<string, number>(), v: new Map<string, number>() }
      let duplicated = 0
      let slowest = 0
      for (const line of client.lines) {
        const [what, id = "", kind = "", millis] = line.split(" ")
        if (what !== "end") continue
        if (ends.has(id)) duplicated++
        ends.set(id, kind)
        const of = ofKind[id.startsWith("p") ? "p" : "v"]
        const [sort = ""] = kind.split(":")
        of.set(sort, (of.get(sort) ?? 0) + 1)
        if (sort === "wrong" || (sort !== "value" && id.startsWith("p"))) faults.push(`${id}: ${kind}`)
        slowest = Math.max(slowest, Number(millis))
      }
      const effects = yield* readEffects(cluster.sql, blows.aways)
      const without = [...ends].filter(([id, kind]) => kind === "value" && !effects.times.has(id))
      if (without.length > 0) faults.push(`${without.length} calls replied to and not executed, as ${without[0]![0]}`)
      const { outlived, overlaps } = effects
      if (overlaps.length > 0) {
        faults.push(`${overlaps.length} effects while the shard was with another: ${overlaps[0]}`)
      }
      if (outlived.length > 0) {
        faults.push(`${outlived.length} effects of entities that outlived their shard in a runner: ${outlived[0]}`)
      }
      const limit = (expiry + 1) * 1000
      const late = blows.moves.filter((millis) => millis > limit)
      const byKind = [...interrupts].filter(([, times]) => times > 0).map(([kind, times]) => `${times} ${kind}`)
      const told = (kind: Map<string, number>) => [...kind].map(([name, count]) => `${count} ${name}`).join(", ")
      const twice = (prefix: string) =>
        [...effects.times].filter(([id, times]) => id.startsWith(prefix) && times > 1).length
      return {
        sent: persisted + volatile,
        delivered: ends.size,
        lost: persisted + volatile - ends.size + without.length,
        duplicated,
        notes: [
          `persisted: ${told(ofKind.p)}, ${twice("p")} executed twice; volatile: ${told(ofKind.v)}, ${twice("v")} executed twice; the slowest took ${slowest} ms`,
          ...(byKind.length === 0 ? [] : [`interrupted as a runner was: ${byKind.join(", ")}`]),
          Object.entries(blows.counts)
            .map(([name, count]) => `${count} ${name}`)
            .join(", ") + (cluster.cuts === "relays" ? " (cut by relays, and not by links)" : ""),
          `${blows.moves.length} shards moved, ${late.length} of them later than the locks' ${expiry} s and one more, the last after ${Math.max(0, ...blows.moves)} ms`,
          `${effects.count} effects, ${effects.late} of them by a runner that had been away and did not know that its shard was with another (${blows.aways.length} times away; it took up to ${Math.max(0, ...blows.lags)} ms to know); ${outlived.length} by an entity of a runner that had lost the shard meanwhile, and taken it again`,
          ...aged,
          `seed ${seed}`
        ]
      }
    })
    return outcomeOf(program, faults)
  }

const curve: Row = {
  library: "effect-zmq",
  variant: "CURVE, beside runners without a key",
  quick: 100,
  full: 1000,
  limit: { quick: 300, full: 900 },
  run: strangers,
  skip: needsPostgres
}

/** What the database has of calls that nobody has replied to, and who has their shards. */
const whereAre = (cluster: Cluster, client: Peer, count: number) =>
  Effect.gen(function* () {
    const ended = new Set(client.lines.filter((line) => line.startsWith("end p")).map((line) => line.split(" ")[1]))
    const missing = Array.from({ length: count }, (_, number) => `p${number}@c0`).filter((id) => !ended.has(id))
    const kept = yield* cluster.sql<{ message: string; shard: string; processed: boolean; read: string | null }>`
      select message_id as message, shard_id as shard, processed, (now() - last_read)::text as read
      from cluster_messages where payload like ${`%"${missing[0]}"%`} or message_id like ${`%${missing[0]}%`}`
    const done = yield* cluster.sql<{ runner: string; ago: string }>`
      select runner, (now() - at)::text as ago from effects where call = ${missing[0]!}`
    const who = cluster.live().map(({ name, shards }) => `${name}: ${[...shards.now()].join(" ")}`)
    return `${missing.length} without a reply, as ${missing[0]}: kept ${JSON.stringify(kept)}, done ${JSON.stringify(done)}; shards ${who.join("; ")}`
  })

/** Makes what runners have read, and not finished, 10 minutes older: then it is read again. Says what that was. */
const age = ({ live, sql }: Cluster) =>
  Effect.map(
    sql<{ shard: string; read: string }>`
      update cluster_messages set last_read = last_read - interval '10 minutes'
      where not processed and last_read < now() - interval '30 seconds'
      returning shard_id as shard, (now() - last_read)::text as read`,
    (rows) => {
      const first = rows.slice(0, 3).map(({ read, shard }) => `${shard} ${read}`)
      const who = live().map(({ name, shards }) => `${name}: ${shards.came.slice(-3).join("; ")}`)
      return `${rows.length} messages made 10 minutes older, as nobody finished them: ${first} (${who})`
    }
  )

/** Whether effects of two at once are seen at all. */
const broken: Row = {
  library: "effect-zmq",
  variant: "locks that everyone gets: what must be found",
  quick: 0,
  full: 300,
  limit: { quick: 300, full: 600 },
  run: withoutLocks,
  skip: needsPostgres
}

const rows: ReadonlyArray<Row> = (["advisory", "rows"] as const).flatMap((locks) =>
  (["zmq", "node"] as const).flatMap((transport) => {
    const common = {
      library: transport === "zmq" ? ("effect-zmq" as const) : ("NodeClusterSocket" as const),
      limit: { quick: 400, full: 3000 },
      skip: needsPostgres
    }
    const how = locks === "rows" ? "locks in rows" : "advisory locks"
    return [
      {
        ...common,
        variant: `calls, ${how}`,
        quick: 0,
        full: 10_000,
        run: storm({ transport, locks })
      },
      {
        ...common,
        variant: `a workflow, a singleton and a job, ${how}`,
        quick: 0,
        full: 1,
        run: durable({ transport, locks })
      }
    ]
  })
)

export const workload: Workload = {
  id: "q",
  title: "A cluster whose runners are killed, frozen, ended, cut off the network, and joined by others",
  counting:
    "Sent are calls of entities, persisted ones and volatile ones, and delivered is a call that has ended. How often they were executed is below.",
  rows: [...rows, curve, broken]
}
