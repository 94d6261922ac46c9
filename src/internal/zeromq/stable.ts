/** The sockets of zeromq.js, as the rest of this engine needs them: see `native.ts`. */
import type { Message, Outgoing } from "../../Message.ts"
import type { Offer, Setting, Source } from "../engine.ts"
import type { StableType } from "../socketTypes.ts"
import { mostInFront } from "../subscription.ts"
import { answerOf, checkAnswers, refusal } from "./answer.ts"
import { Credit } from "./credit.ts"
import { Immediate } from "./immediate.ts"
import { zeromq } from "./load.ts"
import type { NativeOpening, NativeSocket } from "./native.ts"
import { attempt, type ConnectionEvent, type Observer, type RawSocket, untilDone } from "./raw.ts"
import { closeRaw, opened, watchRaw } from "./threads.ts"

const constructors = {
  pull: "Pull",
  push: "Push",
  // An XPUB tells who has subscribed, and is a PUB in all other ways.
  pub: "XPublisher",
  sub: "Subscriber",
  req: "Request",
  rep: "Reply",
  dealer: "Dealer",
  router: "Router",
  pair: "Pair",
  xpub: "XPublisher",
  xsub: "XSubscriber",
  rawStream: "Stream"
} as const

const ZMQ_SUBSCRIBE = 6
const ZMQ_UNSUBSCRIBE = 7
const ZMQ_SNDHWM = 23
const ZMQ_RCVHWM = 24
const ZMQ_RCVTIMEO = 27
const ZMQ_SNDTIMEO = 28
const ZMQ_ROUTER_HANDOVER = 56
const ZMQ_DISCONNECT_MSG = 111
const ZMQ_HICCUP_MSG = 114

// How a type answers an offer.
// - always: libzmq never refuses (PUB drops instead of waiting).
// - writable: ZMQ_EVENTS tells beforehand.
// - ask: only the attempt tells, as ROUTER depends on the peer that is named,
//   and REQ and REP on whose turn it is.
type Admission = "always" | "writable" | "ask"
const admissionOf = (type: StableType, noDrop: boolean): Admission => {
  switch (type) {
    case "pub":
    case "xpub":
      return noDrop ? "ask" : "always"
    case "sub":
    case "xsub":
    case "pull":
      return "always"
    case "push":
    case "dealer":
    case "pair":
      return "writable"
    case "req":
    case "rep":
    case "router":
    case "rawStream":
      return "ask"
  }
}

// How many messages a burst takes without asking whether they are there.
const longestStep = 16

// `room` waits natively, in slices. The notification of a socket is shared by
// its receives and sends, so that either can swallow what the other waits for;
// the end of a slice heals that.
const roomSlice = 20

// Also there on sockets that only receive, where zeromq.js hides it.
const sendOnAny = (): RawSocket["send"] => (zeromq().Push.prototype as unknown as RawSocket).send

const ignore = (): void => {}

export class StableSocket implements NativeSocket {
  private readonly raw: RawSocket
  private readonly admission: Admission
  private readonly byPeer: boolean
  private readonly credit = new Credit()
  private readonly immediate = new Immediate()
  private observer: Observer | undefined
  private waitingForRoom = false
  private retryDelay = 1
  // how many messages the last burst had, and whether it was let no more
  private lastBurst = 0
  private lastWasFull = false
  onReturned: (message: Outgoing) => void = ignore
  readonly receivesAtOnce = true

  constructor(type: StableType, { context, noDrop, conflate, farewell }: NativeOpening) {
    this.admission = admissionOf(type, noDrop)
    if (this.admission === "ask") checkAnswers()
    // Without other options: a constructor that throws half-way leaves a socket
    // that crashes the process at exit (SIGSEGV).
    const Type = zeromq()[type === "pub" && conflate ? "Publisher" : constructors[type]]
    this.raw = new Type({ context }) as unknown as RawSocket
    opened(this.raw)
    this.byPeer = type === "router" || type === "rawStream"
    // With a time limit of 0 a send is decided before the call returns.
    this.raw.setInt32Option(ZMQ_SNDTIMEO, 0)
    // A REP that owes a reply hears of no peer's end. One that comes back under its
    // routing id would be ignored for good, so it takes the place of the one before
    // it. The reply that is owed stays with the connection that the request came by.
    if (type === "rep") this.raw.setInt32Option(ZMQ_ROUTER_HANDOVER, 1)
    // What a SUB sends are its subscriptions: those above the mark would be dropped.
    if (type === "sub") this.raw.setInt32Option(ZMQ_SNDHWM, 0)
    if (type === "pub") this.raw.setInt32Option(ZMQ_RCVHWM, mostInFront)
    if (farewell !== undefined) this.tellOfEnds(type === "router" ? ZMQ_DISCONNECT_MSG : ZMQ_HICCUP_MSG, farewell)
  }

  // Drafts, which a libzmq can be built without.
  private tellOfEnds(option: number, farewell: Buffer): void {
    try {
      this.raw.setStringOption(option, farewell)
    } catch {
      // Whoever asked has other ways to find out, which take longer.
    }
  }

  receive(): Promise<Message> {
    return attempt(() => this.raw.receive())
  }

  receiveBurst(max: number, onMessage: (message: Message) => void): Promise<void> | undefined {
    const raw = this.raw
    let last: Promise<void> | undefined
    let count = 0
    try {
      // With a time limit of 0 each call takes its message, or fails with
      // EAGAIN, before it returns; a failure costs as much as ten questions. So
      // ask whether there is more before each step, and take long ones only where
      // that many are likely. The question is safe as nothing is pending.
      raw.setInt32Option(ZMQ_RCVTIMEO, 0)
      while (count < max && (this.waitingForRoom ? count === 0 : raw.readable)) {
        const step = Math.min(max - count, this.stepAfter(count))
        for (let i = 0; i < step; i++) last = raw.receive().then(onMessage, ignore)
        count += step
      }
      raw.setInt32Option(ZMQ_RCVTIMEO, -1)
      if (count > 0) {
        this.lastBurst = count
        this.lastWasFull = count >= max && max > 1
      }
    } catch {
      // closed
    }
    return last
  }

  // Bursts are like those before them.
  private stepAfter(count: number): number {
    if (this.lastWasFull) return Math.min(longestStep, this.lastBurst >> 1)
    if (count === 0) return 1
    return count < this.lastBurst * 0.75 ? Math.min(longestStep, Math.max(2, count >> 2)) : 2
  }

  attend(): void {
    // The event loop does it while a send waits, and the question would swallow its wake-up.
    if (this.waitingForRoom) return
    try {
      this.raw.readable
    } catch {
      // closed
    }
  }

  recheck(): boolean {
    // A send without frames sends nothing, on any socket type, and has the
    // pending receive looked at again (Socket::Send, TriggerReadable).
    if (this.waitingForRoom) return false
    attempt(() => sendOnAny().call(this.raw, [])).catch(ignore)
    return true
  }

  offer(message: Outgoing): Offer {
    if (this.waitingForRoom) return "full"
    try {
      switch (this.admission) {
        case "always":
          this.raw.send(message).catch(ignore)
          return "sent"
        case "writable":
          if (this.credit.left === 0) {
            if (!this.raw.writable) {
              this.recheck()
              return "full"
            }
            this.credit.grant()
          }
          this.raw.send(message).catch(() => {
            this.credit.end()
            this.onReturned(message)
          })
          this.credit.spend()
          return "sent"
        case "ask":
          return this.answered(answerOf(() => this.raw.send(message)))
      }
    } catch {
      return "closed"
    }
  }

  private answered(answer: Offer): Offer {
    if (answer === "sent") this.retryDelay = 1
    return answer
  }

  // Where libzmq would have to be asked before each message, it costs less to
  // wait for each answer in turn. The order is kept either way: nothing overtakes
  // a message that is refused.
  async offerAll(source: Source): Promise<Offer> {
    try {
      for (let message = source.peek(); message !== undefined; message = source.peek()) {
        if (this.admission === "always" || (this.admission === "writable" && this.credit.isForMany)) {
          const offer = this.offer(message)
          if (offer !== "sent") return offer
        } else {
          if (this.waitingForRoom) return "full"
          await this.raw.send(message)
          this.credit.spend()
        }
        source.sent()
      }
      return "sent"
    } catch (error) {
      return refusal(String((error as { readonly code?: unknown }).code))
    }
  }

  room(): Promise<boolean> {
    if (this.admission === "ask") return this.roomOfPeer()
    // A send without frames waits for room as any other, and has no message
    // that could be sent after its sender was interrupted.
    this.waitingForRoom = true
    return attempt(() => {
      this.raw.setInt32Option(ZMQ_SNDTIMEO, roomSlice)
      return this.raw.send([])
    }).then(this.roomEnded, this.roomEnded)
  }

  private readonly roomEnded = (): boolean => {
    this.waitingForRoom = false
    try {
      this.raw.setInt32Option(ZMQ_SNDTIMEO, 0)
    } catch {
      // closed
    }
    return this.isWritable()
  }

  // Whether the peer that is named has room raises no event. While no peer has
  // any there is no need to try; of a REQ or REP that says nothing.
  private roomOfPeer(): Promise<boolean> {
    const delay = this.retryDelay
    this.retryDelay = Math.min(roomSlice, delay * 2)
    return new Promise((resolve) => setTimeout(() => resolve(this.isWritable() || !this.byPeer), delay))
  }

  // The question has libzmq see to what its other threads have told it, and may
  // swallow the notification that a pending receive waits for.
  private isWritable(): boolean {
    try {
      return this.raw.writable
    } catch {
      return true
    } finally {
      this.recheck()
    }
  }

  set(setting: Setting): void {
    // The XPUB behind a PUB does not know of it, and does not.
    if (setting.option === "conflate" && setting.value === false) return
    // zeromq.js types `welcomeMessage` and others as text, yet takes bytes.
    const raw = this.raw as unknown as Record<string, Setting["value"]>
    raw[setting.option] = setting.value
    this.credit.set(setting)
  }

  subscribe(topic: Buffer): void {
    this.raw.setStringOption(ZMQ_SUBSCRIBE, topic)
  }

  unsubscribe(topic: Buffer): void {
    this.raw.setStringOption(ZMQ_UNSUBSCRIBE, topic)
  }

  bind(endpoint: string): string {
    // The asynchronous `bind` works on the socket from another thread.
    this.credit.end()
    this.raw.bindSync(endpoint)
    return this.raw.lastEndpoint ?? endpoint
  }

  connect(endpoint: string): void {
    this.immediate.connect(this.raw, endpoint)
    this.credit.connect(endpoint)
  }

  connectOnceReady(endpoint: string): void {
    if (this.admission === "always") return this.connect(endpoint)
    this.credit.end()
    this.immediate.connectOnceReady(this.raw, endpoint)
  }

  disconnect(endpoint: string): void {
    this.credit.end()
    // `unbindSync` is wired to bind (zeromq.js issue 704).
    untilDone(() => this.raw.disconnect(endpoint))
  }

  watch(onEvent: (event: ConnectionEvent) => void, onEnd: () => void): void {
    const tell = (event: ConnectionEvent): void => {
      // libzmq may end such a connection for good, and its pipe takes messages a while longer.
      if (event.type.startsWith("handshake:error")) this.credit.end()
      onEvent(event)
    }
    this.observer = watchRaw(this.raw, tell, onEnd)
  }

  close(): void {
    closeRaw(this.raw, this.observer)
  }
}
