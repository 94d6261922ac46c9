/** A storm of cancellations of every kind, on a consumer that is now idle and now behind. */
import { Effect, Fiber } from "effect"
import { Zmq } from "effect-zmq"
import { exactlyOnce, lent, lentToMany, readAhead } from "../cancellations.ts"
import { Ledger } from "../ledger.ts"
import { nextTurn, randomOf, seed, someMoment } from "../moments.ts"
import { needsPyzmq } from "../python.ts"
import type { Outcome, Row, Size, Workload } from "../row.ts"
import { effectZmq, type OpenSubject, wrapper } from "../subjects.ts"
import { progress, settle } from "../watch.ts"

const endpoints = {
  inproc: `inproc://storm-${process.pid}`,
  ipc: `ipc://@effect-zmq-proof-${process.pid}`,
  tcp: "tcp://127.0.0.1:*"
}
type Transport = keyof typeof endpoints

const fibers = 16

const run =
  (open: OpenSubject, transport: Transport, consumers: "one" | "many" | "ahead") =>
  async (size: Size): Promise<Outcome> => {
    const ledger = new Ledger(size.count)
    const random = randomOf()
    const counts = new Map<string, number>()
    if (consumers === "many") ledger.unordered()
    // `PROOF_KINDS=drain,timeout` looks at some kinds only.
    const some = process.env.PROOF_KINDS?.split(",")
    const kinds = Object.entries(
      consumers === "ahead" ? readAhead : { ...exactlyOnce, ...(consumers === "one" ? lent : lentToMany) }
    ).filter(([name]) => some === undefined || some.includes(name))

    // The numbers, in bursts of every size.
    const ventilate = (push: Zmq.Push) =>
      Effect.gen(function* () {
        while (!ledger.full) {
          const largest = random(10) === 0 ? 2000 : 100
          const burst: Array<string> = []
          for (let i = random(largest); i >= 0 && !ledger.full; i--) burst.push(String(ledger.next()))
          yield* push.sendAll(burst)
          yield* random(3) === 0 ? someMoment(random) : nextTurn
          // Now the consumer catches up, and now it does not.
          const most = random(2) * 3000
          for (let turns = 0; ledger.behind > most && turns < 50; turns++) yield* nextTurn
          progress(() => `${ledger.sent} sent`)
        }
      })

    const program = Effect.gen(function* () {
      const push = yield* Zmq.push({ bind: endpoints[transport] })
      const subject = yield* open(push.endpoints[0]!)
      const readers: Array<ReturnType<Ledger["reader"]>> = []
      const consume = Effect.suspend(() => {
        const reader = ledger.reader()
        readers.push(reader)
        return Effect.gen(function* () {
          while (true) {
            const [name, way] = kinds[random(kinds.length)]!
            counts.set(name, (counts.get(name) ?? 0) + 1)
            yield* settle(way({ subject, reader, random }))
            // A consumer that is always cancelled at once would starve itself.
            if (random(4) === 0) yield* nextTurn
          }
        })
      })
      const weather = yield* Effect.forkScoped(
        Effect.all(
          Array.from({ length: consumers === "many" ? fibers : 1 }, () => consume),
          { concurrency: "unbounded" }
        )
      )
      yield* ventilate(push)
      for (let left = 500, behind = 0; left > 0 && ledger.behind > 0; left--) {
        if (ledger.behind !== behind) left = 500
        behind = ledger.behind
        yield* Effect.sleep(1)
      }
      yield* Fiber.interrupt(weather)
      ledger.foundAtEnd((yield* subject.rest).map(Number))
    })
    await Effect.runPromise(settle(Effect.scoped(program)))
    const all = [...counts.values()].reduce((sum, count) => sum + count, 0)
    const books = ledger.books()
    return {
      ...books,
      notes: [
        `${all} cancellations of ${counts.size} kinds`,
        ...(books.lost > 0 ? [`first lost: ${ledger.firstLost().join(" ")}`] : []),
        `seed ${seed}`
      ]
    }
  }

const limit = { quick: 60, full: 900 }
const transports = ["inproc", "ipc", "tcp"] as const

export const workload: Workload = {
  id: "b",
  title: "a storm of cancellations of every kind",
  counting:
    "One consumer is interrupted, timed out, raced, its scope closed, its stream ended, again and again, or sixteen fibers on one socket are.",
  rows: [
    ...transports.flatMap(
      (transport): Array<Row> => [
        {
          library: "effect-zmq",
          variant: `${transport}, one consumer`,
          quick: 30_000,
          full: 1_000_000,
          limit,
          run: run(effectZmq, transport, "one")
        },
        {
          library: "effect-zmq",
          variant: `${transport}, ${fibers} fibers`,
          quick: 30_000,
          full: 1_000_000,
          limit,
          run: run(effectZmq, transport, "many")
        }
      ]
    ),
    {
      library: "effect-zmq",
      variant: "tcp, stages that read ahead",
      quick: 10_000,
      full: 100_000,
      limit,
      run: run(effectZmq, "tcp", "ahead"),
      known:
        "Stream.interruptWhen and Stream.timeout placed before the handler pull elements ahead and drop them (Effect's Channel.merge); placed after the handler they are part of the rows above"
    },
    {
      library: "wrapper",
      variant: "tcp, one consumer",
      quick: 10_000,
      full: 1_000_000,
      limit,
      run: run(wrapper, "tcp", "one")
    },
    {
      library: "wrapper",
      variant: `tcp, ${fibers} fibers`,
      quick: 10_000,
      full: 1_000_000,
      limit,
      run: run(wrapper, "tcp", "many")
    },
    {
      library: "PyZMQ",
      variant: "tcp, one consumer",
      quick: 10_000,
      full: 100_000,
      limit,
      run: { python: "storm.py" },
      skip: needsPyzmq
    }
  ]
}
