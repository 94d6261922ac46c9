/**
 * What clients of another kind are told: a DEALER of each end, and a REQ, which takes one
 * message for each of its own, only in place of a reply.
 */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { Zmq } from "effect-zmq"
import * as Rpc from "effect-zmq/Rpc"
import { serializations, startServer } from "./support/rpc/transports.ts"
import { freshEndpoint, type Transport, texts, transports, until, whenFree } from "./support/sockets.ts"

const jsonRpc = Effect.provide(serializations.jsonRpc)

const get = (id: number) => JSON.stringify({ jsonrpc: "2.0", id, method: "get", params: { id: 1 } })
const ann = (id: number) => JSON.stringify({ jsonrpc: "2.0", id, result: "ann" })

const startBroker = (transport: Transport) =>
  Rpc.makeBroker({ frontend: { bind: freshEndpoint(transport) }, backend: { bind: freshEndpoint(transport) } })

/** A server by hand, that answers nothing and ends without a word. Gives how many messages came. */
const silentServer = (backend: string, until: Effect.Effect<unknown>, came: () => void) =>
  Effect.scoped(
    Effect.gen(function* () {
      const server = yield* Zmq.dealer({ connect: backend, linger: 1000 })
      yield* server.send("\0R0 application/json")
      yield* Effect.forkScoped(server.runForEach(([, ...rest]) => Effect.sync(() => rest.length > 0 && came())))
      yield* until
    })
  )

describe("behind a broker", () => {
  for (const transport of transports) {
    it.live(`a REQ is told that its server is gone only where it waits for a reply: over ${transport}`, () =>
      Effect.gen(function* () {
        const broker = yield* startBroker(transport)
        const connect = broker.frontend[0]!
        const [backend = ""] = broker.backend
        const req = yield* Zmq.req({ connect, correlate: false })
        // As a REQ and one with numbers do, but it shows whatever comes.
        const shown = yield* Zmq.dealer({ connect })
        const dealer = yield* Zmq.dealer({ connect })
        const ask = (id: number) =>
          Effect.gen(function* () {
            const answer = yield* Effect.forkChild(req.request(get(id)))
            yield* shown.send(["", get(id)])
            yield* shown.send(["four", "", get(id)])
            yield* dealer.send(get(id))
            expect(texts(yield* Fiber.join(answer))).toEqual([ann(id)])
            const both = [texts(yield* shown.recv), texts(yield* shown.recv)]
            expect(both).toEqual(
              expect.arrayContaining([
                ["", ann(id)],
                ["four", "", ann(id)]
              ])
            )
            expect(texts(yield* dealer.recv)).toEqual([ann(id)])
          })
        for (const round of [1, 2]) {
          yield* Effect.scoped(Effect.andThen(startServer({ connect: backend }), ask(round)))
          yield* until(Effect.sync(() => broker.stats.servers === 0))
          expect(texts(yield* dealer.recv)[0]).toMatch(/^\0Bclosing/)
        }
        // Nobody was told anything between one reply and the next, and nobody had to connect again.
        expect(broker.stats.clients).toBe(3)

        // One that is gone without a word, and had their questions.
        const end = yield* Deferred.make<void>()
        let came = 0
        const server = yield* Effect.forkChild(silentServer(backend, Deferred.await(end), () => came++))
        yield* until(Effect.sync(() => broker.stats.servers === 1))
        const answer = yield* Effect.forkChild(req.request(get(3)))
        yield* shown.send(["", get(3)])
        yield* dealer.send(get(3))
        yield* until(Effect.sync(() => came === 3))
        yield* Deferred.succeed(end, undefined)
        yield* Fiber.join(server)
        expect(texts(yield* Fiber.join(answer))).toEqual(["\0B"])
        expect(texts(yield* shown.recv)).toEqual(["", "\0B"])
        expect(texts(yield* dealer.recv)).toEqual(["\0B"])
        yield* startServer({ connect: backend })
        yield* ask(4)
        expect(broker.stats).toEqual({ servers: 1, clients: 3, dropped: 0 })
      }).pipe(Effect.scoped, jsonRpc)
    )
  }

  it.live("who waits for a server, or has the last one's reply to come, is told that the broker ends", () =>
    Effect.gen(function* () {
      const told = yield* Effect.scoped(
        Effect.gen(function* () {
          const broker = yield* startBroker("ipc")
          const waiting = yield* Effect.forkDetach(
            Effect.scoped(Effect.flatMap(Zmq.req({ connect: broker.frontend[0]! }), (req) => req.request(get(1))))
          )
          yield* until(Effect.sync(() => broker.stats.clients === 1))
          return waiting
        })
      )
      expect(texts(yield* Fiber.join(told))[0]).toMatch(/^\0Bclosing /)
    }).pipe(Effect.scoped, jsonRpc)
  )
})

describe("at a server", () => {
  it.live("a REQ that waits for nothing is told nothing", () =>
    Effect.gen(function* () {
      const bind = freshEndpoint("ipc")
      const shown = yield* Zmq.dealer({ connect: bind, reconnectInterval: "10 millis" })
      const dealer = yield* Zmq.dealer({ connect: bind, reconnectInterval: "10 millis" })
      for (const id of [1, 2]) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* whenFree(startServer({ bind }))
            yield* shown.send(["", get(id)])
            yield* dealer.send(get(id))
            expect(texts(yield* shown.recv)).toEqual(["", ann(id)])
            expect(texts(yield* dealer.recv)).toEqual([ann(id)])
          })
        )
        expect(texts(yield* dealer.recv)[0]).toMatch(/^\0Bclosing/)
      }
    }).pipe(Effect.scoped, jsonRpc)
  )

  for (const transport of transports) {
    it.live(`a REQ that was ended is told so whenever it asks: over ${transport}`, () =>
      Effect.gen(function* () {
        const server = yield* startServer({ bind: freshEndpoint(transport) })
        const eof = JSON.stringify({ jsonrpc: "2.0", method: "@effect/rpc/Eof" })
        for (const wrong of ["nonsense", "", eof]) {
          const req = yield* Zmq.req({ connect: server.endpoints, correlate: false })
          expect(texts(yield* req.request(get(1)))).toEqual([ann(1)])
          for (const question of [wrong, get(2), get(3)]) {
            expect(texts(yield* req.request(question))[0]).toMatch(/^\0Brejected /)
          }
        }
      }).pipe(Effect.scoped, jsonRpc)
    )

    it.live(`a REQ that numbers its requests leaves nothing behind: over ${transport}`, () =>
      Effect.gen(function* () {
        const broker = yield* startBroker(transport)
        const direct = yield* startServer({ bind: freshEndpoint(transport) })
        const behind = yield* startServer({ connect: broker.backend })
        for (const [endpoint, { state }] of [
          [direct.endpoints, direct],
          [broker.frontend, behind]
        ] as const) {
          const req = yield* Zmq.req({ connect: endpoint, correlate: true, relaxed: true })
          for (let id = 0; id < 50; id++) expect(texts(yield* req.request(get(id)))).toEqual([ann(id)])
          yield* until(Effect.sync(() => state.stats.clients === 0))
        }
      }).pipe(Effect.scoped, jsonRpc)
    )
  }
})
