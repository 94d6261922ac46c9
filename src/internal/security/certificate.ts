/** The text of a certificate, as CZMQ and PyZMQ have it. */
import * as Result from "effect/Result"
import { expectedKey, isKey, publicKeyOf } from "./keys.ts"
import { expectedName, type Fault, isName, type Property, parse, quote } from "./zpl.ts"

export interface CertificateText {
  readonly publicKey: string
  readonly secretKey: string | undefined
  readonly metadata: Readonly<Record<string, string>>
}

// CZMQ writes zeros where a certificate has no secret key.
const none = "0".repeat(40)

export const read = (text: string): Result.Result<CertificateText, Fault> =>
  Result.gen(function* () {
    const file = yield* parse(text)
    const curve = yield* only(file, "curve")
    if (curve === undefined) return yield* missing("a section `curve`")
    const publicKey = yield* key(curve.children, "public-key")
    if (publicKey === undefined) return yield* missing("a `public-key` in the section `curve`")
    const secretKey = yield* key(curve.children, "secret-key")
    if (secretKey !== undefined && publicKeyOf(secretKey.value) !== publicKey.value) {
      return yield* fail(secretKey.line, "expected the `secret-key` that belongs to the `public-key`")
    }
    const entries = (yield* only(file, "metadata"))?.children ?? []
    return {
      publicKey: publicKey.value,
      secretKey: secretKey?.value,
      metadata: Object.fromEntries(entries.map(({ name, value }) => [name, value]))
    }
  })

const fail = (line: number | undefined, reason: string): Result.Result<never, Fault> => Result.fail({ line, reason })

const missing = (what: string) => fail(undefined, `expected ${what}`)

/** Of two, CZMQ takes the first and PyZMQ the last: there must be one. */
const only = (properties: ReadonlyArray<Property>, name: string): Result.Result<Property | undefined, Fault> => {
  const [first, second] = properties.filter((property) => property.name === name)
  return second === undefined
    ? Result.succeed(first)
    : fail(second.line, `expected one \`${name}\`, and this is another`)
}

const key = (properties: ReadonlyArray<Property>, name: string): Result.Result<Property | undefined, Fault> =>
  Result.flatMap(only(properties, name), (found) =>
    found === undefined || (name === "secret-key" && found.value === none)
      ? Result.succeed(undefined)
      : isKey(found.value)
        ? Result.succeed(found)
        : fail(found.line, `expected the \`${name}\` to be ${expectedKey}`)
  )

const publicBanner = `#   ZeroMQ CURVE Public Certificate
#   Exchange securely, or use a secure mechanism to verify the contents
#   of this file after exchange.
`
const secretBanner = `#   ZeroMQ CURVE **Secret** Certificate
#   DO NOT PROVIDE THIS FILE TO OTHER USERS nor change its permissions.
`

/** The metadata must have passed `checkMetadata`. */
export const write = ({ metadata, publicKey, secretKey }: CertificateText, now: Date): string =>
  [
    `#   ****  Generated on ${now.toISOString()} by effect-zmq  ****`,
    secretKey === undefined ? publicBanner : secretBanner,
    "metadata",
    ...Object.entries(metadata).map(([name, value]) => `    ${name} = ${quote(value)}`),
    "curve",
    `    public-key = ${quote(publicKey)}`,
    ...(secretKey === undefined ? [] : [`    secret-key = ${quote(secretKey)}`]),
    ""
  ].join("\n")

/** Why the metadata cannot be written, if so. */
export const checkMetadata = (metadata: Readonly<Record<string, string>>): string | undefined => {
  for (const [name, value] of Object.entries(metadata)) {
    const what = `the metadata ${JSON.stringify(name)}`
    if (!isName(name) || name.startsWith("/") || name.endsWith("/")) {
      return `expected ${what} to have ${expectedName}, and no / at either end`
    }
    // PyZMQ takes any line that begins so for the key itself.
    if (/^(public|secret)-key/.test(name)) return `expected ${what} not to begin with the name of a key`
    if (typeof value !== "string" || quote(value) === undefined) {
      return `expected ${what} to be text of one line that has not both kinds of quotes`
    }
  }
  return undefined
}
