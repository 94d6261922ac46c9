/** Publishes `Ticks`, until it is killed. Prints where it listens, and what is run. */
import { Effect, Schedule, Stream } from "effect"
import { RpcSerialization } from "effect/rpc"
import * as ZmqRpc from "../../src/Rpc.ts"
import { Ticks } from "./ticks.ts"

const main = Effect.gen(function* () {
  const from = Number(process.argv[3])
  const publication = yield* ZmqRpc.publish(
    Ticks,
    ({ name }) => {
      console.log(`runs ${name}`)
      return Stream.fromSchedule(Schedule.spaced("5 millis")).pipe(Stream.map((i) => from + i))
    },
    { bind: process.argv[2]! }
  )
  console.log(publication.endpoints[0])
  return yield* Effect.never
})

Effect.runFork(Effect.scoped(main).pipe(Effect.provide(RpcSerialization.layerNdjson)))
