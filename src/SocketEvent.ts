/** What becomes of the connections of a socket. Part of the module `Zmq`. */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"

/**
 * What became of a connection, as libzmq tells (`zmq_socket_monitor`).
 *
 * `endpoint` is the one that was connected to, or the local one that a peer came
 * in by, as libzmq writes it. inproc connections raise no events.
 *
 * | event | when |
 * |---|---|
 * | `Listening` | bound |
 * | `BindFailed` | a bind failed, which also fails with `BindError` |
 * | `Accepted` | a peer came in; its handshake follows |
 * | `AcceptFailed` | a peer could not be let in |
 * | `ConnectDelayed` | connecting, in the background |
 * | `ConnectRetried` | it did not work, and will be tried again after `interval` |
 * | `Connected` | connected; the handshake follows |
 * | `HandshakeSucceeded` | the peer is there: messages flow |
 * | `HandshakeFailed` | the peer was refused, or refused us: see `reason` |
 * | `Disconnected` | the connection has ended |
 * | `Closed`, `CloseFailed` | an attempt to connect, or a bound endpoint, was given up |
 *
 * The `reason` of a `HandshakeFailed` is `"Authentication"` if the ZAP
 * authenticator refused (`status` 300, 400 or 500), `"Protocol"` if the two
 * sides do not understand each other, like a wrong CURVE key or different
 * mechanisms (`code`, such as `ERR_ZMTP_MECHANISM_MISMATCH`), and
 * `"Connection"` if the connection ended before the handshake did. A refused
 * peer often learns no more than that. Over ws a `HandshakeSucceeded` comes first,
 * when the handshake of HTTP is done, and another or a `HandshakeFailed` after it.
 *
 * @category events
 * @since 0.1.0
 */
export type SocketEvent =
  | { readonly _tag: "Listening"; readonly endpoint: string }
  | { readonly _tag: "BindFailed"; readonly endpoint: string; readonly error: Error }
  | { readonly _tag: "Accepted"; readonly endpoint: string }
  | { readonly _tag: "AcceptFailed"; readonly endpoint: string; readonly error: Error }
  | { readonly _tag: "ConnectDelayed"; readonly endpoint: string }
  | { readonly _tag: "ConnectRetried"; readonly endpoint: string; readonly interval: Duration.Duration }
  | { readonly _tag: "Connected"; readonly endpoint: string }
  | { readonly _tag: "HandshakeSucceeded"; readonly endpoint: string }
  | {
      readonly _tag: "HandshakeFailed"
      readonly endpoint: string
      readonly reason: "Authentication" | "Protocol" | "Connection"
      readonly code: string | undefined
      readonly status: number | undefined
      readonly error: Error
    }
  | { readonly _tag: "Disconnected"; readonly endpoint: string }
  | { readonly _tag: "Closed"; readonly endpoint: string }
  | { readonly _tag: "CloseFailed"; readonly endpoint: string; readonly error: Error }

/**
 * Makes, tells apart and matches events.
 *
 * **Example** (A line for each peer that was refused)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const watch = (socket: Zmq.Socket) =>
 *   socket.events.pipe(
 *     Stream.filter(Zmq.SocketEvent.$is("HandshakeFailed")),
 *     Stream.runForEach((event) => Effect.log(`${event.endpoint}: ${event.reason}`))
 *   )
 * ```
 *
 * @category events
 * @since 0.1.0
 */
export const SocketEvent = Data.taggedEnum<SocketEvent>()
