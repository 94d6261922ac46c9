/** RPC with CURVE and ZAP: who is let in, who is not, and through a broker. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import type { RpcClientError } from "effect/rpc"
import { Curve, Zap } from "effect-zmq"
import * as Rpc from "effect-zmq/Rpc"
import { serializations, startClient, startServer } from "./support/rpc/transports.ts"
import { freshEndpoint, until } from "./support/sockets.ts"

const causeOf = <A, E>(exit: Exit.Exit<A, E>): Rpc.ConnectionError | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const { reason } = Cause.squash(exit.cause) as RpcClientError.RpcClientError
  return (reason as { readonly cause?: Rpc.ConnectionError }).cause
}

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
