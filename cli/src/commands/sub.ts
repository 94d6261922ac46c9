import { Command, Flag } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Zmq from "effect-zmq/Zmq"
import { splitWords } from "../endpoints.ts"
import { attach, optionsOf, withSockets } from "../open.ts"
import * as options from "../options.ts"
import { receiveAll } from "../receive.ts"

export const sub = Command.make(
  "sub",
  {
    words: options.words("endpoint|topic", "Endpoints to connect to, and then topics. Without a topic: everything"),
    topic: options.topics.pipe(Flag.withDescription("Only messages that begin with this. May be given several times")),
    ...options.receiving,
    exec: options.exec,
    record: options.record,
    ...options.socket
  },
  (flags) =>
    withSockets(
      flags,
      Effect.gen(function* () {
        const { rest, ...endpoints } = yield* splitWords("sub", flags)
        const topics = [...flags.topic, ...rest]
        const subscribe = topics.length === 0 ? [""] : topics
        const socket = yield* Zmq.sub({ ...(yield* optionsOf("sub", flags, flags.timeout)), subscribe })
        yield* attach(socket, { ...flags, ...endpoints })
        yield* receiveAll(socket, flags)
      })
    )
).pipe(
  Command.withDescription("Write what publishers send."),
  Command.withExamples([
    { command: "ezmq sub tcp://127.0.0.1:5556", description: "Everything that is published there" },
    { command: "ezmq sub tcp://127.0.0.1:5556 weather. news.", description: "Two topics" },
    { command: "ezmq sub -f json tcp://127.0.0.1:5556 | jq .price", description: "JSON, one message a line" },
    { command: "ezmq sub tcp://127.0.0.1:5556 --record today.jsonl", description: "And keep it, for ezmq cat" }
  ])
)
