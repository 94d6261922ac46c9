/** What a port says of where it is bound and connected, and what becomes of what is under way. */
import { existsSync } from "node:fs"
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"
import { expect } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import { vi } from "vitest"
import type { EngineSocket } from "../src/internal/engine.ts"
import { openSocket } from "../src/internal/socket/open.ts"
import { freshEndpoint, nextTurn, pause, until } from "./support/sockets.ts"
import { all, closed, live, next, ownerOf, rude, turns } from "./support/zmtpPort.ts"
import { frame, greeting, ready } from "./support/zmtpSides.ts"

/** How it ended, if it is done at once. */
const ended = (run: (done: (error: unknown) => void) => void): string => {
  let code = "later"
  run((error) => {
    code = error === undefined ? "done" : (error as { readonly code: string }).code
  })
  return code
}
const binds = (port: EngineSocket, at: string): string => ended((done) => void port.bind(at, done))
const unbinds = (port: EngineSocket, at: string): string => ended((done) => port.unbind(at, done))

live(
  "who has not shaken hands is not at a place yet",
  Effect.gen(function* () {
    const pull = yield* openSocket("pull", { bind: freshEndpoint("tcp") })
    const at = pull.endpoints[0]!
    let accepted = 0
    ownerOf(pull).onEvent = ({ _tag }) => {
      if (_tag === "Accepted") accepted++
    }
    const silent = connect(Number(at.split(":")[2]), "127.0.0.1").on("error", () => {})
    silent.write(greeting())
    yield* until(Effect.sync(() => accepted === 1))
    yield* rude(pull, "PUSH")
    yield* until(Effect.sync(() => pull.port.peers === 1))
    expect([accepted, pull.port.peersAt(at)]).toEqual([2, 1])
    silent.destroy()
  })
)

live(
  "peers over inproc are at the place where they came in, and gone when it is unbound",
  Effect.gen(function* () {
    const places = [freshEndpoint("inproc"), freshEndpoint("inproc")] as const
    const pull = yield* openSocket("pull", { bind: places })
    const [one, two] = yield* Effect.all([
      openSocket("push", { connect: places[0] }),
      openSocket("push", { connect: places })
    ])
    expect(places.map((at) => pull.port.peersAt(at))).toEqual([2, 1])
    expect([one, two].map(({ port }) => port.isConnected(places[0]))).toEqual([true, true])
    expect(unbinds(pull.port, places[0])).toBe("done")
    expect(places.map((at) => pull.port.peersAt(at) ?? 0)).toEqual([0, 1])
    expect([one, two].map(({ port }) => port.isConnected(places[0]))).toEqual([false, false])
    expect([pull, one, two].map(({ port }) => port.peers)).toEqual([1, 0, 1])
  })
)

live(
  "a name is bound once, and stays with who has it",
  Effect.gen(function* () {
    const at = freshEndpoint("inproc")
    const pull = yield* openSocket("pull", { bind: at })
    const other = yield* openSocket("pull", {})
    expect([binds(pull.port, at), binds(other.port, at)]).toEqual(["EADDRINUSE", "EADDRINUSE"])
    expect(unbinds(other.port, at)).toBe("ENOENT")
    const push = yield* openSocket("push", { connect: at })
    push.port.offer("hello")
    expect([pull.port.peersAt(at), all(pull), all(other)]).toEqual([1, [["hello"]], []])
    expect([unbinds(pull.port, at), unbinds(pull.port, at), binds(other.port, at)]).toEqual(["done", "ENOENT", "done"])
    expect([pull, other].map(({ port }) => port.peers)).toEqual([0, 1])
  })
)

live(
  "what is not connected cannot be disconnected, and a place is connected to once",
  Effect.gen(function* () {
    const at = freshEndpoint("inproc")
    const pull = yield* openSocket("pull", { bind: at })
    const { port } = yield* openSocket("push", { connect: at })
    port.connect(at, () => {})
    expect(pull.port.peers).toBe(1)
    port.disconnect(at)
    expect(() => port.disconnect(at)).toThrow(/not connected/)
    expect([pull.port.peers, port.isConnected(at)]).toEqual([0, false])
    port.connect(at, () => {})
    expect([pull.port.peers, port.isConnected(at)]).toEqual([1, true])
  })
)

live(
  "other transports are refused",
  Effect.gen(function* () {
    const { port } = yield* openSocket("sub", { subscribe: "" })
    for (const at of ["udp://127.0.0.1:5555", "pgm://127.0.0.1:5555", "ws://127.0.0.1:5555"]) {
      expect(binds(port, at)).toBe("EPROTONOSUPPORT")
      expect(ended((done) => void port.connect(at, done))).toBe("EPROTONOSUPPORT")
    }
  })
)

live(
  "what may have come is looked for at once over inproc, and a moment later over a network",
  Effect.gen(function* () {
    const looks = ({ port }: { readonly port: EngineSocket }) => ended((done) => port.look(1, () => done(undefined)))
    const bound = yield* openSocket("pull", { bind: freshEndpoint("tcp") })
    const connected = yield* openSocket("push", { connect: bound.endpoints[0]! })
    const local = yield* openSocket("pull", { bind: freshEndpoint("inproc"), connect: freshEndpoint("inproc") })
    expect([bound, connected, local].map(looks)).toEqual(["later", "later", "done"])
    expect(looks(yield* openSocket("pull", { bind: [freshEndpoint("inproc"), freshEndpoint("tcp")] }))).toBe("later")
  })
)

for (const end of ["given up", "dismissed"] as const)
  live(
    `a bind that is ${end} has never been`,
    Effect.gen(function* () {
      const { port } = yield* openSocket("pull", {})
      const at = freshEndpoint("ipc")
      let done = 0
      const giveUp = port.bind(at, () => void done++)
      if (end === "given up") giveUp()
      else port.dismiss()
      // Long enough that it would be there.
      const other = yield* openSocket("pull", { bind: freshEndpoint("ipc") })
      yield* turns(50)
      expect([done, existsSync(at.slice("ipc://".length))]).toEqual([0, false])
      expect(unbinds(port, at)).toBe("ENOENT")
      expect(other.port.peers).toBe(0)
    })
  )

live(
  "a place is bound until it closes, though nobody receives any more",
  Effect.gen(function* () {
    const pull = yield* openSocket("pull", { bind: freshEndpoint("tcp") })
    const told: Array<string> = []
    ownerOf(pull).onEvent = ({ _tag }) => void told.push(_tag)
    pull.port.dismiss()
    yield* turns(5)
    expect(told).not.toContain("Closed")
    const server = createServer()
    const code = yield* Effect.callback<string>((resume) => {
      server.once("error", ({ code }: NodeJS.ErrnoException) => resume(Effect.succeed(code ?? "")))
      server.listen(Number(pull.endpoints[0]!.split(":")[2]), "127.0.0.1", () => resume(Effect.succeed("free")))
    })
    server.close()
    expect(code).toBe("EADDRINUSE")
  })
)

live(
  "who is left has what was sent to it, over inproc and over tcp",
  Effect.gen(function* () {
    for (const transport of ["inproc", "tcp"] as const) {
      const pull = yield* openSocket("pull", { bind: freshEndpoint(transport) })
      const at = pull.endpoints[0]!
      const push = yield* openSocket("push", { connect: at })
      yield* until(Effect.sync(() => push.port.peers === 1))
      for (const text of ["1", "2"]) push.port.offer(text)
      push.port.disconnect(at)
      expect([push.port.peers, push.port.offer("3")]).toEqual([0, "full"])
      expect([yield* next(pull), yield* next(pull)]).toEqual([["1"], ["2"]])
      yield* until(Effect.sync(() => pull.port.peers === 0))
    }
  })
)

live(
  "a name that is free is for the next to bind, whatever the one before does yet",
  Effect.gen(function* () {
    const at = freshEndpoint("inproc")
    const first = yield* openSocket("pull", { bind: at })
    const push = yield* openSocket("push", { connect: at })
    first.port.dismiss()
    const second = yield* openSocket("pull", { bind: at })
    expect([first, second].map(({ port }) => port.peers)).toEqual([1, 0])
    unbinds(first.port, at)
    expect([first, second].map(({ port }) => port.peers)).toEqual([0, 1])
    push.port.offer("hello")
    const other = yield* openSocket("push", { connect: at })
    other.port.offer("hello")
    expect(all(second).length).toBe(2)
  })
)

live(
  "a host that there is not is not connected to",
  Effect.gen(function* () {
    const { port } = yield* openSocket("push", {})
    const at = "tcp://no-such-host.invalid:5555"
    const error = yield* Effect.callback<unknown>((resume) => {
      port.connect(at, (error) => resume(Effect.succeed(error)))
    })
    expect(error).toBeInstanceOf(Error)
    expect(() => port.disconnect(at)).toThrow(/not connected/)
  })
)

/** A server that says what it likes to the first that comes, to the second, and so on. */
const server = (
  ...greets: ReadonlyArray<(socket: Socket) => void>
): Effect.Effect<{ readonly at: string; readonly came: Array<Socket> }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const came: Array<Socket> = []
    const server: Server = createServer((socket) => {
      came.push(socket.on("error", () => {}))
      greets[came.length - 1]?.(socket)
    })
    yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        server.close()
        for (const socket of came) socket.destroy()
      })
    )
    return { at: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`, came }
  })
const asPull = (socket: Socket): void => void socket.write(Buffer.concat([greeting(), ready("PULL")]))

live(
  "what a socket that closes has sent finds its way when the connection is made again",
  Effect.gen(function* () {
    let heard = Buffer.alloc(0)
    const { at, came } = yield* server(
      () => {},
      (socket) => {
        asPull(socket)
        socket.on("data", (bytes) => {
          heard = Buffer.concat([heard, bytes])
        })
      }
    )
    const { port } = yield* openSocket("push", { connect: at, reconnectInterval: 10 })
    port.offer("hello")
    yield* until(Effect.sync(() => came.length === 1))
    const delivery = yield* Effect.forkChild(closed({ port }, Number.POSITIVE_INFINITY), { startImmediately: true })
    came[0]!.destroy()
    yield* until(Effect.sync(() => heard.includes(frame(0, "hello"))))
    expect(yield* Fiber.join(delivery)).toEqual({ inTime: true, unsent: 0 })
  })
)

live(
  "a socket that closes does not come again to who has all, while others have not",
  Effect.gen(function* () {
    const { at, came } = yield* server(asPull)
    const nobody = yield* Effect.scoped(Effect.map(server(), ({ at }) => at))
    const { port } = yield* openSocket("push", { connect: at, reconnectInterval: 1 })
    yield* until(Effect.sync(() => port.peers === 1))
    port.connect(nobody, () => {})
    for (const text of ["1", "2"]) port.offer(text)
    port.close(3_600_000, () => {})
    yield* Effect.callback<void>((resume) => void came[0]!.resume().on("close", () => resume(Effect.void)))
    yield* pause(50)
    expect(came.length).toBe(1)
    port.close(0, () => {})
  })
)

live(
  "what one that was left has not got counts as not sent at the close",
  Effect.gen(function* () {
    const nobody = yield* Effect.scoped(Effect.map(server(), ({ at }) => at))
    for (const at of [nobody, freshEndpoint("inproc")]) {
      const { port } = yield* openSocket("push", { connect: at, linger: Number.POSITIVE_INFINITY })
      port.offer("hello")
      port.disconnect(at)
      const delivery = yield* Effect.callback((resume) => port.close(0, (it) => resume(Effect.succeed(it))))
      expect(delivery).toEqual({ inTime: true, unsent: at === nobody ? 1 : 0 })
    }
  })
)

for (const end of ["disconnected", "closed"] as const)
  live(
    `who is ${end}, and has nothing for anybody, tries no more, and leaves no timer behind`,
    Effect.gen(function* () {
      const nobody = yield* Effect.scoped(Effect.map(server(), ({ at }) => at))
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
      try {
        const push = yield* openSocket("push", { connect: nobody, linger: 1000 })
        let retries = 0
        ownerOf(push).onEvent = ({ _tag }) => {
          if (_tag === "ConnectRetried") retries++
        }
        while (retries === 0) yield* nextTurn
        const timers = vi.getTimerCount()
        if (end === "disconnected") push.port.disconnect(nobody)
        else push.port.close(1000, () => {})
        expect(vi.getTimerCount()).toBe(timers - 1)
      } finally {
        vi.useRealTimers()
      }
    })
  )

live(
  "a close that is over before its linger leaves no timer behind",
  Effect.gen(function* () {
    const { at } = yield* server((socket) => asPull(socket.resume()))
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    try {
      const { port } = yield* openSocket("push", { connect: at })
      while (port.peers === 0) yield* nextTurn
      const timers = vi.getTimerCount()
      port.offer(Buffer.alloc(2 ** 24))
      const delivery = yield* Effect.callback((resume) => {
        port.close(3_600_000, (it) => resume(Effect.succeed(it)))
        expect(vi.getTimerCount()).toBe(timers + 1)
      })
      expect(delivery).toEqual({ inTime: true, unsent: 0 })
      while (vi.getTimerCount() > timers) yield* nextTurn
    } finally {
      vi.useRealTimers()
    }
  })
)

live(
  "a close that takes longer than its linger ends, and says how much was not sent",
  Effect.gen(function* () {
    const { at } = yield* server((socket) => asPull(socket.pause()))
    const { port } = yield* openSocket("push", { connect: at })
    yield* until(Effect.sync(() => port.peers === 1))
    for (let i = 0; i < 3; i++) port.offer(Buffer.alloc(2 ** 26))
    const delivery = yield* closed({ port }, 20)
    expect(delivery.inTime).toBe(false)
    expect(delivery.unsent).toBeGreaterThan(0)
  })
)

live(
  "who is in the middle of a handshake is let go when a socket closes",
  Effect.gen(function* () {
    const pull = yield* openSocket("pull", { bind: freshEndpoint("tcp") })
    const peer = connect(Number(pull.endpoints[0]!.split(":")[2]), "127.0.0.1").on("error", () => {})
    // What it is greeted with.
    yield* Effect.callback<void>((resume) => void peer.once("data", () => resume(Effect.void)))
    pull.port.close(0, () => {})
    yield* Effect.callback<void>((resume) => void peer.resume().once("close", () => resume(Effect.void)))
  })
)

live(
  "a PAIR that has connected does not try to connect to another",
  Effect.gen(function* () {
    const [first, second] = yield* Effect.all([server(), server()])
    yield* openSocket("pair", { connect: [first.at, second.at] })
    yield* until(Effect.sync(() => first.came.length === 1))
    yield* turns(20)
    expect(second.came.length).toBe(0)
  })
)
