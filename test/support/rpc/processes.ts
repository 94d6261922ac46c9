/** Scripts of this folder, in processes that say line by line what happens. */
import { spawn } from "node:child_process"
import { Effect } from "effect"
import { nodeArguments } from "../child.ts"
import { until } from "../sockets.ts"

/** Runs a script of this folder until the scope closes. */
export const startProcess = (script: string, ...args: ReadonlyArray<string>) =>
  startCommand(process.execPath, ...nodeArguments(`rpc/${script}`), ...args)

/** Runs a command until the scope closes. */
export const startCommand = (command: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { NODE_OPTIONS: _, ...env } = process.env
      const child = spawn(command, args, {
        env,
        stdio: ["pipe", "pipe", "inherit"]
      })
      const lines: Array<string> = []
      let rest = ""
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        const parts = (rest + text).split("\n")
        rest = parts.pop()!
        lines.push(...parts)
      })
      child.stdin.on("error", () => {})
      const kill = (signal: NodeJS.Signals) => Effect.sync(() => void child.kill(signal))
      const ended = Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
      })
      return { child, lines, kill, ended, said: (line: string) => until(Effect.sync(() => lines.includes(line))) }
    }),
    ({ child, ended }) => {
      child.kill("SIGKILL")
      return ended
    }
  )
