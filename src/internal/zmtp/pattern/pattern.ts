/** What makes a socket one of its type. */
import type { Message, Outgoing } from "../../../Message.ts"
import type { EngineSubscribers, Lane, Offer } from "../../engine.ts"
import { mostPerPeer } from "../../lane.ts"
import { Inbound, type Order } from "../inbound.ts"
import type { Notices } from "../notices.ts"
import type { Introduction, Pipe } from "../pipe.ts"
import type { Settings } from "../settings.ts"

/** What a pattern asks of its socket. */
export interface Core {
  readonly settings: Settings
  /** How many messages of a peer may be here that nobody has taken. */
  readonly markIn: number
  /** All that it has a way to. */
  readonly pipes: ReadonlySet<Pipe>
  /** Who is told of messages, of room in a lane, or that only an attempt can tell, and of subscriptions that change. */
  readonly notices: Notices
  /** A peer's message was dropped. */
  drop(): void
  /** Calls when all is counted that has come by now, from the network too. */
  whenPolled(done: () => void): void
  /** A peer is to be there no more. */
  detached(pipe: Pipe): void
  /** Whether anybody has ever wanted to receive. */
  readonly isUsed: boolean
}

/** A peer that has come: it may stay, or wait for another of its name to go, or must leave. */
export type Admission = "in" | "wait" | "out"

export abstract class Pattern {
  protected readonly core: Core
  readonly inbound: Inbound
  /** Whether a PUB or XPUB. */
  readonly subscribers: EngineSubscribers | undefined = undefined

  constructor(core: Core, order: Order = "turns") {
    this.core = core
    this.inbound = new Inbound(order)
  }

  /** There is a way to a peer, which may come yet. Says whether it may stay. */
  opened(_: Pipe): boolean {
    return true
  }
  /** There is none any more. */
  ended(_: Pipe): void {}
  attached(_: Pipe, _peer: Introduction): Admission {
    return "in"
  }
  detached(_: Pipe): void {}

  /** What is received of a message that came, or undefined if it is dropped. */
  accept(_: Pipe, message: Message): Message | undefined {
    return message
  }

  /** Whether more may come of a peer before what is here is taken. */
  mayCome(pipe: Pipe): boolean {
    const { markIn, settings } = this.core
    // Where there is no mark, there is one for those who do not read.
    const most = pipe.isHeldBack ? Math.min(markIn, mostPerPeer) : markIn
    return settings.conflate || pipe.inbox.length < most
  }

  get ready(): number {
    return this.inbound.length
  }
  take(): Message {
    return this.inbound.take()
  }

  /** The pipe whose peer has a lane, where peers have lanes. */
  inLane(_: Lane): Pipe | undefined {
    return undefined
  }

  abstract offer(message: Outgoing): Offer
  /** Whether an offer in this lane would be answered at once: who waits there is told. */
  abstract isOpen(lane: Lane): boolean
  hasRoom(_: Pipe): void {
    this.core.notices.room("")
  }

  /** A peer subscribes to a topic, or does no more. Says whether there may be more. */
  subscribed(_: Pipe, _topic: Buffer, _begins: boolean): boolean {
    return true
  }
  /** We do. */
  subscribe(_: Buffer): void {}
  unsubscribe(_: Buffer): void {}
}

/** A message is never sent by these. */
export const neverSent: Offer = "full"
