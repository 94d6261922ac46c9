import type { Message } from "../../Message.ts"
import type { EngineSocket, Lane } from "../engine.ts"
import { mostPerPeer, peerOf } from "../lane.ts"
import type { Outbox } from "../send/outbox.ts"
import type { Inbox } from "./inbox.ts"
import type { Lease } from "./mailbox.ts"

/** An engine that can leave with one peer what it sends, and a clock. */
export interface HoldingBack {
  readonly holdBack: NonNullable<EngineSocket["holdBack"]>
  readonly after: (millis: number, run: () => void) => () => void
  /** How many messages of a peer the engine may have that it is asked to leave there. */
  readonly most: number
}

/** How long a peer is waited for that is held back. */
interface Patience {
  /** How much it had taken of what is sent to it. */
  taken: number
  /** It took no more: it counts as one that does not read, until it does. */
  isOver: boolean
  stop: () => void
}

// A peer is held back when so many of its messages wait. As many more may be on their way by then.
const holdsBackAt = mostPerPeer / 2

// How long a peer may read nothing before it counts as one that does not read, in milliseconds.
const millisOfPatience = 1000

/**
 * Messages of peers that do not read what was sent to them. They wait until
 * their peer has room, so that whoever handles messages goes on with those of
 * the others.
 *
 * One that is only slow is held back, where the engine can: what it sends waits with it. But
 * who reads nothing for a second is read on, so that its end is seen, and what it
 * sends beyond the bound is dropped.
 */
export class Held {
  readonly outbox: Outbox
  private readonly inbox: Inbox
  private readonly engine: HoldingBack | undefined
  /** With those who are held back, or were. A timer goes, or it is over and the lane is full: so each is forgotten. */
  private readonly patience = new Map<Lane, Patience>()
  private readonly pieces: "told" | "untold" | undefined
  private readonly onDropped: () => void
  private readonly held = new Map<Lane, Array<Lease<Message>>>()
  private readonly cutOff = new Set<Lane>()
  size = 0
  /** How many were dropped. */
  dropped = 0

  /**
   * Of a STREAM each message is a piece of what its peer says: without one of them
   * the rest means nothing. `pieces` says whether it is told that a peer has left.
   */
  constructor(
    inbox: Inbox,
    outbox: Outbox,
    engine: HoldingBack | undefined,
    pieces: "told" | "untold" | undefined,
    onDropped: () => void
  ) {
    this.inbox = inbox
    this.outbox = outbox
    this.engine = engine
    this.pieces = pieces
    this.onDropped = onDropped
    outbox.onRoom = this.release
  }

  /** Keeps a message that was lent, or drops it, if it is not its time yet. */
  keep(lease: Lease<Message>): boolean {
    if (!this.outbox.hasFull && this.cutOff.size === 0) return false
    const peer = peerOf(lease.message)
    if (this.cutOff.has(peer) && this.keepFromCutOff(peer, lease)) return true
    // The end of a peer, too, waits until those who send to it know.
    if (!this.outbox.isFull(peer)) return false
    const held = this.held.get(peer) ?? []
    const isHeldBack = held.length >= holdsBackAt && this.holdBack(peer)
    // What was here of one that has left, or that is held back only now, is more.
    if (held.length >= (isHeldBack ? mostPerPeer + this.engine!.most : mostPerPeer)) {
      this.drop()
      if (this.pieces !== undefined) this.hangUp(peer)
      return true
    }
    held.push(lease)
    this.held.set(peer, held)
    this.size++
    return true
  }

  /** Has the engine leave with a peer what it sends, and says whether it does: not with one that does not read. */
  private holdBack(peer: Lane): boolean {
    const { engine } = this
    if (engine === undefined) return false
    const known = this.patience.get(peer)
    if (known?.isOver === true && known.taken === this.takenBy(peer, false)) return false
    // Each time, as another may have come by its name.
    const taken = this.takenBy(peer, true)
    if (known === undefined || known.isOver) this.wait(peer, taken)
    return true
  }

  // How much a peer has taken of what is sent to it while its lane is full, but for a constant.
  private takenBy(peer: Lane, isHeldBack: boolean): number {
    return this.outbox.sentSinceFull(peer) - this.engine!.holdBack(peer, isHeldBack)
  }

  private wait(peer: Lane, taken: number, isOver = false): void {
    this.patience.get(peer)?.stop()
    const stop = this.engine!.after(millisOfPatience, () => this.lookAt(peer))
    this.patience.set(peer, { taken, isOver, stop })
  }

  private lookAt(peer: Lane): void {
    const known = this.patience.get(peer)!
    const isStill = this.outbox.isFull(peer)
    const taken = this.takenBy(peer, isStill && !known.isOver)
    // It reads, though there is no end of what is sent to it.
    if (isStill && taken !== known.taken) return this.wait(peer, taken)
    this.engine!.holdBack(peer, false)
    if (isStill) known.isOver = true
    else this.patience.delete(peer)
  }

  private goOn(peer: Lane): void {
    const known = this.patience.get(peer)
    if (known === undefined) return
    known.stop()
    this.patience.delete(peer)
    this.engine!.holdBack(peer, false)
  }

  /** Gives back all that waits: nobody handles messages any more. */
  releaseAll(): void {
    this.inbox.mailbox.restore([...this.held.values()].flat())
    this.held.clear()
    this.size = 0
    this.goOnAll()
  }

  /** Nobody is held back any more. */
  goOnAll(): void {
    for (const peer of [...this.patience.keys()]) this.goOn(peer)
  }

  /** Counts one that is dropped. */
  drop(): void {
    this.dropped++
    this.onDropped()
  }

  // As soon as it has room for that. Nothing of what it has said is of use.
  private hangUp(peer: string): void {
    this.cutOff.add(peer)
    this.goOn(peer)
    for (let i = this.forget(peer).length; i > 0; i--) this.drop()
    const id = Buffer.from(peer, "latin1")
    this.outbox.post([id, ""], (offer) => {
      if (offer === "unroutable" && this.pieces === "told") return
      // The engine tells that a peer has hung up, and not that we have. It may hand over
      // one more piece, which comes before.
      this.inbox.poll(1, () => this.inbox.put([id, Buffer.alloc(0)]))
    })
  }

  // Its last word is told, that it has left.
  private keepFromCutOff(peer: string, { message }: Lease<Message>): boolean {
    const hasLeft = message[1]?.length === 0
    if (hasLeft) this.cutOff.delete(peer)
    else this.drop()
    return !hasLeft || this.pieces === "untold"
  }

  private readonly release = (peer: string, sent: number): void => {
    this.inbox.mailbox.restore(this.forget(peer))
    const known = this.patience.get(peer)
    if (known === undefined) return
    // Those who gave up have not read for it.
    if (sent > 0) return this.goOn(peer)
    this.engine!.holdBack(peer, false)
    if (known.isOver) this.wait(peer, known.taken, true)
  }

  private forget(peer: string): ReadonlyArray<Lease<Message>> {
    const held = this.held.get(peer) ?? []
    this.held.delete(peer)
    this.size -= held.length
    return held
  }
}
