/** Makes a connection, and makes it again when it is lost. */
import type { Socket } from "node:net"
import * as Duration from "effect/Duration"
import { SocketEvent } from "../../../SocketEvent.ts"
import { connectTo } from "../addresses.ts"
import type { Failure } from "../protocol/connection.ts"
import type { Settings } from "../settings.ts"
import { dial, type Readable } from "./reading.ts"

export interface Connecting {
  readonly endpoint: string
  readonly settings: Settings
  readonly tell: (event: SocketEvent) => void
  readonly established: (readable: Readable) => void
}

// How long to wait at most for a peer that refuses us, in milliseconds, where there is
// no `reconnectMaxInterval`.
const longestDelay = 10_000

export class Connecter {
  private readonly options: Connecting
  private socket: Socket | undefined
  private timer: NodeJS.Timeout | undefined
  private delay = 0
  private since = 0
  private isOver = false

  constructor(options: Connecting) {
    this.options = options
  }

  /** Begins. */
  readonly attempt = (): void => {
    const { endpoint, settings } = this.options
    const { waitsFor } = settings
    if (waitsFor !== undefined) void waitsFor.then(this.dial)
    else this.dial()
    this.tell(SocketEvent.ConnectDelayed({ endpoint }))
  }

  private readonly dial = (): void => {
    if (this.isOver) return
    const { endpoint, established, settings } = this.options
    let readable: Readable
    try {
      readable = dial(connectTo(endpoint, settings.ipv6))
    } catch {
      return this.failed()
    }
    const { socket } = readable
    this.socket = socket
    let limit: NodeJS.Timeout | undefined
    if (settings.connectTimeout > 0) limit = setTimeout(() => socket.destroy(), settings.connectTimeout)
    const failed = (): void => {
      clearTimeout(limit)
      this.socket = undefined
      this.failed()
    }
    socket.once("error", ignore)
    socket.once("close", failed)
    socket.once("connect", () => {
      clearTimeout(limit)
      socket.off("close", failed)
      socket.off("error", ignore)
      this.socket = undefined
      if (this.isOver) {
        socket.destroy()
        return
      }
      this.since = performance.now()
      this.tell(SocketEvent.Connected({ endpoint }))
      established(readable)
    })
  }

  private failed(): void {
    if (this.isOver) return
    this.tell(SocketEvent.Closed({ endpoint: this.options.endpoint }))
    this.again(false)
  }

  /** The connection is lost. */
  lost(failure: Failure | undefined, wasReady: boolean): void {
    if (this.isOver) return
    // Whoever refuses us may think better of it, but not soon.
    const isRefused = failure !== undefined && failure.kind !== "timeout"
    const { reconnectInterval, reconnectMaxInterval } = this.options.settings
    const most = Math.max(reconnectInterval, reconnectMaxInterval > 0 ? reconnectMaxInterval : longestDelay)
    if (isRefused ? performance.now() - this.since > most : wasReady) this.delay = 0
    this.again(isRefused)
  }

  private again(isRefused: boolean): void {
    const { endpoint, settings } = this.options
    const { reconnectInterval: first, reconnectMaxInterval: max } = settings
    if (first <= 0) return
    const most = Math.max(first, max > 0 ? max : isRefused ? longestDelay : first)
    this.delay = this.delay === 0 ? first : Math.min(most, this.delay * 2)
    // Spread out, as libzmq does, for those who were lost at the same time.
    const interval = Math.round(this.delay + (max > 0 && !isRefused ? 0 : Math.random() * first))
    this.tell(SocketEvent.ConnectRetried({ endpoint, interval: Duration.millis(interval) }))
    this.timer = setTimeout(this.attempt, interval)
  }

  private tell(event: SocketEvent): void {
    this.options.tell(event)
  }

  close(): void {
    this.isOver = true
    clearTimeout(this.timer)
    this.socket?.destroy()
    this.socket = undefined
  }
}

const ignore = (): void => {}
