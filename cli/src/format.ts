/** How messages are written in text, and read from it. */
import { isUtf8 } from "node:buffer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Codec from "effect-zmq/Codec"
import type { Message, Outgoing } from "effect-zmq/Zmq"
import { Failed } from "./failure.ts"

export const formatNames = ["text", "json", "hex", "msgpack", "raw"] as const
export type FormatName = (typeof formatNames)[number]

export interface Format {
  readonly name: FormatName
  /** A message, without the newline that ends it. */
  readonly print: (message: Message) => string | Uint8Array
  /** The frames of a record of the input, or none where it is to be passed over. */
  readonly parse: (record: Buffer) => Result.Result<Outgoing | undefined, Failed>
}

type Frames = [string | Uint8Array, ...Array<string | Uint8Array>]

const refuse = (expected: string) => Result.fail(new Failed({ message: `expected ${expected}` }))

// -----------------------------------------------------------------------------
// text: frames between tabs
// -----------------------------------------------------------------------------

const tab = Buffer.from("\t")

const splitAt = (bytes: Buffer, separator: number): Array<Buffer> => {
  const parts: Array<Buffer> = []
  let start = 0
  for (let end = bytes.indexOf(separator); end >= 0; end = bytes.indexOf(separator, start)) {
    parts.push(bytes.subarray(start, end))
    start = end + 1
  }
  parts.push(bytes.subarray(start))
  return parts
}

const text: Format = {
  name: "text",
  print: (message) =>
    message.length === 1
      ? message[0]
      : Buffer.concat(message.flatMap((frame, i) => (i === 0 ? [frame] : [tab, frame]))),
  parse: (record) => Result.succeed(splitAt(record, 9) as unknown as Frames)
}

// What a message could do to a terminal that shows it.
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is about them
const control = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g

/** Text for a terminal: a control character is shown as its number. */
const shownText: Format = {
  ...text,
  print: (message) =>
    message
      .map((frame) =>
        frame.toString().replace(control, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`)
      )
      .join("\t")
}

// -----------------------------------------------------------------------------
// values: JSON Lines, of JSON or of MessagePack
// -----------------------------------------------------------------------------

const base64 = (bytes: Uint8Array): string => JSON.stringify({ base64: Buffer.from(bytes).toString("base64") })

const bytesOf = (value: unknown): Buffer | undefined =>
  typeof value === "object" &&
  value !== null &&
  "base64" in value &&
  typeof value.base64 === "string" &&
  Object.keys(value).length === 1
    ? Buffer.from(value.base64, "base64")
    : undefined

const plain = (frame: Buffer): string => (isUtf8(frame) ? JSON.stringify(frame.toString()) : base64(frame))

/** One line: a single value, or a list of the frames. A single frame that is a list is a list in a list. */
const lineOf = (frames: ReadonlyArray<string>): string =>
  frames.length === 1 && !frames[0]!.startsWith("[") ? frames[0]! : `[${frames.join(",")}]`

const valuesOf = (
  record: Buffer
): Result.Result<readonly [values: ReadonlyArray<unknown>, single: boolean], Failed> => {
  try {
    const value: unknown = JSON.parse(record.toString())
    if (!Array.isArray(value)) return Result.succeed([[value], true])
    return value.length === 0 ? refuse("at least one frame in the list") : Result.succeed([value, false])
  } catch {
    return refuse("JSON: a value for one frame, or a list of the frames")
  }
}

const lines = (
  name: FormatName,
  print: (frame: Buffer) => string,
  encode: (value: unknown, source: string | undefined) => string | Uint8Array
): Format => ({
  name,
  print: (message) => lineOf(message.map(print)),
  parse: (record) => {
    if (record.length === 0) return Result.succeed(undefined)
    return Result.map(
      valuesOf(record),
      ([values, single]) =>
        values.map((value) => encode(value, single ? record.toString().trim() : undefined)) as unknown as Frames
    )
  }
})

/** What JSON a frame is, as it stands there, so that no digit is lost. Text in quotes is text. */
const jsonOf = (frame: Buffer): string | undefined => {
  const source = frame.toString().trim()
  if (!/^[[{\-\dtfn]/.test(source)) return undefined
  try {
    JSON.parse(source)
    return source.replaceAll(/[\r\n]+/g, " ")
  } catch {
    return undefined
  }
}

const json = lines(
  "json",
  (frame) => (isUtf8(frame) ? jsonOf(frame) : undefined) ?? plain(frame),
  (value, source) => (typeof value === "string" ? value : (bytesOf(value) ?? source ?? JSON.stringify(value)))
)

const codec = Codec.msgpack(Schema.Unknown)

/** JSON of what MessagePack can hold. */
const shown = (value: unknown): string => {
  if (typeof value === "bigint") return `${value}`
  if (value instanceof Uint8Array) return base64(value)
  if (Array.isArray(value)) return `[${value.map(shown).join(",")}]`
  if (value instanceof Date || typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null"
  return `{${Object.entries(value)
    .map(([key, field]) => `${JSON.stringify(key)}:${shown(field)}`)
    .join(",")}}`
}

const withBytes = (value: unknown): unknown => {
  const bytes = bytesOf(value)
  if (bytes !== undefined) return bytes
  if (Array.isArray(value)) return value.map(withBytes)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, withBytes(field)]))
}

const msgpack = lines(
  "msgpack",
  (frame) => {
    const value = codec.decode([frame])
    return Result.isSuccess(value) ? shown(value.success) : plain(frame)
  },
  // Whatever JSON holds, MessagePack holds.
  (value) => Result.getOrThrow(codec.encode(withBytes(value))) as Uint8Array
)

// -----------------------------------------------------------------------------
// bytes
// -----------------------------------------------------------------------------

const hex: Format = {
  name: "hex",
  print: (message) => message.map((frame) => frame.toString("hex")).join("\t"),
  parse: (record) => {
    const frames = record
      .toString()
      .split("\t")
      .map((frame) => frame.replaceAll(/\s/g, ""))
    return frames.every((frame) => /^([0-9a-f]{2})*$/i.test(frame))
      ? Result.succeed(frames.map((frame) => Buffer.from(frame, "hex")) as unknown as Frames)
      : refuse("two hexadecimal digits for each byte, and a tab between frames")
  }
}

const raw: Format = {
  name: "raw",
  print: (message) => Buffer.concat(message),
  parse: (record) => Result.succeed(record)
}

export const formats: { readonly [Name in FormatName]: Format } = { text, json, hex, msgpack, raw }

/** The format for what is written to standard output. */
export const formatFor = (name: FormatName, options: { readonly terminal: boolean }): Format =>
  name === "text" && options.terminal ? shownText : formats[name]

/** What ends a message in the output and the input, if anything does. */
export const separatorOf = (name: FormatName, isNull: boolean): "" | "\0" | "\n" =>
  name === "raw" ? "" : isNull ? "\0" : "\n"
