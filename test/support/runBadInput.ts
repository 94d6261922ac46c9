/** Gets everything wrong that there is to get wrong, in a process that must end by itself with code 0. */
import { Effect } from "effect"
import { badInputs } from "./badInput.ts"

for (const { expected, name, run } of badInputs) {
  const result = await Effect.runPromise(Effect.scoped(run))
  if (result !== expected) {
    console.error(`${name}: expected ${expected}, got ${result}`)
    process.exitCode = 1
  }
}
console.log(`${badInputs.length} done`)
