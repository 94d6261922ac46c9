import type { Message } from "../../Message.ts"
import type { Lane } from "../engine.ts"
import { mostPerPeer, peerOf } from "../lane.ts"
import type { Outbox } from "../send/outbox.ts"
import type { Inbox } from "./inbox.ts"
import type { Lease } from "./mailbox.ts"
import { type HoldingBack, Patience } from "./patience.ts"

// A peer is held back when so many of its messages wait. As many more may be on their way by then.
const holdsBackAt = mostPerPeer / 2

/**
 * Messages of peers that do not read what was sent to them. They wait until
 * their peer has room, so that whoever handles messages goes on with those of
 * the others. Where the engine can, it holds them back before they are too many. What a
 * peer sends beyond the bound is dropped.
 */
export class Held {
  readonly outbox: Outbox
  private readonly inbox: Inbox
  private readonly patience: Patience | undefined
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
    this.patience = engine === undefined ? undefined : new Patience(outbox, engine)
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
    const more = held.length < holdsBackAt ? 0 : (this.patience?.holdBack(peer) ?? 0)
    if (held.length >= mostPerPeer + more) {
      this.drop()
      if (this.pieces !== undefined) this.hangUp(peer)
      return true
    }
    held.push(lease)
    this.held.set(peer, held)
    this.size++
    return true
  }

  /** Gives back all that waits: nobody handles messages any more. */
  releaseAll(): void {
    this.inbox.mailbox.restore([...this.held.values()].flat())
    this.held.clear()
    this.size = 0
    this.close()
  }

  /** Nobody is held back any more. */
  close(): void {
    this.patience?.endAll()
  }

  /** Counts one that is dropped. */
  drop(): void {
    this.dropped++
    this.onDropped()
  }

  // As soon as it has room for that. Nothing of what it has said is of use.
  private hangUp(peer: Lane): void {
    this.cutOff.add(peer)
    this.patience?.end(peer)
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
  private keepFromCutOff(peer: Lane, { message }: Lease<Message>): boolean {
    const hasLeft = message[1]?.length === 0
    if (hasLeft) this.cutOff.delete(peer)
    else this.drop()
    return !hasLeft || this.pieces === "untold"
  }

  private readonly release = (peer: Lane, sent: number): void => {
    this.inbox.mailbox.restore(this.forget(peer))
    this.patience?.emptied(peer, sent)
  }

  private forget(peer: Lane): ReadonlyArray<Lease<Message>> {
    const held = this.held.get(peer) ?? []
    this.held.delete(peer)
    this.size -= held.length
    return held
  }
}
