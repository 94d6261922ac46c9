/** The process with one client of a cluster, over one transport. It makes the calls that it is told to, and says how long they took. */
import { fileURLToPath } from "node:url"
import { Context, Effect, Layer, Logger } from "effect"
import { Sharding } from "effect/cluster"
import { startChild } from "./child.ts"
import { Echo, layerClient, Through, type Transport } from "./clusterPeer.ts"
import { callsOf, type Sample } from "./harness.ts"

const text = "a".repeat(16)
const entities = 64

/** Calls, so many at once. Of those that go `through`, every second one goes on to an entity of another runner. */
interface Calls {
  readonly calls: number
  readonly atOnce: number
  readonly through?: boolean
}

const callingOf = Effect.fnUntraced(function* (transport: Transport, ports: ReadonlyArray<number>) {
  const context = yield* Layer.build(layerClient(transport, ports))
  const sharding = Context.get(context, Sharding.Sharding)
  const echoes = yield* sharding.makeClient(Echo)
  const throughs = yield* sharding.makeClient(Through)
  // Once each: until the shards are with their runners, a call is made again.
  for (let at = 0; at < entities; at++) {
    yield* echoes(`e${at}`).echo({ text })
    yield* throughs(`t${at}`).echo({ text, to: `e${(at + 1) % entities}` })
  }
  return ({ atOnce, calls, through }: Calls): Effect.Effect<Sample, unknown> =>
    callsOf(
      "calls of entities",
      (number) => {
        const one = number % entities
        return through && number % 2 === 1
          ? throughs(`t${one}`).echo({ text, to: `e${(number * 7) % entities}` })
          : echoes(`e${one}`).echo({ text })
      },
      atOnce,
      calls
    )
})

const self = fileURLToPath(import.meta.url)

if (process.argv[1] === self && process.send !== undefined) {
  const main = Effect.gen(function* () {
    const calling = yield* callingOf(process.argv[2] as Transport, JSON.parse(process.argv[3]!))
    process.on("message", (calls: Calls) => {
      void Effect.runPromise(calling(calls)).then((sample) => process.send!(sample))
    })
    process.send!("there")
    return yield* Effect.never
  })
  process.on("disconnect", () => process.exit())
  Effect.runFork(main.pipe(Effect.scoped, Effect.provide(Layer.succeed(Logger.CurrentLoggers, new Set()))))
}

/** A client in a process of its own, until the scope closes. */
export const startClient = Effect.fnUntraced(function* (transport: Transport, ports: ReadonlyArray<number>) {
  const { ask } = yield* startChild(self, transport, JSON.stringify(ports))
  return (calls: Calls): Effect.Effect<Sample> => ask<Sample>({ ...calls })
})
