import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import { RpcClientError } from "effect/rpc/RpcClientError"
import * as Socket from "effect/socket/Socket"
import type { Goodbye } from "./wire.ts"

/**
 * Why there is no server, or no longer the one that had a call. It is the `cause` of
 * the `reason` of an `RpcClientError`: of a `SocketOpenError` where there was no
 * connection yet, of the kind `Timeout` if all that is known is that nobody answered
 * within `openTimeout`, of a `SocketReadError` where it has ended, and of a `SocketWriteError` if only this call could not
 * be sent. See `connectionErrorOf`.
 *
 * **Details**
 *
 * - `Unreachable`: nobody answered, for `openTimeout` or at all.
 * - `Refused`: the peer does not let us in. The advice says why.
 * - `NoServer`: a broker is there, and no server has been behind it for a second.
 * - `Closing`: the server has ended, and said so.
 * - `Lost`: the connection has ended.
 * - `Silent`: the server has said nothing for too long (`pingTimeout`), or heard nothing of us.
 * - `Rejected`: the server does not take what we send, or we not what it sends.
 * - `TooLarge`: the call has more bytes than the server, or a broker before it, takes (`maxMessageSize`). It was not sent, and
 *   other calls go on.
 * - `Behind`: more replies wait for us than the server keeps, or more calls are under way (`maxPendingPerClient`).
 * - `SeveralServers`: a forwarder that knows nothing of RPC deals out our messages to more than one server.
 *   Use a broker, or connect to all of them.
 * - `Closed`: the layer of the client has ended.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionError extends Data.TaggedError("ConnectionError")<{
  readonly endpoint: string
  readonly reason:
    | "Unreachable"
    | "Refused"
    | "NoServer"
    | "Closing"
    | "Lost"
    | "Silent"
    | "Rejected"
    | "TooLarge"
    | "Behind"
    | "SeveralServers"
    | "Closed"
  /** What is known besides. */
  readonly detail: string
  readonly cause?: unknown
}> {
  override get message(): string {
    const detail = this.detail === "" ? "" : `: ${this.detail}`
    return `RPC with ${JSON.stringify(this.endpoint)}: ${this.reason}${detail}. ${advice[this.reason]}`
  }
}

const advice: { readonly [Reason in ConnectionError["reason"]]: string } = {
  Unreachable: "Check that a server of RPC, or a broker, is bound there, and that both sides use the same security",
  Refused: "Check the keys, names and rules of both sides",
  NoServer: "Start a server that connects to the backend of the broker",
  Closing: "The call may have been executed. The connection is made again",
  Lost: "The call may have been executed. The connection is made again",
  Silent: "An event loop is blocked, or the network is cut. The connection is made again",
  Rejected: "Give both sides the same serialization, and messages of at most maxMessageSize",
  TooLarge: "Ask for it in parts, or raise maxMessageSize of the server, and the largest frame of the serialization",
  Behind: "Ask for less at once, or raise maxPendingPerClient of the server, or of the broker",
  SeveralServers: "Put Rpc.layerBroker in place of the forwarder, or give connect all servers",
  Closed: "Make calls within the scope of the client's layer"
}

/** The reason of an end that the other side has told. */
export const reasons: { readonly [Why in Goodbye["why"]]: ConnectionError["reason"] } = {
  lost: "Lost",
  closing: "Closing",
  silent: "Silent",
  rejected: "Rejected",
  behind: "Behind"
}

/** As the client of RPC has it. */
export const toClientError = (error: ConnectionError, when: "open" | "read" | "write"): RpcClientError =>
  new RpcClientError({ reason: socketErrors[when](error) })

const socketErrors = {
  open: (cause: ConnectionError) =>
    new Socket.SocketOpenError({ kind: Cause.isTimeoutError(cause.cause) ? "Timeout" : "Unknown", cause }),
  read: (cause: ConnectionError) => new Socket.SocketReadError({ cause }),
  write: (cause: ConnectionError) => new Socket.SocketWriteError({ cause })
}

/**
 * Why a call has lost its server, or found none: the `ConnectionError` in an `RpcClientError`, whose own message does
 * not say it. `undefined` if the error is about something else, or of another transport.
 *
 * **Example** (A log that says why)
 *
 * ```ts
 * import { Effect } from "effect"
 * import type { RpcClientError } from "effect/rpc/RpcClientError"
 * import { connectionErrorOf } from "effect-zmq/Rpc"
 *
 * export const logged = <A, R>(call: Effect.Effect<A, RpcClientError, R>) =>
 *   Effect.tapError(call, (error) => Effect.logWarning(connectionErrorOf(error)?.message ?? error.message))
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export const connectionErrorOf = ({ reason }: RpcClientError): ConnectionError | undefined =>
  "cause" in reason && reason.cause instanceof ConnectionError ? reason.cause : undefined
