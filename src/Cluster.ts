/**
 * The cluster of Effect (`effect/cluster`) over ZeroMQ: sharded entities, workflows,
 * singletons and cron jobs on any number of runners, that reach each other over tcp, or
 * over ipc on one machine, and know each other by their keys (CURVE).
 *
 * It is used as `NodeClusterSocket` of `@effect/platform-node`: what an app is made of
 * stays as it is, and one layer is another.
 *
 * `effect/cluster` is marked unstable: this module goes with the version of `effect` that
 * it was built with, 4.1.
 *
 * **Example** (A runner, with Postgres)
 *
 * ```ts
 * import { PgClient } from "@effect/sql-pg"
 * import { Config, Effect, Layer, Option, Schema } from "effect"
 * import { Entity, RunnerAddress } from "effect/cluster"
 * import { Rpc } from "effect/rpc"
 * import * as Cluster from "effect-zmq/Cluster"
 *
 * const Greeter = Entity.make("Greeter", [
 *   Rpc.make("greet", { payload: { name: Schema.String }, success: Schema.String })
 * ])
 *
 * const Handlers = Greeter.toLayer({ greet: ({ payload }) => Effect.succeed(`hello ${payload.name}`) })
 *
 * export const runner = Handlers.pipe(
 *   Layer.provide(
 *     Cluster.layer({ shardingConfig: { runnerAddress: Option.some(RunnerAddress.make("10.0.0.1", 4001)) } })
 *   ),
 *   Layer.provide(PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") })),
 *   Layer.launch
 * )
 * ```
 *
 * @since 0.1.0
 */

import * as Cause from "effect/Cause"
import type { ConfigError } from "effect/Config"
import * as Context from "effect/Context"
import { EntityNotAssignedToRunner } from "effect/cluster/ClusterError"
import * as MessageStorage from "effect/cluster/MessageStorage"
import type { RunnerAddress } from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as RunnerServer from "effect/cluster/RunnerServer"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Runners from "effect/cluster/Runners"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlMessageStorage from "effect/cluster/SqlMessageStorage"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import * as Digest from "effect/crypto/Digest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import type { SqlClient } from "effect/sql/SqlClient"
import type * as Curve from "./Curve.ts"
import { makeClientProtocol } from "./internal/cluster/clientProtocol.ts"
import { checkLinkOptions, checkOptions, linkOptionsOf } from "./internal/cluster/options.ts"
import { domain, makeServerProtocol } from "./internal/cluster/serverProtocol.ts"
import { checked } from "./internal/rpc/options.ts"
import { ServerEndpoint } from "./Rpc.ts"
import * as Zap from "./Zap.ts"
import * as ZmqContext from "./ZmqContext.ts"
import type { OptionError, SocketError } from "./ZmqError.ts"

// -----------------------------------------------------------------------------
// links
// -----------------------------------------------------------------------------

/**
 * The keys of a cluster: every link is encrypted, a runner is reached by its public key
 * alone, and lets in whom it trusts.
 *
 * @category options
 * @since 0.1.0
 */
export interface SecurityOptions {
  /** The pair of keys of this runner, or of this client. */
  readonly keys: Curve.KeyPair
  /**
   * The public keys of the runners, by their addresses as others know them (`runnerAddress`): a table like
   * `{ "10.0.0.1:4001": key }`, or a function of an address. To a runner whose key is not known nothing is sent.
   */
  readonly runners:
    | Readonly<Record<string, Curve.PublicKey>>
    | ((address: RunnerAddress) => Curve.PublicKey | undefined)
  /**
   * Who may call this runner: public keys, and the runner itself, or an authenticator, which may change its mind as long as
   * it runs. Who is refused is said in the log. Default: the keys of `runners`, if that is a table.
   */
  readonly trusted?: ReadonlyArray<Curve.PublicKey> | Zap.Authenticator<Zap.CurveRequest, unknown, never> | undefined
}

/**
 * What the links between runners are made of.
 *
 * @category options
 * @since 0.1.0
 */
export interface LinkOptions {
  /**
   * The endpoint that an address stands for, where a runner listens and others reach it: for workers of one machine
   * `({ port }) => `ipc:///run/app/${port}``. Default: `tcp://` with its host and port.
   */
  readonly endpoint?: ((address: RunnerAddress) => string) | undefined
  /** CURVE on all links. Default: none, and whoever reaches a runner may call it. */
  readonly security?: SecurityOptions | undefined
  /**
   * How often another runner is asked whether it is there, by a message that its event loop has to answer.
   * Default: 5 seconds.
   */
  readonly pingInterval?: Duration.Input | undefined
  /**
   * How long it may say nothing behind that. Then the calls that it has are made again, where its shards are by then.
   * Default: the `pingInterval`.
   */
  readonly pingTimeout?: Duration.Input | undefined
  /** How long another runner may take to answer for the first time. Default: 2 seconds. */
  readonly openTimeout?: Duration.Input | undefined
  /** The largest message, in bytes, that one runner takes of another. Default: 16 MiB. */
  readonly maxMessageSize?: number | undefined
  /**
   * How many calls of one runner another may have under way, and how many replies may wait for it. Beyond, the link is
   * ended, and its calls are made again. Default: 100,000.
   */
  readonly maxPendingPerRunner?: number | undefined
}

/**
 * How a runner, or a client, calls runners: a connection to each that is called, made again
 * by itself. For `Runners.layerRpc`.
 *
 * **Details**
 *
 * A call whose runner is lost fails within a second, or by `pingTimeout` if its process is
 * stopped or the network cut, and `effect/cluster` makes it again where the shard is then.
 *
 * Fails with an `OptionError`. What a runner cannot be reached for is in the log: no answer, or
 * that it lets us not in, or that `security.runners` has no key of it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClientProtocol = (
  options: LinkOptions = {}
): Layer.Layer<Runners.RpcClientProtocol, OptionError, RpcSerialization.RpcSerialization> =>
  Layer.effect(
    Runners.RpcClientProtocol,
    Effect.andThen(
      checked(() => checkLinkOptions(options)),
      makeClientProtocol(options)
    )
  )

/**
 * How a runner is called: by one ROUTER, bound where `runnerListenAddress` of the `ShardingConfig`
 * says, or else `runnerAddress`. For `RunnerServer.layerWithClients`.
 *
 * **Details**
 *
 * With `security` the socket is in a context of its own, with an authenticator of its own, so
 * that the authenticator of the app is not asked about runners.
 *
 * Fails with the `SocketError` of the socket, as a `BindError`, or an `OptionError`.
 *
 * **Example** (A runner that is put together by hand)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { MessageStorage, RunnerHealth, RunnerServer, RunnerStorage, ShardingConfig } from "effect/cluster"
 * import { RpcSerialization } from "effect/rpc"
 * import * as Cluster from "effect-zmq/Cluster"
 *
 * export const runner = RunnerServer.layerWithClients.pipe(
 *   Layer.provide([Cluster.layerServerProtocol(), Cluster.layerClientProtocol(), RunnerHealth.layerNoop]),
 *   Layer.provide([MessageStorage.layerNoop, RunnerStorage.layerMemory, RpcSerialization.layerNdjson]),
 *   Layer.provide(ShardingConfig.layer())
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerServerProtocol = (
  options: LinkOptions = {}
): Layer.Layer<
  RpcServer.Protocol | ServerEndpoint,
  SocketError,
  RpcSerialization.RpcSerialization | ShardingConfig.ShardingConfig
> => {
  const valid = checked(() => checkLinkOptions(options))
  const server = Layer.effectContext(
    Effect.map(makeServerProtocol(options), ({ endpoint, protocol }) =>
      Context.make(RpcServer.Protocol, protocol).pipe(Context.add(ServerEndpoint, endpoint))
    )
  )
  return Layer.unwrap(
    Effect.map(valid, () =>
      options.security === undefined ? server : Layer.provide(server, layerAuthenticator(options.security))
    )
  )
}

/** A context of its own, whose authenticator lets in whom a runner trusts. */
const layerAuthenticator = ({ keys, runners, trusted }: SecurityOptions) => {
  const listed = trusted ?? Object.values(runners)
  const curve = typeof listed === "function" ? listed : [...listed, keys.publicKey]
  return Zap.layer({ domains: { [domain]: { curve } } }).pipe(Layer.provideMerge(ZmqContext.Context.layer()))
}

// -----------------------------------------------------------------------------
// runners
// -----------------------------------------------------------------------------

/**
 * Options of a runner, or of a client of the cluster.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<
  ClientOnly extends boolean = boolean,
  Storage extends "local" | "sql" | "byo" = "local" | "sql" | "byo",
  Health extends "ping" | "byo" = "ping" | "byo"
> extends LinkOptions {
  /** Only calls entities, and has none: it listens nowhere. Default: `false`. */
  readonly clientOnly?: ClientOnly | undefined
  /**
   * Where messages, replies and the locks of shards are: `"sql"` in the database of the `SqlClient`, `"local"` in the memory of a
   * single runner, to begin with: it is lost with its process, and grows with each persisted message. Or `"byo"`, in the `MessageStorage` and the `RunnerStorage` that are provided.
   * Default: `"sql"`.
   */
  readonly storage?: Storage | undefined
  /** How calls are encoded, by all runners alike. Default: `"binary"`. */
  readonly serialization?: "binary" | "ndjson" | undefined
  /**
   * How it is found out whether a runner is alive: by a call that it answers, or by the `RunnerHealth` that is provided,
   * like `RunnerHealth.layerK8s`. Default: `"ping"`.
   */
  readonly runnerHealth?: Health | undefined
  /** What is to be otherwise than the environment has it, or the defaults of `ShardingConfig`. */
  readonly shardingConfig?: Partial<ShardingConfig.ShardingConfig["Service"]> | undefined
}

/**
 * A runner of the cluster over ZeroMQ, or a client of it: for the layers of entities,
 * workflows, singletons and cron jobs.
 *
 * **Details**
 *
 * When its scope closes, as at a SIGTERM under `NodeRuntime.runMain`, entities finish what
 * they have in hand, at most for `entityTerminationTimeout`, their replies are sent, and their
 * shards are free at once. See docs/cluster.md for what is promised, and what is not.
 *
 * Fails with the `SocketError` of its socket (a client: with an `OptionError`), or a `ConfigError`
 * of the environment.
 *
 * **Example** (A client, over CURVE)
 *
 * ```ts
 * import { Curve } from "effect-zmq"
 * import * as Cluster from "effect-zmq/Cluster"
 *
 * export const client = (keys: Curve.KeyPair, runners: Readonly<Record<string, Curve.PublicKey>>) =>
 *   Cluster.layer({ clientOnly: true, security: { keys, runners } })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <
  const ClientOnly extends boolean = false,
  const Storage extends "local" | "sql" | "byo" = "sql",
  const Health extends "ping" | "byo" = "ping"
>(
  options: Options<ClientOnly, Storage, Health> = {}
): Layer.Layer<
  Sharding.Sharding | Runners.Runners | ("byo" extends Storage ? never : MessageStorage.MessageStorage),
  ConfigError | (ClientOnly extends true ? OptionError : SocketError),
  | ("local" extends Storage
      ? never
      : "byo" extends Storage
        ? MessageStorage.MessageStorage | RunnerStorage.RunnerStorage
        : SqlClient)
  | ("byo" extends Health ? (ClientOnly extends true ? never : RunnerHealth.RunnerHealth) : never)
> =>
  // What is needed and provided is decided by values, of which the compiler knows no more than the signature says.
  Layer.unwrap(
    Effect.map(
      checked(() => checkOptions(options)),
      () => compose(options)
    )
  ) as never

const compose = (options: Options) => {
  const links = linkOptionsOf(options)
  const clientProtocol = layerClientProtocol(links)
  const ping = RunnerHealth.layerPing.pipe(Layer.provide(Runners.layerRpc), Layer.provide(clientProtocol))
  const runner = RunnerServer.layer.pipe(
    Layer.updateService(Sharding.Sharding, leaveToNext),
    Layer.provideMerge(Sharding.layer),
    Layer.provideMerge(Runners.layerRpc),
    Layer.provide(options.runnerHealth === "byo" ? Layer.empty : ping),
    Layer.provide([layerServerProtocol(links), clientProtocol])
  )
  return (options.clientOnly ? Layer.provide(RunnerServer.layerClientOnly, clientProtocol) : runner).pipe(
    Layer.provideMerge(messageStorage[options.storage ?? "sql"]),
    Layer.provide(runnerStorage[options.storage ?? "sql"]),
    Layer.provide(ShardingConfig.layerFromEnv(options.shardingConfig)),
    Layer.provide(
      options.serialization === "ndjson"
        ? RpcSerialization.layerNdjsonWith({ maxBufferSize: options.maxMessageSize })
        : RpcSerialization.layerSchemaBinary({ maxFrameSize: options.maxMessageSize })
    )
  )
}

/** A call that comes to an entity that ends is interrupted by `effect/cluster`. It is the next owner's instead. */
const leaveToNext = (sharding: Sharding.Sharding["Service"]): Sharding.Sharding["Service"] => ({
  ...sharding,
  send: (message) =>
    Effect.catchCauseIf(sharding.send(message), Cause.hasInterruptsOnly, () =>
      Effect.fail(new EntityNotAssignedToRunner({ address: message.envelope.address }))
    )
})

const messageStorage = {
  local: MessageStorage.layerMemory,
  byo: Layer.empty,
  sql: Layer.provide(SqlMessageStorage.layer, Digest.layerWebCrypto)
}

const runnerStorage = {
  local: RunnerStorage.layerMemory,
  byo: Layer.empty,
  sql: Layer.orDie(SqlRunnerStorage.layer)
}
