/**
 * A program that sends, or serves, and ends: by itself, by a signal, by a
 * failure or by a defect. It writes down what it was told is sent.
 *
 *     ending.ts WAY END ENDPOINT OPTIONS
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, type Scope } from "effect"
import { Zmq } from "effect-zmq"
import { buffers } from "../engine.ts"
import { writeLine } from "./line.ts"

const [way, end, endpoint, options] = process.argv.slice(2)
const { count, bytes, highWaterMark } = JSON.parse(options!) as { count: number; bytes: number; highWaterMark: number }

const common = {
  connect: endpoint!,
  sendHighWaterMark: highWaterMark,
  // What is sent stays here, and not in buffers of the system.
  ...buffers({ sendBufferSize: 16_384 }),
  linger: "120 seconds"
} as const

let answered = 0
const accepted = (number: number): void => {
  answered++
  writeLine(`accepted ${number}`)
}
const message = (number: number): string => `${number} ${"a".repeat(bytes)}`
const numbers = Array.from({ length: count }, (_, number) => number)

const oneByOne = <E>(send: (message: string) => Effect.Effect<void, E>) =>
  Effect.forEach(
    numbers,
    (number) =>
      Effect.andThen(
        send(message(number)),
        Effect.sync(() => accepted(number))
      ),
    { discard: true }
  )

const all = <E>(sendAll: (messages: Iterable<string>) => Effect.Effect<void, E>) =>
  Effect.andThen(
    sendAll(numbers.map(message)),
    Effect.sync(() => numbers.forEach(accepted))
  )

const sends: Readonly<Record<string, Effect.Effect<void, unknown, Scope.Scope>>> = {
  push: Effect.gen(function* () {
    const push = yield* Zmq.push(common)
    yield* oneByOne(push.send)
  }),
  "push, sendAll": Effect.gen(function* () {
    const push = yield* Zmq.push(common)
    yield* all(push.sendAll)
  }),
  dealer: Effect.gen(function* () {
    const dealer = yield* Zmq.dealer(common)
    yield* oneByOne(dealer.send)
  }),
  "dealer, sendAll": Effect.gen(function* () {
    const dealer = yield* Zmq.dealer(common)
    yield* all(dealer.sendAll)
  }),
  pair: Effect.gen(function* () {
    const pair = yield* Zmq.pair(common)
    yield* oneByOne(pair.send)
  }),
  // A PUB does not wait for room: it has to have plenty.
  pub: Effect.gen(function* () {
    const pub = yield* Zmq.pub({ ...common, sendHighWaterMark: 0 })
    yield* pub.awaitSubscribers("")
    yield* oneByOne(pub.send)
  }),
  router: Effect.gen(function* () {
    const router = yield* Zmq.router(common)
    // Its peer says hello.
    const [id] = yield* router.recv
    yield* oneByOne((text) => router.send([id, text]))
  })
}

/** Answers what it is asked. What it has begun it finishes. */
const handler = (request: Zmq.Message) =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const number = Number(request.at(-1)!.toString())
      writeLine(`asked ${number}`)
      yield* Effect.sleep(number % 7)
      accepted(number)
      return message(number)
    })
  )

const untilHalfAnswered = Effect.gen(function* () {
  while (answered < count / 2) yield* Effect.sleep(1)
})

const serves: Readonly<Record<string, Effect.Effect<void, unknown, Scope.Scope>>> = {
  rep: Effect.gen(function* () {
    const rep = yield* Zmq.rep({ connect: endpoint!, linger: "120 seconds" })
    return yield* rep.serve(handler)
  }),
  "router, serve": Effect.gen(function* () {
    const router = yield* Zmq.router(common)
    return yield* router.serve(handler, { concurrency: 16 })
  })
}

const ends: Readonly<Record<string, Effect.Effect<void, string>>> = {
  success: Effect.void,
  // It stays until the signal comes, which may come before all is sent.
  signal: Effect.never,
  failure: Effect.fail("on purpose"),
  defect: Effect.die("on purpose")
}

const send = sends[way!]
// When it fails before its end, that is told.
const told = Effect.tapError((error: unknown) => Effect.sync(() => console.error(error)))
const work =
  send !== undefined
    ? Effect.andThen(told(send), ends[end!]!)
    : // A service ends when something beside it does, in the middle of its requests.
      Effect.raceFirst(told(Effect.scoped(serves[way!]!)), Effect.andThen(untilHalfAnswered, ends[end!]!))
NodeRuntime.runMain(Effect.scoped(work), { disableErrorReporting: true })
