/** The rules of `proof/conformance`, on sockets of ours, on our connection alone, and on libzmq: what is broken is known. */
import { describe, expect, it } from "vitest"
import { engine } from "../proof/conformance/engine.ts"
import { idOf } from "../proof/conformance/rules.ts"
import { wrapperBoxes } from "../proof/conformance/sodium.ts"
import { rules, tryRule } from "../proof/conformance/suite.ts"
import { zeromq } from "../proof/conformance/zeromq.ts"
import { coreWith } from "../proof/conformance/zmtp.ts"

const libraries = [
  { name: "sockets of ours", library: engine, known: "zmtp" },
  { name: "the connection of ours alone", library: coreWith(wrapperBoxes), known: "zmtp" },
  { name: "libzmq", library: zeromq, known: "libzmq" }
] as const

it("each rule is there once", () => {
  const ids = rules.map(idOf)
  expect(new Set(ids).size).toBe(ids.length)
})

for (const { known, library, name } of libraries)
  describe(name, () => {
    // Those that libzmq breaks are for `proof/conformance/run.ts`: to see that nothing comes takes 10 s.
    for (const rule of rules)
      if (library.kinds.includes(rule.kind) && !(known === "libzmq" ? rule.libzmq !== undefined : rule.isSlow))
        it(`${rule.level}: ${idOf(rule)}`, async () => {
          const result = await tryRule(rule, library, wrapperBoxes)
          if (rule[known] === undefined) expect(result).toBe("kept")
          else expect(result).not.toBe("kept")
        })
  })
