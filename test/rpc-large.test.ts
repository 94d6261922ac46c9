/** Calls and replies with more bytes than the other side takes: each ends by itself, and the connection stays. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Latch, Schema, Stream } from "effect"
import { Rpc, RpcClient, RpcGroup, RpcServer } from "effect/rpc"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import { Curve } from "effect-zmq"
import * as ZmqRpc from "effect-zmq/Rpc"
import { allSerializations, serializations } from "./support/rpc/transports.ts"
import { freshEndpoint, type Transport, transports } from "./support/sockets.ts"

const most = 20_000

class Api extends RpcGroup.make(
  Rpc.make("echo", { payload: { text: Schema.String }, success: Schema.String }),
  Rpc.make("fill", { payload: { bytes: Schema.Number }, success: Schema.String }),
  Rpc.make("wait", { success: Schema.String }),
  Rpc.make("die", { payload: { bytes: Schema.Number }, success: Schema.String }),
  Rpc.make("parts", { payload: { sizes: Schema.Array(Schema.Number) }, success: Schema.String, stream: true })
) {}

/** A server whose handlers fill replies, and which calls are still waiting. */
const serve = (options: ZmqRpc.ServerOptions, go: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const { endpoint, protocol } = yield* ZmqRpc.makeProtocolServer(options)
    yield* RpcServer.make(Api, { disableFatalDefects: true }).pipe(
      Effect.provideService(RpcServer.Protocol, protocol),
      Effect.provide(
        Api.toLayer({
          echo: ({ text }) => Effect.succeed(text),
          fill: ({ bytes }) => Effect.succeed("x".repeat(bytes)),
          wait: () => Effect.as(go, "waited"),
          die: ({ bytes }) => Effect.die(new Error("x".repeat(bytes))),
          parts: ({ sizes }) =>
            Stream.fromIterable(sizes).pipe(
              Stream.rechunk(1),
              Stream.map((n) => "x".repeat(n))
            )
        })
      ),
      Effect.forkScoped
    )
    return endpoint
  })

const clientOf = (options: ZmqRpc.ClientOptions, hooks: { connected: number }) =>
  Effect.gen(function* () {
    const protocol = yield* ZmqRpc.makeProtocolClient(options).pipe(
      Effect.provideService(
        RpcClient.ConnectionHooks,
        RpcClient.ConnectionHooks.of({
          onConnect: Effect.sync(() => void hooks.connected++),
          onDisconnect: Effect.void
        })
      )
    )
    return yield* RpcClient.make(Api).pipe(Effect.provideService(RpcClient.Protocol, protocol))
  })

/** How it has ended, in a word. */
const endOf = <A>(self: Effect.Effect<A, RpcClientError>) =>
  Effect.map(Effect.exit(self), (exit) => {
    if (Exit.isSuccess(exit)) return "value"
    const error = Cause.squash(exit.cause) as RpcClientError | Error
    if (!("reason" in error)) return `${error}`.replace(/\d+/g, "N")
    return `${error.reason._tag} ${ZmqRpc.connectionErrorOf(error)?.reason}`
  })

const tooLargeCall = "SocketWriteError TooLarge"
const tooLargeReply = "TooLarge: the reply has N bytes, and the other side takes at most N, its maxMessageSize"

interface Sides {
  readonly server: Partial<ZmqRpc.ServerOptions>
  readonly client: Partial<ZmqRpc.ClientOptions>
}

/** Both sides of a server that takes `most` bytes, and of a client that does. */
const suite = (transport: Transport, sides: Sides) =>
  Effect.gen(function* () {
    const latch = yield* Latch.make()
    const hooks = { connected: 0 }
    const server = yield* serve({ bind: freshEndpoint(transport), maxMessageSize: most, ...sides.server }, latch.await)
    const client = yield* clientOf({ connect: server.endpoints, maxMessageSize: most, ...sides.client }, hooks)
    const inHand = yield* Effect.forkChild(client.wait())
    const ends = {
      call: yield* endOf(client.echo({ text: "x".repeat(most) })),
      // Of each of its units UTF-8 has three bytes.
      callOfFewerUnits: yield* endOf(client.echo({ text: "€".repeat(most / 2.5) })),
      reply: yield* endOf(client.fill({ bytes: most })),
      defect: yield* endOf(client.die({ bytes: most })),
      chunk: yield* endOf(Stream.runCollect(client.parts({ sizes: [1, most, 1] }))),
      discarded: yield* endOf(client.echo({ text: "x".repeat(most) }, { discard: true }))
    }
    expect(ends).toEqual({
      call: tooLargeCall,
      callOfFewerUnits: tooLargeCall,
      reply: tooLargeReply,
      defect: tooLargeReply,
      chunk: tooLargeReply,
      discarded: tooLargeCall
    })
    // As much as there is room for, and in one go with others.
    const sizes = [most - 2000, 50, most / 2, 50, most / 2, 50, most - 2000, 50]
    const all = [
      ...sizes.map((bytes) => client.fill({ bytes })),
      ...sizes.map((bytes) => client.echo({ text: "x".repeat(bytes) })),
      ...sizes.map((bytes) => client.echo({ text: "€".repeat(bytes / 3) }))
    ]
    expect((yield* Effect.all(all, { concurrency: "unbounded" })).map(({ length }) => length)).toEqual([
      ...sizes,
      ...sizes,
      ...sizes.map((bytes) => Math.floor(bytes / 3))
    ])
    yield* latch.open
    expect(yield* Fiber.join(inHand)).toBe("waited")
    expect(hooks.connected).toBe(1)
    expect(server.stats).toMatchObject({ clients: 1, calls: 0, ended: 0 })
  }).pipe(Effect.scoped)

describe("what the other side does not take ends its call alone", () => {
  for (const transport of transports) {
    for (const name of transport === "tcp" ? allSerializations : (["ndjson"] as const)) {
      it.live(`over ${transport}, as ${name}`, () =>
        suite(transport, { server: {}, client: {} }).pipe(Effect.provide(serializations[name]))
      )
    }
  }

  it.live("over CURVE, which adds some bytes to each", () =>
    Effect.gen(function* () {
      const [server, client] = [yield* Curve.generate, yield* Curve.generate]
      const { endpoints } = yield* serve(
        {
          bind: freshEndpoint("tcp"),
          maxMessageSize: most,
          security: Curve.server({ secretKey: server.secretKey })
        },
        Effect.never
      )
      const hooks = { connected: 0 }
      const one = yield* clientOf(
        {
          connect: endpoints,
          maxMessageSize: most,
          security: Curve.client({ ...client, serverKey: server.publicKey })
        },
        hooks
      )
      // All sizes about the bound, on both sides.
      const seen = new Set<string>()
      for (let bytes = most - 500; bytes <= most; bytes += 5) {
        seen.add(yield* endOf(one.echo({ text: "x".repeat(bytes) })))
        seen.add(yield* endOf(one.fill({ bytes })))
      }
      expect(seen).toEqual(new Set(["value", tooLargeCall, tooLargeReply]))
      expect(hooks.connected).toBe(1)
    }).pipe(Effect.scoped, Effect.provide(serializations.schemaBinary))
  )

  for (const [name, frontend, backend, of] of [
    ["that takes less of a client than the server does", most, 2 * most, "call"],
    ["that takes less of the server than a client does", 2 * most, most, "reply"]
  ] as const) {
    it.live(`behind a broker ${name}`, () =>
      Effect.gen(function* () {
        const broker = yield* ZmqRpc.makeBroker({
          frontend: { bind: freshEndpoint("tcp"), maxMessageSize: frontend },
          backend: { bind: freshEndpoint("tcp"), maxMessageSize: backend }
        })
        yield* serve({ connect: broker.backend, maxMessageSize: 2 * most }, Effect.never)
        const hooks = { connected: 0 }
        const client = yield* clientOf({ connect: broker.frontend, maxMessageSize: 2 * most }, hooks)
        expect(yield* endOf(client.echo({ text: "x" }))).toBe("value")
        if (of === "call") expect(yield* endOf(client.echo({ text: "x".repeat(most) }))).toBe(tooLargeCall)
        else expect(yield* endOf(client.fill({ bytes: most }))).toBe(tooLargeReply)
        expect(yield* endOf(client.echo({ text: "x" }))).toBe("value")
        expect(hooks.connected).toBe(1)
      }).pipe(Effect.scoped, Effect.provide(serializations.ndjson))
    )
  }
})
