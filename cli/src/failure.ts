/** What ends the command early, and the exit code of each. */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Exit from "effect/Exit"
import { PlatformError } from "effect/PlatformError"

/** The exit codes, which `--help`, the README and `docs/command.md` list. */
export const codes = { fine: 0, failed: 1, usage: 2, timeLimit: 124, signal: 130 } as const

/** Something did not work. */
export class Failed extends Data.TaggedError("Failed")<{ readonly message: string }> {}

/** The options do not go together, or one is missing. */
export class Usage extends Data.TaggedError("Usage")<{ readonly message: string }> {}

/** `--timeout` has passed. */
export class TimeLimit extends Data.TaggedError("TimeLimit")<{ readonly message: string }> {}

/** Whoever read our output has ended, as `head` does: there is nothing more to do, and nothing wrong. */
export class OutputClosed extends Data.TaggedError("OutputClosed") {}

const tagOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : ""

const textOf = (error: unknown): string => {
  if (error instanceof PlatformError && error.reason._tag === "NotFound") {
    const { pathOrDescriptor } = error.reason
    if (pathOrDescriptor !== undefined) return `${pathOrDescriptor}: there is no such file or folder`
  }
  return error instanceof Error ? error.message : String(error)
}

/** The exit code of a run, and the line for the terminal if there is one to write. */
export const outcome = (exit: Exit.Exit<unknown, unknown>): { readonly code: number; readonly line?: string } => {
  if (Exit.isSuccess(exit)) return { code: codes.fine }
  if (Cause.hasInterruptsOnly(exit.cause)) return { code: codes.signal }
  const error = Cause.squash(exit.cause)
  const line = textOf(error).replaceAll(/\s*\n\s*/g, " ")
  switch (tagOf(error)) {
    case "OutputClosed":
      return { code: codes.fine }
    case "ShowHelp": {
      // Whatever is to be said has been said.
      const { errors = [] } = error as { readonly errors?: ReadonlyArray<unknown> }
      return { code: errors.length === 0 ? codes.fine : codes.usage }
    }
    case "Usage":
      return { code: codes.usage, line }
    case "TimeLimit":
    case "Again":
      return {
        code: codes.timeLimit,
        line: tagOf(error) === "Again" ? "nothing came, and the time limit has passed" : line
      }
    case "OptionError":
      return { code: codes.usage, line }
    default:
      return { code: codes.failed, line }
  }
}
