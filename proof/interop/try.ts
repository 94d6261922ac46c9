/** Tries one case: gives how often its sender was stuck, or fails with what was wrong. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { type Case, flows, nameOf, type Side } from "./cases.ts"
import { Course, type Spec } from "./end.ts"
import { type Plan, streamOf, talk } from "./messages.ts"
import { ours, Wrong } from "./ours.ts"
import type { Python } from "./theirs.ts"

const folder = mkdtempSync(join(tmpdir(), "interop-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
let count = 0

const streams = new Map<number, Plan>()
const streamFor = (mark: number): Plan => {
  const plan = streams.get(mark) ?? streamOf(mark)
  streams.set(mark, plan)
  return plan
}

/** For what hangs. */
const patience = "100 seconds"

export const tryCase = (one: Case, python: Python): Effect.Effect<number, Wrong> => {
  const course = new Course()
  const open = (side: Side, spec: Spec) => (side === "pyzmq" ? python.open(spec, course) : ours(side, spec, course))
  const { binds, mark, mechanism, pair, sides, transport } = one
  const common = { flows: flows(one), mechanism, mark, plan: flows(one) ? streamFor(mark) : talk }
  const sender = (endpoint: string): Spec => ({
    ...common,
    role: "sends",
    type: pair[0],
    peer: pair[1],
    binds: binds === "sender",
    endpoint
  })
  const receiver = (endpoint: string): Spec => ({
    ...common,
    role: "receives",
    type: pair[1],
    peer: pair[0],
    binds: binds === "receiver",
    endpoint
  })
  const anywhere = transport === "tcp" ? "tcp://127.0.0.1:*" : `ipc://${folder}/${++count}`
  return Effect.gen(function* () {
    const [first, second] = binds === "sender" ? ([sender, receiver] as const) : ([receiver, sender] as const)
    const [firstSide, secondSide] = binds === "sender" ? sides : ([sides[1], sides[0]] as const)
    const a = yield* open(firstSide, first(anywhere))
    const b = yield* open(secondSide, second(a.endpoint))
    yield* Effect.all([a.run, b.run], { concurrency: "unbounded", discard: true })
    return course.timesStuck
  }).pipe(
    Effect.scoped,
    Effect.timeout(patience),
    Effect.mapError(
      (error) => new Wrong({ message: `${nameOf(one)}: ${error instanceof Error ? error.message : error}` })
    )
  )
}
