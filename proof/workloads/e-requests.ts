/** Requests that are interrupted and timed out: no reply may answer another request. */
import { Data, Effect, Exit, Fiber, type Scope } from "effect"
import { Zmq } from "effect-zmq"
import * as zeromq from "zeromq"
import { nextTurn, randomOf, seed, someMoment } from "../moments.ts"
import { needsPyzmq } from "../python.ts"
import type { Library, Outcome, Row, Size, Workload } from "../row.ts"
import { progress, settle, watchFiber } from "../watch.ts"

type OpenAsk = (endpoint: string) => Effect.Effect<Ask, unknown, Scope.Scope>
type Ask = (question: string) => Effect.Effect<string, unknown>
class RequestFailed extends Data.TaggedError("RequestFailed")<{ readonly cause: unknown }> {}

const ours =
  (type: "req" | "dealer"): OpenAsk =>
  (endpoint) => {
    const options = { connect: endpoint }
    const open: Effect.Effect<Zmq.Requester, Zmq.SocketError, Scope.Scope> =
      type === "req" ? Zmq.req(options) : Zmq.dealer(options)
    return Effect.map(
      open,
      (socket): Ask =>
        (question) =>
          Effect.map(socket.request(question), ([frame]) => frame.toString())
    )
  }

/** REQ with the two options that libzmq has for requests that are given up. */
const wrapper: OpenAsk = (endpoint) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const socket = new zeromq.Request({ relaxed: true, correlate: true, linger: 0 })
        socket.connect(endpoint)
        return socket
      }),
      (socket) => Effect.sync(() => socket.close())
    ),
    (socket): Ask =>
      (question) =>
        Effect.tryPromise({
          try: async () => {
            await socket.send(question)
            const [frame] = await socket.receive()
            return frame!.toString()
          },
          catch: (cause) => new RequestFailed({ cause })
        })
  )

const run =
  (open: OpenAsk, server: "rep" | "router", clients: number) =>
  async (size: Size): Promise<Outcome> => {
    const random = randomOf()
    let asked = 0
    let answered = 0
    let wrong = 0
    let givenUp = 0
    let handled = 0
    const failures = new Map<string, number>()

    const program = Effect.gen(function* () {
      const options = { bind: "tcp://127.0.0.1:*" }
      const replier: Zmq.Socket & Zmq.Responder = yield* server === "rep" ? Zmq.rep(options) : Zmq.router(options)
      const handler = (request: Zmq.Message) =>
        Effect.suspend(() => {
          handled++
          const reply = `re:${request[0].toString()}`
          return random(4) === 0 ? Effect.as(someMoment(random), reply) : Effect.succeed(reply)
        })
      watchFiber(yield* Effect.forkScoped(replier.serve(handler, { concurrency: 16 })))
      const ask = yield* open(replier.endpoints[0]!)
      const client = Effect.gen(function* () {
        while (asked < size.count) {
          const question = `q${asked++}`
          const patient = random(3) === 0
          const limited = random(2) === 0 && !patient
          // A patient request is never given up, and has to be answered.
          const request = limited
            ? Effect.timeout(ask(question), random(3))
            : Effect.timeout(ask(question), "30 seconds")
          const fiber = watchFiber(yield* Effect.forkChild(request))
          if (!patient && !limited) {
            yield* someMoment(random)
            yield* Fiber.interrupt(fiber)
          }
          const exit = yield* Fiber.await(fiber)
          if (Exit.isSuccess(exit)) {
            if (exit.value === `re:${question}`) answered++
            else wrong++
          } else if (!patient) givenUp++
          else {
            const reason = exit.cause.reasons[0]
            const error =
              reason?._tag === "Fail" ? (reason.error as { _tag: string; cause?: { code?: string } }) : undefined
            const name = error?.cause?.code ?? error?._tag ?? "Die"
            failures.set(name, (failures.get(name) ?? 0) + 1)
            yield* nextTurn
          }
          progress(() => `${asked} requests`)
        }
      })
      yield* Effect.all(
        Array.from({ length: clients }, () => client),
        { concurrency: "unbounded", discard: true }
      )
    })
    await Effect.runPromise(settle(Effect.scoped(program)))
    const lost = [...failures.values()].reduce((sum, count) => sum + count, 0)
    return {
      sent: asked - givenUp,
      delivered: answered,
      redelivered: 0,
      receivable: 0,
      lost,
      duplicated: 0,
      outOfOrder: null,
      faults: wrong > 0 ? [`${wrong} replies to the wrong request`] : [],
      notes: [
        `${asked} requests, ${givenUp} given up, ${handled} handled`,
        `wrong replies ${wrong}`,
        ...(lost > 0 ? [[...failures].map(([name, count]) => `${name} ${count}`).join(", ")] : []),
        `seed ${seed}`
      ]
    }
  }

const limit = { quick: 180, full: 1200 }
const row = (
  library: Library,
  variant: string,
  start: Row["run"],
  counts: [number, number],
  skip?: Row["skip"]
): Row => ({
  library,
  variant,
  quick: counts[0],
  full: counts[1],
  limit,
  run: start,
  ...(skip === undefined ? {} : { skip })
})

export const workload: Workload = {
  id: "e",
  title: "requests that are interrupted and timed out",
  counting:
    "Sent is the requests that were not given up, delivered those that got their own reply, lost those that got none. A third of the requests is never given up.",
  rows: [
    row("effect-zmq", "REQ to REP", run(ours("req"), "rep", 4), [3000, 100_000]),
    row("effect-zmq", "DEALER to ROUTER, 32 at a time", run(ours("dealer"), "router", 32), [6000, 100_000]),
    row("effect-zmq", "DEALER to REP, 8 at a time", run(ours("dealer"), "rep", 8), [4000, 100_000]),
    row("wrapper", "REQ to REP", run(wrapper, "rep", 1), [3000, 100_000]),
    row("PyZMQ", "REQ to REP", { python: "asking.py" }, [3000, 100_000], needsPyzmq)
  ]
}
