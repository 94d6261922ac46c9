/** The four places where the app runs. Only these layers differ. */
import { NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Config, Effect, Layer } from "effect"
import { KeyValueStore } from "effect/persistence"
import { Curve } from "effect-zmq"
import * as Cluster from "effect-zmq/Cluster"

const database = PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") })

/** 1. One process, that needs nothing else. */
export const oneProcess = Layer.merge(Cluster.layer({ storage: "local" }), KeyValueStore.layerMemory)

/** 2. Workers of one machine, that reach each other over ipc. */
export const workers = (clientOnly: boolean) =>
  Layer.unwrap(
    Effect.map(Config.String("SOCKETS"), (folder) =>
      Cluster.layer({ clientOnly, endpoint: ({ port }) => `ipc://${folder}/${port}.sock` })
    )
  ).pipe(Layer.merge(KeyValueStore.layerSql()), Layer.provideMerge(database))

/** 3. Machines, each with the HOST and the PORT of its environment. */
export const machines = (clientOnly: boolean) =>
  Cluster.layer({ clientOnly }).pipe(Layer.merge(KeyValueStore.layerSql()), Layer.provideMerge(database))

/** 4. The same, with CURVE on all links: a folder of public certificates, and a secret one for each machine. */
export const secured = (clientOnly: boolean) =>
  Layer.unwrap(Effect.map(security, (security) => Cluster.layer({ clientOnly, security }))).pipe(
    Layer.provide(NodeServices.layer),
    Layer.merge(KeyValueStore.layerSql()),
    Layer.provideMerge(database)
  )

const security = Effect.gen(function* () {
  const keys = yield* Curve.readSecretCertificate(yield* Config.String("SECRET_KEY"))
  const known = yield* Curve.readCertificates(yield* Config.String("PUBLIC_KEYS"))
  const runners = known.filter(({ metadata }) => metadata.address !== undefined)
  return {
    keys,
    runners: Object.fromEntries(runners.map(({ metadata, publicKey }) => [metadata.address, publicKey])),
    trusted: known.map(({ publicKey }) => publicKey)
  }
})
