/**
 * A network for the runners of a cluster and their database, in which each of them can
 * be cut off: by its link, in network namespaces, where nobody is told. Where those are
 * not permitted, by relays on this machine, which stop to carry what comes to it and
 * what goes to the database; what it dials itself to others they cannot see.
 */
import { createServer } from "node:net"
import { Effect, type Scope } from "effect"
import { ip, needsNamespaces, quietly } from "../namespaces.ts"
import { relayTo } from "../relay.ts"

export interface Address {
  readonly host: string
  readonly port: number
}

export interface Place {
  /** Where others find it, and where it listens itself. */
  readonly address: Address
  readonly listen: Address
  /** Where it finds the database. */
  readonly database: Address
  /** The command that runs a process in it. */
  readonly inside: ReadonlyArray<string>
  readonly cut: Effect.Effect<void>
  readonly mend: Effect.Effect<void>
}

export interface Network {
  readonly cuts: "links" | "relays"
  /** Where the database listens, who may come to it, and the command that runs it there. */
  readonly database: { readonly listen: Address & { readonly from: string }; readonly inside?: ReadonlyArray<string> }
  place(number: number): Effect.Effect<Place, never, Scope.Scope>
}

const runnerPort = 34431
const databasePort = 5432

const namespaces = (): Effect.Effect<Network, never, Scope.Scope> =>
  Effect.gen(function* () {
    const name = `ezmq-${process.pid}`
    const hub = `${name}-hub`
    const spaces = new Set<string>()
    const removeAll = (): void => {
      for (const space of spaces) quietly(() => ip("netns", "del", space))
    }
    const add = (space: string): void => {
      ip("netns", "add", space)
      spaces.add(space)
      ip("-n", space, "link", "set", "lo", "up")
    }
    process.on("exit", removeAll)
    yield* Effect.addFinalizer(() => Effect.sync(removeAll))
    const at = (last: number): string => `10.99.9.${last}`
    add(hub)
    ip("-n", hub, "link", "add", "hub", "type", "bridge")
    ip("-n", hub, "addr", "add", `${at(1)}/24`, "dev", "hub")
    ip("-n", hub, "link", "set", "hub", "up")
    const database = { host: at(1), port: databasePort }
    return {
      cuts: "links",
      database: { listen: { ...database, from: `${at(0)}/24` }, inside: ["ip", "netns", "exec", hub] },
      place: (number) =>
        Effect.sync(() => {
          const space = `${name}-${number}`
          const link = `to${number}`
          add(space)
          ip("-n", hub, "link", "add", link, "type", "veth", "peer", "name", "eth", "netns", space)
          ip("-n", hub, "link", "set", link, "master", "hub", "up")
          ip("-n", space, "addr", "add", `${at(10 + number)}/24`, "dev", "eth")
          ip("-n", space, "link", "set", "eth", "up")
          const address = { host: at(10 + number), port: runnerPort }
          // At the bridge: the runner's own side keeps its address.
          const set = (way: string) => Effect.sync(() => ip("-n", hub, "link", "set", link, way))
          return {
            address,
            listen: address,
            database,
            inside: ["ip", "netns", "exec", space],
            cut: set("down"),
            mend: set("up")
          }
        })
    }
  })

/** A port that is free now. */
const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { port: number }
    server.close(() => resume(Effect.succeed(port)))
  })
})

const relays = (): Effect.Effect<Network, never, Scope.Scope> =>
  Effect.gen(function* () {
    const host = "127.0.0.1"
    const database = { host, port: yield* freePort }
    return {
      cuts: "relays",
      database: { listen: { ...database, from: "127.0.0.1/32" } },
      place: () =>
        Effect.gen(function* () {
          const listen = { host, port: yield* freePort }
          const toRunner = yield* relayTo(listen)
          const toDatabase = yield* relayTo(database)
          const both = (how: "pull" | "mend") =>
            Effect.sync(() => {
              toRunner[how]()
              toDatabase[how]()
            })
          return {
            address: { host, port: toRunner.port },
            listen,
            database: { host, port: toDatabase.port },
            inside: [],
            cut: both("pull"),
            mend: both("mend")
          }
        })
    }
  })

/** Namespaces, or relays where there are none, or none are asked for. */
export const network: Effect.Effect<Network, never, Scope.Scope> = Effect.suspend(() =>
  needsNamespaces() === undefined && process.env.PROOF_RELAYS === undefined ? namespaces() : relays()
)
