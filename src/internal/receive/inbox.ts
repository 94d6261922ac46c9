import type { Message } from "../../Message.ts"
import type { EngineSocket, Whence } from "../engine.ts"
import { microtask } from "../microtask.ts"
import { Rest } from "../rest.ts"
import { turn } from "../turn.ts"
import type { Held } from "./held.ts"
import { Mailbox } from "./mailbox.ts"

/** Takes messages that are not for the mailbox: the replies to requests. */
export interface Diversion {
  /** Whether a message is expected. */
  readonly wanted: boolean
  /** Takes a message, or leaves it to the mailbox. */
  accept(message: Message): boolean
  close(): void
}

/**
 * The receiving side of a socket: takes messages from the engine when somebody
 * wants one and not before, and has them in its mailbox.
 */
export class Inbox {
  readonly mailbox: Mailbox<Message>
  readonly rest = new Rest()
  /** Who gets to see messages before the mailbox. */
  diversion: Diversion | undefined = undefined
  /** What waits until its peer has room, where peers have room of their own. */
  held: Held | undefined = undefined
  /** Tells whence a message has come, once somebody has asked. */
  whenceOf: ((message: Message) => Whence | undefined) | undefined = undefined
  /** Called when a reply that somebody waits for may be behind messages that nobody receives. */
  onStalled: () => void = ignore

  /** The mailbox takes at most so many messages at a time. */
  readonly capacity: number
  private readonly socket: EngineSocket

  constructor(socket: EngineSocket, capacity: number, newestOnly: boolean) {
    this.socket = socket
    this.capacity = capacity
    this.mailbox = new Mailbox(newestOnly, microtask)
  }

  /** Messages that were received and that nobody has. */
  get queued(): number {
    const { ready, waiting = 0 } = this.socket
    return this.mailbox.size + ready + waiting + (this.held?.size ?? 0)
  }

  /** How many messages may come now: of those for nobody as many as a reply may be behind. */
  get wanted(): number {
    if (this.mailbox.closed) return 0
    if (this.mailbox.wanted) return this.capacity
    return this.expects ? Math.max(0, this.capacity - this.mailbox.size) : 0
  }

  /** Somebody wants to know who messages are from, from now on. */
  rememberPeers(): void {
    this.whenceOf ??= this.socket.rememberPeers?.()
  }

  /** Sees to it that a message comes, if there is or will be one. */
  fill(): void {
    if (this.wanted > 0) this.socket.listen()
    else this.stall()
  }

  /** The engine has messages. */
  readonly arrived = (): void => {
    this.take(this.mailbox.closed ? this.socket.ready : this.wanted)
    this.mailbox.announce()
    if (this.wanted > 0) this.socket.listen()
    else this.stall()
  }

  /** Takes what is there now, at most `max`, and calls `done` when it is in the mailbox. */
  poll(max: number, done: () => void): void {
    if (this.mailbox.closed) return finish(done)
    // Another's turn may be all that there was.
    if (turn.isOver) return turn.next(() => this.poll(max, done))
    this.socket.look(max, () => {
      this.take(max)
      this.mailbox.announce()
      finish(done)
    })
  }

  /** Whether a message is here. */
  get hasSome(): boolean {
    return this.mailbox.available > 0 || this.socket.ready > 0
  }

  /** Forgets what is here, but for what was promised to somebody. */
  clear(): void {
    this.mailbox.clear()
    while (this.socket.ready > 0) this.socket.take()
  }

  /** Has a message arrive that the engine does not tell. */
  put(message: Message): void {
    if (this.mailbox.closed) return
    this.mailbox.arrive(message)
    this.mailbox.announce()
  }

  close(): void {
    this.held?.close()
    this.take(this.socket.ready)
    this.mailbox.close()
    this.diversion?.close()
  }

  private take(most: number): void {
    const { diversion, mailbox, socket } = this
    for (let left = Math.min(most, socket.ready); left > 0; left--) {
      const message = socket.take()
      if (diversion === undefined || !diversion.accept(message)) mailbox.arrive(message)
    }
  }

  // Whether a reply is expected.
  private get expects(): boolean {
    return this.diversion?.wanted === true
  }

  // A reply may be behind more messages than the mailbox takes unasked. They stay
  // with the engine, as the high-water mark says, until some are received.
  private stall(): void {
    if (!this.expects || this.mailbox.closed || this.mailbox.onTaken !== undefined) return
    this.onStalled()
    this.mailbox.onTaken = () => {
      this.mailbox.onTaken = undefined
      microtask(() => this.fill())
    }
  }
}

// Polling counts as well, or a loop of it would never let go of the event loop.
const finish = (done: () => void): void => {
  if (turn.isOver) return turn.next(done)
  turn.spend()
  done()
}

const ignore = (): void => {}
