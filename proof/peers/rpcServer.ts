/** A server of RPC. Writes `started TIME`, and `run ID TIME` for each call that it executes. Arguments: bind or connect, and the endpoint. */
import { Effect, Layer, Logger, Schedule, Stream } from "effect"
import { RpcSerialization, RpcServer } from "effect/rpc"
import { makeProtocolServer } from "effect-zmq/Rpc"
import { writeLine } from "./line.ts"
import { elements, pings, Refused, Work } from "./rpcWork.ts"

const [how = "", endpoint = ""] = process.argv.slice(2)

const ran = (id: string) => Effect.sync(() => writeLine(`run ${id} ${Date.now()}`))

const handlers = Work.toLayer({
  echo: ({ id }) => Effect.as(ran(id), id),
  slow: ({ id }) => Effect.as(Effect.andThen(ran(id), Effect.sleep(20)), id),
  refuse: ({ id }) => Effect.andThen(ran(id), Effect.fail(new Refused({ id }))),
  stream: ({ id }) =>
    Stream.fromEffect(ran(id)).pipe(
      Stream.flatMap(() => Stream.range(1, elements)),
      Stream.map((n) => `${id}/${n}`),
      Stream.rechunk(3)
    )
})

const program = Effect.gen(function* () {
  const { protocol } = yield* makeProtocolServer(
    how === "connect" ? { connect: endpoint, retryPolicy: Schedule.spaced("50 millis"), ...pings } : { bind: endpoint }
  )
  writeLine(`started ${Date.now()}`)
  yield* RpcServer.make(Work).pipe(Effect.provideService(RpcServer.Protocol, protocol), Effect.provide(handlers))
}).pipe(
  Effect.scoped,
  Effect.provide(RpcSerialization.layerNdjson),
  Effect.provide(Layer.succeed(Logger.CurrentLoggers, new Set()))
)

const fiber = Effect.runFork(program)
fiber.addObserver(() => process.exit(0))
process.on("SIGTERM", () => fiber.interruptUnsafe())
