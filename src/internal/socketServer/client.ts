/**
 * A DEALER as a `Socket`: one for each connection. A DEALER that makes its connection
 * again by itself would have the next server go on with what was meant for the last.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Socket from "effect/socket/Socket"
import type * as SocketServer from "../../SocketServer.ts"
import type * as Zmq from "../../Zmq.ts"
import { coreOf, type SocketCore } from "../socket/socket.ts"
import { dealer } from "../socket/sockets.ts"
import { Connection, gone, type Limits } from "./connection.ts"
import { closeError, Outlet, openError, readerOf } from "./duplex.ts"
import { limitsOf, socketDefaults } from "./limits.ts"
import { wordOf } from "./protocol.ts"

// At most the window is on its way, and the server may be gone by then.
const defaultLinger = "1 second"

const failed = (cause: unknown): Socket.SocketError => openError("Unknown", cause)

/** Succeeds when the connection that was made is lost. Over inproc only the server tells of that. */
const lostBy = (socket: Zmq.Dealer): Effect.Effect<void> =>
  socket.events.pipe(
    Stream.dropUntil(({ _tag }) => _tag === "HandshakeSucceeded"),
    Stream.filter(({ _tag }) => _tag === "Disconnected"),
    Stream.runHead,
    Effect.match({ onSuccess: () => {}, onFailure: () => {} })
  )

/** Hears what the server says until the connection is lost: then what had come is heard first. */
const hear = (socket: Zmq.Dealer, connection: Connection, lost: Fiber.Fiber<void>): Effect.Effect<void> => {
  const heard = (message: Zmq.Message): void => connection.heard(wordOf(message, 0))
  const always = Effect.forever(Effect.map(socket.recv, heard), { disableYield: true })
  return Effect.raceFirst(always, Fiber.join(lost)).pipe(
    Effect.andThen(socket.drain),
    Effect.match({
      onSuccess: (messages) => messages.forEach(heard),
      // The socket has closed, with its context.
      onFailure: () => {}
    }),
    Effect.andThen(Effect.sync(() => connection.over(gone)))
  )
}

const awaitOpen = (connection: Connection): Effect.Effect<void, Socket.SocketError> =>
  Effect.callback((resume) => {
    const look = (): void => {
      if (connection.isOpen) resume(Effect.void)
      else if (connection.ending !== undefined) resume(Effect.fail(failed(closeError(connection.ending))))
    }
    connection.onOpen = look
    look()
  })

const connectionBy = ({ outbox }: SocketCore, limits: Limits, onEnd: () => void): Connection =>
  new Connection(
    (message, sent) => {
      const offer = outbox.post(message, sent)
      return offer === "sent" ? "sent" : offer === "full" ? "waits" : "gone"
    },
    limits,
    onEnd
  )

export const makeSocket = (options: SocketServer.SocketOptions): Effect.Effect<Socket.Socket> =>
  Effect.contextWith((madeIn: Context.Context<never>) => {
    const outlet = new Outlet(true)
    const { connect, openTimeout = "10 seconds", window, ...own } = options
    const limits = Effect.try({
      try: () => limitsOf({ window, maxMessageSize: own.maxMessageSize, maxPending: Number.MAX_SAFE_INTEGER }),
      catch: failed
    })

    const dial = Effect.gen(function* () {
      const scope = yield* Effect.scope
      const socket = yield* Effect.mapError(dealer({ ...socketDefaults, linger: defaultLinger, ...own }), failed)
      const core = coreOf(socket)!
      const connection = connectionBy(core, yield* limits, () => outlet.disconnect(connection))
      yield* Scope.addFinalizer(
        scope,
        Effect.sync(() => {
          connection.end()
          outlet.disconnect(connection)
          core.deliversNothing = !connection.isOpen || !connection.endedHere
        })
      )
      // Before it connects, so that no event is missed.
      core.watch()
      const lost = yield* Effect.forkIn(lostBy(socket), scope, { startImmediately: true })
      yield* Effect.mapError(core.places.connect(connect), failed)
      yield* Effect.mapError(socket.awaitConnected, failed)
      yield* Effect.forkIn(hear(socket, connection, lost), scope)
      connection.greet()
      yield* awaitOpen(connection)
      outlet.connect(connection)
      return readerOf(connection)
    }).pipe(
      Effect.timeoutOrElse({
        duration: openTimeout,
        orElse: () =>
          Effect.fail(openError("Timeout", new Error(`no server has answered at ${connect} within the openTimeout`)))
      })
    )
    // As the one who made it: its context of ZeroMQ, its engine.
    const reader: Socket.Socket["reader"] = Effect.updateContext(dial, (now: Context.Context<Scope.Scope>) =>
      Context.merge(madeIn, now)
    )
    return Effect.succeed(Socket.make({ reader, writer: outlet.writer }))
  })
