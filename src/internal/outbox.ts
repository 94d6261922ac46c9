import type { Frame, Outgoing } from "../Message.ts"
import { within } from "./free.ts"
import { Line, Waiter } from "./line.ts"
import { microtask } from "./microtask.ts"
import type { NativeSocket, Offer, Source } from "./native.ts"
import { Rest } from "./rest.ts"

// All peers share one lane, except where libzmq has a queue for each: a ROUTER
// peer that does not read must not hold up the others.
const sharedLane = ""

// While no peer has room one is tried all the same, now and then: that it has
// left shows only then.
const looksPerTry = 25

// When some peer has room it may be another. A try that fails costs as much as
// thirty messages: so a lane that failed waits for more looks, up to so many,
// and lanes beyond this many for the next one.
const mostLooks = 5
const lanesPerLook = 10

/** Senders that wait for room, in order. Only the first of them is woken to try. */
class Lane {
  readonly line = new Line()
  // woken, and has not tried yet
  trying: Waiter | undefined = undefined
  // whether that one has not waited for room, and only rests (see `rest.ts`)
  resting = false
  // looks since it was tried, and how many it waits for
  looks = 0
  patience = 1
}

/**
 * Offers messages to a socket, and keeps those who send in order while there is
 * no room. It holds no messages: who waits still has its own, and can leave
 * with it.
 */
export class Outbox {
  private readonly native: NativeSocket
  private readonly byPeer: boolean
  private readonly laneOf: (message: Outgoing) => string
  private readonly lanes = new Map<string, Lane>()
  // Lanes whose first in line waits for room, the longest first.
  private readonly blocked = new Map<string, Lane>()
  private looking: Promise<void> | undefined
  // Messages that libzmq gave back after all.
  private back: Array<Outgoing> = []
  private flushing = false
  closed = false
  readonly rest = new Rest()
  /** Messages that libzmq accepted, gave back, and never took again. */
  returned = 0
  /** Messages and bytes that libzmq accepted, and offers that it refused for want of room. */
  sent = 0
  bytes = 0
  again = 0

  constructor(native: NativeSocket, byPeer: boolean) {
    this.native = native
    this.byPeer = byPeer
    this.laneOf = byPeer ? peerOf : () => sharedLane
    native.onReturned = (message) => {
      this.count(message, -1)
      this.resend(message)
    }
  }

  /** Sends now or not at all. Whoever waits goes first, but one who only rests may be overtaken. */
  offer(message: Outgoing, overtake = false): Offer {
    if (this.closed) return "closed"
    if (this.lanes.size > 0) {
      const lane = this.lanes.get(this.laneOf(message))
      if (lane !== undefined && !(overtake && lane.resting)) return "full"
    }
    return this.tell(message)
  }

  // Offers it, and counts.
  private tell(message: Outgoing): Offer {
    const offer = this.native.offer(message)
    if (offer === "sent") this.count(message, 1)
    else if (offer === "full") this.again++
    return offer
  }

  private count(message: Outgoing, by: 1 | -1): void {
    this.sent += by
    if (typeof message === "string" || message instanceof Uint8Array) this.bytes += by * sizeOf(message)
    else for (let i = 0; i < message.length; i++) this.bytes += by * sizeOf(message[i]!)
  }

  /** Offers messages in turn, until there are no more or one is refused. Whoever waits goes first. */
  async offerAll(source: Source): Promise<Offer> {
    if (this.closed) return "closed"
    let held = false
    let message: Outgoing | undefined
    const peek = () => {
      message = source.peek()
      held = message !== undefined && this.lanes.size > 0 && this.lanes.has(this.laneOf(message))
      return held ? undefined : message
    }
    const sent = () => {
      this.count(message!, 1)
      source.sent()
    }
    const offer = await this.native.offerAll({ peek, sent })
    if (offer === "full") this.again++
    return held ? "full" : offer
  }

  /** Joins those who wait for room; one who was woken for nothing goes first again. */
  wait(message: Outgoing, waiter: Waiter, first: boolean): void {
    const key = this.laneOf(message)
    const lane = this.laneAt(key)
    if (first) lane.line.rejoin(waiter)
    else lane.line.join(waiter)
    this.watch(key, lane)
  }

  /**
   * Joins those who wait, to rest and not for want of room. Says whether nobody is
   * before it: then others wait behind it, until it does `retry` or `leave`.
   */
  joinToRest(message: Outgoing, waiter: Waiter): boolean {
    const key = this.laneOf(message)
    const others = this.lanes.get(key)
    if (others !== undefined) {
      others.line.join(waiter)
      return false
    }
    const lane = this.laneAt(key)
    lane.trying = waiter
    lane.resting = true
    return true
  }

  /** The waiter that was woken tries to send. */
  retry(message: Outgoing, waiter: Waiter): Offer {
    const key = this.laneOf(message)
    const lane = this.laneAt(key)
    const offer = this.closed ? "closed" : this.tell(message)
    lane.trying = undefined
    lane.resting = false
    waiter.state = "gone"
    lane.patience = offer === "full" && this.byPeer ? Math.min(mostLooks, lane.patience * 2) : 1
    this.goOn(key, lane, offer === "full")
    return offer
  }

  leave(message: Outgoing, waiter: Waiter): void {
    const key = this.laneOf(message)
    const lane = this.lanes.get(key)
    if (lane === undefined) return
    if (waiter.state === "waiting") lane.line.leave(waiter)
    else if (lane.trying === waiter) {
      lane.trying = undefined
      lane.resting = false
    } else return
    waiter.state = "gone"
    this.goOn(key, lane, false)
  }

  close(): void {
    this.closed = true
    for (const lane of this.lanes.values()) lane.line.close()
    this.lanes.clear()
    this.blocked.clear()
  }

  private laneAt(key: string): Lane {
    let lane = this.lanes.get(key)
    if (lane === undefined) {
      lane = new Lane()
      this.lanes.set(key, lane)
    }
    return lane
  }

  private goOn(key: string, lane: Lane, full: boolean): void {
    if (full) this.watch(key, lane)
    // The next message of one who was alone need not wait.
    else if (lane.line.isEmpty && lane.trying === undefined && !this.blocked.has(key)) this.end(key, lane)
    // Later, and not from here: another fiber that runs inside this one's last
    // operation could interrupt it there.
    else microtask(() => this.call(key, lane))
  }

  private watch(key: string, lane: Lane): void {
    this.blocked.set(key, lane)
    this.look()
  }

  // One look serves all lanes.
  private look(): void {
    if (this.looking !== undefined || this.closed) return
    this.looking = this.native.room().then((mayBe) => {
      this.looking = undefined
      let called = 0
      for (const [key, lane] of [...this.blocked]) {
        if (called === lanesPerLook) break
        if (++lane.looks < (mayBe ? lane.patience : looksPerTry) && !lane.line.isEmpty) continue
        lane.looks = 0
        called++
        this.blocked.delete(key)
        this.call(key, lane)
      }
      if (this.blocked.size > 0) this.look()
    })
  }

  private call(key: string, lane: Lane): void {
    if (lane.trying !== undefined || this.blocked.has(key)) return
    lane.trying = lane.line.call()
    if (lane.trying !== undefined) lane.trying.wake()
    else this.end(key, lane)
  }

  private end(key: string, lane: Lane): void {
    if (this.lanes.get(key) === lane) this.lanes.delete(key)
  }

  // Their senders have been told that they are sent, so they go before all
  // others, in their order.
  private resend(message: Outgoing): void {
    this.back.push(message)
    if (this.back.length === 1) this.resendNext()
  }

  private resendNext(): void {
    const message = this.back[0]!
    const waiter: Waiter = new Waiter(
      () => {
        const offer = this.retry(message, waiter)
        if (offer === "closed") return
        if (offer !== "full") this.back.shift()
        if (this.back.length > 0) this.resendNext()
      },
      () => {}
    )
    if (!this.closed) this.wait(message, waiter, true)
    else if (!this.flushing) this.giveUp()
  }

  /** Whether something was accepted that is not sent yet. */
  get waits(): boolean {
    return this.back.length > 0
  }

  /** Sends that after `close`. What is left when so many milliseconds have passed is given up. */
  async flushed(millis: number): Promise<void> {
    const end = performance.now() + millis
    this.flushing = true
    while (this.back.length > 0) {
      const offer = this.tell(this.back[0]!)
      const left = end - performance.now()
      if (offer === "closed" || (offer === "full" && left <= 0)) break
      if (offer !== "full") this.back.shift()
      else await within(left, this.looking ?? this.native.room())
    }
    this.flushing = false
    this.giveUp()
  }

  private giveUp(): void {
    this.returned += this.back.length
    this.back = []
  }
}

/** How many bytes a frame is. */
export const sizeOf = (frame: Frame): number => (typeof frame === "string" ? Buffer.byteLength(frame) : frame.length)

const peerOf = (message: Outgoing): string => {
  const id = typeof message === "string" || message instanceof Uint8Array ? message : message[0]
  return Buffer.from(id as Uint8Array).toString("latin1")
}
