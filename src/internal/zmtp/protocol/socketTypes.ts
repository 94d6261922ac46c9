/** Which socket types may talk to which (RFC 37, The Socket-Type Property). */

const peers = {
  REQ: ["REP", "ROUTER"],
  REP: ["REQ", "DEALER"],
  DEALER: ["REP", "DEALER", "ROUTER"],
  ROUTER: ["REQ", "DEALER", "ROUTER"],
  PUB: ["SUB", "XSUB"],
  XPUB: ["SUB", "XSUB"],
  SUB: ["PUB", "XPUB"],
  XSUB: ["PUB", "XPUB"],
  PUSH: ["PULL"],
  PULL: ["PUSH"],
  PAIR: ["PAIR"]
} as const

export type SocketType = keyof typeof peers

export const socketTypes = Object.keys(peers) as ReadonlyArray<SocketType>

export const mayTalk = (ours: SocketType, theirs: string): boolean =>
  (peers[ours] as ReadonlyArray<string>).includes(theirs)

/** Those that say who they are, as libzmq has it. */
export const saysIdentity = (type: string): boolean => type === "REQ" || type === "DEALER" || type === "ROUTER"

/** Those that get subscriptions. */
export const isPublisher = (type: SocketType): boolean => type === "PUB" || type === "XPUB"
