import { microtask } from "../microtask.ts"

// So much is worth one message: enough that what a message costs is not seen, and
// little enough that a peer that does not read has not much more to wait for it.
const mostBytes = 8192

/**
 * Values that are sent in one go, as the replies to what came in one go are. Where the
 * serialization has a frame for each, they go as one message.
 */
export class Bundle {
  private readonly joins: boolean
  private readonly transmit: (frame: Uint8Array | string) => void
  private values: Array<Uint8Array | string> = []
  private bytes = 0

  constructor(joins: boolean, transmit: (frame: Uint8Array | string) => void) {
    this.joins = joins
    this.transmit = transmit
  }

  /** How many values wait for the end of this turn. */
  get length(): number {
    return this.values.length
  }

  add(value: Uint8Array | string): void {
    if (!this.joins) return this.transmit(value)
    if (this.values.length === 0) microtask(this.flush)
    this.values.push(value)
    this.bytes += value.length
    if (this.bytes >= mostBytes) this.flush()
  }

  readonly flush = (): void => {
    const { values } = this
    if (values.length === 0) return
    this.clear()
    this.transmit(values.length === 1 ? values[0]! : joined(values))
  }

  clear(): void {
    this.values = []
    this.bytes = 0
  }
}

const joined = (values: ReadonlyArray<Uint8Array | string>): Uint8Array | string =>
  typeof values[0] === "string"
    ? (values as ReadonlyArray<string>).join("")
    : Buffer.concat(values as ReadonlyArray<Uint8Array>)
