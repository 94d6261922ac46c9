/** What subscribers send, and how much of it a PUB takes. */
import type { Frame } from "../Message.ts"

/** Whether a frame is a subscription, or the end of one. */
export const isSubscription = (frame: Frame): boolean =>
  frame.length > 0 && (typeof frame === "string" ? frame.charCodeAt(0) : frame[0]!) <= 1

/**
 * How many messages of a subscriber may be in front of the socket. libzmq takes
 * all of them whenever it is called, and goes on while more come: with many it can
 * be kept at it for seconds. One place is taken for good when it has authenticated
 * the peer: who that is counts as a message, and is never read.
 */
export const mostInFront = 2

/** The longest topic that a PUB takes, in bytes: libzmq has some 50 bytes of memory for each byte of a topic. */
export const longestTopic = 512
/** With what ZMTP and CURVE put around it. Any handshake has room in it, too. */
export const longestSubscription = longestTopic + 128
