/** Peers in processes of their own, which say line by line what they sent or received. */
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect, type Scope } from "effect"
import { nodeOptions } from "./engine.ts"

export interface Peer {
  readonly child: ChildProcess
  /** The lines so far. A peer writes each at once, so that they outlive it. */
  readonly lines: Array<string>
  readonly stderr: () => string
  readonly ended: Promise<void>
  kill(): Promise<void>
}

const root = fileURLToPath(new URL("../", import.meta.url))
const peers = new Set<ChildProcess>()
process.on("exit", () => {
  for (const child of peers) child.kill("SIGKILL")
})

export const startPeer = (command: string, args: ReadonlyArray<string>): Peer => {
  const child = spawn(command, args, { cwd: root, stdio: ["pipe", "pipe", "pipe"] })
  peers.add(child)
  child.stdin!.on("error", () => {})
  const lines: Array<string> = []
  let rest = ""
  let errors = ""
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n")
    rest = parts.pop()!
    for (const part of parts) lines.push(part)
  })
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    errors += text
  })
  const ended = new Promise<void>((resolve) => {
    child.on("error", () => resolve())
    child.on("close", () => {
      peers.delete(child)
      resolve()
    })
  })
  return {
    child,
    lines,
    stderr: () => errors,
    ended,
    kill: () => {
      child.kill("SIGKILL")
      return ended
    }
  }
}

/** The arguments for Node to run a script of `peers/`. */
export const nodePeer = (name: string, ...args: ReadonlyArray<string>): Array<string> => [
  ...nodeOptions,
  fileURLToPath(new URL(`./peers/${name}`, import.meta.url)),
  ...args
]

/** Runs a script of `peers/` until the scope closes. */
export const startNodePeer = (name: string, ...args: ReadonlyArray<string>): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => startPeer(process.execPath, nodePeer(name, ...args))),
    (peer) => Effect.promise(() => peer.kill())
  )
