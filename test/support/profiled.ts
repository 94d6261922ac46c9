/** Connects and disconnects many times while a profiler interrupts the process, and says how often it did. */
import { Session } from "node:inspector/promises"
import { Effect } from "effect"
import { Draft, Zmq } from "effect-zmq"

const times = 3000

const program = Effect.gen(function* () {
  const pull = yield* Zmq.pull({ bind: ["inproc://profiled", "tcp://127.0.0.1:*"] })
  const server = yield* Draft.server({ bind: "inproc://profiled-server" })
  const push = yield* Zmq.push()
  const client = yield* Draft.client()
  for (let i = 0; i < times; i++) {
    for (const endpoint of pull.endpoints) {
      yield* push.connect(endpoint)
      yield* push.disconnect(endpoint)
    }
    yield* client.connect(server.endpoints[0]!)
    yield* client.disconnect(server.endpoints[0]!)
  }
  return `${times} times`
})

const session = new Session()
session.connect()
await session.post("Profiler.enable")
await session.post("Profiler.setSamplingInterval", { interval: 50 })
await session.post("Profiler.start")
console.log(await Effect.runPromise(Effect.scoped(program)))
await session.post("Profiler.stop")
session.disconnect()
