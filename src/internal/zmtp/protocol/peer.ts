/** Who we are, and who the peer is: what both say of themselves in the handshake. */
import { nothing, printable } from "./bytes.ts"
import { type Fault, protocolFault } from "./failure.ts"
import type { Limits } from "./limits.ts"
import { decodeProperties, encodeProperties, type Properties } from "./metadata.ts"
import { mayTalk, type SocketType, saysIdentity } from "./socketTypes.ts"

export interface Local {
  readonly socketType: SocketType
  /** 0 to 255 bytes, of which the first is not zero. Only REQ, DEALER and ROUTER say it. */
  readonly identity?: Uint8Array
  /** Other properties, by their names: letters, digits, and `-_.+`. Those of applications begin with `X-`. */
  readonly metadata?: Iterable<readonly [name: string, value: Uint8Array]>
}

export interface Peer {
  /** What it says that it is. It may say nothing. */
  readonly socketType: SocketType | undefined
  /** Empty, unless the peer has one. It matters to a ROUTER alone. */
  readonly identity: Buffer
  /** All of its properties, by lower-case names. */
  readonly properties: Properties
}

export const encodeLocal = (local: Local): Buffer => {
  const properties: Array<readonly [string, Uint8Array]> = [["Socket-Type", Buffer.from(local.socketType, "latin1")]]
  if (saysIdentity(local.socketType)) properties.push(["Identity", local.identity ?? nothing])
  return encodeProperties([...properties, ...(local.metadata ?? [])])
}

/** The peer that has this metadata, if we may talk to it. The bytes are copied. */
export const readPeer = (local: Local, limits: Limits, bytes: Uint8Array): Peer | Fault => {
  const properties = decodeProperties(Buffer.from(bytes), limits.properties)
  if (typeof properties === "string") return protocolFault(`metadata with ${properties}`)
  const type = properties.get("socket-type")?.toString("latin1")
  if (type !== undefined && !mayTalk(local.socketType, type))
    return protocolFault(
      `a peer of type ${printable(Buffer.from(type.slice(0, 20), "latin1"))}, and we are ${local.socketType}`
    )
  const identity = type !== undefined && saysIdentity(type) ? (properties.get("identity") ?? nothing) : nothing
  if (identity.length > 255) return protocolFault("an identity of more than 255 bytes")
  if (local.socketType === "ROUTER" && identity[0] === 0) return protocolFault("an identity that begins with zero")
  return { socketType: type as SocketType | undefined, identity, properties }
}

export const isFault = (value: Peer | Fault): value is Fault => "kind" in value
