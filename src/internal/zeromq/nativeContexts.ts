/** Contexts of libzmq, and names of theirs that are held for a while. */
import type { Pair } from "zeromq"
import type { ContextSettings } from "../engine.ts"
import { zeromq } from "./load.ts"
import { type NativeContext, type RawSocket, untilDone } from "./raw.ts"
import { closeRaw, opened } from "./threads.ts"

// libzmq's default is few, as each socket that is watched takes three places,
// and a place costs 12 bytes.
const defaultMaxSockets = 1023
const withManySockets = (context: NativeContext): NativeContext => {
  if (context.maxSockets === defaultMaxSockets) context.maxSockets = context.maxSocketsLimit
  return context
}

let shared: NativeContext | undefined

/** The context of the process, which all its threads share. */
export const sharedContext = (): NativeContext => {
  shared ??= withManySockets(zeromq().context)
  return shared
}

/** Throws what zeromq.js throws. The context lives as long as the process: nothing in zeromq.js ends one. */
export const makeContext = (settings: ContextSettings): NativeContext => {
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
  const context = new (zeromq().Context)(given)
  return settings.maxSockets === undefined ? withManySockets(context) : context
}

/** Whether as many sockets can be opened now. */
export const canOpen = (context: NativeContext, count: number): boolean => {
  const opened: Array<Pair> = []
  try {
    for (let i = 0; i < count; i++) opened.push(new (zeromq().Pair)({ context }))
    return true
  } catch {
    return false
  } finally {
    for (const raw of opened) raw.close()
  }
}

/** Holds inproc names, so that nobody else can bind them. */
export interface Holder {
  /** Says whether the name was free. */
  take(name: string): boolean
  give(name: string): void
  close(): void
}

/** `undefined` if there is no room for a socket. */
export const openHolder = (context: NativeContext): Holder | undefined => {
  try {
    const raw = new (zeromq().Pull)({ context, linger: 0 })
    opened(raw as unknown as RawSocket)
    return {
      take: (name) => {
        try {
          raw.bindSync(name)
          return true
        } catch {
          return false
        }
      },
      give: (name) => {
        try {
          // The name is free at once, and not when libzmq has closed the socket.
          untilDone(() => raw.disconnect(name))
        } catch {
          // it was not held
        }
      },
      close: () => closeRaw(raw as unknown as RawSocket)
    }
  } catch {
    return undefined
  }
}

/** Ends the inproc connections that wait for one of the names to be bound, and drops what they have sent. */
export const endWaiting = (context: NativeContext, names: Iterable<string>): void => {
  const holder = openHolder(context)
  // Where one is bound nobody waits.
  for (const name of names) if (holder?.take(name)) holder.give(name)
  holder?.close()
}
