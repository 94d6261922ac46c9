import type { Frame, Outgoing } from "../../Message.ts"
import { Line, Waiter } from "../line.ts"
import { microtask } from "../microtask.ts"
import { Rest } from "../rest.ts"
import type { NativeSocket, Offer, Source } from "../zeromq/native.ts"
import type { Refusals } from "../zeromq/refusals.ts"

// All peers share one lane, except where libzmq has a queue for each: a ROUTER
// peer that does not read must not hold up the others.
const sharedLane = ""

// While no peer has room one is tried all the same, now and then: that it has
// left shows only then.
const looksPerTry = 25

// When some peer has room it may be another. A try that fails costs as much as
// thirty messages: so a lane that failed waits for more looks, up to so many. Of
// many lanes each waits longer, but its peer's end is seen within a second.
const mostLooks = 5
const mostLooksOfMany = 25
const lanesPerLook = 50

/** Senders that wait for room, in order. Only the first of them is woken to try. */
class Lane {
  readonly line = new Line()
  // woken, and has not tried yet
  trying: Waiter | undefined = undefined
  // whether that one has not waited for room, and only rests (see `rest.ts`)
  resting = false
  // whether the last try found no room
  full = false
  // looks since it was tried, and how many it waits for
  looks = 0
  patience = 1
}

/** A message that waits for room by itself. */
export class Posted {
  readonly message: Outgoing
  readonly waiter: Waiter

  constructor(outbox: Outbox, message: Outgoing, ended: (offer: Exclude<Offer, "full">) => void) {
    this.message = message
    const retry = () => {
      const offer = outbox.retry(message, this.waiter)
      if (offer === "full") outbox.wait(message, this.waiter, true)
      else ended(offer)
    }
    this.waiter = new Waiter(retry, () => ended("closed"))
  }
}

/**
 * Offers messages to a socket, and keeps those who send in order while there is
 * no room. Who waits still has its own message, and can leave with it. Only
 * what was `post`ed waits here by itself.
 */
export class Outbox {
  private readonly native: NativeSocket
  private readonly byPeer: boolean
  private readonly laneOf: (message: Outgoing) => string
  private readonly lanes = new Map<string, Lane>()
  // Lanes whose first in line waits for room, the longest first.
  private readonly blocked = new Map<string, Lane>()
  private full = 0
  private looking = false
  // What must be sent before the socket closes.
  private readonly owed = new Set<Waiter>()
  // Messages that libzmq gave back after all.
  private back: Array<Outgoing> = []
  private onPaid: () => void = ignore
  closed = false
  readonly rest = new Rest()
  /** Called when a peer has room again, or has left. */
  onRoom: (peer: string) => void = ignore
  /** Where the ends of peers are seen only as the socket is read. */
  refusals: Refusals | undefined = undefined
  /** How many of the messages were requests: each was answered, or nobody waits for its reply any more. */
  requests = 0
  /** Messages that were accepted, here or by libzmq, and never sent. */
  unsent = 0
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

  /** Whether any lane is full, and whether that of a peer is. */
  get hasFull(): boolean {
    return this.full > 0
  }
  isFull(peer: string): boolean {
    return this.lanes.get(peer)?.full === true
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
    const { refusals } = this
    if (refusals !== undefined) {
      if (offer === "full") refusals.refused(this.laneOf(message))
      else if (!refusals.isEmpty) refusals.answered(this.laneOf(message))
    }
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

  /**
   * Sends as soon as there is room, before the socket closes if it can: it is
   * owed. Returns what became of it if that is known at once, and tells `ended` else.
   */
  post(message: Outgoing, ended: (offer: Exclude<Offer, "full">) => void): Offer {
    const offer = this.offer(message)
    if (offer !== "full") return offer
    const posted = new Posted(this, message, (offer) => {
      this.pay(posted.waiter, offer)
      ended(offer)
    })
    this.owed.add(posted.waiter)
    this.wait(message, posted.waiter, false)
    return offer
  }

  /** Joins those who wait for room; one who was woken for nothing goes first again. */
  wait(message: Outgoing, waiter: Waiter, first: boolean): void {
    const key = this.laneOf(message)
    const lane = this.laneAt(key)
    if (first) lane.line.rejoin(waiter)
    else lane.line.join(waiter)
    this.watch(key, lane)
  }

  /** How many wait for room where this message would. */
  waitingWith(message: Outgoing): number {
    return this.lanes.get(this.laneOf(message))?.line.length ?? 0
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
    const offer = this.closed && !this.owed.has(waiter) ? "closed" : this.tell(message)
    lane.trying = undefined
    lane.resting = false
    waiter.state = "gone"
    lane.patience = offer === "full" && this.byPeer ? Math.min(this.patience, lane.patience * 2) : 1
    this.goOn(key, lane, offer === "full")
    return offer
  }

  private get patience(): number {
    return Math.min(mostLooksOfMany, Math.max(mostLooks, this.blocked.size >> 1))
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

  /** Fails those who wait with their own message. What is owed goes on waiting, until `close`. */
  end(): void {
    this.closed = true
    for (const { line } of this.lanes.values()) line.close((waiter) => !this.owed.has(waiter))
  }

  /** Resolves when all that is owed was sent, or cannot be; undefined if nothing is. */
  get paid(): Promise<void> | undefined {
    if (this.owed.size === 0) return undefined
    return new Promise((resolve) => {
      this.onPaid = resolve
    })
  }

  close(): void {
    this.end()
    for (const lane of this.lanes.values()) lane.line.close()
    this.refusals?.end()
    this.lanes.clear()
    this.blocked.clear()
  }

  private pay(waiter: Waiter, offer: Offer): void {
    if (offer === "closed") this.unsent++
    this.owed.delete(waiter)
    if (this.owed.size === 0) this.onPaid()
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
    if (full) return this.watch(key, lane)
    this.hasRoom(key, lane)
    // The next message of one who was alone need not wait.
    if (lane.line.isEmpty && lane.trying === undefined && !this.blocked.has(key)) this.forget(key, lane)
    // Later, and not from here: another fiber that runs inside this one's last
    // operation could interrupt it there.
    else microtask(() => this.call(key, lane))
  }

  // Nobody waits for room in it any more.
  private hasRoom(key: string, lane: Lane): void {
    if (!lane.full || !lane.line.isEmpty) return
    lane.full = false
    this.full--
    this.onRoom(key)
  }

  private watch(key: string, lane: Lane): void {
    this.blocked.set(key, lane)
    if (!lane.full) {
      lane.full = true
      this.full++
    }
    this.look()
  }

  // One look serves all lanes.
  private look(): void {
    if (this.looking || this.blocked.size === 0) return
    this.looking = true
    this.native.room().then((mayBe) => {
      this.looking = false
      const due: Array<[string, Lane]> = []
      for (const entry of this.blocked) {
        const [, lane] = entry
        if (++lane.looks >= (mayBe ? lane.patience : looksPerTry) || lane.line.isEmpty) due.push(entry)
      }
      // Those first that were full for the shortest time: they are the likeliest to have room.
      if (due.length > lanesPerLook) due.sort(([, a], [, b]) => a.patience - b.patience).length = lanesPerLook
      for (const [key, lane] of due) {
        lane.looks = 0
        this.blocked.delete(key)
        this.call(key, lane)
      }
      this.look()
    })
  }

  private call(key: string, lane: Lane): void {
    if (lane.trying !== undefined || this.blocked.has(key)) return
    lane.trying = lane.line.call()
    if (lane.trying !== undefined) lane.trying.wake()
    else this.forget(key, lane)
  }

  private forget(key: string, lane: Lane): void {
    if (this.lanes.get(key) !== lane) return
    this.lanes.delete(key)
    this.hasRoom(key, lane)
  }

  // Their senders have been told that they are sent, so they go before all
  // others, in their order.
  private resend(message: Outgoing): void {
    this.back.push(message)
    if (this.back.length === 1) this.resendNext()
  }

  private resendNext(): void {
    const message = this.back[0]!
    const posted = new Posted(this, message, (offer) => {
      if (offer === "closed") this.giveUp()
      else this.back.shift()
      if (this.back.length > 0) this.resendNext()
      this.pay(posted.waiter, "sent")
    })
    if (this.closed && this.owed.size === 0) return this.giveUp()
    this.owed.add(posted.waiter)
    this.wait(message, posted.waiter, true)
  }

  private giveUp(): void {
    this.unsent += this.back.length
    this.back = []
  }
}

const ignore = (): void => {}

/** How many bytes a frame is. */
export const sizeOf = (frame: Frame): number => (typeof frame === "string" ? Buffer.byteLength(frame) : frame.length)

/** The peer that a message of a ROUTER is for, or from. */
export const peerOf = (message: Outgoing): string => {
  const id = typeof message === "string" || message instanceof Uint8Array ? message : message[0]
  return Buffer.from(id as Uint8Array).toString("latin1")
}
