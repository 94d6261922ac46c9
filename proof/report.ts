/** The table on the terminal, `results.json` and `RESULTS.md`, or those of another engine than the default. */
import { readFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { cpus, release, totalmem, type } from "node:os"
import { engineOf } from "./engine.ts"
import { pyzmqVersion } from "./python.ts"
import type { Result, Row } from "./row.ts"
import { ids, loadWorkload } from "./workloads.ts"

const headings = [
  "",
  "library",
  "how",
  "sent",
  "delivered",
  "redelivered",
  "receivable",
  "lost",
  "duplicated",
  "out of order",
  "unhandled",
  "defects",
  "s",
  "result"
] as const

const number = (value: number): string => value.toLocaleString("en")

const lost = ({ lost, sent }: Result): string =>
  lost === 0 ? "0" : `${number(lost)} (${((100 * lost) / sent).toPrecision(2)} %)`

const nameOf = ({ library }: Result): string => {
  if (library === "effect-zmq" && engineOf() !== "zeromq") return `${library} on ${engineOf()}`
  return library === "wrapper" ? "obvious wrapper" : library
}

const cells = (result: Result): ReadonlyArray<string> =>
  result.status === "skipped"
    ? [result.id, nameOf(result), result.variant, ...Array<string>(10).fill("–"), "skipped"]
    : [
        result.id,
        nameOf(result),
        result.variant,
        number(result.sent),
        number(result.delivered),
        number(result.redelivered),
        number(result.receivable),
        lost(result),
        number(result.duplicated),
        result.outOfOrder === null ? "–" : number(result.outOfOrder),
        number(result.unhandled),
        number(result.defects),
        String(result.seconds),
        result.status === "measured" ? (result.faults?.length ? "faults" : "") : result.status
      ]

export const printTable = (results: ReadonlyArray<Result>): void => {
  const table = [headings, ...results.map(cells)]
  const widths = headings.map((_, column) => Math.max(...table.map((line) => line[column]!.length)))
  console.log()
  for (const line of table) {
    console.log(
      line
        .map((cell, column) =>
          column < 3 || column === 13 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
        )
        .join("  ")
        .trimEnd()
    )
  }
  for (const { faults, id, library, notes, status, variant } of results) {
    for (const fault of faults ?? []) console.log(`(${id}) ${library} ${variant}: ${fault}`)
    if (status === "skipped") console.log(`(${id}) ${library} ${variant} skipped: ${notes?.join("; ")}`)
  }
}

const versionOf = (name: string): string =>
  JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), "utf8")).version

const machine = async () => {
  const zeromq = await import("zeromq")
  return {
    cpu: `${cpus()[0]?.model.trim()} × ${cpus().length}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${type()} ${release()}`,
    node: process.version,
    effect: versionOf("effect"),
    zeromq: `${versionOf("zeromq")} (libzmq ${zeromq.version})`,
    pyzmq: pyzmqVersion() ?? "none"
  }
}

interface Options {
  readonly quick: boolean
  readonly minutes: number
  readonly engine: string
}

interface Written extends Options {
  readonly at: string
  readonly results: ReadonlyArray<Result>
}

const suffixOf = (engine: string): string => (engine === "zeromq" ? "" : `-${engine}`)

/** Puts rows in place of the same of the last run. Of their workloads nothing stays that is no row any more. */
export const addResults = async (results: ReadonlyArray<Result>, engine: string): Promise<void> => {
  const file = new URL(`./results${suffixOf(engine)}.json`, import.meta.url)
  const { at, minutes, quick, results: before } = JSON.parse(readFileSync(file, "utf8")) as Written
  const all: Array<Result> = []
  for (const id of ids) {
    const [old, now] = [before, results].map((of) => of.filter((result) => result.id === id)) as [Result[], Result[]]
    const rows = now.length === 0 ? [] : (await loadWorkload(id)).rows
    const of = (from: ReadonlyArray<Result>, { library, variant }: Row) =>
      from.filter((result) => result.library === library && result.variant === variant)
    all.push(
      ...(now.length === 0 ? old : rows.flatMap((row) => (of(now, row).length > 0 ? of(now, row) : of(old, row))))
    )
  }
  await writeResults(all, { quick, minutes, engine }, at)
}

export const writeResults = async (
  results: ReadonlyArray<Result>,
  options: Options,
  at = new Date().toISOString()
): Promise<void> => {
  const on = await machine()
  const json = { at, ...options, machine: on, results }
  const suffix = suffixOf(options.engine)
  await writeFile(new URL(`./results${suffix}.json`, import.meta.url), `${JSON.stringify(json, undefined, 2)}\n`)
  const args = [
    ...(options.quick ? ["--quick"] : options.minutes > 0 ? [`--soak ${options.minutes}`] : []),
    ...(options.engine === "zeromq" ? [] : [`--engine ${options.engine}`])
  ]
  const line = (row: ReadonlyArray<string>) => `| ${row.join(" | ")} |`
  const counting = await Promise.all(ids.map(loadWorkload))
  const text = [
    `# What the proof found${options.engine === "zeromq" ? "" : ", on Engine.layerZmtp"}`,
    "",
    `\`${["npm run proof", ...(args.length > 0 ? ["--", ...args] : [])].join(" ")}\`, ${at.slice(0, 10)}: ${on.cpu}, ${on.memory}, ${on.system}, Node ${on.node.slice(1)}, effect ${on.effect}, zeromq ${on.zeromq}; ${on.pyzmq === "none" ? "no PyZMQ" : on.pyzmq}.`,
    "",
    "Sent = delivered + receivable + lost. *Delivered*: somebody got the message and went on with it, each message counted",
    "once. *Redelivered*: handed out again, after a handler or a stream was interrupted with it. *Receivable*: what the next",
    "receives return when all is over. *Duplicated*: delivered again where exactly once is promised. A dash: several",
    "fibers or connections share the messages, so that there is no order to keep. *Held* or *failed* is said of effect-zmq alone; *known*",
    "is a row that is not expected to hold, with the reason below. In (h) and (i) some messages died with a process or a",
    "connection: they are sent, and neither delivered nor lost.",
    "",
    line(headings),
    line(headings.map((_, column) => (column < 3 || column === 13 ? "---" : "---:"))),
    ...results.map((result) => line(cells(result))),
    "",
    "## What the rows are",
    "",
    ...counting.map(
      (workload) =>
        `- **(${workload.id})** ${workload.title}.${workload.counting === undefined ? "" : ` ${workload.counting}`}${workload.alone === undefined ? "" : ` No other library: ${workload.alone}.`}`
    ),
    "",
    "## Besides",
    "",
    ...results
      .filter((result) => (result.notes?.length ?? 0) + (result.faults?.length ?? 0) > 0)
      .map(
        (result) =>
          `- (${result.id}) ${nameOf(result)}, ${result.variant}: ${[...(result.notes ?? []), ...(result.faults ?? []).map((fault) => `**${fault}**`)].join("; ")}`
      ),
    ""
  ]
  await writeFile(new URL(`./RESULTS${suffix}.md`, import.meta.url), text.join("\n"))
}
