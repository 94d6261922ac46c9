/**
 * The one place that knows the package `zeromq`.
 *
 * Everything above sees the `NativeSocket` port: a socket that hands over
 * messages, accepts a message or says why not, and never throws on the
 * receive and send paths. What zeromq.js and libzmq do that could lose, stall
 * or crash is dealt with here, next to the reason.
 */
import { isMainThread } from "node:worker_threads"
import * as Context from "effect/Context"
import * as zmq from "zeromq"
import type { Message, Outgoing } from "../../Message.ts"
import type { ContextOptions } from "../../ZmqContext.ts"
import type { Setting, SocketType, StableType } from "../socket/options.ts"
import { answerOf, checkAnswers, refusal } from "./answer.ts"
import { Credit } from "./credit.ts"
import { Immediate } from "./immediate.ts"
import { mostInFront } from "./subscribers.ts"

/**
 * What became of a message that was offered to libzmq. `full` means that there
 * is no room now, or no peer yet; `outOfTurn` is libzmq's EFSM.
 */
export type Offer = "sent" | "full" | "unroutable" | "outOfTurn" | "closed"

/** Messages to send in turn: the next one, which is asked for again until it is sent. */
export interface Source {
  readonly peek: () => Outgoing | undefined
  readonly sent: () => void
}

/**
 * A socket, as the rest of the library needs it. Only one `receive` or
 * `receiveBurst`, and only one `room`, may be under way at a time.
 */
export interface NativeSocket {
  /** Waits for one message. Rejects only when the socket closes. */
  receive(): Promise<Message>
  /** Whether `receive` has a message that is there at once, and not in the next turn of the event loop. */
  readonly receivesAtOnce: boolean
  /** Hands over at most `max` messages that are there now, and resolves when it has. `undefined` if there are none. */
  receiveBurst(max: number, onMessage: (message: Message) => void): Promise<void> | undefined
  /**
   * Has libzmq see to what its other threads have told it, which it does only
   * when it is asked for something. Not while a `receive` is pending.
   */
  attend(): void
  /** Lets a pending `receive` see what has arrived by now. Says whether it could. */
  recheck(): boolean
  /**
   * Offers a message to libzmq and knows the answer at once. Should libzmq go
   * back on a `sent` (its last peer has left meanwhile), the message
   * comes back through `onReturned`.
   */
  offer(message: Outgoing): Offer
  onReturned: (message: Outgoing) => void
  /** Offers messages in turn, until there are no more or one is refused. */
  offerAll(source: Source): Promise<Offer>
  /**
   * Resolves when there is room, or after a moment: with whether an offer may
   * succeed now. With `false` only after a turn of the event loop, or whoever
   * asks again would never let go of it.
   */
  room(): Promise<boolean>
  set(setting: Setting): void
  subscribe(topic: Buffer): void
  unsubscribe(topic: Buffer): void
  /** Binds and returns the endpoint as libzmq resolved it. */
  bind(endpoint: string): string
  connect(endpoint: string): void
  /** Connects, and takes messages for the peer only when its handshake has succeeded (ZMQ_IMMEDIATE). */
  connectOnceReady(endpoint: string): void
  /** Ends a connection, or unbinds: libzmq's `disconnect` does both. */
  disconnect(endpoint: string): void
  /**
   * Tells from now on what becomes of the connections, until libzmq has done
   * with the socket, which may be some time after `close`. To be called once.
   */
  watch(onEvent: (event: ConnectionEvent) => void, onEnd: () => void): void
  /** Ends whatever is pending. A pending `receive` may still resolve with a message. */
  close(): void
}

/** What became of a connection, as zeromq.js puts it. */
export interface ConnectionEvent {
  readonly type: string
  readonly address?: string
  /** Milliseconds. */
  readonly interval?: number
  readonly error?: Error & { readonly code?: string; readonly status?: number }
}

/** What has to be known of a socket when it is made. */
export interface Opening {
  readonly context: NativeContext
  readonly noDrop: boolean
  readonly conflate: boolean
}

/**
 * Opens native sockets, with what it is given for that. Tests provide their own
 * to script what a socket does.
 */
export class Native extends Context.Reference<{
  readonly open: <T extends SocketType>(type: T, opening: Opening, real: Open<T>) => NativeSocket
}>("effect-zmq/Native", { defaultValue: () => ({ open: (type, opening, real) => real(type, opening) }) }) {}

export type Open<T extends SocketType> = (type: T, opening: Opening) => NativeSocket

export const openStable: Open<StableType> = (type, opening) => new ZeromqSocket(type, opening)

/** A context of libzmq: its I/O threads, and the names of its inproc endpoints. */
export type NativeContext = zmq.Context

// libzmq's default is few, as each socket that is watched takes three places,
// and a place costs 12 bytes.
const defaultMaxSockets = 1023
const withManySockets = (context: zmq.Context): zmq.Context => {
  if (context.maxSockets === defaultMaxSockets) context.maxSockets = context.maxSocketsLimit
  return context
}

let shared: NativeContext | undefined

/** The context of the process, which all its threads share. */
export const sharedContext = (): NativeContext => {
  shared ??= withManySockets(zmq.context)
  return shared
}

/** Throws what zeromq.js throws. The context lives as long as the process: nothing in zeromq.js ends one. */
export const makeContext = (settings: ContextOptions): NativeContext => {
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
  const context = new zmq.Context(given)
  return settings.maxSockets === undefined ? withManySockets(context) : context
}

/** Whether as many sockets can be opened now. */
export const canOpen = (context: NativeContext, count: number): boolean => {
  const opened: Array<zmq.Pair> = []
  try {
    for (let i = 0; i < count; i++) opened.push(new zmq.Pair({ context }))
    return true
  } catch {
    return false
  } finally {
    for (const raw of opened) raw.close()
  }
}

/** Holds inproc names, so that nobody else can bind them. */
export interface Holder {
  /** Says whether the name was free. */
  take(name: string): boolean
  give(name: string): void
  close(): void
}

/** `undefined` if there is no room for a socket. */
export const openHolder = (context: NativeContext): Holder | undefined => {
  try {
    const raw = new zmq.Pull({ context, linger: 0 })
    opened(raw as unknown as RawSocket)
    return {
      take: (name) => {
        try {
          raw.bindSync(name)
          return true
        } catch {
          return false
        }
      },
      give: (name) => {
        try {
          // The name is free at once, and not when libzmq has closed the socket.
          untilDone(() => raw.disconnect(name))
        } catch {
          // it was not held
        }
      },
      close: () => closeRaw(raw as unknown as RawSocket)
    }
  } catch {
    return undefined
  }
}

/** Ends the inproc connections that wait for one of the names to be bound, and drops what they have sent. */
export const endWaiting = (context: NativeContext, names: Iterable<string>): void => {
  const holder = openHolder(context)
  // Where one is bound nobody waits.
  for (const name of names) if (holder?.take(name)) holder.give(name)
  holder?.close()
}

const constructors = {
  pull: zmq.Pull,
  push: zmq.Push,
  // An XPUB tells who has subscribed, and is a PUB in all other ways.
  pub: zmq.XPublisher,
  sub: zmq.Subscriber,
  req: zmq.Request,
  rep: zmq.Reply,
  dealer: zmq.Dealer,
  router: zmq.Router,
  pair: zmq.Pair,
  xpub: zmq.XPublisher,
  xsub: zmq.XSubscriber,
  rawStream: zmq.Stream
} as const

export interface Observer {
  readonly closed: boolean
  receive(): Promise<ConnectionEvent | undefined>
  close(): void
}

/** The parts of the native class that zeromq.js types as protected, or only on some sockets. */
export interface RawSocket {
  readonly readable: boolean
  readonly writable: boolean
  readonly lastEndpoint: string | null
  readonly events: Observer
  readonly context: NativeContext
  linger: number
  immediate: boolean
  receive(): Promise<Message>
  send(message: unknown): Promise<void>
  setInt32Option(option: number, value: number): void
  setStringOption(option: number, value: Buffer): void
  bindSync(endpoint: string): void
  connect(endpoint: string): void
  disconnect(endpoint: string): void
  close(): void
}

const ZMQ_SUBSCRIBE = 6
const ZMQ_UNSUBSCRIBE = 7
const ZMQ_SNDHWM = 23
const ZMQ_RCVHWM = 24
const ZMQ_RCVTIMEO = 27
const ZMQ_SNDTIMEO = 28
const ZMQ_ROUTER_HANDOVER = 56

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
const sendOnAny = (zmq.Push.prototype as unknown as RawSocket).send

// A worker thread that ends while an operation is pending takes the whole
// process with it (zeromq.js issue 411). So close what is open when one exits;
// `worker.terminate()` alone gives no chance to.
const openInThread = new Set<RawSocket>()
// Observers that have not ended, with the milliseconds for which their socket
// may still send, if it is closed.
const watchedInThread = new Map<
  Observer,
  { readonly raw: RawSocket; readonly context: NativeContext; linger?: number }
>()
if (!isMainThread) {
  process.once("exit", () => {
    for (const { raw } of watchedInThread.values()) if (openInThread.has(raw)) raw.linger = 0
    for (const raw of openInThread) raw.close()
    endObservers()
  })
}
export const opened = (raw: RawSocket): void => {
  if (!isMainThread) openInThread.add(raw)
}
export const closeRaw = (raw: RawSocket, observer?: Observer): void => {
  openInThread.delete(raw)
  const watched = observer && watchedInThread.get(observer)
  if (watched !== undefined) {
    const { linger } = raw
    watched.linger = linger < 0 ? Number.POSITIVE_INFINITY : linger
  }
  raw.close()
}

// See `tellEvents`: an observer may end only after its socket, which libzmq's
// reaper closes, a thread that does one thing after another. So what was bound
// by a socket that was closed last is free once it has closed the others.
const endObservers = (): void => {
  if (watchedInThread.size === 0) return
  const watched = [...watchedInThread.values()]
  const contexts = new Set(watched.map(({ context }) => context))
  for (const context of contexts) passThrough(context)
  // All are being closed by now. What some have yet to send takes its time.
  pause(Math.min(longestWait, Math.max(0, ...watched.map(({ linger }) => linger ?? 0))))
  // Closing takes a way through several threads, hence more than once.
  for (let times = 0; times < 5; times++) for (const context of contexts) passThrough(context)
  for (const observer of watchedInThread.keys()) observer.close()
}

/** Waits until the reaper of a context has closed what was closed before. */
const passThrough = (context: NativeContext): void => {
  const bind = (endpoint: string): string | undefined => {
    const raw = new zmq.Pull({ linger: 0, context })
    try {
      raw.bindSync(endpoint)
      return raw.lastEndpoint ?? undefined
    } catch {
      return undefined
    } finally {
      raw.close()
    }
  }
  const endpoint = bind("tcp://127.0.0.1:*")
  // Another process may have taken the port.
  for (let waited = 0; endpoint !== undefined && waited < 1000 && bind(endpoint) === undefined; waited++) pause(1)
}

const cell = new Int32Array(new SharedArrayBuffer(4))
/** Stops the thread, in real time. */
export const pause = (millis: number): void => void Atomics.wait(cell, 0, 0, millis)
const longestWait = 10_000

// How many events are told before the event loop gets its turn.
const eventsPerTurn = 64

const ignore = (): void => {}

class ZeromqSocket implements NativeSocket {
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

  constructor(type: StableType, { context, noDrop, conflate }: Opening) {
    this.admission = admissionOf(type, noDrop)
    if (this.admission === "ask") checkAnswers()
    // Without other options: a constructor that throws half-way leaves a socket
    // that crashes the process at exit (SIGSEGV).
    const Type = type === "pub" && conflate ? zmq.Publisher : constructors[type]
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
    attempt(() => sendOnAny.call(this.raw, [])).catch(ignore)
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

export const watchRaw = (raw: RawSocket, onEvent: (event: ConnectionEvent) => void, onEnd: () => void): Observer => {
  const { events } = raw
  if (!isMainThread) watchedInThread.set(events, { raw, context: raw.context })
  void tellEvents(events, onEvent).finally(() => {
    watchedInThread.delete(events)
    onEnd()
  })
  return events
}

// An observer must not be closed before libzmq is done with its socket: libzmq
// would wait for ever to tell of the end, and no socket of the process would be
// closed any more (addresses in use, EMFILE). It closes itself after that.
const tellEvents = async (observer: Observer, onEvent: (event: ConnectionEvent) => void): Promise<void> => {
  try {
    for (let told = 1; !observer.closed; told++) {
      const event = await observer.receive()
      if (event === undefined || event.type === "end") return
      onEvent(event)
      if (told % eventsPerTurn === 0) await new Promise(setImmediate)
    }
  } catch {
    // closed with its thread
  }
}

/**
 * A signal makes libzmq give up before it has done anything (EINTR), as those
 * of a profiler do. zeromq.js tries again by itself, but for these calls.
 */
export const untilDone = (run: () => void): void => {
  while (true) {
    try {
      return run()
    } catch (error) {
      if ((error as { readonly code?: unknown }).code !== "EINTR") throw error
    }
  }
}

/** zeromq.js throws some failures and rejects with others: always reject. */
export const attempt = <A>(run: () => Promise<A>): Promise<A> => {
  try {
    return run()
  } catch (error) {
    return Promise.reject(error)
  }
}
