/** How a runner is called by the others: a server of RPC. */
import * as Cause from "effect/Cause"
import * as Runners from "effect/cluster/Runners"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Rpc from "effect/rpc/Rpc"
import type { FromServerEncoded } from "effect/rpc/RpcMessage"
import type { RpcSerialization } from "effect/rpc/RpcSerialization"
import type * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { LinkOptions, SecurityOptions } from "../../Cluster.ts"
import type { Server } from "../../Curve.ts"
import type { ServerState } from "../../Rpc.ts"
import { OptionError, type SocketError } from "../../ZmqError.ts"
import { makeProtocolServer } from "../rpc/protocolServer.ts"
import { placeToBind } from "./endpoints.ts"

/** Whom the authenticator is asked about. */
export const domain = "cluster"

const curveServer = ({ keys: { publicKey, secretKey } }: SecurityOptions): Server => ({
  _tag: "CurveServer",
  publicKey,
  secretKey,
  domain
})

// Its failures are encoded as those of all others are.
const { error, defect } = Rpc.exitSchema(Runners.Rpcs.requests.get("Effect")!)
const anyExit = Schema.Exit(Schema.Unknown, error, defect)

/**
 * As it ends, the server of RPC interrupts the calls that it has, and would tell those who wait that they are interrupted. But
 * a call is the next owner's then. So they are told nothing: the link ends at once, and effect/cluster makes the call
 * again, or looks for its reply in the storage.
 */
const endQuietly = (protocol: RpcServer.Protocol["Service"]): RpcServer.Protocol["Service"] => {
  const decode = Schema.decodeUnknownOption(protocol.codecFor(anyExit))
  const isInterruption = (response: FromServerEncoded): boolean => {
    if (response._tag !== "Exit") return false
    const exit = Option.getOrUndefined(decode(response.exit))
    return exit?._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause)
  }
  let ends = false
  return {
    ...protocol,
    run: (handle) =>
      Effect.onExit(protocol.run(handle), () =>
        Effect.sync(() => {
          ends = true
        })
      ),
    send: (clientId, response, transferables) =>
      ends && isInterruption(response) ? Effect.void : protocol.send(clientId, response, transferables)
  }
}

export const makeServerProtocol = (
  options: LinkOptions
): Effect.Effect<
  { readonly protocol: RpcServer.Protocol["Service"]; readonly endpoint: ServerState },
  SocketError,
  RpcSerialization | ShardingConfig.ShardingConfig | Scope.Scope
> =>
  Effect.gen(function* () {
    const { runnerAddress, runnerListenAddress } = yield* ShardingConfig.ShardingConfig
    const address = Option.getOrUndefined(Option.orElse(runnerListenAddress, () => runnerAddress))
    if (address === undefined) {
      return yield* new OptionError({
        option: "shardingConfig.runnerAddress",
        value: undefined,
        expected: "the address of this runner, or clientOnly: true for one that only calls"
      })
    }
    const { endpoint, ipv6 } = yield* placeToBind(options.endpoint, address)
    const { security } = options
    const server = yield* makeProtocolServer({
      ...(ipv6 === undefined ? {} : { ipv6 }),
      ...(security === undefined ? {} : { security: curveServer(security) }),
      bind: endpoint,
      maxMessageSize: options.maxMessageSize,
      // Another runner is one client, however many of its entities call.
      maxPendingPerClient: options.maxPendingPerRunner ?? 100_000
    })
    const where = server.endpoint.endpoints.join(" ")
    yield* Effect.logInfo(`effect-zmq: the runner listens on ${where}`)
    return { ...server, protocol: endQuietly(server.protocol) }
  })
