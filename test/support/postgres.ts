/** A Postgres for a test: its own, in a temporary folder. */
import { execFileSync, spawn } from "node:child_process"
import { appendFileSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { until } from "./sockets.ts"

// Where Debian has its versions; elsewhere `PGBIN` says where `initdb` and `postgres` are.
const versions = "/usr/lib/postgresql"
const folders =
  process.env.PGBIN !== undefined
    ? [process.env.PGBIN]
    : (existsSync(versions) ? readdirSync(versions) : []).map((version) => join(versions, version, "bin"))
const bin = folders.findLast((folder) => existsSync(join(folder, "initdb")))

export const hasPostgres = bin !== undefined

export const missingPostgres = `there is no ${versions}/*/bin/initdb: install the package postgresql, or set PGBIN`

/** Who it runs as: Postgres refuses to run as root. */
const user = (): { readonly uid: number; readonly gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }))
  return { uid: id("-u"), gid: id("-g") }
}

export interface PostgresOptions {
  /** Where it listens besides, and who may come there: nowhere, unless given. */
  readonly listen?: { readonly host: string; readonly port: number; readonly from: string }
  /** A command that runs it, as in a network namespace. */
  readonly inside?: ReadonlyArray<string>
  /** More of its own settings. */
  readonly settings?: ReadonlyArray<string>
}

/** Starts one, and gives the URL of its database. At the end of the scope it is stopped, and its folder removed. */
export const startPostgres = Effect.fnUntraced(function* (own: PostgresOptions) {
  const as = user()
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-zmq-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  if (as !== undefined) chownSync(folder, as.uid, as.gid)
  const options = { cwd: folder, ...as }
  const data = join(folder, "data")
  execFileSync(join(bin!, "initdb"), ["-D", data, "-U", "test", "-A", "trust", "-E", "UTF8", "--no-sync"], {
    ...options,
    stdio: ["ignore", "ignore", "pipe"]
  })
  // The port is part of the socket's name, and belongs to this folder alone.
  const port = own.listen?.port ?? 5432
  if (own.listen !== undefined) {
    appendFileSync(join(data, "pg_hba.conf"), `host all all ${own.listen.from} trust\n`)
  }
  const settings = [`listen_addresses=${own.listen?.host ?? ""}`, "log_destination=stderr", ...(own.settings ?? [])]
  const command = [
    join(bin!, "postgres"),
    ...["-D", data, "-k", folder, "-p", `${port}`],
    ...settings.flatMap((setting) => ["-c", setting])
  ]
  // Whoever comes into a namespace is root until then.
  const [program = "", ...args] =
    own.inside === undefined
      ? command
      : [
          ...own.inside,
          ...(as === undefined ? [] : ["setpriv", "--reuid", `${as.uid}`, "--regid", `${as.gid}`, "--clear-groups"]),
          ...command
        ]
  const self = { said: "", code: undefined as number | null | undefined }
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(program, args, {
        ...(own.inside === undefined ? options : { cwd: folder }),
        stdio: ["ignore", "ignore", "pipe"]
      })
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        self.said += text
      })
      child.on("close", (code) => {
        self.code = code
      })
      return child
    }),
    // SIGINT: it ends its sessions, and then itself.
    (child) =>
      Effect.andThen(
        Effect.sync(() => child.kill("SIGINT")),
        until(Effect.sync(() => self.code !== undefined))
      )
  )
  yield* until(
    Effect.sync(() => {
      if (self.code !== undefined) throw new Error(`postgres ended with ${self.code}: ${self.said}`)
      return self.said.includes("ready to accept connections")
    })
  )
  return `postgres:///postgres?host=${folder}&port=${port}&user=test`
})

/** One that is reached by a unix socket alone. */
export const postgres = startPostgres({})
