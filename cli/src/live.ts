/** A line that is written again and again: in its place on a terminal, one below the other elsewhere. */

import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Failed, OutputClosed } from "./failure.ts"
import { setBeforeNote } from "./notes.ts"
import { write } from "./output.ts"

const clear = "\r\u001b[K"

export interface Live {
  readonly line: () => string
  readonly every: Duration.Duration
}

/** Writes the line until it is interrupted, and once more at the end. */
export const live = ({ every, line }: Live): Effect.Effect<never, OutputClosed | Failed> => {
  const isTerminal = process.stdout.isTTY === true
  if (isTerminal) setBeforeNote(() => process.stdout.write(clear))
  // It is cut to the terminal: a line that wraps cannot be written over.
  const shown = () => (isTerminal ? `${clear}${line().slice(0, (process.stdout.columns ?? 80) - 1)}` : `${line()}\n`)
  const end = Effect.suspend(() => {
    if (isTerminal) setBeforeNote(() => {})
    return write(isTerminal ? `${shown()}\n` : shown())
  })
  return Effect.andThen(
    Effect.sleep(every),
    Effect.suspend(() => write(shown()))
  ).pipe(
    Effect.forever,
    Effect.onInterrupt(() => Effect.ignore(end))
  )
}
