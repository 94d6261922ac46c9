/** What is tried again and again keeps nothing of the tries before, though each error may keep its socket. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { it } from "@effect/vitest"
import { Effect, Layer, Schedule } from "effect"
import { RpcSerialization } from "effect/rpc"
import { Proxy, Zap, Zmq } from "effect-zmq"
import * as Rpc from "effect-zmq/Rpc"
import * as SocketServer from "effect-zmq/SocketServer"
import { freshEndpoint, until } from "./support/sockets.ts"

setFlagsFromString("--expose-gc")
const gc = runInNewContext("gc") as () => void

class Failed {
  readonly _tag = "Failed"
  readonly of: unknown
  constructor(of: unknown) {
    this.of = of
  }
}

const tries = 20

/** Each try makes something, and fails with an error that has it. */
const opened = {
  "a socket": Zmq.pull({ bind: freshEndpoint("inproc") }),
  "a proxy": Proxy.queue({ frontend: { bind: freshEndpoint("inproc") }, backend: { bind: freshEndpoint("inproc") } }),
  "an authenticator": Effect.map(Layer.build(Zap.layer({ domains: {} })), (context) => ({ context })),
  "a server of RPC": Effect.provide(
    Rpc.makeProtocolServer({ bind: freshEndpoint("inproc") }),
    RpcSerialization.layerJson
  ),
  "a client of RPC": Effect.provide(
    Rpc.makeProtocolClient({ connect: freshEndpoint("inproc") }),
    RpcSerialization.layerJson
  ),
  "a broker": Rpc.makeBroker({
    frontend: { bind: freshEndpoint("inproc") },
    backend: { bind: freshEndpoint("inproc") }
  }),
  "a server of sockets": SocketServer.make({ bind: freshEndpoint("inproc") })
}

for (const [name, open] of Object.entries(opened)) {
  it.live(`${name} that is opened in a retry, and closed`, () =>
    Effect.gen(function* () {
      const made: Array<WeakRef<object>> = []
      // Of the last ones something may still be on its way.
      const mostAreGone = until(
        Effect.sync(() => {
          gc()
          return made.filter((one) => one.deref() !== undefined).length < tries / 2
        })
      )
      const attempt = Effect.scoped(
        Effect.flatMap(open as (typeof opened)["a socket"], (one) => {
          made.push(new WeakRef(one))
          return Effect.fail(new Failed(one))
        })
      )
      const last = Effect.suspend(() => (made.length < tries ? attempt : mostAreGone))
      yield* Effect.retry(last, Schedule.spaced(1))
    })
  )
}
