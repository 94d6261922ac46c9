/** What the command says beside its output: lines on standard error. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"

export interface Loudness {
  readonly quiet: boolean
  readonly verbose: boolean
}

process.stderr.on("error", () => {})

// A line that `live.ts` draws again and again is cleared before another is written.
let beforeNote = (): void => {}
export const setBeforeNote = (clear: () => void): void => {
  beforeNote = clear
}

export const say = (line: string): void => {
  beforeNote()
  process.stderr.write(`ezmq: ${line}\n`)
}

/** A note, unless `--quiet`. */
export const note = (loudness: Loudness, line: string): Effect.Effect<void> =>
  Effect.sync(() => {
    if (!loudness.quiet) say(line)
  })

// What `effect-zmq` warns of when the linger of a socket has passed.
const undelivered = /closed before all was delivered/

let lost = false

/** Whether a socket has closed with messages that nobody took in time. */
export const wasUndelivered = (): boolean => lost

/** The log of the library goes to standard error: what it warns of, or with `--verbose` everything. */
export const layerLog = ({ quiet, verbose }: Loudness): Layer.Layer<never> => {
  const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
    const [text, ...rest] = Array.isArray(message) ? message : [message]
    const line = [text, ...rest.filter((part) => typeof part === "string")].join(" ").replace(/^effect-zmq: /, "")
    if (undelivered.test(line)) {
      lost = true
      return say("not all that was sent has been delivered, and the linger has passed: see --linger")
    }
    if (!quiet || logLevel === "Error" || logLevel === "Fatal") say(`${logLevel.toLowerCase()}: ${line}`)
  })
  const level: LogLevel.LogLevel = verbose ? "Debug" : "Warn"
  return Layer.mergeAll(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, level))
}
