import type { Frame, Outgoing } from "../../Message.ts"
import type { EngineSocket, Lane, Offer, Source } from "../engine.ts"
import { hasLanes, peerOf, sharedLane } from "../lane.ts"
import { Line, Waiter } from "../line.ts"
import { microtask } from "../microtask.ts"
import { Rest } from "../rest.ts"
import type { SocketType } from "../socketTypes.ts"

/** Senders that wait for room, in order. Only the first of them is woken to try. */
class Queue {
  readonly line = new Line()
  // woken, and has not tried yet
  trying: Waiter | undefined = undefined
  // whether that one has not waited for room, and only rests (see `rest.ts`)
  resting = false
  // whether there was no room, and the engine has not said yet that there is
  awaiting = false
  // whether the last try found no room
  full = false
  // how many of those who waited have sent since it is full
  sent = 0
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
  private readonly socket: EngineSocket
  private readonly laneOf: (message: Outgoing) => Lane
  private readonly queues = new Map<Lane, Queue>()
  private full = 0
  // What must be sent before the socket closes.
  private readonly owed = new Set<Waiter>()
  private onPaid: () => void = ignore
  closed = false
  readonly rest = new Rest()
  /** Called when nobody waits for room in a lane any more, with how many have sent since it was full. */
  onRoom: (lane: Lane, sent: number) => void = ignore
  /** How many of the messages were requests: each was answered, or nobody waits for its reply any more. */
  requests = 0
  /** Messages that were accepted here and never sent. */
  unsent = 0
  /** Messages and bytes that were sent, and offers that were refused for want of room. */
  sent = 0
  bytes = 0
  again = 0

  constructor(socket: EngineSocket, type: SocketType) {
    this.socket = socket
    this.laneOf = hasLanes(type) ? peerOf : () => sharedLane
  }

  /** Whether any lane is full, and whether that of a peer is. */
  get hasFull(): boolean {
    return this.full > 0
  }
  isFull(peer: Lane): boolean {
    return this.queues.get(peer)?.full === true
  }
  /** How many have sent to a peer since its lane is full. */
  sentSinceFull(peer: Lane): number {
    return this.queues.get(peer)?.sent ?? 0
  }

  /** Sends now or not at all. Whoever waits goes first, but one who only rests may be overtaken. */
  offer(message: Outgoing, overtake = false): Offer {
    if (this.closed) return "closed"
    if (this.queues.size > 0) {
      const queue = this.queues.get(this.laneOf(message))
      if (queue !== undefined && !(overtake && queue.resting)) return "full"
    }
    return this.tell(message)
  }

  // Offers it, and counts.
  private tell(message: Outgoing): Offer {
    const offer = this.socket.offer(message)
    if (offer === "sent") this.count(message)
    else if (offer === "full") this.again++
    return offer
  }

  private count(message: Outgoing): void {
    this.sent++
    if (typeof message === "string" || message instanceof Uint8Array) this.bytes += sizeOf(message)
    else for (let i = 0; i < message.length; i++) this.bytes += sizeOf(message[i]!)
  }

  /** Offers messages in turn, until there are no more or one is refused. Whoever waits goes first. */
  async offerAll(source: Source): Promise<Offer> {
    if (this.closed) return "closed"
    let held = false
    let message: Outgoing | undefined
    const peek = () => {
      message = source.peek()
      held = message !== undefined && this.queues.size > 0 && this.queues.has(this.laneOf(message))
      return held ? undefined : message
    }
    const sent = () => {
      this.count(message!)
      source.sent()
    }
    const offer = await this.socket.offerAll({ peek, sent })
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
    const lane = this.laneOf(message)
    const queue = this.queueAt(lane)
    if (first) queue.line.rejoin(waiter)
    else queue.line.join(waiter)
    this.awaitRoom(lane, queue)
  }

  /** How many wait for room where this message would. */
  waitingWith(message: Outgoing): number {
    return this.queues.get(this.laneOf(message))?.line.length ?? 0
  }

  /**
   * Joins those who wait, to rest and not for want of room. Says whether nobody is
   * before it: then others wait behind it, until it does `retry` or `leave`.
   */
  joinToRest(message: Outgoing, waiter: Waiter): boolean {
    const lane = this.laneOf(message)
    const others = this.queues.get(lane)
    if (others !== undefined) {
      others.line.join(waiter)
      return false
    }
    const queue = this.queueAt(lane)
    queue.trying = waiter
    queue.resting = true
    return true
  }

  /** The waiter that was woken tries to send. */
  retry(message: Outgoing, waiter: Waiter): Offer {
    const lane = this.laneOf(message)
    const queue = this.queueAt(lane)
    const offer = this.closed && !this.owed.has(waiter) ? "closed" : this.tell(message)
    queue.trying = undefined
    queue.resting = false
    waiter.state = "gone"
    if (offer === "full") this.awaitRoom(lane, queue)
    else {
      queue.sent++
      this.goOn(lane, queue)
    }
    return offer
  }

  leave(message: Outgoing, waiter: Waiter): void {
    const lane = this.laneOf(message)
    const queue = this.queues.get(lane)
    if (queue === undefined) return
    if (waiter.state === "waiting") queue.line.leave(waiter)
    else if (queue.trying === waiter) {
      queue.trying = undefined
      queue.resting = false
    } else return
    waiter.state = "gone"
    this.goOn(lane, queue)
  }

  /** The engine says that who waits for room in a lane may try. */
  readonly mayTry = (lane: Lane): void => {
    const queue = this.queues.get(lane)
    if (queue === undefined) return this.socket.forgoRoom(lane)
    queue.awaiting = false
    this.call(lane, queue)
  }

  /** Fails those who wait with their own message. What is owed goes on waiting, until `close`. */
  end(): void {
    this.closed = true
    for (const [lane, { line }] of this.queues) {
      line.close((waiter) => !this.owed.has(waiter))
      if (line.isEmpty) this.socket.forgoRoom(lane)
    }
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
    for (const queue of this.queues.values()) queue.line.close()
    this.queues.clear()
  }

  private pay(waiter: Waiter, offer: Offer): void {
    if (offer === "closed") this.unsent++
    this.owed.delete(waiter)
    if (this.owed.size === 0) this.onPaid()
  }

  private queueAt(lane: Lane): Queue {
    let queue = this.queues.get(lane)
    if (queue === undefined) {
      queue = new Queue()
      this.queues.set(lane, queue)
    }
    return queue
  }

  private awaitRoom(lane: Lane, queue: Queue): void {
    if (!queue.full) {
      queue.full = true
      this.full++
    }
    queue.awaiting = true
    this.socket.awaitRoom(lane)
  }

  private goOn(lane: Lane, queue: Queue): void {
    // The next message of one who was alone need not wait.
    if (queue.line.isEmpty && queue.trying === undefined) this.forget(lane, queue)
    // Later, and not from here: another fiber that runs inside this one's last
    // operation could interrupt it there.
    else microtask(() => this.call(lane, queue))
  }

  private call(lane: Lane, queue: Queue): void {
    if (queue.trying !== undefined || queue.awaiting) return
    queue.trying = queue.line.call()
    if (queue.trying !== undefined) queue.trying.wake()
    else this.forget(lane, queue)
  }

  // Nobody waits in it any more.
  private forget(lane: Lane, queue: Queue): void {
    if (this.queues.get(lane) !== queue) return
    this.queues.delete(lane)
    if (!queue.full) return
    this.full--
    this.socket.forgoRoom(lane)
    this.onRoom(lane, queue.sent)
  }
}

const ignore = (): void => {}

/** How many bytes a frame is. */
export const sizeOf = (frame: Frame): number => (typeof frame === "string" ? Buffer.byteLength(frame) : frame.length)
