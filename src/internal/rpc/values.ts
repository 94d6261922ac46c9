/**
 * The values of RPC, as they are in messages.
 *
 * The parsers of Effect's serializations take a stream apart, and keep what is
 * incomplete for the next call: the end of one message would spoil the next. Here each
 * message is whole, or it is refused.
 */
import * as RpcMessage from "effect/rpc/RpcMessage"
import type { Parser, RpcSerialization } from "effect/rpc/RpcSerialization"

type Serialization = RpcSerialization["Service"]

/** A message that is not made of whole values of the serialization. */
export class Malformed extends Error {}

/** Whether what a parser has taken from a frame is all of it. */
type Whole = (frame: Uint8Array) => boolean

const always: Whole = () => true
const endsLine: Whole = (frame) => frame[frame.length - 1] === 0x0a

/** As SchemaBinary has it: the length of a value in groups of 7 bits, the lowest first, and the value. */
const endsLength: Whole = (frame) => {
  let at = 0
  while (at < frame.length) {
    let length = 0
    let scale = 1
    let byte: number | undefined
    do {
      byte = frame[at++]
      if (byte === undefined) return false
      length += (byte & 0x7f) * scale
      scale *= 128
    } while (byte >= 0x80)
    at += length
  }
  return at === frame.length
}

const wholes = new WeakMap<Serialization, Whole | "unknown">()

/** How it can be seen that a frame is whole, by what the serialization itself makes. */
const wholeOf = (serialization: Serialization): Whole | "unknown" => {
  let whole = wholes.get(serialization)
  if (whole === undefined) {
    const sample = serialization.makeUnsafe().encode(RpcMessage.constPing)
    const bytes = typeof sample === "string" ? Buffer.from(sample) : sample
    // Without framing of its own a value is all of its message, or an error.
    if (!serialization.includesFraming || bytes === undefined) whole = always
    else whole = [typeof sample === "string" ? endsLine : endsLength].find((ends) => ends(bytes)) ?? "unknown"
    wholes.set(serialization, whole)
  }
  return whole
}

/** The values of one peer: a serialization may keep what belongs together. */
export class Values {
  private readonly serialization: Serialization
  private readonly whole: Whole | "unknown"
  private parser: Parser

  constructor(serialization: Serialization) {
    this.serialization = serialization
    this.whole = wholeOf(serialization)
    this.parser = serialization.makeUnsafe()
  }

  /** Whether several values may be in one message. */
  get joins(): boolean {
    return this.serialization.includesFraming && this.whole !== "unknown"
  }

  /** The values of a frame, at least one. Throws what the parser does, or `Malformed`. */
  decode(frame: Buffer): ReadonlyArray<unknown> {
    if (this.whole === "unknown") this.parser = this.serialization.makeUnsafe()
    else if (!this.whole(frame)) throw new Malformed("a value was cut off")
    const values = this.parser.decode(frame)
    if (values.length === 0) throw new Malformed("there was no whole value in a message")
    return values
  }

  /** A frame, or undefined if there is nothing to send yet. */
  encode(value: unknown): Uint8Array | string | undefined {
    return this.parser.encode(value)
  }
}
