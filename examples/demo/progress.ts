/** A line that says how far a storm has come: rewritten on a terminal, repeated elsewhere. */
import { Effect } from "effect"
import type { Ledger } from "./ledger.ts"

export interface Storm {
  readonly ledger: Ledger
  readonly run: Effect.Effect<void, unknown>
}

export const showProgress = (name: string, { ledger, run }: Storm): Effect.Effect<Ledger, unknown> => {
  const live = process.stdout.isTTY
  const show = Effect.sync(() => {
    const { handled, interrupts, sent, timeouts } = ledger
    const text = `${name.padEnd(16)} sent ${count(sent)}  handled ${count(handled)}  interrupts ${count(interrupts)}  timeouts ${count(timeouts)}`
    process.stdout.write(live ? `\r${text}` : `${text}\n`)
  })
  const showForever = Effect.forever(Effect.andThen(Effect.sleep(live ? 100 : 2000), show))
  return Effect.gen(function* () {
    yield* Effect.raceFirst(run, showForever)
    yield* show
    if (live) process.stdout.write("\n")
    return ledger
  })
}

const count = (value: number): string => value.toLocaleString("en").padStart(7)
