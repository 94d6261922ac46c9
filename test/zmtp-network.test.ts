/** Peers that we connected to over a network: each connection begins anew, and what waits for them has its bound. */
import { type AddressInfo, createServer, type Socket } from "node:net"
import { describe, expect } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import type { Delivery } from "../src/internal/engine.ts"
import { openSocket } from "../src/internal/socket/open.ts"
import { freshEndpoint, until, untilDefined } from "./support/sockets.ts"
import { all, closed, live, next, ownerOf, rude, turns } from "./support/zmtpPort.ts"
import { frame, greeting, longFrame, ready } from "./support/zmtpSides.ts"

/** Listens, and has what each connection says. */
const listening = Effect.gen(function* () {
  const peers: Array<{ readonly socket: Socket; readonly said: () => Buffer }> = []
  const server = createServer((socket) => {
    const chunks: Array<Buffer> = []
    socket.on("error", () => {}).on("data", (bytes) => void chunks.push(bytes))
    peers.push({ socket, said: () => Buffer.concat(chunks) })
  })
  yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      server.close()
      for (const { socket } of peers) socket.destroy()
    })
  )
  const endpoint = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`
  const peer = (number: number) =>
    Effect.as(until(Effect.sync(() => peers.length > number)), number).pipe(Effect.map(() => peers[number]!))
  return { endpoint, peer }
})

live(
  "nothing is sent before the handshake of the next connection is over",
  Effect.gen(function* () {
    const { endpoint, peer } = yield* listening
    const push = yield* openSocket("push", { connect: endpoint, reconnectInterval: 1, linger: 0 })
    const first = yield* peer(0)
    first.socket.write(Buffer.concat([greeting(), ready("PULL")]))
    yield* until(Effect.sync(() => push.port.peers === 1))
    first.socket.destroy()
    yield* until(Effect.sync(() => push.port.peers === 0))
    const second = yield* peer(1)
    second.socket.write(greeting())
    // All that it says by itself.
    const expected = 64 + ready("PUSH").length
    yield* until(Effect.sync(() => second.said().length >= 64))
    expect(push.port.offer("message")).toBe("sent")
    yield* turns(20)
    expect(second.said().includes("message")).toBe(false)
    second.socket.write(ready("PULL"))
    yield* until(Effect.sync(() => second.said().includes(frame(0, "message"))))
    expect(second.said().indexOf("message")).toBeGreaterThan(expected)
  })
)

live(
  "a peer whose name another has taken over is heard when it comes again",
  Effect.gen(function* () {
    const named = { routingId: "name", linger: 0 }
    const first = yield* openSocket("dealer", { bind: freshEndpoint("tcp"), ...named })
    const scope = yield* Scope.make()
    const second = yield* Scope.provide(openSocket("dealer", { bind: freshEndpoint("tcp"), ...named }), scope)
    const router = yield* openSocket("router", {
      connect: first.endpoints[0]!,
      handover: true,
      reconnectInterval: 1,
      linger: 0
    })
    yield* until(Effect.sync(() => router.port.peers === 1))
    router.port.connect(second.endpoints[0]!, () => {})
    yield* until(Effect.sync(() => router.port.isConnected(second.endpoints[0]!)))
    yield* Scope.close(scope, Exit.void)
    yield* until(
      Effect.sync(() => {
        first.port.offer("hello")
        return router.port.ready > 0
      })
    )
    expect(yield* next(router)).toEqual(["name", "hello"])
  })
)

live(
  "who does not let us in gets nothing, and others all",
  Effect.gen(function* () {
    const refusing = yield* openSocket("pub", { bind: freshEndpoint("tcp") })
    const push = yield* openSocket("push", {
      connect: refusing.endpoints[0]!,
      reconnectInterval: 1,
      sendHighWaterMark: 0,
      linger: 0
    })
    // What waits for who is not there yet may be for it: until it has said no.
    yield* until(Effect.sync(() => push.port.offer("lost") === "full"))
    const pull = yield* openSocket("pull", { bind: freshEndpoint("tcp") })
    push.port.connect(pull.endpoints[0]!, () => {})
    for (let i = 0; i < 10; i++) push.port.offer(`${i}`)
    const heard: Array<string> = []
    while (heard.length < 10) heard.push((yield* next(pull))[0]!)
    expect(heard).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`))
    expect(all(pull)).toEqual([])
  })
)

live(
  "what is sent waits for who has said nothing in time",
  Effect.gen(function* () {
    const { endpoint, peer } = yield* listening
    const options = { connect: endpoint, reconnectInterval: 3_600_000, handshakeInterval: 10, linger: 0 }
    const push = yield* openSocket("push", options)
    const { socket } = yield* peer(0)
    yield* Effect.callback<void>((resume) => void socket.on("end", () => resume(Effect.void)))
    yield* turns(5)
    expect(push.port.offer("message")).toBe("sent")
  })
)

live(
  "what is sent waits for who was let in, and said nonsense",
  Effect.gen(function* () {
    const { endpoint, peer } = yield* listening
    const push = yield* openSocket("push", { connect: endpoint, reconnectInterval: 3_600_000, linger: 0 })
    const { socket } = yield* peer(0)
    socket.write(Buffer.concat([greeting(), ready("PULL")]))
    yield* until(Effect.sync(() => push.port.peers === 1))
    socket.write("this is nonsense")
    yield* until(Effect.sync(() => push.port.peers === 0))
    expect(push.port.offer("message")).toBe("sent")
  })
)

live(
  "what was lost with a connection is not counted when the socket closes",
  Effect.gen(function* () {
    const { endpoint, peer } = yield* listening
    const push = yield* openSocket("push", { connect: endpoint, reconnectInterval: 1 })
    const comes = (number: number) =>
      Effect.gen(function* () {
        const { socket } = yield* peer(number)
        socket.pause().write(Buffer.concat([greeting(), ready("PULL")]))
        yield* until(Effect.sync(() => push.port.peers === 1))
        return socket
      })
    const first = yield* comes(0)
    // The kernel does not take all of it.
    push.port.offer(Buffer.alloc(64 * 2 ** 20))
    yield* turns(5)
    first.resetAndDestroy()
    yield* until(Effect.sync(() => push.port.peers === 0))
    yield* comes(1)
    const delivery = yield* closed(push, 3_600_000)
    expect(delivery).toEqual({ inTime: true, unsent: 0 })
  })
)

live(
  "with immediate nothing waits for who has gone",
  Effect.gen(function* () {
    const { endpoint, peer } = yield* listening
    const push = yield* openSocket("push", { connect: endpoint, immediate: true, reconnectInterval: 3_600_000 })
    expect(push.port.offer("message")).toBe("full")
    const { socket } = yield* peer(0)
    socket.write(Buffer.concat([greeting(), ready("PULL")]))
    yield* until(Effect.sync(() => push.port.peers === 1))
    expect(push.port.offer("message")).toBe("sent")
    socket.end()
    yield* until(Effect.sync(() => push.port.peers === 0))
    expect(push.port.offer("message")).toBe("full")
  })
)

live(
  "what a peer does not read in time is counted, though others have all by then",
  Effect.gen(function* () {
    const { endpoint, peer } = yield* listening
    const pull = yield* openSocket("pull", { bind: freshEndpoint("tcp") })
    const push = yield* openSocket("push", { connect: [pull.endpoints[0]!, endpoint] })
    const { socket } = yield* peer(0)
    socket.pause().write(Buffer.concat([greeting(), ready("PULL")]))
    yield* until(Effect.sync(() => push.port.peers === 2))
    // The kernel does not take all of the second.
    for (const size of [1, 64 * 2 ** 20]) push.port.offer(Buffer.alloc(size))
    yield* next(pull)
    const delivery = yield* closed(push, 200)
    expect(delivery).toEqual({ inTime: false, unsent: 1 })
  })
)

live(
  "what was lost while it closes is counted, though its peer has come again and there is no more time",
  Effect.gen(function* () {
    const { endpoint, peer } = yield* listening
    const push = yield* openSocket("push", { connect: endpoint, reconnectInterval: 1 })
    const { socket } = yield* peer(0)
    socket.pause().write(Buffer.concat([greeting(), ready("PULL")]))
    yield* until(Effect.sync(() => push.port.peers === 1))
    // The kernel does not take all of the first, and what comes behind the second waits.
    for (const size of [64, 1, 1]) push.port.offer(Buffer.alloc(size * 2 ** 20))
    const closing = yield* Effect.forkChild(
      Effect.callback<Delivery>((resume) => {
        push.port.close(500, (delivery) => resume(Effect.succeed(delivery)))
        socket.resetAndDestroy()
      }),
      { startImmediately: true }
    )
    // It does not shake hands.
    yield* peer(1)
    expect(yield* Fiber.join(closing)).toEqual({ inTime: false, unsent: 3 })
  })
)

live(
  "nothing is told of the handshake of who was left meanwhile",
  Effect.gen(function* () {
    const { endpoint, peer } = yield* listening
    const push = yield* openSocket("push", { connect: endpoint, linger: 0 })
    const told: Array<string> = []
    ownerOf(push).onEvent = ({ _tag }) => void told.push(_tag)
    const { socket } = yield* peer(0)
    push.port.disconnect(endpoint)
    yield* Effect.callback<void>((resume) => void socket.on("close", () => resume(Effect.void)))
    yield* until(Effect.sync(() => told.includes("Disconnected")))
    expect(told).not.toContain("HandshakeFailed")
  })
)

live(
  "what is written counts until it is read, and is not sent when it closes at once",
  Effect.gen(function* () {
    const { endpoint, peer } = yield* listening
    const push = yield* openSocket("push", { connect: endpoint, sendHighWaterMark: 3 })
    const { socket } = yield* peer(0)
    socket.pause().write(Buffer.concat([greeting(), ready("PULL")]))
    yield* until(Effect.sync(() => push.port.peers === 1))
    // The kernel takes none of them as a whole.
    const offers = Array.from({ length: 4 }, () => push.port.offer(Buffer.alloc(32 * 2 ** 20)))
    expect(offers).toEqual(["sent", "sent", "sent", "full"])
    const delivery = yield* closed(push, 0)
    expect(delivery).toEqual({ inTime: true, unsent: 3 })
  })
)

live(
  "with conflate a peer that is slow to read gets the newest message, and none that came before it",
  Effect.gen(function* () {
    const { endpoint, peer } = yield* listening
    const push = yield* openSocket("push", { connect: endpoint, conflate: true, linger: 0 })
    const { said, socket } = yield* peer(0)
    socket.pause().write(Buffer.concat([greeting(), ready("PULL")]))
    yield* until(Effect.sync(() => push.port.peers === 1))
    for (const message of [Buffer.alloc(32 * 2 ** 20), "older", "newest"]) push.port.offer(message)
    yield* turns(5)
    socket.resume()
    yield* until(Effect.sync(() => said().subarray(-6).toString() === "newest"))
    expect(said().subarray(-100).includes("older")).toBe(false)
  })
)

live(
  "a peer may say commands of 65,536 bytes and no more, whatever a message may have",
  Effect.gen(function* () {
    for (const more of [0, 1]) {
      const pull = yield* openSocket("pull", { bind: freshEndpoint("tcp"), maxMessageSize: 2 ** 20, linger: 0 })
      const peer = yield* rude(pull, "PUSH")
      yield* until(Effect.sync(() => pull.port.peers === 1))
      const body = Buffer.concat([Buffer.from("\x07UNKNOWN", "latin1"), Buffer.alloc(65_536 + more - 8)])
      peer.write(Buffer.concat([longFrame(4, BigInt(body.length)), body, frame(0, "a message")]))
      if (more === 0) expect(yield* next(pull)).toEqual(["a message"])
      else yield* until(Effect.sync(() => pull.port.peers === 0))
      expect(pull.port.ready).toBe(0)
    }
  })
)

live(
  "and frames of as much as a message may have",
  Effect.gen(function* () {
    for (const more of [0, 1]) {
      const pull = yield* openSocket("pull", { bind: freshEndpoint("tcp"), maxMessageSize: 300, linger: 0 })
      const peer = yield* rude(pull, "PUSH")
      yield* until(Effect.sync(() => pull.port.peers === 1))
      peer.write(Buffer.concat([longFrame(0, BigInt(300 + more)), Buffer.alloc(300 + more, "x")]))
      if (more === 0) expect(yield* next(pull)).toEqual(["x".repeat(300)])
      else yield* until(Effect.sync(() => pull.port.peers === 0))
      expect(pull.port.ready).toBe(0)
    }
  })
)

live(
  "what a peer sends to who receives nothing is dropped, and counts as received",
  Effect.gen(function* () {
    const push = yield* openSocket("push", { bind: freshEndpoint("tcp") })
    const peer = yield* rude(push, "PULL")
    peer.write(Buffer.concat([frame(0, "one"), frame(0, "two")]))
    yield* until(Effect.sync(() => push.port.dropped === 2))
    expect(push.port.received.messages).toBe(2)
  })
)

live(
  "whom nobody was asked about is nobody, and not a user without a name",
  Effect.gen(function* () {
    const pull = yield* openSocket("pull", { bind: freshEndpoint("tcp"), zapDomain: "global" })
    const whence = pull.port.rememberPeers!()
    const push = yield* openSocket("push", { connect: pull.endpoints[0]! })
    push.port.offer("hello")
    yield* until(Effect.sync(() => pull.port.ready > 0))
    expect(whence(pull.port.take())).toEqual({ address: "127.0.0.1", userId: undefined })
  })
)

live(
  "nothing is told to who has closed",
  Effect.gen(function* () {
    const pull = yield* openSocket("pull", { bind: freshEndpoint("tcp") })
    const push = yield* openSocket("push", { connect: pull.endpoints[0]!, linger: 0 })
    yield* until(Effect.sync(() => pull.port.peers === 1 && push.port.peers === 1))
    yield* turns(2)
    const told: Array<string> = []
    ownerOf(push).onPeers = () => void told.push("peers")
    ownerOf(push).onEvent = ({ _tag }) => void told.push(_tag)
    yield* Effect.callback<void>((resume) => push.port.close(0, () => resume(Effect.void)))
    yield* until(Effect.sync(() => pull.port.peers === 0))
    yield* turns(5)
    expect(told).toEqual([])
    expect(push.port.offer("late")).toBe("closed")
  })
)

live(
  "who comes and who goes is told, and why one went before it had shaken hands",
  Effect.gen(function* () {
    const { endpoint, peer } = yield* listening
    const push = yield* openSocket("push", { connect: endpoint, reconnectInterval: 1, linger: 0 })
    let told = 0
    ownerOf(push).onPeers = () => void told++
    const failures: Array<unknown> = []
    ownerOf(push).onEvent = (event) => {
      if (event._tag === "HandshakeFailed")
        failures.push([event.reason, event.code, (event.error as NodeJS.ErrnoException).code])
    }
    const first = yield* peer(0)
    first.socket.write(Buffer.concat([greeting(), ready("PULL")]))
    yield* until(Effect.sync(() => push.port.peers === 1 && told === 1))
    first.socket.end()
    yield* until(Effect.sync(() => push.port.peers === 0 && told === 2))
    const second = yield* peer(1)
    second.socket.end()
    const third = yield* peer(2)
    yield* until(Effect.sync(() => third.said().length === 64))
    third.socket.resetAndDestroy()
    yield* until(Effect.sync(() => failures.length >= 2))
    expect(failures.slice(0, 2)).toEqual([
      ["Connection", "EPIPE", undefined],
      ["Connection", "ECONNRESET", "ECONNRESET"]
    ])
    expect(told).toBe(2)
  })
)

describe("a STREAM that connects", () => {
  /** With its first connection, and the name of that. */
  const connected = (options: { readonly sendHighWaterMark?: number; readonly reconnectInterval?: number }) =>
    Effect.gen(function* () {
      const { endpoint, peer } = yield* listening
      const stream = yield* openSocket("rawStream", { connect: endpoint, receiveHighWaterMark: 1, ...options })
      const { socket } = yield* peer(0)
      const name = yield* untilDefined(Effect.sync(() => (stream.port.ready > 0 ? stream.port.take()[0] : undefined)))
      return { stream, socket: socket.pause(), name, peer }
    })
  // The kernel does not take all of it.
  const large = Buffer.alloc(32 * 2 ** 20)

  live(
    "has room for the next connection, whatever was lost with the one before",
    Effect.gen(function* () {
      const { name, peer, socket, stream } = yield* connected({ sendHighWaterMark: 1, reconnectInterval: 1 })
      expect([stream.port.offer([name, large]), stream.port.offer([name, "more"])]).toEqual(["sent", "full"])
      socket.resetAndDestroy()
      const { said } = yield* peer(1)
      // The end of the one, and the beginning of the other.
      yield* next(stream)
      const [other] = yield* untilDefined(Effect.sync(() => (stream.port.ready > 0 ? stream.port.take() : undefined)))
      expect(other.equals(name)).toBe(false)
      expect(stream.port.offer([other, "hello"])).toBe("sent")
      yield* until(Effect.sync(() => said().toString() === "hello"))
      yield* closed(stream, 0)
    })
  )

  live(
    "reads no more than there is room for, of the next connection too",
    Effect.gen(function* () {
      const { name, peer, socket, stream } = yield* connected({ reconnectInterval: 1 })
      const stopsReading = (from: Socket) =>
        Effect.gen(function* () {
          const before = stream.port.ready
          from.write(large)
          yield* until(Effect.sync(() => stream.port.ready > before))
          yield* turns(20)
          expect(from.writableLength).toBeGreaterThan(0)
          // Nor when it has read on.
          while (stream.port.ready > 0) stream.port.take()
          yield* until(Effect.sync(() => stream.port.ready > 0))
          yield* turns(20)
          expect(stream.port.ready).toBeLessThan(100)
          from.resetAndDestroy()
        })
      yield* stopsReading(socket)
      // Who does not read sees the end when it writes.
      yield* until(Effect.sync(() => stream.port.offer([name, "x"]) === "unroutable"))
      yield* stopsReading((yield* peer(1)).socket)
      yield* closed(stream, 0)
    })
  )

  live(
    "has the bytes as they came, in pieces that a high-water mark can count",
    Effect.gen(function* () {
      const { socket, stream } = yield* connected({})
      const said = Array.from({ length: 40 }, (_, i) => Buffer.alloc(20_000, i))
      for (const bytes of said) {
        yield* Effect.callback<void>((resume) => void socket.write(bytes, () => resume(Effect.void)))
        yield* turns(1)
      }
      const heard: Array<Buffer> = []
      for (let length = 0; length < 800_000; length += heard.at(-1)!.length) {
        const message = yield* untilDefined(Effect.sync(() => (stream.port.ready > 0 ? stream.port.take() : undefined)))
        heard.push(message[1]!)
      }
      expect(Buffer.concat(heard).equals(Buffer.concat(said))).toBe(true)
      expect(Math.max(...heard.map(({ length }) => length))).toBeLessThanOrEqual(8192)
      yield* closed(stream, 0)
    })
  )

  for (const linger of [0, 3_600_000])
    live(
      `closes when there is no connection (linger ${linger})`,
      Effect.gen(function* () {
        const { socket, stream } = yield* connected({ reconnectInterval: 3_600_000 })
        socket.destroy()
        yield* until(Effect.sync(() => stream.port.peers === 0))
        expect(yield* closed(stream, linger)).toEqual({ inTime: true, unsent: 0 })
      })
    )

  live(
    "has no room for who has hung up, and is about to go",
    Effect.gen(function* () {
      const { name, socket, stream } = yield* connected({ sendHighWaterMark: 0, reconnectInterval: 3_600_000 })
      expect(stream.port.offer([name, large])).toBe("sent")
      socket.end()
      yield* until(Effect.sync(() => stream.port.offer([name, "x"]) === "full"))
      socket.resetAndDestroy()
      yield* until(Effect.sync(() => stream.port.offer([name, "x"]) === "unroutable"))
    })
  )

  live(
    "says what one peer has not read in time, though another has all by then",
    Effect.gen(function* () {
      const { name, socket, stream } = yield* connected({})
      const { endpoint, peer } = yield* listening
      stream.port.connect(endpoint, () => {})
      yield* peer(0)
      yield* until(Effect.sync(() => stream.port.peers === 2))
      stream.port.offer([name, large])
      expect(yield* closed(stream, 200)).toEqual({ inTime: false, unsent: 1 })
      expect(socket.destroyed).toBe(false)
    })
  )

  for (const linger of [0, 100, 3_600_000])
    live(
      `says what was not sent when it closes (linger ${linger})`,
      Effect.gen(function* () {
        const { name, socket, stream } = yield* connected({})
        stream.port.offer([name, large])
        const closing = yield* Effect.forkChild(closed(stream, linger), { startImmediately: true })
        if (linger === 3_600_000) socket.resetAndDestroy()
        expect(yield* Fiber.join(closing)).toEqual({ inTime: linger === 0, unsent: 1 })
      })
    )
})
