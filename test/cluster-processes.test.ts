/** Runners in processes of their own, with a Postgres: what becomes of what they have in hand when they end, or stop. */
import { PgClient } from "@effect/sql-pg"
import { Cause, Effect, Exit, Fiber, Layer, Redacted } from "effect"
import { ClusterWorkflowEngine } from "effect/cluster"
import * as Cluster from "effect-zmq/Cluster"
import { describe, expect, it } from "vitest"
import { nodeArguments } from "./support/child.ts"
import { Desk, Order } from "./support/cluster/desk.ts"
import { freePort, quick, start } from "./support/cluster/runners.ts"
import { hasPostgres, missingPostgres, postgres } from "./support/postgres.ts"
import { startCommand } from "./support/rpc/processes.ts"
import { numbers, until } from "./support/sockets.ts"

const untilSo = (done: () => boolean) => until(Effect.sync(done))

/** Each is also how long Postgres may take. */
const patient = { refreshAssignmentsInterval: 500, shardLockRefreshInterval: 5000, shardLockExpiration: 20_000 }

/** Two runners that have shards, and a client. */
const cluster = (config: NonNullable<Cluster.Options["shardingConfig"]>) =>
  Effect.gen(function* () {
    const url = yield* postgres
    const runner = (name: string) =>
      Effect.gen(function* () {
        const args = nodeArguments("cluster/runnerProcess.ts")
        const port = yield* freePort
        const self = yield* startCommand(
          process.execPath,
          ...args,
          name,
          `${port}`,
          url,
          JSON.stringify({ ...patient, ...config })
        )
        const go = (line: string) => Effect.sync(() => void self.child.stdin.write(`${line}\n`))
        return { ...self, name, go }
      })
    const runners = yield* Effect.forEach(["one", "two"], runner)
    const { services } = yield* start(
      ClusterWorkflowEngine.layer.pipe(
        Layer.provideMerge(
          Cluster.layer({
            clientOnly: true,
            pingInterval: "500 millis",
            shardingConfig: { ...quick(), ...patient, ...config }
          })
        ),
        Layer.provide(PgClient.layer({ url: Redacted.make(url) }))
      )
    )
    const desk = yield* Effect.provide(Desk.client, services)
    const ids = numbers(0, 30).map(String)
    const wheres = Effect.forEach(ids, (id) => desk(id).where(), { concurrency: "unbounded" })
    yield* until(Effect.map(wheres, (names) => new Set(names).size === 2))
    /** The runner of an entity, and the other. */
    const pairOf = (id: string) =>
      Effect.map(desk(id).where(), (name) => {
        const [mine, other] = runners[0]!.name === name ? runners : [...runners].reverse()
        return [mine!, other!] as const
      })
    const order = (id: string) => Order.execute({ id }).pipe(Effect.exit, Effect.provide(services))
    return { desk, ids, wheres, runners, pairOf, order }
  })

const linesOf = (runners: ReadonlyArray<{ readonly lines: ReadonlyArray<string> }>, what: string) =>
  runners.flatMap(({ lines }) => lines.filter((line) => line.startsWith(what)))

describe.skipIf(!hasPostgres)(`runners${hasPostgres ? "" : ` (${missingPostgres})`}`, { timeout: 300_000 }, () => {
  it("killed: another does what they had in hand, and goes on with their workflows", () =>
    Effect.gen(function* () {
      const { desk, order, pairOf, runners } = yield* cluster({
        shardLockRefreshInterval: 2000,
        shardLockExpiration: 6000
      })
      // A job of the cluster comes once, whichever runners there are.
      const before = new Set(linesOf(runners, "bell "))
      const bells = () => linesOf(runners, "bell ").filter((line) => !before.has(line))
      yield* untilSo(() => bells().length >= 4)
      // While shards moved to the second of them, it may have come twice.
      const [, ...rest] = bells().sort()
      expect(new Set(rest).size).toBe(rest.length)

      const placed = yield* Effect.forkChild(order("a"))
      const shipsA = () => runners.find(({ lines }) => lines.includes("ship a"))
      yield* untilSo(() => shipsA() !== undefined)
      const mine = shipsA()!
      const other = runners.find((one) => one !== mine)!
      // One of its entities has a persisted call in hand.
      const id = yield* Effect.gen(function* () {
        for (let at = 0; ; at++) if ((yield* pairOf(`${at}`))[0] === mine) return `${at}`
      })
      const call = yield* Effect.forkChild(desk(id).persisted({ id: "p" }))
      yield* mine.said("do p")
      yield* mine.kill("SIGKILL")
      yield* other.said("do p")
      yield* other.said("ship a")
      yield* Effect.andThen(other.go("do p"), other.go("ship a"))
      expect(yield* Fiber.join(call)).toBe(other.name)
      const exit = yield* Fiber.join(placed)
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({ _tag: "Sold" })
      // Once, each where it belongs.
      yield* other.said("give back a")
      expect(linesOf([mine], "take a").length).toBe(1)
      expect(linesOf([other], "take a").length).toBe(0)
      expect(linesOf(runners, "give back a").length).toBe(1)
    }).pipe(Effect.scoped, Effect.runPromise))

  it("ended: they answer what they have in hand, and their shards are free at once", () =>
    Effect.gen(function* () {
      // Far longer than this test may take.
      const { desk, pairOf, wheres } = yield* cluster({
        shardLockDisableAdvisory: true,
        shardLockExpiration: 3_600_000
      })
      const [mine, other] = yield* pairOf("0")
      const persisted = yield* Effect.forkChild(desk("0").persisted({ id: "p" }))
      const volatile = yield* Effect.forkChild(desk("0").volatile({ id: "v" }))
      yield* mine.said("do p")
      yield* mine.said("do v")
      yield* mine.kill("SIGTERM")
      // It takes no more: what else it had is with the other.
      yield* until(Effect.map(wheres.pipe(Effect.timeoutOption("1 second")), () => true))
      yield* Effect.andThen(mine.go("do p"), mine.go("do v"))
      expect(yield* Fiber.join(persisted)).toBe(mine.name)
      expect(yield* Fiber.join(volatile)).toBe(mine.name)
      yield* mine.ended
      expect(mine.child.exitCode).toBe(0)
      yield* until(Effect.map(wheres, (names) => names.every((name) => name === other.name)))
      expect(linesOf([other], "do ")).toEqual([])
    }).pipe(Effect.scoped, Effect.runPromise))

  it("frozen: their calls are made again by another, and those of the other go on meanwhile", () =>
    Effect.gen(function* () {
      const { desk, ids, pairOf } = yield* cluster({
        shardLockDisableAdvisory: true,
        shardLockRefreshInterval: 2000,
        shardLockExpiration: 6000
      })
      const [mine, other] = yield* pairOf("0")
      const entity = yield* Effect.gen(function* () {
        for (const id of ids) if ((yield* pairOf(id))[0] === other) return id
        return yield* Effect.die("no entity of the other")
      })
      const call = yield* Effect.forkChild(desk("0").volatile({ id: "v" }))
      yield* mine.said("do v")
      yield* mine.kill("SIGSTOP")
      while (!other.lines.includes("do v")) expect(yield* desk(entity).where()).toBe(other.name)
      yield* other.go("do v")
      expect(yield* Fiber.join(call)).toBe(other.name)
      // It comes back, and has nothing any more but what it is given.
      yield* mine.kill("SIGCONT")
      yield* until(
        Effect.map(
          Effect.forEach(ids, (id) => desk(id).where(), { concurrency: "unbounded" }),
          (names) => new Set(names).size === 2
        )
      )
    }).pipe(Effect.scoped, Effect.runPromise))
})
