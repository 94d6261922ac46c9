/**
 * Proxies: ours, zeromq.js's own in a thread of libuv, and the loop that one
 * would write by hand. Who sends and receives is plain zeromq.js, the same for
 * all of them.
 */
import { Effect, Exit, Scope } from "effect"
import { Proxy, Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { address, count, expectCount, latenciesOf, perMessage, type Sample, type Workload } from "./harness.ts"
import { Peer, payload } from "./peer.ts"

/** A proxy that runs: where its frontend is bound, and how to stop it and close its sockets. */
interface Running {
  readonly endpoint: string
  readonly stop: () => Promise<unknown>
}
/** Starts a proxy that binds its frontend, and binds its backend or connects it. */
type Start = (kind: "collect" | "queue", bind: string, backend: string) => Promise<Running>

// A native proxy that is collected while it runs takes the process with it.
const natives: Array<zmq.Proxy> = []

const rawSockets = (kind: "collect" | "queue", bind: string, backend: string) => {
  const unlimited = { receiveHighWaterMark: 0, linger: 0 }
  const sockets =
    kind === "collect"
      ? ([new zmq.Pull(unlimited), new zmq.Publisher({ sendHighWaterMark: 0, linger: 0 })] as const)
      : ([new zmq.Router({ linger: 0 }), new zmq.Dealer({ linger: 0 })] as const)
  sockets[0].bindSync(bind)
  if (kind === "collect") sockets[1].bindSync(backend)
  else sockets[1].connect(backend)
  return sockets
}

const native: Start = async (kind, bind, backend) => {
  const [front, back] = rawSockets(kind, bind, backend)
  const endpoint = front.lastEndpoint!
  const proxy = new zmq.Proxy<zmq.Socket, zmq.Socket>(front, back)
  natives.push(proxy)
  const running = proxy.run()
  const stop = () => {
    proxy.terminate()
    return running
  }
  return { endpoint, stop }
}

const byHand: Start = async (kind, bind, backend) => {
  const [front, back] = rawSockets(kind, bind, backend)
  const endpoint = front.lastEndpoint!
  const pass = async (from: AsyncIterable<Array<Buffer>>, to: { send(message: Array<Buffer>): Promise<void> }) => {
    for await (const message of from) await to.send(message)
  }
  const running = [pass(front, back)]
  if (back instanceof zmq.Dealer) running.push(pass(back, front as zmq.Router))
  const stop = () => {
    front.close()
    back.close()
    return Promise.allSettled(running)
  }
  return { endpoint, stop }
}

const ours: Start = async (kind, bind, backend) => {
  const scope = Scope.makeUnsafe()
  const open: Effect.Effect<Proxy.Proxy, unknown, Scope.Scope> =
    kind === "queue"
      ? Proxy.queue({ frontend: { bind, linger: 0 }, backend: { connect: backend, linger: 0 } })
      : Effect.gen(function* () {
          const pull = yield* Zmq.pull({ bind, receiveHighWaterMark: 0 })
          return yield* Proxy.make(pull, yield* Zmq.pub({ bind: backend, sendHighWaterMark: 0, linger: 0 }))
        })
  const proxy = await Effect.runPromise(Scope.provide(open, scope))
  return { endpoint: proxy.frontend.endpoints[0]!, stop: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

const contenders = { "zeromq.js Proxy": native, "for await, send()": byHand, "Proxy.make": ours }

// All messages are there before the proxy reads the first of them, and nobody
// receives them meanwhile. The last one has a topic of its own, which says that
// all have been passed on.
const backlog = (start: Start, messages: number, bytes: number) => async (): Promise<Sample> => {
  const [bind, backend] = [address(), address()]
  const all = new zmq.Subscriber({ receiveHighWaterMark: 0, linger: 0 })
  const last = new zmq.Subscriber({ receiveTimeout: 60_000, linger: 0 })
  all.connect(backend)
  last.connect(backend)
  all.subscribe()
  last.subscribe("last")
  const source = new zmq.Push({ sendHighWaterMark: 0, sendTimeout: 0, linger: 0 })
  source.connect(bind)
  for (let sent = 1; sent < messages; sent++) await source.send(payload(bytes))
  await source.send("last")
  let running!: Running
  const sample = await perMessage(messages, async () => {
    running = await start("collect", bind, backend)
    await last.receive()
  })
  let passed = 0
  for (; all.readable; passed++) await all.receive()
  expectCount("passed on", passed, messages)
  await running.stop()
  for (const socket of [all, last, source]) socket.close()
  return sample
}

let peer: Peer | undefined
let echo: Promise<string> | undefined
const worker = (): Promise<string> => {
  peer ??= new Peer()
  echo ??= peer.do({ what: "echo", type: "rep" })
  return echo
}

/** Clients that each wait for their reply before they ask again. */
const roundTrips = (start: Start, trips: number, clients: number) => async (): Promise<Sample> => {
  const running = await start("queue", "tcp://127.0.0.1:*", await worker())
  const request = payload(16)
  const sockets = Array.from({ length: clients }, () => new zmq.Request({ linger: 0, receiveTimeout: 10_000 }))
  for (const socket of sockets) socket.connect(running.endpoint)
  const times: Array<number> = []
  const client = async (socket: zmq.Request, own: number) => {
    for (let done = 0; done < own; done++) {
      const start = performance.now()
      await socket.send(request)
      expectCount("frames", (await socket.receive()).length, 1)
      times.push((performance.now() - start) * 1000)
    }
  }
  // The first ones connect, and do not count.
  await Promise.all(sockets.map((socket) => client(socket, 10)))
  times.length = 0
  const own = Math.ceil(trips / clients)
  const sample = await perMessage(own * clients, () => Promise.all(sockets.map((socket) => client(socket, own))))
  await running.stop()
  for (const socket of sockets) socket.close()
  return { ...sample, ...latenciesOf("round trips", times, own * clients) }
}

const each = (run: (start: Start) => () => Promise<Sample>): Workload["contenders"] =>
  Object.fromEntries(Object.entries(contenders).map(([name, start]) => [name, run(start)]))

const close = async (): Promise<void> => {
  await peer?.close()
  peer = undefined
  echo = undefined
}

const workloads = (): Array<Workload> => [
  {
    name: "a proxy with a backlog of 16 B",
    unit: "µs/message",
    contenders: each((start) => backlog(start, count(40_000), 16))
  },
  {
    name: "a proxy with a backlog of 1 KiB",
    unit: "µs/message",
    contenders: each((start) => backlog(start, count(20_000), 1024))
  },
  {
    name: "a round trip through a queue over tcp",
    unit: "µs",
    contenders: each((start) => roundTrips(start, count(2000), 1)),
    close
  },
  {
    name: "32 round trips at once through a queue over tcp",
    unit: "µs",
    contenders: each((start) => roundTrips(start, count(6000), 32)),
    close
  }
]

export { workloads as proxy }
