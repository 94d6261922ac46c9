/**
 * Passing messages on from one socket to another. There is no Effect in here.
 *
 * A message on its way is a lease on the mailbox it came from. It ends in the
 * moment in which the engine has accepted the message, and who stops before that
 * puts it back: so wherever a proxy is stopped, each message has been passed on
 * or is where it was.
 */
import type { Message } from "../../Message.ts"
import type { Offer, Source } from "../engine.ts"
import { mostPerPeer } from "../lane.ts"
import { Waiter } from "../line.ts"
import { microtask, whenResolved } from "../microtask.ts"
import type { Inbox } from "../receive/inbox.ts"
import type { Lease } from "../receive/mailbox.ts"
import { type Outbox, Posted } from "../send/outbox.ts"
import type { SocketCore } from "../socket/socket.ts"
import type { SocketType } from "../socketTypes.ts"
import { isSubscription } from "../subscription.ts"
import { turn } from "../turn.ts"

/**
 * Where the messages of each type may go. REQ and REP are in turn with one peer
 * and go nowhere. A ROUTER wants messages that are headed by a routing id, and
 * an XSUB subscriptions; what else can carry them there is for the user to know.
 */
export const flows = {
  pull: ["push", "pub", "xpub", "dealer", "pair", "router", "rawStream"],
  sub: ["push", "pub", "xpub", "dealer", "pair"],
  xsub: ["push", "pub", "xpub", "dealer", "pair"],
  xpub: ["xsub", "dealer", "pair"],
  dealer: ["push", "pub", "xpub", "xsub", "dealer", "pair", "router", "rawStream"],
  pair: ["push", "pub", "xpub", "xsub", "dealer", "pair", "router", "rawStream"],
  router: ["push", "pub", "xpub", "dealer", "pair"],
  rawStream: ["push", "pub", "xpub", "dealer", "pair"]
} as const satisfies { readonly [From in SocketType]?: ReadonlyArray<SocketType> }

/** Whether messages may go from one type to another. */
export const flowsTo = (from: SocketType, to: SocketType): boolean =>
  (flows as { readonly [From in SocketType]?: ReadonlyArray<SocketType> })[from]?.includes(to) === true

/** The sockets of a proxy, by what they are to it. */
export type Role = "frontend" | "backend" | "capture"

/** What has gone one way. */
export interface Passed {
  messages: number
  bytes: number
  dropped: number
}

/** A socket that gets a copy of each message before it is passed on. */
class Capture {
  readonly outbox: Outbox
  // Messages that went back to their mailbox after they had been captured.
  private readonly seen: WeakSet<Message>

  constructor({ outbox }: SocketCore) {
    this.outbox = outbox
    this.seen = seenBy.get(outbox) ?? new WeakSet()
    seenBy.set(outbox, this.seen)
  }

  remember(message: Message): void {
    this.seen.add(message)
  }

  /** Whether it has a message already. Forgets that it has. */
  recall(message: Message): boolean {
    return this.seen.delete(message)
  }
}

const seenBy = new WeakMap<Outbox, WeakSet<Message>>()

/** A message that the target has no room for. */
interface Parked {
  readonly lease: Lease<Message>
  readonly posted: Posted
}

/** Whether libzmq would send all frames of a message, and as one. */
const framesFor = ({ options, type }: SocketCore): ((message: Message) => boolean) => {
  // A routing id alone is sent to nobody.
  const least = type === "router" || type === "rawStream" ? 2 : 1
  const most = options.conflate ? 1 : type === "rawStream" ? 2 : Number.POSITIVE_INFINITY
  const fits = (message: Message) => message.length >= least && message.length <= most
  return type === "xsub" ? (message) => message.length === 1 || !message.some(isSubscription) : fits
}

const bytesOf = (message: Message): number => {
  let bytes = 0
  for (const frame of message) bytes += frame.length
  return bytes
}

// How many messages one way of a proxy passes on before others have their share.
const mostPerShare = 64

/** Passes messages on, one way. */
class Pump implements Source {
  readonly passed: Passed = { messages: 0, bytes: 0, dropped: 0 }

  private readonly source: Inbox
  private readonly target: Outbox
  private readonly capture: Capture | undefined
  private readonly fits: (message: Message) => boolean
  // Peers of a ROUTER wait for room separately, so one that does not read does not
  // hold up the others.
  private readonly byPeer: boolean
  private readonly onOverflow: () => void
  private readonly onClosed: (role: "source" | "target" | "capture") => void

  constructor(
    from: SocketCore,
    to: SocketCore,
    capture: SocketCore | undefined,
    onClosed: (role: "source" | "target" | "capture") => void
  ) {
    this.source = from.inbox
    this.target = to.outbox
    this.capture = capture === undefined ? undefined : new Capture(capture)
    this.fits = framesFor(to)
    this.byPeer = to.type === "router" || to.type === "rawStream"
    this.onOverflow = () => to.inbox.held?.drop()
    this.onClosed = onClosed
  }

  private running = false
  private finished: (() => void) | undefined = undefined
  // - still: nothing is under way
  // - listening: waits for a message
  // - capturing: waits for the capture to have room for `next`
  // - sending: offers messages; of one of them the answer is not known yet
  // - resting: others have their turn
  private state: "still" | "listening" | "capturing" | "sending" | "resting" = "still"
  private sending: Promise<void> = Promise.resolve()
  // How many messages it may still pass on in this turn of the event loop.
  private share = 0
  // The message that is to go next, and whether it is captured.
  private next: Lease<Message> | undefined
  private captured = false
  private captureFull = false
  // The messages that wait for room, in order.
  private readonly parked = new Set<Parked>()

  start(): void {
    this.running = true
    this.go()
  }

  /** Stops, and puts back what it has: at once, or when the answer to the message it has been offered is there. */
  stop(): Promise<void> | undefined {
    this.running = false
    if (this.state === "sending") return this.sending
    this.letGo()
    return undefined
  }

  /** Takes nothing more, and calls `finished` when what it has is passed on. */
  finish(finished: () => void): void {
    this.finished = finished
    if (this.state === "listening") {
      this.source.mailbox.leave(this.listener)
      this.state = "still"
    }
    this.lookWhetherFinished()
  }

  private lookWhetherFinished(): void {
    if (this.next === undefined && this.parked.size === 0 && this.state === "still") this.finished?.()
  }

  private readonly go = (): void => {
    if (!this.running || this.state !== "still" || (!this.byPeer && this.parked.size > 0)) return
    if (this.next === undefined && this.finished !== undefined) return this.lookWhetherFinished()
    if (this.next === undefined && this.source.mailbox.available === 0) return this.listen()
    if (turn.isOver) return this.rest()
    // Beforehand: others have their share while answers are waited for.
    this.share = Math.min(mostPerShare, 1 + this.source.mailbox.available)
    turn.spend(this.share)
    this.state = "sending"
    this.sending = whenResolved(this.target.offerAll(this), this.offered)
  }

  // ---------------------------------------------------------------------------
  // sending
  // ---------------------------------------------------------------------------

  readonly peek = (): Message | undefined => {
    const { mailbox } = this.source
    while (this.running && this.share > 0) {
      if (this.next === undefined) {
        if (mailbox.available === 0 || this.finished !== undefined) return undefined
        if (!this.take(mailbox.lend())) continue
      }
      const { message } = this.next!
      if (!this.fits(message)) this.drop()
      else return this.captured || this.offerToCapture(message) ? message : undefined
    }
    return undefined
  }

  readonly sent = (): void => {
    const { message } = this.next!
    this.next = undefined
    this.share--
    this.count(message)
  }

  // Says whether it is its time: requests of a client that does not read wait.
  private take(lease: Lease<Message>): boolean {
    if (this.source.held?.keep(lease)) return false
    this.next = lease
    this.captured = this.capture?.recall(lease.message) ?? true
    return true
  }

  private count(message: Message): void {
    this.passed.messages++
    this.passed.bytes += bytesOf(message)
  }

  private drop(): void {
    this.share--
    this.passed.dropped++
    this.next = undefined
  }

  private readonly offered = (offer: Offer): void => {
    this.state = "still"
    turn.giveBack(this.share)
    if (!this.running) return this.letGo()
    if (offer === "full") this.park(this.next!)
    else if (offer === "unroutable") this.drop()
    else if (offer !== "sent") return this.targetClosed()
    else if (this.captureFull) return this.waitForCapture(false)
    this.go()
  }

  // ---------------------------------------------------------------------------
  // waiting for a message
  // ---------------------------------------------------------------------------

  private readonly listener = new Waiter(
    () => {
      this.state = "still"
      this.source.mailbox.claim(this.listener)
      this.take(this.source.mailbox.lend())
      this.go()
    },
    () => this.onClosed("source")
  )

  private listen(): void {
    if (this.source.mailbox.closed) return this.onClosed("source")
    this.state = "listening"
    this.source.mailbox.wait(this.listener)
    this.source.fill()
  }

  private rest(): void {
    this.state = "resting"
    turn.next(() => {
      if (this.state !== "resting") return
      this.state = "still"
      this.go()
    })
  }

  // ---------------------------------------------------------------------------
  // waiting for room
  // ---------------------------------------------------------------------------

  private park(lease: Lease<Message>): void {
    const { message } = lease
    if (this.target.waitingWith(message) >= mostPerPeer) {
      this.onOverflow()
      return this.drop()
    }
    const parked: Parked = {
      lease,
      posted: new Posted(this.target, message, (offer) => {
        turn.spend()
        if (offer === "sent") this.count(message)
        else if (offer === "unroutable") this.passed.dropped++
        else return this.targetClosed()
        this.parked.delete(parked)
        // When the line that it stood in is gone, or the next message would join it.
        microtask(this.go)
      })
    }
    this.next = undefined
    this.parked.add(parked)
    this.target.wait(message, parked.posted.waiter, false)
  }

  private readonly targetClosed = (): void => this.onClosed("target")

  // ---------------------------------------------------------------------------
  // the capture
  // ---------------------------------------------------------------------------

  private offerToCapture(message: Message): boolean {
    const offer = this.capture!.outbox.offer(message)
    this.captured = offer === "sent"
    this.captureFull = !this.captured
    return this.captured
  }

  private readonly captureWaiter = new Waiter(
    () => {
      const offer = this.capture!.outbox.retry(this.next!.message, this.captureWaiter)
      if (offer === "full") return this.waitForCapture(true)
      if (offer !== "sent") return this.onClosed("capture")
      this.captured = true
      this.captureFull = false
      this.state = "still"
      microtask(this.go)
    },
    () => this.onClosed("capture")
  )

  private waitForCapture(first: boolean): void {
    if (this.capture!.outbox.closed) return this.onClosed("capture")
    this.state = "capturing"
    this.capture!.outbox.wait(this.next!.message, this.captureWaiter, first)
  }

  // ---------------------------------------------------------------------------
  // stopping
  // ---------------------------------------------------------------------------

  private letGo(): void {
    const { mailbox } = this.source
    if (this.state === "listening") mailbox.leave(this.listener)
    if (this.state === "capturing") this.capture!.outbox.leave(this.next!.message, this.captureWaiter)
    this.state = "still"
    this.captureFull = false
    for (const { lease, posted } of this.parked) {
      this.target.leave(lease.message, posted.waiter)
      this.putBack(lease, true)
    }
    this.parked.clear()
    if (this.next !== undefined) this.putBack(this.next, this.captured)
    this.next = undefined
    this.source.held?.releaseAll()
  }

  private putBack(lease: Lease<Message>, captured: boolean): void {
    if (captured) this.capture?.remember(lease.message)
    this.source.mailbox.putBack(lease)
  }
}

/** Two sockets with a pump each way, where their types allow. */
export class ProxyCore {
  readonly toBackend: Passed
  readonly toFrontend: Passed
  private readonly pumps: Array<Pump> = []
  private readonly sockets: ReadonlyArray<readonly [SocketCore, () => void]>
  private readonly onEnd: (closed: Role | undefined) => void
  private paused = true
  private finishing = false
  private ended = false

  /** `onEnd` is told which socket has closed, if that is why it ended. */
  constructor(
    frontend: SocketCore,
    backend: SocketCore,
    capture: SocketCore | undefined,
    onEnd: (closed: Role | undefined) => void
  ) {
    const pump = (from: SocketCore, to: SocketCore, source: Role, target: Role): Passed => {
      if (!flowsTo(from.type, to.type)) return { messages: 0, bytes: 0, dropped: 0 }
      const roles = { source, target, capture: "capture" } as const
      const pump = new Pump(from, to, capture, (role) => this.end(roles[role]))
      this.pumps.push(pump)
      return pump.passed
    }
    this.onEnd = onEnd
    this.toBackend = pump(frontend, backend, "frontend", "backend")
    this.toFrontend = pump(backend, frontend, "backend", "frontend")
    this.sockets = [
      [frontend, () => this.end("frontend")],
      [backend, () => this.end("backend")],
      ...(capture === undefined ? [] : [[capture, () => this.end("capture")] as const])
    ]
    for (const [{ closing }, end] of this.sockets) closing.add(end)
  }

  resume(): void {
    if (this.ended) return
    this.paused = false
    for (const pump of this.pumps) pump.start()
  }

  /** Resolves when nothing is on its way any more, which may be now. */
  pause(): Promise<unknown> | undefined {
    // What was to be passed on before its end is back.
    if (this.finishing) return this.end()
    this.paused = true
    return this.stop()
  }

  private stop(): Promise<unknown> | undefined {
    const stopping = this.pumps.map((pump) => pump.stop()).filter((promise) => promise !== undefined)
    return stopping.length === 0 ? undefined : Promise.all(stopping)
  }

  /** Takes nothing more from either side, and ends when what is on its way has been passed on. */
  finish(): void {
    if (this.ended || this.finishing) return
    if (this.paused) return void this.end()
    this.finishing = true
    let left = this.pumps.length
    for (const pump of this.pumps) {
      let finished = false
      pump.finish(() => {
        if (finished) return
        finished = true
        if (--left === 0) this.end()
      })
    }
  }

  /** As `pause`, for good. */
  end(closed?: Role): Promise<unknown> | undefined {
    const stopping = this.stop()
    if (this.ended) return stopping
    this.ended = true
    for (const [{ closing }, end] of this.sockets) closing.delete(end)
    if (stopping === undefined) this.onEnd(closed)
    else stopping.then(() => this.onEnd(closed))
    return stopping
  }
}
