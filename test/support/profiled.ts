/** Connects and disconnects many times while a profiler interrupts the process, and says how often it did. */
import { Session } from "node:inspector/promises"
import { Effect } from "effect"
import { Draft, Zmq } from "effect-zmq"
import { byEngine } from "./byEngine.ts"

const times = 3000

const program = Effect.gen(function* () {
  const pull = yield* Zmq.pull({ bind: ["inproc://profiled", "tcp://127.0.0.1:*"] })
  const push = yield* Zmq.push()
  // Drafts are of libzmq.
  const drafts = byEngine({ zeromq: true, zmtp: false })
  const server = drafts ? yield* Draft.server({ bind: "inproc://profiled-server" }) : undefined
  const client = drafts ? yield* Draft.client() : undefined
  for (let i = 0; i < times; i++) {
    for (const endpoint of pull.endpoints) {
      yield* push.connect(endpoint)
      yield* push.disconnect(endpoint)
    }
    if (client === undefined || server === undefined) continue
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
