/**
 * Runners of a cluster with a fixed set of them, and no database: what is measured is how
 * they reach each other. As a process it is as many runners as it is told to be, each over
 * another transport, and says how much memory it has, in MiB, when it is asked.
 */
import { createServer } from "node:net"
import { fileURLToPath } from "node:url"
import * as NodeClusterSocket from "@effect/platform-node/NodeClusterSocket"
import { Effect, Layer, Logger, Option, Schema } from "effect"
import {
  Entity,
  MachineId,
  MessageStorage,
  Runner,
  RunnerAddress,
  RunnerHealth,
  RunnerServer,
  RunnerStorage,
  ShardingConfig,
  SocketRunner
} from "effect/cluster"
import { Rpc, RpcSerialization } from "effect/rpc"
import { Engine } from "effect-zmq"
import * as Cluster from "effect-zmq/Cluster"
import { startChild } from "./child.ts"

export const transports = [
  "NodeClusterSocket",
  "effect-zmq",
  "effect-zmq on ZMTP",
  "effect-zmq, ipc",
  "effect-zmq on ZMTP, ipc"
] as const
export type Transport = (typeof transports)[number]

const Call = { payload: { text: Schema.String }, success: Schema.String }

export const Echo = Entity.make("Echo", [Rpc.make("echo", Call)])
/** Asks the echo of another runner, more often than not. */
export const Through = Entity.make("Through", [
  Rpc.make("echo", { payload: { text: Schema.String, to: Schema.String }, success: Schema.String })
])

const work = Layer.merge(
  Echo.toLayer({ echo: ({ payload: { text } }) => Effect.succeed(text) }),
  Through.toLayer(
    Effect.map(Echo.client, (echoes) => ({
      echo: ({ payload: { text, to } }) => Effect.orDie(echoes(to).echo({ text }))
    })),
    { concurrency: "unbounded" }
  )
)

/** By the port alone, as all are on one machine. */
const addressOf = (port: number) => RunnerAddress.make("127.0.0.1", port)

/** All runners, which nobody joins or leaves; each has the shards that it is assigned. */
const layerFixed = (ports: ReadonlyArray<number>) => {
  const all = ports.map((port) => Runner.make({ address: addressOf(port), groups: ["default"], weight: 1 }))
  return Layer.succeed(RunnerStorage.RunnerStorage, {
    getRunners: Effect.succeed(all.map((runner) => [runner, true] as const)),
    register: ({ address }) => Effect.succeed(MachineId.make(1 + ports.indexOf(address.port))),
    unregister: () => Effect.void,
    setRunnerHealth: () => Effect.void,
    acquire: (_, shards) => Effect.succeed([...shards]),
    refresh: (_, shards) => Effect.succeed([...shards]),
    release: () => Effect.void,
    releaseAll: () => Effect.void
  })
}

const linksOf = (transport: Transport): Cluster.LinkOptions =>
  transport.endsWith("ipc") ? { endpoint: ({ port }) => `ipc:///tmp/effect-zmq-bench-cluster-${port}` } : {}

const onEngine = (transport: Transport) => (transport.includes("ZMTP") ? Engine.layerZmtp : Layer.empty)

const serialization = RpcSerialization.layerSchemaBinary()

const overZmq = (links: Cluster.LinkOptions) =>
  Layer.provide(RunnerServer.layerWithClients, [
    Cluster.layerServerProtocol(links),
    Cluster.layerClientProtocol(links)
  ]).pipe(Layer.orDie)

/** One of the runners, at a port of its own. */
export const layerRunner = (transport: Transport, port: number, ports: ReadonlyArray<number>) => {
  const runner: ReturnType<typeof overZmq> =
    transport === "NodeClusterSocket"
      ? SocketRunner.layer.pipe(
          Layer.provide([NodeClusterSocket.layerSocketServer, NodeClusterSocket.layerClientProtocol]),
          Layer.orDie
        )
      : overZmq(linksOf(transport))
  return work.pipe(
    Layer.provide(runner),
    Layer.provide([RunnerHealth.layerNoop, MessageStorage.layerNoop, layerFixed(ports), serialization]),
    Layer.provide(ShardingConfig.layer({ runnerAddress: Option.some(addressOf(port)) })),
    Layer.provide(onEngine(transport))
  )
}

/** Who calls them, and is none itself. */
export const layerClient = (transport: Transport, ports: ReadonlyArray<number>) => {
  const protocol =
    transport === "NodeClusterSocket"
      ? NodeClusterSocket.layerClientProtocol
      : Cluster.layerClientProtocol(linksOf(transport))
  return RunnerServer.layerClientOnly.pipe(
    Layer.provide([protocol, MessageStorage.layerNoop, layerFixed(ports)]),
    Layer.provide([serialization, ShardingConfig.layer()]),
    Layer.provide(onEngine(transport))
  )
}

export interface Task {
  readonly transport: Transport
  readonly port: number
  readonly ports: ReadonlyArray<number>
}

const self = fileURLToPath(import.meta.url)

if (process.argv[1] === self && process.send !== undefined) {
  const tasks: ReadonlyArray<Task> = JSON.parse(process.argv[2]!)
  process.on("disconnect", () => process.exit())
  process.on("message", () => {
    process.send!(Math.round(process.memoryUsage.rss() / 2 ** 20))
  })
  const main = Effect.gen(function* () {
    yield* Effect.forEach(tasks, ({ port, ports, transport }) => Layer.build(layerRunner(transport, port, ports)))
    process.send!("up")
    return yield* Effect.never
  })
  Effect.runFork(main.pipe(Effect.scoped, Effect.provide(Layer.succeed(Logger.CurrentLoggers, new Set()))))
}

export const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { port: number }
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** A process with these runners, until the scope closes; and a way to ask for its memory. */
export const startRunners = Effect.fnUntraced(function* (tasks: ReadonlyArray<Task>) {
  const { ask } = yield* startChild(self, JSON.stringify(tasks))
  return { memory: ask<number>("memory") }
})
