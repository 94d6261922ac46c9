/**
 * What is not JavaScript: PyZMQ's asyncio, and C on libzmq as the limit. Both
 * do a whole run in a process of their own and print the microseconds per
 * message. Where they are not installed they are left out.
 */
import { execFile, execFileSync, spawn } from "node:child_process"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import type { Sample, Workload } from "./harness.ts"

type Source = "backlog" | "tcp"

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const run = promisify(execFile)

const succeeds = (command: string, ...args: ReadonlyArray<string>): boolean => {
  try {
    execFileSync(command, args, { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

const python = "/usr/bin/python3"
const hasPyzmq = succeeds(python, "-c", "import zmq.asyncio")
const program = join(mkdtempSync(join(tmpdir(), "effect-zmq-bench-")), "limit")
const hasC = succeeds("cc", "-O2", "-o", program, file("limit.c"), "-lzmq", "-lpthread")

const sample = async (command: string, ...args: ReadonlyArray<string>): Promise<Sample> => {
  const { stdout } = await run(command, args, { timeout: 60_000 })
  const mean = Number(stdout)
  if (!(mean > 0)) throw new Error(`${command} ${args.join(" ")} printed ${stdout}`)
  return { mean }
}

export const pyzmq = (source: Source, messages: number): Workload["contenders"] =>
  hasPyzmq ? { "PyZMQ asyncio": () => sample(python, file("pyzmq.py"), source, `${messages}`) } : {}

export const theLimit = (source: Source, messages: number): Workload["contenders"] =>
  hasC ? { "C, libzmq": () => sample(program, source, `${messages}`) } : {}

/** C on libzmq that receives what `send` sends it over tcp. */
export const theLimitOf = (messages: number, send: (endpoint: string) => Promise<void>): Workload["contenders"] =>
  hasC
    ? {
        "C, libzmq": async () => {
          const child = spawn(program, ["pull", `${messages}`], { stdio: ["ignore", "pipe", "inherit"] })
          let printed = ""
          child.stdout.setEncoding("utf8").on("data", (text: string) => {
            printed += text
            if (printed === text) void send(text.trim())
          })
          await new Promise((resolve) => child.once("close", resolve))
          const mean = Number(printed.trim().split("\n")[1])
          if (!(mean > 0)) throw new Error(`C printed ${printed}`)
          return { mean }
        }
      }
    : {}
