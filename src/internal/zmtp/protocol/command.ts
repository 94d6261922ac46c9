/** Commands: a name and data in one frame (RFC 37, Commands). */
import { part, printable } from "./bytes.ts"
import { type Fault, protocolFault } from "./failure.ts"

/** The octets that a command of this name begins with. */
export const commandPrefix = (name: string): Buffer => Buffer.from(String.fromCharCode(name.length) + name, "latin1")

export const encodeCommand = (name: string, ...data: ReadonlyArray<Uint8Array>): Buffer =>
  Buffer.concat([commandPrefix(name), ...data])

/** A name, or `undefined` if the body of the command is malformed. */
export const commandName = (body: Buffer): string | undefined =>
  body.length > body[0]! && body[0]! > 0 ? body.toString("latin1", 1, 1 + body[0]!) : undefined

/** What follows the name. The body is not malformed. */
export const commandData = (body: Buffer): Buffer => part(body, 1 + body[0]!, body.length)

/**
 * The name as libzmq's PLAIN server has it: in C, "\x05ERROR" is "^RROR", and
 * its clients know no other.
 */
const misspelled = Buffer.from("^RROR", "latin1")

export const isMisspelledError = (body: Buffer): boolean =>
  body.length > 5 && body.compare(misspelled, 0, 5, 0, 5) === 0

export const encodeError = (reason: string): Buffer => {
  const text = Buffer.from(reason, "latin1").subarray(0, 255)
  return encodeCommand("ERROR", Buffer.of(text.length), text)
}

/** What a peer means by the data of an ERROR. */
export const faultOfError = (data: Buffer): Fault => {
  if (data.length < 1 || data.length < 1 + data[0]!) return protocolFault("a malformed ERROR")
  const reason = printable(part(data, 1, 1 + data[0]!))
  return /^[345]00$/.test(reason)
    ? {
        kind: "authentication",
        reason: `the peer refused us with status ${reason}`,
        status: Number(reason),
        byPeer: true
      }
    : { kind: "protocol", reason: `the peer refused us: ${reason || "without a reason"}`, byPeer: true }
}

/** The longest context of a PING. */
const mostContext = 16

/** The data of a PING: a time to live in tenths of a second, and a context to send back. */
export const readPing = (data: Buffer): { readonly ttl: number; readonly context: Buffer } | undefined =>
  data.length < 2 || data.length > 2 + mostContext
    ? undefined
    : { ttl: data[0]! * 256 + data[1]!, context: part(data, 2, data.length) }

export const isContext = (context: Uint8Array): boolean => context.length <= mostContext
