/**
 * Runs the proof: every workload, every row in a process of its own, one table
 * at the end.
 *
 *     npm run proof                     everything, half an hour or so
 *     npm run proof -- --quick          small counts, a few minutes
 *     npm run proof -- --only a,h       only these workloads
 *     npm run proof -- --soak 10        the soak lasts ten minutes
 *     npm run proof -- --only p --add   these workloads, in the results of the last run of all
 *     npm run proof -- --only q --row 0 --add   one row of it, by its number, or several: 0,4
 *     npm run proof -- --engine zmtp    our rows, on ZMTP in TypeScript
 *
 * The exit code is 1 if a row of effect-zmq failed. `results.json` and
 * `RESULTS.md` are written next to this file, unless `--only` is given alone; those of
 * another engine are `results-zmtp.json` and `RESULTS-zmtp.md`.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { engineOf, nodeOptions } from "./engine.ts"
import { python, script } from "./python.ts"
import { addResults, printTable, writeResults } from "./report.ts"
import type { Outcome, Result, Row, Size, Workload } from "./row.ts"
import { ids, loadWorkload } from "./workloads.ts"

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    soak: { type: "string" },
    only: { type: "string" },
    row: { type: "string" },
    ours: { type: "boolean", default: false },
    add: { type: "boolean", default: false },
    engine: { type: "string", default: engineOf() }
  }
})
if (values.engine !== "zeromq" && values.engine !== "zmtp") throw new Error("--engine takes zeromq or zmtp")
// For the processes of rows, and of their peers.
process.env.ENGINE = values.engine
const alone = values.engine !== "zeromq"
const quick = values.quick
const minutes = values.soak === undefined ? 0 : Number(values.soak)
if (Number.isNaN(minutes)) throw new Error("--soak takes a number of minutes")
const only = values.only?.split(",").map((id) => id.trim())
for (const id of only ?? []) if (!ids.includes(id)) throw new Error(`--only ${id}: there are ${ids.join(", ")}`)
const indexes = values.row?.split(",").map(Number)
if (indexes !== undefined && only?.length !== 1) throw new Error("--row N is of one workload: --only ID")

const root = fileURLToPath(new URL("../", import.meta.url))
const live = process.stdout.isTTY
const running = new Set<ReturnType<typeof spawn>>()
process.on("exit", () => {
  for (const child of running) kill(child)
})
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130))

// A row and the peers that it started are one process group.
const kill = (child: ReturnType<typeof spawn>): void => {
  try {
    process.kill(-child.pid!, "SIGKILL")
  } catch {
    // it has ended, or never started
  }
}

const sizeOf = (row: Row): Size => ({ count: quick ? row.quick : row.full, quick, minutes })

const commandOf = (workload: Workload, index: number): [string, Array<string>] => {
  const row = workload.rows[index]!
  const size = sizeOf(row)
  if (typeof row.run === "function") {
    const child = fileURLToPath(new URL("./child.ts", import.meta.url))
    return [process.execPath, ["--expose-gc", ...nodeOptions, child, workload.id, String(index), JSON.stringify(size)]]
  }
  return [python, [script(row.run.python), String(size.count), ...(row.run.args ?? [])]]
}

const nothing: Outcome & { unhandled: number; defects: number } = {
  sent: 0,
  delivered: 0,
  redelivered: 0,
  receivable: 0,
  lost: 0,
  duplicated: 0,
  outOfOrder: 0,
  unhandled: 0,
  defects: 0
}

const parseRow = (text: string): typeof nothing | undefined => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const runRow = (workload: Workload, index: number): Promise<Result> => {
  const row = workload.rows[index]!
  const base = { id: workload.id, title: workload.title, library: row.library, variant: row.variant }
  const reason = row.skip?.()
  if (reason !== undefined) {
    return Promise.resolve({ ...nothing, ...base, seconds: 0, status: "skipped", notes: [reason] })
  }
  const name = `(${workload.id}) ${row.library}${row.variant === "" ? "" : `, ${row.variant}`}`
  const limit = (quick ? row.limit.quick : row.limit.full) + (workload.id === "k" ? minutes * 60 : 0)
  return new Promise((resolve) => {
    const [command, args] = commandOf(workload, index)
    const started = performance.now()
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], detached: true })
    running.add(child)
    let hung = false
    const timer = setTimeout(() => {
      hung = true
      kill(child)
    }, limit * 1000)
    let outcome: typeof nothing | undefined
    let rest = ""
    let said = ""
    let last = "started"
    const ticker = setInterval(() => {
      const seconds = Math.round((performance.now() - started) / 1000)
      if (live) process.stdout.write(`\r\x1b[2K${name}: ${last}, ${seconds} s`)
      else if (seconds % 15 === 0) console.log(`  … ${name}: ${last}, ${seconds} s`)
    }, 1000)
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n")
      rest = lines.pop()!
      for (const line of lines) {
        if (line.startsWith("@progress ")) last = line.slice(10)
        else if (line.startsWith("@row ")) outcome = parseRow(line.slice(5))
        else said += `${line}\n`
      }
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text
    })
    child.on("error", (error) => {
      said += `${error.message}\n`
    })
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      clearInterval(ticker)
      running.delete(child)
      kill(child)
      const faults = [...(outcome?.faults ?? [])]
      if (hung) faults.push(`hung: killed after ${limit} s${outcome === undefined ? "" : ", with its work done"}`)
      else if (code !== 0) faults.push(`the process ended with ${signal ?? `code ${code}`}`)
      if (outcome === undefined && !hung) faults.push("the process reported nothing")
      const notes = [...(row.known === undefined ? [] : [row.known]), ...(outcome?.notes ?? [])]
      const result = { ...nothing, ...outcome, notes, faults }
      const held =
        faults.length === 0 &&
        result.lost === 0 &&
        result.duplicated === 0 &&
        (result.outOfOrder ?? 0) === 0 &&
        result.unhandled === 0 &&
        result.defects === 0
      const seconds = (performance.now() - started) / 1000
      const failed = row.known === undefined ? "failed" : "known"
      const status = row.library === "effect-zmq" ? (held ? "held" : failed) : "measured"
      if (live) process.stdout.write("\r\x1b[2K")
      console.log(`${status.padEnd(8)} ${name}: lost ${result.lost} of ${result.sent}, ${seconds.toFixed(1)} s`)
      if (status === "failed") {
        const { first } = result as { first?: string }
        console.log([...faults, first, said.trim().slice(-4000)].filter(Boolean).join("\n").replaceAll(/^/gm, "    "))
      }
      resolve({ ...base, ...result, seconds: Math.round(seconds * 10) / 10, status })
    })
  })
}

const results: Array<Result> = []
const startedAt = performance.now()
for (const id of only ?? ids) {
  const workload = await loadWorkload(id)
  console.log(`\n(${id}) ${workload.title}`)
  for (const index of indexes ?? workload.rows.keys()) {
    if (workload.rows[index] === undefined) {
      throw new Error(`--row ${index}: (${id}) has ${workload.rows.length}, from 0`)
    }
    if ((values.ours || alone) && workload.rows[index]!.library !== "effect-zmq") continue
    if (quick && workload.rows[index]!.quick === 0) continue
    results.push(await runRow(workload, index))
  }
}

printTable(results)
console.log(`\n${((performance.now() - startedAt) / 60_000).toFixed(1)} minutes`)
if (only !== undefined && values.add) await addResults(results, values.engine)
if (only === undefined && !values.ours) await writeResults(results, { quick, minutes, engine: values.engine })
const failed = results.filter((result) => result.status === "failed")
if (failed.length > 0) {
  console.log(`\n${failed.length} of our rows failed.`)
  process.exitCode = 1
}
