import { Argument, Command, Flag } from "effect/cli"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Result from "effect/Result"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { Failed } from "../failure.ts"
import * as options from "../options.ts"
import { printer } from "../receive.ts"
import { parseRecorded, type Recorded } from "../recording.ts"
import { recordsOf } from "../records.ts"

const recorded = (file: string) => {
  let line = 0
  const bytes: Stream.Stream<Uint8Array, PlatformError, FileSystem.FileSystem | Stdio.Stdio> =
    file === "-"
      ? Stream.unwrap(Stdio.Stdio.useSync(({ stdin }) => stdin))
      : Stream.unwrap(Effect.map(FileSystem.FileSystem, (fs) => fs.stream(file)))
  return Stream.mapEffect(Stream.flattenIterable(recordsOf(bytes, "\n")), (text) => {
    line++
    const parsed = parseRecorded(text.toString())
    return Result.isSuccess(parsed)
      ? Effect.succeed(parsed.success)
      : Effect.fail(
          new Failed({ message: `${file}, line ${line}: no recorded message. Record with ezmq sub --record` })
        )
  })
}

/** Waits as long before each message as it took to come, after the one before. */
const atItsPace = <E, R>(messages: Stream.Stream<Recorded, E, R>, speed: number) =>
  Stream.suspend(() => {
    let last: number | undefined
    return Stream.mapEffect(messages, (one) => {
      const wait = last === undefined ? 0 : Math.max(0, one.at.getTime() - last) / speed
      last = one.at.getTime()
      return Effect.as(wait === 0 ? Effect.void : Effect.sleep(Duration.millis(wait)), one)
    })
  })

export const cat = Command.make(
  "cat",
  {
    file: Argument.String("file").pipe(Argument.withDescription("What --record has written, or - for standard input")),
    ...options.formatOf,
    count: options.count.pipe(Flag.withDescription("The first so many messages")),
    replay: options.toggle("replay").pipe(Flag.withDescription("At the pace at which they came")),
    speed: Flag.Finite("speed").pipe(
      Flag.filter(
        (speed) => speed > 0,
        (speed) => `a number above 0, got ${speed}`
      ),
      Flag.withDefault(1),
      Flag.withMetavar("FACTOR"),
      Flag.withDescription("With --replay: so many times as fast")
    )
  },
  (flags) => {
    const print = printer(flags)
    const messages = Stream.take(
      recorded(flags.file),
      Option.getOrElse(flags.count, () => Infinity)
    )
    return flags.replay
      ? Stream.runForEach(atItsPace(messages, flags.speed), ({ message }) => print([message]))
      : Stream.runForEachArray(messages, (bunch) => print(bunch.map(({ message }) => message)))
  }
).pipe(
  Command.withDescription("Write the messages of a file that --record has made."),
  Command.withShortDescription("Write the messages of a file that --record has made."),
  Command.withExamples([
    { command: "ezmq cat today.jsonl", description: "As text" },
    {
      command: "ezmq cat --replay -f hex today.jsonl | ezmq pub -f hex -b tcp://*:5556",
      description: "Publish it again, byte for byte and at its pace"
    }
  ])
)
