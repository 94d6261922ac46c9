/** A cluster of processes with a database of its own, whose runners can be struck in every way. */
import { fileURLToPath } from "node:url"
import { PgClient } from "@effect/sql-pg"
import { Data, Effect, Redacted, Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import { hasPostgres, missingPostgres, startPostgres } from "../../test/support/postgres.ts"
import { nodeOptions } from "../engine.ts"
import type { PeerConfig } from "../peers/cluster/peer.ts"
import { type Peer, startPeer } from "../processes.ts"
import { network, type Place } from "./network.ts"
import { Shards } from "./shards.ts"

export const needsPostgres = (): string | undefined => (hasPostgres ? undefined : missingPostgres)

export interface ClusterOptions extends Pick<PeerConfig, "transport" | "locks" | "expiry" | "shards"> {
  /** What the database has besides the tables of Effect. */
  readonly schema: ReadonlyArray<string>
  /** The script of the runners. */
  readonly runner: string
}

/** A runner from its start to its end. The next one at the same place is another. */
export interface Runner {
  readonly name: string
  /** Of its place. */
  readonly number: number
  readonly peer: Peer
  readonly place: Place
  /** The shards that it has said to have. */
  readonly shards: Shards
}

/** Did not come, however busy the machine. */
export class NeverCame extends Data.TaggedError("NeverCame")<{ readonly what: string; readonly patience: number }> {
  override get message(): string {
    return `${this.what}: not within ${this.patience / 1000} s`
  }
}

export const until = (
  what: string | (() => string),
  condition: () => boolean,
  patience = 120_000
): Effect.Effect<void, NeverCame> =>
  Effect.gen(function* () {
    const start = performance.now()
    while (!condition()) {
      if (performance.now() - start > patience) {
        return yield* new NeverCame({ what: typeof what === "string" ? what : what(), patience })
      }
      yield* Effect.sleep(10)
    }
  })

export const isOver = ({ child }: Peer): boolean => child.exitCode !== null || child.signalCode !== null

const script = (name: string): string => fileURLToPath(new URL(`../peers/cluster/${name}`, import.meta.url))

export type Cluster = Effect.Success<ReturnType<typeof startCluster>>

/** Starts the database and its network. All of it ends with the scope. */
export const startCluster = Effect.fnUntraced(function* (options: ClusterOptions) {
  const scope = yield* Effect.scope
  const net = yield* network
  const url = yield* startPostgres({
    ...net.database,
    settings: ["fsync=off", "max_connections=400", "log_min_messages=log"]
  })
  const sql = yield* Effect.provide(PgClient.make({ url: Redacted.make(url) }), Reactivity.layer)
  for (const statement of options.schema) yield* sql.unsafe(statement)

  /** All runners that there have been. */
  const runners: Array<Runner> = []
  const places = new Map<number, Place>()
  const placeOf = Effect.fnUntraced(function* (number: number) {
    const place = places.get(number) ?? (yield* Scope.provide(net.place(number), scope))
    places.set(number, place)
    return place
  })
  const run = (place: Place, file: string, config: PeerConfig, args: ReadonlyArray<string>) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const [command = "", ...rest] = [...place.inside, process.execPath, ...nodeOptions, script(file)]
        return startPeer(command, [...rest, JSON.stringify(config), ...args])
      }),
      (peer) => Effect.promise(() => peer.kill())
    ).pipe(Scope.provide(scope))
  const configOf = (name: string, place: Place): PeerConfig => ({
    name,
    transport: options.transport,
    locks: options.locks,
    expiry: options.expiry,
    shards: options.shards,
    database: place.database
  })

  /** Starts a runner at a place, and waits until it says that it has started, or has ended. */
  const start = Effect.fnUntraced(function* (number: number, more: Partial<PeerConfig> = {}) {
    const place = yield* placeOf(number)
    const name = `r${number}.${runners.filter((runner) => runner.number === number).length}`
    const config = { ...configOf(name, place), address: place.address, listen: place.listen, ...more }
    const peer = yield* run(place, options.runner, config, [])
    const runner: Runner = { name, number, peer, place, shards: new Shards(peer.lines) }
    runners.push(runner)
    yield* until(`the start of ${name}`, () => isOver(peer) || peer.lines.some((line) => line.startsWith("started")))
    return runner
  })

  /** Starts a client, and waits until it is ready. */
  const startClient = Effect.fnUntraced(function* (
    number: number,
    file: string,
    more: Partial<PeerConfig>,
    ...args: ReadonlyArray<string>
  ) {
    const place = yield* placeOf(number)
    const peer = yield* run(place, file, { ...configOf(`c${number}`, place), ...more }, args)
    yield* until("the start of the client", () => isOver(peer) || peer.lines.includes("ready"))
    return peer
  })

  const live = () => runners.filter(({ peer }) => !isOver(peer))
  /** Whether each shard is with one runner, and with one alone. */
  const isWhole = (): boolean => {
    const all = live().flatMap(({ shards }) => [...shards.now()])
    return all.length === options.shards && new Set(all).size === options.shards
  }
  const told = () => live().map(({ name, shards }) => `${name} has ${[...shards.now()].sort((a, b) => a - b)}`)
  const whole = until(() => `each shard with one runner (${told().join("; ")})`, isWhole)
  return { sql, runners, live, isWhole, whole, place: placeOf, start, startClient, cuts: net.cuts, options }
})
