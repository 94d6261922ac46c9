/** ROUTER (RFC 28): each message begins with the name of its peer. */
import { randomBytes } from "node:crypto"
import type { Message, Outgoing } from "../../../Message.ts"
import type { Lane, Offer } from "../../engine.ts"
import { peerOf } from "../../lane.ts"
import type { Introduction, Pipe } from "../pipe.ts"
import { type Admission, Pattern } from "./pattern.ts"

/** Names for those who have none: of five bytes, of which the first is zero. */
export class Names {
  private last = randomBytes(4).readUInt32BE()

  next(): Buffer {
    this.last = (this.last + 1) >>> 0
    const name = Buffer.alloc(5)
    name.writeUInt32BE(this.last, 1)
    return name
  }
}

export class Router extends Pattern {
  protected readonly peers = new Map<Lane, Pipe>()
  protected readonly names = new Names()
  /** Those that wait for another of their name to go. */
  private readonly waiting = new Map<Lane, Set<Pipe>>()
  /** Who was the last of its name, and has gone, while something that came of it is here. */
  private readonly former = new Map<Lane, Pipe>()

  override attached(pipe: Pipe, { routingId }: Introduction): Admission {
    pipe.routingId = routingId.length > 0 ? Buffer.from(routingId) : this.names.next()
    pipe.lane = pipe.routingId.toString("latin1")
    const there = this.peers.get(pipe.lane)
    if (there === undefined || there === pipe) {
      this.admit(pipe)
      return "in"
    }
    if (this.core.settings.handover) {
      there.refuse("another peer has taken its routing id over")
      // What stands for its end comes before the other.
      this.core.detached(there)
      this.admit(pipe)
      return "in"
    }
    // What is here of it has its place already.
    if (pipe.inbox.length === 0) pipe.isHeld = true
    const waiting = this.waiting.get(pipe.lane)
    if (waiting === undefined) this.waiting.set(pipe.lane, new Set([pipe]))
    else waiting.add(pipe)
    return "wait"
  }

  private admit(pipe: Pipe): void {
    this.peers.set(pipe.lane, pipe)
    this.follow(pipe)
    if (this.core.settings.probeRouter) pipe.greet("")
  }

  /** Under one name, what came of one peer comes before what comes of the next. */
  private follow(pipe: Pipe): void {
    const { lane } = pipe
    const before = this.former.get(lane)
    if (before === undefined) return this.inbound.admit(pipe)
    // It may have something here from before the other.
    if (pipe.inbox.length > 0 && !pipe.isHeld) return
    pipe.isHeld = true
    before.onEmpty = () => this.emptied(before, lane, pipe)
  }

  /** It has gone. */
  private leave(pipe: Pipe): void {
    const { lane } = pipe
    this.peers.delete(lane)
    // Where it has come again, another may have come after it since.
    if (pipe.inbox.length === 0 || pipe.onEmpty !== undefined) return
    this.former.set(lane, pipe)
    pipe.onEmpty = () => this.emptied(pipe, lane)
  }

  /** All is taken that was here of it. */
  private emptied(pipe: Pipe, lane: Lane, next?: Pipe): void {
    pipe.onEmpty = undefined
    if (this.former.get(lane) === pipe) this.former.delete(lane)
    if (next !== undefined) this.inbound.admit(next)
  }

  override detached(pipe: Pipe): void {
    const waiting = this.waiting.get(pipe.lane)
    waiting?.delete(pipe)
    if (waiting?.size === 0) this.waiting.delete(pipe.lane)
    if (this.peers.get(pipe.lane) !== pipe) return
    this.leave(pipe)
    this.core.notices.room(pipe.lane)
    const [next] = waiting ?? []
    if (next === undefined) return
    waiting!.delete(next)
    if (waiting!.size === 0) this.waiting.delete(next.lane)
    next.isWaiting = false
    this.admit(next)
  }

  override accept(pipe: Pipe, message: Message): Message {
    return [pipe.routingId, ...message]
  }

  offer(message: Outgoing): Offer {
    const { mandatory } = this.core.settings
    const pipe = this.peers.get(peerOf(message))
    if (pipe === undefined) return mandatory ? "unroutable" : "sent"
    if (!pipe.hasRoom) return mandatory ? "full" : "sent"
    // Only a name: there is nothing to send.
    if (typeof message !== "string" && !(message instanceof Uint8Array) && message.length > 1)
      pipe.send(message.slice(1) as unknown as Outgoing)
    return "sent"
  }

  override inLane(lane: Lane): Pipe | undefined {
    return this.peers.get(lane)
  }

  isOpen(lane: Lane): boolean {
    const pipe = this.peers.get(lane)
    return pipe === undefined || pipe.hasRoom
  }

  override hasRoom(pipe: Pipe): void {
    this.core.notices.room(pipe.lane)
  }
}

/** STREAM: what comes is pieces of what a peer says, and an empty frame when it comes or goes. */
export class Stream extends Router {
  override attached(pipe: Pipe): Admission {
    pipe.routingId = this.names.next()
    pipe.lane = pipe.routingId.toString("latin1")
    this.peers.set(pipe.lane, pipe)
    this.notify(pipe)
    return "in"
  }

  override detached(pipe: Pipe): void {
    if (!this.peers.delete(pipe.lane)) return
    this.core.notices.room(pipe.lane)
    this.notify(pipe)
  }

  private notify(pipe: Pipe): void {
    if (!this.core.settings.notify) return
    this.inbound.append(pipe, [pipe.routingId, Buffer.alloc(0)])
    this.core.notices.messages()
  }

  override offer(message: Outgoing): Offer {
    const pipe = this.peers.get(peerOf(message))
    if (pipe === undefined) return "unroutable"
    if (!pipe.hasRoom) return "full"
    const frames = typeof message === "string" || message instanceof Uint8Array ? [] : message.slice(1)
    // One empty frame hangs up, of which nothing is told.
    if (frames.length === 1 && frames[0]!.length === 0) {
      this.peers.delete(pipe.lane)
      pipe.close(Number.POSITIVE_INFINITY, () => {})
    } else for (const frame of frames) pipe.send(frame)
    return "sent"
  }
}
