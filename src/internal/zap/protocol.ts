/** The frames of ZAP 1.0 (RFC 27): what libzmq asks, and what it is answered. */
import * as Redacted from "effect/Redacted"
import type { Message, Outgoing } from "../../Message.ts"
import type { Request } from "../../Zap.ts"
import type { PublicKey } from "../security/keys.ts"
import { isKey } from "../security/keys.ts"
import { encode } from "../security/z85.ts"

/**
 * What RFC 27 has for a refusal. libzmq passes 400 and 500 on to the peer, whose
 * libzmq then gives the connection up for good (see `reconnect.ts`). Of 300 it says nothing, so that
 * the peer tries again when its handshake has run out of time.
 */
export type Status = 300 | 400 | 500

/** A request that cannot be answered with anything but a refusal. */
export interface Malformed {
  readonly requestId: Buffer
  readonly status: Status
  readonly detail: string
  /** As far as it could be read. */
  readonly domain: string
  readonly address: string
  readonly identity: Buffer
  readonly mechanism: string
}

export interface Parsed {
  readonly requestId: Buffer
  readonly request: Request
}

export const isMalformed = (parsed: Parsed | Malformed): parsed is Malformed => "status" in parsed

const nothing = Buffer.alloc(0)

export const parse = (frames: Message): Parsed | Malformed => {
  const [version, requestId = nothing, domain, address, identity = nothing, mechanism, ...credentials] = frames
  const peer = {
    domain: lossy(domain),
    address: lossy(address),
    identity,
    mechanism: lossy(mechanism)
  }
  const refuse = (status: Status, detail: string): Malformed => ({ requestId, status, detail, ...peer })
  if (version.toString("latin1") !== "1.0") return refuse(500, "the request is not of ZAP version 1.0")
  if (mechanism === undefined) return refuse(500, "the request has too few frames")
  const texts = [domain!, address!, mechanism, ...(peer.mechanism === "PLAIN" ? credentials : [])]
  if (texts.some((frame) => frame.length > 255 || !isUtf8(frame)) || identity.length > 255) {
    return refuse(500, "the request has a text that is too long, or no UTF-8")
  }
  switch (peer.mechanism) {
    case "NULL":
      if (credentials.length !== 0) return refuse(500, "a NULL request has no credentials")
      return { requestId, request: { ...peer, mechanism: "NULL" } }
    case "PLAIN": {
      const [username, password] = credentials
      if (credentials.length !== 2) return refuse(500, "a PLAIN request has a name and a password")
      return {
        requestId,
        request: {
          ...peer,
          mechanism: "PLAIN",
          username: username!.toString(),
          password: Redacted.make(password!.toString(), { label: "password" })
        }
      }
    }
    case "CURVE": {
      const publicKey = credentials.length === 1 ? encode(credentials[0]!) : undefined
      if (publicKey === undefined || !isKey(publicKey)) return refuse(500, "a CURVE request has a key of 32 bytes")
      return { requestId, request: { ...peer, mechanism: "CURVE", publicKey: publicKey as PublicKey } }
    }
    default:
      return refuse(400, "the mechanism is unknown")
  }
}

// Two texts of bytes that are no UTF-8 could be read as the same.
const isUtf8 = (frame: Buffer): boolean => Buffer.from(frame.toString()).equals(frame)

const lossy = (frame: Buffer | undefined): string => frame?.subarray(0, 255).toString() ?? ""

export const accepted = (requestId: Buffer, userId: string): Outgoing => ["1.0", requestId, "200", "OK", userId, ""]

// The peer is told the status alone, and nothing of the reason.
export const denied = (requestId: Buffer, status: Status): Outgoing => ["1.0", requestId, `${status}`, "", "", ""]
