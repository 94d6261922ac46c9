import type { EngineSocket, Lane } from "../engine.ts"
import type { Outbox } from "../send/outbox.ts"

/** An engine that can leave with one peer what it sends, and a clock. */
export interface HoldingBack {
  readonly holdBack: NonNullable<EngineSocket["holdBack"]>
  readonly after: (millis: number, run: () => void) => () => void
  /** How many messages of a peer the engine may have that it is asked to leave there. */
  readonly most: number
}

/** How long a peer is waited for. */
interface Wait {
  /** How much it had taken of what is sent to it. */
  readonly taken: number
  /** It took no more: it counts as one that does not read, until it does. */
  isOver: boolean
  readonly stop: () => void
}

// How long a peer may read nothing before it counts as one that does not read, in milliseconds.
const millisToRead = 1000

/**
 * Peers that are slow to read are held back: what they send stays with them, for as long
 * as they read. Whoever reads nothing for a second is held back no more, so that its
 * end is seen.
 */
export class Patience {
  private readonly outbox: Outbox
  private readonly engine: HoldingBack
  /** For those who are held back, or were. A timer goes, or it is over and their lane is full: so each is forgotten. */
  private readonly waits = new Map<Lane, Wait>()

  constructor(outbox: Outbox, engine: HoldingBack) {
    this.outbox = outbox
    this.engine = engine
  }

  /**
   * Holds a peer back whose lane is full, but for one that does not read. Says how many more of its
   * messages may come all the same: what was here of one that has left, or that is held back only now.
   */
  holdBack(peer: Lane): number {
    const known = this.waits.get(peer)
    if (known?.isOver === true && known.taken === this.takenBy(peer, false)) return 0
    // Each time, as another may have come by its name.
    const taken = this.takenBy(peer, true)
    if (known === undefined || known.isOver) this.wait(peer, taken)
    return this.engine.most
  }

  /** Nobody waits for room in its lane any more, and so many have sent. */
  emptied(peer: Lane, sent: number): void {
    const known = this.waits.get(peer)
    if (known === undefined) return
    // Those who gave up have not read for it.
    if (sent > 0) return this.end(peer)
    this.engine.holdBack(peer, false)
    if (known.isOver) this.wait(peer, known.taken, true)
  }

  /** Holds a peer back no more. */
  end(peer: Lane): void {
    const known = this.waits.get(peer)
    if (known === undefined) return
    known.stop()
    this.waits.delete(peer)
    this.engine.holdBack(peer, false)
  }

  endAll(): void {
    for (const peer of [...this.waits.keys()]) this.end(peer)
  }

  // How much a peer has taken of what is sent to it while its lane is full, but for a constant.
  private takenBy(peer: Lane, isHeldBack: boolean): number {
    return this.outbox.sentSinceFull(peer) - this.engine.holdBack(peer, isHeldBack)
  }

  private wait(peer: Lane, taken: number, isOver = false): void {
    this.waits.get(peer)?.stop()
    const stop = this.engine.after(millisToRead, () => this.lookAt(peer))
    this.waits.set(peer, { taken, isOver, stop })
  }

  private lookAt(peer: Lane): void {
    const known = this.waits.get(peer)!
    const isFull = this.outbox.isFull(peer)
    const taken = this.takenBy(peer, isFull && !known.isOver)
    // It reads, though there is no end of what is sent to it.
    if (isFull && taken !== known.taken) return this.wait(peer, taken)
    this.engine.holdBack(peer, false)
    if (isFull) known.isOver = true
    else this.waits.delete(peer)
  }
}
