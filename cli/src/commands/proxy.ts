import { Argument, Command, Flag } from "effect/cli"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Proxy from "effect-zmq/Proxy"
import * as Zmq from "effect-zmq/Zmq"
import { Usage } from "../failure.ts"
import { live } from "../live.ts"
import { note } from "../notes.ts"
import { attach, socketOptions, withSockets } from "../open.ts"
import * as options from "../options.ts"
import { securityOf } from "../security.ts"

const kinds = {
  queue: { front: "requests", back: "replies" },
  forwarder: { front: "subscriptions", back: "messages" },
  streamer: { front: "messages", back: "" }
} as const

type Kind = keyof typeof kinds

const endpoint = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.atLeast(0), Flag.withMetavar("ENDPOINT"), Flag.withDescription(description))

const number = new Intl.NumberFormat("en-US")

const sides = {
  frontend: endpoint("frontend", "Listen there for clients, publishers or those who push"),
  backend: endpoint("backend", "Listen there for workers, subscribers or those who pull"),
  frontendConnect: endpoint("frontend-connect", "Connect to there in place of listening"),
  backendConnect: endpoint("backend-connect", "Connect to there in place of listening")
}

/** What has passed each way, and how fast in the last while. */
const counter = (kind: Kind, proxy: Proxy.Proxy) => {
  const { back, front } = kinds[kind]
  let before = proxy.stats
  let at = performance.now()
  return (): string => {
    const now = proxy.stats
    const seconds = Math.max(0.001, (performance.now() - at) / 1000)
    at = performance.now()
    const part = (way: "toBackend" | "toFrontend", name: string) => {
      const { dropped, messages } = now[way]
      const rate = Math.round((messages - before[way].messages) / seconds)
      return `${number.format(messages)} ${name} (${number.format(rate)}/s)${dropped > 0 ? `, ${number.format(dropped)} dropped` : ""}`
    }
    // Messages of a forwarder go from the publishers in front to the subscribers behind.
    const parts =
      kind === "forwarder"
        ? [part("toBackend", back), part("toFrontend", front)]
        : kind === "queue"
          ? [part("toBackend", front), part("toFrontend", back)]
          : [part("toBackend", front)]
    before = now
    return parts.join("  ")
  }
}

const open = (kind: Kind, front: object, back: object, capture: Zmq.Pub | undefined) =>
  Effect.gen(function* () {
    switch (kind) {
      case "queue":
        return yield* Proxy.queue({ frontend: front, backend: back, capture })
      case "forwarder":
        return yield* Proxy.forwarder({ frontend: front, backend: back, capture })
      case "streamer":
        return yield* Proxy.streamer({ frontend: front, backend: back, capture })
    }
  })

// What each side does, of which it has a high-water mark.
const waysOf = { queue: ["router", "dealer"], forwarder: ["sub", "pub"], streamer: ["pull", "push"] } as const

export const proxy = Command.make(
  "proxy",
  {
    kind: Argument.Literals("kind", ["queue", "forwarder", "streamer"]).pipe(
      Argument.withDescription("queue: requests and replies. forwarder: publish and subscribe. streamer: push and pull")
    ),
    ...sides,
    capture: Flag.String("capture").pipe(
      Flag.optional,
      Flag.withMetavar("ENDPOINT"),
      Flag.withDescription("Publish a copy of each message there, for ezmq sub")
    ),
    interval: options
      .time("interval")
      .pipe(
        Flag.withAlias("i"),
        Flag.optional,
        Flag.withDescription("How often to write the count. Default: 1s on a terminal, else 10s")
      ),
    ...(({ bind: _, connect: __, ...rest }) => rest)(options.socket)
  },
  (flags) =>
    withSockets(
      flags,
      Effect.gen(function* () {
        for (const side of ["frontend", "backend"] as const) {
          if (flags[side].length === 0 && flags[`${side}Connect`].length === 0) {
            return yield* new Usage({
              message: `name a --${side}, like --${side} tcp://*:5559, or a --${side}-connect`
            })
          }
        }
        const security = yield* securityOf(flags)
        const both = { ...flags, bind: [], connect: [] }
        const [front, back] = waysOf[flags.kind].map((type) => socketOptions(type, both, security))
        const capture = Option.isSome(flags.capture) ? yield* Zmq.pub({ bind: flags.capture.value }) : undefined
        const passing = yield* open(flags.kind, front!, back!, capture)
        yield* attach(passing.frontend, { ...flags, bind: flags.frontend, connect: flags.frontendConnect })
        yield* attach(passing.backend, { ...flags, bind: flags.backend, connect: flags.backendConnect })
        yield* note(flags, `${flags.kind} from ${passing.frontend.endpoints} to ${passing.backend.endpoints}`)
        const every = Option.getOrElse(flags.interval, () => Duration.seconds(process.stdout.isTTY ? 1 : 10))
        const counting = flags.quiet ? Effect.never : live({ line: counter(flags.kind, passing), every })
        yield* Effect.raceFirst(passing.await, counting)
      })
    )
).pipe(
  Command.withDescription("Pass messages on between two sides, and count them."),
  Command.withExamples([
    {
      command: "ezmq proxy queue --frontend tcp://*:5559 --backend tcp://*:5560",
      description: "Clients that ask, and any number of workers that answer"
    },
    {
      command: "ezmq proxy forwarder --frontend-connect tcp://news:5556 --backend tcp://*:5556",
      description: "A publisher, for another network"
    },
    { command: "ezmq proxy streamer --frontend tcp://*:5557 --backend tcp://*:5558", description: "Jobs" }
  ])
)
