import type { FromClientEncoded } from "effect/rpc/RpcMessage"
import { Bundle } from "./bundle.ts"
import type { Call } from "./call.ts"
import { excessOf } from "./size.ts"
import type { Values } from "./values.ts"

/** One server, as a client sees it: at the end of a connection, or behind a broker with others. */
export class Link {
  readonly endpoint: string
  /** What a broker calls it. */
  readonly tag: Buffer | undefined
  readonly values: Values
  readonly calls = new Set<Call>()
  private readonly transmit: (frame: Uint8Array | string) => void
  private readonly bundle: Bundle
  isOpen = false
  /** Milliseconds since it was heard, and since it was asked whether it is there. */
  idle = 0
  sincePing = 0

  constructor(
    endpoint: string,
    tag: Buffer | undefined,
    values: Values,
    transmit: (frame: Uint8Array | string) => void
  ) {
    this.endpoint = endpoint
    this.tag = tag
    this.values = values
    this.bundle = new Bundle(values.joins, (frame) => transmit(frame))
    this.transmit = transmit
  }

  /** It is there, and takes so many bytes in one message. */
  open(most: number): void {
    this.isOpen = true
    this.bundle.most = most
  }

  /** Throws what the serialization does, or `TooLarge` of a call. */
  send(message: FromClientEncoded): void {
    const frame = this.values.encode(message)
    if (frame === undefined) return
    const excess = message._tag === "Request" ? excessOf("the call", frame, this.bundle.most) : undefined
    if (excess !== undefined) throw excess
    this.bundle.add(frame)
  }

  say(word: Buffer): void {
    this.bundle.flush()
    this.transmit(word)
  }

  /** It is there no more: nothing is sent to it. */
  end(): void {
    this.isOpen = false
    this.bundle.clear()
  }
}
