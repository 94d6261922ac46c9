/**
 * What clients of another kind than ours have asked. A DEALER without an envelope reads
 * whatever comes. A REQ takes one reply for each request: a word without its envelope
 * ends its connection (req.cpp, `req_session_t::push_msg`), and one that nobody waits for
 * may be taken for the next reply.
 */
import type { Outgoing } from "../../Message.ts"
import { type Envelope, hasAddress, isOfReq, keyOf } from "./address.ts"

// Further ones are answered as well, but the oldest are not told when their server is gone.
const mostOpen = 10_000

/** The open questions of one client. */
export class Asked {
  private isBare = false
  private readonly open = new Map<string, { readonly envelope: Envelope; count: number }>()

  ask(envelope: Envelope): void {
    if (!hasAddress(envelope)) {
      this.isBare = true
      return
    }
    const key = keyOf(envelope)
    const question = this.open.get(key)
    if (question !== undefined) {
      question.count++
      return
    }
    this.open.set(key, { envelope, count: 1 })
    if (this.open.size <= mostOpen) return
    for (const oldest of this.open.keys()) {
      this.open.delete(oldest)
      break
    }
  }

  answer(envelope: Envelope): void {
    if (!hasAddress(envelope)) return
    const key = keyOf(envelope)
    const question = this.open.get(key)
    if (question !== undefined && --question.count === 0) this.open.delete(key)
  }

  /** Whether a word may be said there. It is the last: no answer is to come any more. */
  mayHear(envelope: Envelope): boolean {
    const isOpen = hasAddress(envelope) && this.open.delete(keyOf(envelope))
    return isOpen || !isOfReq(envelope)
  }

  /** A word for all who wait: it is the answer that they have. */
  answers(id: Buffer, word: Buffer): ReadonlyArray<Outgoing> {
    const words: Array<Outgoing> = [...this.open.values()].map(({ envelope }) => [id, ...envelope, word])
    this.open.clear()
    if (this.isBare) words.push([id, word])
    return words
  }
}
