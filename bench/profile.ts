/**
 * Where the time goes: CPU profiles of the ways through the library, in
 * microseconds for each message, by what they are spent on.
 *
 *     npx tsx --tsconfig bench/tsconfig.json bench/profile.ts
 */
import { Session } from "node:inspector/promises"
import { Effect, Stream } from "effect"
import { Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { address, handle } from "./harness.ts"

const messages = 10_000
const requests = 1000
const sockets = 300
const frame = () => Buffer.from("abcdefghijklmnop")

const withBacklog = async (work: (endpoint: string, ready: () => void) => Promise<unknown>): Promise<void> => {
  const endpoint = address()
  const sender = new zmq.Push({ sendHighWaterMark: 0, sendTimeout: 0, linger: 0 })
  await work(endpoint, () => {
    sender.connect(endpoint)
    for (let sent = 0; sent < messages; sent++) sender.send(frame())
  })
  sender.close()
}

const receiving = (receive: (socket: Zmq.Pull) => Effect.Effect<unknown, unknown>) => () =>
  withBacklog((endpoint, ready) =>
    Effect.gen(function* () {
      const socket = yield* Zmq.pull({ bind: endpoint, receiveHighWaterMark: 0 })
      ready()
      yield* measured(() => Effect.runPromise(receive(socket)))
    }).pipe(Effect.scoped, Effect.runPromise)
  )

const sending = (send: (socket: Zmq.Push) => Effect.Effect<unknown, unknown>) => () =>
  Effect.gen(function* () {
    const socket = new zmq.Pull({ receiveHighWaterMark: 0, linger: 0 })
    socket.bindSync("tcp://127.0.0.1:*")
    const sender = yield* Zmq.push({ connect: socket.lastEndpoint!, sendHighWaterMark: 0, linger: 0 })
    yield* sender.send("hello")
    yield* Effect.promise(() => socket.receive())
    yield* measured(() => Effect.runPromise(send(sender)))
    socket.close()
  }).pipe(Effect.scoped, Effect.runPromise)

const repeat = <A, E>(times: number, self: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    for (let i = 0; i < times; i++) yield* self
  })

const timesOf = (workload: string): number =>
  workload.includes("request") ? requests : workload.includes("opening") ? sockets : messages

const workloads: Readonly<Record<string, () => Promise<unknown>>> = {
  "`for await`, text": () =>
    withBacklog(async (endpoint, ready) => {
      const socket = new zmq.Pull({ receiveHighWaterMark: 0, linger: 0 })
      socket.bindSync(endpoint)
      ready()
      await Effect.runPromise(
        measured(async () => {
          let received = 0
          let characters = 0
          for await (const [message] of socket) {
            characters += message!.toString().length
            if (++received === messages) return characters
          }
        })
      )
      socket.close()
    }),
  "`recvString` in a loop, from a backlog": receiving((socket) => repeat(messages, socket.recvString)),
  "`strings`, from a backlog": receiving((socket) => Stream.runDrain(Stream.take(socket.strings, messages))),
  "`runForEach`, from a backlog": receiving((socket) => handle(socket, messages, () => {})),
  "`await socket.send()` of zeromq.js": async () => {
    const receiver = new zmq.Pull({ receiveHighWaterMark: 0, linger: 0 })
    receiver.bindSync("tcp://127.0.0.1:*")
    const socket = new zmq.Push({ sendHighWaterMark: 0, linger: 0 })
    socket.connect(receiver.lastEndpoint!)
    await socket.send("hello")
    await receiver.receive()
    await Effect.runPromise(
      measured(async () => {
        for (let sent = 0; sent < messages; sent++) await socket.send("abcdefghijklmnop")
      })
    )
    socket.close()
    receiver.close()
  },
  "`send` in a loop": sending((socket) => repeat(messages, socket.send("abcdefghijklmnop"))),
  "`sendAll`": sending((socket) => socket.sendAll(Array.from({ length: messages }, frame))),
  "a request by zeromq.js, REQ and REP in one process": async () => {
    const server = new zmq.Reply({ linger: 0 })
    server.bindSync("tcp://127.0.0.1:*")
    const client = new zmq.Request({ linger: 0 })
    client.connect(server.lastEndpoint!)
    const serving = (async () => {
      for await (const [question] of server) await server.send(question!)
    })().catch(() => {})
    await Effect.runPromise(
      measured(async () => {
        for (let asked = 0; asked < requests; asked++) {
          await client.send("question")
          await client.receive()
        }
      })
    )
    client.close()
    server.close()
    await serving
  },
  "`request` and `serve`, REQ and REP in one process": () =>
    Effect.gen(function* () {
      const server = yield* Zmq.rep({ bind: "tcp://127.0.0.1:*" })
      const client = yield* Zmq.req({ connect: server.endpoints[0]! })
      yield* Effect.forkScoped(server.serve(([question]) => Effect.succeed(question)))
      yield* measured(() => Effect.runPromise(repeat(requests, client.request("question"))))
    }).pipe(Effect.scoped, Effect.runPromise),
  "opening and closing a PULL": () =>
    Effect.runPromise(
      measured(() =>
        Effect.runPromise(repeat(sockets, Effect.scoped(Effect.suspend(() => Zmq.pull({ bind: address() })))))
      )
    )
}

// -----------------------------------------------------------------------------
// the profile
// -----------------------------------------------------------------------------

const session = new Session()
session.connect()

const isProfiler = (name: string, url: string) => name === "dispatch" || url === "node:inspector"

// zeromq.js and libzmq have no address, and what the promise of a call takes is
// booked on the function that made it.
const parts: ReadonlyArray<readonly [part: string, is: (name: string, url: string) => boolean]> = [
  ["garbage", (name) => name === "(garbage collector)"],
  ["waiting, the loop", (name) => name === "(idle)" || name === "(program)"],
  ["Node", (name, url) => url.startsWith("node:") || /Slice$|^inspect$/.test(name)],
  ["native, promises", (_, url) => url === "" || /zeromq\/lib|internal\/native/.test(url)],
  ["Effect", (_, url) => url.includes("node_modules/effect/")],
  ["ours", (_, url) => url.includes("/dist/")],
  ["the benchmark", () => true]
]

const spent = new Map<string, number>()

/** Profiles one part of a workload. */
const measured = (work: () => Promise<unknown>): Effect.Effect<void> =>
  Effect.promise(async () => {
    await session.post("Profiler.start")
    await work()
    const { profile } = await session.post("Profiler.stop")
    const nodes = new Map(profile.nodes.map((node) => [node.id, node.callFrame]))
    profile.samples!.forEach((id, at) => {
      const { functionName, url } = nodes.get(id)!
      if (isProfiler(functionName, url)) return
      const part = parts.find(([, is]) => is(functionName, url))![0]
      spent.set(part, (spent.get(part) ?? 0) + profile.timeDeltas![at]!)
    })
  })

const runs = 30
const warmUps = 10

await session.post("Profiler.enable")
await session.post("Profiler.setSamplingInterval", { interval: 100 })
const columns = parts.map(([part]) => part)
console.log(`| | all | ${columns.join(" | ")} |\n|---|---|${columns.map(() => "---|").join("")}`)
for (const [name, run] of Object.entries(workloads)) {
  for (let i = 0; i < warmUps; i++) await run()
  spent.clear()
  for (let i = 0; i < runs; i++) await run()
  const each = (part: string) => (spent.get(part) ?? 0) / runs / timesOf(name)
  const total = columns.reduce((sum, part) => sum + each(part), 0)
  console.log(`| ${name} | ${[total, ...columns.map(each)].map((micros) => micros.toFixed(2)).join(" | ")} |`)
}
session.disconnect()
