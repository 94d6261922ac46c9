/** What becomes of peers whom an authenticator answers for late, or badly, or not at all; and of keys that are wrong at first. */
import { connect, type Socket } from "node:net"
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, type Scope, Stream } from "effect"
import { Curve, Engine, Zmq } from "effect-zmq"
import { boundTo, freshEndpoint, until } from "./support/sockets.ts"
import { command, greeting, ready } from "./support/zmtpSides.ts"

const live = <E>(name: string, run: Effect.Effect<void, E, Scope.Scope>): void =>
  it.live(name, () => run.pipe(Effect.provide(Zmq.Context.layer()), Effect.provide(Engine.layerZmtp)))

const authenticator = Zmq.rep({ bind: "inproc://zeromq.zap.01", linger: 0 })

const asked = (zap: Zmq.Rep) => Effect.map(zap.recv, ([, id]) => id!)
const answer = (zap: Zmq.Rep, id: Buffer, status: string) => zap.send(["1.0", id, status, "", "", ""])

/** A peer that says all that there is to say before it is let in. */
class Knocking {
  readonly socket: Socket
  heard = Buffer.alloc(0)
  isEnded = false

  constructor(endpoint: string, mechanism = "NULL", says = ready("PUSH")) {
    this.socket = connect(Number(endpoint.split(":")[2]), "127.0.0.1")
    this.socket.on("error", () => {})
    this.socket.on("data", (bytes: Buffer) => {
      this.heard = Buffer.concat([this.heard, bytes])
    })
    this.socket.on("close", () => {
      this.isEnded = true
    })
    this.socket.write(Buffer.concat([greeting(mechanism), says]))
  }
}

const knocking = (socket: Zmq.Socket): Effect.Effect<Knocking, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Knocking(boundTo(socket))),
    (peer) => Effect.sync(() => peer.socket.destroy())
  )

const failures = (socket: Zmq.Socket, count: number) =>
  Effect.forkChild(
    socket.events.pipe(
      Stream.filter(Zmq.SocketEvent.$is("HandshakeFailed")),
      Stream.map(({ reason, status }) => `${reason} ${status}`),
      Stream.take(count),
      Stream.runCollect
    ),
    { startImmediately: true }
  )

live(
  "a refusal is said to the peer as the status has it, and told of",
  Effect.gen(function* () {
    const zap = yield* authenticator
    const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), zapDomain: "global" })
    const told = yield* failures(pull, 5)
    const said: Array<string> = []
    for (const status of ["300", "400", "500", "404", "200 "]) {
      const peer = yield* knocking(pull)
      yield* answer(zap, yield* asked(zap), status)
      yield* until(Effect.sync(() => peer.isEnded))
      const error = peer.heard.indexOf("\x05ERROR\x03")
      said.push(error < 0 ? "nothing" : peer.heard.subarray(error + 7, error + 10).toString("latin1"))
    }
    expect(said).toEqual(["nothing", "400", "500", "500", "500"])
    expect(yield* Fiber.join(told)).toEqual([300, 400, 500, 500, 500].map((status) => `Authentication ${status}`))
    expect((yield* pull.status).peers).toBe(0)
  })
)

live(
  "an answer for a peer that has left, or was given up, is nothing to the next one",
  Effect.gen(function* () {
    const zap = yield* authenticator
    const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), zapDomain: "global", handshakeInterval: 200 })
    const left = yield* knocking(pull)
    const first = yield* asked(zap)
    const told = yield* failures(pull, 1)
    left.socket.destroy()
    expect((yield* Fiber.join(told))[0]).toMatch(/^Connection/)
    yield* answer(zap, first, "200")
    // This one waits for longer than it may.
    const late = yield* knocking(pull)
    const second = yield* asked(zap)
    yield* until(Effect.sync(() => late.isEnded))
    yield* answer(zap, second, "200")
    const push = yield* Zmq.push({ connect: boundTo(pull), linger: 0 })
    yield* answer(zap, yield* asked(zap), "200")
    yield* push.send("hello")
    expect(yield* pull.recvString).toBe("hello")
    expect((yield* pull.status).peers).toBe(1)
  })
)

live(
  "who waits for an authenticator that closes is let in by nobody, and the next one lets others in",
  Effect.gen(function* () {
    const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), zapDomain: "global" })
    const told = yield* failures(pull, 1)
    const peer = yield* Effect.scoped(
      Effect.gen(function* () {
        const zap = yield* authenticator
        const peer = yield* Effect.sync(() => new Knocking(boundTo(pull)))
        yield* asked(zap)
        return peer
      })
    )
    yield* until(Effect.sync(() => peer.isEnded))
    expect(yield* Fiber.join(told)).toEqual(["Authentication 500"])
    const zap = yield* authenticator
    const push = yield* Zmq.push({ connect: boundTo(pull), linger: 0 })
    yield* answer(zap, yield* asked(zap), "200")
    yield* push.send("hello")
    expect(yield* pull.recvString).toBe("hello")
  })
)

live(
  "where there is no authenticator, nobody comes in by name and password, or to a domain that is enforced",
  Effect.gen(function* () {
    const enforced = yield* Zmq.pull({ bind: freshEndpoint("tcp"), zapDomain: "global", zapEnforceDomain: true })
    const told = yield* failures(enforced, 1)
    const peer = yield* knocking(enforced)
    yield* until(Effect.sync(() => peer.isEnded))
    expect((yield* Fiber.join(told))[0]).toMatch(/^Connection/)
    const plain = yield* Zmq.pull({ bind: freshEndpoint("tcp"), plainServer: true })
    const refused = yield* failures(plain, 1)
    const hello = yield* Effect.sync(() => new Knocking(boundTo(plain), "PLAIN", command("HELLO", "\x01a\x01b")))
    yield* until(Effect.sync(() => hello.isEnded))
    expect((yield* Fiber.join(refused))[0]).toMatch(/^Connection/)
    const open = yield* Zmq.pull({ bind: freshEndpoint("tcp"), zapDomain: "global" })
    yield* knocking(open)
    yield* until(Effect.map(open.status, ({ peers }) => peers === 1))
  })
)

live(
  "a client with wrong keys is refused, and with the right ones it is not, at the same endpoint",
  Effect.gen(function* () {
    const [server, client, wrong] = yield* Effect.all([Curve.generate, Curve.generate, Curve.generate])
    const pull = yield* Zmq.pull({
      bind: freshEndpoint("tcp"),
      security: Curve.server({ secretKey: server.secretKey })
    })
    const told = yield* failures(pull, 1)
    yield* Effect.scoped(
      Effect.gen(function* () {
        const security = Curve.client({ ...client, serverKey: wrong.publicKey })
        const push = yield* Zmq.push({ connect: boundTo(pull), security, linger: 0 })
        yield* push.send("for another server")
        yield* Fiber.join(told)
      })
    )
    const security = Curve.client({ ...client, serverKey: server.publicKey })
    const push = yield* Zmq.push({ connect: boundTo(pull), security })
    yield* push.send("hello")
    expect(yield* pull.recvString).toBe("hello")
    expect(pull.stats.messagesIn).toBe(1)
  })
)
