import type { Message, Peer } from "../../Message.ts"
import type { SocketType } from "../socketTypes.ts"
import type { Inbox } from "./inbox.ts"

export const nobody: Peer = Object.freeze({})

/**
 * Whether a handler may look at who a message is from: what has one parameter does
 * not. To remember that costs an engine something for each message.
 */
export const asksWho = (handler: ((...args: never) => unknown) | undefined): boolean =>
  handler !== undefined && handler.length !== 1

const haveIds = (type: SocketType): boolean => type === "router" || type === "rawStream"

/** Whether anything is known of who a message of a socket of this type is from. */
export const knowsPeers = (type: SocketType, inbox: Inbox): boolean => haveIds(type) || inbox.whenceOf !== undefined

/** Who a message of a socket of this type is from. */
export const peersOf = (type: SocketType, inbox: Inbox): ((message: Message) => Peer) =>
  haveIds(type)
    ? (message) => ({ routingId: message[0], ...inbox.whenceOf?.(message) })
    : (message) => inbox.whenceOf?.(message) ?? nobody
