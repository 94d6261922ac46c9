/** What went through a socket. Part of the module `Zmq`. */

/**
 * What went through a socket since it was opened. Plain counters, read with
 * `socket.stats`.
 *
 * @category observability
 * @since 0.1.0
 */
export interface Stats {
  /** Messages that libzmq handed over, and the bytes of their frames. */
  readonly messagesIn: number
  readonly bytesIn: number
  /** Messages that libzmq accepted, and the bytes of their frames. */
  readonly messagesOut: number
  readonly bytesOut: number
  /** Messages that were received and nobody has taken yet. */
  readonly queued: number
  /** How often a message was put back: by a stream or a handler that was interrupted with it. */
  readonly putBack: number
  /** How often libzmq had nothing, or no room, after all (EAGAIN). */
  readonly again: number
  /** Messages that nobody had taken when the socket closed. */
  readonly leftAtClose: number
}
