/** A ROUTER that echoes, and two hundred peers that come, talk and go: some wait for every echo, some just leave. */
import { Effect, Fiber } from "effect"
import { Zmq } from "effect-zmq"
import { randomOf, seed, someMoment } from "../moments.ts"
import type { Outcome, Size, Workload } from "../row.ts"
import { progress, settle, watchFiber } from "../watch.ts"

const peers = 200

interface Life {
  sent: number
  received: number
  echoed: number
}

const run =
  (transport: "tcp" | "inproc") =>
  async (size: Size): Promise<Outcome> => {
    const random = randomOf()
    const lives = new Map<string, Life>()
    let outOfOrder = 0
    let unroutable = 0
    let left = 0
    let lostEchoes = 0
    let duplicatedEchoes = 0
    let foreign = 0

    const program = Effect.gen(function* () {
      const router = yield* Zmq.router({
        bind: transport === "tcp" ? "tcp://127.0.0.1:*" : `inproc://router-${process.pid}`
      })
      const endpoint = router.endpoints[0]!
      const echo = Effect.gen(function* () {
        const [id, body] = yield* router.recv
        const life = lives.get(id.toString())
        if (life === undefined) foreign++
        else {
          if (Number(body!.toString()) !== life.received) outOfOrder++
          life.received++
        }
        yield* router.send([id, body!])
      }).pipe(
        Effect.catchTag("Unroutable", () => Effect.sync(() => unroutable++)),
        Effect.forever
      )
      const echoing = watchFiber(yield* Effect.forkScoped(echo))

      const live = (name: string, life: Life, stays: boolean) =>
        Effect.gen(function* () {
          const dealer = yield* Zmq.dealer({ connect: endpoint, routingId: name, linger: "60 seconds" })
          const messages = 1 + random(20)
          for (let i = 0; i < messages; i++) {
            // Only so that it is known how many were sent: the rest of a life may be interrupted anywhere.
            yield* Effect.uninterruptible(
              Effect.andThen(
                dealer.send(String(i)),
                Effect.sync(() => life.sent++)
              )
            )
            if (random(3) === 0) yield* someMoment(random)
          }
          while (life.echoed < messages) {
            const [body] = yield* dealer.recv
            if (Number(body.toString()) < life.echoed) duplicatedEchoes++
            else life.echoed++
          }
        }).pipe(Effect.scoped, Effect.timeoutOption(stays ? "60 seconds" : "5 seconds"))

      const slot = (number: number) =>
        Effect.gen(function* () {
          for (let turn = 0; turn < size.count; turn++) {
            const name = `peer-${number}-${turn}`
            const life: Life = { sent: 0, received: 0, echoed: 0 }
            lives.set(name, life)
            const stays = random(2) === 0
            const fiber = watchFiber(yield* Effect.forkChild(live(name, life, stays)))
            if (!stays) {
              yield* Effect.andThen(someMoment(random), Effect.sleep(random(8)))
              yield* Fiber.interrupt(fiber)
              left++
            }
            yield* Fiber.await(fiber)
            if (stays) lostEchoes += life.sent - life.echoed
            progress(() => `${lives.size} peers`)
          }
        })
      yield* Effect.all(
        Array.from({ length: peers }, (_, number) => slot(number)),
        { concurrency: "unbounded", discard: true }
      )
      // What those who left had sent still arrives: they linger.
      const sent = [...lives.values()].reduce((sum, life) => sum + life.sent, 0)
      for (let silent = 0, before = -1; silent < (before < sent ? 5000 : 300); silent++) {
        const now = [...lives.values()].reduce((sum, life) => sum + life.received, 0)
        if (now !== before) silent = 0
        before = now
        yield* Effect.sleep(1)
      }
      yield* Fiber.interrupt(echoing)
    })
    await Effect.runPromise(settle(Effect.scoped(program)))
    const all = [...lives.values()]
    const sent = all.reduce((sum, life) => sum + life.sent, 0)
    const delivered = all.reduce((sum, life) => sum + Math.min(life.sent, life.received), 0)
    const duplicated = all.reduce((sum, life) => sum + Math.max(0, life.received - life.sent), 0)
    return {
      sent,
      delivered,
      redelivered: 0,
      receivable: 0,
      lost: sent - delivered + lostEchoes,
      duplicated: duplicated + duplicatedEchoes,
      outOfOrder,
      faults: foreign > 0 ? [`${foreign} messages from nobody`] : [],
      notes: [
        `${all.length} peers, ${left} interrupted and gone`,
        `${unroutable} echoes to peers that had left: Unroutable`,
        `echoes missing at peers that stayed: ${lostEchoes}`,
        `seed ${seed}`
      ]
    }
  }

const limit = { quick: 180, full: 1200 }

export const workload: Workload = {
  id: "f",
  title: `a ROUTER with ${peers} peers that come and go`,
  counting:
    "What a peer sent before it left is counted, and what it was sent back if it stayed; echoes to peers that left are not.",
  alone:
    "the ROUTER itself is never cancelled here, only whole sockets end, and a receive that is not cancelled loses nothing in any of them; what a cancelled one loses is in (a) to (e)",
  rows: [
    { library: "effect-zmq", variant: "tcp", quick: 2, full: 20, limit, run: run("tcp") },
    { library: "effect-zmq", variant: "inproc", quick: 2, full: 20, limit, run: run("inproc") }
  ]
}
