/**
 * How it stands with what a socket connected to: a machine of three states for
 * each endpoint, fed by the events of its connection.
 */
import * as DateTime from "effect/DateTime"
import type { SocketEvent } from "../../SocketEvent.ts"
import type { EndpointStatus, Status } from "../../Status.ts"

// How long, in milliseconds, an endpoint may not be reached until that is said, and
// how long and how often a peer may hang up until that is a refusal: it may be about
// to start, or to stop, or be behind somebody who accepts in its place.
const patience = 5000
const mostHangUps = 3

/** How it stands with one endpoint. Times are in milliseconds. */
export interface Link {
  readonly state: "connecting" | "connected" | "refused"
  readonly since: number
  /** How many attempts have failed since it was connected. */
  readonly tries: number
  readonly lastError: string | undefined
  readonly refusal: Refusal | undefined
  /** Whether there is a connection, with or without a handshake. */
  readonly isOpen: boolean
  /** Over ws: the handshake of HTTP is done, of which libzmq tells as well. */
  readonly isUpgraded: boolean
  /** The attempt that ends next is counted already. */
  readonly isCounted: boolean
  /** How often the peer has hung up in a row, and since when. */
  readonly hangUps: number
  readonly hangsUpSince: number
}

type HandshakeFailed = Extract<SocketEvent, { readonly _tag: "HandshakeFailed" }>

export interface Refusal {
  readonly reason: HandshakeFailed["reason"]
  readonly advice: string
}

/** It was connected to a moment ago. */
export const begun = (now: number): Link => ({
  state: "connecting",
  since: now,
  tries: 0,
  lastError: undefined,
  refusal: undefined,
  isOpen: false,
  isUpgraded: false,
  isCounted: false,
  hangUps: 0,
  hangsUpSince: 0
})

/** It is connected. */
export const established = (now: number): Link => ({ ...begun(now), state: "connected", isOpen: true })

/** What an event makes of it. Without handshakes, as those of a STREAM, a connection is all that there is to have. */
export const next = (link: Link, event: SocketEvent, now: number, handshakes: boolean): Link => {
  switch (event._tag) {
    case "Connected":
      return handshakes ? { ...link, isOpen: true } : established(now)
    case "HandshakeSucceeded":
      if (link.state === "connected") return link
      return event.endpoint.startsWith("ws:") && !link.isUpgraded ? { ...link, isUpgraded: true } : established(now)
    case "HandshakeFailed": {
      const { error, reason } = event
      if (reason === "Connection") return hungUp(link, error.message, now)
      return refused({ ...link, hangUps: 0 }, { reason, advice: adviceOf(event) }, error.message, now)
    }
    case "Disconnected": {
      // Not an attempt that failed: libzmq begins one now.
      if (link.state === "connected") return { ...begun(now), lastError: "the connection was lost", isCounted: true }
      // A peer with another type of socket says no more than that.
      const ended = link.isOpen ? hungUp(link, "the peer closed the connection before its handshake", now) : link
      return { ...ended, isOpen: false, isUpgraded: false }
    }
    case "Closed":
      return link.state === "connected" ? link : unreachable(link, now)
    case "ConnectRetried":
      // Where a host name has no address any more, this is all that is told.
      return link.state === "connected" ? link : { ...unreachable(link, now), isCounted: false }
  }
  return link
}

const failed = (link: Link, lastError: string): Link =>
  link.isCounted ? { ...link, lastError } : { ...link, lastError, tries: link.tries + 1, isCounted: true }

// Whoever refused us is there no more.
const unreachable = (link: Link, now: number): Link => {
  if (link.isCounted) return link
  const since = link.state === "connecting" ? link.since : now
  return {
    ...failed(link, "no connection could be made"),
    state: "connecting",
    since,
    refusal: undefined,
    hangUps: 0
  }
}

const refused = (link: Link, refusal: Refusal, lastError: string, now: number): Link => ({
  ...failed(link, lastError),
  state: "refused",
  since: link.state === "refused" ? link.since : now,
  refusal
})

const hungUp = (link: Link, lastError: string, now: number): Link => {
  if (link.isCounted) return link
  const hangsUpSince = link.hangUps === 0 ? now : link.hangsUpSince
  const hangUps = link.hangUps + 1
  const again = { ...failed(link, lastError), hangsUpSince, hangUps }
  return hangUps >= mostHangUps && now - hangsUpSince >= patience
    ? refused(again, { reason: "Connection", advice: adviceOnHangingUp }, lastError, now)
    : again
}

const adviceOnHangingUp =
  "It hangs up before the handshake is done, as a peer does that has another CURVE key, or a type of socket that does not go with this one, or that is no ZeroMQ socket: check what listens there, and its public key"

const adviceOf = ({ code, reason, status }: HandshakeFailed): string => {
  if (reason === "Protocol") {
    return code === "ERR_ZMTP_MECHANISM_MISMATCH"
      ? "The peer uses another security mechanism, or none: give both sockets the same `security`"
      : `The peer does not understand us (${code ?? "no code"}): check that it is a ZeroMQ socket, and the keys of both sides`
  }
  return status === 300
    ? "The authenticator of the peer could not decide (300): it may another time"
    : status === 500
      ? "The authenticator of the peer has failed (500): its log says why"
      : `The authenticator of the peer denies us${status === undefined ? "" : ` (${status})`}: have it allow our key, name or address`
}

/** What watches endpoints need: a clock, and a log. */
export interface Surroundings {
  readonly now: () => number
  /** Calls after so many milliseconds. Returns what stops it. */
  readonly after: (millis: number, run: () => void) => () => void
  /** An endpoint could not be reached for so many milliseconds. */
  readonly unreached: (endpoint: string, link: Link, millis: number) => void
}

const ignore = (): void => {}

interface Watched {
  link: Link
  /** How many refusals there had been by its last. */
  refusedLast: number
  stop: () => void
}

/** All that a socket has connected to, and that is watched. */
export class Links {
  private readonly links = new Map<string, Watched>()
  /** How often peers have refused us. */
  refusals = 0
  private readonly handshakes: boolean
  private readonly surroundings: Surroundings

  constructor(handshakes: boolean, surroundings: Surroundings) {
    this.handshakes = handshakes
    this.surroundings = surroundings
  }

  /** It was connected to. Over inproc and udp it is there at once. */
  begin(endpoint: string, isThere: boolean): void {
    const now = this.surroundings.now()
    this.set(endpoint, isThere ? established(now) : begun(now))
  }

  /** It was disconnected. */
  end(endpoint: string): void {
    this.links.get(endpoint)?.stop()
    this.links.delete(endpoint)
  }

  heard(event: SocketEvent, endpoint: string): void {
    const there = this.links.get(endpoint)
    if (there === undefined) return
    const link = next(there.link, event, this.surroundings.now(), this.handshakes)
    if (link.refusal !== undefined && link.refusal !== there.link.refusal) there.refusedLast = ++this.refusals
    this.set(endpoint, link)
  }

  /** Why the peer at an endpoint has refused us, if it has since there were so many refusals. */
  refusalSince(endpoint: string, refusals: number): Refusal | undefined {
    const there = this.links.get(endpoint)
    return there !== undefined && there.refusedLast > refusals ? there.link.refusal : undefined
  }

  get(endpoint: string): Link | undefined {
    return this.links.get(endpoint)?.link
  }

  close(): void {
    for (const endpoint of this.links.keys()) this.end(endpoint)
  }

  private set(endpoint: string, link: Link): void {
    const before = this.links.get(endpoint)
    if (before !== undefined && before.link.state === link.state) {
      before.link = link
      return
    }
    before?.stop()
    const one: Watched = { link, refusedLast: before?.refusedLast ?? 0, stop: ignore }
    this.links.set(endpoint, one)
    if (link.state !== "connecting") return
    const { after, unreached } = this.surroundings
    one.stop = after(patience, () => unreached(endpoint, one.link, patience))
  }
}

const at = DateTime.makeUnsafe

/** A link as it is shown. */
export const statusOf = (endpoint: string, link: Link | undefined): EndpointStatus => {
  if (link === undefined) return { endpoint, state: "unknown" }
  const { lastError, refusal, since, state, tries } = link
  if (state === "connected") return { endpoint, state, since: at(since) }
  return state === "refused" && refusal !== undefined
    ? { endpoint, state, since: at(since), tries, ...refusal }
    : { endpoint, state: "connecting", since: at(since), tries, lastError }
}

/** Whether two of them say the same. */
export const isSame = (a: Status, b: Status): boolean => textOf(a) === textOf(b)

// Times are written in it as they are.
const textOf = ({ endpoints, peers }: Status): string => JSON.stringify([peers, endpoints])
