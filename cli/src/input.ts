/** What is to be sent: the words of the command line, or standard input. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { Outgoing } from "effect-zmq/Zmq"
import { Failed } from "./failure.ts"
import { type FormatName, formats, separatorOf } from "./format.ts"
import { recordsOf } from "./records.ts"

export interface InputFlags {
  readonly format: FormatName
  readonly isNull: boolean
}

/** Messages as standard input has them, in the bunches that it is read in. No more is read than is asked for. */
export const fromStandardInput = ({ format: name, isNull }: InputFlags) =>
  Stream.unwrap(
    Stdio.Stdio.useSync(({ stdin }) => {
      const format = formats[name]
      let line = 0
      // What stands before a message that is none is sent.
      const parse = (records: ReadonlyArray<Buffer>): Stream.Stream<ReadonlyArray<Outgoing>, Failed> => {
        const messages: Array<Outgoing> = []
        for (const record of records) {
          line++
          const parsed = format.parse(record)
          if (Result.isFailure(parsed)) {
            const { message } = parsed.failure
            const wrong = new Failed({ message: `standard input, message ${line}: ${message}` })
            return Stream.concat(Stream.succeed(messages), Stream.fail(wrong))
          }
          if (parsed.success !== undefined) messages.push(parsed.success)
        }
        return Stream.succeed(messages)
      }
      return Stream.flatMap(recordsOf(stdin, separatorOf(name, isNull)), parse)
    })
  )

/** The message that the words are: a frame each, as the format has them. */
export const fromWords = (
  words: ReadonlyArray<string>,
  { format: name }: InputFlags
): Effect.Effect<Outgoing, Failed> =>
  Effect.gen(function* () {
    if (name === "text" || name === "raw") return words as unknown as Outgoing
    const parsed = words.map((word) => formats[name].parse(Buffer.from(word)))
    const frames: Array<string | Uint8Array> = []
    for (const result of parsed) {
      const message = yield* Effect.fromResult(result)
      if (message !== undefined)
        frames.push(...(typeof message === "string" || message instanceof Uint8Array ? [message] : message))
    }
    if (frames.length === 0) return yield* new Failed({ message: `expected a message in ${name}` })
    return frames as unknown as Outgoing
  }).pipe(Effect.mapError(({ message }) => new Failed({ message: `the message: ${message}` })))

/** The input of a command as bunches of messages; where there are words, the message that they are, again and again. */
export const inputOf = (words: ReadonlyArray<string>, flags: InputFlags) =>
  words.length === 0
    ? fromStandardInput(flags)
    : Stream.unwrap(
        Effect.map(fromWords(words, flags), (message) =>
          Stream.make<[ReadonlyArray<Outgoing>]>([message]).pipe(Stream.forever)
        )
      )
