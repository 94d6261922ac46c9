/// <reference types="node" preserve="true" />
/**
 * What goes over a socket.
 *
 * @since 0.1.0
 */

/**
 * A received message: one frame or several. The buffers are yours to keep.
 *
 * @category models
 * @since 0.1.0
 */
// With `Array<Buffer>` editors would show the tuple in place of its name.
export type Message = readonly [Buffer, ...Buffer[]]

/**
 * A frame to send. Text is sent as UTF-8. Bytes above 128 bytes are not copied:
 * leave them as they are once they are sent.
 *
 * @category models
 * @since 0.1.0
 */
export type Frame = string | Uint8Array

/**
 * A message to send: a single frame, or all frames in order. There is at least
 * one: `Array.isReadonlyArrayNonEmpty` of Effect tells of a list that is made at run time.
 *
 * @category models
 * @since 0.1.0
 */
export type Outgoing = Frame | readonly [Frame, ...Array<Frame>]

/**
 * Who a message is from, as far as it is known. `docs/engines.md` has what each engine
 * knows. Of messages that were on their way to this socket's receivers before any asked
 * who they are from, the address and the user id may be missing; a handler asks that
 * does not have exactly one parameter.
 *
 * @category models
 * @since 0.1.0
 */
export interface Peer {
  /** What addresses it, on a ROUTER or STREAM. */
  readonly routingId?: Buffer | undefined
  /** Where it is connected from over tcp: an IP address. zeromq.js does not tell. */
  readonly address?: string | undefined
  /** As whom it was authenticated: the `User-Id` that ZAP gave it. zeromq.js does not tell. */
  readonly userId?: string | undefined
}
