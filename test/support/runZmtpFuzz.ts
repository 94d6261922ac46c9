/**
 * The long form of the fuzzing of ZMTP: `node --expose-gc --import tsx test/support/runZmtpFuzz.ts [inputs] [target] [first seed]`,
 * a million inputs for each target if not told otherwise.
 */
import { randomFrom } from "./sockets.ts"
import { fuzz, targets } from "./zmtpFuzz.ts"

const [inputs = "1000000", only, first = "0"] = process.argv.slice(2)

const heap = (): number => {
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

for (const target of targets) {
  if (only !== undefined && only !== "" && !target.name.includes(only)) continue
  const outcomes: Record<string, number> = {}
  let longest = 0
  let over = 0
  let messages = 0
  let before = 0
  const start = performance.now()
  const count = Number(inputs)
  for (let i = 0; i < count; i++) {
    if (i === Math.min(10_000, count >> 1)) before = heap()
    const seed = Number(first) + i
    try {
      const result = fuzz(target, randomFrom(seed))
      outcomes[result.outcome] = (outcomes[result.outcome] ?? 0) + 1
      // V8 may collect or compile in the middle of any call: what takes long each time is the input's.
      let least = result.longest
      for (let tries = 0; tries < 3 && least > 10; tries++)
        least = Math.min(least, fuzz(target, randomFrom(seed)).longest)
      longest = Math.max(longest, least)
      if (least > 10) over++
      messages += result.messages
    } catch (cause) {
      console.error(`${target.name}, seed ${seed}:`, cause)
      process.exitCode = 1
    }
  }
  const grown = ((heap() - before) / 1024).toFixed(0)
  const seconds = ((performance.now() - start) / 1000).toFixed(0)
  console.log(
    `${target.name}: ${count} inputs in ${seconds} s, ${JSON.stringify(outcomes)}, ${messages} messages; ` +
      `longest call ${longest.toFixed(1)} ms of CPU time, ${over} over 10 ms; heap grew by ${grown} KiB`
  )
}
