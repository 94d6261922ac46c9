/** Malformed bytes, half handshakes and half messages from a raw TCP client, while a good peer sends its numbers. */
import { Effect, Fiber } from "effect"
import { Zmq } from "effect-zmq"
import { attack, attacks } from "../attacks.ts"
import { exactlyOnce, lent } from "../cancellations.ts"
import { Ledger, notesOf } from "../ledger.ts"
import { nextTurn, randomOf, seed } from "../moments.ts"
import type { Outcome, Size, Workload } from "../row.ts"
import { textsOf } from "../subjects.ts"
import { progress, settle, watchFiber } from "../watch.ts"

const notOurs = "NaN"

const run =
  (receiver: "pull" | "router") =>
  async (size: Size): Promise<Outcome> => {
    const random = randomOf()
    const ledger = new Ledger(10_000_000)
    let foreign = 0
    let halves = 0
    const program = Effect.gen(function* () {
      const options = { bind: "tcp://127.0.0.1:*", handshakeInterval: "1 second" } as const
      const socket: Zmq.Socket & Zmq.Receiver = yield* receiver === "pull" ? Zmq.pull(options) : Zmq.router(options)
      const endpoint = socket.endpoints[0]!
      const port = Number(endpoint.split(":").at(-1))
      const good = yield* receiver === "pull" ? Zmq.push({ connect: endpoint }) : Zmq.dealer({ connect: endpoint })
      // Some bytes are a message, in the first version of ZMTP, and those are nobody's fault.
      const numberOf = (message: Zmq.Message): string => {
        const text = message.at(-1)!.toString("latin1")
        if (message.some((part) => part.toString("latin1") === "half")) halves++
        if (/^good \d+$/.test(text)) return text.slice(5)
        foreign++
        return notOurs
      }
      const subject = textsOf(socket, numberOf)
      const reader = notesOf(ledger.reader(), (text) => (text === notOurs ? [] : [Number(text)]))
      const ways = Object.values({ ...exactlyOnce, ...lent })
      const weather = watchFiber(
        yield* Effect.forkScoped(
          Effect.gen(function* () {
            while (true) {
              yield* settle(ways[random(ways.length)]!({ subject, reader, random }))
              yield* nextTurn
            }
          })
        )
      )
      const sender = watchFiber(
        yield* Effect.forkScoped(
          Effect.gen(function* () {
            while (!ledger.full) {
              for (let i = 0; i < 50; i++) yield* good.send(`good ${ledger.next()}`)
              yield* nextTurn
            }
          })
        )
      )
      let connections = 0
      yield* Effect.promise(() =>
        Promise.all(
          Array.from({ length: 40 }, async () => {
            while (connections < size.count) {
              connections++
              await attack(port, random)
              progress(() => `${connections} connections, ${ledger.sent} good messages`)
            }
          })
        )
      )
      ledger.enough = true
      yield* Fiber.await(sender)
      for (let left = 500, behind = 0; left > 0 && ledger.behind > 0; left--) {
        if (ledger.behind !== behind) left = 500
        behind = ledger.behind
        yield* Effect.sleep(1)
      }
      yield* Fiber.interrupt(weather)
      ledger.foundAtEnd((yield* subject.rest(ledger.missing)).filter((text) => text !== notOurs).map(Number))
    })
    await Effect.runPromise(settle(Effect.scoped(program)))
    return {
      ...ledger.books(),
      faults: halves > 0 ? [`${halves} half messages were delivered`] : [],
      notes: [
        `${size.count} raw connections of ${attacks.length} kinds`,
        `${foreign} of their bytes were messages after all`,
        `seed ${seed}`
      ]
    }
  }

const limit = { quick: 180, full: 1200 }

export const workload: Workload = {
  id: "j",
  title: "malformed bytes, half handshakes and half messages from a raw TCP client",
  counting: "The messages are those of a good peer on the same port. No half message may be delivered.",
  alone: "the bytes meet libzmq first, which is the same for all, and the storm around them is that of (b)",
  rows: [
    { library: "effect-zmq", variant: "PULL", quick: 500, full: 5000, limit, run: run("pull") },
    { library: "effect-zmq", variant: "ROUTER", quick: 500, full: 5000, limit, run: run("router") }
  ]
}
