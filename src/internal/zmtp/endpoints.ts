/** Where a socket is bound and connected: how it gets there, and how that ends. */
import { SocketEvent } from "../../SocketEvent.ts"
import { hostToResolve, isInproc } from "../endpoint.ts"
import type { Delivery, Done, GiveUp } from "../engine.ts"
import { microtask } from "../microtask.ts"
import { errorOf, resolve, transportOf } from "./addresses.ts"
import { type Closable, closeAll } from "./closing.ts"
import type { Binder, ZmtpContext } from "./context.ts"
import { InprocPipe } from "./inproc.ts"
import type { Pipe } from "./pipe.ts"
import type { SocketType } from "./protocol/connection.ts"
import { Connecter } from "./transport/connecter.ts"
import { Listener } from "./transport/listener.ts"
import { type NetworkHost, NetworkPipe, type OnEnd } from "./transport/networkPipe.ts"
import { RawPipe } from "./transport/rawPipe.ts"
import type { Readable } from "./transport/reading.ts"

/** The socket that they are of. */
export interface Home extends NetworkHost, Binder {
  /** None of a STREAM. */
  readonly type: SocketType | undefined
  /** There may be a way to one more. Says whether there is. */
  open(pipe: Pipe): boolean
  /** There is no way to its peer any more. */
  remove(pipe: Pipe): void
}

/** With those who came in there. */
interface Bound extends Closable {
  readonly pipes: Set<Pipe>
}

interface Connected {
  readonly pipe: Pipe
  readonly close: () => void
}

export class Endpoints {
  private readonly home: Home
  private readonly context: ZmtpContext
  // Where nothing finds them that prints sockets.
  readonly #bound = new Map<string, Bound>()
  readonly #connected = new Map<string, Connected>()
  /** Those that we have left, and that there is something on its way to. */
  readonly #leaving = new Set<Pipe>()
  /** What was sent to them, and was not on its way when its linger had passed. */
  private unsent = 0
  private readonly underWay = new Set<GiveUp>()
  private isDismissed = false

  constructor(home: Home, context: ZmtpContext) {
    this.home = home
    this.context = context
  }

  // ------------------------------------------------------------- what there is

  peersAt(endpoint: string): number | undefined {
    let count = 0
    for (const pipe of this.#bound.get(endpoint)?.pipes ?? []) if (pipe.isThere) count++
    return count
  }

  isConnected(endpoint: string): boolean {
    return this.#connected.get(endpoint)?.pipe.isThere === true
  }

  /** Whether this is what was connected to, and is still. */
  isConnectedBy(pipe: Pipe): boolean {
    return this.#connected.get(pipe.endpoint)?.pipe === pipe
  }

  /** Whether nothing comes over a network. */
  get isLocal(): boolean {
    for (const endpoint of this.#connected.keys()) if (!isInproc(endpoint)) return false
    for (const endpoint of this.#bound.keys()) if (!isInproc(endpoint)) return false
    return true
  }

  // ------------------------------------------------------------- bind

  bind(endpoint: string, done: Done<string>): GiveUp {
    const wrong = refusalOf(endpoint)
    if (wrong !== undefined) done(wrong)
    else if (isInproc(endpoint)) this.bindInproc(endpoint, done)
    else return this.bindNetwork(endpoint, done)
    return ignore
  }

  private bindInproc(endpoint: string, done: Done<string>): void {
    if (this.#bound.has(endpoint)) return done(errorOf("EADDRINUSE", "bound already"))
    // Before the name is known: there may be some who wait for it.
    this.#bound.set(endpoint, { close: (done) => done(), pipes: new Set() })
    try {
      this.context.bind(endpoint, this.home)
    } catch (error) {
      this.#bound.delete(endpoint)
      return done(error)
    }
    done(undefined, endpoint)
  }

  /** Somebody wants to connect over inproc. */
  accept(endpoint: string): InprocPipe {
    const pipes = this.#bound.get(endpoint)?.pipes
    const gone = (): void => {
      pipes?.delete(pipe)
      this.home.remove(pipe)
    }
    const lost = (wasRefused: boolean): void => {
      gone()
      // There may be room for another.
      if (!wasRefused) this.context.retry(endpoint)
    }
    const pipe = new InprocPipe(this.home, endpoint, lost, gone)
    pipes?.add(pipe)
    return pipe
  }

  private bindNetwork(endpoint: string, done: Done<string>): GiveUp {
    const pipes = new Set<Pipe>()
    const listener = new Listener({
      settings: this.home.settings,
      tell: (event) => this.home.tell(event),
      welcome: (readable, at) => this.welcome(readable, at, pipes)
    })
    return this.begin((over) =>
      listener.listen(endpoint, (error, resolved) => {
        over()
        if (error === undefined) this.#bound.set(resolved!, { close: (done) => listener.close(done), pipes })
        done(error, resolved)
      })
    )
  }

  /** Somebody has connected over a network. */
  private welcome(readable: Readable, endpoint: string, pipes: Set<Pipe>): void {
    if (this.isDismissed) {
      readable.socket.destroy()
      return
    }
    const ended = (): void => {
      pipes.delete(pipe)
      this.home.remove(pipe)
    }
    const pipe = this.pipeTo(endpoint, false, ended)
    pipes.add(pipe)
    pipe.establish(readable)
  }

  unbind(endpoint: string, done: Done<void>): void {
    const bound = this.#bound.get(endpoint)
    if (bound === undefined) return done(errorOf("ENOENT", `not bound to ${endpoint}`))
    this.#bound.delete(endpoint)
    if (isInproc(endpoint)) this.context.unbind(endpoint, this.home)
    for (const pipe of bound.pipes) this.leave(pipe, ignore)
    bound.close(() => done(undefined))
  }

  // ------------------------------------------------------------- connect

  connect(endpoint: string, done: Done<void>): GiveUp {
    const wrong = refusalOf(endpoint)
    if (wrong !== undefined) {
      done(wrong)
      return ignore
    }
    const name = hostToResolve(endpoint)
    if (name === undefined) {
      this.connectNow(endpoint)
      done(undefined)
      return ignore
    }
    // So that it is told at once that there is no such host.
    return this.begin((over) =>
      resolve(name, this.home.settings.ipv6, (error) => {
        over()
        if (error === undefined) this.connectNow(endpoint)
        done(error)
      })
    )
  }

  private connectNow(endpoint: string): void {
    // Two may have looked the same name up.
    if (this.#connected.has(endpoint)) return
    if (isInproc(endpoint)) this.connectInproc(endpoint)
    else this.connectNetwork(endpoint)
  }

  private connectInproc(endpoint: string): void {
    const pipe = new InprocPipe(
      this.home,
      endpoint,
      (wasRefused) => {
        this.home.tell(SocketEvent.Disconnected({ endpoint }), pipe)
        if (wasRefused) this.context.wait(endpoint, pipe)
        else this.context.connect(endpoint, pipe)
      },
      () => this.context.disconnect(endpoint, pipe)
    )
    this.#connected.set(endpoint, { pipe, close: ignore })
    if (this.home.open(pipe)) this.context.connect(endpoint, pipe)
  }

  private connectNetwork(endpoint: string): void {
    const pipe: NetworkPipe | RawPipe = this.pipeTo(endpoint, true, (failure, wasReady) => {
      if (pipe.isOver && pipe.queued === 0) connecter.close()
      else connecter.lost(failure, wasReady)
    })
    const connecter = new Connecter({
      endpoint,
      settings: this.home.settings,
      tell: (event) => this.home.tell(event, pipe),
      established: (readable) => pipe.establish(readable)
    })
    this.#connected.set(endpoint, { pipe, close: () => connecter.close() })
    if (this.home.open(pipe)) connecter.attempt()
  }

  disconnect(endpoint: string): void {
    const connected = this.#connected.get(endpoint)
    if (connected === undefined) throw errorOf("ENOENT", `not connected to ${endpoint}`)
    this.#connected.delete(endpoint)
    this.leave(connected.pipe, connected.close)
  }

  // ------------------------------------------------------------- what both need

  /** What is under way until it calls `over`. It is given up when the socket is dismissed, if not before. */
  private begin(run: (over: () => void) => GiveUp): GiveUp {
    let giveUpRun = ignore
    const giveUp = (): void => {
      this.underWay.delete(giveUp)
      giveUpRun()
    }
    this.underWay.add(giveUp)
    giveUpRun = run(() => this.underWay.delete(giveUp))
    return giveUp
  }

  private pipeTo(endpoint: string, connecting: boolean, onEnd: OnEnd) {
    return this.home.type === undefined
      ? new RawPipe(this.home, endpoint, onEnd)
      : new NetworkPipe(this.home, endpoint, connecting, onEnd)
  }

  /** We want no more of a peer. What was sent to it goes on its way, and then it is `done`. */
  private leave(pipe: Pipe, done: () => void): void {
    this.#leaving.add(pipe)
    this.home.detached(pipe)
    this.home.remove(pipe)
    const { linger } = this.home.settings
    const timer =
      linger > 0 && Number.isFinite(linger) ? setTimeout(() => pipe.close(0, ignore), linger).unref() : undefined
    pipe.close(linger, (unsent) => {
      clearTimeout(timer)
      // Whoever does not linger does not mind.
      if (this.#leaving.delete(pipe) && linger > 0) this.unsent += unsent
      done()
    })
  }

  // ------------------------------------------------------------- the end

  /** What is under way is given up, names over inproc are free, and nobody comes in any more. */
  dismiss(): void {
    this.isDismissed = true
    for (const giveUp of this.underWay) giveUp()
    this.underWay.clear()
    for (const endpoint of this.#bound.keys()) if (isInproc(endpoint)) this.context.unbind(endpoint, this.home)
  }

  /** Closes all, with what there is a way to besides. */
  close(others: Iterable<Pipe>, linger: number, done: (delivery: Delivery) => void): void {
    const connected = [...this.#connected.values()]
    const bound = [...this.#bound.values()]
    this.#connected.clear()
    this.#bound.clear()
    const pipes = new Set([...others, ...this.#leaving, ...bound.flatMap(({ pipes }) => [...pipes])])
    this.#leaving.clear()
    closeAll(bound, pipes, linger, ({ inTime, unsent }) => {
      this.context.leave()
      for (const one of connected) one.close()
      const { unsent: before } = this
      microtask(() => done({ inTime: inTime && before === 0, unsent: unsent + before }))
    })
  }
}

const refusalOf = (endpoint: string): Error | undefined => {
  const transport = transportOf(endpoint)
  return transport === "tcp" || transport === "ipc" || transport === "inproc"
    ? undefined
    : errorOf("EPROTONOSUPPORT", `no ${transport} on the engine Engine.layerZmtp`)
}

const ignore = (): void => {}
