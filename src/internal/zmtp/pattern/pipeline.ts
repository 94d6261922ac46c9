/** PUSH and PULL (RFC 30), DEALER (RFC 28): messages go to one peer after the other, and come from all of them. */
import type { Outgoing } from "../../../Message.ts"
import type { Offer } from "../../engine.ts"
import { Outbound } from "../outbound.ts"
import type { Introduction, Pipe } from "../pipe.ts"
import { type Admission, type Core, neverSent, Pattern } from "./pattern.ts"

/** Sends to one peer after the other. */
export class Dealer extends Pattern {
  protected readonly outbound = new Outbound()

  override opened(pipe: Pipe): boolean {
    this.outbound.add(pipe)
    this.core.notices.room("")
    return true
  }

  override ended(pipe: Pipe): void {
    this.outbound.remove(pipe)
  }

  override attached(pipe: Pipe, _: Introduction): Admission {
    // That of REQ, DEALER and ROUTER alone.
    if (this.core.settings.probeRouter) pipe.greet("")
    this.outbound.add(pipe)
    this.core.notices.room("")
    return "in"
  }

  offer(message: Outgoing): Offer {
    return this.outbound.offer(message)
  }

  isOpen(): boolean {
    return this.outbound.next !== undefined
  }

  override hasRoom(pipe: Pipe): void {
    this.outbound.add(pipe)
    super.hasRoom(pipe)
  }
}

/** Receives nothing. */
export class Push extends Dealer {
  override accept(): undefined {
    this.core.drop()
    return undefined
  }
}

/** Sends nothing. */
export class Pull extends Pattern {
  offer(): Offer {
    return neverSent
  }
  isOpen(): boolean {
    return false
  }
}

/** One peer, and no other beside it (RFC 31). */
export class Pair extends Pattern {
  private partner: Pipe | undefined

  constructor(core: Core) {
    super(core, "peers")
  }

  override opened(pipe: Pipe): boolean {
    if (this.partner !== undefined && this.partner !== pipe) return false
    this.partner = pipe
    this.core.notices.room("")
    return true
  }

  override ended(pipe: Pipe): void {
    if (this.partner === pipe) this.partner = undefined
  }

  override attached(pipe: Pipe): Admission {
    return this.opened(pipe) ? "in" : "out"
  }

  offer(message: Outgoing): Offer {
    const { partner } = this
    if (partner?.hasRoom !== true) return "full"
    partner.send(message)
    return "sent"
  }

  isOpen(): boolean {
    return this.partner?.hasRoom === true
  }
}
