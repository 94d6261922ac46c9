/** What the links of a cluster are made of: where runners are, whom they let in, how long they wait. */
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { createConnection } from "node:net"
import { networkInterfaces, tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Logger, Option } from "effect"
import { RunnerAddress, Runners } from "effect/cluster"
import { RpcClient, RpcSerialization } from "effect/rpc"
import { Curve, Zap, Zmq } from "effect-zmq"
import * as Cluster from "effect-zmq/Cluster"
import * as Rpc from "effect-zmq/Rpc"
import { sharedStorage } from "./support/cluster/locks.ts"
import { makeSeen, Pad, padOf } from "./support/cluster/pad.ts"
import { address, freePort, quick, start } from "./support/cluster/runners.ts"
import { failureOf, numbers, pause, until } from "./support/sockets.ts"

const untilSo = (done: () => boolean) => until(Effect.sync(done))

const logged = () => {
  const lines: Array<string> = []
  return { lines, layer: Logger.layer([Logger.make(({ message }) => void lines.push(`${message}`))]) }
}

const addressed = (where: RunnerAddress.RunnerAddress): Cluster.Options["shardingConfig"] => ({
  ...quick(),
  runnerAddress: Option.some(where)
})

/** A runner at an address, and what its handlers have seen. */
const runnerAt = (
  where: RunnerAddress.RunnerAddress,
  options: Cluster.LinkOptions,
  storage: Layer.Layer<
    import("effect/cluster").MessageStorage.MessageStorage | import("effect/cluster").RunnerStorage.RunnerStorage
  >,
  log: Layer.Layer<never> = Layer.empty
) =>
  Effect.gen(function* () {
    const seen = makeSeen()
    yield* start(
      padOf("one", seen, pause(5)).pipe(
        Layer.provide(Cluster.layer({ ...options, storage: "byo", shardingConfig: addressed(where) })),
        Layer.provide(storage),
        Layer.provide(log)
      )
    )
    return seen
  })

const clientOf = (
  options: Cluster.LinkOptions & Pick<Cluster.Options, "serialization">,
  storage: Parameters<typeof runnerAt>[2],
  log: Layer.Layer<never> = Layer.empty
) =>
  Effect.gen(function* () {
    const { services } = yield* start(
      Cluster.layer({ ...options, clientOnly: true, storage: "byo", shardingConfig: quick() }).pipe(
        Layer.provideMerge(storage),
        Layer.provide(log)
      )
    )
    return { pad: yield* Effect.provide(Pad.client, services), runners: Context.get(services, Runners.Runners) }
  })

const folder = mkdtempSync(join(tmpdir(), "effect-zmq-links-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))

describe("a runner is called", () => {
  const hasIpv6 = networkInterfaces().lo?.some(({ address }) => address === "::1") === true
  const places = {
    "by the endpoint that its address stands for": {
      host: "of-no-network",
      options: { endpoint: ({ host, port }) => `ipc://${folder}/${host}-${port}` },
      runs: true
    },
    "by the name of a host": { host: "localhost", options: {}, runs: true },
    "by an address of IPv6": { host: "::1", options: {}, runs: hasIpv6 }
  } satisfies Record<string, { readonly host: string; readonly options: Cluster.LinkOptions; readonly runs: boolean }>
  for (const [name, { host, options, runs }] of Object.entries(places)) {
    it.live.skipIf(!runs)(name, () =>
      Effect.gen(function* () {
        const { layer } = yield* sharedStorage
        const port = yield* freePort
        yield* runnerAt(RunnerAddress.make(host, port), options, layer)
        const { pad } = yield* clientOf(options, layer)
        expect(yield* pad("a").where()).toBe("one")
        if ("endpoint" in options) expect(existsSync(join(folder, `${host}-${port}`))).toBe(true)
      }).pipe(Effect.scoped)
    )
  }
})

describe("a runner that says nothing", () => {
  const pinged = (options: Cluster.LinkOptions, answers: boolean) =>
    Effect.gen(function* () {
      const port = yield* freePort
      const heard: Array<string> = []
      const router = yield* Zmq.router({ bind: `tcp://127.0.0.1:${port}`, linger: 0 })
      yield* Effect.forkScoped(
        Effect.forever(
          Effect.flatMap(router.recv, ([id, ...rest]) => {
            const text = `${rest.at(-1)}`
            heard.push(text)
            return answers && text.startsWith("\0H") ? router.send([id!, "\0W"]) : Effect.void
          })
        )
      )
      const { layer } = yield* sharedStorage
      const { layer: log, lines } = logged()
      const { runners } = yield* clientOf({ ...options, serialization: "ndjson" }, layer, log)
      expect(failureOf(yield* Effect.exit(runners.ping(address(port))))?._tag).toBe("RunnerUnavailable")
      return { heard, lines }
    }).pipe(Effect.scoped)

  it.live("at all is given up after openTimeout", () =>
    Effect.gen(function* () {
      const { lines } = yield* pinged({ openTimeout: "123 millis" }, false)
      expect(lines.join()).toContain("Unreachable: no answer for 123 ms")
    })
  )

  it.live("any more is asked each pingInterval, and given up after pingTimeout", () =>
    Effect.gen(function* () {
      const { heard, lines } = yield* pinged({ pingInterval: 200, pingTimeout: 300 }, true)
      expect(heard.filter((text) => text.includes(`"Ping"`) && !text.includes("Request")).length).toBeGreaterThan(0)
      // Of each look at the time not more than twice its step counts.
      const [, idle] = /Silent: nothing for (\d+) ms/.exec(lines.join()) ?? []
      expect(Number(idle)).toBeGreaterThan(500)
      expect(Number(idle)).toBeLessThanOrEqual(500 + 2 * 50)
    })
  )
})

describe("security", () => {
  it.live("an authenticator may change its mind, and runners may be a function", () =>
    Effect.gen(function* () {
      const [one, client] = [yield* Curve.generate, yield* Curve.generate]
      const port = yield* freePort
      let trusts = true
      const trusted: Zap.Authenticator<Zap.CurveRequest, unknown, never> = ({ publicKey }) =>
        Effect.succeed(trusts && publicKey === client.publicKey ? Zap.accept() : Zap.deny("revoked"))
      const asked: Array<string> = []
      const runners = ({ host, port }: RunnerAddress.RunnerAddress) => {
        asked.push(`${host}:${port}`)
        return one.publicKey
      }
      const { layer } = yield* sharedStorage
      const atRunner = logged()
      yield* runnerAt(address(port), { security: { keys: one, runners, trusted } }, layer, atRunner.layer)
      const links: Cluster.LinkOptions = { security: { keys: client, runners, trusted: [] } }
      const first = yield* clientOf(links, layer)
      expect(yield* first.pad("a").where()).toBe("one")
      expect(asked).toContain(`127.0.0.1:${port}`)
      trusts = false
      const second = yield* clientOf(links, layer)
      expect(failureOf(yield* Effect.exit(second.runners.ping(address(port))))?._tag).toBe("RunnerUnavailable")
      yield* untilSo(() => atRunner.lines.some((line) => line.includes("ZAP denied")))
      // Who was let in stays: it is asked about at the next connection.
      expect(yield* first.pad("a").where()).toBe("one")
      trusts = true
      yield* until(Effect.isSuccess(second.runners.ping(address(port))))
    }).pipe(Effect.scoped)
  )

  it.live("who has the keys of a runner is let in as it is, and nobody else", () =>
    Effect.gen(function* () {
      const [one, two, stranger] = [yield* Curve.generate, yield* Curve.generate, yield* Curve.generate]
      const [port, other] = [yield* freePort, yield* freePort]
      const runners = { [`127.0.0.1:${port}`]: one.publicKey, [`127.0.0.1:${other}`]: two.publicKey }
      const { layer } = yield* sharedStorage
      // No list of its own: the keys of the runners are trusted. An empty one: itself alone.
      yield* runnerAt(address(port), { security: { keys: one, runners } }, layer)
      yield* runnerAt(address(other), { security: { keys: two, runners, trusted: [] } }, (yield* sharedStorage).layer)
      const ends = []
      for (const keys of [one, two, stranger]) {
        const { runners: client } = yield* clientOf({ security: { keys, runners } }, layer)
        for (const at of [port, other]) ends.push((yield* Effect.exit(client.ping(address(at))))._tag)
      }
      expect(ends).toEqual(["Success", "Failure", "Success", "Success", "Failure", "Failure"])
    }).pipe(Effect.scoped)
  )

  // What docs/cluster.md says of a cluster without security.
  it.live("without it whoever reaches the port may call, and needs no storage", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const { layer } = yield* sharedStorage
      yield* runnerAt(address(port), {}, layer)
      const protocol = yield* Rpc.makeProtocolClient({ connect: `tcp://127.0.0.1:${port}` })
      const stranger = yield* RpcClient.make(Runners.Rpcs).pipe(Effect.provideService(RpcClient.Protocol, protocol))
      yield* stranger.Ping()
    }).pipe(Effect.scoped, Effect.provide(RpcSerialization.layerSchemaBinary()))
  )
})

it.live("who has more calls under way than maxPendingPerRunner is ended alone, and goes on with fewer", () =>
  Effect.gen(function* () {
    const { layer } = yield* sharedStorage
    const port = yield* freePort
    const log = logged()
    yield* runnerAt(address(port), { maxPendingPerRunner: 10 }, layer, log.layer)
    const [greedy, other] = [yield* clientOf({}, layer), yield* clientOf({}, layer)]
    expect(yield* other.pad("a").where()).toBe("one")
    const calls = yield* Effect.forkChild(
      Effect.forEach(numbers(0, 11), (id) => greedy.pad(`${id}`).forever({ name: `${id}` }), {
        concurrency: "unbounded"
      })
    )
    yield* untilSo(() => log.lines.some((line) => line.includes("(behind): 10 of its calls are not done")))
    for (const id of numbers(0, 20)) expect(yield* other.pad(`${id}`).where()).toBe("one")
    yield* Fiber.interrupt(calls)
    // Short ones get through, as each is made again.
    const wheres = Effect.forEach(numbers(0, 30), (id) => greedy.pad(`${id}`).where(), { concurrency: "unbounded" })
    expect(new Set(yield* wheres)).toEqual(new Set(["one"]))
  }).pipe(Effect.scoped)
)

describe("whoever comes to the port of a runner", () => {
  const write = (port: number, bytes: Buffer | string) =>
    Effect.callback<void>((resume) => {
      const socket = createConnection(port, "127.0.0.1", () => socket.write(bytes))
      // Where the runner does not hang up, whoever came leaves by itself.
      const timer = setTimeout(() => socket.destroy(), 300)
      socket.on("error", () => {})
      socket.on("close", () => {
        clearTimeout(timer)
        resume(Effect.void)
      })
      socket.resume()
    })

  for (const isSecured of [false, true]) {
    it.live(`with nonsense stops no call${isSecured ? ", over CURVE" : ""}`, () =>
      Effect.gen(function* () {
        const [one, client] = [yield* Curve.generate, yield* Curve.generate]
        const port = yield* freePort
        const runners = { [`127.0.0.1:${port}`]: one.publicKey }
        const linksOf = (keys: Curve.KeyPair): Cluster.LinkOptions =>
          isSecured ? { security: { keys, runners, trusted: [client.publicKey] } } : {}
        const { layer } = yield* sharedStorage
        yield* runnerAt(address(port), linksOf(one), layer)
        const { pad } = yield* clientOf(linksOf(client), layer)
        const calls = yield* Effect.forkChild(
          Effect.forever(Effect.tap(pad("a").where(), (name) => Effect.sync(() => expect(name).toBe("one"))))
        )
        const greeting = Buffer.concat([Buffer.from("ff00000000000000017f03014e554c4c", "hex"), Buffer.alloc(48)])
        const all = [
          "GET / HTTP/1.1\r\n\r\n",
          Buffer.alloc(100_000, 0xff),
          greeting.subarray(0, 12),
          // Behind a greeting: a frame of 2 ^ 62 bytes, an unknown command, and half a frame.
          Buffer.concat([greeting, Buffer.from("024000000000000000", "hex")]),
          Buffer.concat([greeting, Buffer.from("0406", "hex"), Buffer.from("\x05WHAT!")]),
          Buffer.concat([greeting, Buffer.from("00ff", "hex")])
        ]
        yield* Effect.forEach(all, (bytes) => write(port, bytes), { concurrency: "unbounded" })
        // As a peer of ZeroMQ.
        for (const message of ["", "nonsense", "\0H1 text/plain", "\0W", "\0B"]) {
          const dealer = yield* Zmq.dealer({ connect: `tcp://127.0.0.1:${port}`, linger: 0 })
          yield* dealer.trySend(message)
        }
        yield* Effect.forEach(numbers(0, 20), (id) => pad(`${id}`).get({ id: 1 }))
        expect(calls.pollUnsafe()).toBe(undefined)
        yield* Fiber.interrupt(calls)
        expect(yield* pad("a").where()).toBe("one")
      }).pipe(Effect.scoped)
    )
  }
})
