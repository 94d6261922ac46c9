import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BrokerOptions, BrokerState } from "../../Rpc.ts"
import { OptionError, type SocketError } from "../../ZmqError.ts"
import { lasting } from "../lasting.ts"
import { openSocket } from "../socket/open.ts"
import { Warnings } from "../socket/warnings.ts"
import { Broker } from "./broker.ts"
import * as Options from "./options.ts"
import { lookEvery, passing } from "./passing.ts"
import { mostOf } from "./size.ts"
import * as Wire from "./wire.ts"

const read = ({ backend, frontend, maxPendingPerClient }: BrokerOptions) => {
  const side = (name: string, options: BrokerOptions["frontend"]) => {
    Options.without(options, ["mandatory", "handover", "routingId", "probeRouter", "connect"])
    if (Options.listOf(options.bind).length === 0) {
      throw new OptionError({
        option: `${name}.bind`,
        value: options.bind,
        expected: "an endpoint to bind, or several"
      })
    }
    const all = { ...options, maxMessageSize: options.maxMessageSize ?? Options.defaultMessageSize }
    Options.check("router", all)
    return all
  }
  return {
    frontend: side("frontend", frontend),
    backend: side("backend", backend),
    mostPending: Options.countOf("maxPendingPerClient", maxPendingPerClient, 10_000)
  }
}

export const makeBroker = (options: BrokerOptions): Effect.Effect<BrokerState, SocketError, Scope.Scope> =>
  Effect.gen(function* () {
    const { backend, frontend, mostPending } = yield* Options.checked(() => read(options))
    const context = yield* lasting<never>()
    const fork = Effect.runForkWith(context)
    const warnings = new Warnings((count) =>
      fork(Effect.logWarning(`effect-zmq: a broker has dropped ${count} more times what nobody reads`))
    )
    const front = yield* openSocket("router", frontend, Wire.farewell)
    const back = yield* openSocket("router", backend, Wire.farewell)
    const broker = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new Broker(
            front,
            back,
            mostPending,
            { front: mostOf(frontend), back: mostOf(backend) },
            (servers) => fork(Effect.logDebug(`effect-zmq: ${servers} servers are behind a broker`)),
            (why) => {
              if (warnings.isNew(why)) fork(Effect.logWarning(`effect-zmq: ${why}`))
            }
          )
      ),
      (broker) =>
        Effect.sync(() => {
          broker.close()
          warnings.close()
        })
    )
    yield* Effect.forkScoped(passing(lookEvery, (millis) => broker.pass(millis)))
    return {
      frontend: front.endpoints,
      backend: back.endpoints,
      get stats() {
        return broker.stats
      }
    }
  })
