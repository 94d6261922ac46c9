/**
 * The inproc names that sockets of this thread wait for, having connected before
 * anybody bound them.
 *
 * libzmq never ends such a socket unless its name is bound. So where one has closed
 * the name is bound for a moment. That takes the connections of all who wait for
 * it, in every thread of the process, so it must not be done while another waits.
 * Threads tell each other by names that nobody connects to: each holds one of
 * `inproc://effect-zmq.waits/0/name`, `…/1/name` and so on for as long as it waits,
 * and whoever finds one taken tries again later. A further name is a lock.
 */
import { type Holder, openHolder } from "./nativeContexts.ts"
import type { NativeContext } from "./raw.ts"
import { pause } from "./threads.ts"

// Threads that may wait for one name at a time and be seen.
const mostThreads = 256
// The lock is held for less than a millisecond.
const longestLock = 1000

const flagOf = (name: string, number: number): string => `inproc://effect-zmq.waits/${number}/${name}`
const lockOf = (name: string): string => `inproc://effect-zmq.lock/${name}`

export class Waiting {
  private readonly shared: boolean
  private readonly context: () => NativeContext
  /** How many wait for a name, and what tells the other threads. */
  private readonly names = new Map<string, { count: number; readonly flag: string | undefined }>()
  private flags: Holder | undefined

  /** `shared` if other threads use the context as well. */
  constructor(shared: boolean, context: () => NativeContext) {
    this.shared = shared
    this.context = context
  }

  has(name: string): boolean {
    return this.names.has(name)
  }

  /** One begins to wait. To be called before it connects. */
  add(name: string): void {
    const known = this.names.get(name)
    if (known !== undefined) known.count++
    else this.names.set(name, { count: 1, flag: this.shared ? this.raise(name) : undefined })
  }

  /** One waits no more. */
  remove(name: string): void {
    const known = this.names.get(name)
    if (known === undefined || --known.count > 0) return
    this.names.delete(name)
    if (known.flag !== undefined) this.flags?.give(known.flag)
    if (this.names.size > 0) return
    this.flags?.close()
    this.flags = undefined
  }

  /** Ends the closed sockets that wait for a name, unless another thread waits for it. Says whether it did. */
  end(name: string): boolean {
    const holder = openHolder(this.context())
    if (holder === undefined || (this.shared && !holder.take(lockOf(name)))) {
      holder?.close()
      return false
    }
    const waited = this.shared && isFlagged(holder, name)
    // If it is taken somebody has bound it, and nobody waits.
    if (!waited && holder.take(name)) holder.give(name)
    if (this.shared) holder.give(lockOf(name))
    holder.close()
    return !waited
  }

  private raise(name: string): string | undefined {
    this.flags ??= openHolder(this.context())
    const { flags } = this
    if (flags === undefined) return undefined
    const lock = lockOf(name)
    for (let waited = 0; !flags.take(lock) && waited < longestLock; waited++) pause(1)
    try {
      for (let number = 0; number < mostThreads; number++) {
        if (flags.take(flagOf(name, number))) return flagOf(name, number)
      }
      return undefined
    } finally {
      flags.give(lock)
    }
  }
}

const isFlagged = (holder: Holder, name: string): boolean => {
  for (let number = 0; number < mostThreads; number++) {
    if (!holder.take(flagOf(name, number))) return true
    holder.give(flagOf(name, number))
  }
  return false
}
