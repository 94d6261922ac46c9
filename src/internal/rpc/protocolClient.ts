import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as RpcClient from "effect/rpc/RpcClient"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import { RpcSerialization } from "effect/rpc/RpcSerialization"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { ClientOptions } from "../../Rpc.ts"
import { OptionError } from "../../ZmqError.ts"
import { lasting } from "../lasting.ts"
import type { SocketCore } from "../socket/socket.ts"
import { Client } from "./client.ts"
import { Connection, type ConnectionOwner } from "./connection.ts"
import { defaultRetryPolicy, dial } from "./dial.ts"
import type { ConnectionError } from "./errors.ts"
import type { Link } from "./link.ts"
import * as Options from "./options.ts"
import { stepFor } from "./passing.ts"
import { mostOf } from "./size.ts"

// What is done here, and cannot be done otherwise.
const ownOptions = [
  "bind",
  "routingId",
  "reconnectInterval",
  "reconnectMaxInterval",
  "immediate",
  "conflate",
  "probeRouter"
]

const read = (options: ClientOptions) => {
  const { connect, openTimeout, pingInterval, pingTimeout, retryPolicy, whileDisconnected, ...socket } = options
  Options.without(socket, ownOptions)
  const endpoints = [...new Set(Options.listOf(connect))]
  if (endpoints.length === 0) {
    throw new OptionError({ option: "connect", value: connect, expected: "one endpoint or several to connect to" })
  }
  const maxMessageSize = socket.maxMessageSize ?? Options.defaultMessageSize
  const dealer = { ...socket, maxMessageSize, linger: socket.linger ?? 1000 }
  Options.check("dealer", { ...dealer, connect: endpoints })
  const interval = Options.millisOf("pingInterval", pingInterval, 5000)
  return {
    dealer,
    endpoints,
    retryPolicy: (retryPolicy ?? defaultRetryPolicy) as Schedule.Schedule<unknown, ConnectionError>,
    waits: Options.oneOf("whileDisconnected", whileDisconnected, ["fail", "wait"]) === "wait",
    terms: {
      most: mostOf(dealer),
      openTimeout: Options.millisOf("openTimeout", openTimeout, 5000),
      pingInterval: interval,
      pingTimeout: Options.millisOf("pingTimeout", pingTimeout, interval)
    }
  }
}

/** The protocol; `onMade` is given what is behind it. */
export const makeProtocolClient = (
  options: ClientOptions,
  onMade: (client: Client) => void = () => {}
): Effect.Effect<RpcClient.Protocol["Service"], OptionError, RpcSerialization | Scope.Scope> =>
  RpcClient.Protocol.make((writeResponse, clientIds) =>
    Effect.gen(function* () {
      const { dealer, endpoints, retryPolicy, terms, waits } = yield* Options.checked(() => read(options))
      const serialization = yield* RpcSerialization
      const hooks = yield* Effect.serviceOption(RpcClient.ConnectionHooks)
      const context = yield* lasting<never>()
      const fork = Effect.runForkWith(context)
      const { codecFor } = serialization
      const decodeDefect = Schema.decodeSync(codecFor(Schema.Defect()) as Schema.Codec<unknown, unknown>)
      const listened = new Set<number>()
      const isClosed = (clientId: number): boolean => {
        if (clientIds.has(clientId)) listened.add(clientId)
        return listened.has(clientId) && !clientIds.has(clientId)
      }
      const client = new Client(
        {
          // One whose client of RPC has closed is nobody's. One that has not begun to listen yet is kept for it.
          deliver: (clientId, response) => fork(isClosed(clientId) ? Effect.void : writeResponse(clientId, response)),
          decodeDefect,
          waits,
          onChange: (connected) => {
            if (Option.isNone(hooks)) return
            fork(Effect.ignoreCause(connected ? hooks.value.onConnect : hooks.value.onDisconnect, { log: true }))
          }
        },
        endpoints
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => client.close()))
      onMade(client)
      const step = stepFor(terms.openTimeout, terms.pingInterval, terms.pingTimeout)
      for (const endpoint of endpoints) {
        let last: { readonly error: ConnectionError; readonly wasOpen: boolean } | undefined
        const make = (core: SocketCore, ended: (error: ConnectionError) => void) => {
          let wasOpen = false
          const owner: ConnectionOwner = {
            serialization,
            onOpen: (link: Link) => {
              wasOpen = true
              client.open(endpoint, link)
            },
            onResponses: (link, responses) => client.answer(link, responses),
            onLinkEnd: (link, error) => client.linkEnd(link, error),
            onEnd: (error) => {
              last = { error, wasOpen }
              client.down(endpoint, error, wasOpen)
            }
          }
          return new Connection(endpoint, core, terms, owner, ended)
        }
        // One whose socket could not even be opened has told nobody.
        const onFailed = (error: ConnectionError): void => {
          if (last?.error !== error) last = { error, wasOpen: false }
          client.down(endpoint, error, last.wasOpen)
        }
        yield* dial(endpoint, dealer, step, retryPolicy, make, onFailed).pipe(
          Effect.tap((error) => Effect.sync(() => client.down(endpoint, error, last?.wasOpen === true, "over"))),
          Effect.forkScoped
        )
      }
      return {
        send: (clientId, message): Effect.Effect<void, RpcClientError> =>
          message._tag === "Request"
            ? Effect.callback((resume) => {
                const giveUp = client.call(clientId, message, resume)
                return Effect.sync(giveUp)
              })
            : Effect.sync(() => client.tell(message)),
        supportsAck: true,
        supportsTransferables: false,
        codecFor
      }
    })
  )
