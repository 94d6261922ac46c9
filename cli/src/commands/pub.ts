import { Command, Flag } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Zmq from "effect-zmq/Zmq"
import { splitWords } from "../endpoints.ts"
import { attach, optionsOf, withSockets } from "../open.ts"
import * as options from "../options.ts"
import { awaiting, sendAll } from "../send.ts"

const frames = (message: Zmq.Outgoing): ReadonlyArray<Zmq.Frame> =>
  typeof message === "string" || message instanceof Uint8Array ? [message] : message

export const pub = Command.make(
  "pub",
  {
    words: options.words("endpoint|frame", "Endpoints to connect to, and then the frames of a message"),
    topic: Flag.String("topic").pipe(
      Flag.withAlias("s"),
      Flag.optional,
      Flag.withMetavar("TOPIC"),
      Flag.withDescription("A first frame before each message")
    ),
    wait: Flag.Int("wait").pipe(
      Flag.filter(
        (count) => count >= 0,
        (count) => `a whole number from 0 on, got ${count}`
      ),
      Flag.withAlias("w"),
      Flag.withDefault(1),
      Flag.withMetavar("N"),
      Flag.withDescription("Wait for so many subscribers of the first message. Default: 1. With 0 they may miss it")
    ),
    ...options.sending,
    ...options.socket
  },
  (flags) =>
    withSockets(
      flags,
      Effect.gen(function* () {
        const { rest, ...endpoints } = yield* splitWords("pub", flags)
        const socket = yield* Zmq.pub(yield* optionsOf("pub", flags, flags.timeout))
        yield* attach(socket, { ...flags, ...endpoints })
        yield* sendAll(socket, rest, flags, {
          headed: (message) => (Option.isSome(flags.topic) ? [flags.topic.value, ...frames(message)] : message),
          before: (first) =>
            flags.wait === 0
              ? Effect.void
              : awaiting(
                  socket.awaitSubscribers(frames(first)[0]!, flags.wait),
                  "subscriber of the first message",
                  flags
                )
        })
      })
    )
).pipe(
  Command.withDescription("Publish messages. Without a message: each line of standard input."),
  Command.withShortDescription("Publish messages."),
  Command.withExamples([
    { command: "ezmq pub --bind tcp://*:5556 'weather.berlin sunny'", description: "Once somebody has subscribed" },
    { command: "ezmq pub -b tcp://*:5556 --topic time -i 1s tick", description: "Two frames, every second" },
    { command: "tail -f log | ezmq pub -b tcp://*:5556 --wait 0", description: "Whether or not somebody listens" }
  ])
)
