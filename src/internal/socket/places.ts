/** Where a socket is bound and connected, and how that is undone. */
import * as Effect from "effect/Effect"
import { BindError, Closed, ConnectError } from "../../ZmqError.ts"
import { zapEndpoint } from "../authenticator.ts"
import type { Done, GiveUp } from "../engine.ts"
import { checkBind, checkConnect } from "./endpointCheck.ts"
import { faultOf } from "./endpointError.ts"
import type { EndpointFault } from "./endpointFault.ts"
import type { SocketCore } from "./socket.ts"
import type { Links } from "./status.ts"

/** A bind, which a scope or a caller can undo. */
export interface Bound {
  readonly given: string
  resolved: string
}

/** A connect, likewise. */
export interface Connected {
  readonly endpoint: string
}

export class Places {
  private readonly socket: SocketCore
  private readonly links: Links
  private bound: Array<Bound> = []
  private connected: Array<Connected> = []
  private last = ""

  constructor(socket: SocketCore, links: Links) {
    this.socket = socket
    this.links = links
  }

  /** Where it is bound, as that was resolved. */
  get boundTo(): ReadonlyArray<string> {
    return this.bound.map(({ resolved }) => resolved)
  }

  get connectedTo(): ReadonlyArray<string> {
    return this.connected.map(({ endpoint }) => endpoint)
  }

  /** Where it is, or was last: to name it in the log. */
  get whereabouts(): string {
    return [...this.boundTo, ...this.connectedTo].join(" ") || this.last
  }

  /** It is nowhere any more. */
  leaveAll(): void {
    this.bound = []
    this.connected = []
  }

  /** Binds, or leaves everything as it was. Whoever masks interrupts for it says how that is `restore`d. */
  bind(endpoint: string, restore: Restore = asItIs): Effect.Effect<Bound, BindError | Closed> {
    return Effect.suspend(() => {
      const bound: Bound = { given: endpoint, resolved: "" }
      const failed = (fault: EndpointFault, cause?: unknown) =>
        Effect.fail(new BindError({ operation: "bind", endpoint, ...fault, ...(cause === undefined ? {} : { cause }) }))
      const fault = checkBind(endpoint, this.socket.type) ?? this.checkZap(endpoint)
      if (fault !== undefined) return failed(fault)
      return this.begin(
        "bind",
        (done: Done<string>) => this.socket.port.bind(endpoint, done),
        (cause) => failed(faultOf("bind", endpoint, cause), cause),
        (resolved) => {
          bound.resolved = resolved!
          this.bound.push(bound)
          this.socket.onPeers()
          return bound
        },
        Effect.suspend(() => this.unbind(bound)),
        restore
      )
    })
  }

  /** Begins to connect, or leaves everything as it was. */
  connect(endpoint: string, restore: Restore = asItIs): Effect.Effect<Connected, ConnectError | Closed> {
    return Effect.suspend(() => {
      const connected: Connected = { endpoint }
      const failed = (fault: EndpointFault, cause?: unknown) =>
        Effect.fail(
          new ConnectError({ operation: "connect", endpoint, ...fault, ...(cause === undefined ? {} : { cause }) })
        )
      const fault = checkConnect(endpoint, this.socket.type) ?? this.checkIpv6(endpoint)
      if (fault !== undefined) return failed(fault)
      return this.begin(
        "connect",
        // There is one connection to an endpoint, for as long as anybody wants it.
        (done: Done<void>) => {
          if (!this.connectedTo.includes(endpoint)) return this.socket.port.connect(endpoint, done)
          done(undefined)
          return ignore
        },
        (cause) => failed(faultOf("connect", endpoint, cause), cause),
        () => {
          if (!this.connectedTo.includes(endpoint)) {
            const isThere = this.socket.port.isConnected(endpoint)
            if (this.socket.port.watched || isThere) this.links.begin(endpoint, isThere)
          }
          this.connected.push(connected)
          this.socket.onPeers()
          return connected
        },
        Effect.suspend(() => this.disconnect(connected)),
        restore
      )
    })
  }

  // Whatever interrupts it: it is done, or undone. It is given up when the socket closes.
  private begin<A, B, E>(
    operation: string,
    run: (done: Done<A>) => GiveUp,
    failed: (cause: unknown) => Effect.Effect<never, E>,
    succeeded: (value: A | undefined) => B,
    undo: Effect.Effect<unknown, unknown>,
    restore: Restore
  ): Effect.Effect<B, E | Closed> {
    const self = Effect.callback<B, E | Closed>((resume) => {
      const { closing } = this.socket
      if (this.socket.closed) return resume(Effect.fail(new Closed({ operation })))
      const end = (): void => {
        giveUp()
        resume(Effect.fail(new Closed({ operation })))
      }
      let isDone = false
      const giveUp = run((cause, value) => {
        isDone = true
        closing.delete(end)
        resume(cause === undefined ? Effect.succeed(succeeded(value)) : failed(cause))
      })
      if (isDone) return
      closing.add(end)
      return Effect.sync(() => {
        closing.delete(end)
        giveUp()
      })
    })
    // Where interrupts are masked again: one that comes as it is done is seen there.
    return Effect.onInterrupt(restore(self), () => Effect.ignore(undo))
  }

  /** Undoes a bind: the given one, if it is still there, or the newest of an endpoint. Ends when the endpoint is free. */
  unbind(which: string | Bound): Effect.Effect<void, BindError | Closed> {
    return Effect.callback((resume) => {
      const endpoint = typeof which === "string" ? which : which.given
      const at =
        typeof which === "string"
          ? this.bound.findLastIndex((bound) => bound.resolved === which || bound.given === which)
          : this.bound.indexOf(which)
      const failed = (fault: EndpointFault, cause?: unknown) =>
        resume(
          Effect.fail(
            new BindError({ operation: "unbind", endpoint, ...fault, ...(cause === undefined ? {} : { cause }) })
          )
        )
      if (this.socket.closed) return resume(Effect.fail(new Closed({ operation: "unbind" })))
      if (at < 0) return failed(notHere)
      const { resolved } = this.bound[at]!
      this.bound.splice(at, 1)
      this.last = resolved
      this.socket.onPeers()
      this.socket.port.unbind(resolved, (cause) =>
        cause === undefined ? resume(Effect.void) : failed(faultOf("unbind", endpoint, cause), cause)
      )
    })
  }

  /** Undoes a connect: the given one, if it is still there, or the newest to an endpoint. */
  disconnect(which: string | Connected): Effect.Effect<void, ConnectError | Closed> {
    return Effect.suspend((): Effect.Effect<void, ConnectError | Closed> => {
      const endpoint = typeof which === "string" ? which : which.endpoint
      const failed = (fault: EndpointFault, cause?: unknown) =>
        Effect.fail(
          new ConnectError({ operation: "disconnect", endpoint, ...fault, ...(cause === undefined ? {} : { cause }) })
        )
      const at = typeof which === "string" ? this.connectedTo.lastIndexOf(which) : this.connected.indexOf(which)
      if (this.socket.closed) return Effect.fail(new Closed({ operation: "disconnect" }))
      if (at < 0) return failed(notHere)
      this.connected.splice(at, 1)
      this.last = endpoint
      if (this.connectedTo.includes(endpoint)) return Effect.void
      this.links.end(endpoint)
      this.socket.onPeers()
      try {
        this.socket.port.disconnect(endpoint)
        return Effect.void
      } catch (cause) {
        return failed(faultOf("disconnect", endpoint, cause), cause)
      }
    })
  }

  // libzmq aborts the process at the first handshake that it asks another type
  // about (session_base.cpp:343).
  private checkZap(endpoint: string): EndpointFault | undefined {
    return endpoint !== zapEndpoint || this.socket.type === "rep" || this.socket.type === "router"
      ? undefined
      : {
          reason: "IncompatibleTransport",
          advice: "Authenticators alone have this name (RFC 27): use a ROUTER or a REP"
        }
  }

  // Accepted by libzmq, which then never connects.
  private checkIpv6(endpoint: string): EndpointFault | undefined {
    const ipv6 = this.socket.given("ipv6") ?? this.socket.context.settings.ipv6 ?? false
    return ipv6 || !/^(tcp|ws):\/\/.*\[/.test(endpoint)
      ? undefined
      : { reason: "AddressNotAvailable", advice: "Set the option `ipv6: true` to use IPv6 addresses" }
  }
}

const notHere = {
  reason: "NoSuchEndpoint",
  advice: "Name one of the socket's `endpoints`, or the endpoint as it was given"
} as const

const ignore = (): void => {}

type Restore = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
const asItIs: Restore = (self) => self
