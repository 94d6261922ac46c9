/** What becomes of connections: events, and waiting for peers and subscribers. */
import { createConnection } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, References, Scope, Stream } from "effect"
import { Zmq } from "effect-zmq"
import { vi } from "vitest"
import { Monitor } from "../src/internal/zeromq/monitor.ts"
import type { ConnectionEvent } from "../src/internal/zeromq/raw.ts"
import { byEngine, engineName, ofBinding } from "./support/byEngine.ts"
import { openScripted, type ScriptedSocket, turns } from "./support/scripted.ts"
import { boundTo, freshEndpoint, nextTurn, numbers, openFiles, outcome, pause, until } from "./support/sockets.ts"

const fork = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

const tags = (events: ReadonlyArray<Zmq.SocketEvent>) => events.map((event) => event._tag)

/** Events up to and with the first of a tag. */
const upTo = (socket: Zmq.Socket, tag: Zmq.SocketEvent["_tag"]) =>
  socket.events.pipe(
    Stream.takeUntil((event) => event._tag === tag),
    Stream.runCollect
  )

describe("events", () => {
  for (const transport of ["tcp", "ipc"] as const) {
    it.effect(`tell of a connection over ${transport} from its beginning to its end`, () =>
      Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: freshEndpoint(transport) })
        const endpoint = boundTo(pull)
        const scope = yield* Scope.make()
        const push = yield* Scope.provide(Zmq.push({ connect: endpoint }), scope)
        // Nobody has looked until the connection is there.
        yield* push.awaitConnected
        yield* pull.awaitPeers(1)
        expect(tags(yield* upTo(pull, "HandshakeSucceeded"))).toEqual(["Listening", "Accepted", "HandshakeSucceeded"])
        const ofPush = yield* upTo(push, "HandshakeSucceeded")
        expect(tags(ofPush).filter((tag) => tag !== "ConnectDelayed")).toEqual(["Connected", "HandshakeSucceeded"])
        expect(ofPush.every((event) => event.endpoint === endpoint)).toBe(true)
        yield* Scope.close(scope, Exit.void)
        expect(tags(yield* upTo(pull, "Disconnected")).slice(2)).toEqual(["HandshakeSucceeded", "Disconnected"])
      })
    )
  }

  it.effect("are the same for every subscriber, whenever it comes, and end with the socket", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { socket, port } = yield* Scope.provide(openScripted(Zmq.pull({ bind: "tcp://127.0.0.1:5555" })), scope)
      port.tell({ type: "bind", address: "a" })
      const first = yield* fork(Stream.runCollect(socket.events))
      port.tell({ type: "accept", address: "a" })
      const second = yield* fork(Stream.runCollect(socket.events))
      port.tell({ type: "handshake", address: "a" })
      yield* Scope.close(scope, Exit.void)
      const expected = ["Listening", "Accepted", "HandshakeSucceeded"]
      expect(tags(yield* Fiber.join(first))).toEqual(expected)
      expect(tags(yield* Fiber.join(second))).toEqual(expected)
      expect(tags(yield* Stream.runCollect(socket.events))).toEqual(expected)
    })
  )

  it.effect("carry what libzmq gives beside them", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { socket, port } = yield* Scope.provide(openScripted(Zmq.push({ connect: "tcp://127.0.0.1:5555" })), scope)
      const error = Object.assign(new Error("no"), { code: "ERR_ZMTP_CRYPTOGRAPHIC", status: 400 })
      const address = "tcp://127.0.0.1:5555"
      port.tell({ type: "connect:retry", address, interval: 130 })
      port.tell({ type: "handshake:error:protocol", address, error })
      port.tell({ type: "handshake:error:auth", address, error })
      port.tell({ type: "handshake:error:other", address, error })
      port.tell({ type: "accept:error", address, error })
      port.tell({ type: "close:error", address, error })
      port.tell({ type: "a new one" })
      yield* Scope.close(scope, Exit.void)
      const events = yield* Stream.runCollect(socket.events)
      expect(events).toMatchObject([
        { _tag: "ConnectRetried", endpoint: address },
        { _tag: "HandshakeFailed", reason: "Protocol", code: "ERR_ZMTP_CRYPTOGRAPHIC" },
        { _tag: "HandshakeFailed", reason: "Authentication", status: 400 },
        { _tag: "HandshakeFailed", reason: "Connection", error },
        { _tag: "AcceptFailed", error },
        { _tag: "CloseFailed", error }
      ])
    })
  )

  it.effect("of a peer that does not speak ZMTP, and a bind that failed", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp") })
      const port = Number(boundTo(pull).split(":")[2])
      const socket = createConnection(port, "127.0.0.1")
      socket.on("error", () => {})
      socket.end("GET / HTTP/1.1\r\n\r\n")
      const events = yield* upTo(pull, "HandshakeFailed")
      expect(tags(events)).toEqual(["Listening", "Accepted", "HandshakeFailed"])
      expect(pull.stats.messagesIn).toBe(0)
      socket.destroy()
      const other = yield* Zmq.pull()
      expect(yield* outcome(Effect.scoped(other.bind(boundTo(pull))))).toBe("BindError")
      expect(tags(yield* upTo(other, "BindFailed"))).toContain("BindFailed")
    })
  )

  it.effect("of a connection that is tried again", () =>
    Effect.gen(function* () {
      const push = yield* Zmq.push({ connect: "tcp://127.0.0.1:1", reconnectInterval: "10 millis" })
      const events = yield* upTo(push, "ConnectRetried")
      expect(tags(events)).toEqual(["ConnectDelayed", "Closed", "ConnectRetried"])
    })
  )

  it.effect(
    "leave nothing behind when opened and closed 2,000 times (zeromq.js issue 716)",
    () =>
      Effect.gen(function* () {
        // The first ones have the process open what stays.
        const once = Effect.scoped(
          Effect.gen(function* () {
            const pull = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
            const push = yield* Zmq.push({ connect: boundTo(pull) })
            const watcher = yield* fork(Stream.runDrain(pull.events))
            yield* push.awaitConnected
            return watcher
          })
        )
        yield* once
        const before = openFiles()
        for (const _ of numbers(0, 1000)) yield* Fiber.await(yield* once)
        // libzmq closes in another thread.
        yield* until(Effect.sync(() => openFiles() <= before + 8))
      }),
    { timeout: 120_000 }
  )
})

describe("awaitConnected and awaitPeers", () => {
  it.effect("wait for all endpoints, and for as many peers", () =>
    Effect.gen(function* () {
      const one = yield* Zmq.pull({ bind: freshEndpoint("tcp") })
      const push = yield* Zmq.push({ connect: [boundTo(one), "ipc:///tmp/effect-zmq-nobody-here"] })
      const connected = yield* fork(push.awaitConnected)
      const two = yield* fork(one.awaitPeers(2))
      yield* one.awaitPeers(1)
      yield* pause(5)
      expect(connected.pollUnsafe()).toBeUndefined()
      expect(two.pollUnsafe()).toBeUndefined()
      yield* push.disconnect("ipc:///tmp/effect-zmq-nobody-here")
      yield* Fiber.join(connected)
      const other = yield* Zmq.push({ connect: boundTo(one) })
      yield* other.awaitConnected
      yield* Fiber.join(two)
    })
  )

  it.effect("count peers that left, and are not fooled by handshakes that failed", () =>
    Effect.gen(function* () {
      const { socket, port } = yield* openScripted(Zmq.pull({ bind: "tcp://127.0.0.1:5555" }))
      const tell = (...types: Array<string>) => types.forEach((type) => void port.tell({ type, address: "here" }))
      tell("accept", "handshake", "accept", "handshake:error:other", "disconnect")
      yield* socket.awaitPeers(1)
      tell("disconnect")
      const waiting = yield* fork(socket.awaitPeers(1))
      yield* pause(1)
      expect(waiting.pollUnsafe()).toBeUndefined()
      tell("accept", "handshake")
      yield* Fiber.join(waiting)
    })
  )

  it.effect("over inproc: at once where it connected, InvalidState where the engine cannot know", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc") })
      const push = yield* Zmq.push({ connect: boundTo(pull) })
      yield* push.awaitConnected
      yield* push.awaitPeers(1)
      // libzmq says nothing of who comes over inproc.
      const known = byEngine({ zeromq: "InvalidState", zmtp: "ok" })
      expect(yield* outcome(pull.awaitPeers(1))).toBe(known)
      expect(yield* outcome(pull.awaitConnected)).toBe(known)
    })
  )

  it.effect("fail with Closed when the socket closes, and are interruptible", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pull = yield* Scope.provide(Zmq.pull({ bind: freshEndpoint("tcp") }), scope)
      const interrupted = yield* fork(pull.awaitPeers(1))
      const waiting = yield* fork(outcome(pull.awaitPeers(1)))
      yield* Fiber.interrupt(interrupted)
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(waiting)).toBe("Closed")
      expect(yield* outcome(pull.awaitConnected)).toBe("Closed")
    })
  )
})

describe("awaitSubscribers", () => {
  for (const transport of ["inproc", "ipc", "tcp"] as const) {
    it.effect(`is the cure for the slow joiner, over ${transport}`, () =>
      Effect.gen(function* () {
        const pub = yield* Zmq.pub({ bind: freshEndpoint(transport) })
        const subs = yield* Effect.all(
          numbers(0, 10).map(() => Zmq.sub({ connect: boundTo(pub), subscribe: "weather" }))
        )
        yield* pub.awaitSubscribers("weather.berlin", 10)
        yield* pub.send("weather.berlin sunny")
        for (const sub of subs) expect(yield* sub.recvString).toBe("weather.berlin sunny")
      })
    )
  }

  it.effect("counts those who subscribed to the beginning of the topic, less those who left", () =>
    Effect.gen(function* () {
      const { socket, port } = yield* openScripted(Zmq.pub())
      const isThere = (topic: string, count?: number) =>
        Effect.gen(function* () {
          const waiting = yield* fork(socket.awaitSubscribers(topic, count))
          yield* Effect.promise(() => turns(5))
          const isSo = waiting.pollUnsafe() !== undefined
          yield* Fiber.interrupt(waiting)
          return isSo
        })
      expect(yield* isThere("a")).toBe(false)
      port.arrive("\x01a", "\x01ab")
      expect(yield* isThere("abc", 2)).toBe(true)
      expect(yield* isThere("a", 2)).toBe(false)
      port.arrive("\x00a", "no subscription", "\x00never there")
      expect(yield* isThere("a")).toBe(false)
      expect(yield* isThere("abc")).toBe(true)
      port.arrive("\x01")
      expect(yield* isThere("anything")).toBe(true)
      expect(yield* isThere("abc", 2)).toBe(true)
    })
  )

  it.effect("leaves the subscriptions of an XPUB to be received", () =>
    Effect.gen(function* () {
      const { socket, port } = yield* openScripted(Zmq.xpub({ verbosity: "allSubsUnsubs" }))
      port.arrive("\x01a", "\x01a", "upstream", "\x00a")
      yield* socket.awaitSubscribers("a", 1)
      expect((yield* socket.drain).map(([frame]) => frame.toString())).toEqual(["\x01a", "\x01a", "upstream", "\x00a"])
    })
  )

  for (const transport of ["ipc", "tcp"] as const) {
    it.effect(`also where the SUB is the one that binds, and does not receive yet, over ${transport}`, () =>
      Effect.gen(function* () {
        const sub = yield* Zmq.sub({ bind: freshEndpoint(transport), subscribe: "a" })
        const pub = yield* Zmq.pub({ connect: boundTo(sub) })
        yield* pub.awaitSubscribers("a")
        yield* pub.send("a1")
        expect(yield* sub.recvString).toBe("a1")
      })
    )
  }

  it.effect("counts a peer once that subscribes twice", () =>
    Effect.gen(function* () {
      const pub = yield* Zmq.pub({ bind: freshEndpoint("inproc") })
      const sub = yield* Zmq.sub({ connect: boundTo(pub), subscribe: ["a", "a"] })
      yield* sub.subscribe("a")
      yield* sub.subscribe("end")
      yield* pub.awaitSubscribers("end")
      const waiting = yield* fork(pub.awaitSubscribers("a", 2))
      yield* pause(1)
      expect(waiting.pollUnsafe()).toBeUndefined()
    })
  )

  it.effect("fails with InvalidState where libzmq does not tell, and with Closed", () =>
    Effect.gen(function* () {
      const newest = yield* Zmq.pub({ conflate: true })
      expect(yield* outcome(newest.awaitSubscribers(""))).toBe("InvalidState")
      const scope = yield* Scope.make()
      const pub = yield* Scope.provide(Zmq.pub({ bind: freshEndpoint("inproc") }), scope)
      const waiting = yield* fork(outcome(pub.awaitSubscribers("")))
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(waiting)).toBe("Closed")
    })
  )

  it.effect("takes subscriptions that nobody waits for from libzmq, which would keep them", () =>
    Effect.gen(function* () {
      const { port } = yield* openScripted(Zmq.pub())
      for (const number of numbers(0, 5000)) port.arrive(`\x01${number}`)
      yield* until(Effect.sync(() => port.handedOver === 5000))
    })
  )
})

/** What is logged, but at debug level. */
const logged = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel !== "Debug") lines.push(`${logLevel} ${message}`)
  })
  return { lines, layer: Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "All")) }
}

describe("a reader that is slow", () => {
  it.effect("misses the oldest events, which are counted, and said once", () => {
    const { layer, lines } = logged()
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { port, socket } = yield* Scope.provide(openScripted(Zmq.push({ connect: "tcp://127.0.0.1:1" })), scope)
      const told = 20_000
      const seen: Array<string> = []
      const go = yield* Deferred.make<void>()
      const reader = yield* fork(
        Stream.runForEach(socket.events, ({ endpoint }) =>
          Effect.andThen(
            Effect.sync(() => void seen.push(endpoint)),
            Deferred.await(go)
          )
        )
      )
      port.tell({ type: "connect:delay", address: "0" })
      yield* until(Effect.sync(() => seen.length === 1))
      for (const number of numbers(1, told)) port.tell({ type: "connect:delay", address: `${number}` })
      expect(socket.stats.eventsDropped).toBeGreaterThan(told - 2 * 4096)
      yield* Scope.close(scope, Exit.void)
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(reader)
      // In order, the newest among them, and none is missed that is not counted.
      expect(seen.length + socket.stats.eventsDropped).toBe(told)
      expect(seen.map(Number)).toEqual(seen.map(Number).toSorted((a, b) => a - b))
      expect(seen.at(-1)).toBe(`${told - 1}`)
      expect(seen.length).toBeGreaterThanOrEqual(4096)
      expect(lines).toEqual(["Warn effect-zmq: whoever reads the events of a socket is behind, and misses the oldest"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("is nobody, where nobody reads: the last 256 are kept", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { port, socket } = yield* Scope.provide(openScripted(Zmq.push({ connect: "tcp://127.0.0.1:1" })), scope)
      for (const number of numbers(0, 10_000)) port.tell({ type: "connect:delay", address: `${number}` })
      yield* Scope.close(scope, Exit.void)
      port.tell({ type: "connect:delay", address: "late" })
      const events = yield* Stream.runCollect(socket.events)
      expect(events.map(({ endpoint }) => Number(endpoint))).toEqual(numbers(10_000 - 256, 10_000))
      expect(socket.stats.eventsDropped).toBe(0)
    })
  )
})

it("events are all read when the event loop has gone round without one", async () => {
  let tell: (event: ConnectionEvent) => void = () => {}
  const monitor = new Monitor({
    native: { watch: (onEvent: typeof tell) => (tell = onEvent) } as never,
    isStream: false,
    from: undefined,
    hasRoom: () => true,
    connectedTo: () => [],
    intervals: () => ({ interval: 100, maxInterval: 0 }),
    onEvent: () => {}
  })
  monitor.watch()
  let quiet = false
  monitor.whenQuiet(() => {
    quiet = true
  })
  for (let i = 0; i < 3; i++) {
    tell({ type: "connect", address: "tcp://127.0.0.1:1" })
    await turns()
    expect(quiet).toBe(false)
  }
  await turns()
  expect(quiet).toBe(true)
})

it.effect("events that nobody reads take no more memory than the last 256", () =>
  Effect.gen(function* () {
    const { port } = yield* openScripted(Zmq.push({ connect: "tcp://127.0.0.1:1" }))
    const size = 200_000
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 3000; i++) {
      const error = Object.assign(new Error("no"), { data: Buffer.alloc(size) })
      port.tell({ type: "accept:error", address: "a", error })
    }
    // Some of what is not held on to may still be there.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1500 * size)
  })
)

describe("a peer that was refused", () => {
  it.effect("is told of in a few lines, however often it comes, between others, and from wherever", () => {
    const { layer, lines } = logged()
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    return Effect.gen(function* () {
      const { port } = yield* openScripted(Zmq.pull({ bind: "tcp://0.0.0.0:5555" }))
      const come = (times: number) => {
        for (const number of numbers(0, times)) {
          const address = `tcp://127.0.${number >> 8}.${number & 255}:5555`
          for (const type of ["accept", "handshake:error:protocol", "disconnect", "accept", "handshake"]) {
            port.tell({ type, address })
          }
        }
      }
      const settled = Effect.repeat(nextTurn, { times: 3 })
      come(10_000)
      yield* settled
      expect(lines).toHaveLength(100)
      come(10_000)
      vi.advanceTimersByTime(60_000)
      yield* settled
      expect(lines.slice(100)).toEqual([
        "Warn effect-zmq: a pull socket and its peers did not accept each other 19900 more times in the past minute"
      ])
    }).pipe(Effect.provide(layer), Effect.ensuring(Effect.sync(() => void vi.useRealTimers())))
  })

  it.effect("is logged once of each kind, and at a bound port only if it speaks ZMTP", () =>
    Effect.gen(function* () {
      const { layer, lines } = logged()
      const tell = (port: ScriptedSocket, type: string) =>
        port.tell({ type, address: "tcp://127.0.0.1:5555", error: new Error("no") })
      yield* Effect.gen(function* () {
        const { port: bound } = yield* openScripted(Zmq.pull({ bind: "tcp://127.0.0.1:5555" }))
        tell(bound, "handshake:error:other")
        tell(bound, "handshake")
        tell(bound, "handshake:error:auth")
        tell(bound, "handshake:error:auth")
        tell(bound, "handshake")
        tell(bound, "handshake:error:protocol")
        const { port: connected } = yield* openScripted(Zmq.push({ connect: "tcp://127.0.0.1:5555" }))
        tell(connected, "handshake:error:other")
        yield* until(Effect.sync(() => lines.length >= 3))
      }).pipe(Effect.scoped, Effect.provide(layer))
      const line = (type: string) => `Warn effect-zmq: a ${type} socket and its peer did not accept each other: no`
      expect(lines).toEqual([line("pull"), line("pull"), line("push")])
    })
  )
})

describe("libzmq's monitor", () => {
  // It tells of a bind in the thread that binds, and waits for ever when 2,000
  // events are unread: the thread that would read them is the one that waits.
  it.effect("does not stop a thread that binds again and again, without a pause", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp") })
      const other = yield* Zmq.pull({ bind: freshEndpoint("tcp") })
      const again = Effect.scoped(Effect.ignore(other.bind(boundTo(pull))))
      for (const _ of numbers(0, 2500)) yield* again
      const all = { concurrency: "unbounded", discard: true } as const
      yield* Effect.all(
        numbers(0, 2500).map(() => again),
        all
      )
      for (const _ of numbers(0, 2500)) yield* Effect.scoped(other.bind("inproc://again-and-again"))
    })
  )

  it.effect.skipIf(ofBinding("the observer is a socket of libzmq"))(
    "is not begun without room for its observer, and that is said",
    () =>
      Effect.gen(function* () {
        const full = Zmq.Context.layer({ maxSockets: 3 })
        yield* Effect.gen(function* () {
          const one = yield* Zmq.pull({ bind: "inproc://one" })
          const two = yield* Zmq.pull({ bind: "inproc://two" })
          const exit = yield* Effect.exit(Effect.scoped(two.bind("tcp://127.0.0.1:*")))
          expect(exit).toMatchObject({
            cause: { reasons: [{ error: { _tag: "BindError", reason: "TooManySockets" } }] }
          })
          expect(yield* outcome(Stream.runDrain(one.events))).toBe("OpenError")
        }).pipe(Effect.scoped, Effect.provide(full))
      })
  )

  it.effect("is not begun with monitor: false, until somebody asks", () =>
    Effect.gen(function* () {
      const before = openFiles()
      const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), monitor: false })
      expect(openFiles()).toBeLessThan(before + 4)
      if (engineName === "zeromq") expect(yield* outcome(pull.awaitPeers(1))).toBe("InvalidState")
      const later = yield* Zmq.pull({ monitor: false })
      const events = yield* fork(upTo(later, "HandshakeSucceeded"))
      yield* Zmq.push({ connect: yield* later.bind(freshEndpoint("tcp")) })
      yield* later.awaitPeers(1)
      expect(tags(yield* Fiber.join(events))).toEqual(["Listening", "Accepted", "HandshakeSucceeded"])
    })
  )
})

describe("peers", () => {
  it.effect("are known by the endpoint that was given, whatever libzmq calls it after the first connection", () =>
    Effect.gen(function* () {
      const port = 5555
      const given = [`tcp://localhost:${port}`, "tcp://[0:0:0:0:0:0:0:1]:05556", "tcp://127.0.0.1:0;localhost:5557"]
      const { port: scripted, socket } = yield* openScripted(Zmq.push({ connect: given, ipv6: true }))
      const names = ["tcp://127.0.0.1:5555", "tcp://[::1]:5556", "tcp://127.0.0.1:5557"]
      const tell = (address: string, ...types: Array<string>) =>
        types.forEach((type) => void scripted.tell({ type, address }))
      for (const address of given) tell(address, "connect:delay", "connect", "handshake", "disconnect")
      const waiting = yield* fork(socket.awaitConnected)
      for (const address of names) {
        yield* nextTurn
        expect(waiting.pollUnsafe()).toBeUndefined()
        tell(address, "connect:retry", "connect", "handshake")
      }
      yield* Fiber.join(waiting)
      yield* socket.disconnect(given[0]!)
      const three = yield* fork(socket.awaitPeers(3))
      // Late news of what was ended is none.
      tell(names[0]!, "handshake", "disconnect", "handshake")
      yield* nextTurn
      expect(three.pollUnsafe()).toBeUndefined()
      yield* socket.awaitPeers(2)
    })
  )

  it.effect.skipIf(ofBinding("WebSocket is of libzmq"))(
    "of a WebSocket count once, though libzmq tells twice of a handshake",
    () =>
      Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: "ws://127.0.0.1:*" })
        const push = yield* Zmq.push({ connect: boundTo(pull) })
        yield* push.awaitConnected
        yield* push.send("a")
        expect(yield* pull.recvString).toBe("a")
        yield* pull.awaitPeers(1)
        const two = yield* fork(pull.awaitPeers(2))
        yield* pause(5)
        expect(two.pollUnsafe()).toBeUndefined()
      })
  )

  it.effect("of a STREAM are there when they are connected", () =>
    Effect.gen(function* () {
      const server = yield* Zmq.rawStream({ bind: freshEndpoint("tcp") })
      const client = yield* Zmq.rawStream({ connect: boundTo(server) })
      yield* client.awaitConnected
      yield* server.awaitPeers(1)
    })
  )

  it.effect("that were awaited are found by what the socket itself does", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.push({ connect: ["tcp://127.0.0.1:5555", "tcp://127.0.0.1:1"] }))
      for (const type of ["connect", "handshake"]) port.tell({ type, address: "tcp://127.0.0.1:5555" })
      const connected = yield* fork(socket.awaitConnected)
      const two = yield* fork(socket.awaitPeers(2))
      yield* nextTurn
      expect(connected.pollUnsafe()).toBeUndefined()
      yield* socket.disconnect("tcp://127.0.0.1:1")
      yield* Fiber.join(connected)
      expect(two.pollUnsafe()).toBeUndefined()
      yield* socket.connect("inproc://here")
      yield* Fiber.join(two)
    })
  )

  it.effect("are gone when their endpoint is unbound", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull({ bind: "tcp://*:5555" }))
      for (const type of ["accept", "handshake"]) port.tell({ type, address: "tcp://192.0.2.1:5555" })
      yield* socket.awaitPeers(1)
      yield* socket.unbind(socket.endpoints[0]!)
      const one = yield* fork(socket.awaitPeers(1))
      yield* nextTurn
      expect(one.pollUnsafe()).toBeUndefined()
    })
  )

  it.effect("are as many at least as there are subscriptions: what a peer had twice goes with it", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pub({ bind: "tcp://127.0.0.1:5555" }))
      const tell = (...types: Array<string>) => types.forEach((type) => void port.tell({ type, address: "here" }))
      tell("accept", "handshake")
      port.arrive("\x01a", "\x01a", "\x00a")
      yield* socket.awaitSubscribers("a")
      tell("disconnect")
      const waiting = yield* fork(socket.awaitSubscribers("a"))
      yield* nextTurn
      expect(waiting.pollUnsafe()).toBeUndefined()
      tell("accept", "handshake")
      port.arrive("\x01a")
      yield* Fiber.join(waiting)
    })
  )

  it.effect("over inproc: a SUB that binds tells who connects what it has subscribed to", () =>
    Effect.gen(function* () {
      const sub = yield* Zmq.sub({ bind: freshEndpoint("inproc"), subscribe: "a" })
      const pub = yield* Zmq.pub({ connect: boundTo(sub) })
      yield* pub.awaitSubscribers("a")
    })
  )
})
