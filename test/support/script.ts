/**
 * What a script says that a socket does, and the books of what became of it: the same
 * below the engine on zeromq.js, `scripted.ts`, and at the port, `scriptedPort.ts`.
 */
import type { Offer, Setting } from "../../src/internal/engine.ts"
import type { Message, Outgoing } from "../../src/Message.ts"

/**
 * How the socket knows that there is room: it has always (PUB), it can tell
 * (PUSH, DEALER), or only an attempt tells, and one has to try again and again
 * (ROUTER, REQ).
 */
export type Admission = "always" | "writable" | "ask"

export interface Script {
  readonly admission?: Admission
  /** Whether it can leave with one peer what that sends. */
  readonly holdsBack?: boolean
  /** How many messages it takes before it is full. */
  readonly room?: number
  /** Makes a message whenever there is none left: a peer that never stops. */
  readonly flood?: (number: number) => string | Buffer | readonly [string, ...Array<string>]
}

/** A message of these frames. */
export const messageOf = (
  ...frames: readonly [string | Buffer, ...Array<string | Buffer>] | readonly [...Array<Buffer>, string]
): Message => frames.map((frame) => (typeof frame === "string" ? Buffer.from(frame) : frame)) as unknown as Message

export const textOf = (message: Outgoing): string =>
  (typeof message === "string" || message instanceof Uint8Array ? [message] : message)
    .map((frame) => Buffer.from(frame as Uint8Array).toString("latin1"))
    .join("|")

export abstract class Scripted {
  /** What the peers sent, as text. */
  readonly offered: Array<string> = []
  /** How many of those were handed over. */
  handedOver = 0
  /** What was sent and not given back, as text. */
  readonly sent: Array<string> = []
  /** Calls that must not be. */
  readonly violations: Array<string> = []
  /** Settings, subscriptions and endpoints, as they were given. */
  readonly log: Array<string> = []
  /** Decides on a message that there is room for. */
  answer: (message: Outgoing) => Offer = () => "sent"
  closed = false
  space: number
  flooding: boolean
  /** How many messages the flood has brought, which are not listed in `offered`. */
  flooded = 0

  protected readonly script: Script
  protected readonly queue: Array<Message> = []

  constructor(script: Script = {}) {
    this.script = script
    this.space = script.room ?? Number.POSITIVE_INFINITY
    this.flooding = script.flood !== undefined
  }

  // ---------------------------------------------------------------------------
  // what a test does
  // ---------------------------------------------------------------------------

  /** Messages of one text frame arrive. */
  arrive(...texts: Array<string>): void {
    for (const text of texts) this.arriveMessage(messageOf(text))
  }

  abstract arriveMessage(message: Message): void

  /** What has arrived and was not received is gone: a REQ has asked again. */
  forget(): void {
    this.queue.length = 0
  }

  // ---------------------------------------------------------------------------
  // what it is asked
  // ---------------------------------------------------------------------------

  offer(message: Outgoing): Offer {
    if (this.closed) return "closed"
    if (this.script.admission !== "always" && this.space <= 0) return "full"
    const answer = this.answer(message)
    if (answer !== "sent") return answer
    this.space--
    this.sent.push(textOf(message))
    return "sent"
  }

  set(setting: Pick<Setting, "option" | "value">): void {
    this.log.push(`set ${setting.option}`)
  }

  subscribe(topic: Buffer): void {
    this.log.push(`subscribe ${topic}`)
  }

  unsubscribe(topic: Buffer): void {
    this.log.push(`unsubscribe ${topic}`)
  }

  /** Has the flood bring a message, where there is none. */
  protected flow(): void {
    if (!this.flooding || this.queue.length > 0) return
    const flood = this.script.flood!(this.flooded++)
    this.queue.push(typeof flood === "string" || Buffer.isBuffer(flood) ? messageOf(flood) : messageOf(...flood))
  }
}
