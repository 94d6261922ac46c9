/** A connection of ZMTP over a socket of node:net: when it is read and written, and how long anything may take. */
import type { Socket } from "node:net"
import type { Message, Outgoing } from "../../../Message.ts"
import { microtask } from "../../microtask.ts"
import {
  blockSize,
  Connection,
  type ConnectionOptions,
  type Events,
  type Failure,
  type Introduced,
  type Progress,
  type ZapRequest
} from "../protocol/connection.ts"
import type { Settings } from "../settings.ts"
import { decoding, type Readable, type Reader } from "./reading.ts"

export interface WireOwner {
  /** The handshake is over. */
  ready(peer: Introduced): void
  /** A message came. Says whether there may be more at once. */
  message(message: Message): boolean
  subscribed(topic: Buffer, begins: boolean): boolean
  /** ZAP is to be asked: `accept` or `refuse` the wire. */
  zap(request: ZapRequest): void
  /** Messages were written. */
  written(): void
  /** It is over, after all messages that came. */
  ended(failure: Failure | undefined, error: Error | undefined): void
}

// So many bytes are written at once, where nothing is being written: the peer reads them while the rest is put together.
const early = 2048

// How long a peer may take to end a connection that we have ended, in milliseconds.
export const millisToEnd = 1000

export class Wire implements Events, Reader {
  readonly socket: Socket
  /** Where the peer is, over tcp. */
  readonly address: string | undefined
  private readonly connection: Connection
  private readonly owner: WireOwner
  private readonly settings: Settings
  private progress: Progress = "all"
  private isWriting = false
  private willFlush = false
  private willResume = false
  /** The peer sends nothing more, or nothing more can be read. */
  private isEnded = false
  /** Nothing more is told. */
  private isOver = false
  /** Ends when all is written. */
  private isClosing = false
  private error: Error | undefined
  private handshake: NodeJS.Timeout | undefined
  private ping_: NodeJS.Timeout | undefined
  private silence: NodeJS.Timeout | undefined
  private life: NodeJS.Timeout | undefined
  private lifetime = 0
  private heard = false

  constructor(readable: Readable, options: ConnectionOptions, settings: Settings, owner: WireOwner) {
    const { socket } = readable
    this.socket = socket
    this.address = socket.remoteAddress
    this.owner = owner
    this.settings = settings
    socket.setNoDelay(true)
    if (settings.keepAlive >= 0 || settings.keepAliveIdle > 0)
      socket.setKeepAlive(settings.keepAlive !== 0, Math.max(0, settings.keepAliveIdle) * 1000)
    this.connection = new Connection(options, this)
    if (settings.handshakeInterval > 0)
      this.handshake = setTimeout(() => this.giveUp("the handshake took too long"), settings.handshakeInterval)
    socket.on("end", () => this.noMore())
    socket.on("error", (error) => {
      this.error ??= error
    })
    socket.on("close", () => this.noMore())
    readable.attach(this)
    this.flush()
  }

  // ------------------------------------------------------------- in

  place(): Buffer | undefined {
    return this.connection.place()
  }

  read(bytes: Buffer): void {
    if (this.isOver) return
    this.heard = true
    if (this.lifetime > 0) this.life?.refresh()
    const { connection } = this
    if (decoding.isOver) this.goOn(connection.hold(bytes))
    else {
      const progress = connection.receive(bytes)
      decoding.spend(connection.spent + (bytes.length >> 10))
      this.goOn(progress)
    }
  }

  private goOn(progress: Progress): void {
    if (this.isOver) return
    const before = this.progress
    // Nothing more is read in this turn.
    if (progress === "all" && decoding.isOver && !this.isEnded) progress = "later"
    this.progress = progress
    if (this.connection.pending > 0) this.flushLater()
    if (progress === "failed") return this.fail()
    if (progress === "all") {
      if (this.isEnded) this.finish()
      else if (before !== "all") this.socket.resume()
      return
    }
    if (before === "all" && !this.isEnded) this.socket.pause()
    if (progress === "later") this.resumeLater()
  }

  private resumeLater(): void {
    if (this.willResume) return
    this.willResume = true
    decoding.next(this.resume)
  }

  private readonly resume = (): void => {
    this.willResume = false
    if (this.isOver) return
    if (decoding.isOver) return this.resumeLater()
    const progress = this.connection.resume()
    decoding.spend(this.connection.spent)
    this.goOn(progress)
  }

  /** There is room for more messages. */
  refill(): void {
    if (this.progress === "stopped" && !this.isOver) this.resume()
  }

  // What is here of it already is not left behind, whatever room there is for it: less
  // than was read at once.
  private noMore(): void {
    this.isEnded = true
    if (this.isOver) return
    if (this.progress === "all") this.finish()
    else if (this.progress === "stopped") this.goOn(this.connection.resume())
  }

  private fail(): void {
    const { failure } = this.connection
    this.flush()
    this.finish(failure)
  }

  private giveUp(reason: string): void {
    if (this.isOver) return
    this.connection.timedOut(reason)
    this.goOn("failed")
  }

  private finish(failure?: Failure): void {
    if (this.isOver) return
    this.isOver = true
    this.stopTimers()
    if (this.socket.destroyed) this.connection.end()
    else this.hangUp()
    this.owner.ended(failure, this.error)
  }

  /** Ends it politely: what it has written must not be lost because something of the peer is not read. */
  private hangUp(): void {
    const { connection, socket } = this
    const timer = setTimeout(() => socket.destroy(), millisToEnd)
    timer.unref()
    socket.once("close", () => {
      clearTimeout(timer)
      connection.end()
    })
    socket.resume()
    socket.end()
  }

  private stopTimers(): void {
    clearTimeout(this.handshake)
    clearTimeout(this.ping_)
    clearTimeout(this.silence)
    clearTimeout(this.life)
  }

  // ------------------------------------------------------------- events

  ready(peer: Introduced): void {
    clearTimeout(this.handshake)
    if (this.settings.heartbeatInterval > 0) this.beat()
    this.owner.ready(peer)
  }
  message(message: Buffer[]): boolean {
    return this.owner.message(message as unknown as Message) || this.isEnded
  }
  subscribe(topic: Buffer): boolean {
    return this.owner.subscribed(topic, true) || this.isEnded
  }
  cancel(topic: Buffer): boolean {
    return this.owner.subscribed(topic, false) || this.isEnded
  }
  zap(request: ZapRequest): void {
    this.owner.zap(request)
  }
  pong(): void {}
  failed(): void {}

  /** The peer wants to be given up if it is silent for so long. */
  ping(ttl: number): void {
    clearTimeout(this.life)
    this.lifetime = ttl
    if (ttl > 0) this.life = setTimeout(() => this.isSilent(ttl), ttl)
  }

  private isSilent(ttl: number): void {
    // We do not listen.
    if (this.progress !== "all") this.life = setTimeout(() => this.isSilent(ttl), ttl)
    else this.giveUp("the peer was silent for longer than it wanted to be")
  }

  private beat(): void {
    const { heartbeatInterval, heartbeatTimeToLive, heartbeatTimeout = heartbeatInterval } = this.settings
    this.ping_ = setTimeout(() => {
      this.connection.ping(heartbeatTimeToLive)
      this.flushLater()
      this.beat()
      if (this.silence !== undefined || heartbeatTimeout === 0) return
      this.heard = false
      this.silence = setTimeout(() => {
        this.silence = undefined
        if (!this.heard && this.progress === "all") this.giveUp("the peer did not answer a heartbeat in time")
      }, heartbeatTimeout)
    }, heartbeatInterval)
  }

  // The answer may come when nobody waits for it any more.
  accept(...answer: Parameters<Connection["accept"]>): void {
    if (!this.isOver) this.goOn(this.connection.accept(...answer))
  }
  nobodyToAsk(): void {
    this.goOn(this.connection.nobodyToAsk())
  }
  refuse(status: 300 | 400 | 500): void {
    if (!this.isOver) this.goOn(this.connection.refuse(status))
  }

  // ------------------------------------------------------------- out

  /** Whether a message is best put together at once. If not, there is enough to write for now. */
  get accepts(): boolean {
    return !this.isWriting || this.connection.pending < blockSize
  }

  /** Whether it has nothing to write. */
  get isIdle(): boolean {
    return !this.isWriting && this.connection.pending === 0
  }

  /** Messages that are not written yet. */
  get unwritten(): number {
    return this.connection.unwritten
  }

  send(message: Outgoing): void {
    this.connection.send(message)
    if (this.connection.pending >= early) this.flush()
    else this.flushLater()
  }
  sendSubscription(topic: Buffer, begins: boolean): void {
    if (begins) this.connection.subscribe(topic)
    else this.connection.cancel(topic)
    this.flushLater()
  }

  private flushLater(): void {
    if (this.willFlush || this.isWriting) return
    this.willFlush = true
    microtask(this.flush)
  }

  private readonly flush = (): void => {
    this.willFlush = false
    const { connection, socket } = this
    if (this.isWriting || connection.pending === 0 || !socket.writable) return
    this.isWriting = true
    const chunks = connection.take()
    const last = chunks.length - 1
    if (last === 0) {
      socket.write(chunks[0]!, this.wrote)
      return
    }
    socket.cork()
    for (let i = 0; i < last; i++) socket.write(chunks[i]!)
    socket.write(chunks[last]!, this.wrote)
    socket.uncork()
  }

  private readonly wrote = (error?: Error | null): void => {
    this.isWriting = false
    // What is lost counts as not written, to the end. Node has no error for it when the connection is gone.
    if (error || this.socket.destroyed) return
    this.connection.written()
    this.owner.written()
    this.flush()
    if (this.isClosing && this.isIdle) this.finish()
  }

  /** Ends it when all is written. */
  close(): void {
    this.isClosing = true
    this.flush()
    if (this.isIdle || !this.socket.writable) this.finish()
  }

  /** Ends it now. */
  destroy(): void {
    if (this.isOver) {
      this.socket.destroy()
      return
    }
    this.isOver = true
    this.stopTimers()
    this.socket.destroy()
    this.connection.end()
    this.owner.ended(undefined, undefined)
  }
}
