/**
 * Peers that do not read, that leave and that die, on real sockets: no peer stops
 * the others, and what concerns the dead ends.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { createRequire } from "node:module"
import { connect, type Socket as TcpSocket } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, Scope, Stream } from "effect"
import { Draft, Proxy, Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { coreOf } from "../src/internal/socket/socket.ts"
import { byEngine, lacks } from "./support/byEngine.ts"
import { nodeArguments } from "./support/child.ts"
import {
  boundTo,
  failureOf,
  freshEndpoint,
  numbers,
  pause,
  texts,
  transports,
  until,
  untilDefined
} from "./support/sockets.ts"

/** A process that says so many messages and reads nothing. It is killed at the end, or by hand. */
const peerProcess = (type: string, endpoint: string, count: number): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { NODE_OPTIONS: _, ...env } = process.env
      return spawn(process.execPath, [...nodeArguments("peer.ts"), type, endpoint, `${count}`], {
        env,
        stdio: ["ignore", "pipe", "inherit"]
      })
    }),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )
const said = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => void child.stdout!.once("data", () => resume(Effect.void)))
const killed = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => {
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

// -----------------------------------------------------------------------------
// sends to the dead
// -----------------------------------------------------------------------------

/** A socket that names whom it sends to, and how it sends one message after the other until one fails. */
interface Named {
  readonly socket: Zmq.Socket
  readonly firstPeer: Effect.Effect<Buffer | number, unknown>
  readonly operations: (peer: Buffer | number, body: Buffer) => Record<string, Effect.Effect<unknown, unknown>>
}
const forever = <A>(value: A): Iterable<A> => ({
  *[Symbol.iterator]() {
    while (true) yield value
  }
})
/** Tries again and again. That there is no room is no failure. */
const tryForever = <E>(attempt: Effect.Effect<boolean, E>) =>
  Effect.forever(Effect.flatMap(attempt, (sent) => (sent ? Effect.void : pause(1))))
const sendForever = <E extends { readonly _tag: string }>(send: Effect.Effect<void, E>) =>
  tryForever(
    Effect.matchEffect(send, {
      onSuccess: () => Effect.succeed(true),
      onFailure: (error) => (error._tag === "Again" ? Effect.succeed(false) : Effect.fail(error))
    })
  )

const ofRouter = (socket: Zmq.Router | Zmq.RawStream): Named => ({
  socket,
  firstPeer: Effect.map(socket.recv, ([id]) => id),
  operations: (peer, body) => {
    const message = [peer as Buffer, body] as const
    return {
      send: sendForever(socket.send(message)),
      trySend: tryForever(socket.trySend(message)),
      sendAll: socket.sendAll(forever(message)),
      sink: Stream.run(Stream.forever(Stream.make(message)), socket.sink)
    }
  }
})
const ofServer = (socket: Draft.Server): Named => ({
  socket,
  firstPeer: Effect.map(socket.recv, ({ routingId }) => routingId),
  operations: (peer, data) => {
    const routingId = peer as Draft.RoutingId
    return {
      send: sendForever(socket.send(routingId, data)),
      trySend: tryForever(socket.trySend(routingId, data)),
      sendAll: socket.sendAll(forever({ routingId, data })),
      sink: Stream.run(Stream.forever(Stream.make({ routingId, data })), socket.sink)
    }
  }
})
const opens: Record<string, (options: object) => Effect.Effect<Named, unknown, Scope.Scope>> = {
  router: (options) => Effect.map(Zmq.router(options), ofRouter),
  server: (options) => Effect.map(Draft.server(options), ofServer),
  rawStream: (options) => Effect.map(Zmq.rawStream(options), ofRouter)
}
const little = { linger: 0, sendHighWaterMark: 3 }

/** Waits until nothing more is sent. */
const untilStuck = (socket: Zmq.Socket) =>
  Effect.gen(function* () {
    for (let quiet = 0, last = -1; quiet < 10; ) {
      yield* pause(10)
      const { again, messagesOut } = socket.stats
      quiet = messagesOut === last && again > 0 ? quiet + 1 : 0
      last = messagesOut
    }
  })

const endOf = (fiber: Fiber.Fiber<unknown, unknown>) =>
  Effect.map(
    Fiber.await(fiber),
    (exit) => (failureOf(exit) as { readonly _tag: string } | undefined)?._tag ?? "no failure"
  )

describe("What is sent to a peer that dies ends with Unroutable", () => {
  const body = Buffer.alloc(1_000_000, 1)
  for (const type of ["router", "server", "rawStream"]) {
    for (const transport of type === "rawStream" ? (["tcp"] as const) : (["tcp", "ipc"] as const)) {
      for (const unread of [0, 3, 2000]) {
        it.live.skipIf(lacks(type))(
          `on a ${type} over ${transport}, with ${unread} unread messages of a process that was killed`,
          () =>
            Effect.gen(function* () {
              const { firstPeer, operations, socket } = yield* opens[type]!({
                ...little,
                bind: freshEndpoint(transport)
              })
              const child = yield* peerProcess(type, boundTo(socket), unread + 1)
              const peer = yield* firstPeer
              yield* said(child)
              const fibers = yield* Effect.forEach(Object.values(operations(peer, body)), (send) =>
                Effect.forkScoped(send)
              )
              yield* untilStuck(socket)
              expect(fibers.map((fiber) => fiber.pollUnsafe())).toEqual([undefined, undefined, undefined, undefined])
              yield* killed(child)
              const ends = yield* Effect.forEach(fibers, endOf)
              expect(ends).toEqual(["Unroutable", "Unroutable", "Unroutable", "Unroutable"])
            }).pipe(Effect.scoped)
        )
      }
    }
  }

  // Nobody waits then, or not for long.
  const briefly = { trySend: "1 second", send: "5 millis", sendAll: "0 millis" } as const
  for (const type of Object.keys(opens)) {
    for (const [operation, sendTimeout] of Object.entries(briefly)) {
      for (const unread of [3, 2000]) {
        const how =
          operation === "trySend" ? "nothing but trySend" : `${operation} within ${sendTimeout}, again and again`
        it.live.skipIf(lacks(type))(`on a ${type} with ${unread} unread messages and ${how}`, () =>
          Effect.gen(function* () {
            const options = { ...little, bind: freshEndpoint("tcp"), sendTimeout }
            const { firstPeer, operations, socket } = yield* opens[type]!(options)
            const child = yield* peerProcess(type, boundTo(socket), unread + 1)
            const peer = yield* firstPeer
            yield* said(child)
            const send = operations(peer, body)[operation]! as Effect.Effect<void, { readonly _tag: string }>
            const fiber = yield* Effect.forkScoped(operation === "trySend" ? send : sendForever(send))
            yield* untilStuck(socket)
            yield* killed(child)
            expect(yield* endOf(fiber)).toBe("Unroutable")
          }).pipe(Effect.scoped)
        )
      }
    }
  }

  it.live("on a ROUTER over inproc, when the peer's socket closes", () =>
    Effect.gen(function* () {
      for (const unread of [0, 3, 2000]) {
        const bind = freshEndpoint("inproc")
        const { firstPeer, operations, socket } = yield* opens.router!({ ...little, bind })
        const client = inprocDealer(bind)
        for (let i = 0; i <= unread; i++) yield* Effect.promise(() => client.ask(`${i}`))
        const peer = yield* firstPeer
        const fibers = yield* Effect.forEach(Object.values(operations(peer, Buffer.from("x"))), (send) =>
          Effect.forkScoped(send)
        )
        yield* untilStuck(socket)
        client.close()
        const ends = yield* Effect.forEach(fibers, endOf)
        expect(ends).toEqual(["Unroutable", "Unroutable", "Unroutable", "Unroutable"])
      }
    }).pipe(Effect.scoped)
  )
})

// -----------------------------------------------------------------------------
// clients that do not read
// -----------------------------------------------------------------------------

/** A client that asks and does not read unless it is told to. */
interface Client {
  readonly ask: (body: string) => Promise<void>
  /** The next reply: its first word. */
  readonly read: () => Promise<string>
  readonly close: () => void
}
const least = { receiveHighWaterMark: 1, receiveBufferSize: 4096, sendHighWaterMark: 0, linger: 0 }
const dealer = (endpoint: string): Client => {
  const raw = new zmq.Dealer(least)
  raw.connect(endpoint)
  return {
    ask: (body) => raw.send(["", body]),
    read: async () => `${(await raw.receive())[1]}`.split(" ")[0]!,
    close: () => raw.close()
  }
}
/** One of ours: over inproc peers have to be of the same engine. */
const ourDealer = (endpoint: string): Client => {
  const scope = Scope.makeUnsafe()
  const opening = Zmq.dealer({ connect: endpoint, receiveHighWaterMark: 1, sendHighWaterMark: 0, linger: 0 })
  const socket = Effect.runSync(Scope.provide(opening, scope))
  return {
    ask: (body) => Effect.runPromise(socket.send(["", body])),
    read: async () => `${(await Effect.runPromise(socket.recv))[1]}`.split(" ")[0]!,
    close: () => void Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
const inprocDealer = byEngine({ zeromq: dealer, zmtp: ourDealer })
const draftClient = (endpoint: string): Client => {
  const { Client } = createRequire(import.meta.url)("zeromq/draft.js")
  const raw = new Client(least)
  raw.connect(endpoint)
  return {
    ask: (body) => raw.send(body),
    // A thread-safe socket of zeromq.js cannot be waited for.
    read: async () => {
      while (!raw.readable) await new Promise((resolve) => setTimeout(resolve, 1))
      return `${(await raw.receive())[0]}`.split(" ")[0]!
    },
    close: () => raw.close()
  }
}

const padding = " ".repeat(50_000)
const replyTo = (body: Buffer | string) => Effect.succeed(`${body}${padding}`)

interface Service {
  /** Where its clients connect. */
  readonly endpoint: string
  readonly socket: Zmq.Socket
}
const littleRoom = {
  sendHighWaterMark: 5,
  linger: 0,
  ...byEngine({ zeromq: { sendBufferSize: 4096 }, zmtp: {} })
}
const routerThatServes = (concurrency: number) => (bind: string) =>
  Effect.gen(function* () {
    const socket = yield* Zmq.router({ ...littleRoom, bind, sendTimeout: "1 millis" })
    yield* Effect.forkScoped(socket.serve(([body]) => replyTo(body), { concurrency }))
    return { endpoint: boundTo(socket), socket }
  })
const services: Record<string, (bind: string) => Effect.Effect<Service, unknown, Scope.Scope>> = {
  "a ROUTER that serves, 1 at a time": routerThatServes(1),
  "a ROUTER that serves, 16 at a time": routerThatServes(16),
  "a ROUTER whose handlers send": (bind) =>
    Effect.gen(function* () {
      const socket = yield* Zmq.router({ ...littleRoom, bind })
      yield* Effect.forkScoped(
        socket.runForEach((message) => {
          const [id, ...frames] = message
          const reply = [id, ...frames.slice(0, -1), `${frames.at(-1)}${padding}`] as const
          // Whoever has left gets none.
          return Effect.catchTag(socket.send(reply), "Unroutable", () => Effect.void)
        })
      )
      return { endpoint: boundTo(socket), socket }
    }),
  "a proxy": (bind) =>
    Effect.gen(function* () {
      const socket = yield* Zmq.router({ ...littleRoom, bind })
      const back = yield* Zmq.dealer({ bind: freshEndpoint("inproc"), linger: 0 })
      yield* Effect.forkScoped(Proxy.run(socket, back))
      const worker = yield* Zmq.rep({ connect: boundTo(back), linger: 0 })
      yield* Effect.forkScoped(worker.serve(([body]) => replyTo(body)))
      return { endpoint: boundTo(socket), socket }
    }),
  "a SERVER that serves": (bind) =>
    Effect.gen(function* () {
      const socket = yield* Draft.server({ ...littleRoom, bind })
      yield* Effect.forkScoped(socket.serve(({ data }) => replyTo(data)))
      return { endpoint: boundTo(socket), socket }
    })
}

describe("A client that asks 1,000 times and does not read", () => {
  for (const [name, open] of Object.entries(services)) {
    const isDraft = name.includes("SERVER")
    for (const transport of isDraft ? (["tcp"] as const) : transports) {
      it.live.skipIf(lacks(...name.split(" ")))(
        `does not hold up the others, and gets all when it reads: ${name} over ${transport}`,
        () =>
          Effect.gen(function* () {
            const { endpoint, socket } = yield* open(freshEndpoint(transport))
            const client = isDraft ? draftClient : transport === "inproc" ? inprocDealer : dealer
            const [slow, good] = yield* Effect.acquireRelease(
              Effect.sync(() => [client(endpoint), client(endpoint)] as const),
              (clients) => Effect.sync(() => void clients.forEach(({ close }) => void close()))
            )
            const asked = (body: string) => Effect.promise(() => good.ask(body).then(good.read))
            for (const number of numbers(0, 1000)) yield* Effect.promise(() => slow.ask(`${number}`))
            // Until nothing more becomes of it.
            yield* until(Effect.sync(() => socket.stats.messagesIn >= 1000))
            yield* untilStuck(socket)
            expect(socket.stats.messagesOut).toBeLessThan(1000)
            for (const number of numbers(0, 20)) expect(yield* asked(`good ${number}`)).toBe("good")

            // It reads, slowly at first. The others are served as before.
            const read: Array<string> = []
            const next = Effect.map(Effect.promise(slow.read), (body) => void read.push(body))
            for (const number of numbers(0, 20)) {
              yield* next
              expect(yield* asked(`good ${number}`)).toBe("good")
            }
            while (read.length < 1000) yield* next
            if (!name.includes("16")) expect(read).toEqual(numbers(0, 1000).map(String))
            expect(read.toSorted((a, b) => +a - +b)).toEqual(numbers(0, 1000).map(String))
            expect(yield* asked("good last")).toBe("good")
            expect(socket.stats).toMatchObject({ dropped: 0, queued: 0, putBack: 0 })
          }).pipe(Effect.scoped)
      )
    }
  }
})

describe("A client that is killed with 30,000 requests in flight", () => {
  for (const [name, open] of Object.entries(services)) {
    it.live.skipIf(lacks(...name.split(" ")))(`costs the others nothing, and leaves nothing behind: ${name}`, () =>
      Effect.gen(function* () {
        const { endpoint, socket } = yield* open(freshEndpoint("tcp"))
        const isDraft = name.includes("SERVER")
        const good = (isDraft ? draftClient : dealer)(endpoint)
        yield* Effect.addFinalizer(() => Effect.sync(good.close))
        const asked = (body: string) => Effect.promise(() => good.ask(body).then(good.read))
        const child = yield* peerProcess(isDraft ? "server" : "router", endpoint, 30_000)
        yield* said(child)
        yield* until(Effect.sync(() => socket.stats.messagesIn >= 2000))
        expect(yield* asked("good")).toBe("good")
        yield* killed(child)
        for (let i = 0; i < 20; i++) expect(yield* asked("good")).toBe("good")
        // What it had asked is over soon.
        const { inbox, outbox } = coreOf(socket)!
        yield* until(Effect.sync(() => !outbox.hasFull && inbox.queued === 0))
        const { queues, owed } = outbox as unknown as Record<"queues" | "owed", { readonly size: number }>
        yield* until(Effect.sync(() => queues.size === 0 && owed.size === 0))
        expect(yield* asked("good")).toBe("good")
        expect(socket.stats.putBack).toBe(0)
      }).pipe(Effect.scoped)
    )
  }
})

// -----------------------------------------------------------------------------
// an HTTP server on a STREAM
// -----------------------------------------------------------------------------

/** Answers each line of a request with a page, one at a time. */
const httpServer = Effect.gen(function* () {
  const socket = yield* Zmq.rawStream({ bind: freshEndpoint("tcp"), ...littleRoom })
  const page = `HTTP/1.1 200 OK\r\ncontent-length: ${padding.length}\r\n\r\n${padding}`
  const unfinished = new Map<string, string>()
  const left: Array<string> = []
  yield* Effect.forkScoped(
    socket.runForEach(([id, data]) => {
      const peer = id.toString("hex")
      if (data!.length === 0) {
        if (unfinished.has(peer)) {
          unfinished.delete(peer)
          left.push(peer)
        } else unfinished.set(peer, "")
        return Effect.void
      }
      const requests = `${unfinished.get(peer) ?? ""}${data}`.split("\r\n\r\n")
      unfinished.set(peer, requests.pop()!)
      // Whoever has left gets no answer.
      return Effect.ignore(Effect.forEach(requests, () => socket.send([id, page]), { discard: true }))
    })
  )
  const port = Number(boundTo(socket).split(":")[2])
  const get = Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } })
    return (await response.text()).length
  })
  const client = Effect.acquireRelease(
    Effect.callback<TcpSocket>((resume) => {
      const tcp = connect(port, "127.0.0.1", () => resume(Effect.succeed(tcp)))
      tcp.on("error", () => {})
      tcp.pause()
    }),
    (tcp) => Effect.sync(() => void tcp.destroy())
  )
  return { socket, page, get, client, left }
})
const request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"

describe("An HTTP server on a STREAM, one at a time", () => {
  it.live("serves others while a client pipelines requests and does not read, which gets all when it does", () =>
    Effect.gen(function* () {
      const { client, get, page, socket } = yield* httpServer
      const slow = yield* client
      for (let i = 0; i < 300; i++) slow.write(request)
      yield* untilStuck(socket)
      for (let i = 0; i < 5; i++) expect(yield* get).toBe(padding.length)
      let bytes = 0
      slow.on("data", (data) => {
        bytes += data.length
      })
      slow.resume()
      yield* until(Effect.sync(() => bytes === 300 * page.length))
      expect(yield* get).toBe(padding.length)
      expect(socket.stats.dropped).toBe(0)
    }).pipe(Effect.scoped)
  )

  for (const hangsUp of ["ends", "is reset"] as const) {
    it.live(`serves others when one does not read, and ${hangsUp}`, () =>
      Effect.gen(function* () {
        const { client, get, left, socket } = yield* httpServer
        for (let round = 0; round < 3; round++) {
          const slow = yield* client
          for (let i = 0; i < 300; i++) slow.write(request)
          yield* untilStuck(socket)
          if (hangsUp === "ends") slow.destroy()
          else slow.resetAndDestroy()
          expect(yield* get).toBe(padding.length)
        }
        const early = yield* client
        early.write(request)
        early.destroy()
        expect(yield* get).toBe(padding.length)
        // All have left, those above and this one.
        yield* until(
          Effect.sync(() => left.length >= 4 && !coreOf(socket)!.outbox.hasFull && socket.stats.queued === 0)
        )
        expect(socket.stats.putBack).toBe(0)
      }).pipe(Effect.scoped)
    )
  }

  it.live("hangs up on one that says too much and does not read", () =>
    Effect.gen(function* () {
      const { client, get, left, socket } = yield* httpServer
      const slow = yield* client
      let closed = false
      slow.on("close", () => {
        closed = true
      })
      const write = () => {
        if (!closed && socket.stats.dropped === 0) slow.write(request, () => setImmediate(write))
      }
      write()
      yield* until(Effect.sync(() => socket.stats.dropped > 1000))
      expect(yield* get).toBe(padding.length)
      expect(left.length).toBeLessThanOrEqual(1)
      slow.resume()
      yield* until(Effect.sync(() => closed))
      yield* until(Effect.sync(() => left.length >= 2))
      expect(yield* get).toBe(padding.length)
      yield* until(Effect.sync(() => !coreOf(socket)!.outbox.hasFull))
    }).pipe(Effect.scoped)
  )
})

// -----------------------------------------------------------------------------
// PAIR
// -----------------------------------------------------------------------------

describe("A PAIR that only sends", () => {
  for (const unread of [0, 3, 2000]) {
    for (const transport of ["tcp", "ipc"] as const) {
      it.live(`reaches the next, when its peer has died with ${unread} messages unread, over ${transport}`, () =>
        Effect.gen(function* () {
          const pair = yield* Zmq.pair({ bind: freshEndpoint(transport), sendHighWaterMark: 3, linger: 0 })
          const child = yield* peerProcess("pair", boundTo(pair), unread + 1)
          yield* said(child)
          let sent = 0
          const sending = yield* Effect.forkScoped(
            pair.sendAll(
              (function* () {
                while (true) yield [`${sent++}`, Buffer.alloc(500_000)] as const
              })()
            )
          )
          yield* untilStuck(pair)
          yield* killed(child)
          const before = sent
          // libzmq has no ear for one that comes before the last one's end was seen, and
          // does not tell it: it has to come again.
          const next = yield* untilDefined(
            Effect.gen(function* () {
              const next = yield* Zmq.pair({ connect: boundTo(pair), linger: 0 })
              const first = yield* Effect.timeoutOption(next.recv, "500 millis")
              if (Option.isNone(first)) return yield* Effect.as(next.disconnect(boundTo(pair)), undefined)
              return { first: first.value, recv: next.recv }
            })
          )
          const numbersOf = [Number(texts(next.first)[0])]
          for (let i = 0; i < 9; i++) numbersOf.push(Number(texts(yield* next.recv)[0]))
          // In order, from what was to be sent when the first had died.
          expect(numbersOf).toEqual(numbers(numbersOf[0]!, numbersOf[0]! + 10))
          expect(numbersOf[0]).toBeLessThanOrEqual(before)
          yield* Fiber.interrupt(sending)
          // What the dead had said is there to be received, in order.
          const unreadOnes = (yield* pair.drain).map((message) => `${message.at(-1)}`)
          expect(unreadOnes).toEqual(numbers(0, unreadOnes.length).map(String))
        }).pipe(Effect.scoped)
      )
    }
  }
})

// A routing id is a name: replies go to whoever has it.
describe("a peer that takes a routing id over", () => {
  for (const transport of transports) {
    for (const type of ["req", "dealer"] as const) {
      it.live(`as a ${type} over ${transport} gets its replies; no handler is interrupted, of nobody`, () =>
        Effect.gen(function* () {
          const router = yield* Zmq.router({ bind: freshEndpoint(transport), handover: true })
          const started: Array<string> = []
          const interrupted: Array<string> = []
          const gate = yield* Deferred.make<void>()
          yield* Effect.forkScoped(
            router.serve(
              ([text]) =>
                Effect.gen(function* () {
                  started.push(`${text}`)
                  if (`${text}`.startsWith("held")) yield* Deferred.await(gate)
                  return `${text}!`
                }).pipe(Effect.onInterrupt(() => Effect.sync(() => interrupted.push(`${text}`)))),
              { concurrency: 100 }
            )
          )
          // One that is disconnected for it must not come back and take it over in turn.
          const options = {
            connect: boundTo(router),
            routingId: "name",
            linger: 0,
            reconnectInterval: "Infinity"
          } as const
          for (let generation = 0; generation < 20; generation++) {
            const client = yield* Zmq[type](options)
            expect(`${yield* client.request(`now ${generation}`)}`).toBe(`now ${generation}!`)
            yield* Effect.forkScoped(client.request(`held ${generation}`))
            yield* until(Effect.sync(() => started.includes(`held ${generation}`)))
          }
          // The last of them has it now. Those before are owed replies still, which it ignores.
          yield* Deferred.succeed(gate, undefined)
          const last = yield* Zmq[type](options)
          expect(`${yield* last.request("last")}`).toBe("last!")
          expect(interrupted).toEqual([])
        })
      )
    }
  }
})
