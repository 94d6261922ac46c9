/** The frames in front of what a message says: whom it is from, or for. */
import type { Outgoing } from "../../Message.ts"

/** Of a client, at a server: its routing id, or that of who is between; and behind that its envelope. */
export type Address = readonly [Buffer, ...Array<Buffer>]

/** What stands between the address of a client and what it says: for each further hop a frame, and of a REQ an empty one. */
export type Envelope = ReadonlyArray<Buffer>

/** Whether a REQ, or one that speaks as a REQ does, is behind it. */
export const isOfReq = (envelope: Envelope): boolean => envelope[envelope.length - 1]?.length === 0

/** Whether it is of a REQ that numbers its requests (`correlate`), so that no other request has the same. */
export const isNumbered = (envelope: Envelope): boolean =>
  isOfReq(envelope) && envelope[envelope.length - 2]?.length === 4

/** Whether a REQ is at an address. */
export const isReqAt = (address: Address): boolean => address.length > 1 && isOfReq(address)

/** A DEALER has no address in front of what a broker says itself, and no envelope in front of what it asks. */
export const hasAddress = (address: ReadonlyArray<Buffer>): address is Address => address.length > 0

export const latin1 = (frame: Buffer): string => frame.toString("latin1")

/** No two addresses have the same, and no two envelopes. */
export const keyOf = (address: Address): string =>
  address.length === 1 ? latin1(address[0]) : address.map((frame) => `${frame.length}:${latin1(frame)}`).join("")

/** What is sent to an address on a ROUTER, or through a broker. */
export const addressed = (address: Address, frame: Uint8Array | string): Outgoing =>
  address.length === 1 ? [address[0], frame] : [...address, frame]
