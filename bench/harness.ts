/**
 * Measures contenders against each other: in one process, in turn, round after
 * round, so that a noisy machine is noisy for all of them alike.
 */
import { setImmediate as nextTurn } from "node:timers/promises"
import { Deferred, Effect, Exit, Scope } from "effect"
import type { Zmq } from "effect-zmq"
import * as zmq from "zeromq"

/** What one run of a contender measured, by metric. Less is better. */
export type Sample = Readonly<Record<string, number>>

export interface Workload {
  readonly name: string
  readonly unit: string
  /** The first of them is what the others are compared with. A contender throws if messages are missing. */
  readonly contenders: Readonly<Record<string, () => Promise<Sample>>>
  /** Runs once a round, and not several times of which the best counts. */
  readonly once?: boolean
  /** Has many short rounds, half as many to warm up, and sockets that last: for latencies, which differ by little. */
  readonly short?: boolean
  /** Needs no rounds to warm up, as it runs in a process of its own. */
  readonly cold?: boolean
  /** Once, after all rounds. */
  readonly close?: () => Promise<void> | void
}

/** All samples of one contender and one metric, one a round. */
export interface Row {
  readonly workload: string
  readonly contender: string
  readonly metric: string
  readonly unit: string
  readonly samples: ReadonlyArray<number>
}

export interface Spread {
  readonly low: number
  readonly median: number
  readonly high: number
}

export const quick = process.argv.includes("--quick")
export const warmUps = 1
export const rounds = quick ? 5 : 7
const shortRounds = quick ? 10 : 40
/** What disturbs a run only ever makes it slower: of so many in a round the best counts. */
export const tries = 2

/** A number of messages: fewer of them with `--quick`. */
export const count = (messages: number): number => (quick ? Math.max(10, Math.ceil(messages / 4)) : messages)

// 1,000 sockets at once, and libzmq's default is 1,023.
zmq.context.maxSockets = 8192

let addresses = 0
/** An endpoint that nobody has used. */
export const address = (transport = "inproc"): string => {
  const name = `effect-zmq-bench-${process.pid}-${addresses++}`
  if (transport === "inproc") return `inproc://${name}`
  return transport === "ipc" ? `ipc:///tmp/${name}` : "tcp://127.0.0.1:*"
}

/** What all rounds of a workload share: acquired when it is first used, released by `close`. */
export class Kept {
  private readonly scope = Scope.makeUnsafe()

  keep<A>(acquire: Effect.Effect<A, unknown, Scope.Scope>): () => Promise<A> {
    let kept: Promise<A> | undefined
    return () => {
      kept ??= Effect.runPromise(Scope.provide(acquire, this.scope))
      return kept
    }
  }

  readonly close = (): Promise<void> => Effect.runPromise(Scope.close(this.scope, Exit.void))
}

/** Microseconds for each of `messages`, taken by `run`. */
export const perMessage = async (messages: number, run: () => Promise<unknown>): Promise<Sample> => {
  const start = performance.now()
  await run()
  return { mean: ((performance.now() - start) * 1000) / messages }
}

export const expectCount = (what: string, got: number, expected: number): void => {
  if (got !== expected) throw new Error(`${what}: ${got} messages, not ${expected}`)
}

/** `runForEach`, until so many messages have been handled. Returns how many were. */
export const handle = (
  socket: Zmq.Receiver,
  messages: number,
  onMessage: (message: Zmq.Message) => void,
  concurrency = 1
): Effect.Effect<number> =>
  Effect.gen(function* () {
    let handled = 0
    const done = yield* Deferred.make<void>()
    const all = Deferred.succeed(done, undefined)
    const handler = (message: Zmq.Message) => {
      onMessage(message)
      return ++handled === messages ? all : Effect.void
    }
    yield* Effect.raceFirst(Effect.ignore(socket.runForEach(handler, { concurrency })), Deferred.await(done))
    return handled
  })

/**
 * Runs all contenders in turn, and then the other way round.
 *
 * It does not collect the garbage in between: V8 throws optimised code away when
 * it is asked to, and a sample would measure how long it takes to come back.
 */
export const measure = async (workload: Workload, progress: (text: string) => void): Promise<Array<Row>> => {
  const names = Object.keys(workload.contenders)
  const rows = new Map<string, Row & { readonly samples: Array<number> }>()
  try {
    const last = workload.short ? shortRounds : rounds
    for (let round = workload.cold ? 0 : workload.short ? -shortRounds / 2 : -warmUps; round < last; round++) {
      const best = new Map<string, Sample>()
      for (let again = workload.once ? 1 : tries; again > 0; again--) {
        for (const contender of again % 2 === round % 2 ? names : names.toReversed()) {
          await tidy()
          progress(`${workload.name}: round ${Math.max(0, round + 1)} of ${last}, ${contender}`)
          const sample = await workload.contenders[contender]!()
          const before = best.get(contender)
          if (before === undefined || sample.mean! < before.mean!) best.set(contender, sample)
        }
      }
      if (round < 0) continue
      for (const [contender, sample] of best) {
        for (const [metric, value] of Object.entries(sample)) {
          const key = `${contender} ${metric}`
          const row = rows.get(key) ?? { workload: workload.name, contender, metric, unit: workload.unit, samples: [] }
          row.samples.push(value)
          rows.set(key, row)
        }
      }
    }
  } finally {
    await workload.close?.()
  }
  return names.flatMap((name) => [...rows.values()].filter((row) => row.contender === name))
}

let garbage: unknown

/** Has V8 free what is young, such as the last contender's buffers, and Node give back their memory. */
const tidy = async (): Promise<void> => {
  for (let turn = 0; turn < 16; turn++) {
    for (let made = 0; made < 64; made++) garbage = new Array(8192)
    await nextTurn(garbage)
  }
}

/** The median and the quartiles. */
export const spreadOf = (samples: ReadonlyArray<number>): Spread => {
  const sorted = samples.toSorted((a, b) => a - b)
  const at = (part: number) => {
    const position = part * (sorted.length - 1)
    const below = sorted[Math.floor(position)]!
    return below + (sorted[Math.ceil(position)]! - below) * (position % 1)
  }
  return { low: at(0.25), median: at(0.5), high: at(0.75) }
}

/** Of latencies, so many as are expected. */
export const latenciesOf = (what: string, latencies: ReadonlyArray<number>, expected: number): Sample => {
  expectCount(what, latencies.length, expected)
  const sorted = latencies.toSorted((a, b) => a - b)
  return { median: spreadOf(sorted).median, p99: sorted[Math.floor(sorted.length * 0.99)]! }
}

/** Calls, so many at once, until so many are made: microseconds for each, and how long each waited. */
export const callsOf = (
  what: string,
  call: (number: number) => Effect.Effect<unknown, unknown>,
  atOnce: number,
  made: number
): Effect.Effect<Sample, unknown> =>
  Effect.gen(function* () {
    const times: Array<number> = []
    let started = 0
    const caller = Effect.gen(function* () {
      while (started < made) {
        const number = started++
        const start = performance.now()
        yield* call(number)
        times.push((performance.now() - start) * 1000)
      }
    })
    const start = performance.now()
    yield* Effect.forEach(
      Array.from({ length: atOnce }, () => caller),
      (one) => one,
      { concurrency: "unbounded", discard: true }
    )
    return { mean: ((performance.now() - start) * 1000) / made, ...latenciesOf(what, times, made) }
  })

/** How one row relates to another: round by round, as both had the same noise. */
export const ratio = (over: Row, under: Row): Spread =>
  spreadOf(over.samples.map((sample, round) => sample / under.samples[round]!))
