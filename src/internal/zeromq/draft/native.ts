/**
 * The native sockets of the draft types: beside `load.ts` the one other place that
 * loads the package `zeromq`.
 *
 * All of them but DGRAM are thread-safe sockets of libzmq, which cannot be
 * waited for: see `watch.ts`.
 *
 * A message that names a peer, a group or an address has it as its first frame,
 * as with a ROUTER: the routing id as four bytes, big-endian.
 */
import { createRequire } from "node:module"
import type { Frame, Message, Outgoing } from "../../../Message.ts"
import type { Offer, Source } from "../../engine.ts"
import { isInproc } from "../../socket/endpoint.ts"
import type { DraftType, Setting } from "../../socket/options.ts"
import { answerOf, checkAnswers, errorOf, refusal } from "../answer.ts"
import { Immediate } from "../immediate.ts"
import type { NativeOpening, NativeSocket } from "../native.ts"
import { attempt, type ConnectionEvent, type NativeContext, type Observer, type RawSocket, untilDone } from "../raw.ts"
import { closeRaw, opened, watchRaw } from "../threads.ts"
import { namesOf } from "./inproc.ts"
import { Pace, stir, unwatch, type Watched, watch } from "./watch.ts"

/** `zeromq/draft`, which is loaded with the first draft socket: it warns that it is a draft. */
const constructorsOf = (): { readonly [name in ConstructorName]: new (options: object) => unknown } =>
  createRequire(import.meta.url)("zeromq/draft.js")

type ConstructorName = (typeof nameOf)[DraftType]
const nameOf = {
  server: "Server",
  client: "Client",
  radio: "Radio",
  dish: "Dish",
  gather: "Gather",
  scatter: "Scatter",
  datagram: "Datagram"
} as const

/** As zeromq.js has them on draft sockets. */
interface DraftRawSocket extends Omit<RawSocket, "receive" | "send"> {
  maxMessageSize: number
  /** A frame and what comes with it, or for a DGRAM two frames. */
  receive(): Promise<readonly [Buffer, ...ReadonlyArray<unknown>]>
  send(message: unknown, to?: { readonly routingId: number } | { readonly group: Frame }): Promise<void>
  join(group: Buffer): void
  leave(group: Buffer): void
}

const ZMQ_SNDHWM = 23
const ZMQ_RCVTIMEO = 27
const ZMQ_SNDTIMEO = 28
// Options that zeromq.js does not have.
const numberOf: Readonly<Record<string, number>> = { noDrop: 69, multicastLoop: 96 }

const make = (type: DraftType, context: NativeContext): DraftRawSocket => {
  // Without other options: as in stable.ts.
  const raw = new (constructorsOf()[nameOf[type]])({ context }) as DraftRawSocket
  opened(raw as unknown as RawSocket)
  // Whatever is asked is answered before the call returns.
  raw.setInt32Option(ZMQ_SNDTIMEO, 0)
  raw.setInt32Option(ZMQ_RCVTIMEO, 0)
  return raw
}

const close = (raw: DraftRawSocket, observer?: Observer): void => closeRaw(raw as unknown as RawSocket, observer)

const assign = (raw: DraftRawSocket, { option, value }: Setting): void => {
  const number = numberOf[option]
  if (number === undefined) (raw as unknown as Record<string, Setting["value"]>)[option] = value
  else raw.setInt32Option(number, value === true ? 1 : 0)
}

export const openDraft = (type: DraftType, { context, noDrop }: NativeOpening): NativeSocket => {
  switch (type) {
    case "server":
      return new ServerSocket(type, "ask", context)
    case "radio":
      return new RadioSocket(type, noDrop ? "ask" : "always", context)
    case "dish":
      return new DishSocket(context)
    case "datagram":
      return new DatagramSocket(context)
    case "client":
    case "scatter":
      return new ThreadSafeSocket(type, "writable", context)
    case "gather":
      return new ThreadSafeSocket(type, "always", context)
  }
}

const ignore = (): void => {}

// How many packets of groups that were not joined may be passed over in one go.
const mostPassedOver = 256

const asMessage = (parts: readonly [Buffer, ...ReadonlyArray<unknown>]): Message => parts as unknown as Message

// As in stable.ts. That a SERVER has room for a peer, and a RADIO that drops
// nothing for all, only the attempt tells.
type Admission = "always" | "writable" | "ask"

// While only an attempt tells whether there is room, it is made so often.
const slowestRetry = 20

/** Where messages come from, and what is made of them: a message, or nothing. */
interface Origin {
  readonly raw: DraftRawSocket
  readonly read: (parts: readonly [Buffer, ...ReadonlyArray<unknown>]) => Message | undefined
}

/** CLIENT, GATHER and SCATTER, and what SERVER, RADIO and DISH have in common with them. */
class ThreadSafeSocket implements NativeSocket {
  onReturned: (message: Outgoing) => void = ignore
  readonly receivesAtOnce = false
  protected readonly raw: DraftRawSocket
  protected readonly context: NativeContext
  protected readonly origins: Array<Origin>
  private readonly names: ReturnType<typeof namesOf>
  private readonly admission: Admission
  private closed = false
  // a receive that looks for its message, and how to fail it
  private waiting: Watched | undefined
  private reject: (error: Error) => void = ignore
  private readonly pace = new Pace()
  private readonly immediate = new Immediate()
  private retryDelay = 1
  private observer: Observer | undefined

  constructor(type: DraftType, admission: Admission, context: NativeContext) {
    if (admission === "ask") checkAnswers()
    this.raw = make(type, context)
    this.admission = admission
    this.context = context
    this.names = namesOf(context)
    this.origins = [{ raw: this.raw, read: (parts) => this.read(parts) }]
  }

  protected read(parts: readonly [Buffer, ...ReadonlyArray<unknown>]): Message | undefined {
    return asMessage(parts)
  }

  protected sendRaw(message: Outgoing): Promise<void> {
    return this.raw.send(message)
  }

  receive(): Promise<Message> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(errorOf("EBADF"))
      this.reject = reject
      const look = (): boolean => {
        const taken = this.takeOne()
        if (taken === undefined) return false
        this.waiting = undefined
        taken.then(
          (message) => (message === undefined ? this.receive().then(resolve, reject) : resolve(message)),
          (error: { readonly code?: string }) => {
            if (error.code === "EAGAIN") this.receive().then(resolve, reject)
            else reject(error)
          }
        )
        return true
      }
      this.waiting = watch(this.pace, look)
    })
  }

  private takeOne(): Promise<Message | undefined> | undefined {
    try {
      for (const { raw, read } of this.origins) if (raw.readable) return raw.receive().then(read)
      return undefined
    } catch (error) {
      return Promise.reject(error)
    }
  }

  receiveBurst(max: number, onMessage: (message: Message) => void, again = mostPassedOver): Promise<void> | undefined {
    let last: Promise<void> | undefined
    let count = 0
    let given = 0
    try {
      for (const { raw, read } of this.origins) {
        while (count < max && raw.readable) {
          last = raw.receive().then((parts) => {
            const message = read(parts)
            if (message === undefined) return
            given++
            onMessage(message)
          }, ignore)
          count++
        }
      }
    } catch {
      // closed
    }
    // Each is the first to be asked in its turn.
    if (this.origins.length > 1) this.origins.push(this.origins.shift()!)
    // What was there was for others: what is wanted may be behind it.
    return last?.then(() => (given === 0 && again > 0 ? this.receiveBurst(max, onMessage, again - 1) : undefined))
  }

  recheck(): boolean {
    const { waiting } = this
    if (waiting === undefined || !waiting.look()) return true
    // Its message is there some microtasks later.
    unwatch(waiting)
    return false
  }

  offer(message: Outgoing): Offer {
    try {
      const answer = this.attempt(message)
      // An answer may be under way soon.
      if (answer === "sent" && this.waiting !== undefined) stir(this.waiting)
      return answer
    } catch {
      return "closed"
    }
  }

  private attempt(message: Outgoing): Offer {
    switch (this.admission) {
      case "always":
        this.sendRaw(message).catch(ignore)
        return "sent"
      case "writable":
        if (!this.raw.writable) return "full"
        this.sendRaw(message).catch(() => this.onReturned(message))
        return "sent"
      case "ask": {
        const answer = answerOf(() => this.sendRaw(message))
        if (answer === "sent") this.retryDelay = 1
        // A peer that has left has no room until libzmq looks what it said last.
        if (answer === "full") this.attend()
        return answer
      }
    }
  }

  async offerAll(source: Source): Promise<Offer> {
    try {
      for (let message = source.peek(); message !== undefined; message = source.peek()) {
        await this.sendRaw(message)
        source.sent()
      }
      return "sent"
    } catch (error) {
      return refusal(String((error as { readonly code?: unknown }).code))
    } finally {
      if (this.waiting !== undefined) stir(this.waiting)
    }
  }

  room(): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.admission !== "writable") {
        const delay = this.retryDelay
        this.retryDelay = Math.min(slowestRetry, delay * 2)
        setTimeout(() => resolve(true), delay)
        return
      }
      watch(new Pace(), () => {
        if (!this.closed && !this.raw.writable) return false
        resolve(true)
        return true
      })
    })
  }

  set(setting: Setting): void {
    assign(this.raw, setting)
  }

  subscribe(group: Buffer): void {
    this.raw.join(group)
  }

  unsubscribe(group: Buffer): void {
    this.raw.leave(group)
  }

  bind(endpoint: string): string {
    if (isInproc(endpoint)) {
      this.names.bind(this.raw, endpoint)
      return endpoint
    }
    this.raw.bindSync(endpoint)
    return this.raw.lastEndpoint ?? endpoint
  }

  connect(endpoint: string): void {
    if (isInproc(endpoint)) this.names.connect(this.raw, endpoint)
    else this.immediate.connect(this.raw, endpoint)
  }

  connectOnceReady(endpoint: string): void {
    if (this.admission === "always") this.connect(endpoint)
    else this.immediate.connectOnceReady(this.raw, endpoint)
  }

  disconnect(endpoint: string): void {
    if (isInproc(endpoint)) this.names.disconnect(this.raw, endpoint)
    else untilDone(() => this.raw.disconnect(endpoint))
  }

  attend(): void {
    void this.raw.readable
  }

  watch(onEvent: (event: ConnectionEvent) => void, onEnd: () => void): void {
    this.observer = watchRaw(this.raw as unknown as RawSocket, onEvent, onEnd)
  }

  close(): void {
    this.closed = true
    // One that has found its message resolves with it.
    if (this.waiting !== undefined) {
      unwatch(this.waiting)
      this.reject(errorOf("EBADF"))
    }
    this.names.close(this.raw)
    for (const { raw } of this.origins) close(raw, raw === this.raw ? this.observer : undefined)
  }
}

// -----------------------------------------------------------------------------
// SERVER
// -----------------------------------------------------------------------------

class ServerSocket extends ThreadSafeSocket {
  protected override read([data, from]: readonly [Buffer, ...ReadonlyArray<unknown>]): Message {
    const id = Buffer.allocUnsafe(4)
    id.writeUInt32BE((from as { readonly routingId: number }).routingId)
    return [id, data]
  }

  protected override sendRaw(message: Outgoing): Promise<void> {
    const [id, data] = message as readonly [Buffer, Frame]
    return this.raw.send(data, { routingId: id.readUInt32BE() })
  }
}

// -----------------------------------------------------------------------------
// RADIO and DISH
// -----------------------------------------------------------------------------

// All that a RADIO is told is which groups its peers join and leave. When it is
// told of a group that is too long libzmq aborts the whole process (radio.cpp:216).
// Messages that could hold such a group are refused, and their peer is cut off.
const longestCommand = "?JOIN".length + 255
const longestEncrypted = "?MESSAGE".length + 8 + 1 + 16 + longestCommand

class RadioSocket extends ThreadSafeSocket {
  constructor(type: DraftType, admission: Admission, context: NativeContext) {
    super(type, admission, context)
    this.raw.maxMessageSize = longestCommand
  }

  private waits = false

  override set(setting: Setting): void {
    if (setting.option.startsWith("curve")) this.raw.maxMessageSize = longestEncrypted
    if (setting.option === "noDrop") this.waits = setting.value === true
    super.set(setting)
  }

  // A message may be too large for a udp peer that came while it waited for a
  // slow one, and libzmq would write beyond its buffer.
  override connect(endpoint: string): void {
    if (this.waits && endpoint.startsWith("udp://")) throw errorOf("ENOCOMPATPROTO")
    super.connect(endpoint)
  }

  protected override sendRaw(message: Outgoing): Promise<void> {
    const [group, data] = message as readonly [Frame, Frame]
    return this.raw.send(data, { group })
  }
}

/**
 * A DISH that hears of udp through a DGRAM for each endpoint, and takes their
 * packets apart itself: libzmq's own DISH aborts the whole process when the
 * first byte of a packet is above 127 (udp_engine.cpp:547), and never lets go of
 * an endpoint.
 */
class DishSocket extends ThreadSafeSocket {
  private readonly joined = new Set<string>()
  private readonly udp = new Map<string, Origin>()
  private readonly settings: Array<Setting> = []

  constructor(context: NativeContext) {
    super("dish", "always", context)
    // What it sends are the groups that it joins: those above the mark would be dropped.
    this.raw.setInt32Option(ZMQ_SNDHWM, 0)
  }

  protected override read([data, from]: readonly [Buffer, ...ReadonlyArray<unknown>]): Message {
    return [(from as { readonly group: Buffer }).group, data]
  }

  private readonly readPacket = ([, packet]: readonly unknown[]): Message | undefined => {
    const bytes = packet as Buffer
    const end = 1 + (bytes[0] ?? bytes.length)
    if (end > bytes.length) return undefined
    const group = bytes.subarray(1, end)
    return this.joined.has(group.toString("latin1")) ? [group, bytes.subarray(end)] : undefined
  }

  override set(setting: Setting): void {
    super.set(setting)
    if (forDatagrams.has(setting.option)) this.settings.push(setting)
  }

  override subscribe(group: Buffer): void {
    super.subscribe(group)
    this.joined.add(group.toString("latin1"))
  }

  override unsubscribe(group: Buffer): void {
    super.unsubscribe(group)
    this.joined.delete(group.toString("latin1"))
  }

  override bind(endpoint: string): string {
    if (!endpoint.startsWith("udp://")) return super.bind(endpoint)
    if (this.udp.has(endpoint)) throw errorOf("EADDRINUSE")
    const origin = { raw: bindDatagrams(endpoint, this.settings, this.context), read: this.readPacket }
    this.udp.set(endpoint, origin)
    this.origins.push(origin)
    return endpoint
  }

  override disconnect(endpoint: string): void {
    const origin = this.udp.get(endpoint)
    if (origin === undefined) return super.disconnect(endpoint)
    this.udp.delete(endpoint)
    this.origins.splice(this.origins.indexOf(origin), 1)
    close(origin.raw)
  }
}

// -----------------------------------------------------------------------------
// DGRAM
// -----------------------------------------------------------------------------

const forDatagrams = new Set(["affinity", "linger", "receiveHighWaterMark", "sendHighWaterMark"])

const bindDatagrams = (endpoint: string, settings: ReadonlyArray<Setting>, context: NativeContext): DraftRawSocket => {
  const raw = make("datagram", context)
  try {
    for (const setting of settings) assign(raw, setting)
    raw.bindSync(endpoint)
    return raw
  } catch (error) {
    close(raw)
    throw error
  }
}

/**
 * A native DGRAM for as long as it is bound: libzmq can bind it once, and never
 * unbind it. It is not thread-safe, and can be waited for.
 */
class DatagramSocket implements NativeSocket {
  onReturned: (message: Outgoing) => void = ignore
  readonly receivesAtOnce = false
  private raw: DraftRawSocket | undefined
  private readonly context: NativeContext
  private readonly settings: Array<Setting> = []
  private closed = false
  // a receive while nothing is bound
  private unbound: { readonly resume: () => void; readonly reject: (error: Error) => void } | undefined

  constructor(context: NativeContext) {
    this.context = context
  }

  receive(): Promise<Message> {
    const { raw } = this
    if (this.closed) return Promise.reject(errorOf("EBADF"))
    if (raw === undefined) {
      return new Promise((resolve, reject) => {
        this.unbound = { resume: () => this.receive().then(resolve, reject), reject }
      })
    }
    return attempt(() => {
      raw.setInt32Option(ZMQ_RCVTIMEO, -1)
      return raw.receive().then(asMessage)
    })
  }

  receiveBurst(max: number, onMessage: (message: Message) => void): Promise<void> | undefined {
    const { raw } = this
    let last: Promise<void> | undefined
    if (raw === undefined) return undefined
    try {
      raw.setInt32Option(ZMQ_RCVTIMEO, 0)
      for (let count = 0; count < max && raw.readable; count++) {
        last = raw.receive().then((parts) => onMessage(asMessage(parts)), ignore)
      }
    } catch {
      // closed
    }
    return last
  }

  recheck(): boolean {
    // As in stable.ts: sends nothing, and has a pending receive looked at again.
    if (this.raw !== undefined) attempt(() => this.raw!.send([])).catch(ignore)
    return true
  }

  offer(message: Outgoing): Offer {
    if (this.closed) return "closed"
    try {
      if (this.raw === undefined) return "full"
      if (!this.raw.writable) {
        this.recheck()
        return "full"
      }
      this.raw.send(message).catch(() => this.onReturned(message))
      return "sent"
    } catch {
      return "closed"
    }
  }

  async offerAll(source: Source): Promise<Offer> {
    for (let message = source.peek(); message !== undefined; message = source.peek()) {
      const offer = this.offer(message)
      if (offer !== "sent") return offer
      source.sent()
    }
    return "sent"
  }

  room(): Promise<boolean> {
    return new Promise((resolve) => {
      watch(new Pace(), () => {
        const isRoom = this.closed || this.raw?.writable === true
        this.recheck()
        if (isRoom) resolve(true)
        return isRoom
      })
    })
  }

  set(setting: Setting): void {
    this.settings.push(setting)
  }

  subscribe(): void {}
  unsubscribe(): void {}

  bind(endpoint: string): string {
    if (this.raw !== undefined) throw errorOf("EISCONN")
    this.raw = bindDatagrams(endpoint, this.settings, this.context)
    const { unbound } = this
    this.unbound = undefined
    unbound?.resume()
    return endpoint
  }

  connect(): void {
    throw errorOf("ENOCOMPATPROTO")
  }
  connectOnceReady(): void {
    this.connect()
  }

  /** A receive that is pending fails with EAGAIN, and is tried again. */
  disconnect(): void {
    const { raw } = this
    this.raw = undefined
    if (raw !== undefined) close(raw)
  }

  /** udp has no connections. */
  watch(): void {}
  attend(): void {}

  close(): void {
    this.closed = true
    this.unbound?.reject(errorOf("EBADF"))
    this.disconnect()
  }
}
