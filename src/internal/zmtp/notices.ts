/** What the owner of a socket is told: never in the middle of something, and once for all that has come by then. */
import type { SocketEvent } from "../../SocketEvent.ts"
import type { Lane, Owner } from "../engine.ts"
import { microtask } from "../microtask.ts"
import { turn } from "../turn.ts"

export class Notices {
  private readonly owner: Owner
  private readonly hasMessages: () => boolean
  private readonly waiting = new Set<Lane>()
  private readonly roomIn = new Set<Lane>()
  private isListening = false
  private isDismissed = false
  private isClosed = false
  private willTellMessages = false
  private willTellRoom = false
  private willTellPeers = false
  private willTellDropped = false

  constructor(owner: Owner, hasMessages: () => boolean) {
    this.owner = owner
    this.hasMessages = hasMessages
  }

  /** Of messages no more is told. */
  dismiss(): void {
    this.isDismissed = true
  }

  /** Nothing more is told. */
  close(): void {
    this.isClosed = true
  }

  // ------------------------------------------------------------- messages

  /** The owner wants to know, once, when there are messages. */
  listen(): void {
    this.isListening = true
    if (this.hasMessages()) this.messages()
  }

  /** There may be some. */
  messages(): void {
    if (!this.isListening || this.willTellMessages) return
    this.willTellMessages = true
    if (turn.isOver) turn.next(this.tellMessages)
    else microtask(this.tellMessages)
  }

  private readonly tellMessages = (): void => {
    this.willTellMessages = false
    if (!this.isListening || this.isDismissed || !this.hasMessages()) return
    if (turn.isOver) return this.messages()
    this.isListening = false
    this.owner.onMessages()
  }

  // ------------------------------------------------------------- room

  /** The owner wants to know, once, when there is room in a lane. */
  awaitRoom(lane: Lane): void {
    this.waiting.add(lane)
  }

  forgoRoom(lane: Lane): void {
    this.waiting.delete(lane)
    this.roomIn.delete(lane)
  }

  /** There is some. */
  room(lane: Lane): void {
    if (!this.waiting.has(lane)) return
    this.roomIn.add(lane)
    if (this.willTellRoom) return
    this.willTellRoom = true
    microtask(this.tellRooms)
  }

  private readonly tellRooms = (): void => {
    this.willTellRoom = false
    const lanes = [...this.roomIn]
    this.roomIn.clear()
    for (const lane of lanes) if (!this.isClosed && this.waiting.delete(lane)) this.owner.onRoom(lane)
  }

  // ------------------------------------------------------------- peers

  /** Some came, went, or subscribe to something else. */
  peers(): void {
    if (this.willTellPeers) return
    this.willTellPeers = true
    microtask(() => {
      this.willTellPeers = false
      if (!this.isClosed) this.owner.onPeers()
    })
  }

  event(event: SocketEvent, connectedTo: () => string | undefined): void {
    microtask(() => {
      if (!this.isClosed) this.owner.onEvent(event, connectedTo())
    })
  }

  /** Messages of peers were dropped. */
  dropped(): void {
    if (this.willTellDropped) return
    this.willTellDropped = true
    microtask(() => {
      this.willTellDropped = false
      if (!this.isClosed) this.owner.onDropped()
    })
  }
}
