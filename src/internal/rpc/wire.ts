/**
 * What clients, servers and brokers say to each other besides the values of RPC.
 *
 * A message is the address of whom it is from or for (on a ROUTER), and one frame.
 * That is one whole value in the serialization that both sides use; or, if it begins
 * with a NUL, which no serialization does, it is one of these. A client of another kind
 * than ours needs none of them.
 */
import { randomBytes } from "node:crypto"
import { mostOfText, textOfMost } from "./size.ts"

const letters = {
  /** From a client: I am here. It says how long it may be silent, how much it takes, and which serialization it uses. */
  hello: "H",
  /** From a server: I serve you, and take so much in one message. */
  welcome: "W",
  /** The last word of either side, with the reason. Without one, the engine says so of a peer that has left. */
  bye: "B",
  /** From a server to a client of ours that has not said hello to it: somebody between us deals out messages. */
  stranger: "S",
  /** From a server to a broker, and on to its clients: a server is here. */
  ready: "R",
  /** From a broker: servers are behind me, and I name them; or to a server: I know you. I take so much in one message. */
  broker: "K",
  /** From a broker: no server has been behind me for a while. */
  none: "N"
} as const

export type Kind = keyof typeof letters

const kinds = new Map<string, Kind>(Object.entries(letters).map(([kind, letter]) => [letter, kind as Kind]))

export interface Word {
  readonly kind: Kind
  readonly text: string
}

/** Says something of the above. */
export const say = (kind: Kind, text = ""): Buffer => Buffer.from(`\0${letters[kind]}${text}`)

/** Whether a frame is none of RPC's own. */
export const isWord = (frame: Uint8Array): boolean => frame[0] === 0

/** What a frame says, or undefined if it is nothing that is known. */
export const wordOf = (frame: Buffer): Word | undefined => {
  const kind = kinds.get(String.fromCharCode(frame[1] ?? 0))
  return kind === undefined ? undefined : { kind, text: frame.toString("utf8", 2, 2 + longestText) }
}

const longestText = 1000

export const farewell = say("bye")
export const stranger = say("stranger")
export const none = say("none")

/** With the bytes that whoever says it takes in one message. */
export const welcome = (most: number): Buffer => say("welcome", textOfMost(most))
export const broker = (most: number): Buffer => say("broker", textOfMost(most))

/** Why the other side says goodbye, in a word and a text. */
export interface Goodbye {
  /**
   * - lost: nothing was said, the connection has ended
   * - closing: it ends
   * - silent: nothing was heard of us for too long
   * - rejected: what we sent is wrong
   * - behind: we do not read, or ask for too much at once
   */
  readonly why: "lost" | "closing" | "silent" | "rejected" | "behind"
  readonly text: string
}

const whys: ReadonlyArray<Goodbye["why"]> = ["closing", "silent", "rejected", "behind"]

export const goodbye = ({ text, why }: Goodbye): Buffer => (why === "lost" ? farewell : say("bye", `${why} ${text}`))

export const goodbyeOf = (text: string): Goodbye => {
  const [first = "", ...rest] = text.split(" ")
  const why = whys.find((one) => one === first)
  return why === undefined ? { why: "lost", text } : { why, text: rest.join(" ") }
}

/** What a client says of itself, and a server to a broker. */
export interface Hello {
  /** Milliseconds without a word after which it is gone, or 0: it may be silent for ever. */
  readonly limit: number
  readonly contentType: string
  /** The bytes that it takes in one message, or Infinity. */
  readonly most: number
}

const textOf = ({ contentType, limit, most }: Hello): string =>
  [`${Math.ceil(limit)}`, textOfMost(most), contentType].filter((text) => text !== "").join(" ")

export const hello = (one: Hello): Buffer => say("hello", textOf(one))

/** What a server says of itself to a broker. */
export const ready = (one: Hello): Buffer => say("ready", textOf(one))

/** Undefined if it says nothing of the kind. */
export const helloOf = (text: string): Hello | undefined => {
  const [, limit, most, contentType] = /^(\d{1,12})(?: (\d{1,16}))? (.+)$/s.exec(text) ?? []
  if (limit === undefined || contentType === undefined) return undefined
  return { limit: Number(limit), most: mostOfText(most), contentType }
}

// The first byte of a routing id that libzmq makes up is 0.
const mark = Buffer.from("\x01rpc")

/**
 * A routing id for one connection, that no other has: request ids begin again in a
 * new process. It shows that this client says hello.
 */
export const makeIdentity = (): Buffer => Buffer.concat([mark, randomBytes(12)])

/** Whether an address ends with such a routing id. */
export const isOurs = (address: ReadonlyArray<Uint8Array>): boolean => {
  const last = address[address.length - 1]
  return last !== undefined && last.length === 16 && mark.equals(last.subarray(0, mark.length))
}
