/**
 * Where the time goes on ZMTP: CPU profiles of the workloads that compare the engines, in microseconds of each message.
 *
 *     npm run build && npx tsx --tsconfig bench/tsconfig.json bench/zmtp/profile.ts [part of a name]
 */
import { Session } from "node:inspector/promises"
import { engineWorkloads } from "../engines.ts"

const [, , only = ""] = process.argv

const parts: ReadonlyArray<readonly [part: string, is: (name: string, url: string) => boolean]> = [
  ["waiting", (name) => name === "(idle)"],
  ["garbage", (name) => name === "(garbage collector)"],
  [
    "memory, copies",
    (name) => /^(FastBuffer|ArrayBuffer|Uint8Array|Buffer|allocUnsafe.*|set|copyInto|take)$/.test(name)
  ],
  ["text", (name) => /Slice$|^toString$/.test(name)],
  ["Effect", (_, url) => url.includes("node_modules/effect/")],
  ["ours", (_, url) => url.includes("/dist/")],
  // A read or a write is booked on what called it, or on the program.
  ["Node, the system", (_, url) => url.startsWith("node:") || url === ""],
  ["the benchmark", () => true]
]

const session = new Session()
session.connect()
await session.post("Profiler.enable")
await session.post("Profiler.setSamplingInterval", { interval: 100 })

const warmUps = 5
const runs = 10
const columns = parts.map(([part]) => part)
console.log(`| | by the clock | ${columns.join(" | ")} |\n|---|---|${columns.map(() => "---|").join("")}`)
for (const workload of engineWorkloads()) {
  for (const [name, run] of Object.entries(workload.contenders)) {
    const title = `${workload.name.replace("engines: ", "")}, ${name.replace("zmtp, ", "").replace("zmtp", "")}`
    if (!name.startsWith("zmtp") || !title.includes(only)) continue
    for (let i = 0; i < warmUps; i++) await run()
    const spent = new Map<string, number>()
    let all = 0
    let mean = 0
    for (let i = 0; i < runs; i++) {
      await session.post("Profiler.start")
      mean += (await run()).mean! / runs
      const { profile } = await session.post("Profiler.stop")
      const frames = new Map(profile.nodes.map(({ callFrame, id }) => [id, callFrame]))
      profile.samples!.forEach((id, at) => {
        const { functionName, url } = frames.get(id)!
        const [part] = parts.find(([, is]) => is(functionName, url))!
        spent.set(part, (spent.get(part) ?? 0) + profile.timeDeltas![at]!)
        all += profile.timeDeltas![at]!
      })
    }
    const each = columns.map((part) => ((spent.get(part) ?? 0) / all) * mean)
    console.log(`| ${title} | ${[mean, ...each].map((micros) => micros.toFixed(2)).join(" | ")} |`)
  }
  await workload.close?.()
}
session.disconnect()
