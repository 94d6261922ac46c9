/** Where a socket is bound and connected, and whom it meets there over inproc. */
import { lookup } from "node:dns"
import { hostToResolve, isInproc } from "../endpoint.ts"
import type { Done, GiveUp } from "../engine.ts"
import { within } from "../within.ts"
import { errorOf } from "./answer.ts"
import type { Neighbour, ZeromqContext } from "./context.ts"
import { hasDescriptors } from "./descriptors.ts"
import { bindUdp } from "./draft/udp.ts"
import type { Monitor } from "./monitor.ts"
import type { NativeSocket } from "./native.ts"
import { promptly, whenFree } from "./portIsFree.ts"

/** The socket that has them. */
export interface Located extends Neighbour {
  readonly native: NativeSocket
  readonly monitor: Monitor
  readonly context: ZeromqContext
  /** Whether somebody waits natively for a message. */
  readonly receiving: boolean
  readonly routingId: Buffer | undefined
}

export class Endpoints {
  private readonly socket: Located
  private readonly bound = new Set<string>()
  private readonly connected = new Set<string>()
  private closed = false
  /** What ends when libzmq has let go of an endpoint that was unbound. */
  readonly freeing = new Set<Promise<void>>()
  /** Whether there was ever a network under it, or something that libzmq tells nothing of. */
  network = false
  silent = false
  /** The inproc names it connected to before they were bound. */
  readonly waitsFor = new Set<string>()

  constructor(socket: Located) {
    this.socket = socket
  }

  bind(endpoint: string, done: Done<string>): GiveUp {
    if (endpoint.startsWith("udp:")) {
      const undo = (resolved: string): void => this.unbind(resolved, ignore)
      return bindUdp(endpoint, () => this.bindNow(endpoint), undo, done)
    }
    return this.socket.monitor.caughtUp(() => settle(done, () => this.bindNow(endpoint)))
  }

  private bindNow(endpoint: string): string {
    this.checkOpen()
    const { context } = this.socket
    // libzmq takes an ipc path over from the socket itself, and ends both with one.
    if (this.bound.has(endpoint)) throw errorOf("EADDRINUSE", "bound already")
    this.watchFor(endpoint)
    // libzmq aborts the process when it has none for what it binds (ip_resolver.cpp:542).
    if (!isSilent(endpoint) && !hasDescriptors(4)) throw errorOf("EMFILE", "no file descriptor to bind with")
    const resolved = this.bindSaying(endpoint)
    this.bound.add(resolved)
    if (isInproc(resolved)) {
      context.binders.set(resolved, this.socket)
      this.join(resolved)
    }
    return resolved
  }

  // Telling of a bind that failed, libzmq looks for commands, once in a millisecond, and then
  // EAGAIN is all that is left of the error (socket_base.cpp, process_commands): another try shows it.
  private bindSaying(endpoint: string): string {
    const { monitor, native } = this.socket
    for (let tries = 1; ; tries++) {
      if (!isSilent(endpoint)) monitor.bound()
      try {
        return native.bind(endpoint)
      } catch (error) {
        if (tries === mostTries || !(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error
      }
    }
  }

  unbind(endpoint: string, done: Done<void>): void {
    const freed = this.whenFreed(endpoint)
    if (freed !== undefined) {
      this.freeing.add(freed)
      void freed.then(() => this.freeing.delete(freed))
    }
    try {
      this.socket.native.disconnect(endpoint)
      if (freed === undefined) done(undefined)
      else freed.then(() => done(undefined))
    } catch (error) {
      done(error)
    } finally {
      this.bound.delete(endpoint)
      this.leaveName(endpoint)
      this.socket.monitor.peers.unbound(endpoint)
      this.socket.peerLeft()
    }
  }

  connect(endpoint: string, done: Done<void>): GiveUp {
    const host = hostToResolve(endpoint)
    if (host === undefined) {
      settle(done, () => this.connectNow(endpoint))
      return ignore
    }
    // libzmq looks a host up again and again, and tells nobody that there is no such host.
    let givenUp = false
    lookup(host, (error) => {
      if (givenUp) return
      if (error === null) settle(done, () => this.connectNow(endpoint))
      else done(error)
    })
    return () => {
      givenUp = true
    }
  }

  private connectNow(endpoint: string): void {
    this.checkOpen()
    // Two may have looked the same host up.
    if (this.connected.has(endpoint)) return
    const { context, native, routingId } = this.socket
    this.watchFor(endpoint)
    if (isInproc(endpoint)) {
      context.noteConnected(endpoint)
      this.mayWaitFor(endpoint)
      context.binders.get(endpoint)?.expect(routingId)
    }
    native.connect(endpoint)
    this.connected.add(endpoint)
    if (!isInproc(endpoint)) return
    this.join(endpoint)
    // Its peer does not wake who has not looked there yet, and libzmq tells nobody to look.
    if (this.socket.receiving) native.recheck()
  }

  disconnect(endpoint: string): void {
    this.connected.delete(endpoint)
    if (this.socket.monitor.forget(endpoint)) return
    try {
      this.socket.native.disconnect(endpoint)
    } finally {
      this.leaveName(endpoint)
      this.socket.peerLeft()
    }
  }

  /** What it is connected to, over a network. */
  get networks(): ReadonlyArray<string> {
    return [...this.connected].filter((endpoint) => !isSilent(endpoint))
  }

  /** How many connections there are of which libzmq tells nothing. */
  get silentConnections(): number {
    return this.connected.size - this.networks.length
  }

  get hasConnections(): boolean {
    return this.connected.size > 0
  }
  get bindsSilently(): ReadonlyArray<string> {
    return [...this.bound].filter(isSilent)
  }
  get bindsToNetwork(): ReadonlyArray<string> {
    return [...this.bound].filter((endpoint) => !isSilent(endpoint))
  }

  isConnectedSilently(endpoint: string): boolean {
    return isSilent(endpoint) && this.connected.has(endpoint)
  }

  /** Gives up the names that it has bound: libzmq closes in another thread, and would keep them until then. */
  giveUpNames(): void {
    for (const endpoint of this.bound) {
      if (!isInproc(endpoint)) continue
      try {
        this.socket.native.disconnect(endpoint)
      } catch {
        // it is free already
      }
    }
  }

  // What was under way may come to its end later.
  private checkOpen(): void {
    if (this.closed) throw errorOf("EBADF", "the socket is closed")
  }

  /** It has closed. */
  leaveAll(): void {
    this.closed = true
    for (const endpoint of [...this.bound, ...this.connected]) this.leaveName(endpoint)
    this.bound.clear()
    this.connected.clear()
  }

  /** libzmq closes what listens in another thread, and then says so, if it is watched. */
  whenFreed(endpoint: string): Promise<void> | undefined {
    if (isSilent(endpoint)) return undefined
    const { monitor } = this.socket
    return monitor.watching
      ? within(promptly, monitor.freed(endpoint))
      : Promise.resolve().then(() => whenFree(endpoint))
  }

  // inproc and udp have no events.
  private watchFor(endpoint: string): void {
    if (isSilent(endpoint)) {
      this.silent = true
      return
    }
    this.network = true
    if (!this.socket.monitor.watchFromNow()) throw errorOf("EMFILE", "no room to watch connections")
  }

  private mayWaitFor(name: string): void {
    const { binders, waiting } = this.socket.context
    if (binders.has(name) || this.waitsFor.has(name)) return
    this.waitsFor.add(name)
    waiting.add(name)
  }

  // What meets at an inproc name hears of others that come and go only when it
  // is called.
  private join(name: string): void {
    for (const one of this.socket.context.neighbours.join(name, this.socket)) one.hasNews()
  }

  private leaveName(name: string): void {
    if (!isInproc(name)) return
    const { binders, neighbours } = this.socket.context
    if (binders.get(name) === this.socket) binders.delete(name)
    for (const one of neighbours.part(name, this.socket)) one.peerLeft(this.socket.routingId)
  }
}

// Whose connections libzmq tells nothing of.
export const isSilent = (endpoint: string): boolean => /^(inproc|udp):/.test(endpoint)

const settle = <A>(done: Done<A>, run: () => A): void => {
  let value: A
  try {
    value = run()
  } catch (error) {
    return done(error)
  }
  done(undefined, value)
}

// Under load two in five may be hidden again.
const mostTries = 20

const ignore = (): void => {}
