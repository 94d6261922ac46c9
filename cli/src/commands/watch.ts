import { Command, Flag } from "effect/cli"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Zmq from "effect-zmq/Zmq"
import { splitWords } from "../endpoints.ts"
import { TimeLimit, Usage } from "../failure.ts"
import { attach, eventLine, optionsOf, withSockets } from "../open.ts"
import * as options from "../options.ts"
import { write } from "../output.ts"

const types = ["sub", "pub", "req", "rep", "dealer", "router", "pull", "push", "pair"] as const

const events = [
  "Listening",
  "Accepted",
  "ConnectDelayed",
  "ConnectRetried",
  "Connected",
  "HandshakeSucceeded",
  "HandshakeFailed",
  "Disconnected"
] as const

type Type = (typeof types)[number]

const open = (type: Type, given: Zmq.ConnectionOptions): Effect.Effect<Zmq.Socket, Zmq.SocketError, Scope.Scope> =>
  // biome-ignore lint/performance/noDynamicNamespaceImportAccess: they are all in the one module
  type === "sub" ? Zmq.sub({ ...given, subscribe: [] }) : Zmq[type](given)

const jsonOf = (event: Zmq.SocketEvent, at: Date): string => {
  const { _tag, endpoint, ...rest } = event
  const fields = Object.entries(rest).map(([name, value]) => [
    name,
    value instanceof Error ? value.message : Duration.isDuration(value) ? Duration.toMillis(value) : value
  ])
  return JSON.stringify({ at: at.toISOString(), event: _tag, endpoint, ...Object.fromEntries(fields) })
}

/**
 * What is new. An attempt that fails is made again several times a second, and is told of
 * once, until somebody is there.
 */
const news = () => {
  const told = new Set<string>()
  return (event: Zmq.SocketEvent): boolean => {
    if (event._tag === "HandshakeSucceeded" || event._tag === "Accepted") {
      told.clear()
      return true
    }
    const what = `${event._tag} ${event.endpoint}`
    if (told.has(what)) return false
    told.add(what)
    return true
  }
}

export const watch = Command.make(
  "watch",
  {
    words: options.words("endpoint", "Endpoints to connect to"),
    as: Flag.Literals("as", types).pipe(
      Flag.withDefault("dealer"),
      Flag.withMetavar("TYPE"),
      Flag.withDescription(
        "The type of our socket, which has to go with the peer's. Default: dealer; sub for a publisher"
      )
    ),
    json: options.toggle("json").pipe(Flag.withDescription("A line of JSON for each event")),
    until: Flag.Literals("until", events).pipe(
      Flag.optional,
      Flag.withMetavar("EVENT"),
      Flag.withDescription(`End after this event: ${events.join(", ")}`)
    ),
    count: options.count.pipe(Flag.withDescription("End after so many events")),
    timeout: options
      .time("timeout")
      .pipe(
        Flag.withAlias("t"),
        Flag.optional,
        Flag.withDescription("End after so long. With --until the exit code is then 124")
      ),
    ...options.socket,
    verbose: options.loudness.verbose.pipe(Flag.withDescription("Each attempt, and not the first alone"))
  },
  (flags) =>
    withSockets(
      flags,
      Effect.gen(function* () {
        const { rest, ...endpoints } = yield* splitWords("watch", flags)
        if (rest[0] !== undefined) return yield* new Usage({ message: `${JSON.stringify(rest[0])} is no endpoint` })
        const socket = yield* open(flags.as, yield* optionsOf("watch", flags))
        yield* attach(socket, { ...endpoints, quiet: flags.quiet, verbose: false })
        const isLast = (event: Zmq.SocketEvent) => Option.isSome(flags.until) && flags.until.value === event._tag
        const written = socket.events.pipe(
          Stream.filter(flags.verbose ? () => true : news()),
          Stream.tap((event) =>
            write(
              `${flags.json ? jsonOf(event, new Date()) : `${new Date().toISOString().slice(11, 23)}  ${eventLine(event)}`}\n`
            )
          ),
          Stream.take(Option.getOrElse(flags.count, () => Infinity)),
          Stream.takeUntil(isLast),
          Stream.runDrain
        )
        if (Option.isNone(flags.timeout)) return yield* written
        const late = new TimeLimit({ message: `not within ${Duration.format(flags.timeout.value)}` })
        yield* Effect.timeoutOrElse(written, {
          duration: flags.timeout.value,
          orElse: () => (Option.isSome(flags.until) ? Effect.fail(late) : Effect.void)
        })
      })
    )
).pipe(
  Command.withDescription("Write what becomes of the connections to an endpoint. What it receives is not written."),
  Command.withShortDescription("Write what becomes of the connections to an endpoint."),
  Command.withExamples([
    { command: "ezmq watch tcp://10.0.0.7:5559", description: "Is anybody there, and does it let us in?" },
    { command: "ezmq watch --as sub tcp://10.0.0.7:5556", description: "A publisher" },
    {
      command: "ezmq watch -t 30s --until HandshakeSucceeded tcp://10.0.0.7:5559",
      description: "Wait in a script until a service is up"
    }
  ])
)
