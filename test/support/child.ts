/** Scripts of the tests that run in a process of their own. */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

const root = fileURLToPath(new URL("../../", import.meta.url))

/** The path of a script in this folder. */
export const scriptPath = (name: string): string => fileURLToPath(new URL(`./${name}`, import.meta.url))

/** The arguments that make Node run a TypeScript script of this folder. */
export const nodeArguments = (name: string): Array<string> => ["--import", "tsx", scriptPath(name)]

/** Runs a command to its end; kills it when interrupted. */
export const runCommand = (command: string, args: ReadonlyArray<string>): Effect.Effect<Ended> =>
  Effect.callback((resume) => {
    // What helps Vitest must not reach the script.
    const { NODE_OPTIONS: _, ...env } = process.env
    const child = spawn(command, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
    })
    child.on("error", (error) => resume(Effect.die(error)))
    child.on("close", (code, signal) => {
      resume(Effect.succeed({ code, signal, stdout, stderr }))
    })
    return Effect.sync(() => {
      child.kill("SIGKILL")
    })
  })

/** Runs a TypeScript script of this folder to its end. */
export const runScript = (name: string, ...args: ReadonlyArray<string>): Effect.Effect<Ended> =>
  runCommand(process.execPath, [...nodeArguments(name), ...args])
