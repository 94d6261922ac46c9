/**
 * A runner in a process of its own, that says line by line what its handlers do. It is given its name, its port, the URL of
 * a Postgres and what is special about its configuration, and is told by a line for each call that it may go on.
 */
import { PgClient } from "@effect/sql-pg"
import { Cron, DateTime, Effect, Layer, Logger, Redacted } from "effect"
import { ClusterCron, ClusterWorkflowEngine } from "effect/cluster"
import { Activity } from "effect/workflow"
import * as Cluster from "effect-zmq/Cluster"
import { pause } from "../sockets.ts"
import { Desk, Order, Sold } from "./desk.ts"
import { quick } from "./runners.ts"

const [name = "", port, url = "", config = "{}"] = process.argv.slice(2)
const say = (line: string) => Effect.sync(() => void process.stdout.write(`${line}\n`))

const go = new Set<string>()
process.stdin.on("data", (text) => {
  for (const line of `${text}`.split("\n")) go.add(line)
})
// Nobody is there any more.
process.stdin.on("end", () => process.exit(1))

const told = (what: string) =>
  Effect.gen(function* () {
    yield* say(what)
    while (!go.has(what)) yield* pause(5)
  })

const handler = ({ payload: { id } }: { readonly payload: { readonly id: string } }) =>
  Effect.as(told(`do ${id}`), name)

const Handlers = Desk.toLayer(
  { persisted: handler, volatile: handler, where: () => Effect.succeed(name) },
  { concurrency: "unbounded" }
)

const Orders = Order.toLayer(({ id }) =>
  Effect.gen(function* () {
    yield* Activity.make({ name: "take", execute: say(`take ${id}`) }).pipe(
      Order.withCompensation(() => say(`give back ${id}`))
    )
    yield* Activity.make({
      name: "ship",
      error: Sold,
      execute: Effect.andThen(told(`ship ${id}`), Effect.fail(new Sold()))
    })
  })
)

const Bell = ClusterCron.make({
  name: "bell",
  cron: Cron.parseUnsafe("* * * * * *"),
  execute: Effect.flatMap(ClusterCron.CurrentScheduledTime, (at) => say(`bell ${DateTime.formatIso(at)}`))
})

const main = Layer.mergeAll(Handlers, Orders, Bell).pipe(
  Layer.provideMerge(ClusterWorkflowEngine.layer),
  Layer.provide(
    Cluster.layer({
      pingInterval: "500 millis",
      shardingConfig: { ...quick(Number(port)), ...JSON.parse(config) }
    })
  ),
  Layer.provide(PgClient.layer({ url: Redacted.make(url) })),
  Layer.provide(Layer.succeed(Logger.CurrentLoggers, new Set())),
  Layer.launch
)

const fiber = Effect.runFork(main)
process.on("SIGTERM", () => fiber.interruptUnsafe())
fiber.addObserver(() => process.exit(0))
