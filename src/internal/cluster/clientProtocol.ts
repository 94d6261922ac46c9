/** How a runner calls the others: a client of RPC for each. */
import type * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as Runners from "effect/cluster/Runners"
import * as Effect from "effect/Effect"
import * as RpcClient from "effect/rpc/RpcClient"
import type { FromClientEncoded } from "effect/rpc/RpcMessage"
import { RpcSerialization } from "effect/rpc/RpcSerialization"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { LinkOptions, SecurityOptions } from "../../Cluster.ts"
import type { Client, PublicKey } from "../../Curve.ts"
import type { OptionError } from "../../ZmqError.ts"
import { ConnectionError, connectionErrorOf, toClientError } from "../rpc/errors.ts"
import { makeProtocolClient } from "../rpc/protocolClient.ts"
import { keyOf, placeToConnect } from "./endpoints.ts"

// A runner that is back is to be found within a second.
const retryPolicy = Schedule.min([Schedule.exponential(100, 1.5), Schedule.spaced(1000)])

const serverKeyOf = ({ runners }: SecurityOptions, address: RunnerAddress.RunnerAddress): PublicKey | undefined =>
  typeof runners === "function" ? runners(address) : runners[keyOf(address)]

const securityFor = (
  security: SecurityOptions | undefined,
  address: RunnerAddress.RunnerAddress
): { readonly security?: Client } | "stranger" => {
  if (security === undefined) return {}
  const serverKey = serverKeyOf(security, address)
  if (serverKey === undefined) return "stranger"
  const { publicKey, secretKey } = security.keys
  return { security: { _tag: "CurveClient", publicKey, secretKey, serverKey } }
}

const Notify = Runners.Rpcs.requests.get("Notify")!

/**
 * effect/cluster makes a call again that has failed, and of a call that is too large there is no end to that. So it is a
 * defect: a persisted call is found in the storage by the runner that it is for, and a volatile one ends with it. To be told
 * of a persisted message need not succeed.
 */
const endTooLarge = (protocol: RpcClient.Protocol["Service"]): RpcClient.Protocol["Service"] => {
  const decode = Schema.decodeUnknownEffect(protocol.codecFor(Notify.payloadSchema))
  const isPersisted = (message: FromClientEncoded) =>
    message._tag === "Request" && message.tag === Notify._tag
      ? Effect.map(decode(message.payload), (payload) => payload instanceof Object && payload.persisted)
      : Effect.succeed(false)
  return {
    ...protocol,
    send: (clientId, message, transferables) =>
      Effect.catch(protocol.send(clientId, message, transferables), (error) => {
        const known = connectionErrorOf(error)
        if (known?.reason !== "TooLarge") return Effect.fail(error)
        return Effect.flatMap(Effect.orDie(isPersisted(message)), (persisted) =>
          persisted ? Effect.fail(error) : Effect.die(known)
        )
      })
  }
}

/** A runner that cannot be called. */
const unreachable = (error: ConnectionError): Effect.Effect<RpcClient.Protocol["Service"], never, RpcSerialization> =>
  Effect.gen(function* () {
    const { codecFor } = yield* RpcSerialization
    yield* Effect.logWarning(`effect-zmq: ${error.message}`)
    return yield* RpcClient.Protocol.make(() =>
      Effect.succeed({
        send: (_clientId, message) =>
          message._tag === "Request" ? Effect.fail(toClientError(error, "open")) : Effect.void,
        supportsAck: true,
        supportsTransferables: false,
        codecFor
      })
    )
  })

const make = (
  options: LinkOptions,
  address: RunnerAddress.RunnerAddress
): Effect.Effect<RpcClient.Protocol["Service"], never, RpcSerialization | Scope.Scope> =>
  Effect.gen(function* () {
    const { endpoint, ipv6 } = yield* placeToConnect(options.endpoint, address)
    const security = securityFor(options.security, address)
    if (security === "stranger") {
      const detail = `security.runners has no public key of ${keyOf(address)}`
      return yield* unreachable(new ConnectionError({ endpoint, reason: "Refused", detail }))
    }
    return yield* makeProtocolClient({
      ...security,
      ...(ipv6 === undefined ? {} : { ipv6 }),
      connect: endpoint,
      maxMessageSize: options.maxMessageSize,
      openTimeout: options.openTimeout ?? 2000,
      pingInterval: options.pingInterval,
      pingTimeout: options.pingTimeout,
      retryPolicy
    }).pipe(
      Effect.map(endTooLarge),
      Effect.catch((cause: OptionError) =>
        unreachable(new ConnectionError({ endpoint, reason: "Unreachable", detail: cause.message, cause }))
      )
    )
  })

export const makeClientProtocol = (
  options: LinkOptions
): Effect.Effect<Runners.RpcClientProtocol["Service"], never, RpcSerialization> =>
  Effect.map(RpcSerialization, (serialization) => ({
    codecFor: serialization.codecFor,
    make: (address) => Effect.provideService(make(options, address), RpcSerialization, serialization)
  }))
