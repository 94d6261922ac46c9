/** REQ and REP (RFC 28): a request, and its reply, in turns. */
import { randomBytes } from "node:crypto"
import type { Frame, Message, Outgoing } from "../../../Message.ts"
import type { Offer } from "../../engine.ts"
import type { Pipe } from "../pipe.ts"
import { Pattern } from "./pattern.ts"
import { Dealer } from "./pipeline.ts"

const framesOf = (message: Outgoing): ReadonlyArray<Frame> =>
  typeof message === "string" || message instanceof Uint8Array ? [message] : message

const delimiter = Buffer.alloc(0)

export class Req extends Dealer {
  /** The request that was sent last, while its reply may come. */
  private awaited: { readonly pipe: Pipe; readonly id: Buffer | undefined; isAnswered: boolean } | undefined
  private lastId = randomBytes(4).readUInt32LE()

  override offer(message: Outgoing): Offer {
    const { correlate, relaxed } = this.core.settings
    if (this.awaited !== undefined && !relaxed) return "outOfTurn"
    const pipe = this.outbound.next
    if (pipe === undefined) return "full"
    const id = correlate ? this.nextId() : undefined
    const frames = framesOf(message)
    const offer = this.outbound.offer(
      (id === undefined ? [delimiter, ...frames] : [id, delimiter, ...frames]) as unknown as Outgoing
    )
    // What is here answers an earlier one.
    while (this.inbound.length > 0) {
      const { next } = this.inbound
      this.inbound.take()
      next.refill()
    }
    this.awaited = { pipe, id, isAnswered: false }
    return offer
  }

  private nextId(): Buffer {
    this.lastId = (this.lastId + 1) >>> 0
    const id = Buffer.allocUnsafe(4)
    id.writeUInt32LE(this.lastId)
    return id
  }

  // Who comes again knows nothing of the request, unless its reply says which it is.
  override detached(pipe: Pipe): void {
    const { awaited } = this
    if (awaited?.pipe === pipe && awaited.id === undefined && this.core.settings.relaxed) this.awaited = undefined
  }

  override accept(pipe: Pipe, message: Message): Message | undefined {
    const { awaited } = this
    // As libzmq has it: a peer with another envelope than the one that is awaited stays, and so does any over inproc.
    const at = message[0].length === 4 ? 1 : 0
    if (message.length < at + 2 || message[at]!.length > 0) {
      if (!pipe.endpoint.startsWith("inproc:")) pipe.refuse("a reply without its envelope")
      return undefined
    }
    if (awaited === undefined || awaited.isAnswered || (awaited.id === undefined ? 0 : 1) !== at) return undefined
    if (awaited.id === undefined ? awaited.pipe !== pipe : !message[0]!.equals(awaited.id)) return undefined
    awaited.isAnswered = true
    return message.slice(at + 1) as unknown as Message
  }

  override take(): Message {
    this.awaited = undefined
    return super.take()
  }
}

export class Rep extends Pattern {
  /** Whom the next message goes to, with what is to stand before it. */
  private asking: { readonly pipe: Pipe; readonly envelope: ReadonlyArray<Buffer> } | undefined

  override accept(_: Pipe, message: Message): Message | undefined {
    const end = message.findIndex(({ length }) => length === 0)
    if (end >= 0 && end < message.length - 1) return message
    this.core.drop()
    return undefined
  }

  /** One request at a time. */
  override get ready(): number {
    return this.asking === undefined ? Math.min(1, this.inbound.length) : 0
  }

  override take(): Message {
    const pipe = this.inbound.next
    const message = this.inbound.take()
    const end = message.findIndex(({ length }) => length === 0) + 1
    this.asking = { pipe, envelope: message.slice(0, end) }
    return message.slice(end) as unknown as Message
  }

  offer(message: Outgoing): Offer {
    const { asking } = this
    if (asking === undefined) return "outOfTurn"
    this.asking = undefined
    const { envelope, pipe } = asking
    // As libzmq has it: nobody waits for one client.
    if (pipe.isThere && pipe.hasRoom) pipe.send([...envelope, ...framesOf(message)] as unknown as Outgoing)
    else if (pipe.isThere) this.core.drop()
    // The next request was here already.
    if (this.inbound.length > 0) this.core.notices.messages()
    return "sent"
  }

  isOpen(): boolean {
    return true
  }
}
