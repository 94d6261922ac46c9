import type { Message, Peer } from "../../Message.ts"
import type { SocketType } from "../socketTypes.ts"

export const nobody: Peer = Object.freeze({})

/** Whether anything is known of who a message of a socket of this type is from. */
export const knowsPeers = (type: SocketType): boolean => type === "router" || type === "rawStream"

/** Who a message of a socket of this type is from. */
export const peersOf = (type: SocketType): ((message: Message) => Peer) =>
  knowsPeers(type) ? (message) => ({ routingId: message[0] }) : () => nobody
