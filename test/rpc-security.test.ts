/** RPC with CURVE and ZAP: who is let in, who is not, and through a broker. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Redacted, Schema } from "effect"
import { Rpc as EffectRpc, RpcClient, type RpcClientError, RpcGroup, RpcServer } from "effect/rpc"
import { Curve, Plain, Zap, type Zmq } from "effect-zmq"
import * as Rpc from "effect-zmq/Rpc"
import { byEngine } from "./support/byEngine.ts"
import { serializations, startClient, startServer } from "./support/rpc/transports.ts"
import { freshEndpoint, until } from "./support/sockets.ts"

class Who extends RpcGroup.make(EffectRpc.make("whoAmI", { success: Schema.String })) {}

const causeOf = <A, E>(exit: Exit.Exit<A, E>): Rpc.ConnectionError | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const { reason } = Cause.squash(exit.cause) as RpcClientError.RpcClientError
  return (reason as { readonly cause?: Rpc.ConnectionError }).cause
}

describe("who a client is", () => {
  const hush = Redacted.make("hush")
  const setups = Effect.gen(function* () {
    const [keys, client] = [yield* Curve.generate, yield* Curve.generate]
    return {
      curve: {
        userId: client.publicKey,
        zap: Zap.layer({ curve: [client.publicKey] }),
        server: Curve.server({ secretKey: keys.secretKey, domain: "rpc" }),
        client: Curve.client({ ...client, serverKey: keys.publicKey })
      },
      plain: {
        userId: "ann",
        zap: Zap.layer({ plain: { ann: hush } }),
        server: Plain.server({ domain: "rpc" }),
        client: Plain.client({ username: "ann", password: hush })
      }
    }
  })

  /** A server that keeps who has called, by the id of the client. */
  const watching = (options: Rpc.ServerOptions) =>
    Effect.gen(function* () {
      const peers = new Map<number, Zmq.Peer | undefined>()
      const { endpoint, protocol } = yield* Rpc.makeProtocolServer(options)
      const whoAmI = (_: unknown, { client: { id } }: { readonly client: EffectRpc.ServerClient }) =>
        Effect.sync(() => {
          peers.set(id, endpoint.peerOf(id))
          return "seen"
        })
      yield* RpcServer.make(Who).pipe(
        Effect.provideService(RpcServer.Protocol, protocol),
        Effect.provide(Who.toLayer({ whoAmI })),
        Effect.forkScoped
      )
      return { endpoint, peers }
    })

  const ask = (options: Rpc.ClientOptions) =>
    Effect.gen(function* () {
      const protocol = yield* Rpc.makeProtocolClient({ ...options, whileDisconnected: "wait" })
      const client = yield* RpcClient.make(Who).pipe(Effect.provideService(RpcClient.Protocol, protocol))
      expect(yield* client.whoAmI()).toBe("seen")
    })

  for (const mechanism of ["curve", "plain"] as const) {
    it.live(`is told to handlers, with ${mechanism} and where the engine knows`, () =>
      Effect.gen(function* () {
        const { client: ann, server, userId, zap } = (yield* setups)[mechanism]
        yield* Effect.gen(function* () {
          const { endpoint, peers } = yield* watching({ bind: "tcp://127.0.0.1:*", security: server })
          yield* Effect.scoped(ask({ connect: endpoint.endpoints, security: ann }))
          const known = byEngine({ zeromq: {}, zmtp: { address: "127.0.0.1", userId } })
          expect([...peers.values()]).toEqual([{ routingId: expect.any(Buffer), ...known }])
          // It is gone.
          yield* until(Effect.sync(() => [...peers.keys()].every((id) => endpoint.peerOf(id) === undefined)))
        }).pipe(Effect.scoped, Effect.provide(zap))
      }).pipe(Effect.provide(serializations.ndjson))
    )
  }

  it.live("is not told behind a broker, which is not the client", () =>
    Effect.gen(function* () {
      const { client: ann, server, zap } = (yield* setups).plain
      yield* Effect.gen(function* () {
        const ends = { bind: freshEndpoint("tcp"), security: server }
        const broker = yield* Rpc.makeBroker({ frontend: ends, backend: { ...ends, bind: freshEndpoint("tcp") } })
        const { peers } = yield* watching({ connect: broker.backend, security: ann })
        yield* ask({ connect: broker.frontend, security: ann })
        expect([...peers.values()]).toEqual([{}])
      }).pipe(Effect.scoped, Effect.provide(zap))
    }).pipe(Effect.provide(serializations.ndjson))
  )
})

describe("CURVE", () => {
  it.live("lets in whoever has the key of the server, and nobody else", () =>
    Effect.gen(function* () {
      const server = yield* Curve.generate
      const other = yield* Curve.generate
      const client = yield* Curve.generate
      const { endpoints } = yield* startServer({
        bind: freshEndpoint("tcp"),
        security: Curve.server({ secretKey: server.secretKey })
      })
      const security = (serverKey: Curve.PublicKey) => Curve.client({ ...client, serverKey })
      const good = yield* startClient({ connect: endpoints, security: security(server.publicKey) })
      expect(yield* good.get({ id: 1 })).toBe("ann")
      const bad = yield* startClient({ connect: endpoints, security: security(other.publicKey) })
      expect(causeOf(yield* Effect.exit(bad.get({ id: 1 })))?._tag).toBe("ConnectionError")
      const plain = yield* startClient({ connect: endpoints })
      expect(causeOf(yield* Effect.exit(plain.get({ id: 1 })))?._tag).toBe("ConnectionError")
      expect(yield* good.get({ id: 1 })).toBe("ann")
    }).pipe(Effect.scoped, Effect.provide(serializations.schemaBinary))
  )

  it.live("with ZAP lets in whom the authenticator accepts, also at a broker", () =>
    Effect.gen(function* () {
      const keys = yield* Curve.generate
      const friend = yield* Curve.generate
      const stranger = yield* Curve.generate
      const secure = { security: Curve.server({ secretKey: keys.secretKey, domain: "rpc" }) }
      const as = (pair: Curve.KeyPair) => ({ security: Curve.client({ ...pair, serverKey: keys.publicKey }) })
      yield* Effect.gen(function* () {
        const broker = yield* Rpc.makeBroker({
          frontend: { bind: freshEndpoint("tcp"), ...secure },
          backend: { bind: freshEndpoint("tcp"), ...secure }
        })
        yield* startServer({ connect: broker.backend, ...as(stranger) })
        yield* startServer({ connect: broker.backend, ...as(friend) })
        const client = yield* startClient({ connect: broker.frontend, ...as(friend), whileDisconnected: "wait" })
        expect(yield* client.get({ id: 1 })).toBe("ann")
        const refused = yield* startClient({ connect: broker.frontend, ...as(stranger) })
        expect(causeOf(yield* Effect.exit(refused.get({ id: 1 })))?._tag).toBe("ConnectionError")
        yield* until(Effect.sync(() => broker.stats.servers === 1 && broker.stats.clients === 1))
      }).pipe(Effect.scoped, Effect.provide(Zap.layer({ curve: [friend.publicKey] })))
    }).pipe(Effect.scoped, Effect.provide(serializations.ndjson))
  )
})
