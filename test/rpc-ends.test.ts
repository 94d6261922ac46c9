/** Servers and clients that end, are lost, stop to answer, and come back. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Deferred, type Duration, Effect, Exit, Fiber, Logger, Schedule, Stream } from "effect"
import { RpcClient, RpcClientError } from "effect/rpc"
import { Zmq } from "effect-zmq"
import * as Rpc from "effect-zmq/Rpc"
import { runScript } from "./support/child.ts"
import { Seen } from "./support/rpc/api.ts"
import { startProcess } from "./support/rpc/processes.ts"
import { clientOf, serializations, serve, startClient, startServer } from "./support/rpc/transports.ts"
import { Work } from "./support/rpc/work.ts"
import { freshEndpoint, pause, transports, until, whenFree } from "./support/sockets.ts"

const ndjson = Effect.provide(serializations.ndjson)

/** Our error in that of the client of RPC. */
const reasonOf = <A, E>(exit: Exit.Exit<A, E>): string => {
  if (Exit.isSuccess(exit)) return "value"
  const error = Cause.squash(exit.cause) as RpcClientError.RpcClientError
  if (error._tag !== "RpcClientError") return `${error}`
  const ours = Rpc.connectionErrorOf(error)
  return ours === undefined ? `${error}` : `${error.reason._tag} ${ours.reason}`
}

const workClient = (options: Rpc.ClientOptions) =>
  Effect.flatMap(Rpc.makeProtocolClient(options), (protocol) =>
    RpcClient.make(Work).pipe(Effect.provideService(RpcClient.Protocol, protocol))
  )

const freePort = Effect.scoped(
  Effect.map(Zmq.router({ bind: "tcp://127.0.0.1:*" }), ({ endpoints: [endpoint] }) => endpoint!)
)

describe("a server that ends", () => {
  for (const transport of transports) {
    it.live(`ends the calls that it has, each with a typed error: over ${transport}`, () =>
      Effect.gen(function* () {
        const endpoint = transport === "tcp" ? yield* freePort : freshEndpoint(transport)
        const open = whenFree(Rpc.makeProtocolServer({ bind: endpoint }))
        const bound = yield* Deferred.make<void>()
        const first = yield* Deferred.make<void>()
        const seen = Seen.make()
        const server = yield* Effect.forkChild(
          Effect.scoped(
            Effect.gen(function* () {
              const { protocol } = yield* open
              yield* Deferred.succeed(bound, undefined)
              yield* serve(protocol, seen)
              yield* Deferred.await(first)
            })
          )
        )
        yield* Deferred.await(bound)
        const client = yield* startClient({ connect: endpoint, retryPolicy: Schedule.spaced("20 millis") })
        const call = yield* Effect.forkChild(Effect.exit(client.forever({ name: "a" })))
        const stream = yield* Effect.forkChild(Effect.exit(Stream.runDrain(client.ticks({ name: "b" }))))
        yield* until(Effect.sync(() => seen.running.size === 2))
        yield* Deferred.succeed(first, undefined)
        // A server that ends interrupts what it runs, and says so.
        const exits: ReadonlyArray<Exit.Exit<unknown, unknown>> = [yield* Fiber.join(call), yield* Fiber.join(stream)]
        for (const exit of exits) expect(Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)).toBe(true)
        yield* Fiber.join(server)
        // Nobody is there: that is known, and said.
        yield* until(
          Effect.map(Effect.exit(client.get({ id: 1 })), (exit) => /Closing|Unreachable/.test(reasonOf(exit)))
        )
        // One that comes back is found.
        const { protocol } = yield* open
        yield* serve(protocol, seen)
        yield* until(Effect.map(Effect.exit(client.get({ id: 1 })), Exit.isSuccess))
      }).pipe(Effect.scoped, ndjson)
    )
  }

  it.live("is not there, which is a timeout only where nothing else is known", () =>
    Effect.gen(function* () {
      const asking = (connect: string, openTimeout: Duration.Input) =>
        Effect.gen(function* () {
          const client = yield* startClient({ connect, openTimeout })
          const error = yield* Effect.flip(client.get({ id: 1 }))
          if (error._tag !== "RpcClientError" || error.reason._tag !== "SocketOpenError") return error
          const ours = Rpc.connectionErrorOf(error)
          return [error.reason.kind, ours?.reason, ours?.endpoint]
        })
      const nobody = yield* freePort
      expect(yield* asking(nobody, "1 minute")).toEqual(["Unknown", "Unreachable", nobody])
      const {
        endpoints: [silent = ""]
      } = yield* Zmq.router({ bind: "tcp://127.0.0.1:*" })
      expect(yield* asking(silent, "100 millis")).toEqual(["Timeout", "Unreachable", silent])
      // An error that is not about a connection.
      const reason = new RpcClientError.RpcClientDefect({ message: "", cause: new Error("a defect") })
      expect(Rpc.connectionErrorOf(new RpcClientError.RpcClientError({ reason }))).toBe(undefined)
    }).pipe(Effect.scoped, ndjson)
  )

  it.live("is waited for, where calls are to wait", () =>
    Effect.gen(function* () {
      const endpoint = yield* freePort
      const client = yield* startClient({
        connect: endpoint,
        whileDisconnected: "wait",
        retryPolicy: Schedule.spaced("20 millis")
      })
      const failing = yield* startClient({ connect: endpoint })
      const call = yield* Effect.forkChild(client.get({ id: 1 }))
      expect(reasonOf(yield* Effect.exit(failing.get({ id: 1 })))).toBe("SocketOpenError Unreachable")
      // One that is given up while it waits is never sent.
      const given = yield* Effect.forkChild(client.forever({ name: "given up" }))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(given)
      expect(call.pollUnsafe()).toBe(undefined)
      const server = yield* whenFree(startServer({ bind: endpoint }))
      expect(yield* Fiber.join(call)).toBe("ann")
      expect(server.state.stats.calls).toBe(0)
      expect([...server.seen.running]).toEqual([])
    }).pipe(Effect.scoped, ndjson)
  )

  it.live("has delivered what it answered before that", () =>
    Effect.gen(function* () {
      const endpoint = freshEndpoint("tcp")
      for (let round = 0; round < 10; round++) {
        const answered: Array<number> = []
        const ends = yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* Effect.forkChild(
              Effect.scoped(
                Effect.gen(function* () {
                  // Answers by hand, and hangs up.
                  const router = yield* Zmq.router({ bind: endpoint, sendHighWaterMark: 0 })
                  yield* Deferred.succeed(bound, router.endpoints[0]!)
                  while (answered.length < 200) {
                    const [peer, frame] = (yield* router.recv) as unknown as [Buffer, Buffer]
                    if (frame[0] === 0) {
                      yield* router.send([peer, "\0W"])
                      continue
                    }
                    // Those that waited for it to open may come together.
                    for (const line of frame
                      .toString()
                      .trim()
                      .split("\n")
                      .slice(0, 200 - answered.length)) {
                      const { id } = JSON.parse(line) as { readonly id: number }
                      answered.push(id)
                      const exit = { _tag: "Success", value: `${id}` }
                      yield* router.send([peer, `${JSON.stringify({ _tag: "Exit", requestId: id, exit })}\n`])
                    }
                  }
                })
              )
            )
            const bound = yield* Deferred.make<string>()
            yield* Effect.yieldNow
            const client = yield* startClient({ connect: yield* Deferred.await(bound) })
            const exits = yield* Effect.forEach(
              Array.from({ length: 300 }, () => Effect.exit(client.get({ id: 1 }))),
              (call) => call,
              { concurrency: "unbounded" }
            )
            yield* Fiber.join(server)
            return exits
          })
        )
        expect(answered.length).toBe(200)
        expect(ends.filter(Exit.isSuccess).length).toBe(200)
        expect(new Set(ends.filter(Exit.isFailure).map(reasonOf))).toEqual(new Set(["SocketReadError Lost"]))
      }
    }).pipe(Effect.scoped, ndjson)
  )
})

describe("a process that is killed", () => {
  for (const transport of ["tcp", "ipc"] as const) {
    it.live(`is missed within a second, on both sides: over ${transport}`, () =>
      Effect.gen(function* () {
        const endpoint = transport === "tcp" ? yield* freePort : freshEndpoint(transport)
        // A server that dies.
        const process = yield* startProcess("serverProcess.ts", endpoint, "bind", "first")
        yield* process.said(`bound ${endpoint}`)
        const client = yield* workClient({ connect: endpoint, retryPolicy: Schedule.spaced("20 millis") })
        const call = yield* Effect.forkChild(Effect.exit(client.hang({ id: "1" })))
        yield* process.said("hang 1")
        let since = performance.now()
        yield* process.kill("SIGKILL")
        expect(reasonOf(yield* Fiber.join(call))).toBe("SocketReadError Lost")
        expect(performance.now() - since).toBeLessThan(1000)
        // What was failed is not executed by the next one.
        yield* process.ended
        const failed = yield* Effect.exit(client.run({ id: "2" }))
        expect(Exit.isFailure(failed)).toBe(true)
        const next = yield* startProcess("serverProcess.ts", endpoint, "bind", "second")
        yield* until(Effect.map(Effect.exit(client.name()), (exit) => Exit.isSuccess(exit) && exit.value === "second"))
        expect(yield* client.run({ id: "3" })).toBe("second")
        yield* next.said("run 3")
        expect(next.lines.filter((line) => /^(run|hang) /.test(line))).toEqual(["run 3"])

        // A client that dies.
        const server = yield* startServer({ bind: freshEndpoint(transport) })
        const dying = yield* startProcess("clientProcess.ts", server.endpoints[0]!, "theirs")
        yield* until(Effect.sync(() => server.seen.running.has("theirs")))
        since = performance.now()
        yield* dying.kill("SIGKILL")
        yield* until(Effect.sync(() => server.seen.interrupted.includes("theirs")))
        expect(performance.now() - since).toBeLessThan(1000)
        expect(server.state.stats).toEqual({ clients: 0, calls: 0, pending: 0, ended: 0 })
      }).pipe(Effect.scoped, ndjson)
    )
  }
})

describe("a process that is stopped", () => {
  it.live("is silent for as long as a ping may take, and no longer: a server", () =>
    Effect.gen(function* () {
      const endpoint = yield* freePort
      const process = yield* startProcess("serverProcess.ts", endpoint, "bind", "one")
      yield* process.said(`bound ${endpoint}`)
      const client = yield* workClient({ connect: endpoint, pingInterval: "300 millis", pingTimeout: "500 millis" })
      const call = yield* Effect.forkChild(Effect.exit(client.hang({ id: "1" })))
      yield* process.said("hang 1")
      // Longer than all of it: who answers pings is there.
      yield* pause(1500)
      expect(call.pollUnsafe()).toBe(undefined)
      yield* process.kill("SIGSTOP")
      expect(reasonOf(yield* Fiber.join(call))).toBe("SocketReadError Silent")
      yield* process.kill("SIGCONT")
      yield* until(Effect.map(Effect.exit(client.name()), Exit.isSuccess))
      // And one whose event loop is blocked.
      const blocked = yield* Effect.exit(client.block({ millis: 3000 }))
      expect(reasonOf(blocked)).toBe("SocketReadError Silent")
    }).pipe(Effect.scoped, ndjson)
  )

  it.live("is silent for as long as it has said it may be: a client", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ bind: freshEndpoint("ipc") })
      const stopped = yield* startProcess("clientProcess.ts", server.endpoints[0]!, "theirs")
      yield* until(Effect.sync(() => server.seen.running.has("theirs")))
      yield* pause(1500)
      expect(server.state.stats.clients).toBe(1)
      yield* stopped.kill("SIGSTOP")
      yield* until(Effect.sync(() => server.seen.interrupted.includes("theirs")))
      expect(server.state.stats).toEqual({ clients: 0, calls: 0, pending: 0, ended: 1 })
    }).pipe(Effect.scoped, ndjson)
  )
})

describe("a client that has closed", () => {
  for (const transport of transports) {
    it.live(`keeps no process alive, whatever became of its connections: over ${transport}`, () =>
      Effect.gen(function* () {
        const endpoint = transport === "tcp" ? yield* freePort : freshEndpoint(transport)
        expect(yield* runScript("rpc/leavingProcess.ts", endpoint)).toMatchObject({
          code: 0,
          stdout: expect.stringContaining("closed")
        })
      })
    )
  }
})

describe("a client whose server is down", () => {
  for (const transport of transports) {
    it.live(
      `is no warning, however often it tries, and when it closes, nor a server without its broker: over ${transport}`,
      () =>
        Effect.gen(function* () {
          const endpoint = transport === "tcp" ? yield* freePort : freshEndpoint(transport)
          const warnings: Array<unknown> = []
          const logger = Logger.make(({ logLevel, message }) => {
            if (logLevel === "Warn") warnings.push(message)
          })
          yield* Effect.scoped(
            Effect.gen(function* () {
              const options = { openTimeout: "100 millis", retryPolicy: Schedule.spaced("5 millis") } as const
              const client = yield* startClient({ connect: endpoint, ...options })
              const fails = until(Effect.map(Effect.exit(client.get({ id: 1 })), Exit.isFailure))
              yield* Effect.scoped(
                Effect.andThen(
                  startServer({ bind: endpoint }),
                  until(Effect.map(Effect.exit(client.get({ id: 1 })), Exit.isSuccess))
                )
              )
              yield* fails
              let tries = 0
              const counting = Schedule.spaced("5 millis").pipe(Schedule.tap(() => Effect.sync(() => tries++)))
              yield* startClient({ ...options, connect: endpoint, retryPolicy: counting })
              yield* startServer({ connect: endpoint })
              yield* until(Effect.sync(() => tries >= 5))
            })
          ).pipe(Effect.provide(Logger.layer([logger])))
          expect(warnings).toEqual([])
        }).pipe(ndjson)
    )
  }
})

describe("several servers", () => {
  it.live("share the calls of a client, and each keeps its streams", () =>
    Effect.gen(function* () {
      const servers = yield* Effect.all(
        (["tcp", "ipc", "inproc"] as const).map((transport) => startServer({ bind: freshEndpoint(transport) }))
      )
      const endpoints = servers.flatMap((server) => server.endpoints)
      const client = yield* startClient({ connect: endpoints })
      yield* until(
        Effect.andThen(
          client.get({ id: 1 }),
          Effect.sync(() => servers.every(({ state }) => state.stats.clients === 1))
        )
      )
      const streams = yield* Effect.forEach(
        Array.from({ length: 9 }, () => Stream.runCollect(client.count({ to: 1000 }))),
        (stream) => stream,
        { concurrency: "unbounded" }
      )
      for (const stream of streams) expect(stream).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1))
      const calls = yield* Effect.all(
        Array.from({ length: 9 }, (_, i) => Effect.forkChild(Effect.exit(client.forever({ name: `${i}` }))))
      )
      yield* until(Effect.sync(() => servers.every(({ seen }) => seen.running.size === 3)))
      // Interruptions go to whoever has the call.
      for (const call of calls) yield* Fiber.interrupt(call)
      yield* until(Effect.sync(() => servers.every(({ seen }) => seen.running.size === 0)))
      for (const { seen } of servers) expect(seen.interrupted.length).toBe(3)
    }).pipe(Effect.scoped, ndjson)
  )

  it.live("go on without the one that is gone", () =>
    Effect.gen(function* () {
      const other = yield* startServer({ bind: freshEndpoint("inproc") })
      const stop = yield* Deferred.make<void>()
      const started = yield* Deferred.make<ReadonlyArray<string>>()
      yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            const { endpoint } = yield* Rpc.makeProtocolServer({ bind: freshEndpoint("tcp") })
            yield* Deferred.succeed(started, endpoint.endpoints)
            yield* Deferred.await(stop)
          })
        )
      )
      // It never serves: a call waits there, and does not hold up the rest.
      const client = yield* startClient({ connect: [...other.endpoints, ...(yield* Deferred.await(started))] })
      yield* Effect.forEach(
        Array.from({ length: 20 }, () => client.get({ id: 1 })),
        (call) => call,
        { discard: true }
      )
      yield* Deferred.succeed(stop, undefined)
      for (let i = 0; i < 20; i++) expect(yield* client.get({ id: 1 })).toBe("ann")
    }).pipe(Effect.scoped, ndjson)
  )

  it.live("behind a forwarder that deals out messages are a typed error, and one server is not", () =>
    Effect.gen(function* () {
      const forwarder = (backend: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          const front = yield* Zmq.router({ bind: "tcp://127.0.0.1:*" })
          const back = yield* Zmq.dealer({ connect: backend })
          const { make } = yield* Effect.promise(() => import("../src/Proxy.ts"))
          yield* make(front, back)
          return front.endpoints[0]!
        })
      const one = yield* startServer({ bind: freshEndpoint("tcp") })
      const two = yield* startServer({ bind: freshEndpoint("tcp") })
      const good = yield* startClient({ connect: yield* forwarder(one.endpoints) })
      expect(yield* good.get({ id: 1 })).toBe("ann")
      expect((yield* Stream.runCollect(good.count({ to: 500 }))).length).toBe(500)
      const call = yield* Effect.forkChild(good.forever({ name: "behind" }))
      yield* until(Effect.sync(() => one.seen.running.has("behind")))
      yield* Fiber.interrupt(call)
      yield* until(Effect.sync(() => one.seen.interrupted.includes("behind")))
      const dealt = yield* startClient({ connect: yield* forwarder([...one.endpoints, ...two.endpoints]) })
      const exit = yield* Effect.exit(Stream.runDrain(dealt.ticks({ name: "dealt" })))
      expect(reasonOf(exit)).toBe("SocketReadError SeveralServers")
    }).pipe(Effect.scoped, ndjson)
  )
})

describe("connection hooks", () => {
  it.live("are told of the first server and of the last", () =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const hooks = RpcClient.ConnectionHooks.of({
        onConnect: Effect.sync(() => void told.push("connected")),
        onDisconnect: Effect.sync(() => void told.push("disconnected"))
      })
      const endpoint = freshEndpoint("inproc")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* startServer({ bind: endpoint })
          const protocol = yield* Rpc.makeProtocolClient({ connect: server.endpoints }).pipe(
            Effect.provideService(RpcClient.ConnectionHooks, hooks)
          )
          expect(yield* (yield* clientOf(protocol)).get({ id: 1 })).toBe("ann")
          expect(told).toEqual(["connected"])
        })
      )
      yield* until(Effect.sync(() => told.length === 2))
      expect(told).toEqual(["connected", "disconnected"])
    }).pipe(Effect.scoped, ndjson)
  )
})
