import * as Deferred from "effect/Deferred"
import type * as Effect from "effect/Effect"
import type { SocketEvent } from "../../SocketEvent.ts"
import type { Stats } from "../../Stats.ts"
import type { Status } from "../../Status.ts"
import { InvalidState, OpenError, Refused } from "../../ZmqError.ts"
import { reliesOnZap } from "../authenticator.ts"
import type { Engine, EngineSocket, Opening, Owner } from "../engine.ts"
import { hasLanes, mostPerPeer } from "../lane.ts"
import { Held } from "../receive/held.ts"
import { Inbox } from "../receive/inbox.ts"
import { Outbox } from "../send/outbox.ts"
import type { SocketType } from "../socketTypes.ts"
import { closeSocket } from "./closing.ts"
import { Connections } from "./connections.ts"
import type { ContextCore } from "./context.ts"
import type { Prepared } from "./options.ts"
import { Places } from "./places.ts"
import { type Link, Links, statusOf } from "./status.ts"
import { Subscriptions } from "./subscriptions.ts"
import { inThePast, Warnings } from "./warnings.ts"

// How many messages a mailbox may hold that nobody has asked for yet. A small
// high-water mark is a wish for fewer.
const mailboxCapacity = 256

/** An open socket, before it has the operations of its type. */
export class SocketCore implements Owner {
  readonly type: SocketType
  readonly options: Prepared
  readonly context: ContextCore
  /** What the engine made. */
  readonly port: EngineSocket
  // Where nothing finds it that prints sockets: that of an authenticator has passwords in it.
  readonly #inbox: Inbox
  readonly outbox: Outbox
  readonly subscriptions: Subscriptions
  readonly connections: Connections
  /** Closes it, and counts what was left in it. */
  readonly shut: Effect.Effect<void> = closeSocket(this)
  /** When it has closed. */
  readonly ended = Deferred.makeUnsafe<void>()
  /** Called when the socket closes, before anything else is. */
  readonly closing = new Set<() => void>()
  closed = false
  leftAtClose = 0
  /** Whether what was sent need not arrive: whom it was for has gone. */
  deliversNothing = false
  /** For how many milliseconds others of its scope have been closing. */
  lingerIsLess = 0
  readonly places: Places
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
    { after, log, now }: Surroundings,
    farewell?: Buffer
  ) {
    this.type = type
    this.options = options
    this.context = context
    this.log = log
    this.links = new Links(type !== "rawStream", { now, after, unreached: this.unreached })
    this.places = new Places(this, this.links)
    const highWaterMark = options.receiveHighWaterMark
    const capacity = highWaterMark > 0 ? Math.min(highWaterMark, mailboxCapacity) : mailboxCapacity
    const { conflate, monitor, noDrop } = options
    this.onDropped = this.warnOnce(
      `a ${type} socket drops messages that ${type.endsWith("pub") ? "subscribers" : "peers"} send it`
    )
    this.port = openEngine(engine, context, { type, prefetch: capacity, conflate, monitor, noDrop, farewell }, this)
    this.connections = new Connections(
      this.warnOnce("whoever reads the events of a socket is behind, and misses the oldest")
    )
    this.#inbox = new Inbox(this.port, capacity, conflate)
    this.outbox = new Outbox(this.port, type)
    this.subscriptions = new Subscriptions((topic, on) =>
      on ? this.port.subscribe(topic) : this.port.unsubscribe(topic)
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
        this.port.holdBack === undefined
          ? undefined
          : {
              holdBack: this.port.holdBack.bind(this.port),
              after,
              most: highWaterMark > 0 ? highWaterMark : Number.POSITIVE_INFINITY
            },
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
    const { inbox, outbox, port } = this
    return {
      messagesIn: port.received.messages,
      bytesIn: port.received.bytes,
      messagesOut: outbox.sent,
      bytesOut: outbox.bytes,
      queued: inbox.queued,
      putBack: inbox.mailbox.putBacks,
      again: port.again + outbox.again,
      dropped: (inbox.held?.dropped ?? 0) + port.dropped,
      eventsDropped: this.connections.dropped,
      leftAtClose: this.leftAtClose
    }
  }

  get reliesOnZap(): boolean {
    return reliesOnZap(this.options.settings)
  }

  given(option: string): unknown {
    return this.options.settings.find((setting) => setting.option === option)?.value
  }

  /** Milliseconds. */
  get linger(): number {
    const given = this.given("linger") as number
    return given < 0 ? Number.POSITIVE_INFINITY : given
  }

  get endpoints(): ReadonlyArray<string> {
    return [...this.places.boundTo, ...this.places.connectedTo]
  }

  // ---------------------------------------------------------------------------
  // what the engine tells
  // ---------------------------------------------------------------------------

  get wanted(): number {
    return this.inbox.wanted
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
    const cameIn = connectedTo === undefined && this.places.boundTo.length > 0
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
  // peers
  // ---------------------------------------------------------------------------

  /** Begins to watch the connections. Says whether there was room for that. */
  watch(): boolean {
    return this.closed || this.port.watch()
  }

  /** How it stands with the connections, as far as they are watched. */
  get status(): Status {
    if (this.closed) return { endpoints: [], peers: 0 }
    return {
      endpoints: [
        ...this.places.boundTo.map((endpoint) => ({
          endpoint,
          state: "listening" as const,
          peers: this.port.peersAt(endpoint)
        })),
        ...this.places.connectedTo.map((endpoint) => statusOf(endpoint, this.links.get(endpoint)))
      ],
      peers: this.port.knowsPeers ? this.port.peers : undefined
    }
  }

  /** For `refusedSince`: those until now, which count where the connection is not tried again. */
  get refusedUntilNow(): number {
    const interval = (this.given("reconnectInterval") as number | undefined) ?? 100
    return interval > 0 ? this.links.refusals : 0
  }

  /** Why a peer that it connected to does not let it in, if one has refused it since then. */
  refusedSince(refusals: number): Refused | undefined {
    for (const endpoint of this.places.connectedTo) {
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
    if (this.places.connectedTo.length === 0) return this.port.peers > 0
    return this.places.connectedTo.every((endpoint) => this.links.get(endpoint)?.state === "connected")
  }

  /** Whether there are as many peers. */
  hasPeers(count: number): boolean {
    return this.port.peers >= count
  }

  /** Throws InvalidState if the peers cannot be known. */
  checkPeers(operation: string): void {
    const expected = this.port.peersUnknown()
    if (expected !== undefined) throw new InvalidState({ operation, expected })
  }

  // ---------------------------------------------------------------------------
  // the end
  // ---------------------------------------------------------------------------

  /** Takes and gives nothing more. Whoever waits is told so. */
  stop(): void {
    this.closed = true
    for (const run of this.closing) run()
    this.inbox.close()
    this.outbox.end()
    this.port.dismiss()
    this.connections.close()
    this.links.close()
    this.refusals.close()
  }
}

const cores = new WeakMap<object, SocketCore>()

/** Remembers what a public socket is made of. */
export const link = (socket: object, core: SocketCore): void => void cores.set(socket, core)

/** What a public socket is made of, or undefined if it is none of ours: a copy, or a test's own. */
export const coreOf = (socket: object): SocketCore | undefined => cores.get(socket)

export type Log = (level: "Debug" | "Info" | "Warn", message: string, annotations: Record<string, unknown>) => void

/** What a socket does outside of fibers, it does as the fiber that opened it would. */
export interface Surroundings {
  readonly log: Log
  readonly now: () => number
  readonly after: (millis: number, run: () => void) => () => void
}

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
  ["ERR_ENGINE_UNSUPPORTED", "UnsupportedRuntime"],
  ["ERR_ENGINE_DRAFT", "UnsupportedType"]
])
