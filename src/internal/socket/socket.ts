/**
 * Opening a socket, all or nothing, and closing it: the life of what every
 * socket type has in common.
 */
import * as Clock from "effect/Clock"
import * as EffectContext from "effect/Context"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import type { SocketEvent } from "../../SocketEvent.ts"
import type { Stats } from "../../Stats.ts"
import type { Status } from "../../Status.ts"
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
import { CurrentEngine } from "../currentEngine.ts"
import type { Done, Engine, EngineSocket, GiveUp, Opening, Owner } from "../engine.ts"
import { hasLanes } from "../lane.ts"
import { Held, mostPerPeer } from "../receive/held.ts"
import { Inbox } from "../receive/inbox.ts"
import { Outbox } from "../send/outbox.ts"
import { startTimerWith } from "../timer.ts"
import { zapEndpoint } from "../zap/reliance.ts"
import { closeSocket, closeWith } from "./closing.ts"
import { Connections } from "./connections.ts"
import { type ContextCore, CurrentContext } from "./context.ts"
import { checkBind, checkConnect, type EndpointFault, faultOf } from "./endpoint.ts"
import { type Prepared, prepare, reliesOnZap, type SocketType } from "./options.ts"
import { type Link, Links, statusOf } from "./status.ts"
import { Subscriptions } from "./subscriptions.ts"
import { inThePast, Warnings } from "./warnings.ts"

// How many messages a mailbox may hold that nobody has asked for yet. A small
// high-water mark is a wish for fewer.
const mailboxCapacity = 256

/** A bind, which a scope or a caller can undo. */
export interface Bound {
  readonly given: string
  resolved: string
}

/** A connect, likewise. */
export interface Connected {
  readonly endpoint: string
}

/** An open socket, before it has the operations of its type. */
export class SocketCore implements Owner {
  readonly type: SocketType
  readonly options: Prepared
  readonly context: ContextCore
  readonly engine: EngineSocket
  // Where nothing finds it that prints sockets: that of an authenticator has passwords in it.
  readonly #inbox: Inbox
  readonly outbox: Outbox
  readonly subscriptions: Subscriptions
  readonly connections: Connections
  /** Closes it, and counts what was left in it. */
  readonly shut: Effect.Effect<void> = closeSocket(this)
  /** Called when the socket closes, before anything else is. */
  readonly closing = new Set<() => void>()
  closed = false
  leftAtClose = 0
  /** For how many milliseconds others of its scope have been closing. */
  lingerIsLess = 0
  private bound: Array<Bound> = []
  private connected: Array<Connected> = []
  private lastEndpoint = ""
  private readonly log: Log
  private readonly refusals = new Warnings((count, minutes) =>
    this.log(
      "Warn",
      `effect-zmq: a ${this.type} socket and its peers did not accept each other ${count} more times ${inThePast(minutes)}`,
      { socket: this.type, endpoints: this.endpoints.join(" "), count }
    )
  )
  private readonly links: Links

  constructor(
    type: SocketType,
    options: Prepared,
    context: ContextCore,
    engine: Engine,
    { after, log, now }: Surroundings
  ) {
    this.type = type
    this.options = options
    this.context = context
    this.log = log
    this.links = new Links(type !== "rawStream", { now, after, unreached: this.unreached })
    const highWaterMark = options.receiveHighWaterMark
    const capacity = highWaterMark > 0 ? Math.min(highWaterMark, mailboxCapacity) : mailboxCapacity
    const { conflate, monitor, noDrop } = options
    this.onDropped = this.warnOnce(`a ${type} socket drops messages that subscribers send it`)
    this.engine = openEngine(engine, context, { type, prefetch: capacity, conflate, monitor, noDrop }, this)
    this.connections = new Connections(
      this.warnOnce("whoever reads the events of a socket is behind, and misses the oldest")
    )
    this.#inbox = new Inbox(this.engine, capacity, conflate)
    this.outbox = new Outbox(this.engine, type)
    this.subscriptions = new Subscriptions((topic, on) =>
      on ? this.engine.subscribe(topic) : this.engine.unsubscribe(topic)
    )
    if (type === "dealer") {
      this.inbox.onStalled = this.warnOnce(
        `a reply to a request may be behind ${capacity} messages that nobody receives, and waits until some are received: receive on the DEALER`
      )
    }
    if (hasLanes(type)) {
      this.inbox.held = new Held(
        this.inbox,
        this.outbox,
        type !== "rawStream" ? undefined : this.given("notify") === false ? "untold" : "told",
        this.warnOnce(`messages of a peer that does not read what is sent to it are dropped beyond ${mostPerPeer}`)
      )
    }
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
    const { engine, inbox, outbox } = this
    return {
      messagesIn: engine.received.messages,
      bytesIn: engine.received.bytes,
      messagesOut: outbox.sent,
      bytesOut: outbox.bytes,
      queued: inbox.queued,
      putBack: inbox.mailbox.putBacks,
      again: engine.again + outbox.again,
      dropped: (inbox.held?.dropped ?? 0) + engine.dropped,
      eventsDropped: this.connections.dropped,
      leftAtClose: this.leftAtClose
    }
  }

  get reliesOnZap(): boolean {
    return reliesOnZap(this.options.settings)
  }

  private given(option: string): unknown {
    return this.options.settings.find((setting) => setting.option === option)?.value
  }

  /** Milliseconds. */
  get linger(): number {
    const given = this.given("linger") as number
    return given < 0 ? Number.POSITIVE_INFINITY : given
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

  // ---------------------------------------------------------------------------
  // what the engine tells
  // ---------------------------------------------------------------------------

  get room(): number {
    return this.inbox.room
  }
  get sent(): number {
    return this.outbox.sent
  }
  onMessages = (): void => this.inbox.arrived()
  onRoom = (lane: string): void => this.outbox.mayTry(lane)
  onPeers = (): void => this.connections.changed.raise()
  onDropped: () => void
  onEnd = (): void => this.inbox.close()

  onEvent = (event: SocketEvent, connectedTo: string | undefined): void => {
    this.connections.tell(event)
    const refused = event._tag === "HandshakeFailed" ? { reason: event.reason } : {}
    this.log("Debug", `effect-zmq: ${event._tag} at a ${this.type} socket`, {
      socket: this.type,
      endpoint: event.endpoint,
      ...refused
    })
    if (connectedTo !== undefined) this.links.heard(event, connectedTo)
    if (event._tag !== "HandshakeFailed") return
    const { code, endpoint, error, reason } = event
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

  // ---------------------------------------------------------------------------
  // endpoints
  // ---------------------------------------------------------------------------

  /** Binds, or leaves everything as it was. */
  bind(endpoint: string): Effect.Effect<Bound, BindError | Closed> {
    return Effect.suspend(() => {
      const bound: Bound = { given: endpoint, resolved: "" }
      const failed = (fault: EndpointFault, cause?: unknown) =>
        Effect.fail(new BindError({ operation: "bind", endpoint, ...fault, ...(cause === undefined ? {} : { cause }) }))
      const fault = checkBind(endpoint, this.type) ?? this.checkZap(endpoint)
      if (fault !== undefined) return failed(fault)
      return this.begin(
        "bind",
        (done: Done<string>) => this.engine.bind(endpoint, done),
        (cause) => failed(faultOf("bind", endpoint, cause), cause),
        (resolved) => {
          bound.resolved = resolved!
          this.bound.push(bound)
          this.onPeers()
          return bound
        },
        Effect.suspend(() => this.unbind(bound))
      )
    })
  }

  /** Begins to connect, or leaves everything as it was. */
  connect(endpoint: string): Effect.Effect<Connected, ConnectError | Closed> {
    return Effect.suspend(() => {
      const connected: Connected = { endpoint }
      const failed = (fault: EndpointFault, cause?: unknown) =>
        Effect.fail(
          new ConnectError({ operation: "connect", endpoint, ...fault, ...(cause === undefined ? {} : { cause }) })
        )
      const fault = checkConnect(endpoint, this.type) ?? this.checkIpv6(endpoint)
      if (fault !== undefined) return failed(fault)
      return this.begin(
        "connect",
        // There is one connection to an endpoint, for as long as anybody wants it.
        (done: Done<void>) => {
          if (!this.connectedTo.includes(endpoint)) return this.engine.connect(endpoint, done)
          done(undefined)
          return ignore
        },
        (cause) => failed(faultOf("connect", endpoint, cause), cause),
        () => {
          if (!this.connectedTo.includes(endpoint)) {
            const isThere = this.engine.isConnected(endpoint)
            if (this.engine.watched || isThere) this.links.begin(endpoint, isThere)
          }
          this.connected.push(connected)
          this.onPeers()
          return connected
        },
        Effect.suspend(() => this.disconnect(connected))
      )
    })
  }

  // Whatever interrupts it: it is done, or undone.
  private begin<A, B, E>(
    operation: string,
    run: (done: Done<A>) => GiveUp,
    failed: (cause: unknown) => Effect.Effect<never, E>,
    succeeded: (value: A | undefined) => B,
    undo: Effect.Effect<unknown, unknown>
  ): Effect.Effect<B, E | Closed> {
    const self = Effect.callback<B, E | Closed>((resume) => {
      if (this.closed) return resume(Effect.fail(new Closed({ operation })))
      const giveUp = run((cause, value) => {
        if (this.closed) resume(Effect.fail(new Closed({ operation })))
        else resume(cause === undefined ? Effect.succeed(succeeded(value)) : failed(cause))
      })
      return Effect.sync(giveUp)
    })
    return Effect.onInterrupt(self, () => Effect.ignore(undo))
  }

  /** Undoes a bind: the given one, if it is still there, or the newest of an endpoint. Ends when the endpoint is free. */
  unbind(which: string | Bound): Effect.Effect<void, BindError | Closed> {
    return Effect.callback((resume) => {
      const endpoint = typeof which === "string" ? which : which.given
      const at =
        typeof which === "string"
          ? this.bound.findLastIndex((bound) => bound.resolved === which || bound.given === which)
          : this.bound.indexOf(which)
      const failed = (fault: EndpointFault, cause?: unknown) =>
        resume(
          Effect.fail(
            new BindError({ operation: "unbind", endpoint, ...fault, ...(cause === undefined ? {} : { cause }) })
          )
        )
      if (this.closed) return resume(Effect.fail(new Closed({ operation: "unbind" })))
      if (at < 0) return failed(notHere)
      const { resolved } = this.bound[at]!
      this.bound.splice(at, 1)
      this.lastEndpoint = resolved
      this.engine.unbind(resolved, (cause) =>
        cause === undefined ? resume(Effect.void) : failed(faultOf("unbind", endpoint, cause), cause)
      )
    })
  }

  /** Undoes a connect: the given one, if it is still there, or the newest to an endpoint. */
  disconnect(which: string | Connected): Effect.Effect<void, ConnectError | Closed> {
    return Effect.suspend((): Effect.Effect<void, ConnectError | Closed> => {
      const endpoint = typeof which === "string" ? which : which.endpoint
      const failed = (fault: EndpointFault, cause?: unknown) =>
        Effect.fail(
          new ConnectError({ operation: "disconnect", endpoint, ...fault, ...(cause === undefined ? {} : { cause }) })
        )
      const at = typeof which === "string" ? this.connectedTo.lastIndexOf(which) : this.connected.indexOf(which)
      if (this.closed) return Effect.fail(new Closed({ operation: "disconnect" }))
      if (at < 0) return failed(notHere)
      this.connected.splice(at, 1)
      this.lastEndpoint = endpoint
      if (this.connectedTo.includes(endpoint)) return Effect.void
      this.links.end(endpoint)
      this.onPeers()
      try {
        this.engine.disconnect(endpoint)
        return Effect.void
      } catch (cause) {
        return failed(faultOf("disconnect", endpoint, cause), cause)
      }
    })
  }

  // libzmq aborts the process at the first handshake that it asks another type
  // about (session_base.cpp:343).
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

  // ---------------------------------------------------------------------------
  // peers
  // ---------------------------------------------------------------------------

  /** Begins to watch the connections. Says whether there was room for that. */
  watch(): boolean {
    return this.closed || this.engine.watch()
  }

  /** How it stands with the connections, as far as they are watched. */
  get status(): Status {
    if (this.closed) return { endpoints: [], peers: 0 }
    return {
      endpoints: [
        ...this.bound.map(({ resolved }) => ({
          endpoint: resolved,
          state: "listening" as const,
          peers: this.engine.peersAt(resolved)
        })),
        ...this.connectedTo.map((endpoint) => statusOf(endpoint, this.links.get(endpoint)))
      ],
      peers: this.engine.knowsPeers ? this.engine.peers : undefined
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

  // For whoever looks why nothing comes.
  private readonly unreached = (endpoint: string, { lastError, tries }: Link, millis: number): void =>
    this.log(
      "Info",
      `effect-zmq: a ${this.type} socket could not reach ${endpoint} for ${millis / 1000} seconds: ${
        lastError ?? "nothing has answered yet"
      }`,
      { socket: this.type, endpoint, tries }
    )

  /** Whether all that it connected to is there; or, where it only bound, any peer. */
  isConnected(): boolean {
    if (this.connected.length === 0) return this.engine.peers > 0
    return this.connectedTo.every((endpoint) => this.links.get(endpoint)?.state === "connected")
  }

  /** Whether there are as many peers. */
  hasPeers(count: number): boolean {
    return this.engine.peers >= count
  }

  /** Throws InvalidState if the peers cannot be known. */
  checkPeers(operation: string): void {
    const expected = this.engine.peersUnknown()
    if (expected !== undefined) throw new InvalidState({ operation, expected })
  }

  // ---------------------------------------------------------------------------
  // the end
  // ---------------------------------------------------------------------------

  /** Takes and gives nothing more. Whoever waits is told so. */
  stop(): void {
    this.closed = true
    this.context.sockets.delete(this)
    for (const run of this.closing) run()
    this.inbox.close()
    this.outbox.end()
    this.engine.dismiss()
    this.connections.close()
    this.links.close()
    this.refusals.close()
  }

  /** It is nowhere any more. */
  leaveAll(): void {
    this.bound = []
    this.connected = []
  }
}

const ignore = (): void => {}

const cores = new WeakMap<object, SocketCore>()

/** Remembers what a public socket is made of. */
export const link = (socket: object, core: SocketCore): void => void cores.set(socket, core)

/** What a public socket is made of, or undefined if it is none of ours: a copy, or a test's own. */
export const coreOf = (socket: object): SocketCore | undefined => cores.get(socket)

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

const openEngine = (
  engine: Engine,
  context: ContextCore,
  opening: Omit<Opening, "context">,
  owner: Owner
): EngineSocket => {
  try {
    return engine.open({ ...opening, context: context.of(engine) }, owner)
  } catch (cause) {
    const { code } = cause as { readonly code?: unknown }
    throw new OpenError({ socketType: opening.type, reason: reasons.get(code) ?? "Unknown", cause })
  }
}

const reasons: ReadonlyMap<unknown, OpenError["reason"]> = new Map([
  ["EMFILE", "TooManySockets"],
  ["ENFILE", "TooManySockets"],
  ["ENOMEM", "TooManySockets"],
  ["ETERM", "ContextClosed"],
  ["EFAULT", "ContextClosed"],
  ["ERR_ENGINE_MISSING", "EngineMissing"],
  ["ERR_ENGINE_UNSUPPORTED", "UnsupportedRuntime"]
])

const apply = (core: SocketCore): void => {
  for (const setting of core.options.settings) {
    try {
      core.engine.set(setting)
    } catch (cause) {
      throw new OptionError({ option: setting.option, value: setting.given, expected: setting.expected, cause })
    }
  }
  for (const topic of core.options.subscribe) core.subscriptions.add(topic)
}

/** Opens a socket with its options set, bound and connected; or fails, with nothing left open. */
export const openSocket = (type: SocketType, options: unknown): Effect.Effect<SocketCore, SocketError, Scope.Scope> =>
  Effect.gen(function* () {
    const engine = yield* CurrentEngine
    const context = yield* CurrentContext
    const around = yield* surroundings
    const prepared = yield* attempt(isSocketError, () => prepare(type, options))
    const make = attempt(isSocketError, () => {
      if (context.closed) throw new OpenError({ socketType: type, reason: "ContextClosed" })
      return new SocketCore(type, prepared, context, engine, around)
    })
    const begin = (core: SocketCore) =>
      Effect.gen(function* () {
        yield* attempt(isSocketError, () => apply(core))
        for (const endpoint of prepared.bind) yield* neverClosed(core.bind(endpoint))
        for (const endpoint of prepared.connect) yield* neverClosed(core.connect(endpoint))
        if (context.closed) return yield* new OpenError({ socketType: type, reason: "ContextClosed" })
        context.sockets.add(core)
        if (core.reliesOnZap) context.zap.enter()
        return core
      })
    const scope = yield* Effect.scope
    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.acquireRelease(
        Effect.flatMap(make, (core) => Effect.onError(restore(begin(core)), () => core.shut)),
        (core) => closeWith(scope, core)
      )
    )
  })

// Nobody has the socket yet who could close it.
const neverClosed = <A, E>(self: Effect.Effect<A, E | Closed>): Effect.Effect<A, Exclude<E, Closed>> =>
  Effect.catchIf(self, (error): error is Extract<E, Closed> => error instanceof Closed, Effect.die) as Effect.Effect<
    A,
    Exclude<E, Closed>
  >

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
