/** A broker: clients and workers know its address only, and either may come and go. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Fiber } from "effect"
import { Proxy, Zmq } from "effect-zmq"

const worker = Zmq.serve(([number]) => Effect.succeed(String(Number(number) ** 2)))

const client = (numbers: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const squares: Array<string> = []
    for (const number of numbers) squares.push(`${(yield* Zmq.request(`${number}`))[0]}`)
    console.log(squares.join(" "))
  })

const program = Effect.gen(function* () {
  const broker = yield* Proxy.queue({
    frontend: { bind: "tcp://127.0.0.1:*" },
    backend: { bind: "tcp://127.0.0.1:*" }
  })
  const [forClients, forWorkers] = [broker.frontend.endpoints[0]!, broker.backend.endpoints[0]!]

  const addWorker = worker.pipe(Effect.provide(Zmq.layer(Zmq.rep({ connect: forWorkers }))), Effect.forkScoped)
  const ask = (...numbers: ReadonlyArray<number>) =>
    client(numbers).pipe(Effect.provide(Zmq.layer(Zmq.req({ connect: forClients }))))

  // The first request waits until there is a worker.
  const first = yield* Effect.forkScoped(ask(1, 2, 3))
  yield* addWorker
  yield* addWorker
  yield* Fiber.join(first)
  yield* ask(4, 5, 6)

  // Nothing passes a broker that is paused, and nothing is lost.
  yield* broker.pause
  const later = yield* Effect.forkScoped(ask(7, 8, 9))
  yield* Effect.sleep("100 millis")
  console.log(`paused: ${broker.stats.toBackend.messages} requests so far`)
  yield* broker.resume
  yield* Fiber.join(later)

  const { toBackend, toFrontend } = broker.stats
  console.log(`${toBackend.messages} requests to the workers, ${toFrontend.messages} replies back`)
})

NodeRuntime.runMain(Effect.scoped(program))
