/** What messages are decoded to, and made from. A decoder never throws. */
import { isAscii, isUtf8 } from "node:buffer"
import * as Exit from "effect/Exit"
import * as SchemaBinary from "effect/encoding/SchemaBinary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Codec, FrameCodec } from "../../Codec.ts"
import type { Frame, Message, Outgoing } from "../../Message.ts"
import { DecodeError, EncodeError, OptionError } from "../../ZmqError.ts"
import type { Decode } from "../receive/receive.ts"
import { isFrame } from "../send/send.ts"
import { textMade } from "../texts.ts"
import { decodeMsgpack, defaultMaxValues, encodeMsgpack, mostMaxValues, TooManyValues } from "./msgpack.ts"
import { toCodecMsgpack } from "./msgpackSchema.ts"

export type { Codec, FrameCodec }

/** Why a value or a message is refused: what was expected instead. */
export class Refusal {
  readonly expected: string
  declare readonly cause?: unknown
  constructor(expected: string, cause?: unknown) {
    this.expected = expected
    if (cause !== undefined) this.cause = cause
  }
}

/** Runs what may throw. */
const attempt = <A>(run: () => A, expected: string): A | Refusal => {
  try {
    return run()
  } catch (cause) {
    return new Refusal(expected, cause)
  }
}

// -----------------------------------------------------------------------------
// single frames
// -----------------------------------------------------------------------------

/** Makes something of a frame, and a frame of it, or says why it can't. Never throws. */
export interface FrameFormat<A> {
  /** What the frame is, as a peer would be told. */
  readonly name: string
  readonly encode: (value: A) => Frame | Refusal
  readonly decode: (frame: Buffer) => A | Refusal
}

// From here on it is quicker to look for ASCII first, on Node 20 and 22.
const longText = 2048

/**
 * A frame as text, or undefined if it is not strict UTF-8. Node replaces what
 * is not UTF-8 by U+FFFD: only where there is one, the bytes must be asked.
 */
export const text = (frame: Buffer): string | undefined => {
  try {
    if (frame.length >= longText) {
      textMade(frame.length)
      if (isAscii(frame)) return frame.toString("latin1")
    }
    const string = frame.toString()
    return string.includes("\uFFFD") && !isUtf8(frame) ? undefined : string
  } catch {
    // longer than a string can be
    return undefined
  }
}

const notText = new Refusal("UTF-8 text")

export const stringFormat: FrameFormat<string> = {
  name: "UTF-8 text",
  encode: (value) => (typeof value === "string" ? value : new Refusal("a string")),
  decode: (frame) => text(frame) ?? notText
}

export const bytesFormat: FrameFormat<Uint8Array> = {
  name: "bytes",
  encode: (value) => (value instanceof Uint8Array ? value : new Refusal("a Uint8Array")),
  decode: (frame) => frame
}

const parseJson = (frame: Buffer): unknown => {
  const string = text(frame)
  if (string === undefined) return new Refusal("JSON")
  try {
    return JSON.parse(string)
  } catch (cause) {
    return new Refusal("JSON", withoutQuote(cause as SyntaxError))
  }
}

// V8 quotes the text that it stopped at, and the log is no place for what peers send.
const withoutQuote = (error: SyntaxError): SyntaxError =>
  new SyntaxError(error.message.replace(/^Unexpected token .*(?= is not valid JSON$)|".*"/s, "this"))

/** The JSON text of a value, or why it has none. */
const writeJson = (value: unknown): string | Refusal => {
  const expected = "a value that JSON can hold"
  return attempt(() => JSON.stringify(value) ?? new Refusal(expected), expected)
}

export const jsonFormat: FrameFormat<unknown> = { name: "JSON", encode: writeJson, decode: parseJson }

// How many characters of what a schema has to say are told.
const longestIssue = 300

// Of a schema that does what it should not, as one that waits, the cause is a defect.
const through = <A>(run: (input: unknown) => Exit.Exit<A, unknown>, input: unknown, expected: string): A | Refusal => {
  try {
    const exit = run(input)
    if (Exit.isSuccess(exit)) return exit.value
    const reason = exit.cause.reasons[0]
    const cause = reason?._tag === "Fail" ? reason.error : reason?._tag === "Die" ? reason.defect : undefined
    // The path to what is wrong has the keys of a record in it, which a peer can make as long as it likes.
    const message = Schema.isSchemaError(cause) ? cause.message : `${cause}`
    if (message.length <= longestIssue) return new Refusal(`${expected}: ${cause}`, cause)
    const short = `${message.slice(0, longestIssue)}…`
    if (Schema.isSchemaError(cause)) Object.defineProperty(cause, "message", { value: short })
    return new Refusal(`${expected}: ${short}`, cause)
  } catch (cause) {
    return new Refusal(expected, cause)
  }
}

/** How values that a schema is done with are written into a frame. */
interface Notation {
  readonly name: string
  readonly write: (wire: unknown) => Frame | Refusal
  readonly read: (frame: Buffer) => unknown
}

const schemaDecoder = <A>(wire: Schema.Decoder<A>, { name, read }: Notation): FrameFormat<A>["decode"] => {
  const decode = Schema.decodeUnknownExit(wire)
  return (frame) => {
    const input = read(frame)
    return input instanceof Refusal ? input : through(decode, input, `${name} of the schema's shape`)
  }
}

const schemaFormat = <A>(wire: Schema.Codec<A, unknown>, notation: Notation): FrameFormat<A> => {
  const encode = Schema.encodeUnknownExit(wire)
  return {
    name: notation.name,
    encode: (value) => {
      const output = through(encode, value, "a value of the schema's type")
      return output instanceof Refusal ? output : notation.write(output)
    },
    decode: schemaDecoder(wire, notation)
  }
}

const json: Notation = { name: "JSON", write: writeJson, read: parseJson }

const msgpack = (maxValues: number): Notation => {
  const few = `MessagePack of at most ${maxValues} values (Codec.msgpack has the option maxValues, for peers that you trust with more)`
  return {
    name: "MessagePack",
    write: (wire) => attempt(() => encodeMsgpack(wire), "a value that MessagePack can hold"),
    read: (frame) => {
      try {
        return decodeMsgpack(frame, maxValues)
      } catch (cause) {
        return new Refusal(cause instanceof TooManyValues ? few : "MessagePack", cause)
      }
    }
  }
}

const binary: Notation = {
  name: "Effect's binary encoding",
  write: (wire) => wire as Uint8Array,
  read: (frame) => frame
}

export const jsonSchemaFormat = <A>(schema: Schema.Codec<A, unknown>): FrameFormat<A> =>
  schemaFormat(Schema.toCodecJson(schema), json)

/** Throws OptionError. */
export const msgpackFormat = <A>(
  schema: Schema.Codec<A, unknown>,
  { maxValues = defaultMaxValues }: { readonly maxValues?: number | undefined } = {}
): FrameFormat<A> => {
  if (!Number.isInteger(maxValues) || maxValues < 1 || maxValues > mostMaxValues) {
    const expected = `a whole number of values from 1 to ${mostMaxValues}`
    throw new OptionError({ option: "maxValues", value: maxValues, expected })
  }
  return schemaFormat(toCodecMsgpack(schema), msgpack(maxValues))
}

export const binaryFormat = <A>(schema: Schema.Codec<A, unknown>, options?: SchemaBinary.Options): FrameFormat<A> =>
  schemaFormat(SchemaBinary.toCodec(schema, options), binary)

// -----------------------------------------------------------------------------
// messages
// -----------------------------------------------------------------------------

/** Makes something of a message, and a message of it, or says why it can't. Never throws. */
export interface Format<A> {
  readonly encode: (value: A) => Outgoing | Refusal
  readonly decode: (message: Message) => A | Refusal
}

const oneFrame = <A>({ name, encode, decode }: FrameFormat<A>, advice = ""): Format<A> => {
  const wrongCount = new Refusal(`one frame of ${name}${advice}`)
  return {
    encode,
    decode: (message) => {
      if (message.length !== 1) return wrongCount
      const value = decode(message[0])
      return value instanceof Refusal ? new Refusal(`one frame of ${value.expected}${advice}`, value.cause) : value
    }
  }
}

const named = (name: string, { expected, cause }: Refusal) => new Refusal(`frame ${name} to be ${expected}`, cause)

/** A message of so many frames, each with its own format. */
const tupleFormat = (
  formats: ReadonlyArray<FrameFormat<unknown>>,
  names: ReadonlyArray<string>
): Format<ReadonlyArray<unknown>> => {
  const count = formats.length
  const wrongCount = new Refusal(`${count} frames: ${formats.map(({ name }, i) => `${names[i]} (${name})`).join(", ")}`)
  return {
    encode: (values) => {
      const frames: Array<Frame> = []
      for (let i = 0; i < count; i++) {
        const frame = formats[i]!.encode(values[i])
        if (frame instanceof Refusal) return named(names[i]!, frame)
        frames.push(frame)
      }
      return frames as unknown as Outgoing
    },
    decode: (message) => {
      if (message.length !== count) return wrongCount
      const values: Array<unknown> = []
      for (let i = 0; i < count; i++) {
        const value = formats[i]!.decode(message[i]!)
        if (value instanceof Refusal) return named(names[i]!, value)
        values.push(value)
      }
      return values
    }
  }
}

const arrayFormat = (formats: ReadonlyArray<FrameFormat<unknown>>): Format<ReadonlyArray<unknown>> => {
  const tuple = tupleFormat(
    formats,
    formats.map((_, i) => `${i}`)
  )
  const wrong = new Refusal(`a list of ${formats.length} values`)
  return {
    encode: (values) => (Array.isArray(values) && values.length === formats.length ? tuple.encode(values) : wrong),
    decode: tuple.decode
  }
}

const structFormat = (formats: Readonly<Record<string, FrameFormat<unknown>>>): Format<Record<string, unknown>> => {
  const names = Object.keys(formats)
  const tuple = tupleFormat(Object.values(formats), names)
  const expected = `an object of ${names.join(", ")}`
  return {
    encode: (value) => attempt(() => tuple.encode(names.map((name) => value[name])), expected),
    decode: (message) => {
      const values = tuple.decode(message)
      if (values instanceof Refusal) return values
      const record: Record<string, unknown> = {}
      for (let i = 0; i < names.length; i++) record[names[i]!] = values[i]
      return record
    }
  }
}

// -----------------------------------------------------------------------------
// on sockets
// -----------------------------------------------------------------------------

const decoder =
  <A>(operation: string, { decode }: Format<A>): Decode<A> =>
  (message) => {
    const value = decode(message)
    return value instanceof Refusal ? new DecodeError({ operation, frames: message, ...value }) : value
  }

const encoder =
  <A, M extends Outgoing>(operation: string, { encode }: { readonly encode: (value: A) => M | Refusal }) =>
  (value: A): M | EncodeError => {
    const message = encode(value)
    return message instanceof Refusal ? new EncodeError({ operation, value, ...message }) : message
  }

const stringMessage = oneFrame(stringFormat, " (for several frames use recvStrings, for bytes recv)")
const jsonMessage = oneFrame(jsonFormat)

export const decodeString = (operation: string): Decode<string> => decoder(operation, stringMessage)

export const decodeStrings =
  (operation: string): Decode<[string, ...Array<string>]> =>
  (message) => {
    const strings: Array<string> = []
    for (const frame of message) {
      const string = text(frame)
      if (string === undefined) {
        return new DecodeError({ operation, frames: message, expected: "frames of UTF-8 text (for bytes use recv)" })
      }
      strings.push(string)
    }
    return strings as [string, ...Array<string>]
  }

export const decodeJson = (operation: string): Decode<unknown> => decoder(operation, jsonMessage)

export const encodeJson = (operation: string, value: unknown): Frame | EncodeError =>
  encoder(operation, jsonFormat)(value)

export const decodeSchema = <A>(operation: string, schema: Schema.Decoder<A>): Decode<A> =>
  decoder(
    operation,
    oneFrame({ name: "JSON", encode: writeJson, decode: schemaDecoder(Schema.toCodecJson(schema), json) })
  )

export const encodeSchema = <A>(operation: string, schema: Schema.Codec<A, unknown>) =>
  encoder(operation, jsonSchemaFormat(schema))

export const decodeAs = <A>(operation: string, codec: Codec<A>): Decode<A> => decoder(operation, formatOf(codec))

export const encodeAs = <A>(operation: string, codec: Codec<A>) => encoder(operation, formatOf(codec))

// -----------------------------------------------------------------------------
// codecs
// -----------------------------------------------------------------------------

export class CodecImpl<A> implements Codec<A> {
  declare readonly "~effect-zmq/Codec": Codec<A>["~effect-zmq/Codec"]
  readonly format: Format<A>

  constructor(format: Format<A>) {
    this.format = format
  }

  readonly encode = (value: A): Result.Result<Outgoing, EncodeError> => {
    const message = encoder("encode", this.format)(value)
    return message instanceof EncodeError ? Result.fail(message) : Result.succeed(message)
  }

  readonly decode = (message: Message): Result.Result<A, DecodeError> => {
    const value = decoder("decode", this.format)(message)
    return value instanceof DecodeError ? Result.fail(value) : Result.succeed(value)
  }
}

class FrameCodecImpl<A> extends CodecImpl<A> implements FrameCodec<A> {
  declare readonly "~effect-zmq/Codec": FrameCodec<A>["~effect-zmq/Codec"]
  readonly frame: FrameFormat<A>

  constructor(frame: FrameFormat<A>) {
    super(oneFrame(frame))
    this.frame = frame
  }
}

export const formatOf = <A>(codec: Codec<A>): Format<A> => (codec as CodecImpl<A>).format
const frameOf = <A>(codec: FrameCodec<A>): FrameFormat<A> => (codec as FrameCodecImpl<A>).frame

/** A codec of one frame. */
export const frameCodec = <A>(format: FrameFormat<A>): FrameCodec<A> => new FrameCodecImpl(format)

/** A codec of one frame, from functions of the user's. */
export const makeFrameCodec = <A>(options: {
  readonly encode: (value: A) => Frame
  readonly decode: (frame: Buffer) => A
}): FrameCodec<A> =>
  frameCodec({
    name: "what the codec decodes",
    encode: (value) => {
      const frame = attempt(() => options.encode(value), "a value that the codec encodes")
      return frame instanceof Refusal || isFrame(frame) ? frame : new Refusal("a codec that makes a string or bytes")
    },
    decode: (frame) => attempt(() => options.decode(frame), "what the codec decodes")
  })

/** A codec of whole messages, from functions of the user's. */
export const makeCodec = <A>(options: {
  readonly encode: (value: A) => Outgoing
  readonly decode: (message: Message) => A
}): Codec<A> =>
  new CodecImpl({
    encode: (value) => attempt(() => options.encode(value), "a value that the codec encodes"),
    decode: (message) => attempt(() => options.decode(message), "a message that the codec decodes")
  })

/** A codec of several frames. */
export const framesCodec = (
  codecs: ReadonlyArray<FrameCodec<unknown>> | Readonly<Record<string, FrameCodec<unknown>>>
): Codec<unknown> => {
  const format = Array.isArray(codecs)
    ? arrayFormat(codecs.map(frameOf))
    : structFormat(Object.fromEntries(Object.entries(codecs).map(([name, codec]) => [name, frameOf(codec)])))
  return new CodecImpl(format as Format<unknown>)
}
