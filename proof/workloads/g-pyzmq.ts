/** The peer is PyZMQ, in either direction: a library that we did not write. */
import { Effect, Exit, Fiber } from "effect"
import { Zmq } from "effect-zmq"
import { exactlyOnce, lent } from "../cancellations.ts"
import { Ledger, notesOf } from "../ledger.ts"
import { nextTurn, randomOf, seed, someMoment } from "../moments.ts"
import { startPeer } from "../processes.ts"
import { needsPyzmq, python, script } from "../python.ts"
import type { Outcome, Size, Workload } from "../row.ts"
import { subjectOf } from "../subjects.ts"
import { progress, settle, watchFiber } from "../watch.ts"

const fromPython = async (size: Size): Promise<Outcome> => {
  const random = randomOf()
  const ledger = new Ledger(size.count)
  const ways = Object.values({ ...exactlyOnce, ...lent })
  const program = Effect.gen(function* () {
    const pull = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
    const subject = subjectOf(pull)
    const reader = notesOf(ledger.reader())
    const peer = startPeer(python, [script("push.py"), String(size.count), pull.endpoints[0]!])
    ledger.sent = size.count
    const weather = watchFiber(
      yield* Effect.forkScoped(
        Effect.gen(function* () {
          while (true) {
            yield* settle(ways[random(ways.length)]!({ subject, reader, random }))
            if (random(4) === 0) yield* nextTurn
          }
        })
      )
    )
    yield* Effect.promise(() => peer.ended)
    for (let left = 500, behind = 0; left > 0 && ledger.behind > 0; left--) {
      if (ledger.behind !== behind) left = 500
      behind = ledger.behind
      progress(() => `${ledger.sent - ledger.behind} received`)
      yield* Effect.sleep(1)
    }
    yield* Fiber.interrupt(weather)
    ledger.foundAtEnd((yield* subject.rest(ledger.missing)).map(Number))
    return peer.child.exitCode
  })
  const exit = await Effect.runPromise(settle(Effect.scoped(program)))
  return {
    ...ledger.books(),
    faults: Exit.isSuccess(exit) && exit.value === 0 ? [] : ["PyZMQ did not end well"],
    notes: [`seed ${seed}`]
  }
}

const toPython = async (size: Size): Promise<Outcome> => {
  const random = randomOf()
  let next = 0
  let withdrawn = 0
  const program = Effect.gen(function* () {
    const push = yield* Zmq.push({ bind: "tcp://127.0.0.1:*", sendHighWaterMark: 20 })
    const peer = startPeer(python, [script("pull.py"), String(size.count), push.endpoints[0]!])
    while (next < size.count) {
      // Many in a row, and then some that are interrupted while they wait or as they are sent.
      for (let i = random(30); i > 0 && next < size.count; i--) {
        yield* push.send(String(next))
        next++
      }
      const sending = watchFiber(yield* Effect.forkChild(push.send(String(next))))
      yield* someMoment(random)
      yield* Fiber.interrupt(sending)
      // A message that was not sent gives its number to the next.
      if (Exit.isSuccess(yield* Fiber.await(sending))) next++
      else withdrawn++
      progress(() => `${next} sent`)
    }
    yield* push.send("end")
    yield* Effect.promise(() => peer.ended)
    return peer.lines.map(Number)
  })
  const exit = await Effect.runPromise(settle(Effect.scoped(program)))
  const numbers = Exit.isSuccess(exit) ? exit.value : []
  const seen = new Set(numbers)
  let outOfOrder = 0
  for (let i = 1; i < numbers.length; i++) if (numbers[i]! < numbers[i - 1]!) outOfOrder++
  return {
    sent: next,
    delivered: seen.size,
    redelivered: 0,
    receivable: 0,
    lost: next - seen.size,
    duplicated: numbers.length - seen.size,
    outOfOrder,
    notes: [`${withdrawn} sends interrupted: never sent`, `seed ${seed}`]
  }
}

const limit = { quick: 180, full: 1200 }

export const workload: Workload = {
  id: "g",
  title: "the peer is PyZMQ",
  alone: "the storm is that of (b), where theirs is counted, with the same libzmq behind both peers",
  rows: [
    {
      library: "effect-zmq",
      variant: "PyZMQ sends",
      quick: 20_000,
      full: 200_000,
      limit,
      run: fromPython,
      skip: needsPyzmq
    },
    {
      library: "effect-zmq",
      variant: "PyZMQ receives",
      quick: 5000,
      full: 100_000,
      limit,
      run: toPython,
      skip: needsPyzmq
    }
  ]
}
