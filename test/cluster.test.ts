/** A cluster of Effect over ZeroMQ: several runners in one process, that share storages in its memory. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Logger, Option, Stream } from "effect"
import { Runners, ShardingConfig, Singleton } from "effect/cluster"
import { RpcSerialization } from "effect/rpc"
import { Curve } from "effect-zmq"
import * as Cluster from "effect-zmq/Cluster"
import { sharedStorage } from "./support/cluster/locks.ts"
import { makeSeen, Pad, padOf } from "./support/cluster/pad.ts"
import { address, freePort, quick, start } from "./support/cluster/runners.ts"
import { ended } from "./support/rpc/api.ts"
import { failureOf, numbers, pause, until } from "./support/sockets.ts"

const untilSo = (done: () => boolean) => until(Effect.sync(done))

/** A cluster whose runners are started by their names, and a client. */
const cluster = (
  links: Cluster.LinkOptions = {},
  extra: Layer.Layer<never, never, import("effect/cluster").Sharding.Sharding> = Layer.empty
) =>
  Effect.gen(function* () {
    const seen = makeSeen()
    const { layer, locks, runners } = yield* sharedStorage
    const runner = (name: string, port: number, options = links, log: Layer.Layer<never> = Layer.empty) =>
      start(
        Layer.merge(padOf(name, seen, pause(5)), extra).pipe(
          Layer.provideMerge(Cluster.layer({ ...options, storage: "byo", shardingConfig: quick(port) })),
          Layer.provide(layer),
          Layer.provide(log)
        )
      )
    const client = (options: Cluster.LinkOptions = links, port?: number) =>
      Effect.gen(function* () {
        const { services } = yield* start(
          Cluster.layer({ ...options, clientOnly: true, storage: "byo", shardingConfig: quick(port) }).pipe(
            Layer.provideMerge(layer)
          )
        )
        return yield* Effect.provide(Pad.client, services)
      })
    /** Waits until so many runners have all shards between them. */
    const shared = (count: number) =>
      untilSo(() => locks.size === 12 && new Set(locks.values()).size === count && runners.size === count)
    return { seen, locks, runners, runner, client, shared }
  })

type PadClient = Effect.Success<ReturnType<Effect.Success<ReturnType<typeof cluster>>["client"]>>

const wheres = (pad: PadClient) =>
  Effect.forEach(numbers(0, 30), (id) => pad(`${id}`).where(), { concurrency: "unbounded" })

/** An entity that a runner has. */
const entityOn = (pad: PadClient, name: string) => Effect.map(wheres(pad), (names) => `${names.indexOf(name)}`)

const everyKind = (pad: PadClient, seen: ReturnType<typeof makeSeen>, id: string) =>
  Effect.gen(function* () {
    const one = pad(id)
    const results: Record<string, unknown> = {}
    const endOf = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.map(Effect.exit(self), ended)
    results.value = yield* endOf(one.get({ id: 1 }))
    results.error = yield* endOf(one.get({ id: 7 }))
    results.stream = yield* endOf(Stream.runCollect(one.count({ to: 200 }).pipe(Stream.rechunk(7))))
    results.large = (yield* one.echo({ text: "x".repeat(1_000_000) })).length
    results.persisted = (yield* one.job({ id: `${id}/a` })) === (yield* one.where())
    // Known by its key, and not done again.
    yield* one.job({ id: `${id}/a` })
    results.doneOnce = seen.done.filter((job) => job === `${id}/a`).length
    const call = yield* Effect.forkChild(one.forever({ name: `${id}/call` }))
    yield* untilSo(() => seen.running.has(`${id}/call`))
    yield* Fiber.interrupt(call)
    yield* untilSo(() => seen.interrupted.includes(`${id}/call`))
    yield* one.ticks({ name: `${id}/ticks` }).pipe(Stream.take(3), Stream.runDrain)
    yield* untilSo(() => !seen.running.has(`${id}/ticks`))
    results.defect = yield* endOf(one.die())
    results.afterDefect = yield* endOf(one.get({ id: 1 }))
    return results
  })

const everyKindExpected = {
  value: 'value "ann"',
  error: "error NotFound: ",
  stream: `value ${JSON.stringify(numbers(1, 201))}`,
  large: 1_000_000,
  persisted: true,
  doneOnce: 1,
  defect: "defect Error: boom",
  afterDefect: 'value "ann"'
}

const folder = mkdtempSync(join(tmpdir(), "effect-zmq-cluster-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))

const overIpc: Cluster.LinkOptions = { endpoint: ({ port }) => `ipc://${folder}/${port}.sock` }

/** Keys of two runners and a client, and the options of each. */
const secured = Effect.gen(function* () {
  const [one, two, client, stranger] = yield* Effect.all([
    Curve.generate,
    Curve.generate,
    Curve.generate,
    Curve.generate
  ])
  const [portOne, portTwo] = [yield* freePort, yield* freePort]
  const runners = { [`127.0.0.1:${portOne}`]: one.publicKey, [`127.0.0.1:${portTwo}`]: two.publicKey }
  const trusted = [one.publicKey, two.publicKey, client.publicKey]
  const optionsOf = (keys: Curve.KeyPair): Cluster.LinkOptions => ({ security: { keys, runners, trusted } })
  return { one, two, client, stranger, portOne, portTwo, optionsOf, runners }
})

describe("calls of every kind end as they should", () => {
  for (const [name, links] of Object.entries({ tcp: {}, ipc: overIpc })) {
    it.live(`over ${name}, from a client and from a runner`, () =>
      Effect.gen(function* () {
        const { client, runner, seen, shared } = yield* cluster(links)
        const { services } = yield* runner("one", yield* freePort)
        yield* runner("two", yield* freePort)
        yield* shared(2)
        const pad = yield* client()
        expect(new Set(yield* wheres(pad))).toEqual(new Set(["one", "two"]))
        expect(yield* everyKind(pad, seen, "from a client")).toEqual(everyKindExpected)
        const fromRunner = yield* Effect.provide(Pad.client, services)
        for (const on of ["one", "two"]) {
          expect(yield* everyKind(fromRunner, seen, yield* entityOn(fromRunner, on))).toEqual(everyKindExpected)
        }
      }).pipe(Effect.scoped)
    )
  }

  it.live("over CURVE", () =>
    Effect.gen(function* () {
      const keys = yield* secured
      const { client, runner, seen, shared } = yield* cluster()
      yield* runner("one", keys.portOne, keys.optionsOf(keys.one))
      yield* runner("two", keys.portTwo, keys.optionsOf(keys.two))
      yield* shared(2)
      const pad = yield* client(keys.optionsOf(keys.client))
      expect(new Set(yield* wheres(pad))).toEqual(new Set(["one", "two"]))
      expect(yield* everyKind(pad, seen, "secured")).toEqual(everyKindExpected)
    }).pipe(Effect.scoped)
  )
})

describe("a runner", () => {
  it.live("that joins is given shards, and one that leaves gives its own back, and answers what it has", () =>
    Effect.gen(function* () {
      const { client, locks, runner, seen, shared } = yield* cluster()
      yield* runner("one", yield* freePort)
      yield* shared(1)
      const pad = yield* client()
      expect(new Set(yield* wheres(pad))).toEqual(new Set(["one"]))
      const two = yield* runner("two", yield* freePort)
      yield* shared(2)
      yield* until(Effect.map(wheres(pad), (names) => names.includes("two")))
      const id = yield* entityOn(pad, "two")
      const slow = yield* Effect.forkChild(pad(id).slow({ name: "in hand" }))
      yield* untilSo(() => seen.running.has("in hand"))
      const end = yield* Effect.forkChild(two.end)
      yield* untilSo(() => new Set(locks.values()).size < 2 || locks.size < 12)
      seen.go.add("in hand")
      expect(yield* Fiber.join(slow)).toBe("two")
      yield* Fiber.join(end)
      expect(seen.interrupted).toEqual([])
      yield* shared(1)
      expect(new Set(yield* wheres(pad))).toEqual(new Set(["one"]))
    }).pipe(Effect.scoped)
  )

  it.live("has singletons, once among all", () =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      const alone = Singleton.make(
        "alone",
        Effect.acquireUseRelease(
          Effect.sync(() => {
            most = Math.max(most, ++running)
          }),
          () => Effect.never,
          () => Effect.sync(() => void running--)
        )
      )
      const { runner, shared } = yield* cluster({}, alone)
      const one = yield* runner("one", yield* freePort)
      yield* runner("two", yield* freePort)
      yield* shared(2)
      yield* untilSo(() => running === 1)
      yield* one.end
      yield* shared(1)
      yield* untilSo(() => running === 1)
      expect(most).toBe(1)
    }).pipe(Effect.scoped)
  )

  it.live("that is found dead by a ping is told from one that lives", () =>
    Effect.gen(function* () {
      const { runner } = yield* cluster()
      const [portOne, portTwo] = [yield* freePort, yield* freePort]
      const { services } = yield* runner("one", portOne)
      const two = yield* runner("two", portTwo)
      const { ping } = Context.get(services, Runners.Runners)
      yield* ping(address(portTwo))
      yield* two.end
      const exit = yield* Effect.exit(ping(address(portTwo)))
      expect(failureOf(exit)?._tag).toBe("RunnerUnavailable")
      // Back at the same address, it is found again.
      yield* runner("two", portTwo)
      yield* until(Effect.isSuccess(ping(address(portTwo))))
    }).pipe(Effect.scoped)
  )
})

it.live("a client listens nowhere, and is no runner, though it has an address", () =>
  Effect.gen(function* () {
    const { client, runner, runners, shared } = yield* cluster()
    const port = yield* freePort
    const pad = yield* client({}, port)
    expect(runners.size).toBe(0)
    yield* runner("one", port)
    yield* shared(1)
    expect(yield* pad("a").where()).toBe("one")
  }).pipe(Effect.scoped)
)

describe("without a key", () => {
  const logged = () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(`${message}`))
    return { lines, layer: Logger.layer([logger]) }
  }

  const pingWith = (options: Cluster.LinkOptions, port: number, log: Layer.Layer<never>) =>
    Effect.gen(function* () {
      const { layer } = yield* sharedStorage
      const { services } = yield* start(
        Cluster.layer({ ...options, clientOnly: true, storage: "byo", shardingConfig: quick() }).pipe(
          Layer.provide(layer),
          Layer.provide(log)
        )
      )
      return yield* Effect.exit(Context.get(services, Runners.Runners).ping(address(port)))
    })

  it.live("nobody calls a runner, and both sides say why", () =>
    Effect.gen(function* () {
      const keys = yield* secured
      const { client, runner, shared } = yield* cluster()
      const atRunner = logged()
      yield* runner("one", keys.portOne, keys.optionsOf(keys.one), atRunner.layer)
      yield* shared(1)
      const pad = yield* client(keys.optionsOf(keys.client))
      expect(yield* pad("a").where()).toBe("one")
      const refused = /did not accept each other|refused|Refused/
      const cases: ReadonlyArray<readonly [Cluster.LinkOptions, RegExp]> = [
        [{}, refused],
        [keys.optionsOf(keys.stranger), refused],
        // The key of another runner.
        [{ security: { keys: keys.client, runners: () => keys.two.publicKey, trusted: [] } }, refused],
        [{ security: { keys: keys.client, runners: {} } }, /Refused: security.runners has no public key of 127/]
      ]
      for (const [options, why] of cases) {
        const { layer, lines } = logged()
        const exit = yield* pingWith(options, keys.portOne, layer)
        expect(failureOf(exit)?._tag).toBe("RunnerUnavailable")
        yield* untilSo(() => lines.some((line) => why.test(line)))
      }
      yield* untilSo(() => atRunner.lines.some((line) => line.includes("ZAP denied a peer: the public key is unknown")))
      yield* untilSo(() => atRunner.lines.some((line) => line.includes("did not accept each other")))
      expect(yield* pad("a").where()).toBe("one")
    }).pipe(Effect.scoped)
  )
})

describe("wrong options are typed", () => {
  const pair = Effect.runSync(Curve.generate)
  const wrong: Record<string, unknown> = {
    storage: "mysql",
    serialization: "json",
    runnerHealth: "k8s",
    clientOnly: 1,
    endpoint: "ipc:///tmp/a",
    pingInterval: 0,
    pingTimeout: -1,
    openTimeout: "soon",
    maxMessageSize: 0,
    maxPendingPerRunner: 1.5,
    shardingConfig: 1,
    bind: "tcp://127.0.0.1:*",
    security: 1,
    "security.keys": { keys: 1, runners: {} },
    "security.runners": { keys: pair, runners: 1 },
    'security.runners["a:1"]': { keys: pair, runners: { "a:1": "short" } },
    "security.trusted": { keys: pair, runners: () => undefined },
    "security.other": { keys: pair, runners: {}, other: 1 },
    "security.keys, a public key": { keys: { ...pair, publicKey: "short" }, runners: {} }
  }
  for (const [option, value] of Object.entries(wrong)) {
    it.live(option, () =>
      Effect.gen(function* () {
        const name = option.startsWith("security") ? "security" : option
        const layer = Cluster.layer({ storage: "local", [name]: value })
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(layer)))
        expect(failureOf(exit)).toMatchObject({ _tag: "OptionError" })
        expect(`${Exit.isFailure(exit) && exit.cause}`).toContain(option.replace(/,.*/, ""))
      })
    )
  }

  // A hand that puts a runner together, and one that puts a client together.
  const links: Record<string, object> = {
    pingInterval: { pingInterval: 0 },
    storage: { storage: "local" },
    "security.runners": { security: { keys: pair, runners: 1 } }
  }
  for (const [option, options] of Object.entries(links)) {
    it.live(`of links alone: ${option}`, () =>
      Effect.gen(function* () {
        const ofClient = yield* Effect.exit(Effect.scoped(Layer.build(Cluster.layerClientProtocol(options))))
        const ofServer = yield* Effect.exit(Effect.scoped(Layer.build(Cluster.layerServerProtocol(options))))
        const failures = [failureOf(ofClient), failureOf(ofServer)]
        for (const failure of failures) expect(failure).toMatchObject({ _tag: "OptionError", option })
      }).pipe(Effect.provide([RpcSerialization.layerSchemaBinary(), ShardingConfig.layer(quick(1))]))
    )
  }

  it.live("a runner without an address, and one whose address is taken", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const { layer } = yield* sharedStorage
      const runner = (shardingConfig: ReturnType<typeof quick>) =>
        Effect.exit(start(Cluster.layer({ storage: "byo", shardingConfig }).pipe(Layer.provide(layer))))
      const nowhere = yield* runner({ ...quick(), runnerAddress: Option.none() })
      expect(failureOf(nowhere)).toMatchObject({ _tag: "OptionError", option: "shardingConfig.runnerAddress" })
      expect(Exit.isSuccess(yield* runner(quick(port)))).toBe(true)
      const taken = yield* runner(quick(port))
      expect(failureOf(taken)).toMatchObject({ _tag: "BindError", reason: "AddressInUse" })
    }).pipe(Effect.scoped)
  )
})
