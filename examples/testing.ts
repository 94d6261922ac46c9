/** A client, a service and a worker over sockets in memory, tested by a clock that is turned once: no real time passes. */
import { NodeRuntime } from "@effect/platform-node"
import { Clock, Effect, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Codec, Engine, Zmq } from "effect-zmq"

// The program: it does not know that it is tested.
const codecs = { request: Codec.json(Schema.String), reply: Codec.json(Schema.NullOr(Schema.Int)) }
const client = Effect.flatMap(Zmq.Requester, (prices) => prices.requestAs(codecs)("ACME")).pipe(
  Effect.timeout("2 seconds"),
  Effect.filterOrFail((price) => price !== null),
  Effect.retry(Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 5 })))
)
const service = (lookUp: Effect.Effect<number>) =>
  Zmq.serveAs(codecs, () =>
    Effect.timeoutOrElse(lookUp, { duration: "500 millis", orElse: () => Effect.succeed(null) })
  )
const retry = Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 2 }))
const worker = (work: Effect.Effect<void, string>, dead: (job: Zmq.Message) => Effect.Effect<unknown>) =>
  Zmq.runForEach(() => work, { retry, orElse: dead })

const seconds = Effect.map(Clock.currentTimeMillis, (now) => now / 1000)

// A service that is too slow twice, and a client that tries again.
const prices = Effect.gen(function* () {
  const asked: Array<number> = []
  const lookUp = Effect.gen(function* () {
    asked.push(yield* seconds)
    yield* Effect.sleep(asked.length < 3 ? "1 hour" : "100 millis")
    return 42
  })
  const router = Zmq.layer(Zmq.router({ bind: "inproc://prices" }))
  const dealer = Zmq.layer(Zmq.dealer({ connect: "inproc://prices" }))
  yield* Effect.forkScoped(Effect.provide(service(lookUp), router))
  const got = Effect.flatMap(client, (price) => Effect.sync(() => console.log(`got ${price}, asked at ${asked}`)))
  // By the clock: it waits for all that it has woken.
  yield* Effect.forkScoped(Effect.delay(Effect.provide(got, dealer), "1 second"))
  yield* TestClock.adjust("1 minute")
})

// A job that cannot be done.
const jobs = Effect.gen(function* () {
  const tried: Array<number> = []
  const work = Effect.andThen(
    Effect.map(seconds, (now) => tried.push(now)),
    Effect.fail("no paint")
  )
  const dead = (job: Zmq.Message) => Effect.sync(() => console.log(`gave up to ${job}, tried at ${tried}`))
  const pull = Zmq.layer(Zmq.pull({ bind: "inproc://jobs" }))
  const push = Zmq.layer(Zmq.push({ connect: "inproc://jobs" }))
  yield* Effect.forkScoped(Effect.provide(worker(work, dead), pull))
  yield* Effect.forkScoped(Effect.delay(Effect.provide(Zmq.send("paint it"), push), "1 second"))
  yield* TestClock.adjust("1 minute")
})

const test = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.scoped(self).pipe(Effect.provide(TestClock.layer()))
NodeRuntime.runMain(Effect.andThen(test(prices), test(jobs)).pipe(Effect.provide(Engine.layerZmtp)))
