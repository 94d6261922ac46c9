/** The two engines beside each other, and zeromq.js itself: the same program, the same peer. */
import { Effect, type Layer, Stream } from "effect"
import { Engine, Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { address, count, expectCount, handle, latenciesOf, type Sample, type Workload } from "./harness.ts"
import { payload } from "./peer.ts"
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

export const engineWorkloads = (): Array<Workload> => [
  receiving("16 B", 16, count(200_000)),
  receiving("1 KiB", 1024, count(100_000)),
  receiving("64 KiB", 65_536, count(4000)),
  receiving("1 MiB", 1_048_576, count(300)),
  sending("16 B", 16, count(100_000)),
  sending("1 KiB", 1024, count(50_000)),
  overInproc(count(100_000)),
  roundTrips(count(4000))
]
