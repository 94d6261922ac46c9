/** What is read is sent, no faster than it is taken. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as Zmq from "effect-zmq/Zmq"
import { TimeLimit } from "./failure.ts"
import { type InputFlags, inputOf } from "./input.ts"
import { type Loudness, note } from "./notes.ts"

export interface SendingFlags extends InputFlags, Loudness {
  readonly count: Option.Option<number>
  readonly interval: Option.Option<Duration.Duration>
  readonly timeout: Option.Option<Duration.Duration>
}

/** How many messages there are to send: words are one message, unless they are to be repeated. */
const countOf = (words: ReadonlyArray<string>, { count, interval }: SendingFlags): number =>
  Option.getOrElse(count, () => (words.length > 0 && Option.isNone(interval) ? 1 : Infinity))

/** Runs a wait for somebody, says so after two seconds, and gives up after `--timeout`. */
export const awaiting = <A, E, R>(wait: Effect.Effect<A, E, R>, whom: string, flags: SendingFlags) => {
  const said = Effect.andThen(Effect.sleep("2 seconds"), note(flags, `waiting for a ${whom}`))
  const waited = Effect.scoped(Effect.andThen(Effect.forkScoped(said), wait))
  if (Option.isNone(flags.timeout)) return waited
  const within = Duration.format(flags.timeout.value)
  return Effect.timeoutOrElse(waited, {
    duration: flags.timeout.value,
    orElse: () => Effect.fail(new TimeLimit({ message: `there was no ${whom} within ${within}` }))
  })
}

/** The messages, one by one, at the pace of `--interval`, until `--count`. */
export const paced = (words: ReadonlyArray<string>, flags: SendingFlags) => {
  const messages = Stream.flattenIterable(inputOf(words, flags)).pipe(Stream.take(countOf(words, flags)))
  return Option.isNone(flags.interval)
    ? messages
    : Stream.mapEffect(Stream.zipWithIndex(messages), ([message, i]) =>
        Effect.as(i === 0 ? Effect.void : Effect.sleep(Option.getOrThrow(flags.interval)), message)
      )
}

/** Sends all there is to send. `before` is run with the first message. */
export const sendAll = <E, R>(
  socket: Pick<Zmq.Sender, "send" | "sendAll">,
  words: ReadonlyArray<string>,
  flags: SendingFlags,
  options: {
    readonly before: (first: Zmq.Outgoing) => Effect.Effect<unknown, E, R>
    readonly headed?: (message: Zmq.Outgoing) => Zmq.Outgoing
  }
) => {
  const { before, headed = (message) => message } = options
  let isFirst = true
  const ready = (message: Zmq.Outgoing) => {
    if (!isFirst) return Effect.void
    isFirst = false
    return before(message)
  }
  const bunches =
    Option.isSome(flags.interval) || Option.isSome(flags.count) || words.length > 0
      ? Stream.map(paced(words, flags), (message) => [message])
      : inputOf(words, flags)
  return Stream.runForEach(bunches, (bunch) => {
    const messages = bunch.map(headed)
    const [first] = messages
    if (first === undefined) return Effect.void
    return Effect.andThen(ready(first), messages.length === 1 ? socket.send(first) : socket.sendAll(messages))
  })
}
