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

const scriptUrl = (name: string): string => new URL(`./${name}`, import.meta.url).href

/** The path of a script in this folder. */
export const scriptPath = (name: string): string => fileURLToPath(scriptUrl(name))

/** The arguments that make Node run TypeScript, on the engine of these tests. */
export const nodeOptions = ["--import", "tsx", "--import", scriptPath("useEngine.ts")]

/** The arguments that make Node run a TypeScript script of this folder. */
export const nodeArguments = (name: string): Array<string> => [...nodeOptions, scriptPath(name)]

/**
 * What makes a worker thread run a TypeScript module, on the engine of these tests: on
 * Node 20 it does not inherit the loader.
 */
export const threadScript = (url: string): string => {
  const [engine, module] = [JSON.stringify(scriptUrl("useEngine.ts")), JSON.stringify(url)]
  return `import("tsx/esm/api").then(({ register }) => register()).then(() => import(${engine})).then(() => import(${module}))`
}

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
