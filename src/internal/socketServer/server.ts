/** A ROUTER as a `SocketServer`: one receive loop for all connections, which never waits for any of them. */

import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as EffectServer from "effect/socket/SocketServer"
import type { Message, Outgoing } from "../../Message.ts"
import type * as SocketServer from "../../SocketServer.ts"
import { lasting } from "../lasting.ts"
import { openSocket } from "../socket/open.ts"
import { receivingOf, wholeMessage } from "../socket/receiver.ts"
import type { SocketCore } from "../socket/socket.ts"
import { addressOf } from "./address.ts"
import { Connection, doesNotRead, gone, type Limits, type Post } from "./connection.ts"
import { closeError, Outlet, readerOf } from "./duplex.ts"
import { limitsOf, socketDefaults } from "./limits.ts"
import { closeWord, type Frames, type Word, wordOf } from "./protocol.ts"

// What the engine says when a client has gone, behind all that it had sent.
const farewell = closeWord(gone.code, gone.reason)[0] as Buffer

// How often a connection is asked whether it is there. That it has gone is told at
// once, where the engine can.
const betweenQuestions = "10 seconds"

type OnConnection = (connection: Connection) => void

/** The connections of a ROUTER, by the routing ids of their peers. */
class Connections {
  private readonly core: SocketCore
  private readonly limits: Limits
  private readonly onBound: () => void
  private readonly byPeer = new Map<string, Connection>()
  /** Those that nobody serves yet. */
  readonly waiting = new Set<Connection>()
  private readonly wait: OnConnection = (connection) => this.waiting.add(connection)
  onConnection: OnConnection = this.wait

  constructor(core: SocketCore, limits: Limits, onBound: () => void) {
    this.core = core
    this.limits = limits
    this.onBound = onBound
  }

  readonly heard = (message: Message): void => {
    const peer = message[0].toString("latin1")
    const known = this.byPeer.get(peer)
    const word = wordOf(message, 1)
    if (word?._tag === "Open") {
      // One that comes back under its name.
      known?.over(gone)
      return this.open(peer, message[0], word)
    }
    if (known !== undefined) return known.heard(word)
    if (word === undefined || word._tag === "Data" || word._tag === "End") this.refuse(message[0])
  }

  private open(peer: string, id: Buffer, word: Word): void {
    const connection = new Connection(this.postTo(id), this.limits, () => {
      if (this.byPeer.get(peer) === connection) this.byPeer.delete(peer)
      this.waiting.delete(connection)
      if (connection.ending === doesNotRead) this.onBound()
    })
    this.byPeer.set(peer, connection)
    connection.heard(word)
    if (connection.ending === undefined) this.onConnection(connection)
  }

  private postTo(id: Buffer): Post {
    return (message, sent) => {
      const offer = this.core.outbox.post([id, ...message] as Outgoing, (offer) => {
        sent()
        if (offer === "unroutable") this.byPeer.get(id.toString("latin1"))?.over(gone)
      })
      return offer === "sent" ? "sent" : offer === "full" ? "waits" : "gone"
    }
  }

  // What a peer says that has no connection, as that of a server before. If there is room now.
  private refuse(id: Buffer): void {
    this.core.outbox.offer([id, ...unknown] as Outgoing)
  }

  /** Serves with `onConnection`, those that wait already first, until the function that is returned is called. */
  serve(onConnection: OnConnection): () => void {
    const before = this.onConnection
    this.onConnection = onConnection
    const waiting = [...this.waiting]
    this.waiting.clear()
    for (const connection of waiting) onConnection(connection)
    return () => {
      if (this.onConnection === onConnection) this.onConnection = before
    }
  }

  ask(): void {
    for (const connection of [...this.byPeer.values()]) connection.ask()
  }

  close(): void {
    for (const connection of [...this.byPeer.values()]) connection.end()
  }
}

const unknown: Frames = closeWord(1002, "there is no connection: open one first")

const socketOf = (connection: Connection): Socket.Socket => {
  const outlet = new Outlet(false)
  const accept = Effect.suspend(() => {
    connection.greet()
    outlet.connect(connection)
    return connection.ending === undefined || connection.isReadable
      ? Effect.succeed(readerOf(connection))
      : Effect.fail(closeError(connection.ending))
  })
  return Socket.make({
    reader: Effect.acquireRelease(accept, () => Effect.sync(() => connection.end())),
    writer: outlet.writer
  })
}

const cannotOpen = (cause: unknown): EffectServer.SocketServerError =>
  new EffectServer.SocketServerError({ reason: new EffectServer.SocketServerOpenError({ cause }) })

export const make = (
  options: SocketServer.Options
): Effect.Effect<SocketServer.Server, EffectServer.SocketServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const { maxPending, window, ...own } = options
    const limits = yield* Effect.try({
      try: () => limitsOf({ window, maxPending, maxMessageSize: own.maxMessageSize }),
      catch: cannotOpen
    })
    const core = yield* Effect.mapError(
      openSocket("router", { ...socketDefaults, ...own, mandatory: true }, farewell),
      cannotOpen
    )
    const services = yield* lasting<never>()
    let said = false
    const connections = new Connections(core, limits, () => {
      if (said) return
      said = true
      Effect.runForkWith(services)(
        Effect.logWarning(
          "effect-zmq: a SocketServer ends a client that does not read what it is sent, and does so with others from now on without a word"
        ).pipe(Effect.annotateLogs({ endpoints: core.endpoints.join(" ") }))
      )
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => connections.close()))
    yield* Effect.map(receivingOf(core).receive("recv", wholeMessage), connections.heard).pipe(
      Effect.forever({ disableYield: true }),
      // The socket has closed, with its context.
      Effect.ignore,
      Effect.ensuring(Effect.sync(() => connections.close())),
      Effect.forkScoped
    )
    yield* Effect.sync(() => connections.ask()).pipe(Effect.delay(betweenQuestions), Effect.forever, Effect.forkScoped)

    const run = <R, E, _>(
      handler: (socket: Socket.Socket) => Effect.Effect<_, E, R>
    ): Effect.Effect<never, EffectServer.SocketServerError, R> =>
      Effect.contextWith((context: Context.Context<R>) => {
        const services = Context.omit(Scope.Scope)(context) as Context.Context<R>
        const begin = Effect.sync(() => {
          const scope = Scope.makeUnsafe()
          const track = Fiber.runIn(scope)
          const stop = connections.serve((connection) => {
            Effect.suspend(() => handler(socketOf(connection))).pipe(
              // Nor is it one that waits for more of it, as that of Effect's DevTools does, and is interrupted by its end.
              Effect.catchCauseIf(
                (cause) => Cause.hasInterruptsOnly(cause) && connection.ending !== undefined,
                () => Effect.void
              ),
              Effect.ensuring(Effect.sync(() => connection.end())),
              // That a client has gone is no failure of the handler's. Strangers can cause any number of them.
              Effect.catchIf(
                (error) => Socket.isSocketError(error) && connection.ending !== undefined,
                () => Effect.void
              ),
              Effect.ignoreCause({ log: "Unhandled", message: "Unhandled error in SocketServer" }),
              Effect.runForkWith(services),
              track
            )
          })
          return { scope, stop }
        })
        return Effect.acquireUseRelease(
          begin,
          () => Effect.never,
          ({ scope, stop }) => {
            stop()
            return Scope.close(scope, Exit.void)
          }
        )
      })

    const { endpoints } = core
    return { address: addressOf(endpoints[0]!), endpoints, run }
  })
