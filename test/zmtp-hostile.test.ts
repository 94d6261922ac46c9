/** Peers over TCP that mean no good, or are broken: they are cut off, are told of, and are in nobody's way. */
import { connect, type Socket } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Redacted, type Scope, Stream } from "effect"
import { Engine, Plain, Zap, Zmq } from "effect-zmq"
import { boundTo, freshEndpoint, until } from "./support/sockets.ts"
import { secured } from "./support/zap.ts"
import { command, frame, greeting, longFrame, property, ready } from "./support/zmtpSides.ts"

/** Says something, and reads nothing unless it is told to. */
class Peer {
  readonly socket: Socket
  isEnded = false

  constructor(endpoint: string, reads = true) {
    this.socket = connect(Number(new URL(endpoint.replace(/^tcp:/, "http:")).port), "127.0.0.1")
    const ended = () => {
      this.isEnded = true
    }
    this.socket.on("error", ended).on("end", ended).on("close", ended)
    if (reads) this.socket.resume()
  }

  say(...parts: ReadonlyArray<Uint8Array>): this {
    this.socket.write(Buffer.concat(parts))
    return this
  }
}

const peer = (endpoint: string, reads = true): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Peer(endpoint, reads)),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

const ended = (one: Peer): Effect.Effect<void> => until(Effect.sync(() => one.isEnded))

/** The events of a kind that there are until now, and then so many as are waited for. */
const failures = (socket: Zmq.Socket, count: number) =>
  socket.events.pipe(
    Stream.filter(Zmq.SocketEvent.$is("HandshakeFailed")),
    Stream.take(count),
    Stream.map(({ code, reason }) => `${reason} ${code}`),
    Stream.runCollect
  )

/** An honest peer, from whose messages the others must not keep the socket. */
const honest = (pull: Zmq.Pull) =>
  Effect.gen(function* () {
    const push = yield* Zmq.push({ connect: boundTo(pull), linger: 0 })
    yield* push.awaitConnected
    let count = 0
    return Effect.gen(function* () {
      const text = `honest ${++count}`
      yield* push.send(text)
      expect(yield* pull.recvString).toBe(text)
    })
  })

const opened = (options: Zmq.PullOptions = {}) =>
  Effect.gen(function* () {
    const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), ...options })
    return { pull, served: yield* honest(pull), at: boundTo(pull) }
  })

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.provide(effect, Engine.layerZmtp)

const zap = Zap.layer({ plain: { admin: Redacted.make("secret") } })

const inTraffic = (type: string): Buffer => Buffer.concat([greeting(), ready(type)])

describe("before the handshake is over", () => {
  it.live("who is slow is cut off in time, however much comes meanwhile", () =>
    run(
      Effect.gen(function* () {
        const { at, pull, served } = yield* opened({ handshakeInterval: "300 millis" })
        const silent = yield* peer(at)
        const slow = yield* peer(at)
        const told = yield* Effect.forkChild(failures(pull, 2), { startImmediately: true })
        const bytes = Buffer.concat([greeting(), ready("PUSH")])
        yield* Effect.forkScoped(
          Effect.gen(function* () {
            for (const byte of bytes) {
              slow.say(Buffer.of(byte))
              yield* served
              yield* Effect.sleep("10 millis")
            }
          })
        )
        yield* ended(silent)
        yield* ended(slow)
        expect(yield* Fiber.join(told)).toEqual(["Connection ERR_ZMTP_TIMEOUT", "Connection ERR_ZMTP_TIMEOUT"])
      })
    )
  )

  it.live("a thousand that say nothing are in nobody's way, and are cut off", () =>
    run(
      Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), handshakeInterval: "2 seconds", backlog: 1000 })
        const served = yield* honest(pull)
        const many = yield* Effect.forEach(Array(1000), () => peer(boundTo(pull)))
        yield* served
        for (const one of many) yield* ended(one)
        yield* served
        yield* until(Effect.map(pull.status, ({ peers }) => peers === 1))
      })
    )
  )

  const said: ReadonlyArray<readonly [name: string, bytes: Buffer, told: string]> = [
    ["garbage", Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "Protocol ERR_ZMTP_INVALID_VERSION"],
    ["metadata of 1 GiB", Buffer.concat([greeting(), longFrame(4, 2n ** 30n)]), "Protocol ERR_ZMTP_PROTOCOL"],
    [
      "a property of 4 GiB",
      Buffer.concat([
        greeting(),
        command("READY", Buffer.concat([property("Socket-Type", "PUSH").subarray(0, 12), Buffer.alloc(4, 0xff)]))
      ]),
      "Protocol ERR_ZMTP_PROTOCOL"
    ],
    ["a command of 2^63 octets", Buffer.concat([greeting(), longFrame(4, 2n ** 63n)]), "Protocol ERR_ZMTP_PROTOCOL"],
    ["a message", Buffer.concat([greeting(), frame(0, "hello")]), "Protocol ERR_ZMTP_PROTOCOL"],
    ["a type that may not talk to ours", Buffer.concat([greeting(), ready("SUB")]), "Protocol ERR_ZMTP_PROTOCOL"]
  ]
  for (const [name, bytes, expected] of said)
    it.live(`${name}: told of, and cut off at once`, () =>
      run(
        Effect.gen(function* () {
          const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp") })
          const served = yield* honest(pull)
          const told = yield* Effect.forkChild(failures(pull, 1), { startImmediately: true })
          const bad = yield* peer(boundTo(pull))
          bad.say(bytes)
          const [failure] = yield* Fiber.join(told)
          expect(failure?.replace(/ERR_ZMTP_(?!INVALID_VERSION)\w+/, "ERR_ZMTP_PROTOCOL")).toBe(expected)
          yield* ended(bad)
          yield* served
        })
      )
    )

  it.live("who hangs up in the middle, at each octet", () =>
    run(
      Effect.gen(function* () {
        const { at, pull, served } = yield* opened()
        const bytes = Buffer.concat([greeting(), ready("PUSH")])
        const told = yield* Effect.forkChild(failures(pull, bytes.length), { startImmediately: true })
        for (let count = 0; count < bytes.length; count++) {
          const one = yield* peer(at)
          one.say(bytes.subarray(0, count)).socket.end()
        }
        expect((yield* Fiber.join(told)).length).toBe(bytes.length)
        yield* served
      })
    )
  )

  it.live("HELLOs without an end", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), security: Plain.server({ domain: "hostile" }) })
      const hello = command("HELLO", "\x05admin\x05wrong")
      const again = command("HELLO", "\x05admin\x06secret")
      const many = yield* Effect.forEach(Array(50), () => peer(boundTo(pull)))
      for (const one of many) one.say(greeting("PLAIN"), ...Array<Buffer>(1000).fill(hello))
      for (const one of many) yield* ended(one)
      const other = yield* peer(boundTo(pull))
      other.say(greeting("PLAIN"), ...Array<Buffer>(1000).fill(again))
      yield* ended(other)
      const client = Plain.client({ username: "admin", password: Redacted.make("secret") })
      const push = yield* Zmq.push({ connect: boundTo(pull), security: client })
      yield* push.send("hello")
      expect(yield* pull.recvString).toBe("hello")
    }).pipe(Effect.provide(secured(zap)), Effect.provide(Engine.layerZmtp))
  )
})

describe("after the handshake", () => {
  const cutOff = (type: "pull" | "xpub", bytes: () => Buffer, goesOn = false) =>
    run(
      Effect.gen(function* () {
        const { at, pull, served } = yield* opened()
        const xpub = yield* Zmq.xpub({ bind: freshEndpoint("tcp") })
        const [socket, honestPeers] = type === "pull" ? ([pull, 1] as const) : ([xpub, 0] as const)
        const bad = yield* peer(type === "pull" ? at : boundTo(xpub), !goesOn)
        bad.say(inTraffic(type === "pull" ? "PUSH" : "SUB"))
        const say = (): void => {
          bad.socket.write(bytes(), (error) => {
            if (goesOn && !error) say()
          })
        }
        say()
        yield* ended(bad)
        yield* until(Effect.map(socket.status, ({ peers }) => peers === honestPeers))
        yield* served
      })
    )

  it.live("a frame of 2^63 octets", () => cutOff("pull", () => longFrame(0, 2n ** 63n)))
  it.live("a command of 1 GiB", () => cutOff("pull", () => longFrame(4, 2n ** 30n)))
  it.live("a message without an end", () => cutOff("pull", () => Buffer.alloc(2 * 100_000, frame(1, ""))))
  it.live("PINGs of one that reads no answers", () =>
    cutOff("pull", () => Buffer.alloc(24 * 4000, command("PING", "\0\0sixteen octets..")), true)
  )
  it.live("a malformed PING", () => cutOff("pull", () => command("PING", "x".repeat(100))))

  it.live("a subscription of 1 MiB", () => cutOff("xpub", () => command("SUBSCRIBE", "x".repeat(2 ** 20))))

  it.live("subscriptions without an end", () =>
    run(
      Effect.gen(function* () {
        const pub = yield* Zmq.pub({ bind: freshEndpoint("tcp") })
        const good = yield* Zmq.sub({ connect: boundTo(pub), subscribe: "news" })
        const bad = yield* peer(boundTo(pub))
        bad.say(inTraffic("SUB"))
        const say = (from: number): void => {
          const parts: Array<Buffer> = []
          for (let i = from; i < from + 1000; i++) parts.push(command("SUBSCRIBE", `${i} ${"x".repeat(240)}`))
          bad.socket.write(Buffer.concat(parts), (error) => {
            if (!error) say(from + 1000)
          })
        }
        say(0)
        yield* ended(bad)
        yield* until(Effect.map(pub.status, ({ peers }) => peers === 1))
        yield* pub.awaitSubscribers("news")
        yield* pub.send("news of the day")
        expect(yield* good.recvString).toBe("news of the day")
      })
    )
  )

  it.live("large frames that are announced, and do not come, take little memory", () =>
    run(
      Effect.gen(function* () {
        const { at, pull, served } = yield* opened()
        const before = process.memoryUsage().arrayBuffers
        const many = yield* Effect.forEach(Array(100), () => peer(at))
        for (const one of many) one.say(inTraffic("PUSH"), longFrame(0, 2n ** 31n - 10_000n, "x".repeat(100)))
        yield* until(Effect.map(pull.status, ({ peers }) => peers === 101))
        yield* served
        expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 1024 * 1024)
        for (const one of many) one.socket.end()
        yield* until(Effect.map(pull.status, ({ peers }) => peers === 1))
        yield* served
      })
    )
  )

  it.live("who hangs up in the middle of a message has said nothing", () =>
    run(
      Effect.gen(function* () {
        const { at, pull, served } = yield* opened()
        for (const bytes of [
          frame(1, "first"),
          frame(0, "whole").subarray(0, 4),
          longFrame(0, 1000n, "x".repeat(999))
        ]) {
          const one = yield* peer(at)
          one.say(inTraffic("PUSH"), bytes).socket.end()
          yield* ended(one)
          yield* served
        }
        yield* until(Effect.map(pull.status, ({ peers }) => peers === 1))
        expect(pull.stats.messagesIn).toBe(3)
      })
    )
  )
})

it.live("one message of 1,000 that is kept keeps at most 2 KiB", () =>
  run(
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp") })
      const push = yield* Zmq.push({ connect: boundTo(pull) })
      const kept: Array<Zmq.Message> = []
      yield* Effect.forkScoped(push.sendAll(Array<Buffer>(100_000).fill(Buffer.alloc(1024, "x"))))
      for (let i = 0; i < 100_000; i++) {
        const message = yield* pull.recv
        if (i % 1000 === 0) kept.push(message)
      }
      const memory = new Set(kept.map(([frame]) => frame.buffer))
      const bytes = [...memory].reduce((sum, { byteLength }) => sum + byteLength, 0)
      expect(kept.length).toBe(100)
      expect(bytes / kept.length).toBeLessThanOrEqual(2048)
    })
  )
)
