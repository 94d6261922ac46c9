import { Command } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Zmq from "effect-zmq/Zmq"
import { splitWords } from "../endpoints.ts"
import { Usage } from "../failure.ts"
import { attach, optionsOf, withSockets } from "../open.ts"
import * as options from "../options.ts"
import { receiveAll } from "../receive.ts"

export const pull = Command.make(
  "pull",
  {
    words: options.words("endpoint", "Endpoints to connect to"),
    ...options.receiving,
    exec: options.exec,
    record: options.record,
    ...options.socket
  },
  (flags) =>
    withSockets(
      flags,
      Effect.gen(function* () {
        const { rest, ...endpoints } = yield* splitWords("pull", flags)
        if (rest[0] !== undefined) return yield* new Usage({ message: `${JSON.stringify(rest[0])} is no endpoint` })
        const socket = yield* Zmq.pull(yield* optionsOf("pull", flags, flags.timeout))
        yield* attach(socket, { ...flags, ...endpoints })
        yield* receiveAll(socket, flags)
      })
    )
).pipe(
  Command.withDescription("Write what is pushed."),
  Command.withExamples([
    { command: "ezmq pull --bind tcp://127.0.0.1:5557 --count 3", description: "The next three jobs" },
    {
      command: "ezmq pull tcp://127.0.0.1:5557 --exec './work.sh'",
      description: "A program for each job, which reads it"
    },
    { command: "ezmq pull -b tcp://*:5557 -n 1 -f raw > photo.png", description: "The bytes of one message" }
  ])
)
