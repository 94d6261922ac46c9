/** From one process to a cluster: npx tsx examples/cluster/run.ts 1, and 2, 3, 4. */
// First: the environment is read where effect/cluster is loaded.
import "./environment.ts"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer, Option, References } from "effect"
import { ClusterWorkflowEngine } from "effect/cluster"
import { Curve } from "effect-zmq"
import { App, Counter } from "./app.ts"
import { machines, oneProcess, secured, workers } from "./layers.ts"
import { postgres } from "./postgres.ts"
import { addAll, runners, visit } from "./visit.ts"

const inOneProcess = visit.pipe(Effect.provide(App), Effect.provide(oneProcess))

/** A process, until the scope closes: then it is told to end, and does so in order. */
const start = (step: number, env: NodeJS.ProcessEnv) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const script = new URL("./runner.ts", import.meta.url).pathname
      const args = [...process.execArgv, script, `${step}`]
      return spawn(process.execPath, args, {
        env: { ...process.env, ...env },
        // By the last it knows when this process is gone, however that has ended.
        stdio: ["ignore", "ignore", "inherit", "ipc"]
      })
    }),
    (child) => end(child, "SIGTERM")
  )

const end = (child: ChildProcess, signal: NodeJS.Signals) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.on("exit", () => resume(Effect.void))
    child.kill(signal)
  })

/** A pair of keys for each machine, and for the client, and all public keys in one folder. */
const writeKeys = (folder: string, addresses: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    mkdirSync(join(folder, "public"))
    for (const [i, address] of ["", ...addresses].entries()) {
      const keys = yield* Curve.generate
      const metadata = address === "" ? {} : { address }
      const { publicKey } = keys
      yield* Curve.writeCertificate(join(folder, "public", `${i}.key`), { publicKey, metadata })
      yield* Curve.writeCertificate(join(folder, `${i}.key`), { ...keys, metadata })
    }
    process.env.PUBLIC_KEYS = join(folder, "public")
    process.env.SECRET_KEY = join(folder, "0.key_secret")
  }).pipe(Effect.provide(NodeServices.layer))

const inACluster = (step: 2 | 3 | 4) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "cluster-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    process.env.SOCKETS = folder
    process.env.DATABASE_URL = yield* postgres
    // Workers differ by their ports, and machines by their hosts.
    const places = [0, 1, 2].map((i) =>
      step === 2 ? { HOST: "worker", PORT: `${1 + i}` } : { HOST: `127.0.0.${11 + i}`, PORT: process.env.PORT }
    )
    const addresses = places.map(({ HOST, PORT }) => `${HOST}:${PORT}`)
    if (step === 4) yield* writeKeys(folder, addresses)
    const children = yield* Effect.forEach(places, (env, i) =>
      start(step, { ...env, SECRET_KEY: join(folder, `${i + 1}.key_secret`) })
    )

    const client = step === 2 ? workers(true) : step === 3 ? machines(true) : secured(true)
    const engine = Layer.provideMerge(ClusterWorkflowEngine.layer, client)
    yield* Effect.gen(function* () {
      yield* visit
      const served = yield* Effect.repeat(runners, { until: ({ size }) => size === 3 })
      yield* Console.log(`${served.size} runners`)
      const [victim] = served
      yield* end(children[addresses.indexOf(victim!)]!, "SIGKILL")
      yield* addAll("a runner was killed")
    }).pipe(Effect.provide(engine))

    if (step < 4) return
    const stranger = Effect.flatMap(Counter.client, (counter) => counter("ann").value())
    const got = yield* Effect.timeoutOption(Effect.provide(stranger, machines(true)), "3 seconds")
    yield* Console.log(Option.isNone(got) ? "a stranger got nothing" : "a stranger was let in")
  })

const step = Number(process.argv[2] ?? 1)
const program = step === 1 ? inOneProcess : inACluster(step as 2 | 3 | 4)
NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error")))
