/** Times on the command line: `500ms`, `5s`, `2m`, `1h`, and a bare number of seconds, as sleep(1) has it. */
import * as Duration from "effect/Duration"

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Throws if it is none. */
export const parseDuration = (text: string): Duration.Duration => {
  if (text === "forever") return Duration.infinity
  const [, number, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? []
  if (number === undefined) throw new Error("a time, like 500ms, 5s, 2m or forever")
  return Duration.millis(Number(number) * units[unit as keyof typeof units])
}
