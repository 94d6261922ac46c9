/** The row of (m) for a PUB: what its subscribers may do to each other. */
import { Effect } from "effect"
import { Zmq } from "effect-zmq"
import { randomOf, seed } from "../moments.ts"
import { startNodePeer } from "../processes.ts"
import type { Outcome, Size } from "../row.ts"
import { endOf, patience, told, untilLeast, untilTold } from "../told.ts"
import { growthSince, progress, settle, watchFiber } from "../watch.ts"

const goodOnes = 50
const mostGrowth = 256

// A PUB drops what a subscriber has no room for, which is 1,000 messages: the good
// ones are never so far behind, however busy the machine.
const mostAhead = 500

const kinds = ["flood", "deaf", "dead", "churn", "garbage", "returning"] as const

export const publish = async (size: Size): Promise<Outcome> => {
  const random = randomOf()
  const faults: Array<string> = []
  let books = { sent: 0, delivered: 0, lost: 0, duplicated: 0, outOfOrder: 0 }
  let ticks = 0
  let growth = 0
  let longest = 0
  const program = Effect.gen(function* () {
    const pub = yield* Zmq.pub({ bind: "tcp://127.0.0.1:*", linger: "60 seconds" })
    const start = (kind: string) =>
      startNodePeer("subscriber.ts", kind, pub.endpoints[0]!, JSON.stringify({ count: goodOnes, seed: random(1e9) }))
    const good = yield* start("good")
    yield* pub.awaitSubscribers("tick ", goodOnes)
    let over = false
    const ticking = watchFiber(
      yield* Effect.forkScoped(
        Effect.gen(function* () {
          const body = "b".repeat(200)
          let last = performance.now()
          while (!over) {
            const { least = 0 } = told(good, "least") ?? {}
            for (let burst = 0; burst < 20 && ticks < least + mostAhead; burst++)
              yield* pub.send([`tick ${ticks++}`, body])
            yield* Effect.sleep(1)
            const now = performance.now()
            longest = Math.max(longest, now - last)
            last = now
          }
        })
      )
    )
    const more = size.quick ? 1000 : 5000
    const untilTicked = Effect.map(untilLeast(good, more), (stood) => {
      if (stood) faults.push(`the good subscribers had nothing for ${patience} s`)
    })
    yield* untilTicked
    const memory = yield* growthSince
    for (let round = 0; round < size.count && faults.length === 0; round++) {
      for (const kind of kinds.toSorted(() => random(2) - 0.5)) {
        progress(() => `round ${round + 1}, ${kind}, ${ticks} ticks`)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const peer = yield* start(kind === "dead" ? "deaf" : kind)
            yield* untilTold(peer, "asked")
            yield* untilTicked
            if (kind === "dead") yield* Effect.promise(() => peer.kill())
            yield* untilTicked
          })
        )
      }
    }
    yield* untilTicked
    growth = memory()
    over = true
    while (ticking.pollUnsafe() === undefined) yield* Effect.sleep(1)
    const last = yield* Effect.timeoutOption(
      Effect.gen(function* () {
        while (told(good, "least")!.least! < ticks) yield* Effect.sleep(10)
      }),
      `${patience} seconds`
    )
    if (last._tag === "None") faults.push("the last ticks did not arrive")
    books = { ...books, ...(yield* endOf(good)).books }
  })
  await Effect.runPromise(settle(Effect.scoped(program)))
  if (growth > mostGrowth) faults.push(`memory grew by ${growth} MiB, of ${mostGrowth} MiB that it may`)
  const sent = ticks * goodOnes
  return {
    ...books,
    sent,
    lost: sent - books.delivered,
    redelivered: 0,
    receivable: 0,
    faults,
    notes: [
      `${ticks} ticks to each of ${goodOnes} good subscribers, the longest pause between two turns of the publisher ${Math.round(longest)} ms`,
      `memory grew by ${growth} MiB`,
      `seed ${seed}`
    ]
  }
}
