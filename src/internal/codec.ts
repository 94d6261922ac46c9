/** What messages are decoded to, and made from. A decoder never throws. */
import { isAscii, isUtf8 } from "node:buffer"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type { Message } from "../Message.ts"
import { DecodeError, EncodeError } from "../ZmqError.ts"
import type { Decode } from "./receive.ts"

const onlyFrame = (operation: string, message: Message, expected: string): Buffer | DecodeError =>
  message.length === 1 ? message[0] : new DecodeError({ operation, message, expected })

// From here on it is quicker to look for ASCII first, on Node 20 and 22.
const longText = 2048

/**
 * A frame as text, or undefined if it is not strict UTF-8. Node replaces what
 * is not UTF-8 by U+FFFD: only where there is one, the bytes must be asked.
 */
export const text = (frame: Buffer): string | undefined => {
  try {
    if (frame.length >= longText && isAscii(frame)) return frame.toString("latin1")
    const string = frame.toString()
    return string.includes("\uFFFD") && !isUtf8(frame) ? undefined : string
  } catch {
    // longer than a string can be
    return undefined
  }
}

export const decodeString =
  (operation: string): Decode<string> =>
  (message) => {
    const expected = "one frame of UTF-8 text (for several frames use recvStrings, for bytes recv)"
    const frame = onlyFrame(operation, message, expected)
    return frame instanceof DecodeError ? frame : (text(frame) ?? new DecodeError({ operation, message, expected }))
  }

export const decodeStrings =
  (operation: string): Decode<[string, ...Array<string>]> =>
  (message) => {
    const strings: Array<string> = []
    for (const frame of message) {
      const string = text(frame)
      if (string === undefined) {
        return new DecodeError({ operation, message, expected: "frames of UTF-8 text (for bytes use recv)" })
      }
      strings.push(string)
    }
    return strings as [string, ...Array<string>]
  }

export const decodeJson =
  (operation: string): Decode<unknown> =>
  (message) => {
    const expected = "one frame of JSON"
    const frame = onlyFrame(operation, message, expected)
    if (frame instanceof DecodeError) return frame
    const string = text(frame)
    if (string === undefined) return new DecodeError({ operation, message, expected })
    try {
      return JSON.parse(string)
    } catch (cause) {
      return new DecodeError({ operation, message, expected, cause })
    }
  }

export const decodeSchema = <A>(operation: string, schema: Schema.Decoder<A>): Decode<A> => {
  const parseJson = decodeJson(operation)
  const decode = Schema.decodeUnknownExit(Schema.toCodecJson(schema))
  return (message) => {
    const json = parseJson(message)
    if (json instanceof DecodeError) return json
    try {
      const exit = decode(json)
      if (Exit.isSuccess(exit)) return exit.value as A
      const reason = exit.cause.reasons[0]
      const cause = reason?._tag === "Fail" ? reason.error : reason?._tag === "Die" ? reason.defect : undefined
      return new DecodeError({ operation, message, expected: `JSON of the schema's shape: ${cause}`, cause })
    } catch (cause) {
      return new DecodeError({ operation, message, expected: "JSON of the schema's shape", cause })
    }
  }
}

/** The JSON text of a value, or why it has none. */
export const encodeJson = (operation: string, value: unknown): string | EncodeError => {
  const expected = "a value that JSON can hold"
  try {
    return JSON.stringify(value) ?? new EncodeError({ operation, value, expected })
  } catch (cause) {
    return new EncodeError({ operation, value, expected, cause })
  }
}

export const encodeSchema = <A>(operation: string, schema: Schema.Encoder<unknown> & Schema.Schema<A>) => {
  const encode = Schema.encodeUnknownExit(Schema.toCodecJson(schema))
  return (value: A): string | EncodeError => {
    const expected = "a value of the schema's type"
    try {
      const exit = encode(value)
      if (Exit.isSuccess(exit)) return encodeJson(operation, exit.value)
      const reason = exit.cause.reasons[0]
      const cause = reason?._tag === "Fail" ? reason.error : reason?._tag === "Die" ? reason.defect : undefined
      return new EncodeError({ operation, value, expected: `${expected}: ${cause}`, cause })
    } catch (cause) {
      return new EncodeError({ operation, value, expected, cause })
    }
  }
}
