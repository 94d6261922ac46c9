/** The options that commands have in common, each in one place. */
import { Argument, Flag } from "effect/cli"
import { parseDuration } from "./duration.ts"
import { formatNames } from "./format.ts"

export const time = (name: string) =>
  Flag.String(name).pipe(
    Flag.mapTryCatch(parseDuration, (error) => (error instanceof Error ? error.message : `${error}`)),
    Flag.withMetavar("TIME")
  )

export const atLeastOne = (name: string) =>
  Flag.Int(name).pipe(
    Flag.filter(
      (value) => value >= 1,
      (value) => `a whole number from 1 on, got ${value}`
    ),
    Flag.withMetavar("N")
  )

/** There, or not there. */
export const toggle = (name: string) => Flag.Boolean(name).pipe(Flag.withoutNegation, Flag.withDefault(false))

const amount = (name: string) =>
  Flag.Int(name).pipe(
    Flag.filter(
      (value) => value >= 0,
      (value) => `a whole number from 0 on, got ${value}`
    ),
    Flag.withMetavar("N")
  )

export const loudness = {
  quiet: toggle("quiet").pipe(Flag.withAlias("q"), Flag.withDescription("No notes on standard error, but errors")),
  verbose: toggle("verbose").pipe(Flag.withDescription("Say each event of the connections, and what the library logs"))
}

export const engine = Flag.Literals("engine", ["zeromq", "zmtp"]).pipe(
  Flag.withDefault("zeromq"),
  Flag.withMetavar("zeromq|zmtp"),
  Flag.withDescription("What makes the sockets: libzmq (default), or ZMTP in TypeScript")
)

/** CURVE and PLAIN, from files. */
export const security = {
  serverKey: Flag.String("server-key").pipe(
    Flag.optional,
    Flag.withMetavar("KEY|FILE"),
    Flag.withDescription("CURVE: the public key of the server to connect to, or its .key file")
  ),
  key: Flag.String("key").pipe(
    Flag.optional,
    Flag.withMetavar("FILE"),
    Flag.withDescription(
      "CURVE: our own .key_secret file. Alone it makes us the server; with --server-key it says who we are"
    )
  ),
  clients: Flag.String("clients").pipe(
    Flag.optional,
    Flag.withMetavar("FOLDER"),
    Flag.withDescription("CURVE server: only those whose .key files are in this folder may come in")
  ),
  user: Flag.String("user").pipe(
    Flag.optional,
    Flag.withMetavar("NAME"),
    Flag.withDescription("PLAIN: the name to send. The password is in EZMQ_PASSWORD, or in --password-file")
  ),
  passwordFile: Flag.String("password-file").pipe(
    Flag.optional,
    Flag.withMetavar("FILE"),
    Flag.withDescription("PLAIN: a file with the password for --user in its first line")
  ),
  users: Flag.String("users").pipe(
    Flag.optional,
    Flag.withMetavar("FILE"),
    Flag.withDescription("PLAIN server: those who may come in, a line of name:password for each")
  )
}

/** What every socket takes. */
export const socket = {
  bind: Flag.String("bind").pipe(
    Flag.withAlias("b"),
    Flag.atLeast(0),
    Flag.withMetavar("ENDPOINT"),
    Flag.withDescription("Listen there. May be given several times")
  ),
  connect: Flag.String("connect").pipe(
    Flag.withAlias("c"),
    Flag.atLeast(0),
    Flag.withMetavar("ENDPOINT"),
    Flag.withDescription("Connect to there, as a bare endpoint does. May be given several times")
  ),
  ipv6: toggle("ipv6").pipe(Flag.withDescription("IPv6 as well as IPv4")),
  linger: time("linger").pipe(
    Flag.optional,
    Flag.withDescription("How long to try to deliver what was sent, at the end. Default: 5s")
  ),
  hwm: amount("hwm").pipe(
    Flag.optional,
    Flag.withDescription("High-water marks: messages that wait for each peer. Default: 1000")
  ),
  engine,
  ...security,
  ...loudness
}

const timeout = time("timeout").pipe(Flag.withAlias("t"), Flag.optional)

export const count = atLeastOne("count").pipe(Flag.withAlias("n"), Flag.optional)

export const formatOf = {
  format: Flag.Literals("format", formatNames).pipe(
    Flag.withAlias("f"),
    Flag.withDefault("text"),
    Flag.withMetavar(formatNames.join("|")),
    Flag.withDescription("How messages are written and read. Default: text, with tabs between frames")
  ),
  isNull: toggle("null").pipe(
    Flag.withAlias("0"),
    Flag.withDescription("A NUL ends a message, and not a newline, as with xargs -0")
  )
}

export const exec = Flag.String("exec").pipe(
  Flag.withAlias("e"),
  Flag.optional,
  Flag.withMetavar("COMMAND"),
  Flag.withDescription("Run this for each message, which it gets on standard input and as {}")
)

/** What every command that receives takes. */
export const receiving = {
  ...formatOf,
  count: count.pipe(Flag.withDescription("End after so many messages")),
  timeout: timeout.pipe(Flag.withDescription("End with code 124 when no message has come for so long"))
}

export const record = Flag.String("record").pipe(
  Flag.withAlias("r"),
  Flag.optional,
  Flag.withMetavar("FILE"),
  Flag.withDescription("Append each message to this file, with its time, for ezmq cat")
)

/** What every command that sends takes. */
export const sending = {
  ...formatOf,
  count: count.pipe(Flag.withDescription("End after so many messages")),
  interval: time("interval").pipe(
    Flag.withAlias("i"),
    Flag.optional,
    Flag.withDescription("Wait so long between messages. One that is an argument is sent again and again")
  ),
  timeout: timeout.pipe(Flag.withDescription("End with code 124 when nobody takes a message, or answers, for so long"))
}

export const topics = Flag.String("topic").pipe(Flag.withAlias("s"), Flag.atLeast(0), Flag.withMetavar("TOPIC"))

/** Endpoints, and then whatever a command has besides. */
export const words = (name: string, description: string) =>
  Argument.String(name).pipe(Argument.withDescription(description), Argument.variadic())

/** The options in the order and under the titles that help shows them. */
export const groups: ReadonlyArray<readonly [title: string, names: ReadonlyArray<string>]> = [
  ["Endpoints", ["bind", "connect", "frontend", "backend", "frontend-connect", "backend-connect", "capture", "as"]],
  [
    "Messages",
    [
      "topic",
      "format",
      "null",
      "count",
      "interval",
      "timeout",
      "wait",
      "exec",
      "echo",
      "record",
      "replay",
      "speed",
      "size",
      "until"
    ]
  ],
  ["Keys and passwords", ["server-key", "key", "clients", "user", "password-file", "users"]],
  ["The socket", ["engine", "hwm", "linger", "ipv6"]]
]
