/**
 * `npm run bench`: all workloads, in 5 to 10 minutes, on the built library.
 * tsx alone would name each closure at run time, which costs up to 20 %.
 *
 *     npm run bench -- --quick          fewer messages, about a minute
 *     npm run bench -- --only receive   some groups, or workloads whose name contains the word
 *
 *     npm run bench -- --only rpc --add these, in the results of the last run of all
 *
 * A full run rewrites `results.json`, `chart.svg` and the tables in `README.md`.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { arch, cpus, platform } from "node:os"
import { chart } from "./chart.ts"
import { cluster } from "./cluster.ts"
import { engineWorkloads as engines } from "./engines.ts"
import { measure, quick, type Row, ratio, rounds, spreadOf, type Workload, warmUps } from "./harness.ts"
import { lifecycle } from "./lifecycle.ts"
import { many } from "./many.ts"
import { proxy } from "./proxy.ts"
import { receive } from "./receive.ts"
import { request } from "./request.ts"
import { rpc } from "./rpc.ts"
import { scaling } from "./scaling.ts"
import { send } from "./send.ts"
import { judge, type Verdict } from "./targets.ts"

const groups: Readonly<Record<string, () => Array<Workload>>> = {
  receive,
  send,
  request,
  rpc,
  cluster,
  proxy,
  many,
  lifecycle,
  scaling,
  engines
}

const at = process.argv.indexOf("--only")
const only = at < 0 ? [] : process.argv[at + 1]!.split(",")
const isChosen = (group: string, name: string): boolean =>
  at < 0 || only.some((word) => (word in groups ? word === group : name.includes(word)))
const chosen = Object.entries(groups).flatMap(([group, workloads]) =>
  workloads().filter(({ name }) => isChosen(group, name))
)

const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

const digits = (value: number): string => value.toFixed(value < 10 ? 2 : value < 1000 ? 1 : 0)
const range = (samples: ReadonlyArray<number>): string => {
  const { low, high } = spreadOf(samples)
  return `${digits(low)} to ${digits(high)}`
}

const line = (...cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

const tableOf = (rows: ReadonlyArray<Row>): string => {
  const lines = [
    line("workload", "by", "median", "quartiles", "unit", "speed"),
    line(..."||||||".split("").map(() => "---"))
  ]
  let last = ""
  for (const row of rows) {
    const first = rows.find((other) => other.workload === row.workload && other.metric === row.metric)!
    const what = row.metric === "mean" ? row.workload : `${row.workload}, ${row.metric}`
    const speed = first === row ? "1 x" : `${ratio(first, row).median.toFixed(2)} x`
    const median = digits(spreadOf(row.samples).median)
    lines.push(line(what === last ? "" : what, row.contender, median, range(row.samples), row.unit, speed))
    last = what
  }
  return lines.join("\n")
}

const targetsOf = (verdicts: ReadonlyArray<Verdict>): string => {
  const lines = [line("what", "must be", "is", "quartiles", ""), line("---", "---", "---", "---", "---")]
  for (const { what, must, is, low, high, met, unit } of verdicts) {
    const range = low === high ? "" : `${low.toFixed(2)} to ${high.toFixed(2)}`
    lines.push(line(what, must, `${is.toFixed(2)}${unit}`, range, met ? "met" : "**missed**"))
  }
  return lines.join("\n")
}

const file = (name: string): URL => new URL(name, import.meta.url)

const rewrite = (name: string, text: string): void => {
  const readme = readFileSync(file("README.md"), "utf8")
  const section = new RegExp(`(<!-- ${name} -->)[^]*?(<!-- end -->)`)
  writeFileSync(
    file("README.md"),
    readme.replace(section, (_, start, end) => `${start}\n${text}\n${end}`)
  )
}

interface Results {
  readonly how: string
  readonly targets: ReadonlyArray<Verdict>
  readonly rows: ReadonlyArray<Row>
}

const start = performance.now()
const rows: Array<Row> = []
for (const workload of chosen) {
  const measured = await measure(workload, progress)
  rows.push(...measured)
  progress("")
  console.log(`\n${tableOf(measured)}`)
}
const verdicts = judge(rows)
if (verdicts.length > 0) console.log(`\n${targetsOf(verdicts)}`)
const seconds = Math.round((performance.now() - start) / 1000)
const machine = `${cpus().length} x ${cpus()[0]?.model}, ${platform()} ${arch()}, Node ${process.version}`
const how = `${rounds} rounds after ${warmUps} to warm up, ${seconds} s, ${machine}`
console.log(`\n${how}`)

const isAdded = process.argv.includes("--add")
if (!quick && (at < 0 || isAdded)) {
  const before = JSON.parse(readFileSync(file("results.json"), "utf8")) as Results
  const isNew = ({ workload }: Row): boolean => chosen.some(({ name }) => name === workload)
  const all = isAdded ? [...before.rows.filter((row) => !isNew(row)), ...rows] : rows
  const results: Results = {
    how: isAdded ? `${before.how}. Later, ${only.join(", ")}: ${how}` : how,
    targets: judge(all),
    rows: all
  }
  writeFileSync(file("results.json"), `${JSON.stringify(results, null, 1)}\n`)
  writeFileSync(file("chart.svg"), chart(results.rows))
  rewrite("targets", targetsOf(results.targets))
  rewrite("table", `${tableOf(results.rows)}\n\n${results.how}.`)
}
// Sockets of zeromq.js that were left to the garbage collector must not keep the process.
process.exit(0)
