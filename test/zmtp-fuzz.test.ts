import { describe, expect, it } from "vitest"
import { randomFrom } from "./support/sockets.ts"
import { fuzz, targets } from "./support/zmtpFuzz.ts"

// The long form is `tsx test/support/runZmtpFuzz.ts`.
describe("nothing that a peer says makes us throw, grow, or talk after the end", () => {
  for (const target of targets)
    it(target.name, () => {
      const outcomes = new Set<string>()
      let messages = 0
      for (let seed = 0; seed < 1000; seed++) {
        const random = randomFrom(seed)
        try {
          const result = fuzz(target, random)
          outcomes.add(result.outcome)
          messages += result.messages
        } catch (cause) {
          throw new Error(`${target.name}, seed ${seed}`, { cause })
        }
      }
      // It got as far as it can, and was refused as well.
      expect(outcomes).toContain("protocol")
      if (target.name !== "greeting") expect(outcomes).toContain("traffic")
      if (target.name === "frames" || target.name.endsWith("traffic")) expect(messages).toBeGreaterThan(1000)
    }, 120_000)
})
