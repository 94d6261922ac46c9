import { Command } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Zmq from "effect-zmq/Zmq"
import { splitWords } from "../endpoints.ts"
import { attach, optionsOf, withSockets } from "../open.ts"
import * as options from "../options.ts"
import { awaiting, sendAll } from "../send.ts"

export const push = Command.make(
  "push",
  {
    words: options.words("endpoint|frame", "Endpoints to connect to, and then the frames of a message"),
    ...options.sending,
    ...options.socket
  },
  (flags) =>
    withSockets(
      flags,
      Effect.gen(function* () {
        const { rest, ...endpoints } = yield* splitWords("push", flags)
        const socket = yield* Zmq.push(yield* optionsOf("push", flags, flags.timeout))
        yield* attach(socket, { ...flags, ...endpoints })
        yield* sendAll(socket, rest, flags, { before: () => awaiting(socket.awaitPeers(1), "peer", flags) })
      })
    )
).pipe(
  Command.withDescription(
    "Send messages to those who pull, each to one of them. Without a message: each line of standard input."
  ),
  Command.withShortDescription("Send messages to those who pull, each to one of them."),
  Command.withExamples([
    { command: "ezmq push tcp://127.0.0.1:5557 hello", description: "One message" },
    { command: "seq 1000 | ezmq push --bind tcp://*:5557", description: "A line each, no faster than they are taken" },
    { command: "ezmq push -f json tcp://127.0.0.1:5557 < jobs.jsonl", description: "JSON Lines" },
    { command: "find . -print0 | ezmq push -0 tcp://127.0.0.1:5557", description: "Text that may have newlines in it" }
  ])
)
