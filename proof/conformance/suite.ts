/** All rules, and how one is tried on subjects. */
import type { Boxes } from "../../src/internal/zmtp/protocol/boxes.ts"
import { curveRules } from "./curveRules.ts"
import { nullRules } from "./nullRules.ts"
import { patternRules } from "./patternRules.ts"
import { pipelineRules } from "./pipelineRules.ts"
import { plainRules } from "./plainRules.ts"
import { publishRules } from "./publishRules.ts"
import { requestRules } from "./requestRules.ts"
import type { Rule } from "./rules.ts"
import type { Library, Running } from "./subject.ts"
import { dial, Listener } from "./wire.ts"

export const rules: ReadonlyArray<Rule> = [
  ...nullRules,
  ...plainRules,
  ...curveRules,
  ...patternRules,
  ...requestRules,
  ...publishRules,
  ...pipelineRules
]

const connects = new Set(["dealer", "sub", "req"])

/** What a subject does not say at all. */
const inTime = (trial: Promise<void>): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the subject says nothing")), 20_000)
    trial.then(resolve, reject).finally(() => clearTimeout(timer))
  })

/** `undefined`: there is no such subject. A text: how the rule is broken. */
export const tryRule = async (rule: Rule, library: Library, boxes: Boxes): Promise<"kept" | string | undefined> => {
  const { kind, mechanism, refuses } = rule
  const opened: Array<{ close(): unknown }> = []
  const kept = <A extends { close(): unknown }>(one: A): A => {
    opened.push(one)
    return one
  }
  const launch = async (endpoint?: string): Promise<Running> => {
    const subject = await library.start({
      kind,
      mechanism,
      ...(refuses === undefined ? {} : { refuses }),
      ...(endpoint === undefined ? {} : { endpoint })
    })
    kept({ close: subject.stop })
    return subject
  }
  const listen = async (endpoint?: string) => kept(await Listener.open(endpoint))
  const comesAgain = async (): Promise<Listener> => {
    const listener = await listen()
    await launch(listener.endpoint)
    return listener
  }
  if (!library.kinds.includes(kind)) return undefined
  try {
    const isDriven = kind.startsWith("driven ")
    let endpoint = connects.has(kind) || isDriven ? "" : (await launch()).endpoint
    const trial = rule.run({
      boxes,
      listen,
      drive: async () => {
        const subject = await launch()
        endpoint = subject.endpoint
        return subject.driver!
      },
      driveTo: async (endpoint) => (await launch(endpoint)).driver!,
      dial: async () => kept(await dial(endpoint)),
      comesAgain,
      accept: async () => kept(await (await comesAgain()).next())
    })
    await inTime(trial)
    return "kept"
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    for (const one of opened.toReversed()) await one.close()
  }
}
