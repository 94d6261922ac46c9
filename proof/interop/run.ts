/**
 * `tsx proof/interop/run.ts [few] [words of a case ...]`: all cases, or a few in which each two values meet, and of
 * these those whose names have all of the words.
 */
import { Effect, Exit } from "effect"
import { cases, fewCases, flows, nameOf } from "./cases.ts"
import { Python } from "./theirs.ts"
import { tryCase } from "./try.ts"

const words = process.argv.slice(2)
const python = new Python()
const start = performance.now()
let right = 0
let wrong = 0
let stuck = 0
// Spread, so that the first hundreds are of all kinds.
const all = words[0] === "few" ? fewCases() : cases.map((_, i) => cases[(i * 997) % cases.length]!)
for (const one of all) {
  if (!words.every((word) => word === "few" || nameOf(one).includes(word))) continue
  const since = performance.now()
  const exit = await Effect.runPromiseExit(tryCase(one, python))
  const millis = Math.round(performance.now() - since)
  if (Exit.isSuccess(exit)) {
    right++
    if (exit.value > 0) stuck++
    else if (flows(one)) console.log(`never stuck: ${nameOf(one)}`)
    if (right % 100 === 0) console.log(`${right} right by now`)
  } else {
    wrong++
    process.exitCode = 1
    console.log(`WRONG after ${millis} ms: ${exit.cause}`)
  }
}
python.close()
const seconds = Math.round((performance.now() - start) / 1000)
console.log(`${right} right, of which ${stuck} under backpressure, and ${wrong} wrong, in ${seconds} s`)
process.exit()
