/** A socket of libzmq, by way of zeromq.js, as the port wants it. */
import type { Message, Outgoing } from "../../Message.ts"
import { reliesOnZap } from "../authenticator.ts"
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
  Source
} from "../engine.ts"
import { hasLanes, peerOf, sharedLane } from "../lane.ts"
import type { SocketType } from "../socketTypes.ts"
import { errorOf } from "./answer.ts"
import { attendTo, leave, soon } from "./attend.ts"
import { closeNative } from "./closing.ts"
import type { ZeromqContext } from "./context.ts"
import { Endpoints, isSilent } from "./endpoints.ts"
import { Refusals } from "./fullPeers.ts"
import { Incoming } from "./incoming.ts"
import { Monitor } from "./monitor.ts"
import type { NativeSocket, OpenNative } from "./native.ts"
import { Recent } from "./recent.ts"
import { Returned } from "./returned.ts"
import { Rooms } from "./rooms.ts"
import { mostReconnected, Subscribers } from "./subscribers.ts"

// How long the end of a connection takes after libzmq has told of it, with all that
// was on its way, in milliseconds.
const millisToReadOn = 500

// How many peers that have left are remembered, and how long one that comes back may
// take over from itself, in milliseconds: until the socket is called.
const mostLeft = 1000
const millisToTakeOver = 300

export class ZeromqSocket implements EngineSocket {
  readonly native: NativeSocket
  readonly context: ZeromqContext
  readonly monitor: Monitor
  private readonly type: SocketType
  private readonly owner: Owner
  private readonly laneOf: (message: Outgoing) => Lane
  // Where nothing finds them that prints sockets: there are keys and passwords in them.
  readonly #incoming: Incoming
  readonly #settings = new Map<string, Setting>()
  private readonly rooms: Rooms
  private readonly returned: Returned
  private readonly endpoints: Endpoints
  private readonly counted: Subscribers | undefined
  // Where the ends of peers are seen only as the socket is read. A peer that has
  // left is there until what it had sent is read: a ROUTER has no other way to know
  // that there will be no room, a PAIR has no room for the next.
  private readonly refusals: Refusals | undefined
  private readUntil = 0
  // The routing ids of peers of this thread that have left over inproc.
  private readonly gone = new Recent(mostLeft)
  private takingOver: NodeJS.Timeout | undefined
  private closed = false

  constructor(
    { conflate, context, farewell, monitor, noDrop, prefetch, type }: Opening,
    owner: Owner,
    open: OpenNative
  ) {
    this.type = type
    this.owner = owner
    this.context = context as ZeromqContext
    this.native = open(type, { context: this.context.native, noDrop, conflate, farewell })
    this.laneOf = hasLanes(type) ? peerOf : () => sharedLane
    this.endpoints = new Endpoints(this)
    this.monitor = new Monitor({
      native: this.native,
      isStream: type === "rawStream",
      from: monitor,
      hasRoom: (sockets) => this.context.hasRoom(sockets),
      connectedTo: () => this.endpoints.networks,
      intervals: () => ({
        interval: (this.given("reconnectInterval") as number | undefined) ?? 100,
        maxInterval: (this.given("reconnectMaxInterval") as number | undefined) ?? 0
      }),
      onEvent: (event, connectedTo) => {
        owner.onEvent(event, connectedTo)
        // libzmq tells of the connection first, and the socket a moment later.
        if (event._tag === "Disconnected") this.peerLeft()
        else if (isNews.has(event._tag)) this.hasNews()
      }
    })
    // Whether it is told of subscriptions.
    const subscribed = (type === "pub" && !conflate) || type === "xpub"
    this.#incoming = new Incoming(this.native, {
      prefetch,
      newestOnly: conflate,
      laneOf: this.laneOf,
      accept: subscribed ? (message) => this.counted!.accept(message) : undefined,
      room: () => owner.wanted,
      wanted: () => this.counted?.wanted === true,
      onMessages: owner.onMessages,
      onEnd: owner.onEnd
    })
    this.rooms = new Rooms(this.native, hasLanes(type), (lane) => {
      if (this.returned.isEmpty || this.returned.sendAll()) owner.onRoom(lane)
      else this.rooms.await(lane)
    })
    this.returned = new Returned(this.native, this.rooms)
    if (hasLanes(type) || type === "pair") this.refusals = new Refusals((how) => this.#incoming.readAhead(how))
    if (subscribed) {
      this.counted = new Subscribers({
        incoming: this.#incoming,
        prefetch,
        hidden: type === "pub",
        mostPeers: () => this.mostPeers,
        sent: () => owner.sent,
        changed: owner.onPeers,
        onDropped: owner.onDropped
      })
    }
    if (type === "pub" && !conflate) this.native.set(allSubscriptions)
    attendTo(this)
  }

  get incoming(): Incoming {
    return this.#incoming
  }

  private given(option: string): unknown {
    return this.#settings.get(option)?.value
  }

  // ---------------------------------------------------------------------------
  // in
  // ---------------------------------------------------------------------------

  get ready(): number {
    return this.#incoming.ready
  }
  take(): Message {
    return this.#incoming.take()
  }
  listen(): void {
    this.#incoming.listen()
  }
  look(max: number, done: () => void): void {
    this.#incoming.look(max, done)
  }
  get receiving(): boolean {
    return this.#incoming.receiving
  }

  dismiss(): void {
    leave(this)
    // libzmq closes in another thread, and would keep the names until then.
    this.endpoints.giveUpNames()
    this.monitor.close()
    this.counted?.close()
    // That a peer which is owed something has left may be behind what it has sent.
    this.#incoming.dismiss(() => !this.rooms.isEmpty)
  }

  // ---------------------------------------------------------------------------
  // out
  // ---------------------------------------------------------------------------

  offer(message: Outgoing): Offer {
    const offer = this.returned.isEmpty || this.returned.sendAll() ? this.native.offer(message) : "full"
    const { refusals, rooms } = this
    if (offer === "full") refusals?.refused(this.laneOf(message))
    else if (!rooms.isEmpty || refusals?.isEmpty === false) {
      const lane = this.laneOf(message)
      rooms.answered(lane)
      refusals?.answered(lane)
    }
    return offer
  }

  offerAll(source: Source): Promise<Offer> {
    if (!this.returned.isEmpty && !this.returned.sendAll()) return Promise.resolve("full")
    return this.native.offerAll(source)
  }

  awaitRoom(lane: Lane): void {
    this.rooms.await(lane)
  }
  forgoRoom(lane: Lane): void {
    // What libzmq gave back waits there, too.
    if (this.returned.isEmpty || lane !== sharedLane) this.rooms.forgo(lane)
  }

  // ---------------------------------------------------------------------------
  // settings
  // ---------------------------------------------------------------------------

  set(setting: Setting): void {
    checkZap(this.type, setting)
    this.#settings.set(setting.option, setting)
    this.native.set(setting)
    this.makeRoomForUserId()
  }

  // Who it is that an authenticator lets in counts as a message of the peer, and is
  // never read (pipe.cpp:181). With a mark of 1 there would be no room for another.
  private makeRoomForUserId(): void {
    const mark = this.#settings.get("receiveHighWaterMark")
    if (mark?.value === 1 && reliesOnZap(this.#settings.values())) this.native.set({ ...mark, value: 2 })
  }

  subscribe(topic: Buffer): void {
    if (this.type === "xsub") this.native.offer(Buffer.concat([begin, topic]))
    else this.native.subscribe(topic)
  }

  unsubscribe(topic: Buffer): void {
    if (this.type === "xsub") this.native.offer(Buffer.concat([end, topic]))
    else this.native.unsubscribe(topic)
  }

  // ---------------------------------------------------------------------------
  // endpoints
  // ---------------------------------------------------------------------------

  bind(endpoint: string, done: Done<string>): GiveUp {
    return this.endpoints.bind(endpoint, done)
  }

  unbind(endpoint: string, done: Done<void>): void {
    this.endpoints.unbind(endpoint, done)
  }

  connect(endpoint: string, done: Done<void>): GiveUp {
    this.makeRoomInFront()
    return this.endpoints.connect(endpoint, done)
  }

  disconnect(endpoint: string): void {
    this.endpoints.disconnect(endpoint)
  }

  get routingId(): Buffer | undefined {
    return this.given("routingId") as Buffer | undefined
  }

  private makeRoomInFront(): void {
    const given = this.#settings.get("receiveHighWaterMark")?.given
    if (this.counted === undefined || !reliesOnZap(this.#settings.values()) || given !== undefined) return
    this.native.set({ option: "receiveHighWaterMark", value: mostReconnected, given, expected: "" })
  }

  // ---------------------------------------------------------------------------
  // peers
  // ---------------------------------------------------------------------------

  watch(): boolean {
    return this.monitor.watch()
  }

  peersUnknown(): string | undefined {
    if (!this.watch()) return "There is no room for the two sockets that watch connections: close scopes that are done"
    if (this.monitor.unseen) {
      return "Connections are not watched from the beginning in a worker thread, nor with `monitor: false`: open the socket without endpoints, run its `events`, and then bind or connect"
    }
    const { bindsSilently, bindsToNetwork, hasConnections } = this.endpoints
    if (bindsSilently.length === 0 || bindsToNetwork.length > 0 || hasConnections) return undefined
    return "libzmq tells nothing of who connects to an inproc or udp endpoint: await it on the socket that connects"
  }

  /** What it connected to over inproc or udp is there. */
  get peers(): number {
    return this.monitor.peers.size + this.endpoints.silentConnections
  }

  get knowsPeers(): boolean {
    const { unseen, watching } = this.monitor
    return watching && !unseen && this.endpoints.bindsSilently.length === 0
  }

  peersAt(endpoint: string): number | undefined {
    const { peers, unseen, watching } = this.monitor
    return watching && !unseen && !isSilent(endpoint) ? peers.at(endpoint) : undefined
  }

  get watched(): boolean {
    return this.monitor.watching
  }

  isConnected(endpoint: string): boolean {
    return this.endpoints.isConnectedSilently(endpoint) || this.monitor.peers.has(endpoint)
  }

  get subscribers(): EngineSubscribers | undefined {
    return this.counted
  }

  /** How many peers there are at most. */
  private get mostPeers(): number {
    return this.knowsPeers ? this.peers : Number.POSITIVE_INFINITY
  }

  /** Has libzmq see to what its other threads have told it. While a receive waits, the event loop does. */
  attend(): void {
    if (this.closed || this.#incoming.receiving) return
    if (performance.now() < this.readUntil) this.#incoming.readAll()
    else this.native.attend()
  }

  /** A peer has left, or is just leaving, or was left. */
  peerLeft(id?: Buffer): void {
    if (id !== undefined && this.type === "router") this.gone.add(id.toString("latin1"))
    // It is there until what it had sent is read, and until then nobody else gets
    // its place: one with its routing id, or the next peer of a PAIR.
    if (this.refusals !== undefined) this.readUntil = performance.now() + millisToReadOn
    this.hasNews()
  }

  /**
   * A peer of this thread connects over inproc. Where one of its routing id has just
   * left, libzmq may still have that one, and would ignore the new one for good.
   */
  expect(id: Buffer | undefined): void {
    if (id === undefined || !this.gone.delete(id.toString("latin1")) || this.given("handover") !== undefined) return
    this.letTakeOver(true)
    clearTimeout(this.takingOver)
    this.takingOver = setTimeout(() => this.letTakeOver(false), millisToTakeOver).unref()
  }

  private letTakeOver(value: boolean): void {
    if (!this.closed) this.native.set({ option: "handover", value, given: value, expected: "" })
  }

  hasNews(): void {
    this.counted?.soon()
    soon(this)
  }

  // ---------------------------------------------------------------------------
  // the end
  // ---------------------------------------------------------------------------

  close(linger: number, done: (delivery: Delivery) => void): void {
    const { context, endpoints, monitor, native, owner, returned } = this
    const ending = {
      context,
      native,
      incoming: this.#incoming,
      returned,
      endpoints,
      monitor,
      // Those who are owed something are sent it until it ends.
      get sent() {
        return owner.sent
      },
      linger: (this.given("linger") as number | undefined) ?? -1,
      stop: () => this.stop()
    }
    closeNative(ending, linger, done)
  }

  private stop(): void {
    this.closed = true
    this.#incoming.end()
    this.rooms.close()
    this.refusals?.end()
  }

  // ---------------------------------------------------------------------------
  // what went through it
  // ---------------------------------------------------------------------------

  get received(): { readonly messages: number; readonly bytes: number } {
    return this.#incoming
  }
  get again(): number {
    return this.#incoming.again
  }
  get dropped(): number {
    return this.counted?.dropped ?? 0
  }
  get left(): number {
    return this.#incoming.left
  }
}

const isNews: ReadonlySet<string> = new Set(["Connected", "HandshakeSucceeded", "HandshakeFailed"])

// What libzmq hands on first is who the peer is. A REQ takes that for a reply without
// its envelope, and hangs up (req.cpp, `req_session_t::push_msg`).
const checkZap = (type: SocketType, { option }: Setting): void => {
  if (type !== "req" || (option !== "zapDomain" && option !== "plainServer")) return
  const expected = `no ${option} on a REQ, as libzmq ends the connection of each peer that an authenticator lets in: use a DEALER, let the REP say who may connect, or use Engine.layerZmtp`
  throw Object.assign(errorOf("ENOTSUP", expected), { expected })
}

const begin = Buffer.from([1])
const end = Buffer.from([0])

const allSubscriptions: Setting = { option: "verbosity", value: "allSubsUnsubs", given: undefined, expected: "" }
