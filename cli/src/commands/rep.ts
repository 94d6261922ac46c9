import { Command, Flag } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import * as Zmq from "effect-zmq/Zmq"
import { splitWords } from "../endpoints.ts"
import { run } from "../exec.ts"
import { Usage } from "../failure.ts"
import { type FormatName, formats } from "../format.ts"
import { fromStandardInput, fromWords, type InputFlags } from "../input.ts"
import { type Loudness, note } from "../notes.ts"
import { attach, optionsOf, withSockets } from "../open.ts"
import * as options from "../options.ts"
import { printer } from "../receive.ts"

/** What a command has written is a message, without the newline at its end. */
const replyOf = (output: Buffer, format: FormatName) => {
  const isEnded = format !== "raw" && output.at(-1) === 10
  return formats[format].parse(isEnded ? output.subarray(0, -1) : output)
}

const byCommand = (command: string, flags: Loudness & InputFlags) => (request: Zmq.Message) =>
  Effect.gen(function* () {
    const { failure, output } = yield* run(command, formats[flags.format].print(request), { capture: true })
    if (failure !== undefined) {
      yield* note(flags, `the command ${failure}, and the reply is empty`)
      return ""
    }
    const reply = yield* Effect.result(Effect.fromResult(replyOf(output, flags.format)))
    if (reply._tag === "Success") return reply.success ?? ""
    yield* note(flags, `what the command wrote is no reply: ${reply.failure.message}. The reply is empty`)
    return ""
  })

/** Each request is answered by the next message of standard input. Where that ends, so do the answers. */
const byHand = (flags: InputFlags) =>
  Effect.map(Stream.toPull(Stream.flattenIterable(fromStandardInput(flags))), (pull) => {
    const ready: Array<Zmq.Outgoing> = []
    return () =>
      Effect.gen(function* () {
        while (ready.length === 0) ready.push(...(yield* pull))
        return ready.shift()!
      }).pipe(Pull.catchDone(() => Effect.succeed(undefined)))
  })

export const rep = Command.make(
  "rep",
  {
    words: options.words("endpoint|frame", "Endpoints to connect to, and then the frames of the one reply"),
    echo: options.toggle("echo").pipe(Flag.withDescription("Reply with the request")),
    ...options.receiving,
    exec: options.exec.pipe(
      Flag.withDescription("Reply with what this writes: it gets the request on standard input and as {}")
    ),
    ...options.socket
  },
  (flags) =>
    withSockets(
      flags,
      Effect.gen(function* () {
        const { rest, ...endpoints } = yield* splitWords("rep", flags)
        const ways = [rest.length > 0, flags.echo, Option.isSome(flags.exec)].filter(Boolean).length
        if (ways > 1) return yield* new Usage({ message: "take one of --echo, --exec and a reply" })
        const answer = flags.echo
          ? (request: Zmq.Message) => Effect.succeed<Zmq.Outgoing | undefined>(request)
          : Option.isSome(flags.exec)
            ? byCommand(flags.exec.value, flags)
            : rest.length > 0
              ? yield* Effect.map(fromWords(rest, flags), (reply) => () => Effect.succeed(reply))
              : yield* byHand(flags)
        const socket = yield* Zmq.rep(yield* optionsOf("rep", flags))
        yield* attach(socket, { ...flags, ...endpoints })
        const print = printer(flags)
        let left = Option.getOrElse(flags.count, () => Infinity)
        const next = Option.isSome(flags.timeout)
          ? Effect.timeoutOrElse(socket.recv, {
              duration: flags.timeout.value,
              orElse: () => Effect.fail(new Zmq.Again({ operation: "recv" }))
            })
          : socket.recv
        while (left-- > 0) {
          const isLast = yield* Effect.uninterruptibleMask((restore) =>
            Effect.gen(function* () {
              const request = yield* restore(next)
              yield* print([request])
              // Told to end, we still answer what we have taken, but do not wait for somebody who types.
              const reply = yield* ways > 0 ? answer(request) : restore(answer(request))
              if (reply === undefined) return true
              yield* socket.send(reply)
              return false
            })
          )
          if (isLast) break
        }
      })
    )
).pipe(
  Command.withDescription(
    "Write each request, and reply. Without --echo, --exec or a reply: with the next line of standard input."
  ),
  Command.withShortDescription("Write each request, and reply to it."),
  Command.withExamples([
    { command: "ezmq rep --bind tcp://127.0.0.1:5559 --echo", description: "A service to try a client with" },
    { command: "ezmq rep -b tcp://127.0.0.1:5559 pong", description: "The same reply for everybody" },
    { command: "ezmq rep -b tcp://127.0.0.1:5559 -f json --exec 'jq .id'", description: "A program that answers" }
  ])
)
