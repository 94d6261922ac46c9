/** Messages that came, fairly from all peers. */
import type { Message } from "../../Message.ts"
import { Queue } from "../queue.ts"
import type { Pipe } from "./pipe.ts"

/** Each peer gives one message in turn, or all that it has; or they come as they arrived. */
export type Order = "turns" | "peers" | "arrival"

export class Inbound {
  /** How many messages there are. */
  length = 0
  /** What was taken until now. */
  messages = 0
  bytes = 0
  // Whose turn it is, and who comes after it.
  private current: Pipe | undefined
  private readonly waiting = new Queue<Pipe>()
  private readonly order: Order

  constructor(order: Order) {
    this.order = order
  }

  append(pipe: Pipe, message: Message): void {
    pipe.inbox.append(message)
    if (pipe.isHeld || pipe.isHeldBack) return
    this.length++
    if (!pipe.isActive || this.order === "arrival") this.activate(pipe)
  }

  private activate(pipe: Pipe): void {
    pipe.isActive = true
    if (this.current === undefined) this.current = pipe
    else this.waiting.append(pipe)
  }

  /** The newest message takes the place of the one that is there. */
  replace(pipe: Pipe, message: Message): void {
    pipe.inbox.take()
    pipe.inbox.append(message)
  }

  /** A pipe that was held may give what it has. */
  admit(pipe: Pipe): void {
    if (!pipe.isHeld) return
    pipe.isHeld = false
    this.enter(pipe)
  }

  /** A pipe gives nothing for a while. What comes of it stays there. */
  holdBack(pipe: Pipe): void {
    if (pipe.isHeldBack) return
    pipe.isHeldBack = true
    if (pipe.isHeld) return
    this.length -= pipe.inbox.length
    this.deactivate(pipe)
  }

  /** It may give again. */
  goOn(pipe: Pipe): void {
    if (!pipe.isHeldBack) return
    pipe.isHeldBack = false
    this.enter(pipe)
  }

  private enter(pipe: Pipe): void {
    if (pipe.isHeld || pipe.isHeldBack) return
    this.length += pipe.inbox.length
    if (pipe.inbox.length > 0) this.activate(pipe)
  }

  private deactivate(pipe: Pipe): void {
    pipe.isActive = false
    for (let left = this.waiting.length; left > 0; left--) {
      const other = this.waiting.take()
      if (other !== pipe) this.waiting.append(other)
    }
    if (this.current === pipe) this.current = this.waiting.length > 0 ? this.waiting.take() : undefined
  }

  /** Whose message is next. Only while there is one. */
  get next(): Pipe {
    return this.current!
  }

  /** The next message. Only while there is one. */
  take(): Message {
    const pipe = this.current!
    const message = pipe.inbox.take()
    this.length--
    this.messages++
    for (let i = 0; i < message.length; i++) this.bytes += message[i]!.length
    if (pipe.inbox.length === 0 || this.order === "arrival") {
      pipe.isActive = false
      this.current = this.waiting.length > 0 ? this.waiting.take() : undefined
      if (pipe.onEmpty !== undefined && pipe.inbox.length === 0) pipe.onEmpty()
    } else if (this.order === "turns" && this.waiting.length > 0) {
      this.waiting.append(pipe)
      this.current = this.waiting.take()
    }
    return message
  }
}
