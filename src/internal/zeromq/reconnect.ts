/**
 * Makes the connections again that libzmq has given up for good.
 *
 * It connects again by itself when a connection breaks. But a peer that has
 * refused us (ZAP, another mechanism), or that has sent what cannot be (a reply
 * without an envelope, a message above `maxMessageSize`), it never tries again
 * (session_base.cpp: `protocol_error`), though the peer may think better of it,
 * or be another one by then.
 */
import type { SocketEvent } from "../../SocketEvent.ts"

/** What libzmq is told to do. Both may throw. */
interface Endpoints {
  readonly disconnect: (endpoint: string) => void
  /** Takes messages for the peer when it has let us in, and not before. */
  readonly connectOnceReady: (endpoint: string) => void
}

interface Connection {
  /**
   * - connecting: libzmq is at it
   * - connected: and this is how it fared with the handshake
   * - lost: libzmq has not said yet that it connects again
   * - waiting: libzmq has given up, and has let go of the endpoint
   */
  state: "connecting" | "connected" | "lost" | "waiting"
  refused: boolean
  /** When the peer let us in. */
  since: number | undefined
  /** How long the last wait was, in milliseconds. */
  delay: number
  timer: NodeJS.Timeout | undefined
}

/** How long to wait at most, in milliseconds, where there is no `reconnectMaxInterval`. */
const longestDelay = 10_000

// What libzmq tells last of a connection that it gives up is told of the others
// as well, and then comes another event, at once. This is much longer than that.
const silence = 1000

export class Reconnect {
  private readonly connections = new Map<string, Connection>()
  private readonly first: number
  private readonly most: number
  private readonly endpoints: Endpoints
  private readonly retrying: (endpoint: string, interval: number) => void
  private readonly quiet: (then: () => void) => void
  private closed = false

  /** In milliseconds, `reconnectInterval` and `reconnectMaxInterval` as libzmq has them. `quiet` calls when all is read that there is to tell. */
  constructor(
    { interval, maxInterval }: { readonly interval: number; readonly maxInterval: number },
    endpoints: Endpoints,
    retrying: (endpoint: string, interval: number) => void,
    quiet: (then: () => void) => void
  ) {
    this.first = interval
    this.most = Math.max(interval, maxInterval > 0 ? maxInterval : longestDelay)
    this.endpoints = endpoints
    this.retrying = retrying
    this.quiet = quiet
  }

  /** Something became of the connection to an endpoint, by the name that it was given. */
  heard(event: SocketEvent, endpoint: string): void {
    // 0 and "Infinity": a connection is never made again.
    if (this.closed || this.first <= 0) return
    const connection = this.connections.get(endpoint)
    // What is told now is of the connection that has ended, or our own word.
    if (connection?.state === "waiting") return
    switch (event._tag) {
      case "Connected":
      case "ConnectDelayed":
      case "ConnectRetried": {
        const next = connection ?? { delay: 0, timer: undefined }
        const state = event._tag === "Connected" ? "connected" : "connecting"
        // The time that it stood counts when it is lost, and not when libzmq makes it again.
        this.connections.set(endpoint, { ...next, state, refused: false, since: undefined })
        return
      }
      // Before it was connected: the late word of one that the program has ended.
      case "HandshakeSucceeded":
        if (connection?.state === "connected") connection.since = performance.now()
        return
      case "HandshakeFailed":
        // With "Connection" libzmq tries again.
        if (connection?.state === "connected") connection.refused = event.reason !== "Connection"
        return
      case "Disconnected":
        if (connection?.state !== "connected") return
        if (connection.refused) return this.makeAgain(endpoint, connection)
        connection.state = "lost"
        connection.timer = setTimeout(() => {
          this.quiet(() => {
            if (this.connections.get(endpoint) === connection) this.makeAgain(endpoint, connection)
          })
        }, silence)
        connection.timer.unref()
    }
  }

  /** The program has disconnected it. Says whether libzmq had let go of it already. */
  forget(endpoint: string): boolean {
    const connection = this.connections.get(endpoint)
    clearTimeout(connection?.timer)
    this.connections.delete(endpoint)
    return connection?.state === "waiting"
  }

  close(): void {
    this.closed = true
    for (const { timer } of this.connections.values()) clearTimeout(timer)
    this.connections.clear()
  }

  private makeAgain(endpoint: string, connection: Connection): void {
    connection.state = "waiting"
    // Now, for its pipe would take messages that go nowhere.
    attempt(() => this.endpoints.disconnect(endpoint))
    const stood = connection.since === undefined ? 0 : performance.now() - connection.since
    const isFirst = connection.delay === 0 || stood > this.most
    connection.delay = isFirst ? this.first : Math.min(this.most, connection.delay * 2)
    this.wait(endpoint, connection)
  }

  private wait(endpoint: string, connection: Connection): void {
    // Spread out, as libzmq does, for those who were refused at the same time.
    const interval = Math.round(connection.delay + Math.random() * this.first)
    connection.timer = setTimeout(() => {
      connection.state = "connecting"
      if (attempt(() => this.endpoints.connectOnceReady(endpoint))) return
      connection.state = "waiting"
      this.wait(endpoint, connection)
    }, interval)
    connection.timer.unref()
    this.retrying(endpoint, interval)
  }
}

/** Says whether it went without an error. */
const attempt = (run: () => void): boolean => {
  try {
    run()
    return true
  } catch {
    return false
  }
}
