/** What the engine owes the rooms above it, where only a look at its port tells: what is left, who comes late, marks. */
import { connect, createServer, Server, type Socket } from "node:net"
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import { Engine, Zmq } from "effect-zmq"
import { vi } from "vitest"
import type { Delivery, EngineSocket, Owner, Source } from "../src/internal/engine.ts"
import { openSocket } from "../src/internal/socket/open.ts"
import { coreOf } from "../src/internal/socket/socket.ts"
import { turn } from "../src/internal/turn.ts"
import { boundTo, freshEndpoint, nextTurn, texts, until, untilDefined } from "./support/sockets.ts"
import { command, frame, greeting, property, ready } from "./support/zmtpSides.ts"

const live = <E>(name: string, run: Effect.Effect<void, E, Scope.Scope>): void =>
  it.live(name, () => run.pipe(Effect.provide(Engine.layerZmtp)))

const turns = (count: number): Effect.Effect<void> => Effect.repeat(nextTurn, { times: count - 1 })

/** A peer over tcp that is played by hand. */
const peer = (endpoint: string, ...bytes: ReadonlyArray<Buffer>): Effect.Effect<Socket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = connect(Number(endpoint.split(":")[2]), "127.0.0.1").on("error", () => {})
      socket.write(Buffer.concat(bytes))
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const closed = (port: EngineSocket, linger: number): Effect.Effect<Delivery> =>
  Effect.callback((resume) => port.close(linger, (delivery) => resume(Effect.succeed(delivery))))

type Told = { -readonly [Name in keyof Owner]: Owner[Name] }
/** Whom a port tells of what comes. */
const ownerOf = (port: EngineSocket): Told =>
  (port as unknown as { readonly notices: { readonly owner: Told } }).notices.owner

const nextOf = (port: EngineSocket): Effect.Effect<Array<string>> =>
  untilDefined(Effect.sync(() => (port.ready > 0 ? texts(port.take()) : undefined)))

live(
  "as much is here of a peer as the high-water mark says, and not one more",
  Effect.gen(function* () {
    const { endpoints, port } = yield* openSocket("pull", { bind: freshEndpoint("tcp"), receiveHighWaterMark: 5 })
    const all = Array.from({ length: 100 }, (_, i) => frame(0, String(i)))
    yield* peer(endpoints[0]!, greeting(), ready("PUSH"), ...all)
    yield* until(Effect.sync(() => port.ready > 0))
    yield* turns(10)
    expect(port.ready).toBe(5)
    for (let i = 0; i < 100; i++) {
      expect(yield* nextOf(port)).toEqual([String(i)])
      expect(port.ready).toBeLessThanOrEqual(5)
    }
  })
)

for (const transport of ["tcp", "inproc"] as const)
  live(
    `what is here, and what still comes, when nobody receives any more is counted (${transport})`,
    Effect.gen(function* () {
      const pull = yield* openSocket("pull", { bind: freshEndpoint(transport), receiveHighWaterMark: 2 })
      const push = yield* Zmq.push({ connect: pull.endpoints[0]!, sendHighWaterMark: 1 })
      // More than there is room for.
      const body = Buffer.alloc(transport === "tcp" ? 2 ** 20 : 1)
      const sends = yield* Effect.forkChild(
        Effect.forEach(Array(50), () => push.send(body), { discard: true }),
        { startImmediately: true }
      )
      yield* until(Effect.sync(() => pull.port.ready >= 2))
      pull.port.dismiss()
      expect(pull.port.ready).toBe(0)
      yield* Fiber.join(sends)
      yield* until(Effect.sync(() => pull.port.left === 50))
    })
  )

live(
  "nobody comes in who comes when nobody receives any more",
  Effect.gen(function* () {
    const { endpoints, port } = yield* openSocket("pull", { bind: freshEndpoint("tcp") })
    port.dismiss()
    const late = yield* peer(endpoints[0]!, greeting(), ready("PUSH"))
    let heard = 0
    late.on("data", ({ length }: Buffer) => {
      heard += length
    })
    yield* Effect.callback<void>((resume) => void late.on("close", () => resume(Effect.void)))
    expect(heard).toBe(0)
    expect(port.peers).toBe(0)
  })
)

live(
  "what a peer that is left has not got within the linger is given up, and told",
  Effect.gen(function* () {
    const nobody = yield* Effect.scoped(Effect.map(Zmq.pull({ bind: freshEndpoint("tcp") }), boundTo))
    const { port } = yield* openSocket("push", { connect: nobody, linger: 1000, reconnectInterval: 3_600_000 })
    expect(port.offer("for nobody")).toBe("sent")
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    try {
      port.disconnect(nobody)
      let ended: Delivery | undefined
      vi.advanceTimersByTime(1000)
      port.close(Number.POSITIVE_INFINITY, (delivery) => {
        ended = delivery
      })
      yield* turns(2)
      expect(ended).toEqual({ inTime: false, unsent: 1 })
    } finally {
      vi.useRealTimers()
    }
  })
)

for (const type of ["router", "rawStream"] as const)
  live(
    `of what was on its way when a peer died each message counts as not sent (${type})`,
    Effect.gen(function* () {
      const { endpoints, port } = yield* openSocket(type, { bind: freshEndpoint("tcp") })
      const other = yield* peer(endpoints[0]!, greeting(), ready("DEALER", property("Identity", "name")))
      yield* until(Effect.sync(() => port.peers === 1))
      const name = type === "router" ? Buffer.from("name") : port.take()[0]
      // One that the kernel does not take, and that waits for no other.
      expect(port.offer([name, Buffer.alloc(64 * 2 ** 20)])).toBe("sent")
      const ended = yield* Effect.forkChild(closed(port, Number.POSITIVE_INFINITY), { startImmediately: true })
      other.resetAndDestroy()
      expect(yield* Fiber.join(ended)).toEqual({ inTime: false, unsent: 1 })
    })
  )

live(
  "a port is asked for with its backlog, and for this process alone",
  Effect.gen(function* () {
    const listen = vi.spyOn(Server.prototype, "listen")
    try {
      for (const transport of ["tcp", "ipc"] as const) yield* Zmq.pull({ bind: freshEndpoint(transport), backlog: 7 })
      expect(listen.mock.calls.map(([options]) => options)).toMatchObject(
        Array(2).fill({ backlog: 7, exclusive: true })
      )
    } finally {
      listen.mockRestore()
    }
  })
)

live(
  "of two that bind a path at nearly the same time one has it, and is reached there",
  Effect.gen(function* () {
    for (let later = 0; later < 12; later++) {
      const bind = freshEndpoint("ipc")
      const both = yield* Effect.all(
        [Effect.exit(Zmq.pull({ bind })), turns(later).pipe(Effect.andThen(Effect.exit(Zmq.pull({ bind }))))],
        { concurrency: 2 }
      )
      expect(both.map(({ _tag }) => _tag).sort()).toEqual(["Failure", "Success"])
      for (const exit of both)
        if (exit._tag === "Success") {
          const push = yield* Zmq.push({ connect: bind, linger: 0 })
          yield* push.send("hello")
          expect(yield* exit.value.recvString).toBe("hello")
        }
    }
  })
)

live(
  "a reply that comes of another than was asked is none, nor is one to a request before",
  Effect.gen(function* () {
    for (const correlate of [false, true]) {
      const routers = yield* Effect.all([1, 2].map(() => Zmq.router({ bind: freshEndpoint("tcp") })))
      const req = yield* Zmq.req({ relaxed: true, correlate, routingId: "asks", linger: 0 })
      for (const router of routers) yield* req.connect(boundTo(router))
      yield* req.awaitPeers(2)
      const { port } = coreOf(req)!
      const ask = (text: string): void => expect(port.offer(text)).toBe("sent")
      ask("first")
      const [one, two] = routers as [Zmq.Router, Zmq.Router]
      const asked = yield* Effect.raceFirst(
        Effect.map(one.recv, (request) => ({ request, by: one, other: two })),
        Effect.map(two.recv, (request) => ({ request, by: two, other: one }))
      )
      ask("second")
      const second = yield* asked.other.recv
      // To the first, which is not asked for any more; by whom it was asked, and by the other.
      yield* asked.by.send([...asked.request.slice(0, -1), "late"] as unknown as Zmq.Message)
      yield* turns(5)
      yield* asked.other.send([...asked.request.slice(0, -1), "not mine"] as unknown as Zmq.Message)
      yield* asked.other.send([...second.slice(0, -1), "right"] as unknown as Zmq.Message)
      const texts = yield* nextOf(port)
      expect(texts).toEqual(correlate ? ["right"] : ["not mine"])
    }
  })
)

live(
  "a socket over inproc keeps nothing of what was sent to it",
  Effect.gen(function* () {
    const pull = yield* openSocket("pull", { bind: freshEndpoint("inproc") })
    const { port } = yield* openSocket("push", { connect: pull.endpoints[0]! })
    const [one, two] = [Buffer.from("one"), Buffer.from("two")]
    port.offer(one)
    port.offer([one, two])
    one.fill("x")
    two.fill("x")
    expect([texts(pull.port.take()), texts(pull.port.take())]).toEqual([["one"], ["one", "two"]])
  })
)

live(
  "types that may not talk do not meet over inproc, and whoever waits for the name is there when another binds it",
  Effect.gen(function* () {
    const at = freshEndpoint("inproc")
    const push = yield* openSocket("push", { connect: at })
    const sub = yield* openSocket("sub", { bind: at, subscribe: "" })
    expect([push.port.peers, sub.port.peers]).toEqual([0, 0])
    sub.port.close(0, () => {})
    const pull = yield* openSocket("pull", { bind: at })
    expect([push.port.peers, pull.port.peers]).toEqual([1, 1])
  })
)

live(
  "a PAIR over inproc that was refused is there when the other leaves",
  Effect.gen(function* () {
    const at = freshEndpoint("inproc")
    const bound = yield* openSocket("pair", { bind: at })
    const first = yield* openSocket("pair", { connect: at })
    const second = yield* openSocket("pair", { connect: at })
    expect([bound, first, second].map(({ port }) => port.peers)).toEqual([1, 1, 0])
    first.port.close(0, () => {})
    yield* until(Effect.sync(() => second.port.peers === 1))
    second.port.offer("hello")
    expect(yield* nextOf(bound.port)).toEqual(["hello"])
  })
)

live(
  "who waits for a name over inproc, and closes, does not wait any more",
  Effect.gen(function* () {
    const at = freshEndpoint("inproc")
    const push = yield* openSocket("push", { connect: at, linger: 0 })
    push.port.close(0, () => {})
    const pull = yield* openSocket("pull", { bind: at })
    expect(pull.port.peers).toBe(0)
  })
)

live(
  "what was sent over inproc before its name is bound comes of one that has closed, within its linger",
  Effect.gen(function* () {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    try {
      for (const passes of [999, 1000]) {
        const at = freshEndpoint("inproc")
        const { port } = yield* openSocket("push", { connect: at })
        port.offer("hello")
        const timers = vi.getTimerCount()
        port.close(1000, () => {})
        expect(vi.getTimerCount()).toBe(timers + 1)
        vi.advanceTimersByTime(passes)
        const pull = yield* openSocket("pull", { bind: at })
        expect(pull.port.ready).toBe(passes < 1000 ? 1 : 0)
        expect(pull.port.peers).toBe(0)
      }
    } finally {
      vi.useRealTimers()
    }
  })
)

live(
  "over inproc there is room for what both marks say together",
  Effect.gen(function* () {
    const pull = yield* openSocket("pull", { bind: freshEndpoint("inproc"), receiveHighWaterMark: 3 })
    const { port } = yield* openSocket("push", { connect: pull.endpoints[0]!, sendHighWaterMark: 4 })
    for (let i = 0; i < 7; i++) expect(port.offer(String(i))).toBe("sent")
    expect(port.offer("7")).toBe("full")
    for (let i = 0; i < 6; i++) pull.port.take()
    expect(port.offer("7")).toBe("sent")
  })
)

live(
  "what an XPUB says to who joins over inproc is said when both know each other",
  Effect.gen(function* () {
    const at = freshEndpoint("inproc")
    const sub = yield* openSocket("sub", { connect: at, subscribe: "" })
    const pub = yield* openSocket("xpub", { bind: at, welcomeMessage: "welcome" })
    expect(yield* nextOf(sub.port)).toEqual(["welcome"])
    pub.port.offer("news")
    expect(yield* nextOf(sub.port)).toEqual(["news"])
  })
)

live(
  "a probe over inproc comes of who has a name already",
  Effect.gen(function* () {
    const bound = yield* openSocket("router", { bind: freshEndpoint("inproc"), routingId: "bound", probeRouter: true })
    const { port } = yield* openSocket("router", { connect: bound.endpoints[0]! })
    expect(yield* nextOf(port)).toEqual(["bound", ""])
  })
)

live(
  "a REP has one request at a time, is told of the next one, and says nothing to who asks it badly",
  Effect.gen(function* () {
    const rep = yield* openSocket("rep", { bind: freshEndpoint("tcp") })
    const { port } = rep
    yield* peer(
      rep.endpoints[0]!,
      greeting(),
      ready("DEALER"),
      // No envelope, nothing behind it, and two that are right.
      frame(0, "no envelope"),
      frame(0, ""),
      Buffer.concat([frame(1, ""), frame(0, "first")]),
      Buffer.concat([frame(1, ""), frame(0, "second")])
    )
    let told = 0
    const listen = Effect.sync(() => {
      const before = told
      const owner = ownerOf(port)
      owner.onMessages = () => void told++
      port.listen()
      return before
    })
    yield* until(Effect.sync(() => port.ready > 0))
    yield* turns(10)
    expect(port.ready).toBe(1)
    expect(port.dropped).toBe(2)
    expect(texts(port.take())).toEqual(["first"])
    expect(port.ready).toBe(0)
    yield* listen
    yield* turns(5)
    expect(told).toBe(0)
    expect(port.offer("reply")).toBe("sent")
    yield* until(Effect.sync(() => told === 1))
    expect(texts(port.take())).toEqual(["second"])
    expect(port.offer("reply")).toBe("sent")
    expect(port.offer("another")).toBe("outOfTurn")
  })
)

live(
  "that a message was dropped is told later, and once for all that were by then",
  Effect.gen(function* () {
    const { endpoints, port } = yield* openSocket("pub", { bind: freshEndpoint("inproc") })
    const xsub = yield* openSocket("xsub", { connect: endpoints[0]! })
    let told = 0
    ownerOf(port).onDropped = () => void told++
    for (let i = 0; i < 3; i++) expect(xsub.port.offer("a PUB receives nothing")).toBe("sent")
    expect([port.dropped, told]).toEqual([3, 0])
    yield* nextTurn
    expect(told).toBe(1)
  })
)

live(
  "who waits for a peer of a ROUTER is told that it has gone",
  Effect.gen(function* () {
    const router = yield* openSocket("router", { bind: freshEndpoint("tcp"), mandatory: true, sendHighWaterMark: 1 })
    const { port } = router
    const dealer = yield* peer(router.endpoints[0]!, greeting(), ready("DEALER", property("Identity", "name")))
    yield* until(Effect.sync(() => port.peers === 1))
    const body = Buffer.alloc(64 * 2 ** 20)
    while (port.offer(["name", body]) === "sent");
    const told: Array<string> = []
    const owner = ownerOf(port)
    owner.onRoom = (lane) => void told.push(lane)
    port.awaitRoom("name")
    yield* turns(5)
    expect(told).toEqual([])
    dealer.resetAndDestroy()
    yield* until(Effect.sync(() => told.length > 0))
    expect(told).toEqual(["name"])
    expect(port.offer(["name", "x"])).toBe("unroutable")
  })
)

it.live("a context has so many sockets at most, and those that are closed do not count", () =>
  Effect.gen(function* () {
    for (let i = 0; i < 5; i++) {
      yield* Effect.scoped(
        Effect.gen(function* () {
          for (let j = 0; j < 2; j++) yield* Zmq.push({ connect: "tcp://127.0.0.1:1", linger: 0 })
          expect(yield* Effect.flip(Zmq.pull({ bind: freshEndpoint("tcp") }))).toMatchObject({
            _tag: "OpenError",
            reason: "TooManySockets"
          })
        })
      )
    }
  }).pipe(Effect.provide(Zmq.Context.layer({ maxSockets: 2 })), Effect.provide(Engine.layerZmtp))
)

live(
  "a reply that nobody has taken is gone with the next question",
  Effect.gen(function* () {
    const rep = yield* Zmq.rep({ bind: freshEndpoint("tcp") })
    const { port } = yield* openSocket("req", { connect: boundTo(rep), relaxed: true, linger: 0 })
    const answered = Effect.flatMap(rep.recv, ([question]) => rep.send(`to ${question}`))
    port.offer("first")
    yield* answered
    yield* until(Effect.sync(() => port.ready === 1))
    port.offer("second")
    expect(port.ready).toBe(0)
    yield* answered
    expect(yield* nextOf(port)).toEqual(["to second"])
    expect(port.ready).toBe(0)
  })
)

live(
  "a relaxed REQ takes nothing of a server that comes again for what it asked the one before",
  Effect.gen(function* () {
    const envelope = Buffer.concat([frame(1, ""), frame(0, "reply")])
    const at = yield* Effect.scoped(Effect.map(Zmq.pull({ bind: freshEndpoint("tcp") }), boundTo))
    const servers: Array<Socket> = []
    const server = createServer((socket) => {
      servers.push(socket.on("error", () => {}).resume())
      socket.write(Buffer.concat([greeting(), ready("ROUTER")]))
    }).listen(Number(at.split(":")[2]), "127.0.0.1")
    yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
    const { port } = yield* openSocket("req", {
      connect: at,
      relaxed: true,
      correlate: false,
      linger: 0,
      reconnectInterval: 10
    })
    yield* until(Effect.sync(() => port.peers === 1))
    port.offer("question")
    servers[0]!.destroy()
    yield* until(Effect.sync(() => port.peers === 1 && servers.length === 2))
    // What it does not bear comes behind it: so we know that it has been read.
    servers[1]!.write(Buffer.concat([envelope, frame(0, "no envelope")]))
    yield* until(Effect.sync(() => servers[1]!.destroyed))
    expect(port.ready).toBe(0)
    for (const socket of servers) socket.destroy()
  })
)

live(
  "an XPUB that receives, and is behind, reads no more subscriptions than it may keep",
  Effect.gen(function* () {
    const { endpoints, port } = yield* openSocket("xpub", { bind: freshEndpoint("tcp") })
    const owner = ownerOf(port)
    owner.onMessages = () => {}
    port.listen()
    const topics = Array.from({ length: 100_500 }, (_, i) => command("SUBSCRIBE", String(i)))
    yield* peer(endpoints[0]!, greeting(), ready("SUB"), ...topics)
    yield* until(Effect.sync(() => port.ready >= 100_000))
    yield* turns(10)
    expect(port.ready).toBe(100_000)
    let taken = 0
    const all = Effect.sync(() => {
      for (; port.ready > 0; taken++) port.take()
      return taken === 100_500
    })
    yield* until(all)
    expect(port.dropped).toBe(0)
  })
)

live(
  "of topics that lie in one another, each message comes once",
  Effect.gen(function* () {
    const pub = yield* openSocket("pub", { bind: freshEndpoint("inproc") })
    const sub = yield* openSocket("sub", { connect: pub.endpoints[0]!, subscribe: ["", "a", "ab"] })
    expect(pub.port.subscribers!.matching(Buffer.from("abc"))).toBe(1)
    for (const text of ["abc", "b"]) pub.port.offer(text)
    expect(sub.port.ready).toBe(2)
  })
)

live(
  "a PAIR has one peer, whichever side the others come from",
  Effect.gen(function* () {
    const pair = yield* openSocket("pair", { bind: freshEndpoint("tcp") })
    const at = pair.endpoints[0]!
    const first = yield* peer(at, greeting(), ready("PAIR"), frame(0, "first"))
    yield* until(Effect.sync(() => pair.port.ready === 1))
    const second = yield* peer(at, greeting(), ready("PAIR"), frame(0, "second"))
    second.resume()
    yield* Effect.callback<void>((resume) => void second.on("close", () => resume(Effect.void)))
    expect([pair.port.peers, pair.port.ready]).toEqual([1, 1])
    first.write(frame(0, "again"))
    expect([yield* nextOf(pair.port), yield* nextOf(pair.port)]).toEqual([["first"], ["again"]])
  })
)

live(
  "what is taken and what is sent counts for the turn, and when it is over the rest waits for the next",
  Effect.gen(function* () {
    const pull = yield* openSocket("pull", { bind: freshEndpoint("inproc"), receiveHighWaterMark: 0 })
    const push = yield* openSocket("push", { connect: pull.endpoints[0]!, sendHighWaterMark: 0 })
    yield* nextTurn
    let sent = 0
    const offered = push.port.offerAll({
      peek: () => (sent < 2000 ? "message" : undefined),
      sent: () => void sent++
    } as unknown as Source)
    expect(sent).toBeLessThanOrEqual(512)
    expect(yield* Effect.promise(() => offered)).toBe("sent")
    expect(sent).toBe(2000)
    yield* turns(2)
    let told = 0
    const owner = ownerOf(pull.port)
    owner.onMessages = () => void told++
    for (let i = 0; i < 600; i++) pull.port.take()
    expect(turn.isOver).toBe(true)
    pull.port.listen()
    for (let i = 0; i < 10; i++) yield* Effect.promise(() => Promise.resolve())
    expect(told).toBe(0)
    yield* until(Effect.sync(() => told === 1))
  })
)
