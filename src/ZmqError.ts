/**
 * Everything that can go wrong with a socket, as tagged errors.
 *
 * Each error carries the fields a handler needs and a text that names the
 * operation, the endpoint or option, and what to do about it.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type { Message } from "./Message.ts"

/**
 * The time limit of an operation passed (`receiveTimeout`, `sendTimeout`).
 *
 * No message was lost: what could not be received is still there, and what could
 * not be sent was not. The request of a `request` may have been sent, and a
 * `sendAll` or `sink` has sent the messages before the one it waited with.
 *
 * @category errors
 * @since 0.1.0
 */
export class Again extends Data.TaggedError("Again")<{ readonly operation: string }> {
  override get message(): string {
    return `${this.operation}: the time limit passed. Nothing was lost, so try again, or raise the receiveTimeout or sendTimeout of the socket`
  }
}

/**
 * The socket is closed: its scope ended.
 *
 * @category errors
 * @since 0.1.0
 */
export class Closed extends Data.TaggedError("Closed")<{ readonly operation: string }> {
  override get message(): string {
    return `${this.operation}: the socket is closed. Use it inside the scope that opened it`
  }
}

/**
 * A message had another shape than the operation asked for. The error owns the
 * message: `frames` are exactly as they arrived.
 *
 * **Details**
 *
 * `reason` says in words what was expected and what came. `cause` is the
 * parser's own error, where there is one. Printed or logged, in whatever way, the
 * error shows sizes and none of the payload. (What a codec of your own throws is
 * yours to word: `Cause.pretty` shows its text.)
 *
 * @category errors
 * @since 0.1.0
 */
export class DecodeError extends Data.TaggedError("DecodeError")<{
  readonly operation: string
  readonly reason: string
}> {
  /** The frames, exactly as they arrived. */
  declare readonly frames: Message
  declare readonly cause: unknown

  constructor(options: {
    readonly operation: string
    readonly frames: Message
    readonly expected: string
    readonly cause?: unknown
  }) {
    const { cause, expected, frames, operation } = options
    super({ operation, reason: `${operation}: expected ${expected}, got ${describe(frames)}` })
    hide(this, { frames, cause })
  }

  override get message(): string {
    return this.reason
  }
}

// Not to be found by whatever prints errors.
const hide = (error: object, fields: Readonly<Record<string, unknown>>): void => {
  for (const [name, value] of Object.entries(fields)) Object.defineProperty(error, name, { value, configurable: true })
}

const describe = (message: Message): string => {
  const sizes = message.slice(0, 8).map((frame) => `${frame.length}`)
  const more = message.length > 8 ? ", …" : ""
  return message.length === 1
    ? `one frame of ${sizes[0]} bytes`
    : `${message.length} frames of ${sizes.join(", ")}${more} bytes`
}

/**
 * What was to be sent cannot be made into a message: no frames at all, a frame
 * that is neither text nor bytes, or a value its codec refuses. It was not sent.
 *
 * Printed or logged, the error does not show the `value`.
 *
 * @category errors
 * @since 0.1.0
 */
export class EncodeError extends Data.TaggedError("EncodeError")<{
  readonly operation: string
  readonly expected: string
}> {
  declare readonly value: unknown
  declare readonly cause: unknown

  constructor(options: {
    readonly operation: string
    readonly value: unknown
    readonly expected: string
    readonly cause?: unknown
  }) {
    const { cause, expected, operation, value } = options
    super({ operation, expected })
    hide(this, { value, cause })
  }

  override get message(): string {
    return `${this.operation}: expected ${this.expected}. It was not sent`
  }
}

/**
 * A ROUTER, STREAM or SERVER has no peer with that routing id (EHOSTUNREACH).
 * Nothing was sent. The routing id of a SERVER is here as four bytes,
 * big-endian.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unroutable extends Data.TaggedError("Unroutable")<{
  readonly operation: string
  readonly routingId: Uint8Array
}> {
  override get message(): string {
    return `${this.operation}: no connected peer has the routing id 0x${Buffer.from(this.routingId).toString("hex")}. Use the routing id of a peer that is connected now, as it was received: for a ROUTER or STREAM the first frame, of 1 to 255 bytes`
  }
}

/**
 * Not possible in the state that the socket is in. A REQ or REP was used out of
 * turn (EFSM): a REQ sends, then receives; a REP receives, then sends. Or one
 * that cannot know its peers was to wait for them.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidState extends Data.TaggedError("InvalidState")<{
  readonly operation: string
  readonly expected: string
}> {
  override get message(): string {
    return `${this.operation}: not now. ${this.expected}`
  }
}

/**
 * Why an endpoint could not be bound or connected.
 *
 * @category errors
 * @since 0.1.0
 */
export type EndpointReason =
  | "AddressInUse"
  | "AddressNotAvailable"
  | "PermissionDenied"
  | "InvalidEndpoint"
  | "UnsupportedTransport"
  | "IncompatibleTransport"
  | "NoSuchPath"
  | "NoSpace"
  | "NoSuchEndpoint"
  | "HostNotFound"
  | "TooManySockets"
  | "Unknown"

/**
 * `bind` or `unbind` failed. The endpoint is as it was before.
 *
 * @category errors
 * @since 0.1.0
 */
export class BindError extends Data.TaggedError("BindError")<{
  readonly operation: "bind" | "unbind"
  readonly endpoint: string
  readonly reason: EndpointReason
  readonly advice: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.operation} ${JSON.stringify(this.endpoint)}: ${this.reason}. ${this.advice}`
  }
}

/**
 * `connect` or `disconnect` failed. The endpoint is as it was before.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectError extends Data.TaggedError("ConnectError")<{
  readonly operation: "connect" | "disconnect"
  readonly endpoint: string
  readonly reason: EndpointReason
  readonly advice: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.operation} ${JSON.stringify(this.endpoint)}: ${this.reason}. ${this.advice}`
  }
}

/**
 * A peer that the socket connected to refuses it: `awaitConnected` waits no longer.
 * The connection is tried again like any other.
 *
 * `reason` is that of the event `HandshakeFailed`: see `EndpointStatus`.
 *
 * @category errors
 * @since 0.1.0
 */
export class Refused extends Data.TaggedError("Refused")<{
  readonly operation: string
  readonly endpoint: string
  readonly reason: "Authentication" | "Protocol" | "Connection"
  readonly advice: string
}> {
  override get message(): string {
    return `${this.operation}: the peer at ${JSON.stringify(this.endpoint)} refuses us: ${this.reason}. ${this.advice}`
  }
}

/**
 * An option is unknown to the socket type, missing, or has a value it cannot
 * take.
 *
 * @category errors
 * @since 0.1.0
 */
export class OptionError extends Data.TaggedError("OptionError")<{
  readonly option: string
  readonly value: unknown
  readonly expected: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `option ${this.option}: expected ${this.expected}`
  }
}

/**
 * What opening a socket can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export type SocketError = OptionError | BindError | ConnectError | OpenError

/**
 * The socket itself could not be made: the context or the process has no more
 * room for sockets (EMFILE), the scope of its context has closed, or this version
 * of Node is not one that the package is for (`UnsupportedRuntime`): of a socket
 * that asks libzmq about each message it would not be known whether it was sent. Or
 * its engine has no sockets of that type (`UnsupportedType`).
 *
 * @category errors
 * @since 0.1.0
 */
export class OpenError extends Data.TaggedError("OpenError")<{
  readonly socketType: string
  readonly reason:
    | "TooManySockets"
    | "ContextClosed"
    | "EngineMissing"
    | "UnsupportedRuntime"
    | "UnsupportedType"
    | "Unknown"
  readonly cause?: unknown
}> {
  override get message(): string {
    const advice =
      this.reason === "ContextClosed"
        ? "Open sockets within the scope of their context's layer"
        : this.reason === "UnsupportedRuntime"
          ? `effect-zmq cannot read from ${process.version} of Node whether a message was sent. Update effect-zmq, or run Node 20, 22 or 24`
          : this.reason === "UnsupportedType"
            ? "Drafts of ZeroMQ are on the engine Engine.layerZeromq alone: use that, or another type of socket"
            : this.reason === "EngineMissing"
              ? "The package zeromq cannot be loaded here: install it with `npm install zeromq`, on a platform that it has a binary for or can be built on; or provide Engine.layerZmtp, which needs nothing native. The cause says more"
              : this.reason === "Unknown"
                ? `libzmq said: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}. Close scopes that are done, and try again`
                : "A context has a limit (maxSockets), and each socket takes three of its places and file descriptors: close scopes that are done, or raise the limits"
    return `open ${this.socketType}: ${this.reason}. ${advice}`
  }
}
