import type { Outgoing } from "../../Message.ts"
import { sharedLane } from "../lane.ts"
import type { NativeSocket } from "./native.ts"
import type { Rooms } from "./rooms.ts"

/**
 * Messages that libzmq accepted and gave back: its last peer had left meanwhile.
 * Their senders have been told that they are sent, so they go before all others,
 * in their order.
 */
export class Returned {
  private readonly native: NativeSocket
  private readonly rooms: Rooms
  private readonly messages: Array<Outgoing> = []
  private onSent: () => void = ignore

  constructor(native: NativeSocket, rooms: Rooms) {
    this.native = native
    this.rooms = rooms
    native.onReturned = (message) => {
      this.messages.push(message)
      this.rooms.await(sharedLane)
    }
  }

  get isEmpty(): boolean {
    return this.messages.length === 0
  }

  /** Says whether all of them are sent again. */
  sendAll(): boolean {
    while (this.messages.length > 0) {
      if (this.native.offer(this.messages[0]!) !== "sent") return false
      this.messages.shift()
    }
    this.onSent()
    return true
  }

  /** Resolves when all of them are sent again. */
  get whenSent(): Promise<void> {
    return new Promise((resolve) => {
      this.onSent = resolve
    })
  }

  /** How many they are, that are not sent any more. */
  giveUp(): number {
    return this.messages.splice(0).length
  }
}

const ignore = (): void => {}
