/** The scenario of PyZMQ issue 1925: a receive with a time limit of 1 ms, and a cancellation at about that time. */
import { Effect, Fiber } from "effect"
import { Zmq } from "effect-zmq"
import { Ledger } from "../ledger.ts"
import { randomOf, seed, someMoment } from "../moments.ts"
import { needsPyzmq } from "../python.ts"
import type { Outcome, Size, Workload } from "../row.ts"
import { effectZmq, type OpenSubject, wrapper } from "../subjects.ts"
import { progress, settle, watchFiber } from "../watch.ts"

const run =
  (open: OpenSubject) =>
  (size: Size): Promise<Outcome> => {
    const ledger = new Ledger(size.count)
    const random = randomOf()
    let interrupts = 0
    let timeouts = 0
    const program = Effect.gen(function* () {
      const push = yield* Zmq.push({ bind: "tcp://127.0.0.1:*" })
      const pull = yield* open(push.endpoints[0]!)
      const reader = ledger.reader()
      const receive = Effect.gen(function* () {
        const text = yield* Effect.timeoutOption(pull.recv, "1 millis")
        if (text._tag === "Some") reader.took(Number(text.value))
        else timeouts++
      }).pipe(Effect.forever)
      while (!ledger.full) {
        const receiver = watchFiber(yield* Effect.forkChild(receive))
        yield* someMoment(random)
        yield* push.send(String(ledger.next()))
        yield* Effect.sleep(random(3))
        yield* Fiber.interrupt(receiver)
        interrupts++
        progress(() => `${ledger.sent} rounds`)
      }
      ledger.foundAtEnd((yield* pull.rest(ledger.missing)).map(Number))
    })
    return Effect.runPromise(settle(Effect.scoped(program))).then(() => ({
      ...ledger.books(),
      notes: [`${interrupts} interrupts`, `${timeouts} timeouts`, `seed ${seed}`]
    }))
  }

const limit = { quick: 180, full: 1200 }

export const workload: Workload = {
  id: "a",
  title: "the seed scenario: a 1 ms time limit and a cancel",
  rows: [
    { library: "effect-zmq", variant: "tcp", quick: 1000, full: 10_000, limit, run: run(effectZmq) },
    { library: "wrapper", variant: "tcp", quick: 1000, full: 10_000, limit, run: run(wrapper) },
    { library: "PyZMQ", variant: "tcp", quick: 1000, full: 10_000, limit, run: { python: "seed.py" }, skip: needsPyzmq }
  ]
}
