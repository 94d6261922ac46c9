import type { Outgoing } from "../Message.ts"
import type { Lane } from "./engine.ts"
import type { SocketType } from "./socketTypes.ts"

/** All peers share one lane, except where each has room of its own. */
export const sharedLane: Lane = ""

/** A peer of these that does not read must not hold up the others. */
export const hasLanes = (type: SocketType): boolean => type === "router" || type === "rawStream" || type === "server"

/** How many messages of a peer wait at the most, each way, while it does not read what was sent to it. */
export const mostPerPeer = 1000

/** The peer that a message of a ROUTER is for, or from. */
export const peerOf = (message: Outgoing): Lane => {
  const id = typeof message === "string" || message instanceof Uint8Array ? message : message[0]
  return Buffer.from(id as Uint8Array).toString("latin1")
}
