import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { RpcSerialization } from "effect/rpc/RpcSerialization"
import type * as RpcServer from "effect/rpc/RpcServer"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { ServerOptions, ServerState } from "../../Rpc.ts"
import { OptionError, type SocketError } from "../../ZmqError.ts"
import { lasting } from "../lasting.ts"
import { openSocket } from "../socket/open.ts"
import type { SocketCore } from "../socket/socket.ts"
import { inThePast, Warnings } from "../socket/warnings.ts"
import { defaultRetryPolicy, dial } from "./dial.ts"
import type { ConnectionError } from "./errors.ts"
import * as Options from "./options.ts"
import { lookEvery, passing, stepFor } from "./passing.ts"
import { Registration } from "./registration.ts"
import { Server } from "./server.ts"
import { mostOf } from "./size.ts"
import * as Wire from "./wire.ts"

const read = (options: ServerOptions) => {
  const { bind, connect, maxPendingPerClient, pingInterval, pingTimeout, retryPolicy, window, ...socket } = options
  Options.without(socket, ["mandatory", "handover", "routingId", "probeRouter"])
  const sizes = { ...socket, maxMessageSize: socket.maxMessageSize ?? Options.defaultMessageSize }
  const binds = Options.listOf(bind)
  const connects = [...new Set(Options.listOf(connect))]
  if (binds.length + connects.length === 0) {
    throw new OptionError({ option: "bind", value: bind, expected: "an endpoint to bind, or brokers to connect to" })
  }
  Options.check("router", { ...sizes, bind: binds })
  Options.check("dealer", { ...sizes, connect: connects })
  const interval = Options.millisOf("pingInterval", pingInterval, 5000)
  return {
    socket: sizes,
    binds,
    connects,
    retryPolicy: (retryPolicy ?? defaultRetryPolicy) as Schedule.Schedule<unknown, ConnectionError>,
    pings: { interval, timeout: Options.millisOf("pingTimeout", pingTimeout, interval) },
    bounds: {
      window: Options.countOf("window", window, 16),
      maxPendingPerClient: Options.countOf("maxPendingPerClient", maxPendingPerClient, 10_000),
      maxMessageSize: sizes.maxMessageSize,
      most: mostOf(sizes)
    }
  }
}

export const makeProtocolServer = (
  options: ServerOptions
): Effect.Effect<
  { readonly protocol: RpcServer.Protocol["Service"]; readonly endpoint: ServerState },
  SocketError,
  RpcSerialization | Scope.Scope
> =>
  Effect.gen(function* () {
    const { binds, bounds, connects, pings, retryPolicy, socket } = yield* Options.checked(() => read(options))
    const serialization = yield* RpcSerialization
    const context = yield* lasting<never>()
    const fork = Effect.runForkWith(context)
    const disconnects = yield* Queue.make<number>()
    const warnings = new Warnings((count, minutes) =>
      fork(Effect.logWarning(`effect-zmq: ${count} more clients of RPC were ended ${inThePast(minutes)}`))
    )
    const server = new Server(bounds, {
      serialization,
      fork,
      onLeft: (clientId) => Queue.offerUnsafe(disconnects, clientId),
      onEnded: ({ text, why }) => {
        if (!warnings.isNew(`${why} ${text}`)) return
        fork(Effect.logWarning(`effect-zmq: a client of RPC was ended (${why}): ${text}`))
      }
    })

    const router =
      binds.length === 0 ? undefined : yield* openSocket("router", { ...socket, bind: binds }, Wire.farewell)
    if (router !== undefined) server.add(router)
    const linger = router?.linger ?? 5000
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        warnings.close()
        server.close()
        // What clients have no room for yet, they have as long for as what they have.
        const sent = Effect.callback<void>((resume) => server.whenSent(() => resume(Effect.void)))
        return Effect.andThen(
          Effect.raceFirst(sent, Effect.sleep(Math.min(linger, 2 ** 31 - 1))),
          Effect.sync(() => {
            for (const source of [...server.sources]) server.remove(source)
          })
        )
      })
    )
    for (const endpoint of connects) {
      const make = (core: SocketCore, ended: (error: ConnectionError) => void) =>
        new Registration(endpoint, core, server, serialization.contentType, pings, ended)
      const step = stepFor(pings.interval, pings.timeout)
      yield* Effect.forkScoped(dial(endpoint, socket, step, retryPolicy, make))
    }
    yield* Effect.forkScoped(passing(lookEvery, (millis) => server.pass(millis)))

    const turn = Semaphore.makeUnsafe(1)
    const protocol: RpcServer.Protocol["Service"] = {
      // Nothing is read before there is somebody to serve it: until then it waits at the sockets.
      run: (handle) =>
        turn.withPermits(1)(
          Effect.suspend(() => {
            server.serve(handle)
            return Effect.onExit(Effect.never, () => Effect.sync(() => server.rest()))
          })
        ),
      disconnects,
      send: (clientId, response) => server.send(clientId, response),
      end: (clientId) => server.finish(clientId),
      clientIds: Effect.sync(() => server.clientIds),
      initialMessage: Effect.succeedNone,
      supportsAck: true,
      supportsTransferables: false,
      supportsSpanPropagation: true,
      supportsNotifications: true,
      codecFor: serialization.codecFor
    }
    const endpoint: ServerState = {
      endpoints: router?.endpoints ?? [],
      peerOf: (clientId) => server.peerOf(clientId),
      get stats() {
        const { calls, clientIds, ended, pending } = server
        return { clients: clientIds.size, calls, pending, ended }
      }
    }
    return { protocol, endpoint }
  })
