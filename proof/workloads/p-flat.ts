/** The row of (p) for one client whose server goes and comes back, again and again: nothing grows. */
import { readdirSync } from "node:fs"
import { Effect, Schedule } from "effect"
import type { Client } from "../../src/internal/rpc/client.ts"
import { makeProtocolClient } from "../../src/internal/rpc/protocolClient.ts"
import { clientOf, serializations, startServer } from "../../test/support/rpc/transports.ts"
import { until, whenFree } from "../../test/support/sockets.ts"
import type { Outcome, Size } from "../row.ts"
import { ipc } from "../wait.ts"
import { progress, settle } from "../watch.ts"

const callsEach = 100
const atOnce = 20

interface Held {
  readonly heap: number
  readonly beside: number
  readonly files: number
}

/** What the process holds: MiB in use of the heap, MiB beside it (V8 keeps more for its heap than it uses), and descriptors. */
const held = Effect.gen(function* () {
  // What has closed has ended a moment later.
  yield* Effect.sleep(500)
  globalThis.gc?.()
  const { heapTotal, heapUsed, rss } = process.memoryUsage()
  return {
    heap: heapUsed / 2 ** 20,
    beside: (rss - heapTotal) / 2 ** 20,
    files: readdirSync("/proc/self/fd").length
  } as Held
})

export const flatness = async (size: Size): Promise<Outcome> => {
  const faults: Array<string> = []
  const rounds = Math.ceil(size.count / callsEach)
  let made = 0
  let answered = 0
  let before: Held | undefined
  let after: Held | undefined
  const program = Effect.gen(function* () {
    const endpoint = ipc()
    let behind: Client | undefined
    const retryPolicy = Schedule.spaced("1 millis")
    const protocol = yield* makeProtocolClient(
      { connect: endpoint, whileDisconnected: "wait", retryPolicy },
      (made) => {
        behind = made
      }
    )
    const client = yield* clientOf(protocol)
    const call = Effect.gen(function* () {
      const text = `${made++}`
      if ((yield* client.echo({ text })) === text) answered++
      else faults.push(`${text} had another answer`)
    })
    const some = Effect.forEach(
      Array.from({ length: atOnce }),
      () => Effect.forEach(Array.from({ length: callsEach / atOnce }), () => call, { discard: true }),
      { concurrency: "unbounded", discard: true }
    )
    const round = Effect.scoped(
      Effect.gen(function* () {
        const { seen, state } = yield* whenFree(startServer({ bind: endpoint }))
        yield* some
        const { calls, clients, ended, pending } = state.stats
        const left = calls + pending + ended + seen.running.size + behind!.pending
        if (left > 0 || clients !== 1 || behind!.servers !== 1) {
          faults.push(`behind ${made} calls: ${left} are left, of ${clients} clients and ${behind!.servers} servers`)
        }
      })
    )
    for (let done = 0; done < rounds && faults.length < 10; done++) {
      if (done === Math.ceil(rounds / 4)) before = yield* held
      yield* round
      // It has heard of that, and the next calls wait.
      yield* until(Effect.sync(() => behind!.servers === 0))
      progress(() => `${done} reconnections`)
    }
    after = yield* held
  }).pipe(Effect.scoped, Effect.provide(serializations.ndjson))
  const exit = await Effect.runPromise(settle(program))
  if (exit._tag === "Failure") faults.push(`${exit.cause}`)
  const grown = (what: keyof Held): number => Math.round((after?.[what] ?? 0) - (before?.[what] ?? 0))
  if (grown("heap") > 5) faults.push(`the heap has grown by ${grown("heap")} MiB`)
  if (grown("beside") > 50) faults.push(`the memory beside the heap has grown by ${grown("beside")} MiB`)
  if (grown("files") > 5) faults.push(`${grown("files")} more descriptors are open`)
  return {
    sent: made,
    delivered: answered,
    redelivered: 0,
    receivable: 0,
    lost: made - answered,
    duplicated: 0,
    outOfOrder: null,
    faults,
    notes: [
      `${rounds} reconnections; from the first quarter of them to the end the heap grew by ${grown("heap")} MiB, the memory beside it by ${grown("beside")} MiB, the descriptors by ${grown("files")}`
    ]
  }
}
