import { Command } from "effect/cli"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Zmq from "effect-zmq/Zmq"
import { splitWords } from "../endpoints.ts"
import { TimeLimit } from "../failure.ts"
import { attach, optionsOf, withSockets } from "../open.ts"
import * as options from "../options.ts"
import { printer } from "../receive.ts"
import { paced } from "../send.ts"

export const req = Command.make(
  "req",
  {
    words: options.words("endpoint|frame", "Endpoints to connect to, and then the frames of a request"),
    ...options.sending,
    ...options.socket
  },
  (flags) =>
    withSockets(
      flags,
      Effect.gen(function* () {
        const { rest, ...endpoints } = yield* splitWords("req", flags)
        const socket = yield* Zmq.req(yield* optionsOf("req", flags, flags.timeout))
        yield* attach(socket, { ...flags, ...endpoints })
        const print = printer(flags)
        const late = () =>
          new TimeLimit({
            message: `no reply within ${Option.match(flags.timeout, { onNone: () => "the time limit", onSome: Duration.format })}`
          })
        yield* Stream.runForEach(paced(rest, flags), (message) =>
          socket.request(message).pipe(
            Effect.mapError((error) => (error._tag === "Again" ? late() : error)),
            Effect.flatMap((reply) => Effect.uninterruptible(print([reply])))
          )
        )
      })
    )
).pipe(
  Command.withDescription(
    "Ask, and write the reply. Without a request: each line of standard input, one after the other."
  ),
  Command.withShortDescription("Ask, and write the reply."),
  Command.withExamples([
    {
      command: "ezmq req tcp://127.0.0.1:5559 ping --timeout 2s",
      description: "Is it there? The exit code is 124 if not"
    },
    {
      command: `ezmq req -f json tcp://127.0.0.1:5559 '{"symbol":"XYZ"}' | jq .price`,
      description: "A question in JSON"
    },
    { command: "ezmq req tcp://127.0.0.1:5559 ping -i 1s", description: "Again and again" }
  ])
)
