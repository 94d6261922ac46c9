/** Servers behind a broker: found by themselves, with streams and interruptions through it, and without ghosts. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Schedule, Stream } from "effect"
import { RpcClient, type RpcClientError } from "effect/rpc"
import { Zmq } from "effect-zmq"
import * as Rpc from "effect-zmq/Rpc"
import { makeProtocolClient } from "../src/internal/rpc/protocolClient.ts"
import { callAll, expected } from "./support/rpc/api.ts"
import { startProcess } from "./support/rpc/processes.ts"
import { clientOf, serializations, startClient, startServer } from "./support/rpc/transports.ts"
import { Work } from "./support/rpc/work.ts"
import { boundTo, freshEndpoint, type Transport, transports, until } from "./support/sockets.ts"

const ndjson = Effect.provide(serializations.ndjson)

const reasonOf = <A, E>(exit: Exit.Exit<A, E>): string => {
  if (Exit.isSuccess(exit)) return "value"
  const error = Cause.squash(exit.cause) as RpcClientError.RpcClientError
  const { cause } = error.reason as { readonly cause?: unknown }
  return cause instanceof Rpc.ConnectionError ? `${error.reason._tag} ${cause.reason}` : `${error}`
}

const startBroker = (transport: Transport) =>
  Effect.map(
    Rpc.makeBroker({ frontend: { bind: freshEndpoint(transport) }, backend: { bind: freshEndpoint(transport) } }),
    (broker) => ({ broker, frontend: broker.frontend[0]!, backend: broker.backend[0]! })
  )

describe("a broker", () => {
  for (const transport of transports) {
    for (const serialization of ["ndjson", "schemaBinary", "jsonRpc"] as const) {
      it.live(`passes on calls of every kind: over ${transport}, as ${serialization}`, () =>
        Effect.gen(function* () {
          const { backend, broker, frontend } = yield* startBroker(transport)
          const server = yield* startServer({ connect: backend })
          const protocol = yield* Rpc.makeProtocolClient({ connect: frontend })
          const both = { client: yield* clientOf(protocol), other: clientOf(protocol) }
          expect(yield* callAll(both, server.seen)).toEqual(expected)
          expect(broker.stats).toEqual({ servers: 1, clients: 1, dropped: 0 })
          expect(server.state.stats.clients).toBe(1)
        }).pipe(Effect.scoped, Effect.provide(serializations[serialization]))
      )
    }

    it.live(`keeps a server that nobody asks anything: over ${transport}`, () =>
      Effect.gen(function* () {
        const { backend, broker } = yield* startBroker(transport)
        yield* startServer({ connect: backend, pingInterval: "400 millis", pingTimeout: "2 seconds" })
        yield* until(Effect.sync(() => broker.stats.servers === 1))
        // Twice as long as it may be silent: that it stays is all there is to wait for.
        for (let i = 0; i < 50; i++) {
          yield* Effect.sleep("100 millis")
          expect(broker.stats.servers).toBe(1)
        }
      }).pipe(Effect.scoped, ndjson)
    )

    it.live(`has servers that are found by themselves, and share the calls: over ${transport}`, () =>
      Effect.gen(function* () {
        const { backend, broker, frontend } = yield* startBroker(transport)
        // It is told of each as it comes, and does not have to ask.
        let known = () => 0
        const client = yield* Effect.flatMap(
          makeProtocolClient({ connect: frontend, whileDisconnected: "wait", pingInterval: "1 hour" }, (made) => {
            known = () => made.servers
          }),
          clientOf
        )
        const early = yield* Effect.forkChild(client.get({ id: 1 }))
        const servers = [yield* startServer({ connect: backend })]
        expect(yield* Fiber.join(early)).toBe("ann")
        for (let i = 0; i < 2; i++) servers.push(yield* startServer({ connect: backend }))
        yield* until(Effect.sync(() => known() === servers.length))
        const calls = yield* Effect.forEach(
          Array.from({ length: 9 }, (_, i) => `${i}`),
          (name) => Effect.forkChild(Effect.exit(client.forever({ name })))
        )
        yield* until(Effect.sync(() => servers.every(({ seen }) => seen.running.size === 3)))
        const streams = yield* Effect.forEach(
          Array.from({ length: 6 }, () => Stream.runCollect(client.count({ to: 300 }))),
          (stream) => stream,
          { concurrency: "unbounded" }
        )
        for (const stream of streams) expect(stream.length).toBe(300)
        for (const call of calls) yield* Fiber.interrupt(call)
        yield* until(Effect.sync(() => servers.every(({ seen }) => seen.running.size === 0)))
        expect(servers.map(({ seen }) => seen.interrupted.length)).toEqual([3, 3, 3])
        expect(broker.stats.servers).toBe(3)
      }).pipe(Effect.scoped, ndjson)
    )
  }

  it.live("tells of a server that ends, or is killed, and of the next; of a client as well", () =>
    Effect.gen(function* () {
      const { backend, broker, frontend } = yield* startBroker("tcp")
      const client = yield* Effect.flatMap(
        Rpc.makeProtocolClient({ connect: frontend, retryPolicy: Schedule.spaced("20 millis") }),
        (protocol) => RpcClient.make(Work).pipe(Effect.provideService(RpcClient.Protocol, protocol))
      )
      const one = yield* startProcess("serverProcess.ts", backend, "connect", "one")
      const two = yield* startProcess("serverProcess.ts", backend, "connect", "two")
      const names = new Set<string>()
      yield* until(
        Effect.map(Effect.exit(client.name()), (exit) => Exit.isSuccess(exit) && names.add(exit.value).size === 2)
      )
      const calls = yield* Effect.forEach(["1", "2"], (id) => Effect.forkChild(Effect.exit(client.hang({ id }))))
      yield* until(Effect.sync(() => [one, two].every(({ lines }) => lines.some((line) => /^hang/.test(line)))))
      const since = performance.now()
      yield* one.kill("SIGKILL")
      yield* until(Effect.sync(() => calls.some((call) => call.pollUnsafe() !== undefined)))
      expect(performance.now() - since).toBeLessThan(1000)
      // The other one still has its call.
      const open = calls.filter((call) => call.pollUnsafe() === undefined)
      expect(open.length).toBe(1)
      for (const call of calls) {
        if (!open.includes(call)) expect(reasonOf(yield* Fiber.join(call))).toBe("SocketReadError Lost")
      }
      for (let i = 0; i < 5; i++) expect(yield* client.name()).toBe("two")
      yield* two.kill("SIGTERM")
      yield* Effect.forEach(open, Fiber.join)
      yield* until(Effect.sync(() => broker.stats.servers === 0))
      yield* until(Effect.map(Effect.exit(client.run({ id: "ghost" })), Exit.isFailure))
      const three = yield* startProcess("serverProcess.ts", backend, "connect", "three")
      yield* until(Effect.map(Effect.exit(client.name()), (exit) => Exit.isSuccess(exit) && exit.value === "three"))
      expect(three.lines.filter((line) => line.startsWith("run"))).toEqual([])

      const server = yield* startServer({ connect: backend })
      yield* three.kill("SIGKILL")
      yield* until(Effect.sync(() => broker.stats.servers === 1))
      const dying = yield* startProcess("clientProcess.ts", frontend, "theirs")
      yield* until(Effect.sync(() => server.seen.running.has("theirs")))
      yield* dying.kill("SIGKILL")
      yield* until(Effect.sync(() => server.seen.interrupted.includes("theirs")))
    }).pipe(Effect.scoped, ndjson)
  )

  for (const transport of ["tcp", "ipc"] as const) {
    it.live(`is found by a server that was there before it: over ${transport}`, () =>
      Effect.gen(function* () {
        const backend =
          transport === "ipc"
            ? freshEndpoint("ipc")
            : yield* Effect.scoped(Effect.map(Zmq.router({ bind: freshEndpoint("tcp") }), boundTo))
        const reasons: Array<string> = []
        const retryPolicy = Schedule.spaced("20 millis").pipe(
          Schedule.setInputType<Rpc.ConnectionError>(),
          Schedule.tap(({ input }) => Effect.sync(() => reasons.push(input.reason)))
        )
        // It is told that nobody is there, and does not find it out.
        yield* startServer({ connect: backend, pingInterval: "1 hour", retryPolicy })
        yield* until(Effect.sync(() => reasons.length > 1))
        expect([...new Set(reasons)]).toEqual(["Unreachable"])
        const broker = yield* Rpc.makeBroker({
          frontend: { bind: freshEndpoint(transport) },
          backend: { bind: backend }
        })
        yield* until(Effect.sync(() => broker.stats.servers === 1))
      }).pipe(Effect.scoped, ndjson)
    )
  }

  it.live("misses a server that is stopped, and one whose broker comes back is found again", () =>
    Effect.gen(function* () {
      const backend = freshEndpoint("ipc")
      const frontend = freshEndpoint("ipc")
      const start = Rpc.makeBroker({ frontend: { bind: frontend }, backend: { bind: backend } })
      const client = yield* Effect.flatMap(
        Rpc.makeProtocolClient({ connect: frontend, retryPolicy: Schedule.spaced("20 millis") }),
        (protocol) => RpcClient.make(Work).pipe(Effect.provideService(RpcClient.Protocol, protocol))
      )
      const server = yield* startProcess("serverProcess.ts", backend, "connect", "one")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const broker = yield* start
          yield* until(Effect.map(Effect.exit(client.name()), Exit.isSuccess))
          const call = yield* Effect.forkChild(Effect.exit(client.hang({ id: "1" })))
          yield* server.said("hang 1")
          yield* server.kill("SIGSTOP")
          expect(reasonOf(yield* Fiber.join(call))).toBe("SocketReadError Silent")
          expect(broker.stats.servers).toBe(0)
          yield* server.kill("SIGCONT")
          // It learns that it was missed, and gives up what it did for nobody.
          yield* server.said("interrupted 1")
          yield* until(Effect.map(Effect.exit(client.name()), Exit.isSuccess))
        })
      )
      yield* until(Effect.map(Effect.exit(client.name()), Exit.isFailure))
      yield* start
      yield* until(Effect.map(Effect.exit(client.name()), Exit.isSuccess))
    }).pipe(Effect.scoped, ndjson)
  )

  for (const transport of transports) {
    it.live(`says that it has no server, once one has had its time to come back: over ${transport}`, () =>
      Effect.gen(function* () {
        const since = performance.now()
        const { backend, frontend } = yield* startBroker(transport)
        // It is told, and does not find it out.
        const patient = { connect: frontend, openTimeout: "1 hour", pingInterval: "1 hour" } as const
        const client = yield* startClient(patient)
        const waiting = yield* startClient({ ...patient, whileDisconnected: "wait" })
        const fails = Effect.map(Effect.exit(client.get({ id: 1 })), reasonOf)
        const first = yield* Effect.forkChild(waiting.get({ id: 1 }))
        expect(yield* fails).toBe("SocketOpenError NoServer")
        expect(performance.now() - since).toBeGreaterThanOrEqual(1000)
        // And so is one that comes later, and whoever calls.
        const late = yield* startClient(patient)
        expect(reasonOf(yield* Effect.exit(late.get({ id: 1 })))).toBe("SocketOpenError NoServer")
        expect(first.pollUnsafe()).toBe(undefined)
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* startServer({ connect: backend })
            expect(yield* Fiber.join(first)).toBe("ann")
            yield* until(Effect.map(Effect.exit(client.get({ id: 1 })), Exit.isSuccess))
          })
        )
      }).pipe(Effect.scoped, ndjson)
    )
  }

  it.live("has one server for each client of another kind, and the next when that is gone", () =>
    Effect.gen(function* () {
      const { backend, broker, frontend } = yield* startBroker("tcp")
      const req = yield* Zmq.req({ connect: frontend })
      const call = (id: number) =>
        req
          .request(JSON.stringify({ jsonrpc: "2.0", id, method: "get", params: { id: 1 } }))
          .pipe(Effect.map(([frame]) => JSON.parse(frame.toString()) as unknown))
      const early = yield* Effect.forkChild(call(1))
      yield* until(Effect.sync(() => broker.stats.clients === 1))
      const ann = { jsonrpc: "2.0", result: "ann" }
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* startServer({ connect: backend })
          expect(yield* Fiber.join(early)).toEqual({ ...ann, id: 1 })
          expect(yield* call(2)).toEqual({ ...ann, id: 2 })
        })
      )
      yield* until(Effect.sync(() => broker.stats.servers === 0))
      yield* startServer({ connect: backend })
      expect(yield* call(3)).toEqual({ ...ann, id: 3 })
    }).pipe(Effect.scoped, Effect.provide(serializations.jsonRpc))
  )
})
