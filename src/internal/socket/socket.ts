/**
 * Opening a socket, all or nothing, and closing it: the life of what every
 * socket type has in common.
 */
import { lookup } from "node:dns"
import { isMainThread } from "node:worker_threads"
import * as Clock from "effect/Clock"
import * as EffectContext from "effect/Context"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import type { SocketEvent } from "../../SocketEvent.ts"
import type { Stats } from "../../Stats.ts"
import type { Status } from "../../Status.ts"
import { Context } from "../../ZmqContext.ts"
import {
  BindError,
  Closed,
  ConnectError,
  InvalidState,
  OpenError,
  OptionError,
  Refused,
  type SocketError
} from "../../ZmqError.ts"
import { Held, mostPerPeer } from "../receive/held.ts"
import { Inbox } from "../receive/inbox.ts"
import { Outbox } from "../send/outbox.ts"
import { startTimerWith } from "../timer.ts"
import { zapEndpoint } from "../zap/reliance.ts"
import { errorOf, unreadable } from "../zeromq/answer.ts"
import { attendTo, leave, soon } from "../zeromq/attend.ts"
import { promptly, whenFree, within } from "../zeromq/free.ts"
import { Native, type NativeSocket, type Open } from "../zeromq/native.ts"
import { Peers } from "../zeromq/peers.ts"
import { Reconnect } from "../zeromq/reconnect.ts"
import { Refusals } from "../zeromq/refusals.ts"
import { mostInFront, mostReconnected, Subscribers } from "../zeromq/subscribers.ts"
import { closeSocket, closeWith } from "./closing.ts"
import { Connections } from "./connections.ts"
import { type ContextCore, hasDescriptors } from "./context.ts"
import { checkBind, checkConnect, type EndpointFault, faultOf, hostToResolve, isInproc } from "./endpoint.ts"
import { type Prepared, prepare, type SocketType } from "./options.ts"
import { type Link, Links, statusOf } from "./status.ts"
import { inThePast, Warnings } from "./warnings.ts"

// How many messages a mailbox may hold that nobody has asked for yet. A small
// high-water mark is a wish for fewer.
const mailboxCapacity = 256

/** A bind, which a scope or a caller can undo. */
export interface Bound {
  readonly given: string
  readonly resolved: string
}

/** A connect, likewise. */
export interface Connected {
  readonly endpoint: string
}

/** An open socket, before it has the operations of its type. */
export class SocketCore {
  readonly type: SocketType
  readonly options: Prepared
  readonly native: NativeSocket
  // Where nothing finds it that prints sockets: that of an authenticator has passwords in it.
  readonly #inbox: Inbox
  readonly outbox: Outbox
  readonly subscriptions: Subscriptions
  /** Of a PUB or XPUB that is told of them. */
  readonly subscribers: Subscribers | undefined
  readonly connections: Connections
  /** Closes it, and counts what was left in it. */
  readonly shut: Effect.Effect<void> = closeSocket(this)
  /** Called when the socket closes, before anything else is. */
  readonly closing = new Set<() => void>()
  closed = false
  leftAtClose = 0
  readonly context: ContextCore
  private bound: Array<Bound> = []
  private connected: Array<Connected> = []
  private watching = false
  /** Resolves when libzmq has done with it, if it is watched. */
  private ended: Promise<void> | undefined
  // Whether there was ever a network under it, or something else.
  private network = false
  private silent = false
  private lastEndpoint = ""
  // Who waits for libzmq to let go of an endpoint.
  private readonly freeing = new Map<string, () => void>()
  // Whether there were connections before anybody watched.
  private unseen = false
  // Binds while it was watched, and how many of them libzmq's events were read of.
  private binds = 0
  private heardBinds = 0
  private readonly peers: Peers
  private readonly placesAreTaken: boolean
  private readsUntil = 0
  private readonly reconnect: Reconnect
  private readonly links: Links
  // The routing ids of peers of this thread that have left over inproc.
  private readonly left = new Recent(mostLeft)
  private takingOver: NodeJS.Timeout | undefined
  readonly waitsFor = new Set<string>()
  private readonly log: Log
  private readonly refusals = new Warnings((count, minutes) =>
    this.log(
      "Warn",
      `effect-zmq: a ${this.type} socket and its peers did not accept each other ${count} more times ${inThePast(minutes)}`,
      { socket: this.type, endpoints: this.endpoints.join(" "), count }
    )
  )

  constructor(
    type: SocketType,
    options: Prepared,
    native: NativeSocket,
    context: ContextCore,
    { after, log, now }: Surroundings
  ) {
    this.type = type
    this.options = options
    this.native = native
    this.context = context
    this.peers = new Peers(type !== "rawStream", () => this.connectedTo.filter(isNetwork))
    this.connections = new Connections(
      (event) => {
        this.peers.tell(event)
        this.heed(event)
        this.heard(event)
      },
      () =>
        this.log("Warn", "effect-zmq: whoever reads the events of a socket is behind, and misses the oldest", {
          socket: this.type,
          endpoints: this.endpoints.join(" ")
        })
    )
    this.reconnect = new Reconnect(
      {
        interval: (this.given("reconnectInterval") as number | undefined) ?? 100,
        maxInterval: (this.given("reconnectMaxInterval") as number | undefined) ?? 0
      },
      native,
      (address, interval) => this.connections.tell({ type: "connect:retry", address, interval }),
      (then) => this.connections.whenQuiet(then)
    )
    this.log = log
    this.links = new Links(type !== "rawStream", { now, after, unreached: this.unreached })
    const highWaterMark = options.receiveHighWaterMark
    const capacity = highWaterMark > 0 ? Math.min(highWaterMark, mailboxCapacity) : mailboxCapacity
    this.#inbox = new Inbox(native, capacity, options.conflate)
    const byPeer = type === "router" || type === "rawStream" || type === "server"
    this.outbox = new Outbox(native, byPeer)
    if (type === "dealer") {
      this.inbox.onStalled = this.warnOnce(
        `a reply to a request may be behind ${capacity} messages that nobody receives, and waits until some are received: receive on the DEALER`
      )
    }
    if (byPeer) {
      this.inbox.held = new Held(
        this.inbox,
        this.outbox,
        type !== "rawStream" ? undefined : this.given("notify") === false ? "untold" : "told",
        this.warnOnce(`messages of a peer that does not read what is sent to it are dropped beyond ${mostPerPeer}`)
      )
    }
    // A peer that has left is there until what it had sent is read: a ROUTER has no
    // other way to know that there will be no room, a PAIR has no room for the next.
    this.placesAreTaken = byPeer || type === "pair"
    if (this.placesAreTaken) this.outbox.refusals = new Refusals((how) => this.inbox.readAhead(how))
    this.subscriptions = new Subscriptions(
      type === "xsub"
        ? (topic, on) => void this.outbox.offer(Buffer.concat([Buffer.from([on ? 1 : 0]), topic]))
        : (topic, on) => (on ? native.subscribe(topic) : native.unsubscribe(topic))
    )
    this.subscribers =
      (type === "pub" && !options.conflate) || type === "xpub"
        ? new Subscribers(
            this.inbox,
            type === "pub",
            () => this.mostPeers,
            () => this.outbox.sent,
            this.connections.changed,
            this.warnOnce(`a ${type} socket drops messages that subscribers send it`)
          )
        : undefined
  }

  private warnOnce(what: string): () => void {
    let said = false
    return () => {
      if (said) return
      said = true
      this.log("Warn", `effect-zmq: ${what}`, { socket: this.type, endpoints: this.endpoints.join(" ") })
    }
  }

  get inbox(): Inbox {
    return this.#inbox
  }

  /** What went through it. */
  get stats(): Stats {
    const { inbox, outbox } = this
    return {
      messagesIn: inbox.arrivals,
      bytesIn: inbox.bytes,
      messagesOut: outbox.sent,
      bytesOut: outbox.bytes,
      queued: inbox.queued,
      putBack: inbox.mailbox.putBacks,
      again: inbox.again + outbox.again,
      dropped: (inbox.held?.dropped ?? 0) + (this.subscribers?.dropped ?? 0),
      eventsDropped: this.connections.dropped,
      leftAtClose: this.leftAtClose
    }
  }

  /** libzmq asks the authenticator about its peers, if there is one. */
  get reliesOnZap(): boolean {
    return this.options.settings.some(
      ({ option, value }) => option === "zapDomain" || (/^(curve|plain)Server$/.test(option) && value === true)
    )
  }

  private given(option: string): unknown {
    return this.options.settings.find((setting) => setting.option === option)?.value
  }

  /** Milliseconds. */
  get linger(): number {
    const given = this.given("linger") as number
    return given < 0 ? Number.POSITIVE_INFINITY : given
  }

  /** For how many milliseconds others of its scope have been closing. */
  lingerIsLess = 0

  /** Milliseconds. */
  lingerFor(millis: number): void {
    if (millis === Number.POSITIVE_INFINITY) return
    this.native.set({ option: "linger", value: Math.ceil(millis), given: undefined, expected: "" })
  }

  get endpoints(): ReadonlyArray<string> {
    return [...this.bound.map((bound) => bound.resolved), ...this.connectedTo]
  }

  /** Where it is, or was last: to name it in the log. */
  get whereabouts(): string {
    return this.endpoints.join(" ") || this.lastEndpoint
  }

  private get connectedTo(): ReadonlyArray<string> {
    return this.connected.map(({ endpoint }) => endpoint)
  }

  /** Throws BindError. */
  bind(endpoint: string): Bound {
    const fault = checkBind(endpoint, this.type) ?? this.checkZap(endpoint)
    if (fault !== undefined) throw new BindError({ operation: "bind", endpoint, ...fault })
    try {
      this.watchFor(endpoint)
      if (isNetwork(endpoint)) {
        // libzmq aborts the process when it has none for what it binds (ip_resolver.cpp:542).
        if (!hasDescriptors(4)) throw errorOf("EMFILE", "no file descriptor to bind with")
        if (this.watching) this.binds++
      }
      const resolved = this.native.bind(endpoint)
      const bound = { given: endpoint, resolved }
      this.bound.push(bound)
      this.connections.changed.raise()
      if (isInproc(resolved)) {
        this.context.binders.set(resolved, this)
        this.join(resolved)
      }
      return bound
    } catch (cause) {
      throw new BindError({ operation: "bind", endpoint, ...faultOf("bind", endpoint, cause), cause })
    }
  }

  /** Undoes a bind: the given one, if it is still there, or the newest of an endpoint. Ends when the endpoint is free. Throws BindError. */
  unbind(which: string | Bound): Effect.Effect<void> {
    const endpoint = typeof which === "string" ? which : which.given
    const at =
      typeof which === "string"
        ? this.bound.findLastIndex((bound) => bound.resolved === which || bound.given === which)
        : this.bound.indexOf(which)
    if (at < 0) throw new BindError({ operation: "unbind", endpoint, ...notHere })
    const { resolved } = this.bound[at]!
    try {
      const free = this.whenFreed(resolved)
      this.native.disconnect(resolved)
      return free
    } catch (cause) {
      throw new BindError({ operation: "unbind", endpoint, ...faultOf("unbind", endpoint, cause), cause })
    } finally {
      this.bound.splice(at, 1)
      this.lastEndpoint = resolved
      this.leaveName(resolved)
      this.peers.unbound(resolved)
      this.connections.changed.raise()
      this.peerLeft()
    }
  }

  // libzmq closes what listens in another thread, and then says so.
  private whenFreed(endpoint: string): Effect.Effect<void> {
    if (isSilent(endpoint)) return Effect.void
    if (!this.watching) return whenFree(endpoint)
    const freed = new Promise<void>((resolve) => this.freeing.set(endpoint, resolve))
    return Effect.promise(() => within(promptly, freed))
  }

  /** Throws ConnectError. */
  connect(endpoint: string): Connected {
    const fault = checkConnect(endpoint, this.type) ?? this.checkIpv6(endpoint)
    if (fault !== undefined) throw new ConnectError({ operation: "connect", endpoint, ...fault })
    try {
      this.watchFor(endpoint)
      this.makeRoomInFront()
      // libzmq's disconnect ends all connections to an endpoint at once, so there
      // is one of them, for as long as anybody wants it.
      if (isInproc(endpoint)) {
        this.mayWaitFor(endpoint)
        this.context.binders.get(endpoint)?.expect(this.given("routingId") as Buffer | undefined)
      }
      if (!this.connectedTo.includes(endpoint)) {
        this.native.connect(endpoint)
        if (this.watching || isSilent(endpoint)) this.links.begin(endpoint, isSilent(endpoint))
      }
      const connected = { endpoint }
      this.connected.push(connected)
      if (isInproc(endpoint)) {
        this.join(endpoint)
        // Its peer does not wake who has not looked there yet, and libzmq tells nobody to look.
        if (this.inbox.receiving) this.native.recheck()
      }
      this.connections.changed.raise()
      return connected
    } catch (cause) {
      throw new ConnectError({ operation: "connect", endpoint, ...faultOf("connect", endpoint, cause), cause })
    }
  }

  private makeRoomInFront(): void {
    const given = this.options.settings.find(({ option }) => option === "receiveHighWaterMark")?.given ?? mostInFront
    if (this.subscribers === undefined || !this.reliesOnZap || given !== mostInFront) return
    this.native.set({ option: "receiveHighWaterMark", value: mostReconnected, given, expected: "" })
  }

  // With any other type libzmq aborts the process at the first handshake that
  // it asks about (session_base.cpp:343).
  private checkZap(endpoint: string): EndpointFault | undefined {
    return endpoint !== zapEndpoint || this.type === "rep" || this.type === "router"
      ? undefined
      : {
          reason: "IncompatibleTransport",
          advice: "Authenticators alone have this name (RFC 27): use a ROUTER or a REP"
        }
  }

  // Accepted by libzmq, which then never connects.
  private checkIpv6(endpoint: string): EndpointFault | undefined {
    const ipv6 = this.given("ipv6") ?? this.context.settings.ipv6 ?? false
    return ipv6 || !/^(tcp|ws):\/\/.*\[/.test(endpoint)
      ? undefined
      : { reason: "AddressNotAvailable", advice: "Set the option `ipv6: true` to use IPv6 addresses" }
  }

  /** Undoes a connect: the given one, if it is still there, or the newest to an endpoint. Throws ConnectError. */
  disconnect(which: string | Connected): void {
    const endpoint = typeof which === "string" ? which : which.endpoint
    const at = typeof which === "string" ? this.connectedTo.lastIndexOf(which) : this.connected.indexOf(which)
    if (at < 0) throw new ConnectError({ operation: "disconnect", endpoint, ...notHere })
    this.connected.splice(at, 1)
    this.lastEndpoint = endpoint
    if (this.connectedTo.includes(endpoint)) return
    this.peers.disconnected(endpoint)
    this.links.end(endpoint)
    this.connections.changed.raise()
    if (this.reconnect.forget(endpoint)) return
    try {
      this.native.disconnect(endpoint)
    } catch (cause) {
      throw new ConnectError({ operation: "disconnect", endpoint, ...faultOf("disconnect", endpoint, cause), cause })
    } finally {
      this.leaveName(endpoint)
      this.peerLeft()
    }
  }

  private mayWaitFor(name: string): void {
    this.context.noteConnected(name)
    if (this.context.binders.has(name) || this.waitsFor.has(name)) return
    this.waitsFor.add(name)
    this.context.waiting.add(name)
  }

  // What meets at an inproc name hears of others that come and go only when it
  // is called.
  private join(name: string): void {
    for (const one of this.context.neighbours.join(name, this)) soon(one)
  }

  private leaveName(name: string): void {
    if (!isInproc(name)) return
    if (this.context.binders.get(name) === this) this.context.binders.delete(name)
    const id = this.given("routingId") as Buffer | undefined
    for (const one of this.context.neighbours.part(name, this)) one.peerLeft(id)
  }

  /** Begins to watch the connections. Says whether there was room for the two sockets that takes. */
  watch(): boolean {
    if (this.watching || this.closed) return true
    // A monitor whose observer cannot be opened would have libzmq wait for ever.
    if (!this.context.hasRoom(2)) return false
    this.beginToWatch()
    return true
  }

  private beginToWatch(): void {
    this.watching = true
    this.ended = new Promise((resolve) => this.native.watch(this.connections.tell, resolve))
  }

  // From the first endpoint on, so that no event is missed. inproc and udp have none. In
  // a worker thread only when somebody asks for them: `worker.terminate()` takes
  // the whole process with it while a socket is watched (zeromq.js issue 411).
  private watchFor(endpoint: string): void {
    if (isSilent(endpoint)) this.silent = true
    else this.network = true
    if (isSilent(endpoint)) return
    if (!(this.options.monitor ?? isMainThread)) this.unseen ||= !this.watching
    else if (!this.watch()) throw errorOf("EMFILE", "no room to watch connections")
  }

  /**
   * To be awaited before a bind: libzmq tells of it in this thread, and would
   * wait for ever for this thread to read what it tells, were 2,000 events unread.
   */
  get caughtUp(): Effect.Effect<void> {
    const allRead = Effect.callback<void>((resume) => {
      let told = -1
      let binds = -1
      let turn: NodeJS.Immediate | undefined
      const look = () => {
        if (!this.watching || this.closed) return resume(Effect.void)
        const quiet = told === this.connections.told
        if (quiet && binds === this.binds) this.heardBinds = binds
        if (quiet && this.mayBind) return resume(Effect.void)
        told = this.connections.told
        binds = this.binds
        turn = setImmediate(look)
      }
      look()
      return Effect.sync(() => clearImmediate(turn))
    })
    // Others that waited as well may have bound meanwhile.
    const again = Effect.suspend(
      (): Effect.Effect<void> => (this.mayBind ? Effect.void : Effect.andThen(allRead, again))
    )
    return Effect.andThen(allRead, again)
  }

  private get mayBind(): boolean {
    return this.binds - this.heardBinds < mostUnheard
  }

  private heard(event: SocketEvent): void {
    const { _tag, endpoint } = event
    const connectedTo = this.peers.connectedAs(endpoint)
    const reason = _tag === "HandshakeFailed" ? { reason: event.reason } : {}
    this.log("Debug", `effect-zmq: ${_tag} at a ${this.type} socket`, { socket: this.type, endpoint, ...reason })
    if (connectedTo !== undefined) this.links.heard(event, connectedTo)
    // A STREAM ends connections on purpose, and none of its peers can refuse it.
    if (connectedTo !== undefined && this.type !== "rawStream") this.reconnect.heard(event, connectedTo)
    if (_tag === "HandshakeFailed") {
      const { code, error, reason } = event
      const cameIn = connectedTo === undefined && this.bound.length > 0
      // Whoever looks in at a bound port and leaves is none of our peers, and the
      // authenticator tells of those whom it denies.
      const isKnown = cameIn && (reason === "Connection" || (reason === "Authentication" && this.context.zap.tells))
      if (isKnown || !this.refusals.isNew(`${reason} ${endpoint}`)) return
      const annotations = { socket: this.type, endpoint, reason, ...(code === undefined ? {} : { code }) }
      this.log(
        "Warn",
        `effect-zmq: a ${this.type} socket and its peer did not accept each other: ${error.message}`,
        annotations
      )
    }
  }

  /** Has libzmq see to what its other threads have told it. While a receive waits, the event loop does. */
  attend(): void {
    if (this.closed || this.inbox.receiving) return
    if (performance.now() < this.readsUntil) this.inbox.takeAll()
    else this.native.attend()
  }

  /** A peer has left, or is just leaving, or was left. */
  peerLeft(id?: Buffer): void {
    if (id !== undefined && this.type === "router") this.left.add(id.toString("latin1"))
    // It is there until what it had sent is read, and until then nobody else gets
    // its place: one with its routing id, or the next peer of a PAIR.
    if (this.placesAreTaken) this.readsUntil = performance.now() + millisToReadOn
    this.hasNews()
  }

  /**
   * A peer of this thread connects over inproc. Where one of its routing id has just
   * left, libzmq may still have that one, and would ignore the new one for good.
   */
  expect(id: Buffer | undefined): void {
    if (id === undefined || !this.left.delete(id.toString("latin1")) || this.given("handover") !== undefined) return
    this.letTakeOver(true)
    clearTimeout(this.takingOver)
    this.takingOver = setTimeout(() => this.letTakeOver(false), millisToTakeOver).unref()
  }

  private letTakeOver(value: boolean): void {
    if (!this.closed) this.native.set({ option: "handover", value, given: value, expected: "" })
  }

  private hasNews(): void {
    this.subscribers?.soon()
    soon(this)
  }

  // libzmq tells of the connection first, and the socket a moment later.
  private heed({ _tag, endpoint }: SocketEvent): void {
    if (_tag === "Closed") {
      this.freeing.get(endpoint)?.()
      this.freeing.delete(endpoint)
    } else if (_tag === "Disconnected") this.peerLeft()
    else if (_tag === "Connected" || _tag === "HandshakeSucceeded" || _tag === "HandshakeFailed") this.hasNews()
  }

  // For whoever looks why nothing comes.
  private readonly unreached = (endpoint: string, { lastError, tries }: Link, millis: number): void =>
    this.log(
      "Info",
      `effect-zmq: a ${this.type} socket could not reach ${endpoint} for ${millis / 1000} seconds: ${
        lastError ?? "nothing has answered yet"
      }`,
      { socket: this.type, endpoint, tries }
    )

  /** How it stands with the connections, as far as they are watched. */
  get status(): Status {
    if (this.closed) return { endpoints: [], peers: 0 }
    const peers = this.mostPeers
    return {
      endpoints: [
        ...this.bound.map(({ resolved }) => ({
          endpoint: resolved,
          state: "listening" as const,
          peers: isSilent(resolved) || !this.watching || this.unseen ? undefined : this.peers.at(resolved)
        })),
        ...this.connectedTo.map((endpoint) => statusOf(endpoint, this.links.get(endpoint)))
      ],
      peers: peers === Number.POSITIVE_INFINITY ? undefined : peers
    }
  }

  /** For `refusedSince`: those until now, which count where the connection is not tried again. */
  get refusedUntilNow(): number {
    const interval = (this.given("reconnectInterval") as number | undefined) ?? 100
    return interval > 0 ? this.links.refusals : 0
  }

  /** Why a peer that it connected to does not let it in, if one has refused it since then. */
  refusedSince(refusals: number): Refused | undefined {
    for (const endpoint of this.connectedTo) {
      const refusal = this.links.refusalSince(endpoint, refusals)
      if (refusal !== undefined) return new Refused({ operation: "awaitConnected", endpoint, ...refusal })
    }
    return undefined
  }

  /** Whether all that it connected to is there; or, where it only bound, any peer. */
  isConnected(): boolean {
    if (this.connected.length === 0) return this.peers.size > 0
    return this.connectedTo.every((endpoint) => this.links.get(endpoint)?.state === "connected")
  }

  /** Whether there are as many peers. What it connected to over inproc or udp is there. */
  hasPeers(count: number): boolean {
    return this.peers.size + this.connectedTo.filter(isSilent).length >= count
  }

  /** How many peers there are at most. */
  get mostPeers(): number {
    const known = this.watching && !this.unseen && !this.bound.some(({ resolved }) => isSilent(resolved))
    return known ? this.peers.size + this.connectedTo.filter(isSilent).length : Number.POSITIVE_INFINITY
  }

  /** Throws InvalidState if the peers cannot be known. */
  checkPeers(operation: string): void {
    if (!this.watch()) {
      throw new InvalidState({
        operation,
        expected: "There is no room for the two sockets that watch connections: close scopes that are done"
      })
    }
    if (this.unseen) {
      throw new InvalidState({
        operation,
        expected:
          "Connections are not watched from the beginning in a worker thread, nor with `monitor: false`: open the socket without endpoints, run its `events`, and then bind or connect"
      })
    }
    if (this.bound.length === 0 || !this.bound.every(({ resolved }) => isSilent(resolved))) return
    if (this.connected.length > 0) return
    throw new InvalidState({
      operation,
      expected:
        "libzmq tells nothing of who connects to an inproc or udp endpoint: await it on the socket that connects"
    })
  }

  /** Takes and gives nothing more. Whoever waits is told so. */
  stop(): void {
    this.closed = true
    this.context.sockets.delete(this)
    leave(this)
    for (const run of this.closing) run()
    // libzmq closes in another thread, and would keep the names until then.
    for (const { resolved } of this.bound) {
      if (!isInproc(resolved)) continue
      try {
        this.native.disconnect(resolved)
      } catch {
        // it is free already
      }
    }
    this.inbox.close()
    this.outbox.end()
    this.connections.close()
    this.reconnect.close()
    this.links.close()
    this.refusals.close()
  }

  /**
   * Has libzmq end it, once it is stopped, and send what is left for `linger`
   * milliseconds. Says how to wait until what was sent is on its way and what was
   * bound is free, where there is a network: over inproc both are so at once.
   */
  end(linger: number): Effect.Effect<void> | undefined {
    const binds = this.bound.map(({ resolved }) => resolved).filter(isNetwork)
    const names = this.endpoints.filter(isInproc)
    const sent = this.network && this.outbox.sent > 0
    const unsent = sent && (this.peers.size > 0 || this.connectedTo.some(isNetwork))
    const matters = sent || binds.length > 0
    // In a worker thread as little is watched as before.
    if (matters && isMainThread && !this.watching && this.context.hasRoom(2)) this.beginToWatch()
    const { ended } = this
    const freed = matters ? binds.map((endpoint) => this.whenFreed(endpoint)) : []
    this.bound = []
    this.connected = []
    this.outbox.close()
    this.native.close()
    for (const name of names) this.leaveName(name)
    if (this.waitsFor.size > 0) this.context.abandon(this, this.watching, this.outbox.sent === 0 ? 0 : linger)
    if (!matters) return undefined
    if (ended !== undefined && !this.silent) return Effect.promise(() => within(linger + promptly, ended))
    // Over inproc libzmq ends it when its peers have read all, however long that takes.
    const all = Effect.all(freed, { concurrency: "unbounded", discard: true })
    return unsent && ended !== undefined
      ? Effect.andThen(
          all,
          Effect.promise(() => within(linger, ended))
        )
      : all
  }
}

// Whose connections libzmq tells nothing of.
const isSilent = (endpoint: string): boolean => /^(inproc|udp):/.test(endpoint)
const isNetwork = (endpoint: string): boolean => !isSilent(endpoint)

// How many binds libzmq may tell of before the event loop turns.
const mostUnheard = 100

// How many peers that have left are remembered, and how long one that comes back may
// take over from itself, in milliseconds: until the socket is called.
const mostLeft = 1000
const millisToTakeOver = 300

/** Names, of which the oldest are forgotten. */
class Recent {
  private readonly names = new Set<string>()
  private readonly most: number

  constructor(most: number) {
    this.most = most
  }

  add(name: string): void {
    this.names.delete(name)
    this.names.add(name)
    if (this.names.size > this.most) for (const oldest of this.names) return void this.names.delete(oldest)
  }

  delete(name: string): boolean {
    return this.names.delete(name)
  }
}

// How long the end of a connection takes after libzmq has told of it, with all that
// was on its way, in milliseconds.
const millisToReadOn = 500

export type Log = (level: "Debug" | "Info" | "Warn", message: string, annotations: Record<string, unknown>) => void

/** What a socket does outside of fibers, it does as the fiber that opened it would. */
interface Surroundings {
  readonly log: Log
  readonly now: () => number
  readonly after: (millis: number, run: () => void) => () => void
}

const notHere = {
  reason: "NoSuchEndpoint",
  advice: "Name one of the socket's `endpoints`, or the endpoint as it was given"
} as const

/**
 * Subscriptions, each of which ends once. A topic stays subscribed until the
 * last of them has ended. Publishers are told of the first alone: libzmq would
 * tell them of each, and only of one end, so that they could not count.
 */
class Subscriptions {
  private readonly apply: (topic: Buffer, on: boolean) => void
  private readonly live = new Map<string, Array<symbol>>()

  has(topic: Buffer): boolean {
    return this.live.has(topic.toString("latin1"))
  }

  constructor(apply: (topic: Buffer, on: boolean) => void) {
    this.apply = apply
  }

  add(topic: Buffer): symbol {
    const token = Symbol()
    const key = topic.toString("latin1")
    const tokens = this.live.get(key)
    if (tokens !== undefined) tokens.push(token)
    else {
      this.apply(topic, true)
      this.live.set(key, [token])
    }
    return token
  }

  /** Ends the given subscription, or else the newest, unless it has ended before. */
  remove(topic: Buffer, token?: symbol): void {
    const key = topic.toString("latin1")
    const tokens = this.live.get(key) ?? []
    const at = token === undefined ? tokens.length - 1 : tokens.lastIndexOf(token)
    if (at < 0) return
    if (tokens.length > 1) return void tokens.splice(at, 1)
    this.live.delete(key)
    this.apply(topic, false)
  }
}

/** Runs what throws a typed error. Anything else that it throws is a defect. */
export const attempt = <A, E>(isError: (error: unknown) => error is E, run: () => A): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      return isError(error) ? Effect.fail(error) : Effect.die(error)
    }
  })

const isSocketError = (error: unknown): error is SocketError =>
  error instanceof OptionError ||
  error instanceof BindError ||
  error instanceof ConnectError ||
  error instanceof OpenError

const apply = (core: SocketCore): void => {
  if (core.type === "pub" && core.subscribers !== undefined) {
    core.native.set({ option: "verbosity", value: "allSubsUnsubs", given: undefined, expected: "" })
  }
  for (const setting of core.options.settings) {
    try {
      core.native.set(setting)
    } catch (cause) {
      throw new OptionError({ option: setting.option, value: setting.given, expected: setting.expected, cause })
    }
  }
  for (const topic of core.options.subscribe) core.subscriptions.add(topic)
  for (const endpoint of core.options.bind) core.bind(endpoint)
  for (const endpoint of core.options.connect) core.connect(endpoint)
}

const reasonsOfOpen: ReadonlyMap<unknown, OpenError["reason"]> = new Map([
  ["EMFILE", "TooManySockets"],
  ["ENFILE", "TooManySockets"],
  ["ENOMEM", "TooManySockets"],
  ["ETERM", "ContextClosed"],
  ["EFAULT", "ContextClosed"],
  [unreadable, "UnsupportedRuntime"]
])

const openNative = (open: () => NativeSocket, type: SocketType): NativeSocket => {
  try {
    return open()
  } catch (cause) {
    const { code } = cause as { readonly code?: unknown }
    const reason = reasonsOfOpen.get(code) ?? "Unknown"
    throw new OpenError({ socketType: type, reason, cause })
  }
}

/** Opens a socket with its options set, bound and connected; or fails, with nothing left open. */
export const openSocket = <T extends SocketType>(
  type: T,
  options: unknown,
  real: Open<T>
): Effect.Effect<SocketCore, SocketError, Scope.Scope> =>
  Effect.gen(function* () {
    const { open } = yield* Native
    const context = yield* Context
    const around = yield* surroundings
    const prepared = yield* attempt(isSocketError, () => prepare(type, options))
    for (const endpoint of prepared.connect) yield* resolveHost(endpoint)
    const make = attempt(isSocketError, () => {
      if (context.closed) throw new OpenError({ socketType: type, reason: "ContextClosed" })
      const { noDrop, conflate } = prepared
      const native = openNative(() => open(type, { context: context.native, noDrop, conflate }, real), type)
      return new SocketCore(type, prepared, native, context, around)
    })
    const begin = (core: SocketCore) =>
      attempt(isSocketError, () => {
        apply(core)
        context.sockets.add(core)
        attendTo(core)
        if (core.reliesOnZap) context.zap.enter()
        return core
      })
    const scope = yield* Effect.scope
    return yield* Effect.acquireRelease(
      Effect.flatMap(make, (core) => Effect.onError(begin(core), () => core.shut)),
      (core) => closeWith(scope, core)
    )
  })

const surroundings: Effect.Effect<Surroundings> = Effect.map(Effect.context<never>(), (context): Surroundings => {
  const least = EffectContext.get(context, References.MinimumLogLevel)
  const clock = EffectContext.get(context, Clock.Clock)
  return {
    log: (level, message, annotations) => {
      // Before there is a fiber for it: of connections there may be many.
      if (LogLevel.isGreaterThan(least, level)) return
      Effect.runForkWith(context)(Effect.logWithLevel(level)(message).pipe(Effect.annotateLogs(annotations)))
    },
    now: () => clock.currentTimeMillisUnsafe(),
    after: (millis, run) => startTimerWith(context, millis, run)
  }
})

/**
 * libzmq looks a host up when it connects, again and again, and tells nobody
 * that there is no such host.
 */
export const resolveHost = (endpoint: string): Effect.Effect<void, ConnectError> =>
  Effect.suspend(() => {
    const host = typeof endpoint === "string" ? hostToResolve(endpoint) : undefined
    if (host === undefined) return Effect.void
    return Effect.callback<void, ConnectError>((resume) => {
      lookup(host, (cause) => {
        if (cause === null) return resume(Effect.void)
        const advice = `The host name ${JSON.stringify(host)} has no address (${cause.code}). Check the name, or retry until it has one`
        resume(Effect.fail(new ConnectError({ operation: "connect", endpoint, reason: "HostNotFound", advice, cause })))
      })
    })
  })

/** Fails when the socket is closed. */
export const whenOpen = <A, E>(
  core: SocketCore,
  operation: string,
  isError: (error: unknown) => error is E,
  run: () => A
): Effect.Effect<A, E | Closed> =>
  Effect.suspend(
    (): Effect.Effect<A, E | Closed> => (core.closed ? Effect.fail(new Closed({ operation })) : attempt(isError, run))
  )
