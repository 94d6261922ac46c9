/** The row of (p) for clients that send what they should not, beside one that calls. */
import { Effect, Exit, Fiber } from "effect"
import { RpcSerialization } from "effect/rpc"
import { Zmq } from "effect-zmq"
import { hostileOf } from "../../test/support/rpc/hostile.ts"
import { serializations, startClient, startServer } from "../../test/support/rpc/transports.ts"
import { randomOf, seed } from "../moments.ts"
import type { Outcome, Size } from "../row.ts"
import { ipc } from "../wait.ts"
import { growthSince, progress, settle } from "../watch.ts"

const maxMessageSize = 100_000

export const hostility = async (size: Size): Promise<Outcome> => {
  const random = randomOf()
  const faults: Array<string> = []
  let sent = 0
  let answered = 0
  let asked = 0
  let growth = 0
  let ended = 0
  const program = Effect.gen(function* () {
    const transports = ["tcp://127.0.0.1:*", ipc(), "inproc://hostile"]
    const servers = yield* Effect.all(transports.map((bind) => startServer({ bind, maxMessageSize })))
    const goods = yield* Effect.all(servers.map(({ endpoints }) => startClient({ connect: endpoints })))
    const kinds = hostileOf(yield* RpcSerialization.RpcSerialization, maxMessageSize)
    const grown = yield* growthSince
    // It notices nothing: each of its calls is answered, by the server that it began with.
    const calling = yield* Effect.forEach(goods, (good) =>
      Effect.forkScoped(
        Effect.forever(
          Effect.gen(function* () {
            const text = `${asked++}`
            const exit = yield* Effect.exit(good.echo({ text }))
            if (Exit.isSuccess(exit) && exit.value === text) answered++
            else faults.push(`a call of another client ended with ${exit}`)
            yield* Effect.sleep(1)
          })
        )
      )
    )
    while (sent < size.count && faults.length < 10) {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { endpoints } = servers[random(servers.length)]!
          const socket = yield* Zmq.dealer({ connect: endpoints, linger: 100, monitor: false })
          for (let more = 1 + random(5); more > 0; more--) {
            for (const message of kinds[random(kinds.length)]!.messages) {
              yield* socket.send(message)
              sent++
            }
          }
          // Some leave at once, and some do not read.
          if (random(2) === 0) yield* Effect.sleep(random(5))
        })
      )
      progress(() => `${sent} messages`)
    }
    yield* Effect.sleep(200)
    for (const fiber of calling) yield* Fiber.interrupt(fiber)
    growth = grown()
    for (const [at, { seen, state }] of servers.entries()) {
      ended += state.stats.ended
      for (let turns = 0; turns < 1000 && (state.stats.clients > 1 || seen.running.size > 0); turns++) {
        yield* Effect.sleep(10)
      }
      if (state.stats.clients !== 1) faults.push(`${state.stats.clients} clients are left at ${transports[at]}`)
      if (seen.running.size > 0) faults.push(`${seen.running.size} handlers are left at ${transports[at]}`)
      if (state.stats.pending > 0) faults.push(`${state.stats.pending} messages wait at ${transports[at]}`)
    }
    if (growth > 200) faults.push(`the memory has grown by ${growth} MiB`)
  }).pipe(Effect.scoped, Effect.provide(serializations.ndjson))
  const exit = await Effect.runPromise(settle(program))
  if (exit._tag === "Failure") faults.push(`${exit.cause}`)
  return {
    sent: asked,
    // Those that were interrupted at the end are nobody's.
    delivered: answered,
    redelivered: 0,
    receivable: asked - answered,
    lost: 0,
    duplicated: 0,
    outOfOrder: null,
    faults,
    notes: [
      `${sent} messages of 32 kinds, ${ended} clients ended`,
      `the memory grew by ${growth} MiB at most`,
      `seed ${seed}`
    ]
  }
}
