/** A socket as the options have it, and what is said of its connections. */

import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Engine from "effect-zmq/Engine"
import type * as Zmq from "effect-zmq/Zmq"
import type { Endpoints } from "./endpoints.ts"
import { Failed } from "./failure.ts"
import { type Loudness, layerLog, note, say, wasUndelivered } from "./notes.ts"
import { type SecurityFlags, securityOf } from "./security.ts"

export interface SocketFlags extends Endpoints, SecurityFlags, Loudness {
  readonly linger: Option.Option<Duration.Duration>
  readonly hwm: Option.Option<number>
  readonly ipv6: boolean
  readonly engine: "zeromq" | "zmtp"
}

const given = <A>(name: string, option: Option.Option<A>): object =>
  Option.isSome(option) ? { [name]: option.value } : {}

const waitsFor: { readonly [type: string]: ReadonlyArray<"send" | "receive"> } = {
  push: ["send"],
  pub: ["send"],
  pull: ["receive"],
  sub: ["receive"]
}

type Security = Zmq.PullOptions["security"]

/** The options of a socket of this type. */
export const socketOptions = (
  type: string,
  flags: SocketFlags,
  security: Security,
  timeout: Option.Option<Duration.Duration> = Option.none()
) =>
  ({
    ...given("linger", flags.linger),
    ...(flags.ipv6 ? { ipv6: true } : {}),
    ...(security === undefined ? {} : { security }),
    ...Object.assign(
      {},
      ...(waitsFor[type] ?? ["send", "receive"]).flatMap((way) => [
        given(`${way}HighWaterMark`, flags.hwm),
        given(`${way}Timeout`, timeout)
      ])
    )
  }) as {
    readonly linger?: Duration.Duration
    readonly ipv6?: boolean
    readonly security?: Security
  }

/** The same, with what secures it. */
export const optionsOf = (
  type: string,
  flags: SocketFlags,
  timeout: Option.Option<Duration.Duration> = Option.none()
) => Effect.map(securityOf(flags), (security) => socketOptions(type, flags, security, timeout))

/** An event in a line. */
export const eventLine = (event: Zmq.SocketEvent): string => {
  const detail =
    event._tag === "HandshakeFailed"
      ? `, ${event.reason}${event.code === undefined ? "" : ` (${event.code})`}`
      : event._tag === "ConnectRetried"
        ? `, again in ${Duration.format(event.interval)}`
        : "error" in event
          ? `, ${event.error.message}`
          : ""
  return `${event._tag} ${event.endpoint}${detail}`
}

/** Says where we listen if that was left open, who refuses us, and who is not there after two seconds. */
const watch = (socket: Zmq.Socket, flags: Endpoints & Loudness): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const bound = socket.endpoints.slice(0, flags.bind.length)
    yield* Effect.forEach(bound, (endpoint, i) =>
      flags.verbose || endpoint !== flags.bind[i] ? note(flags, `listening on ${endpoint}`) : Effect.void
    )
    if (flags.quiet) return
    if (flags.verbose) {
      const events = Stream.runForEach(socket.events, (event) => Effect.sync(() => say(eventLine(event))))
      yield* Effect.forkScoped(Effect.ignore(events), { startImmediately: true })
    }
    const refused = new Set<string>()
    const refusals = Stream.runForEach(socket.statusChanges, ({ endpoints }) =>
      Effect.sync(() => {
        for (const status of endpoints) {
          if (status.state !== "refused") refused.delete(status.endpoint)
          else if (!refused.has(status.endpoint)) {
            refused.add(status.endpoint)
            say(`${status.endpoint} refuses us: ${status.advice}`)
          }
        }
      })
    )
    yield* Effect.forkScoped(refusals)
    // Whoever was there, and is not connected, has hung up.
    const seen = new Set<string>()
    const seeing = Stream.runForEach(socket.events, (event) =>
      Effect.sync(() => {
        if (event._tag === "Connected") seen.add(event.endpoint)
        if (event._tag === "HandshakeSucceeded") seen.delete(event.endpoint)
      })
    )
    const absent = Effect.gen(function* () {
      yield* Effect.sleep("2 seconds")
      for (const { endpoint, state } of (yield* socket.status).endpoints) {
        if (state !== "connecting") continue
        if (!seen.has(endpoint)) say(`nobody is there yet at ${endpoint}`)
        else say(`${endpoint} hangs up on us: see whether our type of socket and our keys go with its own`)
      }
    })
    if (flags.connect.length === 0) return
    yield* Effect.forkScoped(Effect.ignore(seeing), { startImmediately: true })
    yield* Effect.forkScoped(absent)
  })

/**
 * Binds and connects a socket, which comes without endpoints, so that whoever is told of
 * its connections misses none.
 */
export const attach = <S extends Zmq.Socket>(
  socket: S,
  flags: Endpoints & Loudness
): Effect.Effect<S, Zmq.SocketError | Zmq.Closed, Scope.Scope> =>
  Effect.gen(function* () {
    for (const endpoint of flags.bind) yield* socket.bind(endpoint)
    for (const endpoint of flags.connect) yield* socket.connect(endpoint)
    yield* watch(socket, flags)
    return socket
  })

/** Runs a command that has a socket: its engine, its log, its scope, and whether all was delivered. */
export const withSockets = <A, E, R>(
  flags: Loudness & { readonly engine: "zeromq" | "zmtp" },
  self: Effect.Effect<A, E, R>
): Effect.Effect<void, E | Failed, Exclude<R, Scope.Scope>> =>
  Effect.scoped(self).pipe(
    Effect.provide(flags.engine === "zmtp" ? Engine.layerZmtp : Engine.layerZeromq),
    Effect.provide(layerLog(flags)),
    Effect.andThen(
      Effect.suspend(() =>
        wasUndelivered() ? Effect.fail(new Failed({ message: "some messages were not delivered" })) : Effect.void
      )
    )
  ) as Effect.Effect<void, E | Failed, Exclude<R, Scope.Scope>>
