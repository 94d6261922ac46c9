/**
 * `tsx proof/conformance/run.ts zeromq | zmtp | core | "program and its arguments" [words of rules]`: how the subjects of a
 * library keep the rules.
 */
import { idOf } from "./rules.ts"
import { wrapperBoxes as boxes } from "./sodium.ts"
import { type Library, programs } from "./subject.ts"
import { rules, tryRule } from "./suite.ts"

const [name = "zmtp", words = ""] = process.argv.slice(2)

const library: Library =
  name === "zeromq"
    ? (await import("./zeromq.ts")).zeromq
    : name === "zmtp"
      ? (await import("./engine.ts")).engine
      : name === "core"
        ? (await import("./zmtp.ts")).coreWith(boxes)
        : programs(name)

const counts = { kept: 0, "known to be broken": 0, broken: 0, skipped: 0 }
for (const rule of rules) {
  if (!idOf(rule).includes(words)) continue
  const result = await tryRule(rule, library, boxes)
  const known = name === "zeromq" ? rule.libzmq : name === "zmtp" || name === "core" ? rule.zmtp : undefined
  const verdict =
    result === undefined
      ? "skipped"
      : result === "kept"
        ? "kept"
        : known !== undefined
          ? "known to be broken"
          : "broken"
  counts[verdict]++
  if (verdict === "broken") process.exitCode = 1
  const detail = verdict === "broken" ? `: ${result}` : verdict === "known to be broken" ? `: ${known}` : ""
  console.log(`${verdict.padEnd(18)} ${rule.level.padEnd(9)} ${idOf(rule)}${detail}`)
}
console.log(counts)
process.exit()
