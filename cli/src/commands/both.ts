import { Command } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Zmq from "effect-zmq/Zmq"
import { splitWords } from "../endpoints.ts"
import { attach, optionsOf, withSockets } from "../open.ts"
import * as options from "../options.ts"
import { receiveAll } from "../receive.ts"
import { awaiting, sendAll } from "../send.ts"

const sockets = { dealer: Zmq.dealer, router: Zmq.router, pair: Zmq.pair } as const

type Both = keyof typeof sockets

/** The commands of sockets that send and receive: they send what is read, and write what comes meanwhile. */
const both = <const Name extends Both>(
  name: Name,
  description: string,
  examples: ReadonlyArray<Command.Command.Example>
) =>
  Command.make(
    name,
    {
      words: options.words("endpoint|frame", "Endpoints to connect to, and then the frames of a message"),
      ...options.sending,
      exec: options.exec,
      record: options.record,
      ...options.socket
    },
    (flags) =>
      withSockets(
        flags,
        Effect.gen(function* () {
          const { rest, ...endpoints } = yield* splitWords(name, flags)
          const socket = yield* sockets[name as Both](yield* optionsOf(name, flags, flags.timeout))
          yield* attach(socket, { ...flags, ...endpoints })
          const before = () => awaiting(socket.awaitPeers(1), "peer", flags)
          // `--count` is of what comes: all that there is to send is sent.
          const sending = sendAll(socket as Zmq.Dealer, rest, { ...flags, count: Option.none() }, { before })
          yield* Effect.raceFirst(receiveAll(socket, flags), Effect.andThen(sending, Effect.never))
        })
      )
  ).pipe(Command.withDescription(description), Command.withExamples(examples))

export const dealer = both("dealer", "Send what is read, and write what comes.", [
  {
    command: "ezmq dealer tcp://127.0.0.1:5559 '' ping -n 1",
    description: "Ask a REP: an empty frame stands before the request"
  }
])
export const router = both(
  "router",
  "Write what comes, after the routing id of who sent it, and send what is read to whom its first frame names.",
  [{ command: "ezmq router -f hex --bind tcp://*:5559", description: "See the frames of requests, and answer by hand" }]
)
export const pair = both("pair", "Talk to one peer: send what is read, and write what comes.", [
  { command: "ezmq pair --bind tcp://127.0.0.1:5560", description: "One end of a line, and below the other" },
  { command: "ezmq pair tcp://127.0.0.1:5560" }
])
