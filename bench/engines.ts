/** The two engines beside each other, and zeromq.js itself: the same program, the same peer. */
import { Effect, type Layer, Redacted, Stream } from "effect"
import { Engine, Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import type { Engine as PortEngine } from "../src/internal/engine.ts"
import { address, count, expectCount, handle, latenciesOf, type Sample, type Workload } from "./harness.ts"
import { theLimitOf } from "./outside.ts"
import { Peer, payload } from "./peer.ts"
import { WirePeer } from "./wirePeer.ts"

const engines = { zeromq: Engine.layerZeromq, zmtp: Engine.layerZmtp } as const
type Name = keyof typeof engines

/** Microseconds of time, and of the processor, for each of so many. */
const timed = async (messages: number, run: () => Promise<unknown>): Promise<Sample> => {
  const cpu = process.cpuUsage()
  const start = performance.now()
  await run()
  const mean = ((performance.now() - start) * 1000) / messages
  const { system, user } = process.cpuUsage(cpu)
  return { mean, processor: (system + user) / messages }
}

type Receive = (socket: Zmq.Pull, messages: number) => Effect.Effect<unknown, unknown>

const receives: Readonly<Record<string, Receive>> = {
  recvString: (socket, messages) =>
    Effect.gen(function* () {
      for (let left = messages; left > 0; left--) yield* socket.recvString
    }),
  messages: (socket, messages) => Stream.runDrain(Stream.take(socket.messages, messages)),
  runForEach: (socket, messages) => handle(socket, messages, () => {})
}

const portOf = (endpoint: string): number => Number(endpoint.split(":").at(-1))

/** A program on an engine, by functions of its own: V8 keeps one record of types for each function. */
const onEngine = (name: Name, program: Effect.Effect<Sample, unknown, never>): Promise<Sample> =>
  Effect.runPromise(Effect.provide(program, engines[name] as Layer.Layer<never>) as Effect.Effect<Sample>)

const receiving = (what: string, bytes: number, messages: number): Workload => {
  const peer = new WirePeer()
  const highWaterMark = bytes > 4096 ? 100 : 1000
  const byUs = (name: Name, receive: Receive) => (): Promise<Sample> =>
    onEngine(
      name,
      Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*", receiveHighWaterMark: highWaterMark })
        const port = portOf(pull.endpoints[0]!)
        yield* Effect.promise(() => peer.do({ what: "pump", port, messages, bytes }))
        const sent = peer.do({ what: "go" })
        const sample = yield* Effect.promise(() => timed(messages, () => Effect.runPromise(receive(pull, messages))))
        yield* Effect.promise(() => sent)
        yield* Effect.promise(() => peer.do({ what: "close" }))
        return sample
      }).pipe(Effect.scoped)
    )
  const byThem = async (): Promise<Sample> => {
    const pull = new zmq.Pull({ linger: 0, receiveHighWaterMark: highWaterMark })
    pull.bindSync("tcp://127.0.0.1:*")
    await peer.do({ what: "pump", port: portOf(pull.lastEndpoint!), messages, bytes })
    const sent = peer.do({ what: "go" })
    let got = 0
    const sample = await timed(messages, async () => {
      for await (const _ of pull) if (++got === messages) break
    })
    await sent
    await peer.do({ what: "close" })
    pull.close()
    expectCount(what, got, messages)
    return sample
  }
  return {
    name: `engines: receive ${what} over tcp`,
    unit: "µs/message",
    contenders: {
      "zeromq.js, for await": byThem,
      ...Object.fromEntries(
        Object.entries(receives).flatMap(([way, receive]) =>
          (["zeromq", "zmtp"] as const).map((name) => [`${name}, ${way}`, byUs(name, receive)])
        )
      )
    },
    close: peer.close
  }
}

type Send = (socket: Zmq.Push, messages: ReadonlyArray<Buffer>) => Effect.Effect<unknown, unknown>

const sends: Readonly<Record<string, Send>> = {
  send: (socket, messages) =>
    Effect.gen(function* () {
      for (const message of messages) yield* socket.send(message)
    }),
  sendAll: (socket, messages) => socket.sendAll(messages)
}

const sending = (what: string, bytes: number, messages: number): Workload => {
  const peer = new WirePeer()
  const all = Array.from({ length: messages }, () => payload(bytes))
  const byUs = (name: Name, send: Send) => (): Promise<Sample> =>
    onEngine(
      name,
      Effect.gen(function* () {
        const push = yield* Zmq.push({ bind: "tcp://127.0.0.1:*" })
        const port = portOf(push.endpoints[0]!)
        yield* Effect.promise(() => peer.do({ what: "sink", port, messages, bytes }))
        const sample = yield* Effect.promise(() =>
          timed(messages, () => Effect.runPromise(send(push, all)).then(() => peer.do({ what: "go" })))
        )
        yield* Effect.promise(() => peer.do({ what: "close" }))
        return sample
      }).pipe(Effect.scoped)
    )
  return {
    name: `engines: send ${what} over tcp`,
    unit: "µs/message",
    contenders: Object.fromEntries(
      Object.entries(sends).flatMap(([way, send]) =>
        (["zeromq", "zmtp"] as const).map((name) => [`${name}, ${way}`, byUs(name, send)])
      )
    ),
    close: peer.close
  }
}

const overInproc = (messages: number): Workload => {
  const frame = payload(16)
  const byUs = (name: Name, receive: Receive) => (): Promise<Sample> =>
    onEngine(
      name,
      Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: address() })
        const push = yield* Zmq.push({ connect: pull.endpoints[0]! })
        return yield* Effect.promise(() =>
          timed(messages, () =>
            Effect.runPromise(
              Effect.all(
                [
                  Effect.gen(function* () {
                    for (let left = messages; left > 0; left--) yield* push.send(frame)
                  }),
                  receive(pull, messages)
                ],
                { concurrency: "unbounded" }
              )
            )
          )
        )
      }).pipe(Effect.scoped)
    )
  return {
    name: "engines: 16 B over inproc, sent and received",
    unit: "µs/message",
    contenders: Object.fromEntries(
      Object.entries(receives).flatMap(([way, receive]) =>
        (["zeromq", "zmtp"] as const).map((name) => [`${name}, ${way}`, byUs(name, receive)])
      )
    )
  }
}

const roundTrips = (requests: number): Workload => {
  const peer = new WirePeer()
  const byUs = (name: Name) => (): Promise<Sample> =>
    onEngine(
      name,
      Effect.gen(function* () {
        const req = yield* Zmq.req({ bind: "tcp://127.0.0.1:*" })
        const port = portOf(req.endpoints[0]!)
        yield* Effect.promise(() => peer.do({ what: "echo", port }))
        const latencies: Array<number> = []
        for (let left = requests; left > 0; left--) {
          const start = performance.now()
          yield* req.request("0123456789abcdef")
          latencies.push((performance.now() - start) * 1000)
        }
        yield* Effect.promise(() => peer.do({ what: "close" }))
        const sample = latenciesOf("requests", latencies, requests)
        return { mean: sample.median!, ...sample }
      }).pipe(Effect.scoped)
    )
  return {
    name: "engines: one request after the other over tcp",
    unit: "µs",
    contenders: { zeromq: byUs("zeromq"), zmtp: byUs("zmtp") },
    close: peer.close
  }
}

/** A PUB, its subscribers, and messages that are sent until they are with them. */
interface Publishing {
  readonly peers: number
  readonly topics: ReadonlyArray<string>
  readonly messages: number
  /** How many are sent before anything is measured. */
  readonly before?: number
  readonly topicOf: (n: number) => string
}

const publish =
  (peer: WirePeer, name: Name, { before = 0, messages, peers, topicOf, topics }: Publishing) =>
  (): Promise<Sample> =>
    onEngine(
      name,
      Effect.gen(function* () {
        const pub = yield* Zmq.pub({ bind: "tcp://127.0.0.1:*", sendHighWaterMark: 0 })
        const port = portOf(pub.endpoints[0]!)
        yield* Effect.promise(() => peer.do({ what: "subscribe", port, peers, topics }))
        yield* pub.awaitSubscribers(topics.at(-1)!, peers)
        const all = Array.from({ length: messages }, (_, n) => topicOf(n))
        const send = (count: number) =>
          Effect.runPromise(
            Effect.gen(function* () {
              for (let n = 0; n < count; n++) yield* pub.send(all[n]!)
            })
          )
        yield* Effect.promise(() => send(before))
        const sample = yield* Effect.promise(() => timed(messages, () => send(messages)))
        yield* Effect.promise(() => peer.do({ what: "close" }))
        return sample
      }).pipe(Effect.scoped)
    )

const publishing = (what: string, how: Publishing): Workload => {
  const peer = new WirePeer()
  return {
    name: `engines: ${what}`,
    unit: "µs/message",
    contenders: { zeromq: publish(peer, "zeromq", how), zmtp: publish(peer, "zmtp", how) },
    close: peer.close
  }
}

/** What a message costs that nobody wants, beside more and more who are there. Their coming is none of it. */
const besideIdle = (messages: number): Workload => {
  const peer = new WirePeer()
  const how = { topics: ["idle"], messages, before: messages, topicOf: () => "a message" }
  const names: ReadonlyArray<Name> = ["zeromq", "zmtp"]
  const contenders = names.flatMap((name) =>
    [1, 10, 100, 1000].map((peers) => [`${name}, ${peers}`, publish(peer, name, { ...how, peers })] as const)
  )
  return {
    name: "engines: PUB to nobody, beside so many idle SUBs",
    unit: "µs/message",
    contenders: Object.fromEntries(contenders),
    close: peer.close
  }
}

const dealers = (peers: number, messages: number): Workload => {
  const peer = new WirePeer()
  const total = Math.ceil(messages / peers) * peers
  const byUs = (name: Name) => (): Promise<Sample> =>
    onEngine(
      name,
      Effect.gen(function* () {
        const router = yield* Zmq.router({ bind: "tcp://127.0.0.1:*" })
        const port = portOf(router.endpoints[0]!)
        yield* Effect.promise(() => peer.do({ what: "deal", port, peers, messages }))
        yield* router.awaitPeers(peers)
        const sent = peer.do({ what: "go" })
        const sample = yield* Effect.promise(() =>
          timed(total, () => Effect.runPromise(handle(router, total, () => {})))
        )
        yield* Effect.promise(() => sent)
        yield* Effect.promise(() => peer.do({ what: "close" }))
        return sample
      }).pipe(Effect.scoped)
    )
  return {
    name: `engines: ROUTER with ${peers} DEALERs, runForEach`,
    unit: "µs/message",
    contenders: { zeromq: byUs("zeromq"), zmtp: byUs("zmtp") },
    close: peer.close
  }
}

/** From zeromq.js, sealed. Each engine opens it by what it has: libzmq by its own libsodium, the other by `sodium-native`. */
const secured = (what: string, bytes: number, messages: number): Workload => {
  let peer: Peer | undefined
  const server = zmq.curveKeyPair()
  const client = zmq.curveKeyPair()
  const byUs = (name: Name) => (): Promise<Sample> =>
    onEngine(
      name,
      Effect.gen(function* () {
        peer ??= new Peer()
        const pull = yield* Zmq.pull({
          bind: "tcp://127.0.0.1:*",
          curveServer: true,
          curveSecretKey: Redacted.make(server.secretKey)
        })
        yield* Effect.promise(() =>
          peer!.do({
            what: "connect",
            endpoint: pull.endpoints[0]!,
            curve: {
              curvePublicKey: client.publicKey,
              curveSecretKey: client.secretKey,
              curveServerKey: server.publicKey
            }
          })
        )
        yield* pull.recv
        yield* Effect.promise(() => peer!.do({ what: "send", messages, bytes }))
        const sample = yield* Effect.promise(() =>
          timed(messages, () => Effect.runPromise(handle(pull, messages, () => {})))
        )
        yield* Effect.promise(() => peer!.do({ what: "close" }))
        return sample
      }).pipe(Effect.scoped)
    )
  return {
    name: `engines: receive ${what} over tcp with CURVE, runForEach`,
    unit: "µs/message",
    contenders: { zeromq: byUs("zeromq"), zmtp: byUs("zmtp") },
    close: () => peer?.close()
  }
}

/** An engine without what is above it: messages are taken as they come. */
const alone = (messages: number): Workload => {
  const peer = new WirePeer()
  const sendTo = async (endpoint: string): Promise<void> => {
    await peer.do({ what: "pump", port: portOf(endpoint), messages: messages + 1, bytes: 16 })
    await peer.do({ what: "go" })
  }
  const taking = async (): Promise<Sample> => {
    // As it is built, and not what TypeScript makes of it here.
    const { zmtpEngine } = (await import(new URL("../dist/internal/zmtp/engine.js", import.meta.url).href)) as {
      readonly zmtpEngine: PortEngine
    }
    const context = zmtpEngine.openContext()
    let done: () => void
    const all = new Promise<void>((resolve) => {
      done = resolve
    })
    let got = 0
    const ignore = (): void => {}
    const socket = zmtpEngine.open(
      { type: "pull", context, prefetch: 256, conflate: false, noDrop: false, monitor: undefined },
      {
        wanted: 1000,
        sent: 0,
        onMessages: () => {
          for (let left = socket.ready; left > 0; left--) {
            socket.take()
            if (++got === messages) done()
          }
          socket.listen()
        },
        onRoom: ignore,
        onEvent: ignore,
        onPeers: ignore,
        onDropped: ignore,
        onEnd: ignore
      }
    )
    const endpoint = await new Promise<string>((resolve) =>
      socket.bind("tcp://127.0.0.1:*", (_, bound) => resolve(bound!))
    )
    socket.listen()
    await peer.do({ what: "pump", port: portOf(endpoint), messages, bytes: 16 })
    const sent = peer.do({ what: "go" })
    const sample = await timed(messages, () => all)
    await sent
    await new Promise((resolve) => socket.close(0, resolve))
    await peer.do({ what: "close" })
    return sample
  }
  return {
    name: "engines: 16 B over tcp, the engine alone",
    unit: "µs/message",
    contenders: { ...theLimitOf(messages, sendTo), "zmtp, taking": taking },
    close: peer.close
  }
}

export const engineWorkloads = (): Array<Workload> => [
  receiving("16 B", 16, count(200_000)),
  receiving("1 KiB", 1024, count(100_000)),
  receiving("64 KiB", 65_536, count(4000)),
  receiving("1 MiB", 1_048_576, count(300)),
  sending("16 B", 16, count(100_000)),
  sending("1 KiB", 1024, count(50_000)),
  overInproc(count(100_000)),
  roundTrips(count(4000)),
  publishing("PUB to 100 SUBs", { peers: 100, topics: ["a"], messages: count(2000), topicOf: () => "a message" }),
  publishing("PUB to one SUB of 10,000 topics", {
    peers: 1,
    topics: Array.from({ length: 10_000 }, (_, n) => `topic ${n} `),
    messages: count(50_000),
    topicOf: (n) => `topic ${n % 10_000} said`
  }),
  besideIdle(count(100_000)),
  dealers(1000, count(50_000)),
  secured("16 B", 16, count(50_000)),
  secured("1 KiB", 1024, count(30_000)),
  alone(count(400_000))
]
