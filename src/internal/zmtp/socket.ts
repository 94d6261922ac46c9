/** A socket of this engine, as the port wants it. */
import type { Message, Outgoing } from "../../Message.ts"
import { SocketEvent } from "../../SocketEvent.ts"
import { hostToResolve, isInproc } from "../endpoint.ts"
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
import { microtask } from "../microtask.ts"
import { turn } from "../turn.ts"
import { errorOf, resolve, transportOf } from "./addresses.ts"
import type { Binder, ZmtpContext } from "./context.ts"
import { InprocPipe } from "./inproc.ts"
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
import { Connecter } from "./transport/connecter.ts"
import { Listener } from "./transport/listener.ts"
import { type NetworkHost, NetworkPipe, type OnEnd } from "./transport/networkPipe.ts"
import { RawPipe } from "./transport/rawPipe.ts"
import type { Readable } from "./transport/reading.ts"
import type { Wire } from "./transport/wire.ts"

interface Bound {
  readonly close: (done: () => void) => void
  readonly pipes: Set<Pipe>
}

interface Connected {
  readonly pipe: Pipe
  readonly close: () => void
}

export class ZmtpSocket implements EngineSocket, NetworkHost, Core, Binder {
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

  private readonly type: SocketType | undefined
  private readonly context: ZmtpContext
  private readonly owner: Owner
  private readonly farewell: Buffer | undefined
  // Where nothing finds it that prints sockets: messages may have passwords in them.
  readonly #pattern: Pattern
  readonly #bound = new Map<string, Bound>()
  readonly #connected = new Map<string, Connected>()
  readonly #leaving = new Set<Pipe>()
  private readonly underWay = new Set<GiveUp>()
  private readonly waiting = new Set<Lane>()
  private readonly roomIn = new Set<Lane>()
  /** Whence messages came, once somebody has asked. */
  private known: WeakMap<Message, Whence> | undefined
  private isListening = false
  private willTell = false
  private willTellRoom = false
  private willTellPeers = false
  private isDismissed = false
  private isClosed = false

  constructor({ conflate, context, farewell, noDrop, type }: Opening, owner: Owner) {
    this.farewell = farewell
    this.context = context as ZmtpContext
    this.owner = owner
    this.type = typeOf(type)
    this.settings = new Settings(type, this.context.ipv6, this.context.maxMessageSize)
    this.settings.conflate = conflate
    this.settings.noDrop = noDrop
    this.#pattern = makePattern(type, this)
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
    this.isUsed = true
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

  listen(): void {
    this.isUsed = true
    this.isListening = true
    if (this.ready > 0) this.tell()
  }

  tell(): void {
    if (!this.isListening || this.willTell) return
    this.willTell = true
    if (turn.isOver) turn.next(this.tellMessages)
    else microtask(this.tellMessages)
  }

  private readonly tellMessages = (): void => {
    this.willTell = false
    if (!this.isListening || this.isDismissed || this.ready === 0) return
    if (turn.isOver) return this.tell()
    this.isListening = false
    this.owner.onMessages()
  }

  look(_: number, done: () => void): void {
    this.isUsed = true
    if (this.ready > 0 && !this.settings.conflate) return done()
    this.whenPolled(done)
  }

  whenPolled(done: () => void): void {
    // Over inproc all is here.
    if (this.#connected.size + this.#bound.size === 0 || this.isLocal) return done()
    // Of the turn that has begun some may be over already.
    setImmediate(() => setImmediate(done))
  }

  private get isLocal(): boolean {
    for (const endpoint of this.#connected.keys()) if (!isInproc(endpoint)) return false
    for (const endpoint of this.#bound.keys()) if (!isInproc(endpoint)) return false
    return true
  }

  dismiss(): void {
    this.isDismissed = true
    this.isListening = false
    const { inbound } = this.#pattern
    while (inbound.length > 0) {
      inbound.take()
      this.left++
    }
    for (const give of this.underWay) give()
    this.underWay.clear()
    // Names over inproc are free, and nobody comes in any more.
    for (const endpoint of this.#bound.keys()) if (isInproc(endpoint)) this.context.unbind(endpoint, this)
    for (const pipe of this.#pipes) pipe.refill()
  }

  // ---------------------------------------------------------------------------
  // what pipes tell
  // ---------------------------------------------------------------------------

  attached(pipe: Pipe, peer: Introduction): boolean {
    if (this.isDismissed && isInproc(pipe.endpoint)) return false
    if (isInproc(pipe.endpoint) && !this.mayTalkTo(peer.type)) return false
    const { address, userId } = peer
    pipe.whence = { address, userId: userId === "" ? undefined : userId }
    const admission = this.#pattern.attached(pipe, peer)
    if (admission === "out") return false
    this.#pipes.add(pipe)
    pipe.isThere = true
    pipe.isWaiting = admission === "wait"
    this.peers++
    this.tellPeers()
    // Over inproc nothing else tells of a name that is bound only now.
    if (isInproc(pipe.endpoint) && this.#connected.get(pipe.endpoint)?.pipe === pipe) {
      this.tellTo(SocketEvent.Connected({ endpoint: pipe.endpoint }), pipe.endpoint)
      this.tellTo(SocketEvent.HandshakeSucceeded({ endpoint: pipe.endpoint }), pipe.endpoint)
    }
    return true
  }

  private mayTalkTo(type: string | undefined): boolean {
    return this.type === undefined || type === undefined || mayTalk(this.type, type)
  }

  detached(pipe: Pipe): void {
    if (!pipe.isThere) return
    pipe.isThere = false
    this.peers--
    // Before another comes in by its name. One that waits for that name is no end of it.
    if (!pipe.isWaiting) this.sayFarewell(pipe)
    this.#pattern.detached(pipe)
    // What came of it was for us.
    if (pipe.isWaiting) {
      pipe.isWaiting = false
      this.#pattern.inbound.admit(pipe)
    }
    this.tellPeers()
    if (this.ready > 0) this.tell()
  }

  /** Behind all that came of a peer, what was asked for stands for its end. */
  private sayFarewell(pipe: Pipe): void {
    const { farewell, type } = this
    if (farewell === undefined || this.isDismissed) return
    const isConnected = this.#connected.get(pipe.endpoint)?.pipe === pipe
    if (type === "ROUTER" && !isConnected) this.#pattern.inbound.append(pipe, [pipe.routingId, farewell])
    else if (type === "DEALER" && isConnected) this.#pattern.inbound.append(pipe, [farewell])
  }

  arrived(pipe: Pipe, message: Message): boolean {
    if (this.isDismissed) {
      this.left++
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
    if (this.isListening && !this.willTell) this.tell()
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
    this.owner.onDropped()
  }

  get introduction(): Introduction {
    return { type: this.type, routingId: this.settings.routingId, address: undefined, userId: undefined }
  }

  /** Somebody wants to connect over inproc. */
  accept(endpoint: string): InprocPipe {
    const pipes = this.#bound.get(endpoint)?.pipes
    const pipe = new InprocPipe(this, endpoint, () => {
      pipes?.delete(pipe)
      this.remove(pipe)
      this.context.retry(endpoint)
    })
    pipes?.add(pipe)
    return pipe
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
    this.waiting.add(lane)
    if (this.#pattern.isOpen(lane)) this.tellRoom(lane)
  }

  forgoRoom(lane: Lane): void {
    this.waiting.delete(lane)
    this.roomIn.delete(lane)
  }

  tellRoom(lane: Lane): void {
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
    const wrong = this.refusalOf(endpoint)
    if (wrong !== undefined) {
      done(wrong)
      return ignore
    }
    if (isInproc(endpoint)) {
      if (this.#bound.has(endpoint)) {
        done(errorOf("EADDRINUSE", "bound already"))
        return ignore
      }
      this.#bound.set(endpoint, { close: (done) => done(), pipes: new Set() })
      try {
        this.context.bind(endpoint, this)
      } catch (error) {
        this.#bound.delete(endpoint)
        done(error)
        return ignore
      }
      done(undefined, endpoint)
      return ignore
    }
    const pipes = new Set<Pipe>()
    const listener = new Listener({
      settings: this.settings,
      tell: this.tellTo,
      welcome: (readable, at) => this.welcome(readable, at, pipes)
    })
    return this.begin((over) =>
      listener.listen(endpoint, (error, resolved) => {
        over()
        if (error === undefined) this.#bound.set(resolved!, { close: (done) => listener.close(done), pipes })
        done(error, resolved)
      })
    )
  }

  /** What is under way until it calls `over`. It is given up when the socket is dismissed, if not before. */
  private begin(run: (over: () => void) => GiveUp): GiveUp {
    let giveUpRun = ignore
    const giveUp = (): void => {
      this.underWay.delete(giveUp)
      giveUpRun()
    }
    this.underWay.add(giveUp)
    giveUpRun = run(() => this.underWay.delete(giveUp))
    return giveUp
  }

  private welcome(readable: Readable, endpoint: string, pipes: Set<Pipe>): void {
    if (this.isDismissed) {
      readable.socket.destroy()
      return
    }
    const ended = (): void => {
      pipes.delete(pipe)
      this.remove(pipe)
    }
    const pipe = this.pipeTo(endpoint, false, ended)
    pipes.add(pipe)
    pipe.establish(readable)
  }

  /** We want no more of a peer. What was sent to it goes on its way. */
  private leave(pipe: Pipe, done: () => void): void {
    this.#leaving.add(pipe)
    this.detached(pipe)
    this.remove(pipe)
    const { linger } = this.settings
    const timer =
      linger > 0 && Number.isFinite(linger) ? setTimeout(() => pipe.close(0, ignore), linger).unref() : undefined
    pipe.close(linger, () => {
      clearTimeout(timer)
      this.#leaving.delete(pipe)
      done()
    })
  }

  /** There is no way to its peer any more. */
  private remove(pipe: Pipe): void {
    this.#pipes.delete(pipe)
    this.#pattern.ended(pipe)
  }

  private pipeTo(endpoint: string, connecting: boolean, onEnd: OnEnd) {
    return this.type === undefined
      ? new RawPipe(this, endpoint, connecting, onEnd)
      : new NetworkPipe(this, endpoint, connecting, onEnd)
  }

  unbind(endpoint: string, done: Done<void>): void {
    const bound = this.#bound.get(endpoint)
    if (bound === undefined) return done(errorOf("ENOENT", `not bound to ${endpoint}`))
    this.#bound.delete(endpoint)
    if (isInproc(endpoint)) this.context.unbind(endpoint, this)
    for (const pipe of bound.pipes) this.leave(pipe, ignore)
    bound.close(() => done(undefined))
  }

  connect(endpoint: string, done: Done<void>): GiveUp {
    const wrong = this.refusalOf(endpoint)
    if (wrong !== undefined) {
      done(wrong)
      return ignore
    }
    const name = hostToResolve(endpoint)
    if (name === undefined) {
      this.connectNow(endpoint)
      done(undefined)
      return ignore
    }
    // So that it is told at once that there is no such host.
    return this.begin((over) =>
      resolve(name, this.settings.ipv6, (error) => {
        over()
        if (error === undefined) this.connectNow(endpoint)
        done(error)
      })
    )
  }

  private refusalOf(endpoint: string): Error | undefined {
    const transport = transportOf(endpoint)
    return transport === "tcp" || transport === "ipc" || transport === "inproc"
      ? undefined
      : errorOf("EPROTONOSUPPORT", `no ${transport} on the engine Engine.layerZmtp`)
  }

  private connectNow(endpoint: string): void {
    if (this.#connected.has(endpoint)) return
    if (isInproc(endpoint)) this.connectInproc(endpoint)
    else this.connectNetwork(endpoint)
  }

  private connectInproc(endpoint: string): void {
    const pipe = new InprocPipe(
      this,
      endpoint,
      (wasRefused) => {
        this.tellTo(SocketEvent.Disconnected({ endpoint }), endpoint)
        if (wasRefused) this.context.wait(endpoint, pipe)
        else this.context.connect(endpoint, pipe)
      },
      () => this.context.disconnect(endpoint, pipe)
    )
    this.#connected.set(endpoint, { pipe, close: ignore })
    this.open(pipe)
    this.context.connect(endpoint, pipe)
  }

  private connectNetwork(endpoint: string): void {
    const pipe: NetworkPipe | RawPipe = this.pipeTo(endpoint, true, (failure, wasReady) => {
      if (pipe.isOver && pipe.queued === 0) connecter.close()
      else connecter.lost(failure, wasReady)
    })
    const connecter = new Connecter({
      endpoint,
      settings: this.settings,
      tell: this.tellTo,
      established: (readable) => pipe.establish(readable)
    })
    this.#connected.set(endpoint, { pipe, close: () => connecter.close() })
    if (this.open(pipe)) connecter.attempt()
  }

  /** Says whether there may be a way to one more. */
  private open(pipe: Pipe): boolean {
    if (!this.#pattern.opened(pipe)) return false
    this.#pipes.add(pipe)
    return true
  }

  disconnect(endpoint: string): void {
    const connected = this.#connected.get(endpoint)
    if (connected === undefined) throw errorOf("ENOENT", `not connected to ${endpoint}`)
    this.#connected.delete(endpoint)
    this.leave(connected.pipe, connected.close)
  }

  // ---------------------------------------------------------------------------
  // peers
  // ---------------------------------------------------------------------------

  readonly tellTo = (event: SocketEvent, connectedTo: string | undefined): void => {
    microtask(() => {
      if (!this.isClosed) this.owner.onEvent(event, connectedTo)
    })
  }

  tellPeers(): void {
    if (this.willTellPeers) return
    this.willTellPeers = true
    microtask(() => {
      this.willTellPeers = false
      if (!this.isClosed) this.owner.onPeers()
    })
  }

  watch(): boolean {
    return true
  }
  peersUnknown(): undefined {
    return undefined
  }

  peersAt(endpoint: string): number | undefined {
    let count = 0
    for (const pipe of this.#bound.get(endpoint)?.pipes ?? []) if (pipe.isThere) count++
    return count
  }

  isConnected(endpoint: string): boolean {
    return this.#connected.get(endpoint)?.pipe.isThere === true
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
    if (!this.isDismissed) this.dismiss()
    const connected = [...this.#connected.values()]
    const bound = [...this.#bound.values()]
    this.#connected.clear()
    this.#bound.clear()
    const pipes = new Set([...this.#pipes, ...this.#leaving, ...bound.flatMap(({ pipes }) => [...pipes])])
    this.#pipes.clear()
    let unsent = 0
    let isInTime = true
    let open = pipes.size + bound.length
    let isDone = false
    let timer: NodeJS.Timeout | undefined
    const closeOne = (): void => {
      open--
      if (open > 0 || isDone) return
      isDone = true
      clearTimeout(timer)
      this.context.leave()
      for (const one of connected) one.close()
      // Whoever does not linger does not mind.
      microtask(() => done({ inTime: isInTime && (unsent === 0 || linger <= 0), unsent }))
    }
    // One more, for itself.
    open++
    for (const one of bound) one.close(closeOne)
    for (const pipe of pipes) {
      pipe.close(linger, (count) => {
        unsent += count
        closeOne()
      })
    }
    if (open > 1 && linger > 0 && Number.isFinite(linger)) {
      timer = setTimeout(() => {
        isInTime = false
        for (const pipe of pipes) pipe.close(0, ignore)
      }, linger)
    }
    closeOne()
  }
}

const ignore = (): void => {}

/** What ZAP is told of a peer over ipc, as libzmq does. */
const localAddress = "localhost"
