/**
 * A socket of an engine that does what a test says: what `ScriptedSocket` is to the
 * engine on zeromq.js, one floor higher. It has messages when they arrive, tells of
 * them, and is asked for nothing twice.
 */
import type {
  Delivery,
  Done,
  Engine,
  EngineSocket,
  GiveUp,
  Lane,
  Offer,
  Opening,
  Owner,
  Source
} from "../../src/internal/engine.ts"
import { peerOf } from "../../src/internal/lane.ts"
import { turn } from "../../src/internal/turn.ts"
import type { Message, Outgoing } from "../../src/Message.ts"
import { type Script, Scripted, textOf } from "./script.ts"

const ignore = (): void => {}

/**
 * Whether it does what an engine may do and need not: takes a moment to look and to
 * close, peeks twice, tells of room that is not there, leaves with one peer what that sends.
 */
const isOdd = process.env.SCRIPTED === "odd"

export class ScriptedPort extends Scripted implements EngineSocket {
  readonly received = { messages: 0, bytes: 0 }
  readonly again = 0
  readonly dropped = 0
  left = 0
  readonly peers = 0
  readonly knowsPeers = false
  readonly watched = true
  readonly subscribers = undefined

  private owner: Owner | undefined
  private listening = false
  private telling = false
  private dismissed = false
  private readonly lanes = new Set<Lane>()
  /** Whom it was asked to hold back. */
  readonly heldBack = new Set<Lane>()
  /** How many messages are on their way to a peer. */
  readonly onTheirWay = new Map<Lane, number>()
  readonly holdBack?: NonNullable<EngineSocket["holdBack"]>
  private turn: NodeJS.Immediate | undefined

  /** The engine that opens this one socket. */
  get engine(): Engine {
    return {
      openContext: () => ({ close: ignore }),
      open: (_: Opening, owner) => {
        this.owner = owner
        return this
      }
    }
  }

  // ---------------------------------------------------------------------------
  // what a test does
  // ---------------------------------------------------------------------------

  arriveUnnoticed(...texts: Array<string>): void {
    this.arrive(...texts)
  }
  arriveMessage(message: Message): void {
    this.offered.push(textOf(message as Outgoing))
    if (this.dismissed) this.left++
    else this.queue.push(message)
    this.tellLater()
  }

  get isReceiving(): boolean {
    return this.listening
  }
  get isWaiting(): boolean {
    return this.lanes.size > 0
  }

  failReceive(code: string): void {
    if (code !== "EAGAIN") this.owner!.onEnd()
  }

  giveRoom(messages: number): void {
    this.space += messages
    queueMicrotask(() => this.endWait())
  }
  endWait(): void {
    for (const lane of [...this.lanes]) {
      // One may be woken by what another did.
      if (this.lanes.delete(lane)) this.owner!.onRoom(lane)
    }
  }

  // ---------------------------------------------------------------------------
  // the port
  // ---------------------------------------------------------------------------

  constructor(script: Script = {}) {
    super(script)
    if (script.holdsBack ?? isOdd) this.holdBack = this.holdBackOrNot
  }

  private readonly holdBackOrNot = (lane: Lane, isHeldBack: boolean): number => {
    if (isHeldBack) this.heldBack.add(lane)
    else this.heldBack.delete(lane)
    this.tellLater()
    return this.onTheirWay.get(lane) ?? 0
  }

  private readonly mayGive = (message: Message): boolean => !this.heldBack.has(peerOf(message))

  get ready(): number {
    this.flow()
    return this.heldBack.size === 0 ? this.queue.length : this.queue.filter(this.mayGive).length
  }

  get waiting(): number {
    return this.queue.length - this.ready
  }

  take(): Message {
    if (this.ready === 0) this.violations.push("take without a message")
    turn.spend()
    this.handedOver++
    this.received.messages++
    return this.queue.splice(this.queue.findIndex(this.mayGive), 1)[0]!
  }

  listen(): void {
    if (this.closed || this.dismissed) return
    this.listening = true
    this.tellLater()
  }

  // Later, and not from within a call.
  private tellLater(): void {
    if (this.telling || !this.listening || this.ready === 0) return
    this.telling = true
    if (turn.isOver) turn.next(this.tell)
    else queueMicrotask(this.tell)
  }

  private readonly tell = (): void => {
    this.telling = false
    if (!this.listening || this.ready === 0) return
    this.listening = false
    this.owner!.onMessages()
  }

  look(_: number, done: () => void): void {
    if (isOdd) queueMicrotask(done)
    else done()
  }

  dismiss(): void {
    this.dismissed = true
    this.flooding = false
  }

  async offerAll(source: Source): Promise<Offer> {
    for (let message = source.peek(); message !== undefined; message = source.peek()) {
      if (isOdd && source.peek() !== message) this.violations.push("another message at the second peek")
      const offer = this.offer(message)
      await Promise.resolve()
      if (offer !== "sent") return offer
      source.sent()
    }
    return "sent"
  }

  awaitRoom(lane: Lane): void {
    this.lanes.add(lane)
    if (this.script.admission === "ask" || isOdd) this.turn ??= setImmediate(this.askAgain)
    else if (this.space > 0) queueMicrotask(() => this.endWait())
  }

  // Who has room of those that are named only an attempt tells.
  private readonly askAgain = (): void => {
    this.turn = undefined
    this.endWait()
  }

  forgoRoom(lane: Lane): void {
    this.lanes.delete(lane)
  }

  bind(endpoint: string, done: Done<string>): GiveUp {
    this.log.push(`bind ${endpoint}`)
    done(undefined, endpoint)
    return ignore
  }
  unbind(endpoint: string, done: Done<void>): void {
    this.log.push(`disconnect ${endpoint}`)
    done(undefined)
  }
  connect(endpoint: string, done: Done<void>): GiveUp {
    this.log.push(`connect ${endpoint}`)
    done(undefined)
    return ignore
  }
  disconnect(endpoint: string): void {
    this.log.push(`disconnect ${endpoint}`)
  }

  watch(): boolean {
    return true
  }
  peersUnknown(): string | undefined {
    return undefined
  }
  peersAt(): number | undefined {
    return undefined
  }
  isConnected(): boolean {
    return false
  }

  close(_: number, done: (delivery: Delivery) => void): void {
    if (this.closed) this.violations.push("closed twice")
    this.closed = true
    clearImmediate(this.turn)
    const delivery = { inTime: true, unsent: 0 }
    if (isOdd) queueMicrotask(() => done(delivery))
    else done(delivery)
  }
}
