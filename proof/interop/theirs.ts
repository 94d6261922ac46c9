/** Ends of PyZMQ: all of them in one process, that `peer.py` runs in. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { Effect, type Scope } from "effect"
import { type Course, credentials, isGate, keys, names, probe, type Spec, until } from "./end.ts"
import { Wrong } from "./ours.ts"

export const python = "/usr/bin/python3"

interface Told {
  readonly id: number
  readonly bound?: string
  readonly found?: true
  readonly stuck?: boolean
  readonly waits?: true
  readonly sent?: true
  readonly received?: true
  readonly wrong?: string
  readonly closed?: true
}

export class Python {
  private readonly child: ChildProcessWithoutNullStreams
  private readonly listeners = new Map<number, (told: Told) => void>()
  private errors = ""
  private count = 0

  constructor() {
    this.child = spawn(python, [fileURLToPath(new URL("./peer.py", import.meta.url))])
    this.child.stderr.on("data", (text: Buffer) => {
      this.errors += text
    })
    createInterface({ input: this.child.stdout }).on("line", (line) => {
      const told = JSON.parse(line) as Told
      this.listeners.get(told.id)?.(told)
    })
    this.child.on("exit", () => {
      for (const listener of this.listeners.values())
        listener({ id: 0, wrong: `PyZMQ has ended: ${this.errors}`, closed: true })
    })
    this.say({ credentials: [credentials.username, credentials.password] })
  }

  private say(what: object): void {
    this.child.stdin.write(`${JSON.stringify(what)}\n`)
  }

  close(): void {
    this.child.kill("SIGKILL")
  }

  /** Opens an end, and gives where it is, and how it ends. */
  open(
    spec: Spec,
    course: Course
  ): Effect.Effect<{ readonly endpoint: string; readonly run: Effect.Effect<void, unknown> }, unknown, Scope.Scope> {
    const id = ++this.count
    let bound: string | undefined
    let wrong: string | undefined
    let waits = false
    let isOver = false
    let isClosed = false
    const fails = Effect.suspend(() => (wrong === undefined ? Effect.void : Effect.fail(new Wrong({ message: wrong }))))
    const listen = (told: Told): void => {
      bound ??= told.bound
      wrong ??= told.wrong
      if (told.found) course.isFound = true
      if (told.stuck !== undefined) course.stuck(told.stuck)
      if (told.waits) waits = true
      if (told.sent) course.isSent = isOver = true
      if (told.received || (told.sent && !spec.flows)) course.isReceived = isOver = true
      if (told.closed) isClosed = true
    }
    const tellOn = Effect.gen({ self: this }, function* () {
      if (spec.role === "sends") {
        yield* until(() => course.isFound)
        this.say({ id, do: "found" })
        return
      }
      while (true) {
        yield* until(() => waits)
        waits = false
        yield* until(() => course.mayRead)
        this.say({ id, do: "go" })
      }
    })
    const gates = spec.flows ? spec.plan.flatMap((_, i) => (isGate(i, spec.plan) ? [i] : [])) : []
    const acquire = Effect.sync(() => {
      this.listeners.set(id, listen)
      const credentials_ = [credentials.username, credentials.password]
      this.say({ id, spec: { ...spec, gates, names, probe, keys, credentials: credentials_ } })
    })
    const release = Effect.suspend(() => {
      if (!isClosed) this.say({ id, do: "stop" })
      return until(() => isClosed)
    }).pipe(Effect.andThen(Effect.sync(() => this.listeners.delete(id))))
    return Effect.gen(function* () {
      yield* Effect.acquireRelease(acquire, () => release)
      yield* Effect.forkScoped(tellOn)
      yield* until(() => bound !== undefined || wrong !== undefined)
      yield* fails
      // The other reads what this one has sent: it is over when both say so.
      const run = Effect.andThen(
        until(() => wrong !== undefined || (isOver && course.isReceived)),
        fails
      )
      return { endpoint: bound!, run }
    })
  }
}
