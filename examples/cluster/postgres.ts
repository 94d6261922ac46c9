/** A Postgres of its own, in a folder of its own, from Debian's package `postgresql`, or from the folder PGBIN. */
import { execFileSync, spawn } from "node:child_process"
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"

const versions = "/usr/lib/postgresql"
const folders = existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, "bin")) : []

/** Starts it, until the scope closes, and gives its URL: it listens on a unix socket alone. */
export const postgres = Effect.gen(function* () {
  const bin = process.env.PGBIN ?? folders.findLast((folder) => existsSync(join(folder, "initdb")))
  if (bin === undefined) return yield* Effect.die(`no ${versions}/*/bin/initdb: install postgresql, or set PGBIN`)
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "cluster-postgres-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  // It refuses to run as root.
  const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }))
  const as = process.getuid?.() === 0 ? { uid: id("-u"), gid: id("-g") } : undefined
  if (as !== undefined) chownSync(folder, as.uid, as.gid)
  const data = join(folder, "data")
  const init = ["-D", data, "-U", "app", "-A", "trust", "-E", "UTF8", "--no-sync"]
  execFileSync(join(bin, "initdb"), init, { cwd: folder, ...as, stdio: ["ignore", "ignore", "inherit"] })
  const options = ["-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "log_destination=stderr"]
  yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof spawn>>((resume) => {
      const child = spawn(join(bin, "postgres"), options, { cwd: folder, ...as, stdio: ["ignore", "ignore", "pipe"] })
      let said = ""
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        said += text
        if (said.includes("ready to accept connections")) resume(Effect.succeed(child))
      })
      child.on("exit", () => resume(Effect.die(said)))
    }),
    (child) =>
      Effect.callback<void>((resume) => {
        child.on("exit", () => resume(Effect.void))
        child.kill("SIGINT")
      })
  )
  return `postgres:///postgres?host=${folder}&user=app`
})
