/**
 * A file of messages: JSON Lines, of which each is a message.
 *
 * `{"at":"2026-01-31T12:00:00.000Z","frames":["aGVsbG8="]}`: when it came, and its frames in base64.
 */
import { appendFileSync, closeSync, openSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Message } from "effect-zmq/Zmq"
import { Failed } from "./failure.ts"

const failed = (file: string, cause: unknown) =>
  new Failed({ message: `cannot record to ${file}: ${cause instanceof Error ? cause.message : cause}` })

/** Opens a file to append to. What is recorded is in it when the effect succeeds. */
export const recorder = (
  file: string
): Effect.Effect<(messages: ReadonlyArray<Message>) => Effect.Effect<void, Failed>, Failed, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.try({ try: () => openSync(file, "a"), catch: (cause) => failed(file, cause) }),
      (descriptor) => Effect.sync(() => closeSync(descriptor))
    ),
    (descriptor) => (messages) =>
      Effect.try({
        try: () => {
          const at = new Date().toISOString()
          const lines = messages.map(
            (message) => `${JSON.stringify({ at, frames: message.map((frame) => frame.toString("base64")) })}\n`
          )
          appendFileSync(descriptor, lines.join(""))
        },
        catch: (cause) => failed(file, cause)
      })
  )

export interface Recorded {
  readonly at: Date
  readonly message: Message
}

const isBase64 = (text: unknown): text is string =>
  typeof text === "string" && /^(?:[\w+/]{4})*(?:[\w+/]{2}==|[\w+/]{3}=)?$/.test(text)

/** The message of a line, or nothing if the line is none. */
export const parseRecorded = (line: string): Result.Result<Recorded, undefined> => {
  try {
    const { at, frames } = JSON.parse(line) as { readonly at?: unknown; readonly frames?: unknown }
    const time = typeof at === "string" ? new Date(at) : undefined
    if (time === undefined || Number.isNaN(time.getTime())) return Result.fail(undefined)
    if (!Array.isArray(frames) || frames.length === 0 || !frames.every(isBase64)) return Result.fail(undefined)
    const message = frames.map((frame) => Buffer.from(frame, "base64")) as unknown as Message
    return Result.succeed({ at: time, message })
  } catch {
    return Result.fail(undefined)
  }
}
