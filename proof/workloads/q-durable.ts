/** A workflow whose runner ends at each place of it in turn, with a singleton and a job for each second beside it. */
import { Effect, Fiber } from "effect"
import { Blows } from "../cluster/blows.ts"
import { type ClusterOptions, isOver, startCluster, until } from "../cluster/cluster.ts"
import { schema } from "../cluster/schema.ts"
import { randomOf, seed } from "../moments.ts"
import { places, steps } from "../peers/cluster/order.ts"
import type { Outcome, Size } from "../row.ts"
import { outcomeOf, progress } from "../watch.ts"

/** Says that a runner is to end for this, which it is once. */
const endings = [
  "create table endings (id text primary key, runner text not null)",
  `create function ends(for_id text, of_runner text) returns boolean language sql as $$
    with first as (insert into endings values (for_id, of_runner) on conflict do nothing returning 1)
    select exists (select from first)
  $$`
]

interface Done {
  readonly call: string
  readonly kind: string
  readonly times: number
}

export const durable =
  (how: Pick<ClusterOptions, "transport" | "locks">) =>
  async (size: Size): Promise<Outcome> => {
    const random = randomOf()
    const faults: Array<string> = []
    const program = Effect.gen(function* () {
      const cluster = yield* startCluster({
        ...how,
        expiry: 2,
        shards: 16,
        schema: [...schema, ...endings],
        runner: "durable.ts"
      })
      const runners = 3
      yield* Effect.forEach([1, 2, 3], (number) => cluster.start(number), { concurrency: "unbounded" })
      const client = yield* cluster.startClient(0, "orders.ts", {})
      // What becomes of a runner that has the singleton, besides that it is killed.
      const blows = new Blows(cluster, random)
      const holder = Effect.map(
        cluster.sql<{ holder: string }>`select holder from fence where shard = 'ticker'`,
        ([row]) => cluster.runners.find(({ name }) => name === row!.holder)!
      )
      for (const kind of ["frozen", "cut off", "ended"] as const) {
        progress(() => `the singleton's runner is ${kind}`)
        yield* cluster.whole
        yield* blows.strike(kind, yield* holder)
      }

      const between = (place: string) => !place.startsWith("in ")
      const all = [
        ...places.forward.map((place) => ({ place, fails: false })),
        ...[...places.forward, ...places.back].map((place) => ({ place, fails: true }))
      ]
      // Between two activities is what is asked; in one of them takes as long again.
      const orders = all
        .filter(({ place }) => !size.quick || between(place))
        .map((one, at) => ({ ...one, id: `o${at}` }))
      let next = runners + 1
      /** Orders that went on only when one more runner had ended, and where their first had. */
      const stopped = new Map<string, string>()
      for (const [at, { fails, id, place }] of orders.entries()) {
        progress(() => `${at} of ${orders.length} places`)
        const before = cluster.live().length
        client.child.stdin!.write(`${id} ${fails} ${place}\n`)
        yield* until(`the end of a runner ${place}`, () => cluster.live().length < before || isOver(client))
        // Elsewhere: who takes over was there before, or has nothing of who ended.
        const started = yield* Effect.forkChild(cluster.start(next++))
        const ended = (patience?: number) =>
          until(
            `the end of an order whose runner ended ${place}`,
            () => client.lines.some((line) => line.startsWith(`end ${id} `)) || isOver(client),
            patience
          )
        // The compensation of a workflow whose shard moves meanwhile waits until its runner ends (effect 4.1.0), as its
        // activity is read by nobody while the shard waits for it to end.
        yield* fails
          ? Effect.catchTag(ended(60_000), "NeverCame", () =>
              Effect.gen(function* () {
                stopped.set(id, place)
                const [row] = yield* cluster.sql<{ holder: string }>`
                  select holder from fence where shard = ${`order ${id}`}`
                yield* Effect.promise(() => cluster.runners.find(({ name }) => name === row!.holder)!.peer.kill())
                yield* cluster.start(next++)
                yield* ended()
              })
            )
          : ended()
        // Until it has its part: the next order is not to meet with moving shards.
        const { shards } = yield* Fiber.join(started)
        yield* until("shards for who joined", () => shards.now().size > 0)
        yield* cluster.whole
      }
      yield* cluster.whole

      // The books.
      const done = yield* cluster.sql<Done>`select call, kind, count(*)::int as times from effects group by 1, 2`
      const times = new Map(done.map((one) => [one.call, one.times]))
      let lost = 0
      let twice = 0
      for (const { fails, id, place } of orders) {
        const end = client.lines.find((line) => line.startsWith(`end ${id} `))?.split(" ")[2]
        if (end !== (fails ? "Refused" : "value")) {
          lost++
          faults.push(`an order whose runner ended ${place}: ${end}`)
        }
        for (const step of [...steps, ...steps.map((step) => `undo ${step}`)]) {
          const must = step.startsWith("undo") && !fails ? 0 : 1
          const is = times.get(`${id} ${step}`) ?? 0
          // It has no result yet, and is executed again.
          const again = Number(place === `in ${step}`) + Number(stopped.has(id) && step.startsWith("undo"))
          if (is > must) twice++
          if (is < must || is > must + again) faults.push(`${step} ${is} times, where its runner ended ${place}`)
        }
      }
      const away = blows.aways
      const ticks = yield* cluster.sql<{ runner: string; late: number; first: number; last: number; token: string }>`
        select runner, token, count(*) filter (where token < current)::int as late,
          (extract(epoch from min(at)) * 1000)::float8 as first,
          (extract(epoch from max(at) filter (where token = current)) * 1000)::float8 as last
        from effects where kind = 'tick' group by 1, 2 order by token::bigint`
      let late = 0
      let pause = 0
      for (const [at, tick] of ticks.entries()) {
        late += tick.late
        if (tick.late > 0 && !away.some(({ runner }) => runner === tick.runner)) {
          faults.push(`the singleton went on in ${tick.runner} ${tick.late} times, while it was with another`)
        }
        const following = ticks[at + 1]
        if (following === undefined) continue
        if (following.first < tick.last)
          faults.push(`the singleton was in ${tick.runner} and ${following.runner} at once`)
        pause = Math.max(pause, following.first - tick.last)
      }
      const rung = done.filter(({ kind }) => kind === "bell")
      const seconds = rung.map(({ call }) => Date.parse(call) / 1000).sort((a, b) => a - b)
      const holes = seconds.filter((second, at) => at > 0 && second !== seconds[at - 1]! + 1)
      if (holes.length > 0) faults.push(`the job has ${holes.length} holes, as before ${holes[0]}`)
      const bellTwice = rung.filter(({ times }) => times > 1).length
      const deaths = orders.length + stopped.size
      if (bellTwice > deaths + 3) faults.push(`the job ran twice for ${bellTwice} seconds, at ${deaths} deaths`)
      return {
        sent: orders.length,
        delivered: orders.length - lost,
        lost,
        duplicated: 0,
        notes: [
          `${orders.length} places at which the runner of a workflow was killed, on the way and on the way back; ${twice} activities executed twice, each killed behind its effect and before its result`,
          ...(stopped.size === 0
            ? []
            : [
                `${stopped.size} orders, whose runner ended ${[...stopped.values()].join(", ")}, compensated while their shard moved to a runner that joined, and went on when theirs was killed: effect 4.1.0 lets each wait for the other`
              ]),
          `the singleton in ${ticks.length} runners one after the other, ${pause.toFixed(0)} ms without it at most; ${late} ticks of one that was away and did not know`,
          `the job ran for each of ${seconds.length} seconds, twice for ${bellTwice}`,
          `seed ${seed}`
        ]
      }
    })
    return outcomeOf(program, faults)
  }
