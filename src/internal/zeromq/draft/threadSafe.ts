import type { Message, Outgoing } from "../../../Message.ts"
import { isInproc } from "../../endpoint.ts"
import type { Offer, Setting, Source } from "../../engine.ts"
import type { DraftType } from "../../socketTypes.ts"
import { answerOf, checkAnswers, errorOf, refusal } from "../answer.ts"
import { Immediate } from "../immediate.ts"
import type { NativeSocket } from "../native.ts"
import { type ConnectionEvent, type NativeContext, type Observer, type RawSocket, untilDone } from "../raw.ts"
import { watchRaw } from "../threads.ts"
import { namesOf } from "./inproc.ts"
import { asMessage, assign, close, type DraftRawSocket, make } from "./raw.ts"
import { Pace, stir, unwatch, type Watched, watch } from "./watch.ts"

const ignore = (): void => {}

// How many packets of groups that were not joined may be passed over in one go.
const mostPassedOver = 256

// As in stable.ts. That a SERVER has room for a peer, and a RADIO that drops
// nothing for all, only the attempt tells.
export type Admission = "always" | "writable" | "ask"

// While only an attempt tells whether there is room, it is made so often.
const slowestRetry = 20

/** Where messages come from, and what is made of them: a message, or nothing. */
export interface Origin {
  readonly raw: DraftRawSocket
  readonly read: (parts: readonly [Buffer, ...ReadonlyArray<unknown>]) => Message | undefined
}

/** CLIENT, GATHER and SCATTER, and what SERVER, RADIO and DISH have in common with them. */
export class ThreadSafeSocket implements NativeSocket {
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
