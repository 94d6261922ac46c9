import * as Context from "effect/Context"

/** A handler that runs, to those who wait within it. */
export interface CurrentHandler {
  /** What it has of its message, until that is settled. */
  readonly lease: unknown
  /** How the socket sends whose messages it handles, where those of a peer wait that has no room. */
  readonly sends: unknown
  /**
   * It waits until one peer has room, with the message that it had then: another
   * handler goes on with the others meanwhile. Returns what ends that.
   */
  waits(lease: unknown): () => void
}

/** The handler that a fiber belongs to. */
export const CurrentHandler = Context.Reference<CurrentHandler | undefined>("effect-zmq/internal/CurrentHandler", {
  defaultValue: () => undefined
})
