/** What this engine does about places: paths that are in use or left over, who is let in, who is not there yet. */
import { existsSync, renameSync, rmSync } from "node:fs"
import { connect, createServer, Server } from "node:net"
import { dirname } from "node:path"
import { expect, it } from "@effect/vitest"
import { Effect, Scope, Stream } from "effect"
import { Zmq } from "effect-zmq"
import { vi } from "vitest"
import { openSocket } from "../src/internal/socket/open.ts"
import { Settings } from "../src/internal/zmtp/settings.ts"
import { Listener } from "../src/internal/zmtp/transport/listener.ts"
import { nodeArguments, runCommand } from "./support/child.ts"
import { boundTo, freshEndpoint, openFiles, until } from "./support/sockets.ts"
import { live, type Opened, ownerOf, rude, turns } from "./support/zmtpPort.ts"

const pathOf = (endpoint: string): string => endpoint.slice("ipc://".length)

const reaches = (pull: Zmq.Pull) =>
  Effect.gen(function* () {
    const push = yield* Zmq.push({ connect: boundTo(pull), linger: 0 })
    yield* push.send("hello")
    expect(yield* pull.recvString).toBe("hello")
  })

live(
  "a path that is in use stays with who has it",
  Effect.gen(function* () {
    const bind = freshEndpoint("ipc")
    const pull = yield* Zmq.pull({ bind })
    expect(yield* Effect.flip(Zmq.pull({ bind }))).toMatchObject({ _tag: "BindError", reason: "AddressInUse" })
    yield* reaches(pull)
  })
)

live(
  "of two that bind a path at the same time one has it",
  Effect.gen(function* () {
    const bind = freshEndpoint("ipc")
    const both = yield* Effect.all(
      [1, 2].map(() => Effect.exit(Zmq.pull({ bind }))),
      { concurrency: 2 }
    )
    expect(both.map(({ _tag }) => _tag).sort()).toEqual(["Failure", "Success"])
    for (const exit of both) if (exit._tag === "Success") yield* reaches(exit.value)
  })
)

live(
  "a path that somebody has left behind is in the way of nobody",
  Effect.gen(function* () {
    const bind = freshEndpoint("ipc")
    const path = pathOf(bind)
    yield* Effect.callback<void>((resume) => {
      const server = createServer().listen(path, () => {
        // Node would take it away.
        renameSync(path, `${path}.left`)
        server.close(() => {
          renameSync(`${path}.left`, path)
          resume(Effect.void)
        })
      })
    })
    expect(existsSync(path)).toBe(true)
    yield* reaches(yield* Zmq.pull({ bind }))
  })
)

live(
  "a path is gone when it is unbound, or its socket closes",
  Effect.gen(function* () {
    const bind = freshEndpoint("ipc")
    yield* Effect.scoped(Zmq.pull({ bind }))
    expect(existsSync(pathOf(bind))).toBe(false)
    const pull = yield* Zmq.pull({ bind })
    expect(existsSync(pathOf(bind))).toBe(true)
    yield* pull.unbind(bind)
    expect(existsSync(pathOf(bind))).toBe(false)
  })
)

live(
  "a place that was made for a wildcard is gone when it is unbound",
  Effect.gen(function* () {
    const path = yield* Effect.scoped(
      Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: "ipc://*" })
        const path = pathOf(boundTo(pull))
        expect(existsSync(path)).toBe(true)
        yield* reaches(pull)
        return path
      })
    )
    expect(existsSync(path)).toBe(false)
    yield* until(Effect.sync(() => !existsSync(dirname(path))))
  })
)

live(
  "nor is it left behind when nothing can be bound there",
  Effect.gen(function* () {
    let path = ""
    const listen = vi.spyOn(Server.prototype, "listen").mockImplementation(function (this: Server, options: unknown) {
      path = (options as { readonly path: string }).path
      setImmediate(() => this.emit("error", Object.assign(new Error("too many"), { code: "EMFILE" })))
      return this
    })
    const error = yield* Effect.flip(Zmq.pull({ bind: "ipc://*" }))
    listen.mockRestore()
    expect(error).toMatchObject({ _tag: "BindError", reason: "TooManySockets" })
    yield* until(Effect.sync(() => !existsSync(dirname(path))))
  })
)

it.live("whoever connects, and has to wait for cryptography, is not let in when it is unbound meanwhile", () =>
  Effect.gen(function* () {
    let compiled = (): void => {}
    const waitsFor = new Promise<void>((resolve) => {
      compiled = resolve
    })
    const told: Array<string> = []
    const settings = new (class extends Settings {
      override get waitsFor() {
        return waitsFor
      }
    })("pull", false, -1)
    const listener = new Listener({
      settings,
      tell: ({ _tag }) => void told.push(_tag),
      welcome: () => void told.push("welcome")
    })
    const at = yield* Effect.callback<string>((resume) => {
      listener.listen("tcp://127.0.0.1:*", (_, endpoint) => resume(Effect.succeed(endpoint!)))
    })
    const peer = connect(Number(at.split(":")[2]), "127.0.0.1").on("error", () => {})
    yield* until(Effect.sync(() => told.includes("Accepted")))
    listener.close(() => {})
    compiled()
    yield* Effect.callback<void>((resume) => void peer.on("close", () => resume(Effect.void)).resume())
    expect(told).toEqual(["Listening", "Accepted", "Closed"])
  })
)

live(
  "who is not let in by its address is not",
  Effect.gen(function* () {
    const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), tcpAcceptFilter: ["10.1.2.3/32"] })
    const push = yield* Zmq.push({ connect: boundTo(pull), linger: 0, reconnectInterval: 10 })
    yield* push.events.pipe(Stream.filter(Zmq.SocketEvent.$is("Disconnected")), Stream.take(2), Stream.runDrain)
    expect((yield* pull.status).peers).toBe(0)
  })
)

/** What is told from now on of what becomes of connections. */
const eventsOf = (socket: Opened): Effect.Effect<Array<string>> =>
  Effect.map(turns(2), () => {
    const told: Array<string> = []
    ownerOf(socket).onEvent = ({ _tag }) => void told.push(_tag)
    return told
  })

live(
  "who is not let in by its address is told of, and was never accepted",
  Effect.gen(function* () {
    const pull = yield* openSocket("pull", { bind: freshEndpoint("tcp"), tcpAcceptFilter: ["10.1.2.3/32"] })
    const told = yield* eventsOf(pull)
    const peer = yield* rude(pull, "PUSH")
    yield* Effect.callback<void>((resume) => void peer.once("close", () => resume(Effect.void)))
    yield* until(Effect.sync(() => told.length > 0))
    expect(told).toEqual(["AcceptFailed"])
  })
)

live(
  "a bind that fails is told of, and so is the end of one that did not",
  Effect.gen(function* () {
    const pull = yield* openSocket("pull", { bind: freshEndpoint("tcp") })
    const at = pull.endpoints[0]!
    const told = yield* eventsOf(pull)
    const error = yield* Effect.callback<unknown>((resume) => {
      pull.port.bind(at, (error) => resume(Effect.succeed(error)))
    })
    expect(error).toMatchObject({ code: "EADDRINUSE" })
    yield* turns(2)
    expect(told).toEqual(["BindFailed"])
    pull.port.unbind(at, () => {})
    yield* turns(2)
    expect(told).toEqual(["BindFailed", "Closed"])
  })
)

live(
  "a path that somebody is about to bind is in use, and free when that was given up",
  Effect.gen(function* () {
    const [one, other] = yield* Effect.all([openSocket("pull", {}), openSocket("pull", {})])
    const at = freshEndpoint("ipc")
    const giveUp = one.port.bind(at, () => {})
    const codes: Array<unknown> = []
    other.port.bind(at, (error) => void codes.push((error as { readonly code: string }).code))
    expect(codes).toEqual(["EADDRINUSE"])
    giveUp()
    const error = yield* Effect.callback<unknown>((resume) => {
      other.port.bind(at, (error) => resume(Effect.succeed(error)))
    })
    expect(error).toBeUndefined()
  })
)

live(
  "a path without a folder is told of as such",
  Effect.gen(function* () {
    const { port } = yield* openSocket("pull", {})
    const error = yield* Effect.callback<unknown>((resume) => {
      port.bind("ipc:///no/such/folder/name", (error) => resume(Effect.succeed(error)))
    })
    expect(error).toMatchObject({ code: "ENOENT" })
  })
)

live(
  "with immediate nothing is sent to who is not there",
  Effect.gen(function* () {
    const connect = yield* Effect.scoped(Effect.map(Zmq.pull({ bind: freshEndpoint("tcp") }), boundTo))
    const push = yield* Zmq.push({ connect, immediate: true, linger: 0 })
    expect(yield* push.trySend("nobody")).toBe(false)
    const pull = yield* Zmq.pull({ bind: connect })
    yield* push.send("somebody")
    expect(yield* pull.recvString).toBe("somebody")
  })
)

for (const transport of ["tcp", "inproc"] as const)
  live(
    `what is sent before anybody is there is what it was when it was sent (${transport})`,
    Effect.gen(function* () {
      const connect = yield* Effect.scoped(Effect.map(Zmq.pull({ bind: freshEndpoint(transport) }), boundTo))
      const push = yield* Zmq.push({ connect, linger: 0 })
      const one = Buffer.from("one")
      const two = Buffer.from("two")
      yield* push.send(one)
      yield* push.send([one, two])
      one.fill("x")
      two.fill("x")
      const pull = yield* Zmq.pull({ bind: connect })
      expect(String(yield* pull.recvString)).toBe("one")
      expect((yield* pull.recv).map(String)).toEqual(["one", "two"])
    })
  )

it.live(
  "without file descriptors nothing is bound, nobody loses a path, and connections come when there are some",
  () =>
    Effect.gen(function* () {
      const node = [process.execPath, ...nodeArguments("zmtpDescriptors.ts")]
      const { stdout, ...ended } = yield* runCommand("/bin/sh", ["-c", 'ulimit -n 200 && exec "$@"', "sh", ...node])
      expect(ended).toEqual({ code: 0, signal: null, stderr: "" })
      expect(stdout.split("\n")).toEqual([
        "tcp TooManySockets TooManySockets hello",
        "ipc TooManySockets TooManySockets hello",
        "done",
        ""
      ])
    })
)

live(
  "a path that is taken away from who listens there may be bound by another, who keeps it when the first closes",
  Effect.gen(function* () {
    const bind = freshEndpoint("ipc")
    const outer = yield* Effect.scope
    const second = yield* Effect.scoped(
      Effect.gen(function* () {
        const first = yield* Zmq.pull({ bind })
        const there = yield* Zmq.push({ connect: bind, linger: 0 })
        yield* there.awaitConnected
        rmSync(pathOf(bind))
        const second = yield* Scope.provide(Zmq.pull({ bind }), outer)
        // Who was there stays.
        yield* there.send("hello")
        expect(yield* first.recvString).toBe("hello")
        return second
      })
    )
    yield* reaches(second)
  })
)

live(
  "contexts, and sockets in them, leave nothing behind: 1,000 of them",
  Effect.gen(function* () {
    const one = Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp") })
      yield* reaches(pull)
    }).pipe(Effect.scoped, Effect.provide(Zmq.Context.layer(), { local: true }))
    const handles = (): number =>
      process.getActiveResourcesInfo().filter((name) => /TCP|Pipe|Timeout/.test(name)).length
    yield* one
    const files = openFiles()
    const before = handles()
    for (let i = 0; i < 1000; i++) yield* one
    yield* until(Effect.sync(() => openFiles() <= files && handles() <= before))
  })
)
