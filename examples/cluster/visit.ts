/** What a client does with the app, wherever that runs. */
import { Console, Effect, Stream } from "effect"
import { Counter, Transfer } from "./app.ts"

const names = Array.from({ length: 10 }, (_, i) => `page ${i}`)

const sum = Effect.gen(function* () {
  const counter = yield* Counter.client
  const values = yield* Effect.forEach(names, (name) => counter(name).value(), { concurrency: 10 })
  return values.reduce((a, b) => a + b, 0)
})

/** Ten additions to each of ten counters. */
export const addAll = (round: string) =>
  Effect.gen(function* () {
    const counter = yield* Counter.client
    const calls = names.flatMap((name) => Array.from({ length: 10 }, (_, i) => ({ name, id: `${round}/${name}/${i}` })))
    yield* Effect.forEach(calls, ({ id, name }) => counter(name).add({ id, by: 1 }), { concurrency: 20 })
    yield* Console.log(`${round}: the sum is ${yield* sum}`)
  })

export const runners = Effect.gen(function* () {
  const counter = yield* Counter.client
  // So many that each runner has some of them.
  const many = Array.from({ length: 50 }, (_, i) => `page ${i}`)
  const served = yield* Effect.forEach(many, (name) => counter(name).runner(), { concurrency: 10 })
  return new Set(served)
})

export const visit = Effect.gen(function* () {
  const counter = yield* Counter.client
  yield* addAll("first")

  const changes = yield* counter("ann")
    .changes()
    .pipe(
      // While its changes are read, it changes.
      Stream.tap((value) => Effect.forkChild(counter("ann").add({ id: `ann/${value}`, by: 50 }))),
      Stream.take(3),
      Stream.runCollect
    )
  yield* Console.log(`ann: ${changes.join(", ")}`)

  yield* Transfer.execute({ id: "t1", from: "ann", to: "bob", by: 40 })
  yield* Console.log(`bob has ${yield* counter("bob").value()}`)
  const { _tag } = yield* Effect.flip(Transfer.execute({ id: "t2", from: "bob", to: "closed", by: 40 }))
  yield* Console.log(`${_tag}: bob has ${yield* counter("bob").value()} again`)

  const nights = counter("nights")
    .changes()
    .pipe(
      Stream.filter((value) => value > 0),
      Stream.runHead
    )
  yield* nights
  yield* Console.log("a night has passed")
})
