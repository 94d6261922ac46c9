import { microtask } from "../microtask.ts"
import { boundOf } from "./size.ts"

// So much is worth one message: enough that what a message costs is hardly seen, and little
// enough that the other side works on the first while the next is put together.
const mostBytes = 3072

let due: Array<Bundle> = []

/**
 * Sends what is to be sent in this turn. To be called before a socket waits for messages: a
 * message that is sent while it does can cost it the news of the next.
 */
export const flushAll = (): void => {
  if (due.length === 0) return
  const bundles = due
  due = []
  for (const bundle of bundles) bundle.flush()
}

/**
 * Values that are sent in one go, as the replies to what came in one go are. Where the
 * serialization has a frame for each, they go as one message.
 */
export class Bundle {
  private readonly joins: boolean
  private readonly transmit: (frame: Uint8Array | string) => void
  private values: Array<Uint8Array | string> = []
  private bytes = 0
  private bound = 0
  /** What the other side takes in one message. No value alone is to have more. */
  most = Number.POSITIVE_INFINITY

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
    const bound = boundOf(value)
    if (this.bound + bound > this.most) this.flush()
    if (this.values.length === 0) {
      if (due.length === 0) microtask(flushAll)
      due.push(this)
    }
    this.values.push(value)
    this.bytes += value.length
    this.bound += bound
    if (this.bytes >= mostBytes) this.flush()
  }

  flush(): void {
    const { values } = this
    if (values.length === 0) return
    this.clear()
    this.transmit(values.length === 1 ? values[0]! : joined(values))
  }

  clear(): void {
    this.values = []
    this.bytes = 0
    this.bound = 0
  }
}

const joined = (values: ReadonlyArray<Uint8Array | string>): Uint8Array | string =>
  typeof values[0] === "string"
    ? (values as ReadonlyArray<string>).join("")
    : Buffer.concat(values as ReadonlyArray<Uint8Array>)
