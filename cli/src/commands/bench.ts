import { Command, Flag } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Zmq from "effect-zmq/Zmq"
import { splitWords } from "../endpoints.ts"
import { Failed, Usage } from "../failure.ts"
import { attach, optionsOf, withSockets } from "../open.ts"
import * as options from "../options.ts"
import { write } from "../output.ts"

// The client is a DEALER, the server a ROUTER. `ping` comes back as it is. `load` is counted from
// `begin` on, and `end` is answered with what was counted.
const ping = Buffer.from("ping")
const begin = Buffer.from("begin")
const load = Buffer.from("load")
const end = Buffer.from("end")

interface Load {
  messages: number
  bytes: number
  readonly since: bigint
}

// Of clients that have begun and never end, no more are remembered.
const mostClients = 1_000

const number = new Intl.NumberFormat("en-US")

const words = options.words("endpoint", "Endpoints to connect to")

const endpointsOf = (
  command: string,
  flags: {
    readonly words: ReadonlyArray<string>
    readonly bind: ReadonlyArray<string>
    readonly connect: ReadonlyArray<string>
  }
) =>
  Effect.flatMap(splitWords(command, flags), ({ rest, ...endpoints }) =>
    rest[0] === undefined
      ? Effect.succeed(endpoints)
      : Effect.fail(new Usage({ message: `${JSON.stringify(rest[0])} is no endpoint` }))
  )

const server = Command.make("server", { words, ...options.socket }, (flags) =>
  withSockets(
    flags,
    Effect.gen(function* () {
      const endpoints = yield* endpointsOf("bench server", flags)
      const socket = yield* Zmq.router(yield* optionsOf("router", flags))
      yield* attach(socket, { ...flags, ...endpoints })
      const loads = new Map<string, Load>()
      // A client that has left is none to answer.
      const reply = (frames: readonly [Buffer, ...Array<string | Buffer>]) =>
        Effect.catchTag(socket.send(frames), "Unroutable", () => Effect.void)
      const answer = ([id, kind, ...rest]: Zmq.Message) => {
        const client = id.toString("hex")
        if (kind?.equals(begin)) {
          if (loads.size >= mostClients) loads.delete(loads.keys().next().value!)
          loads.set(client, { messages: 0, bytes: 0, since: process.hrtime.bigint() })
        } else if (kind?.equals(load)) {
          const counted = loads.get(client)
          if (counted !== undefined) {
            counted.messages++
            for (const frame of rest) counted.bytes += frame.length
          }
        } else if (kind?.equals(ping)) {
          return reply([id, kind, ...rest])
        } else if (kind?.equals(end)) {
          const { bytes, messages, since } = loads.get(client) ?? { bytes: 0, messages: 0, since: 0n }
          loads.delete(client)
          const nanos = Number(process.hrtime.bigint() - since)
          return Effect.andThen(
            reply([id, kind, JSON.stringify({ messages, bytes, nanos })]),
            flags.quiet
              ? Effect.void
              : write(
                  `${number.format(messages)} messages, ${number.format(bytes)} bytes in ${(nanos / 1e9).toFixed(3)} s\n`
                )
          )
        }
        return undefined
      }
      while (true) {
        const first = yield* socket.recv
        for (const message of [first, ...(yield* socket.drain)]) {
          const answering = answer(message)
          if (answering !== undefined) yield* answering
        }
      }
    })
  )
).pipe(
  Command.withDescription("The side that counts and answers. It serves any number of clients, until Ctrl-C."),
  Command.withExamples([{ command: "ezmq bench server --bind tcp://*:5555" }])
)

const percentile = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!

const client = Command.make(
  "client",
  {
    words,
    size: Flag.Int("size").pipe(
      Flag.filter(
        (size) => size >= 0,
        (size) => `a whole number from 0 on, got ${size}`
      ),
      Flag.withDefault(100),
      Flag.withMetavar("BYTES"),
      Flag.withDescription("Of each message. Default: 100")
    ),
    count: options
      .atLeastOne("count")
      .pipe(
        Flag.withAlias("n"),
        Flag.withDefault(200_000),
        Flag.withDescription("Messages of the throughput. Default: 200000")
      ),
    rounds: options
      .atLeastOne("rounds")
      .pipe(Flag.withDefault(5_000), Flag.withDescription("Round trips of the latency. Default: 5000")),
    json: options.toggle("json").pipe(Flag.withDescription("The result as JSON")),
    timeout: options
      .time("timeout")
      .pipe(
        Flag.withAlias("t"),
        Flag.optional,
        Flag.withDescription("End with code 124 when no answer has come for so long")
      ),
    ...options.socket
  },
  (flags) =>
    withSockets(
      flags,
      Effect.gen(function* () {
        const endpoints = yield* endpointsOf("bench client", flags)
        const socket = yield* Zmq.dealer(yield* optionsOf("dealer", flags, flags.timeout))
        yield* attach(socket, { ...flags, ...endpoints })
        const payload = Buffer.alloc(flags.size, "x")

        const micros = new Float64Array(flags.rounds)
        const warmUp = Math.min(flags.rounds, 200)
        for (let i = -warmUp; i < flags.rounds; i++) {
          const before = process.hrtime.bigint()
          yield* socket.send([ping, payload])
          yield* socket.recv
          if (i >= 0) micros[i] = Number(process.hrtime.bigint() - before) / 1e3
        }
        micros.sort()

        const bunch = Array.from({ length: Math.min(1_000, flags.count) }, () => [load, payload] as const)
        yield* socket.send(begin)
        for (let left = flags.count; left > 0; left -= bunch.length) {
          yield* socket.sendAll(left < bunch.length ? bunch.slice(0, left) : bunch)
        }
        yield* socket.send(end)
        const [, answer] = yield* socket.recv
        const counted = JSON.parse(`${answer}`) as {
          readonly messages: number
          readonly bytes: number
          readonly nanos: number
        }
        if (counted.messages !== flags.count) {
          return yield* new Failed({
            message: `the server counted ${counted.messages} of ${flags.count} messages: was it restarted?`
          })
        }
        const seconds = counted.nanos / 1e9
        const result = {
          engine: flags.engine,
          size: flags.size,
          messages: counted.messages,
          seconds,
          messagesPerSecond: Math.round(counted.messages / seconds),
          megabytesPerSecond: counted.bytes / seconds / 1e6,
          roundTripMicros: {
            p50: percentile(micros, 0.5),
            p90: percentile(micros, 0.9),
            p99: percentile(micros, 0.99),
            max: percentile(micros, 1)
          }
        }
        if (flags.json) return yield* write(`${JSON.stringify(result)}\n`)
        const { max, p50, p90, p99 } = result.roundTripMicros
        const micro = (value: number) => `${number.format(Math.round(value))} µs`
        yield* write(
          [
            `round trip   ${micro(p50)} (half), ${micro(p90)} (90 %), ${micro(p99)} (99 %), ${micro(max)} (longest)`,
            `throughput   ${number.format(result.messagesPerSecond)} messages/s, ${result.megabytesPerSecond.toFixed(1)} MB/s`,
            `             ${number.format(result.messages)} messages of ${number.format(flags.size)} bytes in ${seconds.toFixed(3)} s`,
            ""
          ].join("\n")
        )
      })
    )
).pipe(
  Command.withDescription(
    "The side that sends and measures: first the latency of round trips, then the throughput to the server."
  ),
  Command.withExamples([
    { command: "ezmq bench client tcp://10.0.0.7:5555" },
    { command: "ezmq bench client --size 10000 --count 50000 tcp://10.0.0.7:5555", description: "Larger messages" }
  ])
)

export const bench = Command.make("bench").pipe(
  Command.withDescription("Measure latency and throughput between two machines."),
  Command.withExamples([
    { command: "ezmq bench server --bind tcp://*:5555", description: "On the one machine" },
    { command: "ezmq bench client tcp://10.0.0.7:5555", description: "On the other" }
  ]),
  Command.withSubcommands([server, client])
)
