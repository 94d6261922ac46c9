import type { Message, Outgoing } from "../../../Message.ts"
import type { Offer, Setting, Source } from "../../engine.ts"
import { errorOf } from "../answer.ts"
import type { NativeSocket } from "../native.ts"
import { attempt, type NativeContext } from "../raw.ts"
import { asMessage, assign, close, type DraftRawSocket, make, ZMQ_RCVTIMEO } from "./raw.ts"
import { Pace, watch } from "./watch.ts"

const ignore = (): void => {}

export const forDatagrams = new Set(["affinity", "linger", "receiveHighWaterMark", "sendHighWaterMark"])

export const bindDatagrams = (
  endpoint: string,
  settings: ReadonlyArray<Setting>,
  context: NativeContext
): DraftRawSocket => {
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
export class DatagramSocket implements NativeSocket {
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
