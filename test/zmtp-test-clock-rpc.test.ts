/** RPC over inproc by a clock that the test turns: time limits, tries, and a connection that stands for hours. */
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Schedule, Schema } from "effect"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Engine, Zmq } from "effect-zmq"
import * as ZmqRpc from "effect-zmq/Rpc"

class Prices extends RpcGroup.make(
  Rpc.make("price", { payload: { symbol: Schema.String }, success: Schema.Int, error: Schema.String })
) {}

const seconds = Effect.map(Clock.currentTimeMillis, (now) => now / 1000)

/** A server, which is bound, with a handler. */
const serve = (handler: Effect.Effect<number, string>) =>
  Effect.gen(function* () {
    const { protocol } = yield* ZmqRpc.makeProtocolServer({ bind: "inproc://prices" })
    yield* RpcServer.make(Prices).pipe(
      Effect.provideService(RpcServer.Protocol, protocol),
      Effect.provide(Prices.toLayer({ price: () => handler })),
      Effect.forkScoped
    )
  })

const connect = (options: Partial<ZmqRpc.ClientOptions> = {}) =>
  Effect.flatMap(ZmqRpc.makeProtocolClient({ connect: "inproc://prices", ...options }), (protocol) =>
    RpcClient.make(Prices).pipe(Effect.provideService(RpcClient.Protocol, protocol))
  )

/** With a clock of its own, which waits for a busy machine longer than a second. */
const provided = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  self.pipe(
    Effect.scoped,
    Effect.provide([Zmq.Context.layer(), TestClock.layer({ warningDelay: "1 minute" })]),
    Effect.provide(Engine.layerZmtp),
    Effect.provide(RpcSerialization.layerNdjson)
  )

describe("A client of RPC", () => {
  it.live("tries a call three times, by its time limit", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const handler = Effect.gen(function* () {
        asked.push(yield* seconds)
        yield* Effect.repeat(Effect.yieldNow, { times: 20 })
        yield* Effect.sleep(asked.length < 3 ? "1 hour" : "400 millis")
        return 42
      })
      yield* serve(handler)
      const client = yield* connect({ whileDisconnected: "wait" })
      const asking = yield* client.price({ symbol: "ACME" }).pipe(
        Effect.timeout("500 millis"),
        Effect.retry(Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 8 }))),
        Effect.flatMap((price) => Effect.map(seconds, (now) => [price, now])),
        Effect.delay("1 second"),
        Effect.forkScoped
      )
      yield* TestClock.adjust("10 minutes")
      expect(asked).toEqual([1, 2.5, 5])
      expect(yield* Fiber.join(asking)).toEqual([42, 5.4])
    }).pipe(provided)
  )

  it.live("has a connection that stands, by its pings, for an hour in which little is asked", () =>
    Effect.gen(function* () {
      let calls = 0
      yield* serve(Effect.sync(() => ++calls))
      let lost = 0
      const client = yield* Effect.provideService(connect(), RpcClient.ConnectionHooks, {
        onConnect: Effect.void,
        onDisconnect: Effect.sync(() => void lost++)
      })
      const ask = client.price({ symbol: "ACME" })
      const asking = yield* Effect.forkScoped(Effect.repeat(Effect.delay(ask, "20 minutes"), { times: 2 }))
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(asking)
      expect({ calls, lost }).toEqual({ calls: 3, lost: 0 })
    }).pipe(provided)
  )

  it.live("tries again by its policy where its server comes later", () =>
    Effect.gen(function* () {
      const client = yield* connect({ whileDisconnected: "wait", retryPolicy: Schedule.spaced("1 second") })
      const asking = yield* client
        .price({ symbol: "ACME" })
        .pipe(Effect.andThen(seconds), Effect.delay("1 second"), Effect.forkScoped)
      yield* Effect.forkScoped(Effect.delay(Effect.andThen(serve(Effect.succeed(42)), Effect.never), "1 minute"))
      yield* TestClock.adjust("1 hour")
      expect(yield* Fiber.join(asking)).toBe(60)
    }).pipe(provided)
  )
})
