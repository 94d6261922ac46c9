/** Calls and streams that are interrupted at each of their operations, and many of them: nothing is left of any. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Queue, Scope, Stream } from "effect"
import { RpcClient } from "effect/rpc"
import { Zmq } from "effect-zmq"
import * as Rpc from "effect-zmq/Rpc"
import type { Client } from "../src/internal/rpc/client.ts"
import { makeProtocolClient } from "../src/internal/rpc/protocolClient.ts"
import { Api, type ApiClient } from "./support/rpc/api.ts"
import { clientOf, serializations, startClient, startServer } from "./support/rpc/transports.ts"
import { turns, turnsUntil } from "./support/scripted.ts"
import { freshEndpoint, openFiles, until, whenFree } from "./support/sockets.ts"
import { sweep } from "./support/sweep.ts"

const programs: Readonly<Record<string, (client: ApiClient) => Effect.Effect<unknown, unknown, Scope.Scope>>> = {
  "a call": (client) => client.get({ id: 1 }),
  "a call that fails": (client) => Effect.flip(client.get({ id: 2 })),
  "a call that is not waited for": (client) => client.note({ text: "" }, { discard: true }),
  "a call that never ends": (client) => client.forever({ name: "swept" }),
  "a stream": (client) => Stream.runDrain(client.count({ to: 40 })),
  "a stream of many chunks": (client) => Stream.runDrain(client.chunks({ chunks: 40, of: 20 })),
  "a stream that never ends": (client) => client.ticks({ name: "swept" }).pipe(Stream.take(100), Stream.runDrain),
  "a stream that nobody reads": (client) =>
    Effect.andThen(client.ticks({ name: "swept" }, { asQueue: true }), Effect.never),
  "a stream as a queue": (client) =>
    Effect.flatMap(client.count({ to: 40 }, { asQueue: true }), (queue) =>
      Effect.forEach(Array.from({ length: 40 }), () => Queue.take(queue))
    )
}

const open = Effect.gen(function* () {
  const server = yield* startServer({ bind: freshEndpoint("inproc"), window: 4 })
  let behind: Client | undefined
  const protocol = yield* makeProtocolClient({ connect: server.endpoints }, (client) => {
    behind = client
  })
  const client = yield* clientOf(protocol)
  expect(yield* client.get({ id: 1 })).toBe("ann")
  return { server, client, behind: behind! }
}).pipe(Effect.provide(serializations.ndjson))

describe("interrupted at each step", () => {
  for (const [name, program] of Object.entries(programs)) {
    it(`${name} leaves no handler and no entry behind`, async () => {
      const scope = Scope.makeUnsafe()
      const { behind, client, server } = await Effect.runPromise(Scope.provide(open, scope))
      const steps = await sweep(() => ({
        program: Effect.scoped(program(client)),
        script: () => turns(10),
        check: async ({ moment, step }) => {
          const isOver = (): boolean =>
            behind.pending === 0 && server.state.stats.calls === 0 && server.seen.running.size === 0
          expect(await turnsUntil(isOver), `${moment} at step ${step}`).toBe(true)
        }
      }))
      expect(steps).toBeGreaterThan(10)
      expect(await Effect.runPromise(client.get({ id: 1 }))).toBe("ann")
      expect(server.state.stats).toEqual({ clients: 1, calls: 0, pending: 0, ended: 0 })
      await Effect.runPromise(Scope.close(scope, Exit.void))
    })
  }

  it("a server and a client leave no socket behind as they are made", async () => {
    const endpoints: Array<string> = []
    const program = Effect.suspend(() => {
      const endpoint = freshEndpoint("inproc")
      endpoints.push(endpoint)
      return Effect.scoped(
        Effect.gen(function* () {
          yield* startServer({ bind: endpoint })
          // Without a call: the client of effect 4.1.0 dies when it is interrupted before its first step, and its
          // scope with it.
          yield* startClient({ connect: endpoint })
          yield* Effect.yieldNow
        })
      )
    }).pipe(Effect.provide(serializations.ndjson))
    const before = openFiles()
    const steps = await sweep(() => ({ program, script: () => turns(5), check: async () => {} }))
    expect(steps).toBeGreaterThan(50)
    // Each name is free, and so are the files, a moment later.
    const bind = (endpoint: string) => Effect.scoped(whenFree(Zmq.router({ bind: endpoint })))
    await Effect.runPromise(Effect.forEach(endpoints, bind, { discard: true }))
    expect(await turnsUntil(() => openFiles() <= before + 2)).toBe(true)
  })
})

describe("many", () => {
  const heap = (): number => {
    globalThis.gc?.()
    return process.memoryUsage().heapUsed
  }

  it.live("calls leave nothing behind", () =>
    Effect.gen(function* () {
      const { behind, client, server } = yield* open
      const some = (count: number) =>
        Effect.forEach(
          Array.from({ length: 64 }),
          () => Effect.forEach(Array.from({ length: count / 64 }), () => client.get({ id: 1 }), { discard: true }),
          { concurrency: "unbounded", discard: true }
        )
      yield* some(6400)
      const before = heap()
      yield* some(25_600)
      expect(behind.pending).toBe(0)
      expect(server.state.stats).toEqual({ clients: 1, calls: 0, pending: 0, ended: 0 })
      if (globalThis.gc !== undefined) expect(heap() - before).toBeLessThan(10_000_000)
    }).pipe(Effect.scoped)
  )

  it.live("connections leave nothing behind", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ bind: freshEndpoint("tcp") })
      const connect = Effect.scoped(
        Effect.flatMap(Rpc.makeProtocolClient({ connect: server.endpoints }), (protocol) =>
          Effect.flatMap(RpcClient.make(Api).pipe(Effect.provideService(RpcClient.Protocol, protocol)), (client) =>
            client.get({ id: 1 })
          )
        )
      )
      for (let i = 0; i < 10; i++) yield* connect
      const files = openFiles()
      for (let i = 0; i < 100; i++) expect(yield* connect).toBe("ann")
      yield* until(Effect.sync(() => server.state.stats.clients === 0))
      yield* until(Effect.sync(() => openFiles() <= files + 3))
      expect(server.state.stats).toEqual({ clients: 0, calls: 0, pending: 0, ended: 0 })
    }).pipe(Effect.scoped, Effect.provide(serializations.ndjson))
  )
})
