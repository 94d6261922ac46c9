/** What became of a socket's connections: as events, and as the peers that are there. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type * as Take from "effect/Take"
import { SocketEvent } from "../SocketEvent.ts"
import { Closed } from "../ZmqError.ts"
import type { ConnectionEvent } from "./native.ts"

// How many events a stream begins with that were there before it.
const replay = 256

export class Connections {
  readonly changed = new Signal()
  private hub: PubSub.PubSub<Take.Take<SocketEvent>> | undefined
  private closed = false
  /** Handshakes of peers that are there, by the endpoint libzmq names. */
  private readonly ready = new Map<string, number>()
  // Handshakes that failed, and whose connection has not ended yet.
  private readonly failed = new Map<string, number>()
  private readonly onRefusal: (event: SocketEvent & { readonly _tag: "HandshakeFailed" }) => void
  private readonly refused = new Set<string>()

  constructor(onRefusal: (event: SocketEvent & { readonly _tag: "HandshakeFailed" }) => void) {
    this.onRefusal = onRefusal
  }

  /** Events since the socket was opened, at most the last 256, and then as they come. */
  get events(): Stream.Stream<SocketEvent> {
    return Stream.fromPubSubTake(this.openHub())
  }

  // Sockets over inproc have no events.
  private openHub(): PubSub.PubSub<Take.Take<SocketEvent>> {
    if (this.hub === undefined) {
      this.hub = Effect.runSync(PubSub.unbounded({ replay }))
      if (this.closed) PubSub.endUnsafe(this.hub, Exit.void)
    }
    return this.hub
  }

  readonly tell = (native: ConnectionEvent): void => {
    const event = eventOf(native)
    if (event === undefined) return
    this.count(event)
    PubSub.publishUnsafe(this.openHub(), [event])
    this.changed.raise()
  }

  /** Peers whose handshake is done, at one endpoint or at all. */
  peers(endpoint?: string): number {
    if (endpoint !== undefined) return this.ready.get(endpoint) ?? 0
    let sum = 0
    for (const count of this.ready.values()) sum += count
    return sum
  }

  /** What we end ourselves raises no event. */
  forget(endpoint: string): void {
    this.ready.delete(endpoint)
  }

  close(): void {
    this.closed = true
    if (this.hub !== undefined) PubSub.endUnsafe(this.hub, Exit.void)
    this.changed.close()
  }

  private count(event: SocketEvent): void {
    const { endpoint } = event
    switch (event._tag) {
      case "HandshakeSucceeded":
        this.refused.delete(endpoint)
        return add(this.ready, endpoint, 1)
      case "HandshakeFailed":
        // A peer that is refused tries again and again: once is enough.
        if (!this.refused.has(endpoint)) this.onRefusal(event)
        this.refused.add(endpoint)
        return add(this.failed, endpoint, 1)
      case "Disconnected":
        return add(this.failed.has(endpoint) ? this.failed : this.ready, endpoint, -1)
    }
  }
}

const add = (counts: Map<string, number>, key: string, by: 1 | -1): void => {
  const sum = (counts.get(key) ?? 0) + by
  if (sum > 0) counts.set(key, sum)
  else counts.delete(key)
}

const ignore = (): void => {}

/** Something has changed that others wait for. */
export class Signal {
  private readonly waiting = new Set<() => void>()
  private raised = false
  private closed = false

  /** Later, and not from here: a burst of messages may be on its way. */
  raise(): void {
    if (this.raised || this.waiting.size === 0) return
    this.raised = true
    queueMicrotask(() => {
      this.raised = false
      for (const look of [...this.waiting]) look()
    })
  }

  close(): void {
    this.closed = true
    this.raise()
  }

  get wanted(): boolean {
    return this.waiting.size > 0
  }

  /** Waits until it is so; `begin` is told that somebody waits. */
  until(operation: string, isSo: () => boolean, begin: () => void = ignore): Effect.Effect<void, Closed> {
    return Effect.callback<void, Closed>((resume) => {
      const look = (): boolean => {
        if (this.closed) resume(Effect.fail(new Closed({ operation })))
        else if (isSo()) resume(Effect.void)
        else return false
        this.waiting.delete(look)
        return true
      }
      if (look()) return
      this.waiting.add(look)
      begin()
      return Effect.sync(() => this.waiting.delete(look))
    })
  }
}

const eventOf = ({ type, address: endpoint = "", interval = 0, error: given }: ConnectionEvent) => {
  const error = given ?? new Error(type)
  const refusal = (reason: "Authentication" | "Protocol" | "Connection") =>
    SocketEvent.HandshakeFailed({ endpoint, reason, code: given?.code, status: given?.status, error })
  switch (type) {
    case "bind":
      return SocketEvent.Listening({ endpoint })
    case "bind:error":
      return SocketEvent.BindFailed({ endpoint, error })
    case "accept":
      return SocketEvent.Accepted({ endpoint })
    case "accept:error":
      return SocketEvent.AcceptFailed({ endpoint, error })
    case "connect":
      return SocketEvent.Connected({ endpoint })
    case "connect:delay":
      return SocketEvent.ConnectDelayed({ endpoint })
    case "connect:retry":
      return SocketEvent.ConnectRetried({ endpoint, interval: Duration.millis(interval) })
    case "handshake":
      return SocketEvent.HandshakeSucceeded({ endpoint })
    case "handshake:error:protocol":
      return refusal("Protocol")
    case "handshake:error:auth":
      return refusal("Authentication")
    case "handshake:error:other":
      return refusal("Connection")
    case "disconnect":
      return SocketEvent.Disconnected({ endpoint })
    case "close":
      return SocketEvent.Closed({ endpoint })
    case "close:error":
      return SocketEvent.CloseFailed({ endpoint, error })
  }
  return undefined
}
