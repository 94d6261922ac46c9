/** A server of RPC in a process of its own. Arguments: an endpoint, "bind" or "connect", and how it is called. */
import { Effect, Layer, Logger, Stream } from "effect"
import { RpcSerialization, RpcServer } from "effect/rpc"
import * as Rpc from "effect-zmq/Rpc"
import { Work } from "./work.ts"

const [endpoint = "", how, name = ""] = process.argv.slice(2)
const say = (line: string): void => void process.stdout.write(`${line}\n`)

const Handlers = Work.toLayer({
  name: () => Effect.succeed(name),
  run: ({ id }) =>
    Effect.sync(() => {
      say(`run ${id}`)
      return name
    }),
  hang: ({ id }) =>
    Effect.sync(() => say(`hang ${id}`)).pipe(
      Effect.andThen(Effect.never),
      Effect.onInterrupt(() => Effect.sync(() => say(`interrupted ${id}`)))
    ),
  block: ({ millis }) =>
    Effect.sync(() => {
      const until = Date.now() + millis
      while (Date.now() < until);
      return name
    }),
  ticks: ({ every }) => {
    let tick = 0
    return Stream.fromEffectRepeat(Effect.sync(() => ++tick).pipe(Effect.delay(every)))
  }
})

const main = Effect.gen(function* () {
  const at = how === "connect" ? { connect: endpoint } : { bind: endpoint }
  const state = yield* Rpc.makeProtocolServer({ ...at, pingInterval: "300 millis" })
  say(`bound ${state.endpoint.endpoints[0] ?? ""}`)
  process.stdin.on("data", (text) => {
    if (`${text}`.includes("stats")) say(`stats ${JSON.stringify(state.endpoint.stats)}`)
  })
  yield* RpcServer.make(Work).pipe(Effect.provideService(RpcServer.Protocol, state.protocol), Effect.provide(Handlers))
}).pipe(
  Effect.scoped,
  Effect.provide(RpcSerialization.layerNdjson),
  Effect.provide(Layer.succeed(Logger.CurrentLoggers, new Set()))
)

const fiber = Effect.runFork(main)
process.on("SIGTERM", () => fiber.interruptUnsafe())
fiber.addObserver(() => process.exit(0))
