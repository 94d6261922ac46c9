/** Corners of this engine, where libzmq has it the same way. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"
import { expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Option, type Scope, Stream } from "effect"
import { Engine, Zmq } from "effect-zmq"
import type { Delivery, EngineSocket } from "../src/internal/engine.ts"
import { openSocket } from "../src/internal/socket/open.ts"
import { coreOf } from "../src/internal/socket/socket.ts"
import type { ZmtpContext } from "../src/internal/zmtp/context.ts"
import { encodeGreeting } from "../src/internal/zmtp/protocol/greeting.ts"
import { encodeLocal } from "../src/internal/zmtp/protocol/peer.ts"
import { boundTo, freshEndpoint, nextTurn, texts, until, untilDefined } from "./support/sockets.ts"
import { frame, greeting, property, ready } from "./support/zmtpSides.ts"

const live = <E>(name: string, run: Effect.Effect<void, E, Scope.Scope>): void =>
  it.live(name, () => run.pipe(Effect.provide(Engine.layerZmtp)))

const readyOf = (socketType: "PULL" | "PUSH"): Buffer => {
  const metadata = encodeLocal({ socketType })
  return Buffer.concat([Buffer.of(4, 6 + metadata.length, 5), Buffer.from("READY"), metadata])
}

/** Until the engine has a message that nobody asked for. */
const arrived = (socket: Zmq.Socket): Effect.Effect<void> => until(Effect.sync(() => coreOf(socket)!.port.ready > 0))

live(
  "a relaxed REQ with a high-water mark of 1 reads on when it has thrown a late reply away",
  Effect.gen(function* () {
    const router = yield* Zmq.router({ bind: freshEndpoint("tcp") })
    const req = yield* Zmq.req({ connect: boundTo(router), relaxed: true, correlate: true, receiveHighWaterMark: 1 })
    const answer = (text: string) =>
      Effect.flatMap(router.recv, ([peer, id, delimiter]) => router.send([peer, id!, delimiter!, text]))
    for (let i = 0; i < 3; i++) {
      yield* req.send("question")
      // Given up, so that it may send again.
      yield* Effect.exit(Effect.timeout(req.recv, 1))
      yield* answer("late")
      yield* arrived(req)
    }
    yield* req.send("question")
    yield* answer("in time")
    expect(yield* req.recvString).toBe("in time")
  })
)

live(
  "with conflate the newest message is read, whatever the high-water mark",
  Effect.gen(function* () {
    const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), conflate: true, receiveHighWaterMark: 1 })
    const push = yield* Zmq.push({ connect: boundTo(pull) })
    yield* push.send("old")
    yield* arrived(pull)
    yield* push.send("new")
    expect(yield* pull.recvString).toBe("new")
  })
)

live(
  "an XPUB hears of each subscription, and of each that ends with its peer",
  Effect.gen(function* () {
    const xpub = yield* Zmq.xpub({ bind: freshEndpoint("tcp"), verbosity: "allSubsUnsubs" })
    const heard = Effect.map(xpub.recv, ([news]) => String(news))
    const one = yield* Zmq.xsub({ connect: boundTo(xpub) })
    yield* one.awaitConnected
    for (const news of ["\u0001a", "\u0001a", "\u0000a"]) yield* one.send(news)
    yield* one.send("\u0000a")
    expect(yield* Effect.all([heard, heard, heard])).toEqual(["\u0001a", "\u0001a", "\u0000a"])
    yield* one.send("\u0001a")
    yield* heard
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* Zmq.sub({ connect: boundTo(xpub), subscribe: "a" })
        yield* heard
      })
    )
    expect(yield* heard).toBe("\u0000a")
  })
)

live(
  "an answer of ZAP for a socket that has closed meanwhile is nothing to its authenticator",
  Effect.gen(function* () {
    const zap = yield* Zmq.rep({ bind: "inproc://zeromq.zap.01" })
    const asked = yield* Effect.scoped(
      Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), zapDomain: "global", linger: 0 })
        const peer = connect(Number(boundTo(pull).split(":")[2]), "127.0.0.1")
        // With the READY, so that nothing but the answer is missing.
        peer.on("error", () => {}).write(Buffer.concat([encodeGreeting("NULL", false), readyOf("PUSH")]))
        yield* Effect.addFinalizer(() => Effect.sync(() => peer.destroy()))
        return yield* zap.recv
      })
    )
    yield* zap.send(["1.0", asked[1]!, "200", "OK", "", ""])
  })
)

live(
  "a STREAM ends a connection though its peer does not, and hears no more of it",
  Effect.gen(function* () {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {})
      socket.on("end", () => socket.write("still here"))
      socket.resume()
    })
    yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
    yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
    const { port } = server.address() as AddressInfo
    const stream = yield* Zmq.rawStream({ connect: `tcp://127.0.0.1:${port}`, linger: Number.POSITIVE_INFINITY })
    const [peer] = yield* stream.recv
    yield* stream.send([peer, "the end"])
    yield* stream.send([peer, ""])
    yield* until(Effect.map(stream.status, ({ peers }) => peers === 0))
    expect((yield* stream.tryRecv)._tag).toBe("None")
  })
)

live(
  "a peer that waits for the name of another and leaves is no end of that other",
  Effect.gen(function* () {
    const router = yield* openSocket("router", { bind: freshEndpoint("tcp") }, Buffer.from("farewell"))
    const { port } = router
    const next = untilDefined(Effect.sync(() => (port.ready > 0 ? texts(port.take()) : undefined)))
    const named = { connect: router.endpoints[0]!, routingId: "name" }
    const first = yield* Zmq.dealer(named)
    yield* first.send("first")
    expect(yield* next).toEqual(["name", "first"])
    yield* Effect.scoped(Effect.flatMap(Zmq.dealer(named), (second) => second.send("second")))
    expect(yield* next).toEqual(["name", "second"])
    yield* first.send("still here")
    expect(yield* next).toEqual(["name", "still here"])
    const third = yield* Zmq.dealer(named)
    yield* third.send("third")
    yield* third.awaitConnected
    yield* until(Effect.sync(() => port.peers === 2))
    yield* first.disconnect(named.connect)
    expect([yield* next, yield* next]).toEqual([
      ["name", "farewell"],
      ["name", "third"]
    ])
  })
)

/** The next messages of a socket, of which nobody else asks for any. */
const take = ({ port }: { readonly port: EngineSocket }, count: number): Effect.Effect<Array<Array<string>>> =>
  Effect.forEach(Array(count), () => untilDefined(Effect.sync(() => (port.ready > 0 ? texts(port.take()) : undefined))))

for (const transport of ["tcp", "inproc"] as const) {
  live(
    `what one peer said comes before what the next of its name says (${transport})`,
    Effect.gen(function* () {
      const router = yield* openSocket("router", { bind: freshEndpoint(transport) }, Buffer.from("farewell"))
      const named = { connect: router.endpoints[0]!, routingId: "name" }
      for (const one of ["a", "b", "c"]) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const dealer = yield* Zmq.dealer(named)
            for (const i of [1, 2, 3]) yield* dealer.send(`${one}${i}`)
          })
        )
        yield* until(Effect.sync(() => router.port.peers === 0))
      }
      const other = yield* Zmq.dealer({ connect: named.connect, routingId: "other" })
      yield* other.send("other")
      const taken = yield* take(router, 13)
      expect(taken.filter(([name]) => name === "name").map(([, text]) => text)).toEqual(
        ["a", "b", "c"].flatMap((one) => [`${one}1`, `${one}2`, `${one}3`, "farewell"])
      )
    })
  )
}

/** Comes by a name over tcp, and says all at once, so that it is all read at once. */
const comes = (
  endpoint: string,
  name: string,
  ...texts: ReadonlyArray<string>
): Effect.Effect<Socket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = connect(Number(endpoint.split(":")[2]), "127.0.0.1").on("error", () => {})
      socket.write(
        Buffer.concat([greeting(), ready("DEALER", property("Identity", name)), ...texts.map((text) => frame(0, text))])
      )
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

live(
  "who takes the name of another over comes after all that stands for the other",
  Effect.gen(function* () {
    const router = yield* openSocket(
      "router",
      { bind: freshEndpoint("tcp"), handover: true, sendHighWaterMark: 0, linger: 0 },
      Buffer.from("farewell")
    )
    const at = router.endpoints[0]!
    const first = yield* comes(at, "name", "first 1", "first 2")
    yield* until(Effect.sync(() => router.port.ready === 2))
    // It reads nothing, and there is much for it.
    for (let i = 0; i < 100; i++) router.port.offer(["name", Buffer.alloc(2 ** 20)])
    yield* comes(at, "name", "second 1", "second 2")
    yield* until(Effect.sync(() => router.port.ready >= 3))
    first.write(frame(0, "a ghost"))
    expect((yield* take(router, 5)).map(([, text]) => text)).toEqual([
      "first 1",
      "first 2",
      "farewell",
      "second 1",
      "second 2"
    ])
    expect(router.port.peers).toBe(1)
    yield* Effect.callback<void>((resume) => void first.on("close", () => resume(Effect.void)).resume())
    expect(router.port.ready).toBe(0)
  })
)

live(
  "an XPUB hears of its subscribers in the order in which they begin and end",
  Effect.gen(function* () {
    const xpub = yield* Zmq.xpub({ bind: freshEndpoint("inproc") })
    const subscriber = Zmq.sub({ connect: boundTo(xpub), subscribe: ["a", "b"] })
    yield* Effect.scoped(subscriber)
    yield* subscriber
    const heard = yield* Effect.all(Array.from({ length: 6 }, () => xpub.recv))
    expect(heard.map(([news]) => news[0])).toEqual([1, 1, 0, 0, 1, 1])
  })
)

live(
  "a send that waits for room has it when what was on its way is lost",
  Effect.gen(function* () {
    const listening = (server: Server) =>
      Effect.callback<number>(
        (resume) =>
          void server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
      )
    // A peer that shakes hands, reads no more, and is gone for good.
    const peers: Array<Socket> = []
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      peers.push(socket.on("error", () => {}))
      socket.write(Buffer.concat([encodeGreeting("NULL", false), readyOf("PULL")]))
    })
    const port = yield* listening(server)
    const push = yield* Zmq.push({ connect: `tcp://127.0.0.1:${port}`, sendHighWaterMark: 8, linger: 0 })
    yield* push.awaitConnected
    // More than the kernel takes.
    const body = Buffer.alloc(64 * 1024 * 1024)
    while (yield* push.trySend(body));
    const waiting = yield* Effect.forkChild(push.send("waits"), { startImmediately: true })
    yield* nextTurn
    expect(waiting.pollUnsafe()).toBeUndefined()
    server.close()
    for (const peer of peers) peer.resetAndDestroy()
    yield* Fiber.join(waiting)
  })
)

live(
  "a peer that was disconnected gets what was sent, and nothing more",
  Effect.gen(function* () {
    const [first, second] = yield* Effect.all([
      Zmq.pull({ bind: freshEndpoint("tcp"), receiveHighWaterMark: 1 }),
      Zmq.pull({ bind: freshEndpoint("tcp") })
    ])
    const push = yield* Zmq.push({ connect: boundTo(first), sendHighWaterMark: 2 })
    yield* push.awaitConnected
    const body = Buffer.alloc(4 * 1024 * 1024)
    let sent = 0
    while (yield* push.trySend(["first", body])) sent++
    yield* push.disconnect(boundTo(first))
    yield* push.connect(boundTo(second))
    for (let i = 0; i < sent; i++) expect(String((yield* first.recv)[0])).toBe("first")
    for (let i = 0; i < 4; i++) yield* push.send("second")
    for (let i = 0; i < 4; i++) expect(yield* second.recvString).toBe("second")
  })
)

live(
  "subscriptions take effect though an XPUB that has received does so no more",
  Effect.gen(function* () {
    const xpub = yield* Zmq.xpub({ bind: freshEndpoint("tcp"), receiveHighWaterMark: 5 })
    const first = yield* Effect.forkChild(xpub.recv, { startImmediately: true })
    const sub = yield* Zmq.sub({ connect: boundTo(xpub), subscribe: "0" })
    yield* Fiber.join(first)
    for (let i = 1; i < 200; i++) yield* sub.subscribe(`t${i}.`)
    const { subscribers } = coreOf(xpub)!.port
    yield* until(Effect.sync(() => subscribers!.matching(Buffer.from("t199.")) === 1))
    yield* xpub.send("t199. news")
    expect(yield* sub.recvString).toBe("t199. news")
  })
)

live(
  "with conflate the newest message is sent to who comes late",
  Effect.gen(function* () {
    const at = yield* Effect.scoped(Effect.map(Zmq.pull({ bind: freshEndpoint("tcp") }), boundTo))
    const push = yield* Zmq.push({ connect: at, conflate: true, sendHighWaterMark: 1 })
    for (const text of ["1", "2", "3"]) yield* push.send(text)
    const pull = yield* Zmq.pull({ bind: at })
    expect(yield* pull.recvString).toBe("3")
    yield* push.send("4")
    expect(yield* pull.recvString).toBe("4")
  })
)

live(
  "tries again less and less often, up to a limit, and begins anew when it was connected",
  Effect.gen(function* () {
    const peers = new Set<Socket>()
    const server = createServer((socket) => {
      peers.add(socket.on("error", () => {}))
      socket.write(Buffer.concat([greeting(), ready("PULL")]))
    })
    const listen = (port: number) =>
      Effect.callback<number>(
        (resume) =>
          void server.listen(port, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
      )
    const port = yield* listen(0)
    yield* Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
    const push = yield* Zmq.push({ linger: 0, reconnectInterval: 10, reconnectMaxInterval: 80 })
    const told = yield* Effect.forkChild(
      push.events.pipe(
        Stream.filter(Zmq.SocketEvent.$is("ConnectRetried")),
        Stream.map(({ interval }) => Duration.toMillis(interval)),
        Stream.take(6),
        Stream.runCollect
      ),
      { startImmediately: true }
    )
    yield* push.connect(`tcp://127.0.0.1:${port}`)
    expect(yield* Fiber.join(told)).toEqual([10, 20, 40, 80, 80, 80])
    const anew = yield* Effect.forkChild(
      push.events.pipe(
        Stream.dropWhile(({ _tag }) => _tag !== "Disconnected"),
        Stream.filter(Zmq.SocketEvent.$is("ConnectRetried")),
        Stream.map(({ interval }) => Duration.toMillis(interval)),
        Stream.runHead
      ),
      { startImmediately: true }
    )
    yield* listen(port)
    yield* push.awaitConnected
    server.close()
    for (const peer of peers) peer.destroy()
    expect(yield* Fiber.join(anew)).toEqual(Option.some(10))
  })
)

live(
  "what a peer has not read when it dies was not delivered, however long there was time",
  Effect.gen(function* () {
    for (const death of ["resetAndDestroy", "end"] as const) {
      const router = yield* openSocket("router", { bind: freshEndpoint("tcp") })
      const peer = yield* comes(router.endpoints[0]!, "name", "hello")
      yield* take(router, 1)
      // More than the kernel takes, and so much that some of it has to wait.
      for (let i = 0; i < 100; i++) router.port.offer(["name", Buffer.alloc(2 ** 20)])
      const closed = Effect.callback<Delivery>((resume) => {
        router.port.close(3_600_000, (delivery) => resume(Effect.succeed(delivery)))
        peer[death]()
        if (death === "end") peer.destroy()
      })
      const { inTime, unsent } = yield* closed
      expect(inTime).toBe(false)
      expect(unsent).toBeGreaterThan(0)
      expect(unsent).toBeLessThanOrEqual(100)
    }
  })
)

live(
  "nor was what a peer had not read that went away while we close, though all else went to the one that came after it",
  Effect.gen(function* () {
    const peers: Array<Socket> = []
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      peers.push(socket.on("error", () => {}))
      socket.write(Buffer.concat([greeting(), ready("PULL")]))
    })
    const port = yield* Effect.callback<number>(
      (resume) =>
        void server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
    )
    yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
    const push = yield* openSocket("push", { connect: `tcp://127.0.0.1:${port}`, reconnectInterval: 10 })
    yield* until(Effect.sync(() => push.port.peers === 1))
    // The kernel does not take the first, and what comes behind the second waits.
    for (const size of [64, 1, 1]) push.port.offer(Buffer.alloc(size * 2 ** 20))
    const delivery = yield* Effect.callback<Delivery>((resume) => {
      push.port.close(3_600_000, (delivery) => resume(Effect.succeed(delivery)))
      peers[0]!.resetAndDestroy()
    })
    expect(delivery).toEqual({ inTime: false, unsent: 2 })
    expect(peers.length).toBe(2)
  })
)

live(
  "questions to an authenticator that does not answer have a bound",
  Effect.gen(function* () {
    const zap = yield* Zmq.rep({ bind: "inproc://zeromq.zap.01", linger: 0 })
    const { context } = coreOf(zap)!.port as unknown as { readonly context: ZmtpContext }
    const replies: Array<number> = []
    const request = { mechanism: "NULL", credentials: [], identity: Buffer.alloc(0) } as const
    for (let i = 0; i < 10_002; i++)
      context.zap.ask("domain", "127.0.0.1", request, ({ status }) => void replies.push(status))
    expect(replies).toEqual([300, 300])
    const [, id] = yield* zap.recv
    yield* zap.send(["1.0", id!, "200", "OK", "", ""])
    yield* until(Effect.sync(() => replies.length === 3))
    expect(replies[2]).toBe(200)
  })
)
