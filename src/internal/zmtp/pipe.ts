/**
 * What a socket has of a peer: messages that came from it, and a way to it.
 *
 * **A life.** Of a peer that we connect to, a pipe is `open`ed at once, and what is
 * sent may wait in it. When the peer is there, it is `attached`; when it is gone,
 * `detached`, and it may come again, any number of times. When there is no way to the
 * peer any more, the pipe is `remove`d. Whoever came in has a pipe from then until it
 * has gone. What came of a peer stays in its inbox until it is taken.
 *
 * A pipe is over (`isOver`) when we have left its peer, or close: then there is only what
 * was sent, on its way.
 */
import type { Message, Outgoing } from "../../Message.ts"
import type { Lane, Whence } from "../engine.ts"
import { Queue } from "../queue.ts"
import type { Settings } from "./settings.ts"

/** What is known of a peer when it is there. */
export interface Introduction {
  /** The type that it says it is. */
  readonly type: string | undefined
  readonly routingId: Buffer
  /** Where it is connected from: an IP address, or undefined over ipc and inproc. */
  readonly address: string | undefined
  /** As whom ZAP let it in. */
  readonly userId: string | undefined
}

/** The socket that a pipe is of. */
export interface Host {
  readonly settings: Settings
  /** How it introduces itself over inproc. */
  readonly introduction: Introduction
  /** Its peer is there. Says whether it may stay. */
  attached(pipe: Pipe, peer: Introduction): boolean
  /** Its peer is there no more. What came of it stays. */
  detached(pipe: Pipe): void
  /** A message came. Says whether there may be more at once. */
  arrived(pipe: Pipe, message: Message): boolean
  /** Its peer subscribes to a topic, or does no more. Says the same. */
  subscribed(pipe: Pipe, topic: Buffer, begins: boolean): boolean
  /** It has room again. */
  hasRoom(pipe: Pipe): void
}

export abstract class Pipe {
  readonly host: Host
  /** The endpoint that we bound or connected to. */
  readonly endpoint: string
  readonly inbox = new Queue<Message>()
  /** Whether it is among those that messages are taken from. */
  isActive = false
  /** Whether its peer is there. */
  isThere = false
  /** Whether it waits for another to go, with the same name. */
  isWaiting = false
  /** Whether nothing is taken of what came of it, as that of another with its name comes first. */
  isHeld = false
  /** Whether nothing is taken of it for a while, as its peer does not read. */
  isHeldBack = false
  /** Called when all is taken that came of it. */
  onEmpty: (() => void) | undefined
  /** The socket is done with it: nothing more comes of it or goes to it, but what was sent. */
  isOver = false
  /** What its peer is known by to who receives. */
  whence: Whence | undefined
  routingId: Buffer = noId
  lane: Lane = ""
  /** Whether there was no room when somebody wanted to send, and it was not told yet that there is. */
  wasFull = false

  constructor(host: Host, endpoint: string) {
    this.host = host
    this.endpoint = endpoint
  }

  /** How many messages are on their way to the peer. */
  abstract readonly queued: number
  /** How many there may be. */
  abstract readonly mark: number

  /** Whether it takes a message. */
  get hasRoom(): boolean {
    if (this.queued < this.mark) return true
    this.wasFull = true
    return false
  }

  /** There may be room again, of which is told when it is worth it. */
  protected drained(most = this.mark >> 1): void {
    if (!this.wasFull || this.isOver || this.queued > most) return
    this.wasFull = false
    this.host.hasRoom(this)
  }

  /** Sends, whether or not there is room. */
  abstract send(message: Outgoing): void
  /** Sends to a peer that has come, before all that waits for it. */
  abstract greet(message: Outgoing): void
  abstract subscribe(topic: Buffer): void
  abstract cancel(topic: Buffer): void
  /** Its inbox has room: there may be more to come. */
  abstract refill(): void
  /** The socket wants no more of this peer. One that we connected to is connected to again. The reason is for who reads this. */
  abstract refuse(reason: string): void
  /**
   * Ends it when all is on its way that was sent, within `linger` milliseconds as far as
   * it can; with 0 at once. Calls back with how many were certainly not sent, when it
   * need not be waited for any more.
   */
  abstract close(linger: number, done: (unsent: number) => void): void
}

const noId = Buffer.alloc(0)

/** A mark of 0 is none. */
export const markOf = (given: number): number => (given === 0 ? Number.MAX_SAFE_INTEGER : given)

/** A body of more is not copied, and must not be changed before it is written. */
const copied = 4 * 1024

/** A message that may be kept, whatever becomes of the memory it was given in. */
export const keep = (message: Outgoing): Outgoing => {
  if (typeof message === "string") return message
  if (message instanceof Uint8Array) return message.length > copied ? message : Buffer.from(message)
  return message.map((frame) =>
    typeof frame === "string" || frame.length > copied ? frame : Buffer.from(frame)
  ) as unknown as Outgoing
}

/** A message as it is received: in memory of its own. */
export const received = (message: Outgoing): Message =>
  typeof message === "string" || message instanceof Uint8Array
    ? [Buffer.from(message as string)]
    : (message.map((frame) => Buffer.from(frame as string)) as unknown as Message)
