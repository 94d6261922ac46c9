import type { FromClientEncoded } from "effect/rpc/RpcMessage"
import type { Call } from "./call.ts"
import type { Values } from "./values.ts"

/** One server, as a client sees it: at the end of a connection, or behind a broker with others. */
export class Link {
  /** What a broker calls it. */
  readonly tag: Buffer | undefined
  readonly values: Values
  readonly calls = new Set<Call>()
  private readonly transmit: (frame: Uint8Array | string) => void
  isOpen = false
  /** Milliseconds since it was heard, and since it was asked whether it is there. */
  idle = 0
  sincePing = 0

  constructor(tag: Buffer | undefined, values: Values, transmit: (frame: Uint8Array | string) => void) {
    this.tag = tag
    this.values = values
    this.transmit = transmit
  }

  /** Throws what the serialization does. */
  send(message: FromClientEncoded): void {
    const frame = this.values.encode(message)
    if (frame !== undefined) this.transmit(frame)
  }

  say(word: Buffer): void {
    this.transmit(word)
  }
}
