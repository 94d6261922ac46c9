/** A peer over tcp or ipc. One that we connected to may come again and again. */
import type { Message, Outgoing } from "../../../Message.ts"
import { SocketEvent } from "../../../SocketEvent.ts"
import { Queue } from "../../queue.ts"
import { type Host, keep, markOf, Pipe } from "../pipe.ts"
import type { ConnectionOptions, Failure, Introduced, ZapRequest } from "../protocol/connection.ts"
import type { Readable } from "./reading.ts"
import { millisToEnd, Wire, type WireOwner } from "./wire.ts"

/** The socket that has peers over a network. */
export interface NetworkHost extends Host {
  readonly connectionOptions: ConnectionOptions
  /** Something became of a connection: of this pipe, where there is one. */
  tell(event: SocketEvent, pipe?: Pipe): void
  /** ZAP is to be asked about who is at the other end. */
  ask(request: ZapRequest, address: string | undefined, wire: Wire): void
}

/** What becomes of a session, as whoever made it wants to know. */
export type OnEnd = (failure: Failure | undefined, wasReady: boolean) => void

export class NetworkPipe extends Pipe implements WireOwner {
  declare readonly host: NetworkHost
  private readonly outbox = new Queue<Outgoing>()
  private wire: Wire | undefined
  private wasReady = false
  /** We have refused the peer: nothing that it still says is heard. */
  private isUnwanted = false
  /** The peer did not let us in: others that we connected to get what there is to send. */
  private isRefused = false
  private onClosed: ((unsent: number) => void) | undefined
  /** Messages that were lost with connections since it is over. */
  private lost = 0
  private readonly isConnecting: boolean
  private readonly onEnd: OnEnd
  mark: number

  constructor(host: NetworkHost, endpoint: string, isConnecting: boolean, onEnd: OnEnd) {
    super(host, endpoint)
    this.isConnecting = isConnecting
    this.onEnd = onEnd
    this.mark = this.markWhile(false)
  }

  private markWhile(isThere: boolean): number {
    const { conflate, immediate, sendHighWaterMark } = this.host.settings
    if ((immediate || this.isRefused) && !isThere) return 0
    return conflate ? Number.MAX_SAFE_INTEGER : markOf(sendHighWaterMark)
  }

  /** There is a connection. */
  establish(readable: Readable): void {
    this.wasReady = false
    this.isUnwanted = false
    this.wire = new Wire(readable, this.host.connectionOptions, this.host.settings, this)
  }

  // ------------------------------------------------------------- what becomes of it

  ready(peer: Introduced): void {
    this.wasReady = true
    const { endpoint, wire } = this
    this.mark = this.markWhile(true)
    // Whoever was left gets what was sent to it, and is no peer.
    const mayStay =
      this.isOver ||
      this.host.attached(this, {
        type: peer.socketType,
        routingId: peer.identity,
        address: wire!.address,
        userId: peer.userId
      })
    this.host.tell(SocketEvent.HandshakeSucceeded({ endpoint }), this)
    if (mayStay) this.pump()
    else this.refuse("there is another peer already")
  }

  message(message: Message): boolean {
    return !this.isUnwanted && this.host.arrived(this, message)
  }

  subscribed(topic: Buffer, begins: boolean): boolean {
    return this.host.subscribed(this, topic, begins)
  }

  zap(request: ZapRequest): void {
    this.host.ask(request, this.wire!.address, this.wire!)
  }

  ended(failure: Failure | undefined, error: Error | undefined): void {
    const { endpoint, wasReady } = this
    // What it has not read by now is lost with it.
    if (this.isOver) this.lost += this.wire?.unwritten ?? 0
    this.wire = undefined
    this.isRefused = !wasReady && failure !== undefined && failure.kind !== "timeout"
    this.mark = this.markWhile(false)
    this.host.detached(this)
    if (!wasReady) {
      // Whoever hangs up before the handshake says nothing of why.
      if (failure !== undefined) this.host.tell(handshakeFailed(endpoint, failure), this)
      else if (!this.isOver) this.host.tell(hungUp(endpoint, error), this)
    }
    this.host.tell(SocketEvent.Disconnected({ endpoint }), this)
    if (!this.isConnecting || (this.isOver && this.outbox.length === 0)) this.finish()
    // What was on its way makes room for the next connection, however little: nothing else does for now.
    this.drained(this.mark - 1)
    this.onEnd(failure, wasReady)
  }

  private finish(): void {
    this.onClosed?.(this.outbox.length + this.lost)
    this.onClosed = undefined
  }

  // ------------------------------------------------------------- in

  refill(): void {
    this.wire?.refill()
  }

  refuse(_: string): void {
    this.isUnwanted = true
    const { wire } = this
    // It may be in the middle of telling us something.
    setImmediate(() => {
      wire?.close()
      // It may not read what there is for it.
      setTimeout(() => wire?.destroy(), millisToEnd).unref()
    })
  }

  // ------------------------------------------------------------- out

  get queued(): number {
    return this.outbox.length + (this.wire?.unwritten ?? 0)
  }

  send(message: Outgoing): void {
    const { wire } = this
    if (this.wasReady && wire !== undefined && this.outbox.length === 0 && this.accepts(wire)) wire.send(message)
    else {
      if (this.host.settings.conflate) while (this.outbox.length > 0) this.outbox.take()
      this.outbox.append(keep(message))
    }
  }

  greet(message: Outgoing): void {
    this.wire?.send(message)
  }

  private accepts(wire: Wire): boolean {
    return this.host.settings.conflate ? wire.isIdle : wire.accepts
  }

  private pump(): void {
    const { outbox, wire } = this
    if (!this.wasReady || wire === undefined) return
    while (outbox.length > 0 && this.accepts(wire)) wire.send(outbox.take())
    if (this.isOver && outbox.length === 0) wire.close()
  }

  written(): void {
    this.pump()
    this.drained()
  }

  subscribe(topic: Buffer): void {
    this.wire?.sendSubscription(topic, true)
  }
  cancel(topic: Buffer): void {
    this.wire?.sendSubscription(topic, false)
  }

  close(linger: number, done: (unsent: number) => void): void {
    const { wire } = this
    const atOnce = linger <= 0
    const before = this.onClosed
    this.isOver = true
    this.onClosed = (unsent) => {
      before?.(unsent)
      done(unsent)
    }
    if (wire === undefined) {
      // There may be a connection yet, for what there is to send.
      if (atOnce || this.outbox.length === 0) this.finish()
    } else if (atOnce) {
      const unsent = this.queued + this.lost
      this.onClosed = () => {
        before?.(unsent)
        done(unsent)
      }
      // Or it would wait for another connection.
      while (this.outbox.length > 0) this.outbox.take()
      wire.destroy()
    } else if (!this.wasReady && this.outbox.length === 0) wire.destroy()
    else this.pump()
  }
}

const codes = {
  version: "ERR_ZMTP_INVALID_VERSION",
  mechanism: "ERR_ZMTP_MECHANISM_MISMATCH",
  protocol: "ERR_ZMTP_PROTOCOL",
  authentication: "ERR_ZAP_STATUS",
  cryptography: "ERR_ZMTP_CRYPTOGRAPHIC",
  timeout: "ERR_ZMTP_TIMEOUT",
  nobody: "EFAULT"
} as const

const handshakeFailed = (endpoint: string, { kind, reason, status }: Failure): SocketEvent => {
  const code = codes[kind]
  return SocketEvent.HandshakeFailed({
    endpoint,
    reason:
      kind === "authentication"
        ? "Authentication"
        : kind === "timeout" || kind === "nobody"
          ? "Connection"
          : "Protocol",
    code,
    status,
    error: Object.assign(new Error(reason), { code })
  })
}

const hungUp = (endpoint: string, error: Error | undefined): SocketEvent =>
  SocketEvent.HandshakeFailed({
    endpoint,
    reason: "Connection",
    code: (error as NodeJS.ErrnoException | undefined)?.code ?? "EPIPE",
    status: undefined,
    error: error ?? new Error("the peer closed the connection before its handshake")
  })
