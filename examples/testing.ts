/** A client, a service and a worker, each tested with a clock that the test turns: time limits and tries included. */
import { NodeRuntime } from "@effect/platform-node"
import { Clock, Context, Effect, Fiber, Layer, Queue, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Codec, Zmq } from "effect-zmq"

// The program. Its client asks a service of its own, which is made from a socket here.
const codecs = { request: Codec.json(Schema.String), reply: Codec.json(Schema.NullOr(Schema.Int)) }
type Ask = (symbol: string) => Effect.Effect<number | null, unknown>
const fromSocket = Effect.map(Zmq.Requester, (socket) => ({ ask: socket.requestAs(codecs) }))
class Prices extends Context.Service<Prices, { readonly ask: Ask }>()("app/Prices") {
  static readonly layer = Layer.effect(this, fromSocket)
}
const client = Effect.flatMap(Prices, ({ ask }) => ask("ACME")).pipe(
  Effect.timeout("2 seconds"),
  Effect.filterOrFail((price) => price !== null),
  Effect.retry(Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 5 })))
)
const answer = (lookUp: Effect.Effect<number>) =>
  Effect.timeoutOrElse(lookUp, { duration: "500 millis", orElse: () => Effect.succeed(null) })
export const service = (lookUp: Effect.Effect<number>) => Zmq.serveAs(codecs, () => answer(lookUp))
const retry = Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 2 }))
const worker = (work: Effect.Effect<void, string>, dead: (job: Zmq.Message) => Effect.Effect<unknown>) =>
  Zmq.runForEach(() => work, { retry, orElse: dead })

const seconds = Effect.map(Clock.currentTimeMillis, (now) => now / 1000)

// The client and the handler of the service, without a socket between them: no real time passes.
const withoutSockets = Effect.gen(function* () {
  const asked: Array<number> = []
  const lookUp = Effect.gen(function* () {
    asked.push(yield* seconds)
    yield* Effect.sleep(asked.length < 3 ? "1 hour" : "100 millis")
    return 42
  })
  const asking = yield* Effect.forkChild(Effect.provideService(client, Prices, { ask: () => answer(lookUp) }))
  yield* TestClock.adjust("10 seconds")
  console.log(`the client got ${yield* Fiber.join(asking)}, and asked at ${asked.join(", ")}`)
}).pipe(Effect.provide(TestClock.layer()))

// The worker with sockets in memory. When its job has come, it goes by the clock alone.
const withSockets = Effect.gen(function* () {
  const jobs = yield* Zmq.pull({ bind: "inproc://jobs" })
  const out = yield* Zmq.push({ connect: "inproc://jobs" })
  const [tries, dead] = [yield* Queue.make<number>(), yield* Queue.make<Zmq.Message>()]
  const begun = Effect.flatMap(seconds, (now) => Queue.offer(tries, now))
  const work = Effect.andThen(begun, Effect.fail("no paint"))
  yield* worker(work, (job) => Queue.offer(dead, job)).pipe(
    Effect.provideService(Zmq.Receiver, jobs),
    Effect.forkScoped
  )
  yield* out.send("paint it")
  const tried = [yield* Queue.take(tries)]
  yield* TestClock.adjust("10 seconds")
  tried.push(...(yield* Queue.takeN(tries, 2)))
  console.log(`the worker gave up to ${yield* Queue.take(dead)}, and tried at ${tried.join(", ")}`)
}).pipe(Effect.scoped, Effect.provide(TestClock.layer()))

NodeRuntime.runMain(Effect.andThen(withoutSockets, withSockets))
