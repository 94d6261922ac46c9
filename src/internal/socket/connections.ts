/** What became of a socket's connections, as events. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type * as Take from "effect/Take"
import type { SocketEvent } from "../../SocketEvent.ts"
import { Signal } from "./signal.ts"

// How many events a stream begins with that were there before it.
const replay = 256
// How many it may be behind. Then the oldest go.
const capacity = 4096

export class Connections {
  readonly changed = new Signal()
  private hub: PubSub.PubSub<Take.Take<SocketEvent>> | undefined
  // Until there is one.
  private readonly past: Array<SocketEvent> = []
  private closed = false
  /** How many events a reader missed that was too slow. */
  dropped = 0
  private readonly onFirstDropped: () => void

  constructor(onFirstDropped: () => void) {
    this.onFirstDropped = onFirstDropped
  }

  /** Events since the socket was opened, at most the last 256, and then as they come, of which at most 4,096 wait. */
  get events(): Stream.Stream<SocketEvent> {
    return Stream.fromPubSubTake(this.openHub())
  }

  // Made when somebody reads, as it has room for all that may wait.
  private openHub(): PubSub.PubSub<Take.Take<SocketEvent>> {
    if (this.hub === undefined) {
      this.hub = Effect.runSync(PubSub.sliding({ capacity, replay }))
      for (const event of this.past.splice(0)) PubSub.publishUnsafe(this.hub, [event])
      if (this.closed) PubSub.endUnsafe(this.hub, Exit.void)
    }
    return this.hub
  }

  tell(event: SocketEvent): void {
    const { hub } = this
    this.changed.raise()
    if (this.closed) return
    if (hub === undefined) {
      this.past.push(event)
      if (this.past.length > replay) this.past.shift()
      return
    }
    if (PubSub.publishUnsafe(hub, [event])) return
    this.dropped++
    Effect.runSync(PubSub.publish(hub, [event]))
    if (this.dropped === 1) this.onFirstDropped()
  }

  close(): void {
    this.closed = true
    if (this.hub !== undefined) PubSub.endUnsafe(this.hub, Exit.void)
    this.changed.close()
  }
}
