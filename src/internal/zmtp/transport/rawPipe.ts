/** A peer of a STREAM: the bytes of a connection, without ZMTP. */
import type { Socket } from "node:net"
import type { Outgoing } from "../../../Message.ts"
import { SocketEvent } from "../../../SocketEvent.ts"
import { markOf, Pipe } from "../pipe.ts"
import type { NetworkHost, OnEnd } from "./networkPipe.ts"
import type { Readable, Reader } from "./reading.ts"
import { millisToEnd } from "./wire.ts"

/** What libzmq reads of a peer at a time (its option in_batch_size): a high-water mark counts such pieces. */
const most = 8192

const nobody = { type: undefined, routingId: Buffer.alloc(0), userId: undefined }

export class RawPipe extends Pipe implements Reader {
  declare readonly host: NetworkHost
  private readonly onEnd: OnEnd
  private socket: Socket | undefined
  private onClosed: ((unsent: number) => void) | undefined
  private unwritten = 0
  private isPaused = false

  constructor(host: NetworkHost, endpoint: string, onEnd: OnEnd) {
    super(host, endpoint)
    this.onEnd = onEnd
  }

  establish(readable: Readable): void {
    const { endpoint } = this
    const { socket } = readable
    this.socket = socket
    this.isPaused = false
    socket.setNoDelay(true)
    this.host.attached(this, { ...nobody, address: socket.remoteAddress })
    readable.attach(this)
    socket.on("error", () => {})
    socket.on("close", () => {
      this.socket = undefined
      this.host.detached(this)
      this.host.tell(SocketEvent.Disconnected({ endpoint }), this)
      this.closed()
      this.onEnd(undefined, true)
    })
  }

  /** All is written, or never will be. */
  private closed(): void {
    const unsent = this.unwritten
    this.unwritten = 0
    this.onClosed?.(unsent)
    this.onClosed = undefined
  }

  place(): undefined {}

  read(bytes: Buffer): void {
    let mayCome = true
    for (let at = 0; at < bytes.length; at += most) {
      // What is kept is as large as what came.
      mayCome = this.host.arrived(this, [Buffer.from(bytes.subarray(at, at + most))])
    }
    if (mayCome || this.isPaused) return
    this.isPaused = true
    this.socket?.pause()
  }

  get queued(): number {
    return this.unwritten
  }
  get mark(): number {
    return this.socket?.writable !== true ? 0 : markOf(this.host.settings.sendHighWaterMark)
  }

  send(message: Outgoing): void {
    this.unwritten++
    const { socket } = this
    socket?.write(message as string | Uint8Array, (error) => {
      // What is not written is lost, and makes no room. Node has no error for it when the connection is gone.
      if (error || socket.destroyed) return
      this.unwritten--
      this.drained()
    })
  }

  refill(): void {
    if (!this.isPaused) return
    this.isPaused = false
    this.socket?.resume()
  }

  greet(): void {}
  subscribe(): void {}
  cancel(): void {}
  refuse(): void {}

  close(linger: number, done: (unsent: number) => void): void {
    const before = this.onClosed
    this.isOver = true
    const { socket } = this
    if (socket === undefined) return done(0)
    this.onClosed = (unsent) => {
      before?.(unsent)
      done(unsent)
    }
    if (linger <= 0) socket.destroy()
    else {
      // The peer need not end its side.
      socket.end(() => {
        this.closed()
        setTimeout(() => socket.destroy(), millisToEnd).unref()
      })
      this.refill()
    }
  }
}
