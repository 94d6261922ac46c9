import type { Message } from "../Message.ts"
import type { Lease, Mailbox } from "./mailbox.ts"
import { type Outbox, peerOf } from "./outbox.ts"

/** How many messages of a peer wait at the most, each way, while it does not read what was sent to it. */
export const mostPerPeer = 1000

/**
 * Messages of peers that do not read what was sent to them. They wait until
 * their peer has room, so that whoever handles messages goes on with those of
 * the others. What such a peer sends beyond the bound is dropped.
 */
export class Held {
  readonly outbox: Outbox
  private readonly mailbox: Mailbox<Message>
  // Of a STREAM each message is a piece of what its peer says: without one of
  // them the rest means nothing.
  private readonly inPieces: boolean
  private readonly onDropped: () => void
  private readonly held = new Map<string, Array<Lease<Message>>>()
  private readonly cutOff = new Set<string>()
  size = 0
  /** How many were dropped. */
  dropped = 0

  constructor(mailbox: Mailbox<Message>, outbox: Outbox, inPieces: boolean, onDropped: () => void) {
    this.mailbox = mailbox
    this.outbox = outbox
    this.inPieces = inPieces
    this.onDropped = onDropped
    outbox.onRoom = this.release
  }

  /** Keeps a message that was lent, or drops it, if it is not its time yet. */
  keep(lease: Lease<Message>): boolean {
    if (!this.outbox.hasFull && this.cutOff.size === 0) return false
    const peer = peerOf(lease.message)
    if (this.cutOff.has(peer)) return this.keepFromCutOff(peer, lease)
    if (!this.outbox.isFull(peer)) return false
    const held = this.held.get(peer) ?? []
    if (held.length >= mostPerPeer) {
      if (this.inPieces) this.cutOff.add(peer)
      this.drop()
      return true
    }
    held.push(lease)
    this.held.set(peer, held)
    this.size++
    return true
  }

  /** Gives back all that waits: nobody handles messages any more. */
  releaseAll(): void {
    for (const peer of [...this.held.keys()]) this.release(peer)
  }

  // Its last word, that it has left, is told.
  private keepFromCutOff(peer: string, { message }: Lease<Message>): boolean {
    const hasLeft = message[1]?.length === 0
    if (hasLeft) this.cutOff.delete(peer)
    else this.drop()
    return !hasLeft
  }

  /** Counts one that is dropped. */
  drop(): void {
    this.dropped++
    this.onDropped()
  }

  private readonly release = (peer: string): void => {
    // An empty message hangs up.
    if (this.cutOff.has(peer)) this.outbox.offer([Buffer.from(peer, "latin1"), ""])
    const held = this.held.get(peer)
    if (held === undefined) return
    this.held.delete(peer)
    this.size -= held.length
    for (const lease of held) this.mailbox.restore(lease)
  }
}
