/** How values are shown, in all ways. */
import { inspect } from "node:util"
import { Cause, Effect, Formatter, Inspectable, Logger } from "effect"

const everything = {
  depth: Number.POSITIVE_INFINITY,
  maxArrayLength: null,
  maxStringLength: null,
  showHidden: true,
  showProxy: true
}

/** All ways to look at a value. */
export const ways: Readonly<Record<string, (value: unknown) => string>> = {
  "as text": (value) => String(value),
  inspected: (value) => inspect(value),
  "inspected to the bottom": (value) => inspect(value, everything),
  "inspected to the bottom, whatever it says of itself": (value) =>
    inspect(value, { ...everything, customInspect: false }),
  "as JSON": (value) => {
    const seen = new Set<unknown>()
    return `${JSON.stringify(value, (_, part: unknown) => {
      if (typeof part !== "object" || part === null) return typeof part === "bigint" ? `${part}` : part
      if (seen.has(part)) return "seen"
      seen.add(part)
      return part
    })}`
  },
  "with Inspectable": (value) =>
    `${Inspectable.toStringUnknown(value)} ${inspect(Inspectable.toJson(value), everything)}`,
  "with Formatter": (value) => `${Formatter.format(value)} ${Formatter.formatJson(value)}`,
  "in the log": (value) => {
    const lines: Array<string> = []
    const loggers = [Logger.formatSimple, Logger.formatLogFmt, Logger.formatJson, Logger.formatStructured].map(
      (format) =>
        Logger.map(format as Logger.Logger<unknown, unknown>, (line) => void lines.push(inspect(line, everything)))
    )
    Effect.runSync(
      Effect.logError("seen", value, Cause.fail(value)).pipe(
        Effect.annotateLogs({ value }),
        Effect.provide(Logger.layer(loggers))
      )
    )
    return lines.join("\n")
  },
  "as an error": (value) => `${Cause.pretty(Cause.fail(value))} ${Cause.pretty(Cause.die(value))}`
}
