/** Malformed bytes, half handshakes and half messages from a raw TCP client, while a good peer sends its numbers. */
import { connect, type Socket } from "node:net"
import { Effect, Fiber } from "effect"
import { Zmq } from "effect-zmq"
import { exactlyOnce, lent } from "../cancellations.ts"
import { Ledger, notesOf } from "../ledger.ts"
import { nextTurn, type Random, randomOf, seed } from "../moments.ts"
import type { Outcome, Size, Workload } from "../row.ts"
import { textsOf } from "../subjects.ts"
import { progress, settle, watchFiber } from "../watch.ts"

const greeting = (version = 3, mechanism = "NULL"): Buffer => {
  const bytes = Buffer.alloc(64)
  bytes[0] = 0xff
  bytes[9] = 0x7f
  bytes[10] = version
  bytes.write(mechanism, 12, "latin1")
  return bytes
}

const ready = (type: string): Buffer => {
  const body = Buffer.concat([
    Buffer.from("\x05READY\x0bSocket-Type", "latin1"),
    Buffer.from([0, 0, 0, type.length]),
    Buffer.from(type)
  ])
  return Buffer.concat([Buffer.from([4, body.length]), body])
}

const frame = (text: string, more: boolean): Buffer =>
  Buffer.concat([Buffer.from([more ? 1 : 0, text.length]), Buffer.from(text)])

const noise = (random: Random, length: number): Buffer => Buffer.from(Array.from({ length }, () => random(256)))

/** What the raw client says before it goes. */
const attacks: ReadonlyArray<(random: Random) => Buffer> = [
  () => Buffer.alloc(0),
  (random) => noise(random, 1 + random(200)),
  (random) => greeting().subarray(0, 1 + random(63)),
  (random) => Buffer.concat([greeting(), noise(random, 1 + random(100))]),
  (random) => greeting(random(256)),
  () => greeting(3, "PLAIN"),
  () => greeting(3, "CURVE"),
  (random) => Buffer.concat([greeting(), ready("PUSH").subarray(0, 1 + random(20))]),
  () => Buffer.concat([greeting(), ready("PULL")]),
  () => Buffer.concat([greeting(), ready("NONSENSE")]),
  // A length of 2^63 - 1, and one that is negative.
  () => Buffer.concat([greeting(), ready("PUSH"), Buffer.from([2, 0x7f, ...Array<number>(7).fill(0xff)])]),
  () => Buffer.concat([greeting(), ready("PUSH"), Buffer.from([2, ...Array<number>(8).fill(0xff)])]),
  (random) => Buffer.concat([greeting(), ready("PUSH"), Buffer.from([random(256), random(256)]), noise(random, 50)]),
  // The first frames of a message that never ends.
  () => Buffer.concat([greeting(), ready("PUSH"), frame("half", true)]),
  () => Buffer.concat([greeting(), ready("PUSH"), frame("half", true), frame("half", false).subarray(0, 4)]),
  () => Buffer.concat([greeting(), ready("DEALER"), frame("half", true)])
]

const attack = (port: number, random: Random): Promise<void> =>
  new Promise((resolve) => {
    const bytes = attacks[random(attacks.length)]!(random)
    const end = random(3)
    const socket: Socket = connect({ host: "127.0.0.1", port })
    const go = () => {
      if (end === 0) socket.resetAndDestroy()
      else if (end === 1) socket.destroy()
      else socket.end()
    }
    socket.on("error", () => {})
    socket.on("close", () => resolve())
    socket.on("connect", () => {
      socket.resume()
      if (random(3) > 0) socket.write(bytes, go)
      else {
        const at = random(bytes.length + 1)
        socket.write(bytes.subarray(0, at), () => setImmediate(() => socket.write(bytes.subarray(at), go)))
      }
      setTimeout(() => socket.destroy(), 50)
    })
  })

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
