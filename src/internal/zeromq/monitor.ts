/** What libzmq tells of a socket's connections, and what follows from that. */
import { isMainThread } from "node:worker_threads"
import type { SocketEvent } from "../../SocketEvent.ts"
import { eventOf } from "./events.ts"
import type { NativeSocket } from "./native.ts"
import { Peers } from "./peers.ts"
import type { ConnectionEvent } from "./raw.ts"
import { Reconnect } from "./reconnect.ts"

/** The socket that is watched. */
export interface Watched {
  readonly native: NativeSocket
  /** STREAM ends connections on purpose, none of its peers can refuse it, and none of its connections has a handshake. */
  readonly isStream: boolean
  /** Whether to watch from the first endpoint on; undefined as is best. */
  readonly from: boolean | undefined
  readonly hasRoom: (sockets: number) => boolean
  /** What it is connected to, over a network. */
  readonly connectedTo: () => ReadonlyArray<string>
  /** `reconnectInterval` and `reconnectMaxInterval`, in milliseconds. */
  readonly intervals: () => { readonly interval: number; readonly maxInterval: number }
  readonly onEvent: (event: SocketEvent, connectedTo: string | undefined) => void
}

// How many binds libzmq may tell of before the event loop turns.
const mostUnheard = 100

export class Monitor {
  private readonly socket: Watched
  readonly peers: Peers
  private reconnect: Reconnect | undefined
  watching = false
  /** Whether there were connections before anybody watched. */
  unseen = false
  /** Resolves when libzmq has done with the socket, if it is watched. */
  ended: Promise<void> | undefined
  private closed = false
  private told = 0
  // Binds while it was watched, and how many of them libzmq's events were read of.
  private binds = 0
  private heardBinds = 0
  // Who waits for libzmq to let go of an endpoint.
  private readonly freeing = new Map<string, () => void>()

  constructor(socket: Watched) {
    this.socket = socket
    this.peers = new Peers(!socket.isStream, socket.connectedTo)
  }

  /** Begins to watch. Says whether there was room for the two sockets that takes. */
  watch(): boolean {
    if (this.watching) return true
    // A monitor whose observer cannot be opened would have libzmq wait for ever.
    if (!this.socket.hasRoom(2)) return false
    this.watching = true
    this.ended = new Promise((resolve) => this.socket.native.watch(this.tell, resolve))
    return true
  }

  /**
   * From the first endpoint on, so that no event is missed. In a worker thread only
   * when somebody asks for them: `worker.terminate()` takes the whole process with
   * it while a socket is watched (zeromq.js issue 411). Says whether there was room.
   */
  watchFromNow(): boolean {
    if (this.socket.from ?? isMainThread) return this.watch()
    this.unseen ||= !this.watching
    return true
  }

  /** A bind is about to be told of. */
  bound(): void {
    if (this.watching) this.binds++
  }

  /**
   * To be awaited before a bind: libzmq tells of it in this thread, and would
   * wait for ever for this thread to read what it tells, were 2,000 events unread.
   */
  caughtUp(then: () => void): () => void {
    let told = -1
    let binds = -1
    let turn: NodeJS.Immediate | undefined
    const look = () => {
      const quiet = told === this.told
      if (quiet && binds === this.binds) this.heardBinds = binds
      // Others that waited as well may have bound meanwhile.
      if (!this.watching || this.closed || (quiet && this.binds - this.heardBinds < mostUnheard)) return then()
      told = this.told
      binds = this.binds
      turn = setImmediate(look)
    }
    look()
    return () => clearImmediate(turn)
  }

  /** Resolves when libzmq has closed what listened at an endpoint. */
  freed(endpoint: string): Promise<void> {
    return new Promise((resolve) => this.freeing.set(endpoint, resolve))
  }

  /** The program ends its connection to an endpoint. Says whether libzmq had let go of it already. */
  forget(endpoint: string): boolean {
    this.peers.disconnected(endpoint)
    return this.reconnect?.forget(endpoint) === true
  }

  /** Nothing is made again from now on. */
  close(): void {
    this.closed = true
    this.reconnect?.close()
  }

  private readonly tell = (native: ConnectionEvent): void => {
    const event = eventOf(native)
    if (event === undefined) return
    this.told++
    this.peers.tell(event)
    const connectedTo = this.peers.connectedAs(event.endpoint)
    if (event._tag === "Closed") {
      this.freeing.get(event.endpoint)?.()
      this.freeing.delete(event.endpoint)
    }
    // Before it is heard, which may be the reason for another.
    this.socket.onEvent(event, connectedTo)
    if (connectedTo !== undefined && !this.socket.isStream) this.reconnects.heard(event, connectedTo)
  }

  private get reconnects(): Reconnect {
    this.reconnect ??= new Reconnect(
      this.socket.intervals(),
      this.socket.native,
      (address, interval) => this.tell({ type: "connect:retry", address, interval }),
      this.whenQuiet
    )
    return this.reconnect
  }

  /** Calls when the event loop has gone round without an event: all is read that there was to tell. */
  readonly whenQuiet = (then: () => void): void => {
    const { told } = this
    setImmediate(() => (told === this.told ? then() : this.whenQuiet(then)))
  }
}
