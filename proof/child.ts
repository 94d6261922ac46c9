/** Runs one row in this process and reports what came of it. Started by `run.ts`. */
import type { Size } from "./row.ts"
import { watched, watchProcess } from "./watch.ts"
import { loadWorkload } from "./workloads.ts"

const [id, index, size] = process.argv.slice(2)

watchProcess()
const workload = await loadWorkload(id!)
const row = workload.rows[Number(index)]!
if (typeof row.run !== "function") throw new Error("This row runs in Python")
const outcome = await row.run(JSON.parse(size!) as Size)
// A rejection is unhandled, or a promise settled, a little later.
await new Promise((resolve) => setTimeout(resolve, 20))
process.stdout.write(`@row ${JSON.stringify({ ...outcome, ...watched })}\n`)
// Ours has to end by itself: what was left open would keep the process alive.
if (row.library !== "effect-zmq") process.exit(0)
