/**
 * The inproc names of the thread-safe sockets of this thread, and who waits for one.
 *
 * libzmq takes a lock of each of two such sockets when one tells the other
 * something over inproc, in whatever order. All of ours are used by one thread.
 * But what is closed is seen to by another one, libzmq's reaper, and there are
 * two ways to have both wait for each other for ever, with the event loop:
 *
 * - A socket connects to a name that nobody has bound, and closes. Whoever binds
 *   the name later is connected with it (found by a test that then hung: `bind`
 *   in `send_inproc_connected`, the reaper in `send_pipe_term_ack`). So a connect
 *   waits here until its name is bound.
 * - A socket disconnects from one that is just being closed. There is no need
 *   to: that connection ends by itself.
 */
import { type NativeContext, untilDone } from "../raw.ts"

interface Raw {
  bindSync(endpoint: string): void
  connect(endpoint: string): void
  disconnect(endpoint: string): void
}

class Names {
  private readonly bound = new Map<string, Raw>()
  private readonly waiting = new Map<string, Set<Raw>>()
  // Of those who are connected: to whom, by the name.
  private readonly connected = new Map<Raw, Map<string, Raw>>()
  private readonly closed = new WeakSet<Raw>()

  bind(raw: Raw, name: string): void {
    raw.bindSync(name)
    this.bound.set(name, raw)
    const waiting = this.waiting.get(name)
    this.waiting.delete(name)
    for (const one of waiting ?? []) this.connect(one, name)
  }

  connect(raw: Raw, name: string): void {
    const to = this.bound.get(name)
    if (to === undefined) {
      this.waiting.set(name, (this.waiting.get(name) ?? new Set()).add(raw))
      return
    }
    untilDone(() => raw.connect(name))
    this.connected.set(raw, (this.connected.get(raw) ?? new Map<string, Raw>()).set(name, to))
  }

  /** Unbinds, or disconnects. */
  disconnect(raw: Raw, name: string): void {
    if (this.bound.get(name) === raw) {
      this.bound.delete(name)
      return untilDone(() => raw.disconnect(name))
    }
    this.stopWaiting(raw, name)
    const to = this.connected.get(raw)?.get(name)
    this.connected.get(raw)?.delete(name)
    if (to !== undefined && !this.closed.has(to)) untilDone(() => raw.disconnect(name))
  }

  /** To be called before a socket is closed. */
  close(raw: Raw): void {
    this.closed.add(raw)
    this.connected.delete(raw)
    for (const [name, binder] of this.bound) if (binder === raw) this.disconnect(raw, name)
    for (const name of this.waiting.keys()) this.stopWaiting(raw, name)
  }

  private stopWaiting(raw: Raw, name: string): void {
    const waiting = this.waiting.get(name)
    if (waiting?.delete(raw) && waiting.size === 0) this.waiting.delete(name)
  }
}

const all = new WeakMap<NativeContext, Names>()

/** The names of a context, in this thread. */
export const namesOf = (context: NativeContext): Names => {
  const names = all.get(context) ?? new Names()
  all.set(context, names)
  return names
}
