/** Contexts: which sockets are open in each, and what becomes of it afterwards. */
import { closeSync, openSync } from "node:fs"
import { devNull } from "node:os"
import type * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import type { ContextOptions } from "../../ZmqContext.ts"
import { Reliance } from "../zap/reliance.ts"
import type { Attended } from "../zeromq/attend.ts"
import { canOpen, endWaiting, makeContext, type NativeContext, sharedContext } from "../zeromq/native.ts"
import { Neighbours } from "../zeromq/neighbours.ts"
import { Waiting } from "../zeromq/waiting.ts"

interface ContextSocket extends Attended {
  readonly shut: Effect.Effect<void>
  readonly reliesOnZap: boolean
  /** The inproc names it connected to before they were bound. */
  readonly waitsFor: ReadonlySet<string>
  peerLeft(id?: Buffer): void
  expect(id: Buffer | undefined): void
}

export class ContextCore {
  readonly settings: ContextOptions
  readonly sockets = new Set<ContextSocket>()
  readonly zap = new Reliance()
  /** What is bound over inproc, by its name. */
  readonly binders = new Map<string, ContextSocket>()
  readonly neighbours = new Neighbours<ContextSocket>()
  /** What was ever connected to over inproc, in a context that is used again. */
  readonly connectedTo = new Set<string>()
  closed = false
  // What sockets wait for that are closed.
  private readonly abandoned = new Set<string>()
  private again: NodeJS.Timeout | undefined
  readonly waiting: Waiting
  private readonly make: () => NativeContext
  private made: NativeContext | undefined

  constructor(settings: ContextOptions, make: () => NativeContext, shared = false) {
    this.settings = settings
    this.make = make
    this.waiting = new Waiting(shared, () => this.native)
  }

  /** Made when it is first needed, as it has threads. */
  get native(): NativeContext {
    this.made ??= this.make()
    return this.made
  }

  noteConnected(name: string): void {
    if (this !== processContext) this.connectedTo.add(name)
  }

  /**
   * A socket has closed that waited for inproc names to be bound. libzmq never ends
   * it unless somebody binds them: it keeps its file descriptor, and the process
   * as long as it is watched. What it has sent may be had for `linger` milliseconds.
   */
  abandon({ waitsFor }: ContextSocket, watched: boolean, linger: number): void {
    if (linger === Number.POSITIVE_INFINITY) return
    const timer = setTimeout(() => {
      for (const name of waitsFor) {
        this.waiting.remove(name)
        this.abandoned.add(name)
      }
      this.endAbandoned()
    }, linger)
    if (!watched) timer.unref()
  }

  private endAbandoned(): void {
    if (this.closed) return
    clearTimeout(this.again)
    for (const name of this.abandoned) {
      // Others may wait for the same, and must not be connected to nobody.
      if (!this.waiting.has(name) && this.waiting.end(name)) this.abandoned.delete(name)
    }
    // What is watched keeps the process alive, until the last has ended.
    if (this.abandoned.size > 0) this.again = setTimeout(() => this.endAbandoned(), tryAgain).unref()
  }

  // Not what is behind the sockets: their keys, for example.
  toJSON(): object {
    return { _id: "Zmq.Context", ...this.settings, sockets: this.sockets.size, closed: this.closed }
  }
  readonly [Inspectable.NodeInspectSymbol] = (): object => this.toJSON()

  /** Whether there is room for as many sockets, besides those that are open. */
  hasRoom(count: number): boolean {
    // Only where places are few they must be tried: those of closed sockets are
    // taken for a while. libzmq needs a descriptor or two of its own.
    return this.native.maxSockets > manySockets ? hasDescriptors(count + 2) : canOpen(this.native, count + 2)
  }

  /** Gives it away. */
  unmake(): NativeContext | undefined {
    const { made } = this
    this.made = undefined
    return made
  }
}

// How often it is tried to end what waits for a name that others wait for, in milliseconds.
const tryAgain = 250

const manySockets = 10_000

/** Whether as many file descriptors are left. */
export const hasDescriptors = (count: number): boolean => {
  const opened: Array<number> = []
  try {
    for (let i = 0; i < count; i++) opened.push(openSync(devNull, "r"))
    return true
  } catch {
    return false
  } finally {
    for (const descriptor of opened) closeSync(descriptor)
  }
}

// libzmq's threads of a context end with the process, as zeromq.js has no way to
// end a context. One that is done with is used again, so that there are never
// more than were open at once.
const unused = new Map<string, Array<NativeContext>>()
const keyOf = (settings: ContextOptions): string => JSON.stringify(Object.entries(settings).sort())

export const openContext = (settings: ContextOptions): ContextCore =>
  new ContextCore(settings, () => unused.get(keyOf(settings))?.pop() ?? makeContext(settings))

/** To be called when all its sockets are closed. */
export const closeContext = (context: ContextCore): void => {
  const native = context.unmake()
  if (native === undefined) return
  // A connection to a name that nobody has bound waits for whoever will, with
  // its messages, even when its socket is closed.
  endWaiting(native, context.connectedTo)
  const key = keyOf(context.settings)
  unused.set(key, [...(unused.get(key) ?? []), native])
}

/** The context of the process. It is never closed. */
export const processContext = new ContextCore({}, sharedContext, true)
