/**
 * One connection of ZMTP 3.1 or 3.0, without any I/O: bytes in, events out. It
 * knows no socket, no timer and no Effect. Who owns it has those.
 *
 * **A life.** Make it, with who we are, how we are secured, and who is told what
 * happens. Our greeting is to be written at once. It goes through the phases
 * `greeting`, `handshake` and `traffic`, or fails.
 *
 * **Bytes in.** Read into `place()`, where it gives one, or else wherever you
 * like: one buffer for all connections will do, as nothing is kept of it. Then
 * `receive(bytes)`. What it gives says how to go on:
 * - `"all"`: read on.
 * - `"stopped"`: an event said to stop, or ZAP has not answered yet. Read
 *   nothing until `resume()`, or the answer, gives something else. What came
 *   nevertheless is kept.
 * - `"later"`: this turn had its share. Call `resume()` in a turn to come, and
 *   read nothing before.
 * - `"failed"`: write what there is to write, and end the connection.
 *
 * **Events** come in the order of the bytes, and only from within `receive`,
 * `resume`, `accept`, `refuse` and `timedOut`. They may send, accept and refuse,
 * but not call `receive` or `resume`. Those that return a boolean say whether
 * there may be more of them at once: after `false` nothing is decoded until
 * `resume`, so that what is held for a peer has the bound that you give it.
 *
 * **Bytes out.** `send`, `subscribe`, `cancel` and `ping` put bytes together;
 * answers, as PONG, come to them by themselves. Whenever `pending` is more than
 * 0, they are to be written: `take()` gives them, and `written()` says that they
 * are with the kernel, or that they never will be. Between the two nothing more
 * is taken. Small messages are worth waiting for until the end of a turn;
 * with `pending` at `blockSize` there is nothing to wait for. `unwritten` is how
 * many messages are not with the kernel yet: what a high-water mark counts.
 *
 * **Time.** Call `timedOut` when a phase takes too long, when no traffic came
 * within the time to live of a `ping` event, or within yours after `ping`. Any
 * traffic is a sign of life: `receive` was called.
 *
 * **The end.** Call `end()` when the connection is closed, whoever closed it. It
 * forgets keys and memory. A peer that closes before `ready`, without a failure,
 * may try again: but a libzmq that uses another mechanism, or does not like our
 * type, does just that, and says no word. A message of which frames are missing was not, and
 * never is, an event.
 */
import { asBuffer, Memory, part } from "./bytes.ts"
import { commandData, commandName, commandPrefix, encodeCommand, faultOfError, isContext, readPing } from "./command.ts"
import { FrameDecoder, type FrameSink } from "./decoder.ts"
import { FrameEncoder, type Outgoing } from "./encoder.ts"
import { type Failure, type Fault, type Phase, protocolFault } from "./failure.ts"
import { COMMAND, MORE } from "./frames.ts"
import { encodeGreeting, GreetingReader } from "./greeting.ts"
import { defaultLimits, type Limits } from "./limits.ts"
import type { Mechanism, Step } from "./mechanism.ts"
import type { Properties } from "./metadata.ts"
import type { Local, Peer } from "./peer.ts"
import { SEALED_COMMAND, type Sealing, sealedOverhead } from "./sealing.ts"
import { makeMechanism, type Security } from "./security.ts"
import { isPublisher } from "./socketTypes.ts"
import type { ZapAnswer, ZapRequest } from "./zap.ts"

export { blockSize, type Frame, type Outgoing } from "./encoder.ts"
export type { Failure, FailureKind, Phase } from "./failure.ts"
export { defaultLimits, type Limits } from "./limits.ts"
export type { Local, Peer } from "./peer.ts"
export type { Security } from "./security.ts"
export { mayTalk, type SocketType, socketTypes } from "./socketTypes.ts"
export type { ZapRequest } from "./zap.ts"

/** One frame or more. They are the receiver's: nothing else has their memory, but small ones next to them. */
export type Message = Array<Buffer>

/** What is known of a peer when the handshake is over. */
export interface Introduced extends Peer {
  /** The version that both speak is 3.`minor`. */
  readonly minor: 0 | 1
  /** The user id that ZAP gave, if it was asked, and what else it said. */
  readonly userId: string | undefined
  readonly zapMetadata: Properties
}

export interface Events {
  /** The handshake is over: messages may be sent, and come. */
  ready(peer: Introduced): void
  /** A whole message. More at once? */
  message(message: Message): boolean
  /**
   * PUB and XPUB alone: the peer subscribes, in either form: by a command, or by a message of one frame that begins
   * with 1 or 0. More at once? Messages of several frames are none: libzmq's XPUB looks at each frame of them.
   */
  subscribe(topic: Buffer): boolean
  cancel(topic: Buffer): boolean
  /** The peer asks for a sign of life, and has been answered. If `ttl` (milliseconds) is not 0, it wants to be given up if it is silent for so long. */
  ping(ttl: number): void
  /** The peer answered a `ping`. */
  pong(context: Buffer): void
  /** Call `accept` or `refuse`, at once or later. */
  zap(request: ZapRequest): void
  /** It is over. Nothing is an event after that. */
  failed(failure: Failure): void
}

export interface ConnectionOptions {
  readonly local: Local
  readonly security: Security
  readonly limits?: Partial<Limits>
}

export type Progress = "all" | "stopped" | "later" | "failed"

/** How many frames are decoded in a turn: about half a millisecond's. */
export const framesOfTurn = 4096
/** One that is sealed counts for so many: by WebAssembly it takes 10 µs. */
const sealedCosts = 8
/** A command of the handshake; and one of CURVE, for which keys are agreed on: a millisecond's, by WebAssembly. */
const commandCosts = 64
const agreementCosts = 2048

/** A subscription counts for so many more. */
const subscriptionCosts = 8

const noProperties: Properties = new Map()
const subscribePrefix = commandPrefix("SUBSCRIBE")
const cancelPrefix = commandPrefix("CANCEL")

export class Connection implements FrameSink {
  phase: Phase = "greeting"
  failure: Failure | undefined
  private readonly local: Local
  private readonly events: Events
  private readonly limits: Limits
  private readonly memory = new Memory()
  private readonly decoder: FrameDecoder
  private readonly encoder = new FrameEncoder()
  private readonly mechanism: Mechanism
  private greeting: GreetingReader | undefined
  private minor: 0 | 1 = 0
  private sealing: Sealing | undefined
  private user: { readonly userId: string; readonly metadata: Properties } | undefined
  private readonly publishes: boolean
  // Of the message that has begun.
  private frames: Message | undefined
  /** Bytes that came, and are not decoded yet, from `heldAt` on. */
  private held: Array<Uint8Array> = []
  private heldAt = 0
  private progress: Progress = "all"
  private isRunning = false
  private queued = 0
  private writing = 0
  private pongs = 0

  constructor(options: ConnectionOptions, events: Events) {
    const limits = { ...defaultLimits, ...options.limits }
    this.local = options.local
    this.events = events
    this.limits = limits
    this.decoder = new FrameDecoder(this, this.memory, limits)
    this.mechanism = makeMechanism(options.security, options.local, limits)
    this.publishes = isPublisher(options.local.socketType)
    const { name, asServer } = this.mechanism
    this.greeting = new GreetingReader(name, asServer)
    this.encoder.pass(encodeGreeting(name, asServer))
  }

  // ------------------------------------------------------------- bytes in

  /** Where the next bytes are best read to. `undefined`: anywhere. */
  place(): Buffer | undefined {
    return this.held.length > 0 ? undefined : this.decoder.place()
  }

  /** Bytes came. They are yours again afterwards. */
  receive(bytes: Uint8Array): Progress {
    if (this.progress !== "all") return this.hold(bytes)
    this.begin()
    if (this.decoder.isInPlace(bytes)) this.decoder.advance(bytes.length)
    else {
      const at = this.decode(bytes, 0)
      if (at < bytes.length) this.held.push(Uint8Array.prototype.slice.call(bytes, at))
    }
    return this.pause()
  }

  /** Bytes came for which there is no time now: `resume` decodes them. They are yours again afterwards. */
  hold(bytes: Uint8Array): Progress {
    if (this.progress === "failed") return "failed"
    this.held.push(Uint8Array.prototype.slice.call(bytes))
    if (this.progress === "all") this.progress = "later"
    return this.progress
  }

  /** What the last `receive` or `resume` took of `framesOfTurn`. */
  get spent(): number {
    return framesOfTurn - this.decoder.budget
  }

  /** Goes on after `"stopped"` or `"later"`. */
  resume(): Progress {
    if (this.isRunning || this.failure !== undefined || this.mechanism.waits) return this.progress
    this.begin()
    const { held } = this
    let chunk = 0
    while (chunk < held.length && this.progress === "all") {
      this.heldAt = this.decode(held[chunk]!, this.heldAt)
      if (this.heldAt < held[chunk]!.length) break
      chunk++
      this.heldAt = 0
    }
    held.splice(0, chunk)
    return this.pause()
  }

  private begin(): void {
    this.isRunning = true
    this.progress = "all"
    this.decoder.budget = framesOfTurn
  }

  private pause(): Progress {
    this.isRunning = false
    if (this.failure === undefined && this.decoder.fault !== undefined) this.fail(protocolFault(this.decoder.fault))
    if (this.failure !== undefined) {
      this.held.length = 0
      this.progress = "failed"
    } else if (this.progress === "all" && this.held.length > 0) this.progress = "later"
    return this.progress
  }

  private decode(bytes: Uint8Array, at: number): number {
    if (this.greeting !== undefined) {
      at += this.greet(this.greeting, at === 0 ? bytes : part(bytes, at, bytes.length))
      if (this.progress !== "all" || this.failure !== undefined) return at
    }
    return at < bytes.length ? this.decoder.decode(bytes, at, bytes.length) : at
  }

  private greet(greeting: GreetingReader, bytes: Uint8Array): number {
    const count = greeting.take(bytes)
    const fault = greeting.check()
    if (fault !== undefined) this.fail(fault)
    else if (greeting.isComplete) {
      this.minor = greeting.minor
      this.greeting = undefined
      this.phase = "handshake"
      this.step(this.mechanism.start())
      if (this.mechanism.waits) this.progress = "stopped"
    }
    return count
  }

  /** A frame was decoded. */
  frame(flags: number, body: Buffer): boolean {
    if (this.phase !== "traffic") {
      this.decoder.budget -= this.mechanism.name === "CURVE" ? agreementCosts : commandCosts
      this.step(this.mechanism.command(body))
      return this.goesOn(!this.mechanism.waits)
    }
    if (this.sealing !== undefined) {
      this.decoder.budget -= sealedCosts
      const opened = this.sealing.open(body, this.memory)
      if (opened === undefined) {
        this.fail(protocolFault(this.sealing.fault!))
        return false
      }
      body = opened
      flags = this.sealing.flags === SEALED_COMMAND ? COMMAND : this.sealing.flags
    }
    if (flags === 0 && this.frames === undefined) return this.goesOn(this.deliver([body]))
    if (flags === COMMAND) return this.goesOn(this.command(body))
    return this.goesOn(this.partOfMessage(body, flags === MORE))
  }

  private goesOn(more: boolean): boolean {
    if (more) return this.failure === undefined
    this.progress = "stopped"
    return false
  }

  private partOfMessage(body: Buffer, more: boolean): boolean {
    if (!this.decoder.counts(more, body.length)) return false
    if (this.frames === undefined) this.frames = [body]
    else this.frames.push(body)
    if (more) return true
    const message = this.frames
    this.frames = undefined
    return this.deliver(message)
  }

  private deliver(message: Message): boolean {
    if (!this.publishes || message.length > 1) return this.events.message(message)
    const body = message[0]!
    if (body[0] === 1) return this.subscription(true, part(body, 1, body.length))
    if (body[0] === 0) return this.subscription(false, part(body, 1, body.length))
    return this.events.message(message)
  }

  private subscription(subscribes: boolean, topic: Buffer): boolean {
    if (topic.length > this.limits.commandBytes) {
      this.fail(
        protocolFault(`a subscription of ${topic.length} bytes, where ${this.limits.commandBytes} are the most`)
      )
      return true
    }
    this.decoder.budget -= subscriptionCosts
    return subscribes ? this.events.subscribe(topic) : this.events.cancel(topic)
  }

  /** A command after the handshake. One that is not known is ignored. */
  private command(body: Buffer): boolean {
    const name = commandName(body)
    if (name === undefined) this.fail(protocolFault("a malformed command"))
    else if (name === "PING") this.pinged(commandData(body))
    else if (name === "PONG") {
      const context = commandData(body)
      if (isContext(context)) this.events.pong(context)
      else this.fail(protocolFault("a PONG with more than 16 bytes of context"))
    } else if (name === "SUBSCRIBE" || name === "CANCEL")
      return !this.publishes || this.subscription(name === "SUBSCRIBE", commandData(body))
    else if (name === "ERROR") this.fail(faultOfError(commandData(body)))
    return true
  }

  private pinged(data: Buffer): void {
    const ping = readPing(data)
    if (ping === undefined) return this.fail(protocolFault("a malformed PING"))
    if (++this.pongs > this.limits.pongs) return this.fail(protocolFault("more PINGs than it reads answers to"))
    this.sayInTraffic(encodeCommand("PONG", ping.context))
    this.events.ping(ping.ttl * 100)
  }

  // ------------------------------------------------------------- handshake

  private step(step: Step): void {
    if (this.failure !== undefined) return
    if (step.say !== undefined) this.encoder.frame(step.say, COMMAND)
    if (step.fault !== undefined) return this.fail(step.fault)
    if (step.done !== undefined) this.ready(step.done)
    if (step.ask !== undefined) this.events.zap(step.ask)
  }

  private ready(peer: Peer): void {
    this.phase = "traffic"
    this.sealing = this.mechanism.sealing
    this.decoder.expects = this.sealing === undefined ? "traffic" : "sealed"
    this.decoder.overhead = this.sealing === undefined ? 0 : sealedOverhead
    const { user } = this
    this.events.ready({
      ...peer,
      minor: this.minor,
      userId: user?.userId,
      zapMetadata: user?.metadata ?? noProperties
    })
  }

  /** ZAP has accepted the peer. What it held up goes on: read on if this gives `"all"`. */
  accept(userId: string, metadata: Properties = noProperties): Progress {
    this.user = { userId, metadata }
    return this.answered({ status: 200, userId, metadata })
  }

  /** ZAP has refused the peer. With 300 it is told nothing. */
  refuse(status: 300 | 400 | 500): Progress {
    return this.answered({ status })
  }

  private answered(answer: ZapAnswer): Progress {
    if (this.phase !== "handshake") return this.progress
    this.step(this.mechanism.answered(answer))
    return this.isRunning ? this.progress : this.failure === undefined ? this.resume() : this.pause()
  }

  /** What was to come has not come in time. */
  timedOut(reason: string): void {
    this.fail({ kind: "timeout", reason })
  }

  /** There is nobody to ask about the peer. */
  nobodyToAsk(): Progress {
    this.fail({ kind: "nobody", reason: "there is no authenticator to ask about the peer" })
    return this.progress
  }

  private fail(fault: Fault): void {
    if (this.failure !== undefined) return
    this.failure = { ...fault, phase: this.phase }
    this.progress = "failed"
    this.frames = undefined
    this.mechanism.end()
    this.events.failed(this.failure)
  }

  /** The connection is closed. */
  end(): void {
    this.mechanism.end()
    this.held.length = 0
    this.frames = undefined
  }

  // ------------------------------------------------------------- bytes out

  /** Whether messages may be sent. */
  get isReady(): boolean {
    return this.phase === "traffic" && this.failure === undefined
  }

  /**
   * Sends a message of one frame or more. A frame of more than 4 KiB is not
   * copied, and must not be changed before it is written. Says whether it was
   * sent: not before `ready`, nor after `failed`.
   */
  send(message: Outgoing): boolean {
    if (!this.isReady) return false
    this.queued++
    const { sealing, encoder } = this
    if (sealing === undefined) encoder.message(message)
    else if (typeof message === "string" || message instanceof Uint8Array) sealing.seal(encoder, message, 0)
    else
      for (let i = 0, last = message.length - 1; i <= last; i++) sealing.seal(encoder, message[i]!, i < last ? MORE : 0)
    return true
  }

  /** Subscribes, as a command, or as a message to those who speak ZMTP 3.0. */
  subscribe(topic: Uint8Array): boolean {
    return this.sayTopic(subscribePrefix, 1, topic)
  }

  cancel(topic: Uint8Array): boolean {
    return this.sayTopic(cancelPrefix, 0, topic)
  }

  private sayTopic(prefix: Buffer, form: 0 | 1, topic: Uint8Array): boolean {
    if (!this.isReady) return false
    if (this.minor === 0) return this.send(Buffer.concat([Buffer.of(form), topic]))
    this.sayInTraffic(Buffer.concat([prefix, topic]))
    return true
  }

  /**
   * Asks for a sign of life. `ttl` are milliseconds, up to 6,553,500, in which we
   * want to be given up if we are silent; `context` has at most 16 bytes, and
   * comes back in `pong`. RFC 23 has no PING: of those who speak 3.0, libzmq since
   * 4.2 answers it, and others ignore it.
   */
  ping(ttl = 0, context: Uint8Array = asBuffer(new Uint8Array(0))): boolean {
    if (!this.isReady) return false
    const tenths = Math.min(0xffff, Math.ceil(ttl / 100))
    this.sayInTraffic(encodeCommand("PING", Buffer.of(tenths >> 8, tenths & 0xff), context.subarray(0, 16)))
    return true
  }

  private sayInTraffic(command: Buffer): void {
    if (this.sealing === undefined) this.encoder.frame(command, COMMAND)
    else this.sealing.seal(this.encoder, command, SEALED_COMMAND)
  }

  /** Bytes to write. */
  get pending(): number {
    return this.encoder.pending
  }

  /** Messages that are not written yet. */
  get unwritten(): number {
    return this.queued + this.writing
  }

  /** Takes what is to be written, in its order. */
  take(): Array<Uint8Array> {
    this.writing = this.queued
    this.queued = 0
    return this.encoder.take()
  }

  /** What was taken is written, or never will be. */
  written(): void {
    this.writing = 0
    this.pongs = 0
    this.encoder.written()
  }
}
