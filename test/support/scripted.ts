/**
 * A native socket that does what a test says, and keeps the books: what was
 * there to receive, what was handed over, and what was sent.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Offer, Source } from "../../src/internal/engine.ts"
import type { NativeSocket } from "../../src/internal/zeromq/native.ts"
import type { ConnectionEvent } from "../../src/internal/zeromq/raw.ts"
import type { Message, Outgoing } from "../../src/Message.ts"
import { CurrentEngine, engineOn } from "./engine.ts"
import { messageOf, type Script, Scripted, textOf } from "./script.ts"
import { ScriptedPort } from "./scriptedPort.ts"

export { messageOf, type Script } from "./script.ts"

interface Pending<A> {
  readonly promise: Promise<A>
  readonly resolve: (value: A) => void
  readonly reject: (error: unknown) => void
}

const pending = <A>(): Pending<A> => {
  let resolve!: (value: A) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<A>((res, rej) => {
    resolve = res
    reject = rej
  })
  return { promise, resolve, reject }
}

const errorOf = (code: string): Error => Object.assign(new Error(code), { code })

export class ScriptedSocket extends Scripted implements NativeSocket {
  onReturned: (message: Outgoing) => void = () => {}
  readonly receivesAtOnce = true
  /** Tells of a connection. */
  tell: (event: ConnectionEvent) => void = () => {}
  /** libzmq has done with it. */
  ended: () => void = () => {}
  private receiving: Pending<Message> | undefined
  private bursting = 0
  private waiting: Pending<boolean> | undefined

  // ---------------------------------------------------------------------------
  // what a test does
  // ---------------------------------------------------------------------------

  arriveMessage(message: Message, notify = true): void {
    this.offered.push(textOf(message as Outgoing))
    this.queue.push(message)
    if (notify) this.notify()
  }

  /** Messages arrive, and the notification gets lost. */
  arriveUnnoticed(...texts: Array<string>): void {
    for (const text of texts) this.arriveMessage(messageOf(text), false)
  }

  /** Whether a receive waits natively. */
  get isReceiving(): boolean {
    return this.receiving !== undefined
  }

  /** Whether someone waits for room. */
  get isWaiting(): boolean {
    return this.waiting !== undefined
  }

  /** Fails the pending receive. */
  failReceive(code: string): void {
    const { receiving } = this
    this.receiving = undefined
    receiving?.reject(errorOf(code))
  }

  giveRoom(messages: number): void {
    this.space += messages
    this.endWait()
  }

  /** Says that there may be room, when there is none. */
  endWait(): void {
    const { waiting } = this
    this.waiting = undefined
    waiting?.resolve(true)
  }

  /** Takes back that the last message was sent. */
  giveBack(message: Outgoing): void {
    this.sent.splice(this.sent.lastIndexOf(textOf(message)), 1)
    this.onReturned(message)
  }

  // ---------------------------------------------------------------------------
  // what the engine asks
  // ---------------------------------------------------------------------------

  receive(): Promise<Message> {
    if (this.receiving !== undefined || this.bursting > 0) this.violations.push("receive while receiving")
    if (this.closed) return Promise.reject(errorOf("EBADF"))
    const message = this.next()
    if (message !== undefined) return Promise.resolve(message)
    this.receiving = pending()
    return this.receiving.promise
  }

  receiveBurst(max: number, onMessage: (message: Message) => void): Promise<void> | undefined {
    if (this.receiving !== undefined || this.bursting > 0) this.violations.push("receiveBurst while receiving")
    if (this.closed) return undefined
    let last: Promise<void> | undefined
    for (let count = 0; count < max; count++) {
      const message = this.next()
      if (message === undefined) break
      this.bursting++
      last = Promise.resolve(message).then((message) => {
        this.bursting--
        onMessage(message)
      })
    }
    return last
  }

  recheck(): boolean {
    this.notify()
    return true
  }

  async offerAll(source: Source): Promise<Offer> {
    for (let message = source.peek(); message !== undefined; message = source.peek()) {
      const offer = this.offer(message)
      // The answer is known a moment later.
      await Promise.resolve()
      if (offer !== "sent") return offer
      source.sent()
    }
    return "sent"
  }

  room(): Promise<boolean> {
    // Asked again and again, by a timer.
    if (this.script.admission === "ask") return new Promise((resolve) => setImmediate(() => resolve(true)))
    if (this.waiting !== undefined) this.violations.push("room while waiting for room")
    if (this.closed || this.space > 0) return Promise.resolve(true)
    this.waiting = pending()
    return this.waiting.promise
  }

  bind(endpoint: string): string {
    this.log.push(`bind ${endpoint}`)
    return endpoint
  }

  connect(endpoint: string): void {
    this.log.push(`connect ${endpoint}`)
  }

  connectOnceReady(endpoint: string): void {
    this.log.push(`connect ${endpoint} once ready`)
  }

  disconnect(endpoint: string): void {
    this.log.push(`disconnect ${endpoint}`)
    this.tell({ type: "close", address: endpoint })
  }

  attend(): void {
    if (this.receiving !== undefined || this.bursting > 0) this.violations.push("attend() while a receive is pending")
  }

  watch(onEvent: (event: ConnectionEvent) => void, onEnd: () => void): void {
    this.tell = onEvent
    this.ended = onEnd
  }

  close(): void {
    this.closed = true
    this.flooding = false
    const { receiving } = this
    this.receiving = undefined
    // libzmq may still hand over what was queued.
    const message = receiving === undefined ? undefined : this.next()
    if (message !== undefined) receiving?.resolve(message)
    else receiving?.reject(errorOf("EAGAIN"))
    this.endWait()
    this.ended()
  }

  private next(): Message | undefined {
    this.flow()
    const message = this.queue.shift()
    if (message !== undefined) this.handedOver++
    return message
  }

  private notify(): void {
    if (this.receiving === undefined || this.queue.length === 0) return
    const { receiving } = this
    this.receiving = undefined
    receiving.resolve(this.next()!)
  }
}

export interface Opened<S> {
  readonly socket: S
  readonly port: ScriptedSocket
}

/**
 * Whether tests with a scripted socket have it below the engine on zeromq.js, or at
 * the port, in the place of an engine: see `port.test.ts`.
 */
export const floor: "binding" | "port" = process.env.SCRIPTED === undefined ? "binding" : "port"

/** Opens a socket over a scripted one. */
export const openScripted = <S, E>(
  open: Effect.Effect<S, E, Scope.Scope>,
  script?: Script
): Effect.Effect<Opened<S>, never, Scope.Scope> =>
  Effect.suspend(() => {
    const atPort = floor === "port" ? new ScriptedPort(script) : undefined
    // What is not there at the port is for tests of the binding.
    const port = (atPort ?? new ScriptedSocket(script)) as ScriptedSocket
    const engine = atPort?.engine ?? engineOn(() => port)
    return Effect.map(Effect.provideService(Effect.orDie(open), CurrentEngine, engine), (socket) => ({ socket, port }))
  })

/** As `openScripted`, at once and without a scope. */
export const openNow = <S, E>(
  open: Effect.Effect<S, E, Scope.Scope>,
  script?: Script
): Opened<S> & { readonly close: () => Promise<void> } => {
  const scope = Scope.makeUnsafe()
  const opened = Effect.runSync(Scope.provide(openScripted(open, script), scope))
  return { ...opened, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

/** How a fiber ended, in a word: its value, the tag of its error, or `interrupted`. */
export const outcome = <A, E extends { readonly _tag: string }>(fiber: Fiber.Fiber<A, E>): string => {
  const exit = fiber.pollUnsafe()
  if (exit === undefined) return "running"
  if (Exit.isSuccess(exit)) return String(exit.value)
  if (Cause.hasInterrupts(exit.cause)) return "interrupted"
  const error = Cause.findErrorOption(exit.cause)
  return Option.isSome(error) ? error.value._tag : `defect: ${Cause.pretty(exit.cause)}`
}

/** Lets the event loop go round. */
export const turns = async (count = 1): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** Goes on with the event loop until `done`, or until that is hopeless. */
export const turnsUntil = async (done: () => boolean, most = 10_000): Promise<boolean> => {
  for (let i = 0; i < most && !done(); i++) await turns()
  return done()
}

/** Random numbers that are the same each time. */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
