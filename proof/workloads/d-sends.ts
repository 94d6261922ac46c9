/**
 * Sends to a socket that is full, cancelled while they wait and while room is
 * made. A send says what became of its message; the receiver knows.
 */
import { connect } from "node:net"
import { Data, Effect, Exit, Fiber, type Scope } from "effect"
import { Zmq } from "effect-zmq"
import * as zeromq from "zeromq"
import { buffers } from "../engine.ts"
import { Ledger } from "../ledger.ts"
import { nextTurn, randomOf, seed, someMoment } from "../moments.ts"
import { needsPyzmq } from "../python.ts"
import type { Library, Outcome, Row, Size, Workload } from "../row.ts"
import { progress, settle, watchExit, watchFiber } from "../watch.ts"

type OpenSend = (endpoint: string, highWaterMark: number) => Effect.Effect<Send, unknown, Scope.Scope>
/** Both ends: one that sends, and one that is too slow for it. */
interface Ends {
  readonly send: Send
  readonly recv: Effect.Effect<ReadonlyArray<string>, unknown>
}
type OpenEnds = Effect.Effect<Ends, unknown, Scope.Scope>
type Send = (message: ReadonlyArray<string>) => Effect.Effect<void, unknown>
class SendFailed extends Data.TaggedError("SendFailed")<{ readonly cause: unknown }> {}

const wrapperSend: OpenSend = (endpoint, highWaterMark) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const socket = new zeromq.Push({ sendHighWaterMark: highWaterMark, linger: 1000 })
        socket.connect(endpoint)
        return socket
      }),
      (socket) => Effect.sync(() => socket.close())
    ),
    (socket): Send =>
      (message) =>
        Effect.tryPromise({ try: () => socket.send([...message]), catch: (cause) => new SendFailed({ cause }) })
  )

const oursSend =
  (type: "push" | "dealer"): OpenSend =>
  (endpoint, highWaterMark) => {
    const options = { connect: endpoint, sendHighWaterMark: highWaterMark }
    const open: Effect.Effect<Zmq.Sender<never>, Zmq.SocketError, Scope.Scope> = type === "push"
      ? Zmq.push(options)
      : Zmq.dealer(options)
    return Effect.map(
      open,
      (socket): Send =>
        (message) =>
          socket.send(message as [string, ...Array<string>])
    )
  }

const connected = (open: OpenSend, transport: "inproc" | "tcp", receiver: "pull" | "dealer"): OpenEnds =>
  Effect.gen(function* () {
    const options = {
      bind: transport === "tcp" ? "tcp://127.0.0.1:*" : `inproc://sends-${process.pid}`,
      receiveHighWaterMark: 1
    }
    const pull: Zmq.Socket & Zmq.Receiver = yield* receiver === "pull" ? Zmq.pull(options) : Zmq.dealer(options)
    return {
      send: yield* open(pull.endpoints[0]!, 1),
      recv: Effect.map(pull.recv, (frames) => frames.map(String))
    }
  })

/** With `noDrop` a publisher waits for its subscriber. */
const published: OpenEnds = Effect.gen(function* () {
  const xpub = yield* Zmq.xpub({ bind: "tcp://127.0.0.1:*", sendHighWaterMark: 1, noDrop: true })
  const sub = yield* Zmq.sub({ connect: xpub.endpoints[0]!, subscribe: [""], receiveHighWaterMark: 1 })
  // The subscription has arrived.
  yield* xpub.recv
  return {
    send: (message) => xpub.send(message as [string, ...Array<string>]),
    recv: Effect.map(sub.recv, (frames) => frames.map(String))
  }
})

/** STREAM to a plain TCP client that reads slowly: each message is a line, and its bytes may not be mixed with others. */
const streamed: OpenEnds = Effect.gen(function* () {
  const stream = yield* Zmq.rawStream({
    bind: "tcp://127.0.0.1:*",
    sendHighWaterMark: 1,
    ...buffers({ sendBufferSize: 4096 })
  })
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => connect({ port: Number(stream.endpoints[0]!.split(":").at(-1)), host: "127.0.0.1" })),
    (socket) => Effect.sync(() => socket.destroy())
  )
  const lines: Array<string> = []
  let rest = ""
  client.on("readable", () => {})
  const [id] = yield* stream.recv
  const read = Effect.gen(function* () {
    while (lines.length === 0) {
      const text = client.read() as Buffer | null
      if (text === null) yield* nextTurn
      else {
        const parts = (rest + text.toString("latin1")).split("\n")
        rest = parts.pop()!
        lines.push(...parts)
      }
    }
    return lines.shift()!.split(" ")
  })
  return {
    send: ([number, filler, end]) => stream.send([id, `${number} ${"x".repeat(filler!.length * 200)} ${end}\n`]),
    recv: read
  }
})

const run =
  (open: OpenEnds) =>
  async (size: Size): Promise<Outcome> => {
    const random = randomOf()
    const ledger = new Ledger(size.count)
    const fates = new Map<number, "sent" | "withdrawn" | "failed">()
    const received: Array<number> = []
    let partial = 0
    const errors = new Map<string, number>()
    const latencies: Array<number> = []

    const program = Effect.gen(function* () {
      const { recv, send } = yield* open
      // As PUSH and PULL hand over in order, so must the numbers of each sender be.
      const read = Effect.gen(function* () {
        while (true) {
          const frames = yield* recv
          if (frames.length !== 3 || frames[2] !== "end") partial++
          received.push(Number(frames[0]))
          if (random(3) === 0) yield* someMoment(random)
        }
      })
      const reader = watchFiber(yield* Effect.forkScoped(read))
      const sender = Effect.gen(function* () {
        while (!ledger.full) {
          const number = ledger.next()
          const message = [String(number), "x".repeat(random(300)), "end"]
          const sending = watchFiber(
            yield* Effect.forkChild(random(4) === 0 ? Effect.timeout(send(message), random(3)) : send(message))
          )
          if (random(8) > 0) yield* someMoment(random)
          const asked = performance.now()
          if (random(4) > 0) yield* Fiber.interrupt(sending)
          const exit = yield* Fiber.await(sending)
          latencies.push(performance.now() - asked)
          watchExit(exit)
          fates.set(number, Exit.isSuccess(exit) ? "sent" : "withdrawn")
          if (Exit.isFailure(exit)) {
            const reason = exit.cause.reasons[0]
            const error =
              reason?._tag === "Fail" ? (reason.error as { _tag: string; cause?: { code?: string } }) : undefined
            const name = error === undefined ? "Interrupt" : (error.cause?.code ?? error._tag)
            errors.set(name, (errors.get(name) ?? 0) + 1)
          }
          progress(() => `${ledger.sent} sends`)
          if (random(50) === 0) yield* nextTurn
        }
      })
      yield* Effect.all(
        Array.from({ length: 8 }, () => sender),
        { concurrency: "unbounded", discard: true }
      )
      const told = [...fates.values()].filter((fate) => fate === "sent").length
      for (let silent = 0, before = -1; silent < (before < told ? 5000 : 400); silent++) {
        if (received.length !== before) silent = 0
        before = received.length
        yield* Effect.sleep(1)
      }
      yield* Fiber.interrupt(reader)
    })
    await Effect.runPromise(settle(Effect.scoped(program)))

    const times = new Map<number, number>()
    for (const number of received) times.set(number, (times.get(number) ?? 0) + 1)
    const sentNumbers = [...fates].filter(([, fate]) => fate === "sent").map(([number]) => number)
    const lost = sentNumbers.filter((number) => !times.has(number))
    const ghosts = [...times.keys()].filter((number) => fates.get(number) !== "sent")
    const duplicated = received.length - times.size
    latencies.sort((a, b) => a - b)
    const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? 0
    const faults = [
      ...(ghosts.length > 0 ? [`${ghosts.length} ghosts: said not to be sent, and received all the same`] : []),
      ...(partial > 0 ? [`${partial} messages without all their frames`] : [])
    ]
    return {
      sent: sentNumbers.length,
      delivered: times.size - ghosts.length,
      redelivered: 0,
      receivable: 0,
      lost: lost.length,
      duplicated,
      outOfOrder: null,
      faults,
      notes: [
        `${ledger.sent} sends, ${ledger.sent - sentNumbers.length} not sent (${[...errors].map(([name, count]) => `${name} ${count}`).join(", ")})`,
        `ghosts ${ghosts.length}`,
        `settled ${p99.toFixed(1)} ms (p99) after the interrupt`,
        `seed ${seed}`
      ]
    }
  }

const limit = { quick: 180, full: 1200 }
const row = (library: Library, variant: string, start: Row["run"], skip?: Row["skip"]): Row => ({
  library,
  variant,
  quick: 4000,
  full: 100_000,
  limit,
  run: start,
  ...(skip === undefined ? {} : { skip })
})

export const workload: Workload = {
  id: "d",
  title: "sends cancelled at a full high-water mark",
  counting:
    "Sent is what the sender was told is sent. Lost: told sent and never received. A ghost was told not sent and was received all the same.",
  rows: [
    row("effect-zmq", "PUSH, inproc", run(connected(oursSend("push"), "inproc", "pull"))),
    row("effect-zmq", "PUSH, tcp", run(connected(oursSend("push"), "tcp", "pull"))),
    row("effect-zmq", "DEALER, tcp", run(connected(oursSend("dealer"), "tcp", "dealer"))),
    row("effect-zmq", "XPUB with noDrop, tcp", run(published)),
    row("effect-zmq", "STREAM to a TCP client", run(streamed)),
    row("wrapper", "PUSH, tcp", run(connected(wrapperSend, "tcp", "pull"))),
    row("PyZMQ", "PUSH, tcp", { python: "sends.py" }, needsPyzmq)
  ]
}
