/** What a runner of a cluster and its client have in common: what they are told, and the layers of it. */
import * as NodeClusterSocket from "@effect/platform-node/NodeClusterSocket"
import { PgClient } from "@effect/sql-pg"
import { Layer, Logger, Option, Redacted } from "effect"
import {
  type MessageStorage,
  RunnerAddress,
  type RunnerStorage,
  type Sharding,
  ShardingConfig,
  SqlMessageStorage
} from "effect/cluster"
import { Digest } from "effect/crypto"
import type { SqlClient } from "effect/sql"
import type { Curve } from "effect-zmq"
import * as Cluster from "effect-zmq/Cluster"
import type { Address } from "../../cluster/network.ts"
import { type Locks, layerLocks } from "./locks.ts"

export type Transport = "node" | "zmq"

export interface SecurityConfig {
  readonly publicKey: Curve.PublicKey
  readonly secretKey: Curve.SecretText
  readonly runners: Readonly<Record<string, Curve.PublicKey>>
  readonly trusted: ReadonlyArray<Curve.PublicKey>
}

const securityOf = ({ security }: PeerConfig): Cluster.SecurityOptions | undefined => {
  if (security === undefined) return undefined
  const { publicKey, runners, secretKey, trusted } = security
  return { keys: { publicKey, secretKey: Redacted.make(secretKey) }, runners, trusted }
}

export interface PeerConfig {
  /** Of this process: another each time that it is started. */
  readonly name: string
  readonly transport: Transport
  readonly address?: Address
  readonly listen?: Address
  readonly database: Address
  readonly locks: Locks
  /** Seconds until the lock of a shard expires. */
  readonly expiry: number
  readonly shards: number
  readonly security?: SecurityConfig
}

export const readConfig = (): PeerConfig => JSON.parse(process.argv[2]!)

const shardingOf = (config: PeerConfig): Partial<ShardingConfig.ShardingConfig["Service"]> => {
  const addressOf = (address: Address | undefined) =>
    Option.map(Option.fromUndefinedOr(address), ({ host, port }) => RunnerAddress.make(host, port))
  return {
    runnerAddress: addressOf(config.address),
    runnerListenAddress: addressOf(config.listen),
    shardsPerGroup: config.shards,
    shardLockDisableAdvisory: config.locks === "rows",
    shardLockExpiration: config.expiry * 1000,
    shardLockRefreshInterval: (config.expiry * 1000) / 3,
    refreshAssignmentsInterval: 250,
    entityMessagePollInterval: 1000,
    runnerHealthCheckInterval: 2000
  }
}

export const layerDatabase = ({ database, name }: PeerConfig) =>
  PgClient.layer({
    url: Redacted.make(`postgres://test@${database.host}:${database.port}/postgres`),
    applicationName: name
  })

/** A runner where there is an address, and else a client. */
export const layerCluster = (
  config: PeerConfig
): Layer.Layer<Sharding.Sharding | MessageStorage.MessageStorage, unknown, SqlClient.SqlClient> => {
  const shardingConfig = shardingOf(config)
  if (config.address === undefined) {
    const options = { storage: "sql", shardingConfig, clientOnly: true } as const
    return config.transport === "node"
      ? NodeClusterSocket.layer(options)
      : Cluster.layer({ ...options, security: securityOf(config) })
  }
  const options = { storage: "byo", shardingConfig } as const
  const runner: Layer.Layer<Sharding.Sharding, unknown, MessageStorage.MessageStorage | RunnerStorage.RunnerStorage> =
    config.transport === "node"
      ? NodeClusterSocket.layer(options)
      : Cluster.layer({ ...options, security: securityOf(config) })
  return runner.pipe(
    Layer.provideMerge(Layer.provide(SqlMessageStorage.layer, Digest.layerWebCrypto)),
    Layer.provide(layerLocks(config)),
    Layer.provide(ShardingConfig.layer(shardingConfig))
  )
}

/** To stderr: the row shows it where something is wrong. */
export const layerLog = Layer.succeed(Logger.CurrentLoggers, new Set([Logger.withConsoleError(Logger.formatLogFmt)]))
