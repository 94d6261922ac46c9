import { isInproc } from "../endpoint.ts"
import type { Setting } from "../engine.ts"
import { microtask } from "../microtask.ts"

// libzmq's default of ZMQ_SNDHWM.
const defaultHighWaterMark = 1000

// Peers that leave are noticed after so many messages at the latest.
const mostWithoutAsking = 256

/**
 * How many messages libzmq certainly accepts, once it has said that it accepts
 * one. Asking it before each (ZMQ_EVENTS) costs as much as sending.
 *
 * What the answer stands for is known of two kinds of sockets:
 *
 * - Without a high-water mark there is room for everything while there is a peer.
 * - A single connection over a network has one pipe. Its reader tells the writer
 *   how far it is in steps of half the high-water mark, rounded up (libzmq's
 *   `pipe_t::compute_lwm`). So of a pipe that is not full at least the rest of
 *   such a step is free.
 *
 * Peers leave, and pipes end with some connections: it is when it is asked that
 * libzmq sees that. So what it said holds until the current task is over.
 *
 * Of all others nobody knows more than that there is room for one.
 */
export class Credit {
  /** How many more may be sent without asking. */
  left = 0

  private highWaterMark = defaultHighWaterMark
  private pipe: "none" | "one" | "unknown" = "none"
  private written = 0

  /** An option is set. */
  set({ option, value }: Setting): void {
    if (option === "sendHighWaterMark") this.highWaterMark = value as number
    // The pipe ends with each connection, or begins with a message of libzmq's.
    if ((option === "immediate" || option === "probeRouter") && value === true) this.pipe = "unknown"
  }

  connect(endpoint: string): void {
    this.left = 0
    // The pipe of an inproc connection has the peer's high-water mark as well.
    this.pipe = this.pipe === "none" && !isInproc(endpoint) ? "one" : "unknown"
  }

  /** It is bound, or a connection ends, or libzmq refused what it had room for: nothing is known of a pipe any more. */
  end(): void {
    this.left = 0
    this.pipe = "unknown"
  }

  /** Whether a grant is for more than one message. */
  get isForMany(): boolean {
    return this.pipe === "one" || this.highWaterMark === 0
  }

  /** libzmq has just said that there is room. */
  grant(): void {
    if (!this.isForMany) {
      this.left = 1
      return
    }
    this.left = this.highWaterMark === 0 ? mostWithoutAsking : roomOf(this.highWaterMark, this.written)
    microtask(this.expire)
  }

  /** A message is sent, after a `grant` or without. */
  spend(): void {
    this.written++
    if (this.left > 0) this.left--
  }

  private readonly expire = (): void => {
    this.left = 0
  }
}

/** The least room in a pipe that is not full, and into which so many messages have been written. */
export const roomOf = (highWaterMark: number, written: number): number => {
  const step = Math.ceil(highWaterMark / 2)
  const read = Math.max(0, Math.ceil((written - highWaterMark + 1) / step)) * step
  return highWaterMark - (written - read)
}
