/** Clients that send what they should not, send too much, or do not read. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { RpcSerialization } from "effect/rpc"
import { Zmq } from "effect-zmq"
import { hostileOf } from "./support/rpc/hostile.ts"
import { serializations, startClient, startServer } from "./support/rpc/transports.ts"
import { freshEndpoint, type Transport, transports, until, untilDefined } from "./support/sockets.ts"

const limit = 100_000

/** Says whether it was told goodbye, once it has been. `text` is what that says. */
const toldGoodbye = (socket: Zmq.Dealer) =>
  untilDefined(
    Effect.map(socket.tryRecv, (message) => {
      const frame = Option.getOrUndefined(message)?.at(-1)
      return frame?.[0] === 0 && frame[1] === 0x42 ? frame.toString("utf8", 2) : undefined
    })
  )

const suite = (transport: Transport, name: "ndjson" | "schemaBinary") =>
  it.live(`ends whoever sends it, and nobody else: over ${transport}, as ${name}`, () =>
    Effect.gen(function* () {
      const server = yield* startServer({ bind: freshEndpoint(transport), maxMessageSize: limit })
      const good = yield* startClient({ connect: server.endpoints })
      expect(yield* good.get({ id: 1 })).toBe("ann")
      const all = hostileOf(yield* RpcSerialization.RpcSerialization, limit)
      const served = yield* Effect.forkChild(
        Effect.forever(
          Effect.tap(good.echo({ text: "hello" }), (text) => Effect.sync(() => expect(text).toBe("hello")))
        )
      )
      for (const { ends, messages, name: kind } of all) {
        // Over a network the engine ends the connection, and tells nobody why.
        const isCut = kind === "too much" && transport !== "inproc"
        yield* Effect.gen(function* () {
          const before = server.state.stats.ended
          const socket = yield* Zmq.dealer({ connect: server.endpoints, linger: 0 })
          for (const message of messages) yield* socket.send(message)
          if (isCut) return
          if (ends) {
            expect(yield* toldGoodbye(socket), kind).toMatch(/^(rejected|behind) ./)
            expect(server.state.stats.ended, kind).toBe(before + 1)
          } else {
            // It may go on: a whole call is answered.
            const { encode } = (yield* RpcSerialization.RpcSerialization).makeUnsafe()
            yield* socket.send(encode({ _tag: "Ping" })!)
            yield* untilDefined(
              Effect.map(socket.tryRecv, (message) => {
                const text = Option.getOrUndefined(message)?.at(-1)
                return text?.includes("Pong") || (name === "schemaBinary" && text !== undefined) ? true : undefined
              })
            )
            expect(server.state.stats.ended, kind).toBe(before)
          }
        }).pipe(
          Effect.scoped,
          Effect.timeout("20 seconds"),
          Effect.catchTag("TimeoutError", () => Effect.die(kind))
        )
      }
      expect(served.pollUnsafe()).toBe(undefined)
      yield* Fiber.interrupt(served)
      // Those who have left are forgotten, and what they had begun has ended.
      yield* until(Effect.sync(() => server.state.stats.clients === 1 && server.seen.running.size === 0))
      expect(yield* good.get({ id: 1 })).toBe("ann")
    }).pipe(Effect.scoped, Effect.provide(serializations[name]))
  )

describe("what no client should send", () => {
  for (const transport of transports) for (const name of ["ndjson", "schemaBinary"] as const) suite(transport, name)
})

describe("a client that is behind", () => {
  const line = (value: unknown): string => `${JSON.stringify(value)}\n`
  const echo = (id: number, text: string) =>
    line({ _tag: "Request", id: `${id}`, tag: "echo", payload: { text }, headers: [] })

  it.live("is ended when more waits for it than it may, and the others notice nothing", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ bind: freshEndpoint("tcp"), maxPendingPerClient: 100, sendHighWaterMark: 10 })
      const good = yield* startClient({ connect: server.endpoints })
      const idle = yield* Zmq.dealer({ connect: server.endpoints, receiveHighWaterMark: 10, linger: 0 })
      const text = "x".repeat(50_000)
      let id = 0
      let most = 0
      while (server.state.stats.ended === 0) {
        yield* idle.trySend(echo(id++, text))
        most = Math.max(most, server.state.stats.pending)
        expect(yield* good.get({ id: 1 })).toBe("ann")
      }
      expect(most).toBeLessThanOrEqual(101)
      expect(server.state.stats.clients).toBe(1)
      expect(server.state.stats.pending).toBe(0)
      // It is told so as soon as it reads.
      const told = yield* Effect.forkChild(toldGoodbye(idle))
      while (told.pollUnsafe() === undefined) {
        yield* idle.trySend(echo(id++, ""))
        yield* Effect.sleep("1 millis")
      }
      expect(yield* Fiber.join(told)).toMatch(/^behind /)
    }).pipe(Effect.scoped, Effect.provide(serializations.ndjson))
  )

  it.live("is ended when it makes more calls at once than it may", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ bind: freshEndpoint("ipc"), maxPendingPerClient: 100 })
      const good = yield* startClient({ connect: server.endpoints })
      expect(yield* good.get({ id: 1 })).toBe("ann")
      const greedy = yield* Zmq.dealer({ connect: server.endpoints, linger: 0 })
      const call = (id: number) =>
        line({ _tag: "Request", id, tag: "forever", payload: { name: `${id}` }, headers: [] })
      for (let id = 0; id < 100; id++) yield* greedy.send(call(id))
      yield* until(Effect.sync(() => server.state.stats.calls === 100))
      expect(server.state.stats.ended).toBe(0)
      yield* greedy.send(call(100))
      expect(yield* toldGoodbye(greedy)).toMatch(/^behind /)
      yield* until(Effect.sync(() => server.seen.running.size === 0))
      expect(yield* good.get({ id: 1 })).toBe("ann")
    }).pipe(Effect.scoped, Effect.provide(serializations.ndjson))
  )

  it.live("has as many chunks of a stream on their way as the window says, and no more", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ bind: freshEndpoint("inproc"), window: 16 })
      const reader = yield* Zmq.dealer({ connect: server.endpoints, linger: 0 })
      const count = (requestId: string, tag: string) => line({ _tag: tag, requestId })
      yield* reader.send(
        line({ _tag: "Request", id: "s", tag: "chunks", payload: { chunks: 100, of: 3 }, headers: [] })
      )
      const next = Effect.map(reader.recvString, (text) => JSON.parse(text) as { _tag: string })
      for (let n = 0; n < 16; n++) expect((yield* next)._tag).toBe("Chunk")
      // The server answers, and has sent no more before that.
      yield* reader.send(line({ _tag: "Ping" }))
      expect((yield* next)._tag).toBe("Pong")
      expect(server.seen.emitted.get("chunks")).toBe(16)
      yield* reader.send(count("s", "Ack"))
      expect((yield* next)._tag).toBe("Chunk")
      yield* reader.send(line({ _tag: "Ping" }))
      expect((yield* next)._tag).toBe("Pong")
      expect(server.seen.emitted.get("chunks")).toBe(17)
      yield* reader.send(count("s", "Interrupt"))
      yield* until(Effect.sync(() => server.state.stats.calls === 0))
    }).pipe(Effect.scoped, Effect.provide(serializations.ndjson))
  )
})
