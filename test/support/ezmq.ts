/** The command `ezmq` as processes, on the engine of these tests. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import type { Ended } from "./child.ts"
import { until } from "./sockets.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))
const built = `${root}cli/dist/test-${process.pid}/`

/** Builds the command and the library, as a process of what is built begins in half the time. */
export const build = (): void => {
  const library = `${built}node_modules/effect-zmq/`
  const tsc = (project: object, name: string) => {
    writeFileSync(`${built}${name}`, JSON.stringify(project))
    execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-p", `${built}${name}`], {
      stdio: "inherit"
    })
  }
  const compilerOptions = { noEmit: false, declaration: false, declarationMap: false, sourceMap: false, noCheck: true }
  mkdirSync(library, { recursive: true })
  tsc(
    {
      extends: `${root}tsconfig.build.json`,
      compilerOptions: { ...compilerOptions, rootDir: `${root}src`, outDir: library },
      include: [`${root}src`]
    },
    "library.json"
  )
  const exports = { ".": "./index.js", "./*": "./*.js" }
  writeFileSync(`${library}package.json`, JSON.stringify({ name: "effect-zmq", type: "module", exports }))
  tsc(
    {
      extends: `${root}cli/tsconfig.build.json`,
      compilerOptions: {
        ...compilerOptions,
        rootDir: `${root}cli/src`,
        outDir: `${built}dist`,
        types: ["node"],
        typeRoots: [`${root}node_modules/@types`]
      },
      include: [`${root}cli/src`]
    },
    "command.json"
  )
  copyFileSync(`${root}cli/package.json`, `${built}package.json`)
}

/** Removes what `build` has made. */
export const clean = (): void => rmSync(built, { recursive: true, force: true })

/** Commands that open sockets take the engine of these tests. */
const ofSockets = new Set([
  "sub",
  "pub",
  "pull",
  "push",
  "req",
  "rep",
  "dealer",
  "router",
  "pair",
  "proxy",
  "watch",
  "bench"
])
export const engine = process.env.ENGINE === "zmtp" ? "zmtp" : "zeromq"

/** What to run for `ezmq` with these arguments. */
export const commandLine = (args: ReadonlyArray<string>): [string, ...Array<string>] => {
  const named = args[0] === "bench" ? 2 : 1
  const ofEngine = ofSockets.has(args[0] ?? "") && args.length > named ? ["--engine", engine] : []
  return [process.execPath, `${built}dist/main.js`, ...args.slice(0, named), ...ofEngine, ...args.slice(named)]
}

/** The same as a word for a shell. */
export const shellLine = (...args: ReadonlyArray<string>): string =>
  commandLine(args)
    .map((word) => `'${word.replaceAll("'", "'\\''")}'`)
    .join(" ")

/** A process that runs: what it has written so far, and its end. */
export class Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  private readonly written = { stdout: [] as Array<Buffer>, stderr: [] as Array<Buffer> }

  constructor(command: string, args: ReadonlyArray<string>, env: Record<string, string> = {}) {
    const { NODE_OPTIONS: _, ...ours } = process.env
    this.child = spawn(command, args, { cwd: root, env: { ...ours, ...env }, stdio: "pipe" })
    this.child.stdout!.on("data", (bytes: Buffer) => this.written.stdout.push(bytes))
    this.child.stderr!.on("data", (bytes: Buffer) => this.written.stderr.push(bytes))
    this.child.stdin!.on("error", () => {})
    all.add(this)
    this.ended = new Promise((resolve) =>
      this.child.on("close", (code, signal) => resolve({ code, signal, stdout: this.stdout, stderr: this.stderr }))
    )
  }

  get bytes(): Buffer {
    return Buffer.concat(this.written.stdout)
  }
  get stdout(): string {
    return this.bytes.toString()
  }
  get stderr(): string {
    return Buffer.concat(this.written.stderr).toString()
  }

  /** Ends its input, with this before the end. */
  input(text: string | Uint8Array): this {
    this.child.stdin!.end(text)
    return this
  }

  /** Waits until what it has written is so, or it has ended. */
  async until(condition: () => boolean): Promise<void> {
    await Effect.runPromise(until(Effect.sync(() => condition() || this.child.exitCode !== null)))
    if (!condition()) throw new Error(`it has ended before: ${JSON.stringify(await this.ended)}`)
  }

  /** Where it listens, as it says. */
  async endpoint(): Promise<string> {
    const listening = () => /listening on (\S+)/.exec(this.stderr)?.[1]
    await this.until(() => listening() !== undefined)
    return listening()!
  }
}

const all = new Set<Running>()

/** Ends the processes that a test has left. */
export const endAll = async (): Promise<void> => {
  for (const running of all) running.child.kill("SIGKILL")
  await Promise.all([...all].map(({ ended }) => ended))
  all.clear()
}

/** Starts `ezmq`. */
export const start = (...args: ReadonlyArray<string>): Running => {
  const [command, ...rest] = commandLine(args)
  return new Running(command, rest)
}

/** Runs `ezmq` to its end, with nothing to read. */
export const run = (...args: ReadonlyArray<string>): Promise<Ended> => start(...args).input("").ended

/** Runs a line of a shell to its end. */
export const shell = (line: string): Running => new Running("sh", ["-c", line])

/** Any free port of this machine. */
export const anyPort = "tcp://127.0.0.1:*"
