/** A storm of cancellations of every kind, on a consumer that is now idle and now behind. */
import { connect } from "node:net"
import { Effect, Fiber, type Scope } from "effect"
import { Zmq } from "effect-zmq"
import { exactlyOnce, lent, lentToMany, readAhead } from "../cancellations.ts"
import { Ledger, notesOf } from "../ledger.ts"
import { nextTurn, randomOf, seed, someMoment } from "../moments.ts"
import { needsPyzmq } from "../python.ts"
import type { Outcome, Row, Size, Workload } from "../row.ts"
import { effectZmq, type OpenSubject, type Subject, subjectOf, textsOf, wrapper } from "../subjects.ts"
import { progress, settle } from "../watch.ts"

/** Where the numbers come from, and the socket that the storm is about. */
export interface Ends {
  readonly sendAll: (texts: ReadonlyArray<string>) => Effect.Effect<void, unknown>
  readonly subject: Subject
  /** The numbers of which a text of the subject stands for several. */
  readonly numbersOf?: (text: string) => ReadonlyArray<number>
}
type OpenEnds = Effect.Effect<Ends, unknown, Scope.Scope>

const endpoints = {
  inproc: `inproc://storm-${process.pid}`,
  ipc: `ipc://@effect-zmq-proof-${process.pid}`,
  tcp: "tcp://127.0.0.1:*"
}
type Transport = keyof typeof endpoints

const fibers = 16

const pushTo = (open: OpenSubject, transport: Transport): OpenEnds =>
  Effect.gen(function* () {
    const push = yield* Zmq.push({ bind: endpoints[transport] })
    return { sendAll: push.sendAll, subject: yield* open(push.endpoints[0]!) }
  })

/** libzmq drops nothing here: its queues have no end, or the publisher waits for room (`noDrop`). */
const unlimited = { sendHighWaterMark: 0, receiveHighWaterMark: 0 }
const waits = { sendHighWaterMark: 100, noDrop: true }

const publish = (options: {
  readonly type: "pub" | "xpub"
  readonly noDrop: boolean
  readonly transport: Transport
}): OpenEnds =>
  Effect.gen(function* () {
    const sending = { bind: endpoints[options.transport], ...(options.noDrop ? waits : { sendHighWaterMark: 0 }) }
    const receiving = options.noDrop ? { receiveHighWaterMark: 100 } : { receiveHighWaterMark: 0 }
    const pub = yield* options.type === "pub" ? Zmq.pub(sending) : Zmq.xpub(sending)
    const connect = { connect: pub.endpoints[0]!, ...receiving }
    const sub: Zmq.Socket & Zmq.Receiver & Zmq.Subscriber = yield* options.type === "pub"
      ? Zmq.sub({ ...connect, subscribe: [""] })
      : Zmq.xsub(connect)
    if (pub.type === "xpub") {
      yield* sub.subscribe("")
      yield* pub.recv
    } else yield* subscribed(pub, sub)
    return { sendAll: pub.sendAll, subject: subjectOf(sub) }
  })

/** A PUB does not know its subscribers: it sends until the first message is there, and then one that is the last. */
const subscribed = (pub: Zmq.Pub, sub: Zmq.Receiver) =>
  Effect.gen(function* () {
    const first = yield* Effect.forkChild(sub.recv)
    while (first.pollUnsafe() === undefined) {
      yield* pub.send("hello")
      yield* Effect.sleep(5)
    }
    yield* pub.send("last")
    while ((yield* sub.recvString) !== "last") {}
  })

const paired: OpenEnds = Effect.gen(function* () {
  const one = yield* Zmq.pair({ bind: "tcp://127.0.0.1:*" })
  const other = yield* Zmq.pair({ connect: one.endpoints[0]! })
  return { sendAll: one.sendAll, subject: subjectOf(other) }
})

/** What an XSUB sends upstream, beside its subscriptions. */
const upstream: OpenEnds = Effect.gen(function* () {
  const xpub = yield* Zmq.xpub({ bind: "tcp://127.0.0.1:*", ...unlimited })
  const xsub = yield* Zmq.xsub({ connect: xpub.endpoints[0]!, ...unlimited })
  yield* xsub.subscribe("")
  yield* xpub.recv
  return { sendAll: xsub.sendAll, subject: subjectOf(xpub) }
})

// The byte at each place of the stream: a few of them in a row tell their place.
const byteAt = (place: number): number => {
  const mixed = Math.imul(place ^ (place >>> 15), 0x2c1b3c6d)
  return (mixed ^ (mixed >>> 12)) & 0xff
}

/** A plain TCP client writes bytes, which come in pieces of any size. A number is the place of a byte. */
const bytes: OpenEnds = Effect.gen(function* () {
  const stream = yield* Zmq.rawStream({ bind: "tcp://127.0.0.1:*" })
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => connect(Number(stream.endpoints[0]!.split(":").at(-1)), "127.0.0.1").setNoDelay()),
    (socket) => Effect.sync(() => socket.destroy())
  )
  // That it is connected is an empty message.
  yield* stream.recv
  let written = 0
  let next = 0
  const places = new WeakMap<Zmq.Message, number>()
  const isAt = (piece: Buffer, place: number) => piece.every((byte, at) => byte === byteAt(place + at))
  const textOf = (message: Zmq.Message): string => {
    const piece = message[1]!
    let place = places.get(message)
    if (place === undefined) {
      place = next
      // Something is missing before it, or it is out of order: where is it?
      if (!isAt(piece, place)) for (place = 0; place < written && !isAt(piece, place); place++);
      places.set(message, place)
      next = place + piece.length
    }
    return `${place} ${piece.length}`
  }
  return {
    sendAll: (texts) =>
      Effect.callback<void>((resume) => {
        const data = Buffer.from(texts.map((text) => byteAt(Number(text))))
        written += data.length
        client.write(data, () => resume(Effect.void))
      }),
    subject: textsOf(stream, textOf),
    numbersOf: (text) => {
      const [place, length] = text.split(" ").map(Number)
      return Array.from({ length: length! }, (_, at) => place! + at)
    }
  }
})

const run =
  (open: OpenEnds, consumers: "one" | "many" | "ahead") =>
  async (size: Size): Promise<Outcome> => {
    const ledger = new Ledger(size.count)
    const random = randomOf()
    const counts = new Map<string, number>()
    if (consumers === "many") ledger.unordered()
    // `PROOF_KINDS=drain,timeout` looks at some kinds only.
    const some = process.env.PROOF_KINDS?.split(",")
    const kinds = Object.entries(
      consumers === "ahead" ? readAhead : { ...exactlyOnce, ...(consumers === "one" ? lent : lentToMany) }
    ).filter(([name]) => some === undefined || some.includes(name))

    // The numbers, in bursts of every size.
    const ventilate = (sendAll: Ends["sendAll"]) =>
      Effect.gen(function* () {
        while (!ledger.full) {
          const largest = random(10) === 0 ? 2000 : 100
          const burst: Array<string> = []
          for (let i = random(largest); i >= 0 && !ledger.full; i--) burst.push(String(ledger.next()))
          yield* sendAll(burst)
          yield* random(3) === 0 ? someMoment(random) : nextTurn
          // Now the consumer catches up, and now it does not.
          const most = random(2) * 3000
          for (let turns = 0; ledger.behind > most && turns < 50; turns++) yield* nextTurn
          progress(() => `${ledger.sent} sent`)
        }
      })

    const program = Effect.gen(function* () {
      const { numbersOf = (text) => [Number(text)], sendAll, subject } = yield* open
      const consume = Effect.suspend(() => {
        const reader = notesOf(ledger.reader(), numbersOf)
        return Effect.gen(function* () {
          while (true) {
            const [name, way] = kinds[random(kinds.length)]!
            counts.set(name, (counts.get(name) ?? 0) + 1)
            yield* settle(way({ subject, reader, random }))
            // A consumer that is always cancelled at once would starve itself.
            if (random(4) === 0) yield* nextTurn
          }
        })
      })
      const weather = yield* Effect.forkScoped(
        Effect.all(
          Array.from({ length: consumers === "many" ? fibers : 1 }, () => consume),
          { concurrency: "unbounded" }
        )
      )
      yield* ventilate(sendAll)
      for (let left = 500, behind = 0; left > 0 && ledger.behind > 0; left--) {
        if (ledger.behind !== behind) left = 500
        behind = ledger.behind
        yield* Effect.sleep(1)
      }
      yield* Fiber.interrupt(weather)
      ledger.foundAtEnd((yield* subject.rest(ledger.missing)).flatMap(numbersOf))
    })
    await Effect.runPromise(settle(Effect.scoped(program)))
    const all = [...counts.values()].reduce((sum, count) => sum + count, 0)
    const books = ledger.books()
    return {
      ...books,
      notes: [
        `${all} cancellations of ${counts.size} kinds`,
        ...(books.lost > 0 ? [`first lost: ${ledger.firstLost().join(" ")}`] : []),
        `seed ${seed}`
      ]
    }
  }

const limit = { quick: 180, full: 1200 }

const ours = (variant: string, start: Row["run"]): Row => ({
  library: "effect-zmq",
  variant,
  quick: 30_000,
  full: 200_000,
  limit,
  run: start
})
const transports = ["inproc", "ipc", "tcp"] as const

export const workload: Workload = {
  id: "b",
  title: "a storm of cancellations of every kind",
  counting:
    "One consumer is interrupted, timed out, raced, its scope closed, its stream ended, again and again, or sixteen fibers on one socket are. The publishers wait for room (`noDrop`) or have queues without an end, so that libzmq itself drops nothing. STREAM counts bytes, each by its place in what a plain TCP client wrote.",
  rows: [
    ...transports.flatMap(
      (transport): Array<Row> => [
        {
          library: "effect-zmq",
          variant: `${transport}, one consumer`,
          quick: 30_000,
          full: 1_000_000,
          limit,
          run: run(pushTo(effectZmq, transport), "one")
        },
        {
          library: "effect-zmq",
          variant: `${transport}, ${fibers} fibers`,
          quick: 30_000,
          full: 1_000_000,
          limit,
          run: run(pushTo(effectZmq, transport), "many")
        }
      ]
    ),
    ours("PAIR to PAIR, tcp", run(paired, "one")),
    ours("PUB to SUB, tcp", run(publish({ type: "pub", noDrop: false, transport: "tcp" }), "one")),
    ours("PUB to SUB with noDrop, tcp", run(publish({ type: "pub", noDrop: true, transport: "tcp" }), "one")),
    ours("PUB to SUB with noDrop, inproc", run(publish({ type: "pub", noDrop: true, transport: "inproc" }), "one")),
    ours(
      `XPUB to XSUB with noDrop, tcp, ${fibers} fibers`,
      run(publish({ type: "xpub", noDrop: true, transport: "tcp" }), "many")
    ),
    ours("XSUB to XPUB, tcp", run(upstream, "one")),
    { ...ours("TCP client to STREAM, one consumer", run(bytes, "one")), quick: 200_000, full: 2_000_000 },
    { ...ours(`TCP client to STREAM, ${fibers} fibers`, run(bytes, "many")), quick: 200_000, full: 2_000_000 },
    {
      library: "effect-zmq",
      variant: "tcp, stages that read ahead",
      quick: 10_000,
      full: 100_000,
      limit,
      run: run(pushTo(effectZmq, "tcp"), "ahead"),
      known:
        "Stream.interruptWhen and Stream.timeout placed before the handler pull elements ahead and drop them (Effect's Channel.merge); placed after the handler they are part of the rows above"
    },
    {
      library: "wrapper",
      variant: "tcp, one consumer",
      quick: 30_000,
      full: 1_000_000,
      limit,
      run: run(pushTo(wrapper, "tcp"), "one")
    },
    {
      library: "wrapper",
      variant: `tcp, ${fibers} fibers`,
      quick: 30_000,
      full: 1_000_000,
      limit,
      run: run(pushTo(wrapper, "tcp"), "many")
    },
    {
      library: "PyZMQ",
      variant: "tcp, one consumer",
      quick: 30_000,
      full: 1_000_000,
      limit,
      run: { python: "storm.py" },
      skip: needsPyzmq
    }
  ]
}
