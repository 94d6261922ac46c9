/** Where the next message goes, of several peers that may have it. */
import type { Outgoing } from "../../Message.ts"
import type { Offer } from "../engine.ts"
import type { Pipe } from "./pipe.ts"

/** Deals messages out, one to each in turn. Who has no room is left out until it has. */
export class Outbound {
  private readonly pipes: Array<Pipe> = []
  private at = 0

  get isEmpty(): boolean {
    return this.pipes.length === 0
  }

  add(pipe: Pipe): void {
    if (!this.pipes.includes(pipe)) this.pipes.push(pipe)
  }

  remove(pipe: Pipe): void {
    const at = this.pipes.indexOf(pipe)
    if (at < 0) return
    this.pipes.splice(at, 1)
    if (this.at > at) this.at--
  }

  /** The next that has room. */
  get next(): Pipe | undefined {
    const { pipes } = this
    while (pipes.length > 0) {
      if (this.at >= pipes.length) this.at = 0
      const pipe = pipes[this.at]!
      if (pipe.hasRoom) return pipe
      // It is told when it has.
      pipes.splice(this.at, 1)
    }
    return undefined
  }

  offer(message: Outgoing): Offer {
    const pipe = this.next
    if (pipe === undefined) return "full"
    this.at++
    pipe.send(message)
    return "sent"
  }
}
