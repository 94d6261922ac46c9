/** Contexts: who meets at which inproc names. */
import type { ContextSettings, EngineContext } from "../engine.ts"
import { errorOf } from "./addresses.ts"
import type { InprocPipe } from "./inproc.ts"
import type { Host } from "./pipe.ts"
import { ZapClient } from "./zap.ts"

/** Whoever has bound a name. */
export interface Binder extends Host {
  /** Somebody wants to connect: a pipe to them. */
  accept(endpoint: string): InprocPipe
}

/** As libzmq has it. */
const mostSockets = 1023

export class ZmtpContext implements EngineContext {
  readonly ipv6: boolean
  readonly maxMessageSize: number
  private readonly maxSockets: number
  private sockets = 0
  readonly #bound = new Map<string, Binder>()
  readonly #waiting = new Map<string, Set<InprocPipe>>()
  /** Who is asked about peers. */
  readonly zap: ZapClient = new ZapClient(this)

  constructor(settings: ContextSettings = {}) {
    this.ipv6 = settings.ipv6 === true
    this.maxMessageSize = typeof settings.maxMessageSize === "number" ? settings.maxMessageSize : -1
    this.maxSockets = typeof settings.maxSockets === "number" ? settings.maxSockets : mostSockets
  }

  /** Throws EMFILE when it has as many as it may. */
  enter(): void {
    if (this.sockets >= this.maxSockets) throw errorOf("EMFILE", `a context has ${this.maxSockets} sockets at most`)
    this.sockets++
  }

  leave(): void {
    this.sockets--
  }

  binderOf(name: string): Binder | undefined {
    return this.#bound.get(name)
  }

  /** Throws EADDRINUSE. */
  bind(name: string, binder: Binder): void {
    if (this.#bound.has(name)) throw errorOf("EADDRINUSE", `${name} is bound`)
    this.#bound.set(name, binder)
    this.retry(name)
  }

  /** Whoever waits may try again. */
  retry(name: string): void {
    const waiting = this.#waiting.get(name)
    this.#waiting.delete(name)
    for (const pipe of waiting ?? []) this.connect(name, pipe)
  }

  unbind(name: string, binder: Binder): void {
    if (this.#bound.get(name) === binder) this.#bound.delete(name)
  }

  /** Joins a pipe with whoever has bound the name, or will. */
  connect(name: string, pipe: InprocPipe): void {
    if (this.#bound.get(name)?.accept(name).join(pipe) !== true) this.wait(name, pipe)
  }

  /** Waits until somebody binds the name, or leaves whoever has. */
  wait(name: string, pipe: InprocPipe): void {
    let waiting = this.#waiting.get(name)
    if (waiting === undefined) {
      waiting = new Set()
      this.#waiting.set(name, waiting)
    }
    waiting.add(pipe)
  }

  /** It does not want to any more. */
  disconnect(name: string, pipe: InprocPipe): void {
    const waiting = this.#waiting.get(name)
    waiting?.delete(pipe)
    if (waiting?.size === 0) this.#waiting.delete(name)
  }

  close(): void {
    this.#bound.clear()
    this.#waiting.clear()
  }
}
