/** Contexts of libzmq: which sockets meet in each at inproc names, and what becomes of it afterwards. */
import type { ContextSettings, EngineContext } from "../engine.ts"
import { hasDescriptors } from "./descriptors.ts"
import { canOpen, endWaiting, makeContext, sharedContext } from "./nativeContexts.ts"
import { Neighbours } from "./neighbours.ts"
import type { NativeContext } from "./raw.ts"
import { Waiting } from "./unboundNames.ts"

/** A socket, as others that it meets at an inproc name know it. */
export interface Neighbour {
  /** One that was at the same name has left, or is just leaving. */
  peerLeft(id?: Buffer): void
  /** One connects over inproc. */
  expect(id: Buffer | undefined): void
  /** One has come. */
  hasNews(): void
}

export class ZeromqContext implements EngineContext {
  /** What is bound over inproc, by its name. */
  readonly binders = new Map<string, Neighbour>()
  readonly neighbours = new Neighbours<Neighbour>()
  readonly waiting: Waiting
  // What was ever connected to over inproc, in a context that is used again.
  private readonly connectedTo = new Set<string>()
  private closed = false
  // What sockets wait for that are closed.
  private readonly abandoned = new Set<string>()
  private again: NodeJS.Timeout | undefined
  private readonly settings: ContextSettings | undefined
  private made: NativeContext | undefined

  /** Without settings that of the process, which is never closed. */
  constructor(settings: ContextSettings | undefined) {
    this.settings = settings
    this.waiting = new Waiting(settings === undefined, () => this.native)
  }

  /** Made when it is first needed, as it has threads. */
  get native(): NativeContext {
    const { settings } = this
    this.made ??=
      settings === undefined ? sharedContext() : (unused.get(keyOf(settings))?.pop() ?? makeContext(settings))
    return this.made
  }

  noteConnected(name: string): void {
    if (this.settings !== undefined) this.connectedTo.add(name)
  }

  /**
   * A socket has closed that waited for inproc names to be bound. libzmq never ends
   * it unless somebody binds them: it keeps its file descriptor, and the process
   * as long as it is watched. What it has sent may be had for `linger` milliseconds.
   */
  abandon(waitsFor: ReadonlySet<string>, watched: boolean, linger: number): void {
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

  /** Whether there is room for as many sockets, besides those that are open. */
  hasRoom(count: number): boolean {
    // Only where places are few they must be tried: those of closed sockets are
    // taken for a while. libzmq needs a descriptor or two of its own.
    return this.native.maxSockets > manySockets ? hasDescriptors(count + 2) : canOpen(this.native, count + 2)
  }

  close(): void {
    this.closed = true
    const { made, settings } = this
    this.made = undefined
    if (made === undefined || settings === undefined) return
    // A connection to a name that nobody has bound waits for whoever will, with
    // its messages, even when its socket is closed.
    endWaiting(made, this.connectedTo)
    const key = keyOf(settings)
    unused.set(key, [...(unused.get(key) ?? []), made])
  }
}

// How often it is tried to end what waits for a name that others wait for, in milliseconds.
const tryAgain = 250

const manySockets = 10_000

// libzmq's threads of a context end with the process, as zeromq.js has no way to
// end a context. One that is done with is used again, so that there are never
// more than were open at once.
const unused = new Map<string, Array<NativeContext>>()
const keyOf = (settings: ContextSettings): string => JSON.stringify(Object.entries(settings).sort())
