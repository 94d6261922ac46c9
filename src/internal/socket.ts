/**
 * Opening a socket, all or nothing, and closing it: the life of what every
 * socket type has in common.
 */
import { lookup } from "node:dns"
import { isMainThread } from "node:worker_threads"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type { SocketEvent } from "../SocketEvent.ts"
import type { Stats } from "../Stats.ts"
import { Context } from "../ZmqContext.ts"
import { BindError, Closed, ConnectError, InvalidState, OpenError, OptionError, type SocketError } from "../ZmqError.ts"
import { Connections } from "./connections.ts"
import { type ContextCore, hasDescriptors } from "./context.ts"
import { checkBind, checkConnect, type EndpointFault, faultOf, hostToResolve, isInproc } from "./endpoint.ts"
import { Held, mostPerPeer } from "./held.ts"
import { Inbox } from "./inbox.ts"
import { nextMicrotask } from "./microtask.ts"
import { errorOf, Native, type NativeSocket, type Open } from "./native.ts"
import { type Prepared, prepare, type SocketType } from "./options.ts"
import { Outbox } from "./outbox.ts"
import { Peers } from "./peers.ts"
import { Refusals } from "./refusals.ts"
import { Subscribers } from "./subscribers.ts"
import { zapEndpoint } from "./zap/reliance.ts"

// How many messages a mailbox may hold that nobody has asked for yet. A small
// high-water mark is a wish for fewer.
const mailboxCapacity = 256

const leftAtClose = Metric.counter("zmq_messages_left_at_close", {
  description: "Messages that had been received and were not taken when their socket closed",
  incremental: true
})

interface Bound {
  readonly given: string
  readonly resolved: string
}

/** An open socket, before it has the operations of its type. */
export class SocketCore {
  readonly type: SocketType
  readonly options: Prepared
  readonly native: NativeSocket
  readonly inbox: Inbox
  readonly outbox: Outbox
  readonly subscriptions: Subscriptions
  /** Of a PUB or XPUB whose subscriptions can be counted. */
  readonly subscribers: Subscribers | undefined
  readonly connections: Connections
  /** Closes it, and counts what was left in it. */
  readonly shut = closeSocket(this)
  /** Called when the socket closes, before anything else is. */
  readonly closing = new Set<() => void>()
  closed = false
  leftAtClose = 0
  readonly context: ContextCore
  private bound: Array<Bound> = []
  private connected: Array<string> = []
  private watching = false
  // Whether there were connections before anybody watched.
  private unseen = false
  // Binds while it was watched, and how many of them libzmq's events were read of.
  private binds = 0
  private heardBinds = 0
  private readonly peers: Peers
  readonly waitsFor = new Set<string>()
  private readonly log: Log
  // Where a peer was refused, until another is accepted.
  private readonly refusing = new Set<string>()

  constructor(type: SocketType, options: Prepared, native: NativeSocket, context: ContextCore, log: Log) {
    this.type = type
    this.options = options
    this.native = native
    this.context = context
    this.peers = new Peers(type !== "rawStream", () => this.connected.filter(isNetwork))
    this.connections = new Connections((event) => {
      this.peers.tell(event)
      this.heard(event)
    })
    this.log = log
    const highWaterMark = options.receiveHighWaterMark
    const capacity = highWaterMark > 0 ? Math.min(highWaterMark, mailboxCapacity) : mailboxCapacity
    this.inbox = new Inbox(native, capacity, options.conflate)
    const byPeer = type === "router" || type === "rawStream" || type === "server"
    this.outbox = new Outbox(native, byPeer)
    this.inbox.onStalled = this.warnOnce(
      `a reply to a request may be behind ${capacity} messages that nobody receives, and waits until some are received`
    )
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
    if (byPeer || type === "pair") this.outbox.refusals = new Refusals((how) => this.inbox.readAhead(how))
    this.subscriptions = new Subscriptions(
      type === "xsub"
        ? (topic, on) => void this.outbox.offer(Buffer.concat([Buffer.from([on ? 1 : 0]), topic]))
        : (topic, on) => (on ? native.subscribe(topic) : native.unsubscribe(topic))
    )
    const counts = !options.uncountable && ((type === "pub" && !options.conflate) || type === "xpub")
    this.subscribers = counts
      ? new Subscribers(this.inbox, type === "pub", () => this.mostPeers, this.connections.changed)
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
      dropped: inbox.held?.dropped ?? 0,
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

  // Milliseconds.
  private get linger(): number {
    const given = this.given("linger") as number
    return given < 0 ? Number.POSITIVE_INFINITY : given
  }

  get endpoints(): ReadonlyArray<string> {
    return [...this.bound.map((bound) => bound.resolved), ...this.connected]
  }

  /** Throws BindError. */
  bind(endpoint: string): string {
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
      this.bound.push({ given: endpoint, resolved })
      if (isInproc(resolved)) this.context.binders.set(resolved, this)
      return resolved
    } catch (cause) {
      throw new BindError({ operation: "bind", endpoint, ...faultOf("bind", endpoint, cause), cause })
    }
  }

  /** Throws BindError. */
  unbind(endpoint: string): void {
    const at = this.bound.findIndex((bound) => bound.resolved === endpoint || bound.given === endpoint)
    if (at < 0) throw new BindError({ operation: "unbind", endpoint, ...notHere })
    const { resolved } = this.bound[at]!
    try {
      this.native.disconnect(resolved)
    } catch (cause) {
      throw new BindError({ operation: "unbind", endpoint, ...faultOf("unbind", endpoint, cause), cause })
    } finally {
      this.bound.splice(at, 1)
      if (this.context.binders.get(resolved) === this) this.context.binders.delete(resolved)
      this.peers.unbound(resolved)
      this.connections.changed.raise()
    }
  }

  /** Throws ConnectError. */
  connect(endpoint: string): void {
    const fault = checkConnect(endpoint, this.type) ?? this.checkIpv6(endpoint)
    if (fault !== undefined) throw new ConnectError({ operation: "connect", endpoint, ...fault })
    try {
      this.watchFor(endpoint)
      // libzmq's disconnect ends all connections to an endpoint at once, so there
      // is one of them, for as long as anybody wants it.
      if (!this.connected.includes(endpoint)) this.native.connect(endpoint)
      this.connected.push(endpoint)
      if (isInproc(endpoint)) {
        if (!this.context.binders.has(endpoint)) this.waitsFor.add(endpoint)
        this.context.noteConnected(endpoint)
        this.context.binders.get(endpoint)?.attend()
      }
      this.connections.changed.raise()
    } catch (cause) {
      throw new ConnectError({ operation: "connect", endpoint, ...faultOf("connect", endpoint, cause), cause })
    }
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

  /** Throws ConnectError. */
  disconnect(endpoint: string): void {
    const at = this.connected.indexOf(endpoint)
    if (at < 0) throw new ConnectError({ operation: "disconnect", endpoint, ...notHere })
    this.connected.splice(at, 1)
    if (this.connected.includes(endpoint)) return
    this.peers.disconnected(endpoint)
    this.connections.changed.raise()
    try {
      this.native.disconnect(endpoint)
    } catch (cause) {
      throw new ConnectError({ operation: "disconnect", endpoint, ...faultOf("disconnect", endpoint, cause), cause })
    }
  }

  /** Begins to watch the connections. Says whether there was room for the two sockets that takes. */
  watch(): boolean {
    if (this.watching || this.closed) return true
    // A monitor whose observer cannot be opened would have libzmq wait for ever.
    if (!this.context.hasRoom(2)) return false
    this.watching = true
    this.native.watch(this.connections.tell)
    return true
  }

  // From the first endpoint on, so that no event is missed. inproc and udp have none. In
  // a worker thread only when somebody asks for them: `worker.terminate()` takes
  // the whole process with it while a socket is watched (zeromq.js issue 411).
  private watchFor(endpoint: string): void {
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
    if (_tag === "HandshakeSucceeded") {
      this.refusing.delete(endpoint)
      this.attend()
    }
    // A peer that is refused tries again and again: once is enough.
    if (_tag === "HandshakeFailed" && !this.refusing.has(endpoint)) {
      this.refusing.add(endpoint)
      const { code, error, reason } = event
      // Whoever looks in at a bound port and leaves is none of our peers.
      const level = reason === "Connection" && this.bound.length > 0 ? "Debug" : "Warn"
      const annotations = { socket: this.type, endpoint, reason, ...(code === undefined ? {} : { code }) }
      this.log(
        level,
        `effect-zmq: a ${this.type} socket and its peer did not accept each other: ${error.message}`,
        annotations
      )
    }
  }

  /**
   * A SUB tells a peer that has come to it what it has subscribed to, and a DISH
   * what it has joined, when libzmq attends to it; nobody may be receiving yet.
   */
  attend(): void {
    const subscribes = this.type === "sub" || this.type === "xsub" || this.type === "dish"
    if (subscribes && !this.closed && !this.inbox.receiving) this.native.attend()
  }

  /** Whether all that it connected to is there; or, where it only bound, any peer. */
  isConnected(): boolean {
    if (this.connected.length === 0) return this.peers.size > 0
    return this.connected.every((endpoint) => isSilent(endpoint) || this.peers.has(endpoint))
  }

  /** Whether there are as many peers. What it connected to over inproc or udp is there. */
  hasPeers(count: number): boolean {
    return this.peers.size + this.connected.filter(isSilent).length >= count
  }

  /** How many peers there are at most. */
  get mostPeers(): number {
    const known = this.watching && !this.unseen && !this.bound.some(({ resolved }) => isSilent(resolved))
    return known ? this.peers.size + this.connected.filter(isSilent).length : Number.POSITIVE_INFINITY
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

  close(): void {
    this.closed = true
    this.context.sockets.delete(this)
    for (const run of this.closing) run()
    // libzmq closes in another thread, and would keep the names until then.
    for (const { resolved } of this.bound) {
      if (isInproc(resolved)) {
        if (this.context.binders.get(resolved) === this) this.context.binders.delete(resolved)
        try {
          this.native.disconnect(resolved)
        } catch {
          // it is free already
        }
      }
    }
    this.bound = []
    this.connected = []
    this.inbox.close()
    this.outbox.close()
    this.connections.close()
    if (this.waitsFor.size > 0) this.context.abandon(this, this.watching, this.outbox.sent === 0 ? 0 : this.linger)
  }
}

// Whose connections libzmq tells nothing of.
const isSilent = (endpoint: string): boolean => /^(inproc|udp):/.test(endpoint)
const isNetwork = (endpoint: string): boolean => !isSilent(endpoint)

// How many binds libzmq may tell of before the event loop turns.
const mostUnheard = 100

export type Log = (level: "Debug" | "Warn", message: string, annotations: Record<string, unknown>) => void

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

  constructor(apply: (topic: Buffer, on: boolean) => void) {
    this.apply = apply
  }

  add(topic: Buffer): symbol {
    const token = Symbol()
    const key = topic.toString("latin1")
    const tokens = this.live.get(key) ?? []
    if (tokens.length === 0) this.apply(topic, true)
    this.live.set(key, [...tokens, token])
    return token
  }

  /** Ends the given subscription, or else the newest, unless it has ended before. */
  remove(topic: Buffer, token?: symbol): void {
    const key = topic.toString("latin1")
    const tokens = this.live.get(key) ?? []
    const at = token === undefined ? tokens.length - 1 : tokens.indexOf(token)
    if (at < 0) return
    if (tokens.length > 1) return void this.live.set(key, tokens.toSpliced(at, 1))
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

const openNative = (open: () => NativeSocket, type: SocketType): NativeSocket => {
  try {
    return open()
  } catch (cause) {
    const tooMany = (cause as { code?: unknown }).code === "EMFILE"
    throw new OpenError({ socketType: type, reason: tooMany ? "TooManySockets" : "Unknown", cause })
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
    const log = yield* logger
    const prepared = yield* attempt(isSocketError, () => prepare(type, options))
    for (const endpoint of prepared.connect) yield* resolveHost(endpoint)
    return yield* Effect.acquireRelease(
      attempt(isSocketError, () => {
        if (context.closed) throw new OpenError({ socketType: type, reason: "ContextClosed" })
        const { noDrop, conflate } = prepared
        const native = openNative(() => open(type, { context: context.native, noDrop, conflate }, real), type)
        const core = new SocketCore(type, prepared, native, context, log)
        try {
          apply(core)
          context.sockets.add(core)
          if (core.reliesOnZap) context.zap.enter()
          return core
        } catch (error) {
          core.close()
          throw error
        }
      }),
      (core) => core.shut
    )
  })

// Logs from outside of fibers, as the fiber that opened the socket would.
const logger: Effect.Effect<Log> = Effect.map(
  Effect.context<never>(),
  (context): Log =>
    (level, message, annotations) =>
      void Effect.runForkWith(context)(Effect.logWithLevel(level)(message).pipe(Effect.annotateLogs(annotations)))
)

const closeSocket = (core: SocketCore): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (core.closed) return
    const { endpoints } = core
    core.close()
    if (core.reliesOnZap) yield* core.context.zap.leave
    // A receive that was pending may end with a message, a moment later.
    if (core.inbox.receiving) yield* nextMicrotask
    const left = core.inbox.mailbox.size
    core.leftAtClose = left
    const unsent = core.outbox.unsent
    if (left === 0 && unsent === 0) return
    yield* Metric.update(leftAtClose, left)
    yield* Effect.logDebug("effect-zmq: messages were left in a socket that closed").pipe(
      Effect.annotateLogs({ socket: core.type, endpoints: endpoints.join(" "), received: left, unsent })
    )
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
