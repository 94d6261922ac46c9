/**
 * A client of RPC. Makes calls, some at a time, and writes `end ID KIND TIME` for each: so many in all, and of these as
 * many as it is told to, in lines. Arguments: its name, how many calls, and the endpoints.
 */
import { createInterface } from "node:readline"
import { Cause, Effect, Exit, Layer, Logger, Queue, Schedule, Stream } from "effect"
import { RpcClient, RpcSerialization } from "effect/rpc"
import { makeProtocolClient } from "effect-zmq/Rpc"
import { writeLine } from "./line.ts"
import { elements, pings, Work } from "./rpcWork.ts"

const [name = "", count = "", ...endpoints] = process.argv.slice(2)
const atOnce = 16

/** What became of a call: its own value, its own error, an error of the transport, or what must not be. */
const kindOf = (exit: Exit.Exit<string, unknown>, expected: string, refused: boolean): string => {
  if (Exit.isSuccess(exit)) return exit.value === expected && !refused ? "value" : `wrong:${exit.value}`
  const reason = exit.cause.reasons[0]
  // A server that is told to end interrupts what it has.
  if (Cause.hasInterruptsOnly(exit.cause)) return "interrupted"
  if (reason?._tag !== "Fail") return `wrong:${Cause.pretty(exit.cause).slice(0, 200).replaceAll(/\s+/g, "_")}`
  const error = reason.error as { readonly _tag: string; readonly id?: string }
  if (error._tag === "Refused") return error.id === expected && refused ? "error" : `wrong:${error.id}`
  return error._tag === "RpcClientError" ? "transport" : `wrong:${error._tag}`
}

const program = Effect.gen(function* () {
  const protocol = yield* makeProtocolClient({
    connect: endpoints,
    openTimeout: "5 seconds",
    retryPolicy: Schedule.spaced("50 millis"),
    ...pings
  })
  const client = yield* RpcClient.make(Work).pipe(Effect.provideService(RpcClient.Protocol, protocol))
  const call = (id: string, number: number): Effect.Effect<string, unknown> => {
    switch (number % 8) {
      case 0:
        return client.refuse({ id })
      case 1:
        return client.slow({ id })
      case 2:
        return Effect.map(Stream.runCollect(client.stream({ id })), (all) =>
          all.length === elements && all.every((one, i) => one === `${id}/${i + 1}`) ? id : `${id}:${all.length}`
        )
      default:
        return client.echo({ id })
    }
  }
  writeLine("ready")
  const told = yield* Queue.unbounded<void>()
  createInterface({ input: process.stdin }).on("line", (line) => {
    for (let more = Number(line); more > 0; more--) Queue.offerUnsafe(told, undefined)
  })
  let next = 0
  let ended = 0
  const caller = Effect.gen(function* () {
    while (true) {
      yield* Queue.take(told)
      const number = next++
      const id = `${name}-${number}`
      const exit = yield* Effect.exit(call(id, number))
      const kind = kindOf(exit, id, number % 8 === 0)
      writeLine(`end ${id} ${kind} ${Date.now()}`)
      if (++ended === Number(count)) return
      // While nobody is there, the calls are not all to fail at once.
      if (kind === "transport") yield* Effect.sleep(500)
    }
  })
  yield* Effect.raceAll(Array.from({ length: atOnce }, () => caller))
  writeLine("done")
}).pipe(
  Effect.scoped,
  Effect.provide(RpcSerialization.layerNdjson),
  Effect.provide(Layer.succeed(Logger.CurrentLoggers, new Set()))
)

Effect.runFork(program).addObserver((exit) => {
  if (Exit.isFailure(exit)) console.error(Cause.pretty(exit.cause))
  process.exit(Exit.isFailure(exit) ? 1 : 0)
})
