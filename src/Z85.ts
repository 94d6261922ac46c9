/**
 * Z85: bytes as printable text, five characters for every four bytes (ZeroMQ
 * RFC 32). The form in which CURVE keys are written.
 *
 * **Example** (There and back)
 *
 * ```ts
 * import { Result } from "effect"
 * import { Z85 } from "effect-zmq"
 *
 * const text = Z85.encode(new Uint8Array([0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b]))
 * export const bytes = Result.flatMap(text, Z85.decode) // of "HelloWorld"
 * ```
 *
 * @since 0.1.0
 */
import { EncodingError } from "effect/encoding/EncodingError"
import * as Result from "effect/Result"
import * as z85 from "./internal/security/z85.ts"

/**
 * Encodes bytes, whose length must be a multiple of 4.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (bytes: Uint8Array): Result.Result<string, EncodingError> => {
  const text = z85.encode(bytes)
  const message = `Length must be a multiple of 4, but is ${bytes.length}`
  return text === undefined
    ? Result.fail(new EncodingError({ module: "Z85", kind: "Encode", input: bytes, message }))
    : Result.succeed(text)
}

/**
 * Decodes text, whose length must be a multiple of 5. Five characters that stand
 * for more than four bytes can hold are refused.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (text: string): Result.Result<Uint8Array, EncodingError> => {
  const bytes = z85.decode(text)
  const message =
    text.length % 5 === 0
      ? "Expected characters of Z85, and no five of them above 0xffffffff"
      : `Length must be a multiple of 5, but is ${text.length}`
  return bytes === undefined
    ? Result.fail(new EncodingError({ module: "Z85", kind: "Decode", input: text, message }))
    : Result.succeed(bytes)
}
