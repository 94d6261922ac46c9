/** Standard output, which a reader may end or hold up. */
import * as Effect from "effect/Effect"
import { Failed, OutputClosed } from "./failure.ts"

// The callback of a write is told of each error; without this it would also end the process.
process.stdout.on("error", () => {})

/** Writes, and waits until that is done: who reads slowly slows us down, and nothing piles up here. */
export const write = (bytes: string | Uint8Array): Effect.Effect<void, OutputClosed | Failed> =>
  Effect.callback((resume) => {
    process.stdout.write(bytes, (error) => {
      if (error === null || error === undefined) return resume(Effect.void)
      const { code } = error as NodeJS.ErrnoException
      resume(
        Effect.fail(
          code === "EPIPE" || code === "ERR_STREAM_DESTROYED"
            ? new OutputClosed()
            : new Failed({ message: `cannot write to standard output: ${error.message}` })
        )
      )
    })
  })
