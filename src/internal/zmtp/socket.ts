/** A socket of this engine, as the port wants it. */
import type { Message, Outgoing } from "../../Message.ts"
import { SocketEvent } from "../../SocketEvent.ts"
import { isInproc } from "../endpoint.ts"
import type {
  Delivery,
  Done,
  EngineSocket,
  EngineSubscribers,
  GiveUp,
  Lane,
  Offer,
  Opening,
  Owner,
  Setting,
  Source,
  Whence
} from "../engine.ts"
import { turn } from "../turn.ts"
import type { ZmtpContext } from "./context.ts"
import { Endpoints, type Home } from "./endpoints.ts"
import type { InprocPipe } from "./inproc.ts"
import { Notices } from "./notices.ts"
import type { Core, Pattern } from "./pattern/pattern.ts"
import { makePattern, typeOf } from "./patterns.ts"
import { type Introduction, markOf, type Pipe } from "./pipe.ts"
import {
  type ConnectionOptions,
  defaultLimits,
  mayTalk,
  type SocketType,
  type ZapRequest
} from "./protocol/connection.ts"
import { Settings } from "./settings.ts"
import type { Wire } from "./transport/wire.ts"

/**
 * What it is to others: an `EngineSocket` to the rooms above, a `Host` to each of its
 * pipes, a `Home` to its endpoints, a `Core` to the pattern that makes it one of its type.
 * It passes on what each of them tells, and has little of its own.
 */
export class ZmtpSocket implements EngineSocket, Home, Core {
  readonly settings: Settings
  // Where nothing finds them that prints sockets: handshakes have passwords in them, and so may messages.
  readonly #pipes = new Set<Pipe>()
  isUsed = false
  again = 0
  dropped = 0
  left = 0
  peers = 0
  readonly knowsPeers = true
  readonly watched = true

  readonly type: SocketType | undefined
  private readonly context: ZmtpContext
  readonly notices: Notices
  private readonly farewell: Buffer | undefined
  // Where nothing finds it that prints sockets: messages may have passwords in them.
  readonly #pattern: Pattern
  readonly #endpoints: Endpoints
  /** Whence messages came, once somebody has asked. */
  private known: WeakMap<Message, Whence> | undefined
  private isDismissed = false
  private isClosed = false

  constructor({ conflate, context, farewell, noDrop, type }: Opening, owner: Owner) {
    this.farewell = farewell
    this.context = context as ZmtpContext
    this.notices = new Notices(owner, () => this.ready > 0)
    this.type = typeOf(type)
    this.settings = new Settings(type, this.context.ipv6, this.context.maxMessageSize)
    this.settings.conflate = conflate
    this.settings.noDrop = noDrop
    this.#pattern = makePattern(type, this)
    this.#endpoints = new Endpoints(this, this.context)
    this.context.enter()
  }

  // ---------------------------------------------------------------------------
  // in
  // ---------------------------------------------------------------------------

  get pipes(): ReadonlySet<Pipe> {
    return this.#pipes
  }

  get ready(): number {
    return this.#pattern.ready
  }

  take(): Message {
    const pattern = this.#pattern
    const pipe = pattern.inbound.next
    const message = pattern.take()
    if (this.known !== undefined && pipe.whence !== undefined) this.known.set(message, pipe.whence)
    turn.spend()
    // When there is room for half of what there may be, it is worth going on.
    if (pipe.inbox.length <= this.markIn >> 1) pipe.refill()
    return message
  }

  rememberPeers(): (message: Message) => Whence | undefined {
    const known = new WeakMap<Message, Whence>()
    this.known = known
    return (message) => known.get(message)
  }

  get markIn(): number {
    return markOf(this.settings.receiveHighWaterMark)
  }

  holdBack(lane: Lane, isHeldBack: boolean): number {
    const pattern = this.#pattern
    const pipe = pattern.inLane(lane)
    if (pipe === undefined) return 0
    if (isHeldBack) pattern.inbound.holdBack(pipe)
    else if (pipe.isHeldBack) {
      pattern.inbound.goOn(pipe)
      if (pattern.mayCome(pipe)) pipe.refill()
      this.notices.messages()
    }
    return pipe.queued
  }

  get waiting(): number {
    let waiting = 0
    for (const { inbox, isHeld, isHeldBack } of this.#pipes) if (isHeld || isHeldBack) waiting += inbox.length
    return waiting
  }

  listen(): void {
    this.isUsed = true
    this.notices.listen()
  }

  look(_: number, done: () => void): void {
    this.isUsed = true
    if (this.ready > 0 && !this.settings.conflate) return done()
    this.whenPolled(done)
  }

  whenPolled(done: () => void): void {
    // Over inproc all is here.
    if (this.#endpoints.isLocal) return done()
    // Of the turn that has begun some may be over already.
    setImmediate(() => setImmediate(done))
  }

  dismiss(): void {
    this.isDismissed = true
    this.notices.dismiss()
    const { inbound } = this.#pattern
    for (const pipe of this.#pipes) {
      inbound.goOn(pipe)
      inbound.admit(pipe)
    }
    while (inbound.length > 0) {
      inbound.take()
      this.left++
    }
    this.#endpoints.dismiss()
    for (const pipe of this.#pipes) pipe.refill()
  }

  // ---------------------------------------------------------------------------
  // what pipes tell
  // ---------------------------------------------------------------------------

  attached(pipe: Pipe, peer: Introduction): boolean {
    if (!this.mayTalkTo(peer.type)) return false
    const { address, userId } = peer
    pipe.whence = { address, userId: userId === "" ? undefined : userId }
    const admission = this.#pattern.attached(pipe, peer)
    if (admission === "out") return false
    this.#pipes.add(pipe)
    pipe.isThere = true
    pipe.isWaiting = admission === "wait"
    this.peers++
    this.notices.peers()
    // Over inproc nothing else tells of a name that is bound only now.
    if (isInproc(pipe.endpoint) && this.#endpoints.isConnectedBy(pipe)) {
      this.tell(SocketEvent.Connected({ endpoint: pipe.endpoint }), pipe)
      this.tell(SocketEvent.HandshakeSucceeded({ endpoint: pipe.endpoint }), pipe)
    }
    return true
  }

  private mayTalkTo(type: string | undefined): boolean {
    return this.type === undefined || type === undefined || mayTalk(this.type, type)
  }

  detached(pipe: Pipe): void {
    if (!pipe.isThere) return
    pipe.isThere = false
    this.#pattern.inbound.goOn(pipe)
    this.peers--
    // Before another comes in by its name. One that waits for that name is no end of it.
    if (!pipe.isWaiting) this.sayFarewell(pipe)
    this.#pattern.detached(pipe)
    // What came of it was for us.
    if (pipe.isWaiting) {
      pipe.isWaiting = false
      this.#pattern.inbound.admit(pipe)
    }
    this.notices.peers()
    this.notices.messages()
  }

  /** Behind all that came of a peer, what was asked for stands for its end. */
  private sayFarewell(pipe: Pipe): void {
    const { farewell, type } = this
    if (farewell === undefined || this.isDismissed) return
    const isConnected = this.#endpoints.isConnectedBy(pipe)
    if (type === "ROUTER" && !isConnected) this.#pattern.inbound.append(pipe, [pipe.routingId, farewell])
    else if (type === "DEALER" && isConnected) this.#pattern.inbound.append(pipe, [farewell])
  }

  arrived(pipe: Pipe, message: Message): boolean {
    // Nobody receives any more, or not from this peer.
    if (this.isDismissed || pipe.isOver) {
      if (this.isDismissed) this.left++
      turn.spend()
      return true
    }
    const pattern = this.#pattern
    const accepted = pattern.accept(pipe, message)
    if (accepted === undefined) {
      turn.spend()
      return true
    }
    const { inbox } = pipe
    if (this.settings.conflate && inbox.length > 0) {
      pattern.inbound.replace(pipe, accepted)
      return true
    }
    pattern.inbound.append(pipe, accepted)
    this.notices.messages()
    return pattern.mayCome(pipe)
  }

  subscribed(pipe: Pipe, topic: Buffer, begins: boolean): boolean {
    turn.spend()
    return this.isDismissed || this.#pattern.subscribed(pipe, topic, begins)
  }

  hasRoom(pipe: Pipe): void {
    this.#pattern.hasRoom(pipe)
  }

  drop(): void {
    this.dropped++
    this.notices.dropped()
  }

  get introduction(): Introduction {
    return { type: this.type, routingId: this.settings.routingId, address: undefined, userId: undefined }
  }

  get connectionOptions(): ConnectionOptions {
    const { maxMessageSize, routingId, security } = this.settings
    const limits =
      maxMessageSize < 0
        ? {}
        : { frameBytes: maxMessageSize, commandBytes: Math.min(maxMessageSize, defaultLimits.commandBytes) }
    return { local: { socketType: this.type!, identity: routingId }, security, limits }
  }

  ask(request: ZapRequest, address: string | undefined, wire: Wire): void {
    const { zap } = this.context
    const { zapDomain, zapEnforceDomain } = this.settings
    // As libzmq has it: without an authenticator whoever has the key of a CURVE server is
    // let in, and whoever comes to a domain that is not enforced.
    if (!zap.hasHandler) {
      if (request.mechanism === "PLAIN" || zapEnforceDomain) wire.nobodyToAsk()
      else wire.accept("")
      return
    }
    zap.ask(zapDomain, address ?? localAddress, request, (reply) => {
      if (reply.status === 200) wire.accept(reply.userId, reply.metadata)
      else wire.refuse(reply.status)
    })
  }

  // ---------------------------------------------------------------------------
  // out
  // ---------------------------------------------------------------------------

  offer(message: Outgoing): Offer {
    return this.isClosed ? "closed" : this.#pattern.offer(message)
  }

  offerAll(source: Source): Promise<Offer> {
    return new Promise((resolve, reject) => {
      const goOn = (): void => {
        try {
          const offer = this.offerInTurn(source)
          if (offer === undefined) turn.next(goOn)
          else resolve(offer)
        } catch (error) {
          reject(error)
        }
      }
      goOn()
    })
  }

  /** Until there are no more, one is refused, or the turn is over. */
  private offerInTurn(source: Source): Offer | undefined {
    for (let message = source.peek(); message !== undefined; message = source.peek()) {
      if (turn.isOver) return undefined
      const offer = this.offer(message)
      if (offer !== "sent") return offer
      source.sent()
      turn.spend()
    }
    return "sent"
  }

  awaitRoom(lane: Lane): void {
    this.notices.awaitRoom(lane)
    if (this.#pattern.isOpen(lane)) this.notices.room(lane)
  }
  forgoRoom(lane: Lane): void {
    this.notices.forgoRoom(lane)
  }

  // ---------------------------------------------------------------------------
  // settings
  // ---------------------------------------------------------------------------

  set(setting: Setting): void {
    this.settings.set(setting)
  }
  subscribe(topic: Buffer): void {
    this.#pattern.subscribe(topic)
  }
  unsubscribe(topic: Buffer): void {
    this.#pattern.unsubscribe(topic)
  }

  // ---------------------------------------------------------------------------
  // endpoints
  // ---------------------------------------------------------------------------

  bind(endpoint: string, done: Done<string>): GiveUp {
    return this.#endpoints.bind(endpoint, done)
  }
  unbind(endpoint: string, done: Done<void>): void {
    this.#endpoints.unbind(endpoint, done)
  }
  connect(endpoint: string, done: Done<void>): GiveUp {
    return this.#endpoints.connect(endpoint, done)
  }
  disconnect(endpoint: string): void {
    this.#endpoints.disconnect(endpoint)
  }
  accept(endpoint: string): InprocPipe {
    return this.#endpoints.accept(endpoint)
  }
  peersAt(endpoint: string): number | undefined {
    return this.#endpoints.peersAt(endpoint)
  }
  isConnected(endpoint: string): boolean {
    return this.#endpoints.isConnected(endpoint)
  }

  /** There may be a way to one more. Says whether there is. */
  open(pipe: Pipe): boolean {
    if (!this.#pattern.opened(pipe)) return false
    this.#pipes.add(pipe)
    return true
  }

  /** There is no way to its peer any more. */
  remove(pipe: Pipe): void {
    this.#pipes.delete(pipe)
    this.#pattern.ended(pipe)
  }

  // ---------------------------------------------------------------------------
  // peers
  // ---------------------------------------------------------------------------

  tell(event: SocketEvent, pipe?: Pipe): void {
    // By the time it is told, we may have left it, and be connected to the same endpoint anew.
    this.notices.event(event, () =>
      pipe !== undefined && this.#endpoints.isConnectedBy(pipe) ? pipe.endpoint : undefined
    )
  }

  watch(): boolean {
    return true
  }
  peersUnknown(): undefined {
    return undefined
  }

  get received(): { readonly messages: number; readonly bytes: number } {
    const { bytes, messages } = this.#pattern.inbound
    return { messages: messages + this.dropped, bytes }
  }

  get subscribers(): EngineSubscribers | undefined {
    return this.#pattern.subscribers
  }

  // ---------------------------------------------------------------------------
  // the end
  // ---------------------------------------------------------------------------

  close(linger: number, done: (delivery: Delivery) => void): void {
    this.isClosed = true
    this.notices.close()
    if (!this.isDismissed) this.dismiss()
    const pipes = [...this.#pipes]
    this.#pipes.clear()
    this.#endpoints.close(pipes, linger, done)
  }
}

/** What ZAP is told of a peer over ipc, as libzmq does. */
const localAddress = "localhost"
