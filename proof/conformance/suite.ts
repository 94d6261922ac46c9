/** All rules, and how one is tried on subjects. */
import type { Boxes } from "../../src/internal/zmtp/protocol/boxes.ts"
import { curveRules } from "./curveRules.ts"
import { nullRules } from "./nullRules.ts"
import { patternRules } from "./patternRules.ts"
import { plainRules } from "./plainRules.ts"
import type { Rule } from "./rules.ts"
import type { Library } from "./subject.ts"
import { dial, Listener } from "./wire.ts"

export const rules: ReadonlyArray<Rule> = [...nullRules, ...plainRules, ...curveRules, ...patternRules]

const connects = new Set(["dealer", "sub", "req"])

/** `undefined`: there is no such subject. A text: how the rule is broken. */
export const tryRule = async (rule: Rule, library: Library, boxes: Boxes): Promise<"kept" | string | undefined> => {
  const { kind, mechanism, refuses } = rule
  const opened: Array<{ close(): unknown }> = []
  const kept = <A extends { close(): unknown }>(one: A): A => {
    opened.push(one)
    return one
  }
  const launch = async (endpoint?: string): Promise<string> => {
    const subject = await library.start({
      kind,
      mechanism,
      ...(refuses === undefined ? {} : { refuses }),
      ...(endpoint === undefined ? {} : { endpoint })
    })
    kept({ close: subject.stop })
    return subject.endpoint
  }
  const comesAgain = async (): Promise<Listener> => {
    const listener = kept(await Listener.open())
    await launch(listener.endpoint)
    return listener
  }
  if (!library.kinds.includes(kind)) return undefined
  try {
    const endpoint = connects.has(kind) ? "" : await launch()
    await rule.run({
      boxes,
      dial: async () => kept(await dial(endpoint)),
      comesAgain,
      accept: async () => kept(await (await comesAgain()).next())
    })
    return "kept"
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    for (const one of opened.toReversed()) await one.close()
  }
}
