import type { FromClientEncoded } from "effect/rpc/RpcMessage"
import type { Peer } from "../../Message.ts"
import { Queue } from "../queue.ts"
import { type Address, addressed, isNumbered, isReqAt } from "./address.ts"
import { Bundle } from "./bundle.ts"
import { Out } from "./out.ts"
import type { Source } from "./source.ts"
import type { Values } from "./values.ts"

/** A stream that has sent something: how many chunks are not acknowledged, and whether it waits for that. */
interface Stream {
  unacknowledged: number
  waits: boolean
}

/** A client, as a server sees it. */
export class ServedClient {
  readonly id: number
  readonly address: Address
  readonly key: string
  readonly source: Source
  readonly peer: Peer
  readonly values: Values
  readonly out: Out
  /** What is sent to it in this turn, once it is known to be one of ours. */
  private bundle: Bundle | undefined
  /** What it takes in one message, of what is known. */
  most = Number.POSITIVE_INFINITY
  /** Its calls that are not done, and of streams how far they are. */
  readonly calls = new Map<string | number, Stream | undefined>()
  /** Messages that came while the server of RPC was not done with the last. */
  readonly queued = new Queue<ReadonlyArray<FromClientEncoded>>()
  isBusy = false
  /** A REQ: it takes one message for each of its own, be it a word. */
  readonly isReq: boolean
  /** It is one call of a REQ that numbers them. */
  readonly isOnce: boolean
  /** Milliseconds without a word after which it is gone, or 0. */
  limit = 0
  idle = 0

  constructor(id: number, address: Address, key: string, source: Source, values: Values, peer: Peer, gone: () => void) {
    this.id = id
    this.address = address
    this.key = key
    this.source = source
    this.values = values
    this.peer = peer
    this.out = new Out(source.core.outbox, gone)
    this.isReq = isReqAt(address)
    this.isOnce = this.isReq && isNumbered(address.slice(1))
  }

  send(frame: Uint8Array | string): void {
    if (this.bundle === undefined) this.transmit(frame)
    else this.bundle.add(frame)
  }

  say(word: Buffer): void {
    this.bundle?.flush()
    this.transmit(word)
  }

  get pending(): number {
    return this.out.pending + (this.bundle?.length ?? 0)
  }

  /** It has said hello, and takes several values in one message, of so many bytes. */
  greet(most: number): void {
    this.bundle ??= new Bundle(this.values.joins, this.transmit)
    this.bundle.most = most
    this.most = most
  }

  /**
   * A chunk of a stream was sent. Says whether the next may go before any is acknowledged: fewer than the window are
   * on their way. If not, the stream waits for that.
   */
  chunkSent(requestId: string | number, window: number): boolean {
    if (!this.calls.has(requestId)) return false
    let stream = this.calls.get(requestId)
    if (stream === undefined) {
      stream = { unacknowledged: 0, waits: false }
      this.calls.set(requestId, stream)
    }
    if (++stream.unacknowledged < window) return true
    stream.waits = true
    return false
  }

  /** It has read a chunk. Says whether the stream waited for that. */
  acknowledged(requestId: string | number): boolean {
    const stream = this.calls.get(requestId)
    if (stream === undefined) return false
    if (stream.unacknowledged > 0) stream.unacknowledged--
    const waited = stream.waits
    stream.waits = false
    return waited
  }

  clear(): void {
    this.bundle?.clear()
    this.out.clear()
  }

  private readonly transmit = (frame: Uint8Array | string): void => this.out.send(addressed(this.address, frame))
}
