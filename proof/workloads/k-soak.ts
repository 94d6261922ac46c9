/** A steady rate under steady cancellation, with memory, file descriptors and the event loop sampled. */
import { readdirSync } from "node:fs"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { Effect, Fiber } from "effect"
import { Zmq } from "effect-zmq"
import { exactlyOnce, lent } from "../cancellations.ts"
import { Ledger, notesOf } from "../ledger.ts"
import { nextTurn, randomOf, seed } from "../moments.ts"
import type { Outcome, Size, Workload } from "../row.ts"
import { subjectOf } from "../subjects.ts"
import { progress, settle, watchFiber } from "../watch.ts"

const messagesPerTick = 20
const tick = 10

interface Sample {
  readonly heap: number
  readonly resident: number
  readonly descriptors: number
  readonly delay: number
  /** Processor time of this process, in microseconds for each message. */
  readonly work: number
}

const descriptors = (): number => {
  try {
    return readdirSync("/proc/self/fd").length
  } catch {
    return 0
  }
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0

const run = async (size: Size): Promise<Outcome> => {
  const seconds = size.minutes > 0 ? size.minutes * 60 : size.count
  const random = randomOf()
  const ledger = new Ledger(Math.ceil((seconds * 1000) / tick) * messagesPerTick)
  const samples: Array<Sample> = []
  let cancellations = 0
  const ways = Object.values({ ...exactlyOnce, ...lent })

  const program = Effect.gen(function* () {
    const pull = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
    const push = yield* Zmq.push({ connect: pull.endpoints[0]! })
    const subject = subjectOf(pull)
    const reader = notesOf(ledger.reader())
    const weather = watchFiber(
      yield* Effect.forkScoped(
        Effect.gen(function* () {
          while (true) {
            cancellations++
            yield* settle(ways[random(ways.length)]!({ subject, reader, random }))
            yield* nextTurn
          }
        })
      )
    )
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    let used = process.cpuUsage()
    let sent = 0
    const sampling = watchFiber(
      yield* Effect.forkScoped(
        Effect.gen(function* () {
          while (true) {
            yield* Effect.sleep(Math.min(5000, (seconds * 1000) / 20))
            // Before the collection, which itself stops the event loop.
            const p99 = delay.percentile(99) / 1e6
            const { system, user } = process.cpuUsage(used)
            const work = (user + system) / Math.max(1, ledger.sent - sent)
            globalThis.gc?.()
            const { heapUsed, rss } = process.memoryUsage()
            samples.push({
              heap: heapUsed / 2 ** 20,
              resident: rss / 2 ** 20,
              descriptors: descriptors(),
              delay: p99,
              work
            })
            delay.reset()
            used = process.cpuUsage()
            sent = ledger.sent
            progress(() => `${ledger.sent} sent, heap ${(heapUsed / 2 ** 20).toFixed(1)} MiB`)
          }
        })
      )
    )
    const started = performance.now()
    for (let ticks = 1; !ledger.full; ticks++) {
      for (let i = 0; i < messagesPerTick && !ledger.full; i++) yield* push.send(String(ledger.next()))
      yield* Effect.sleep(Math.max(0, started + ticks * tick - performance.now()))
    }
    yield* Fiber.interrupt(sampling)
    for (let left = 500; left > 0 && ledger.behind > 0; left--) yield* Effect.sleep(1)
    yield* Fiber.interrupt(weather)
    ledger.foundAtEnd((yield* subject.rest(ledger.missing)).map(Number))
  })
  await Effect.runPromise(settle(Effect.scoped(program)))

  // The first quarter warms up; the second is compared with the last.
  const quarter = Math.floor(samples.length / 4)
  const early = samples.slice(quarter, 2 * quarter)
  const late = samples.slice(-quarter)
  const of = (part: ReadonlyArray<Sample>, key: keyof Sample) => median(part.map((sample) => sample[key]))
  const faults: Array<string> = []
  // A loop that is late because the machine is busy with something else does no
  // more work for that: only if it does, the delay is ours.
  const busier = of(late, "work") > 1.5 * of(early, "work")
  const flat = (key: keyof Sample, margin: number, unit: string) => {
    const [before, after] = [of(early, key), of(late, key)]
    if (after > before + margin && (key !== "delay" || busier))
      faults.push(`${key} grew from ${before.toFixed(1)} to ${after.toFixed(1)}${unit}`)
    return `${key} ${before.toFixed(1)} to ${after.toFixed(1)}${unit}`
  }
  return {
    ...ledger.books(),
    faults,
    notes: [
      `${seconds} s at ${(messagesPerTick * 1000) / tick} messages a second, ${cancellations} cancellations`,
      flat("heap", 4, " MiB"),
      flat("resident", 32, " MiB"),
      flat("descriptors", 2, ""),
      flat("delay", 20, " ms (p99)"),
      `processor ${of(early, "work").toFixed(1)} to ${of(late, "work").toFixed(1)} µs a message`,
      `seed ${seed}`
    ]
  }
}

export const workload: Workload = {
  id: "k",
  title: "a soak at a steady rate",
  counting:
    "Medians of the second quarter of the time and of the last, the heap after a collection. The event loop may not get later by more than 20 ms (p99); it does not count against us when other processes delay it, which shows in that our processor time for each message has not grown by half. `--soak MINUTES` makes it longer.",
  alone: "it compares this library with itself, at two times",
  rows: [{ library: "effect-zmq", variant: "tcp", quick: 7, full: 60, limit: { quick: 180, full: 1200 }, run }]
}
