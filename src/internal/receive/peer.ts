import type { Message, Peer } from "../../Message.ts"
import type { SocketType } from "../socket/options.ts"

export const nobody: Peer = Object.freeze({})

/** Who a message of a socket of this type is from. */
export const peersOf = (type: SocketType): ((message: Message) => Peer) =>
  type === "router" || type === "rawStream" ? (message) => ({ routingId: message[0] }) : () => nobody
