/** What comes is written, recorded, or given to a command, and nothing that was taken is dropped. */

import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Zmq from "effect-zmq/Zmq"
import { run } from "./exec.ts"
import type { Failed, OutputClosed } from "./failure.ts"
import { type FormatName, formatFor, separatorOf } from "./format.ts"
import { type Loudness, note } from "./notes.ts"
import { write } from "./output.ts"
import { recorder } from "./recording.ts"

export interface ReceivingFlags extends Loudness {
  readonly format: FormatName
  readonly isNull: boolean
  readonly count: Option.Option<number>
  readonly timeout: Option.Option<Duration.Duration>
}

export interface ReceiveFlags extends ReceivingFlags {
  readonly exec: Option.Option<string>
  readonly record: Option.Option<string>
}

/** Writes messages to standard output as the format has them. */
export const printer = ({ format: name, isNull }: { readonly format: FormatName; readonly isNull: boolean }) => {
  const format = formatFor(name, { terminal: process.stdout.isTTY === true })
  const end = Buffer.from(separatorOf(name, isNull))
  return (messages: ReadonlyArray<Zmq.Message>): Effect.Effect<void, OutputClosed | Failed> =>
    Effect.suspend(() => write(Buffer.concat(messages.flatMap((message) => [Buffer.from(format.print(message)), end]))))
}

type Handle = (messages: ReadonlyArray<Zmq.Message>) => Effect.Effect<void, OutputClosed | Failed>

const handlerOf = (flags: ReceiveFlags): Effect.Effect<Handle, Failed, Scope.Scope> =>
  Effect.gen(function* () {
    const record = Option.isSome(flags.record) ? yield* recorder(flags.record.value) : undefined
    const { exec } = flags
    const plain = formatFor(flags.format, { terminal: false })
    const handle: Handle = Option.isNone(exec)
      ? printer(flags)
      : (messages) =>
          Effect.forEach(
            messages,
            (message) =>
              Effect.flatMap(run(exec.value, plain.print(message), { capture: false }), ({ failure }) =>
                failure === undefined ? Effect.void : note(flags, `the command ${failure}`)
              ),
            { discard: true }
          )
    return record === undefined ? handle : (messages) => Effect.andThen(record(messages), handle(messages))
  })

/** What is there now, up to so many. */
const take = (socket: Zmq.Receiver, atMost: number) =>
  atMost === Infinity
    ? socket.drain
    : Effect.gen(function* () {
        const taken: Array<Zmq.Message> = []
        while (taken.length < atMost) {
          const next = yield* socket.tryRecv
          if (Option.isNone(next)) break
          taken.push(next.value)
        }
        return taken
      })

/**
 * Receives until `--count` or an interruption. Then whatever has been received is still
 * written. A command that runs for a message ends first, and is given no other.
 */
export const receiveAll = (socket: Zmq.Receiver, flags: ReceiveFlags) =>
  Effect.flatMap(handlerOf(flags), (handle) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        // A command has one message at a time, and the others stay where the next receive gets them.
        const bunch = Option.isSome(flags.exec) ? 1 : Infinity
        let left = Option.getOrElse(flags.count, () => Infinity)
        const rest = Effect.suspend(() =>
          bunch === 1
            ? Effect.void
            : Effect.flatMap(take(socket, left), (found) => (found.length === 0 ? Effect.void : handle(found)))
        )
        while (left > 0) {
          const first = yield* Effect.onInterrupt(restore(socket.recv), () => Effect.ignore(rest))
          const more = bunch === 1 ? [] : yield* take(socket, left - 1)
          left -= 1 + more.length
          yield* handle([first, ...more])
          // Whoever has asked us to end is heard while messages keep coming.
          yield* Effect.onInterrupt(restore(Effect.yieldNow), () => Effect.ignore(rest))
        }
      })
    )
  )
