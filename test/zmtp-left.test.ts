/** What was left, by `disconnect` or `unbind`, while something is still on its way there: it gets that, and is nothing more to the socket. */
import { connect, type Socket } from "node:net"
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, type Scope, Stream } from "effect"
import { Engine, Zmq } from "effect-zmq"
import type { EngineSocket } from "../src/internal/engine.ts"
import { openSocket } from "../src/internal/socket/open.ts"
import type { Pipe } from "../src/internal/zmtp/pipe.ts"
import { boundTo, freshEndpoint, nextTurn, texts, transports, until, untilDefined } from "./support/sockets.ts"
import { closed } from "./support/zmtpPort.ts"
import { frame, greeting, property, ready } from "./support/zmtpSides.ts"

const live = <E>(name: string, run: Effect.Effect<void, E, Scope.Scope>): void =>
  it.live(name, () => run.pipe(Effect.provide(Engine.layerZmtp)))

const fork = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

/** Where nobody listens. */
const nobody = Effect.scoped(Effect.map(Zmq.pull({ bind: freshEndpoint("tcp") }), boundTo))

const nextOf = (port: EngineSocket): Effect.Effect<Array<string>> =>
  untilDefined(Effect.sync(() => (port.ready > 0 ? texts(port.take()) : undefined)))

/** More than the kernel takes, and how much of it a socket has sent before it had no room. */
const body = Buffer.alloc(4 * 1024 * 1024)
const fill = <E>(send: Effect.Effect<boolean, E>) =>
  Effect.gen(function* () {
    let sent = 0
    while (yield* send) sent++
    return sent
  })

for (const [from, to] of [
  ["push", "pull"],
  ["dealer", "dealer"],
  ["pair", "pair"],
  ["xsub", "xpub"]
] as const)
  live(
    `who comes when it was left already gets what was sent by then, and nothing more (${from})`,
    Effect.gen(function* () {
      const at = yield* nobody
      const { port } = yield* openSocket(from, { connect: at, reconnectInterval: 10, linger: 10_000 })
      expect(port.offer("old")).toBe("sent")
      port.disconnect(at)
      const other = yield* openSocket(to, { bind: freshEndpoint("tcp") })
      port.connect(other.endpoints[0]!, () => {})
      yield* until(Effect.sync(() => port.peers === 1))
      const late = yield* openSocket(to, { bind: at })
      expect(yield* nextOf(late.port)).toEqual(["old"])
      expect(port.peers).toBe(1)
      for (let i = 0; i < 4; i++) expect(port.offer(`${i}`)).toBe("sent")
      const delivery = yield* closed({ port }, 10_000)
      expect(delivery).toEqual({ inTime: true, unsent: 0 })
      for (let i = 0; i < 4; i++) expect(yield* nextOf(other.port)).toEqual([`${i}`])
      expect(late.port.ready).toBe(0)
    })
  )

for (const transport of transports)
  live(
    `what is on its way when an endpoint is unbound comes there, whole and in order (${transport})`,
    Effect.gen(function* () {
      const push = yield* Zmq.push({ bind: freshEndpoint(transport), sendHighWaterMark: 5 })
      const at = boundTo(push)
      const pull = yield* Zmq.pull({ connect: at, receiveHighWaterMark: 1 })
      yield* push.awaitPeers(1)
      let sent = 0
      while (yield* push.trySend([`${sent}`, body])) sent++
      yield* push.unbind(at)
      for (let i = 0; i < sent; i++) {
        const [name, came] = yield* pull.recv
        expect([String(name), came!.length]).toEqual([`${i}`, body.length])
      }
    })
  )

live(
  "the end of a connection that was left says nothing of another to the same endpoint",
  Effect.gen(function* () {
    const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), receiveHighWaterMark: 1 })
    const push = yield* Zmq.push({ connect: boundTo(pull), sendHighWaterMark: 3 })
    yield* push.awaitConnected
    const sent = yield* fill(push.trySend(body))
    const ended = yield* fork(
      push.events.pipe(Stream.filter(Zmq.SocketEvent.$is("Disconnected")), Stream.take(1), Stream.runDrain)
    )
    yield* push.disconnect(boundTo(pull))
    yield* push.connect(boundTo(pull))
    yield* push.awaitConnected
    for (let i = 0; i < sent; i++) yield* pull.recv
    yield* Fiber.join(ended)
    yield* nextTurn
    expect((yield* push.status).endpoints).toMatchObject([{ state: "connected" }])
    yield* push.awaitConnected
  })
)

live(
  "nor does its beginning, of one in the same turn",
  Effect.gen(function* () {
    const at = freshEndpoint("inproc")
    const pull = yield* Zmq.pull({ bind: at })
    const push = yield* Zmq.push({ connect: at })
    yield* push.disconnect(at)
    yield* pull.unbind(at)
    yield* push.connect(at)
    yield* nextTurn
    expect(yield* push.status).toMatchObject({ endpoints: [{ state: "connecting" }], peers: 0 })
  })
)

live(
  "nothing is received of who was left, though there is still something on its way to it (disconnect)",
  Effect.gen(function* () {
    const router = yield* Zmq.router({ bind: freshEndpoint("tcp"), receiveHighWaterMark: 1 })
    const dealer = yield* Zmq.dealer({ connect: boundTo(router), routingId: "name", sendHighWaterMark: 3 })
    yield* dealer.send("hello")
    yield* router.recv
    const sent = yield* fill(dealer.trySend(body))
    const ended = yield* fork(
      dealer.events.pipe(Stream.filter(Zmq.SocketEvent.$is("Disconnected")), Stream.take(1), Stream.runDrain)
    )
    yield* dealer.disconnect(boundTo(router))
    for (let i = 0; i < 5; i++) yield* router.send(["name", "late"])
    for (let i = 0; i < sent; i++) yield* router.recv
    yield* Fiber.join(ended)
    expect((yield* dealer.tryRecv)._tag).toBe("None")
  })
)

live(
  "nor behind what stands for its end (unbind)",
  Effect.gen(function* () {
    const { endpoints, port } = yield* openSocket("router", { bind: freshEndpoint("tcp") }, Buffer.from("farewell"))
    const at = endpoints[0]!
    const dealer: Socket = yield* Effect.acquireRelease(
      Effect.sync(() => connect(Number(at.split(":")[2]), "127.0.0.1").on("error", () => {})),
      (socket) => Effect.sync(() => socket.destroy())
    )
    dealer.write(Buffer.concat([greeting(), ready("DEALER", property("Identity", "name")), frame(0, "hello")]))
    expect(yield* nextOf(port)).toEqual(["name", "hello"])
    expect(port.offer(["name", Buffer.alloc(64 * 1024 * 1024)])).toBe("sent")
    port.unbind(at, () => {})
    expect(yield* nextOf(port)).toEqual(["name", "farewell"])
    yield* Effect.callback<void>((resume) => void dealer.write(frame(0, "late"), () => resume(Effect.void)))
    // It has what was sent, and the end of the connection behind it.
    yield* Effect.callback<void>((resume) => void dealer.on("close", () => resume(Effect.void)).resume())
    expect(port.ready).toBe(0)
  })
)

for (const [linger, isOver, unsent] of [
  [1, true, 3],
  [0, true, 0],
  [60_000, false, 3]
] as const)
  live(
    `when a socket closes, ${unsent} are not delivered of what was sent to whom it left (linger ${linger}, over ${isOver})`,
    Effect.gen(function* () {
      const at = yield* nobody
      const { port } = yield* openSocket("push", { connect: at, linger })
      for (let i = 0; i < 3; i++) expect(port.offer(`${i}`)).toBe("sent")
      const [pipe] = (port as unknown as { readonly pipes: Iterable<Pipe> }).pipes
      port.disconnect(at)
      if (linger === 1) yield* Effect.callback<void>((resume) => pipe!.close(60_000, () => resume(Effect.void)))
      const delivery = yield* closed({ port }, isOver ? 0 : 1)
      expect(delivery).toEqual({ inTime: unsent === 0, unsent })
    })
  )
