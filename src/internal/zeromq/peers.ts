/** Which peers a socket has, as far as its events tell. */
import type { SocketEvent } from "../../SocketEvent.ts"

interface Count {
  /** Connections whose handshake is not over. Below zero when it was told of before its connection. */
  pending: number
  /** Connections over ws whose handshake of HTTP is over, of which libzmq tells as well, and first. */
  upgraded: number
  ready: number
  /** Connections whose handshake failed, and which have not ended yet. */
  failed: number
}

/** Scheme and port, which libzmq keeps when it writes an endpoint in another way. */
const placeOf = (endpoint: string): string => {
  const [, scheme, port] = /^(\w+):.*:(\d+)(?:\/.*)?$/s.exec(endpoint) ?? []
  return port === undefined ? endpoint : `${scheme}:${Number(port)}`
}

export class Peers {
  private readonly handshakes: boolean
  /** What the socket is connected to, over a network. */
  private readonly connected: () => ReadonlyArray<string>
  // By the endpoint that was connected to, or the local one that a peer came in by.
  private readonly counts = new Map<string, Count>()
  // libzmq's names of endpoints that were connected to: after the first
  // connection it has the address in place of the host name.
  private readonly names = new Map<string, string>()

  /** STREAM has no handshakes: a peer is there when it is connected. */
  constructor(handshakes: boolean, connected: () => ReadonlyArray<string>) {
    this.handshakes = handshakes
    this.connected = connected
  }

  /** How many are there. */
  get size(): number {
    let sum = 0
    for (const { ready } of this.counts.values()) sum += ready
    return sum
  }

  /** Whether the peer is there that was connected to. */
  has(endpoint: string): boolean {
    return (this.counts.get(endpoint)?.ready ?? 0) > 0
  }

  /** How many have come in where the socket is bound. */
  at(bound: string): number {
    const isAny = /^\w+:\/\/(0\.0\.0\.0|\[::\]|\*):/.test(bound)
    let sum = 0
    for (const [name, { ready }] of this.counts) {
      if ((name === bound || (isAny && placeOf(name) === placeOf(bound))) && !this.names.has(name)) sum += ready
    }
    return sum
  }

  /** The endpoint that was connected to under this name of libzmq's, if there is one. */
  connectedAs(name: string): string | undefined {
    const endpoint = this.names.get(name)
    return endpoint !== undefined && this.connected().includes(endpoint) ? endpoint : undefined
  }

  tell({ _tag, endpoint: name }: SocketEvent): void {
    switch (_tag) {
      case "Accepted":
        return this.opened(this.countOf(name))
      case "ConnectDelayed":
      case "ConnectRetried":
        return void this.endpointOf(name)
      case "Connected": {
        const endpoint = this.endpointOf(name)
        return endpoint === undefined ? undefined : this.opened(this.countOf(endpoint))
      }
      case "HandshakeSucceeded":
      case "HandshakeFailed":
      case "Disconnected": {
        const endpoint = this.names.get(name) ?? name
        // A late word of a connection that we ended ourselves.
        if (this.names.has(name) && !this.connected().includes(endpoint)) return
        const count = this.countOf(endpoint)
        if (_tag === "Disconnected") ended(count)
        else if (_tag === "HandshakeSucceeded" && name.startsWith("ws:") && isFirst(count)) {
          count.pending--
          count.upgraded++
        } else {
          if (count.upgraded > 0) count.upgraded--
          else count.pending--
          if (_tag === "HandshakeSucceeded") count.ready++
          else count.failed++
        }
        if (Object.values(count).every((number) => number === 0)) this.counts.delete(endpoint)
      }
    }
  }

  /** The socket was told to end its connection to an endpoint: no event says so. */
  disconnected(endpoint: string): void {
    this.counts.delete(endpoint)
  }

  /** The socket was unbound, and whoever came in there is gone: no event says so. */
  unbound(endpoint: string): void {
    const place = placeOf(endpoint)
    for (const name of this.counts.keys()) {
      if (placeOf(name) === place && !this.names.has(name)) this.counts.delete(name)
    }
  }

  private opened(count: Count): void {
    if (this.handshakes) count.pending++
    else count.ready++
  }

  private countOf(key: string): Count {
    const count = this.counts.get(key) ?? { pending: 0, upgraded: 0, ready: 0, failed: 0 }
    this.counts.set(key, count)
    return count
  }

  /** What libzmq means by a name, among what the socket is connected to. */
  private endpointOf(name: string): string | undefined {
    const connected = this.connected()
    const known = this.names.get(name)
    if (known !== undefined && connected.includes(known)) return known
    const place = placeOf(name)
    const there = connected.filter((endpoint) => endpoint === name || placeOf(endpoint) === place)
    const endpoint = there.includes(name) ? name : (there.find((endpoint) => !this.has(endpoint)) ?? there[0])
    if (endpoint !== undefined) this.names.set(name, endpoint)
    return endpoint
  }
}

// Which of several connections it is, nobody can tell: none counts too early.
const isFirst = ({ pending, upgraded }: Count): boolean => pending !== 0 || upgraded === 0

const ended = (count: Count): void => {
  if (count.failed > 0) count.failed--
  else if (count.ready > 0) count.ready--
  else if (count.upgraded > 0) count.upgraded--
  else count.pending--
}
