/** The ends of threads, which must not find anything under way. */
import { isMainThread } from "node:worker_threads"
import { zeromq } from "./load.ts"
import type { ConnectionEvent, NativeContext, Observer, RawSocket } from "./raw.ts"

// A worker thread that ends while an operation is pending takes the whole
// process with it (zeromq.js issue 411). So close what is open when one exits;
// `worker.terminate()` alone gives no chance to.
const openInThread = new Set<RawSocket>()
// Observers that have not ended, with the milliseconds for which their socket
// may still send, if it is closed.
const watchedInThread = new Map<
  Observer,
  { readonly raw: RawSocket; readonly context: NativeContext; linger?: number }
>()
if (!isMainThread) {
  process.once("exit", () => {
    for (const { raw } of watchedInThread.values()) if (openInThread.has(raw)) raw.linger = 0
    for (const raw of openInThread) raw.close()
    endObservers()
  })
}
export const opened = (raw: RawSocket): void => {
  if (!isMainThread) openInThread.add(raw)
}
export const closeRaw = (raw: RawSocket, observer?: Observer): void => {
  openInThread.delete(raw)
  const watched = observer && watchedInThread.get(observer)
  if (watched !== undefined) {
    const { linger } = raw
    watched.linger = linger < 0 ? Number.POSITIVE_INFINITY : linger
  }
  raw.close()
}

// See `tellEvents`: an observer may end only after its socket, which libzmq's
// reaper closes, a thread that does one thing after another. So what was bound
// by a socket that was closed last is free once it has closed the others.
const endObservers = (): void => {
  if (watchedInThread.size === 0) return
  const watched = [...watchedInThread.values()]
  const contexts = new Set(watched.map(({ context }) => context))
  for (const context of contexts) passThrough(context)
  // All are being closed by now. What some have yet to send takes its time.
  pause(Math.min(longestWait, Math.max(0, ...watched.map(({ linger }) => linger ?? 0))))
  // Closing takes a way through several threads, hence more than once.
  for (let times = 0; times < 5; times++) for (const context of contexts) passThrough(context)
  for (const observer of watchedInThread.keys()) observer.close()
}

/** Waits until the reaper of a context has closed what was closed before. */
const passThrough = (context: NativeContext): void => {
  const bind = (endpoint: string): string | undefined => {
    const raw = new (zeromq().Pull)({ linger: 0, context })
    try {
      raw.bindSync(endpoint)
      return raw.lastEndpoint ?? undefined
    } catch {
      return undefined
    } finally {
      raw.close()
    }
  }
  const endpoint = bind("tcp://127.0.0.1:*")
  // Another process may have taken the port.
  for (let waited = 0; endpoint !== undefined && waited < 1000 && bind(endpoint) === undefined; waited++) pause(1)
}

const cell = new Int32Array(new SharedArrayBuffer(4))
/** Stops the thread, in real time. */
export const pause = (millis: number): void => void Atomics.wait(cell, 0, 0, millis)
const longestWait = 10_000

// How many events are told before the event loop gets its turn.
const eventsPerTurn = 64

/** Tells what becomes of the connections of a socket, until libzmq has done with it. */
export const watchRaw = (raw: RawSocket, onEvent: (event: ConnectionEvent) => void, onEnd: () => void): Observer => {
  const { events } = raw
  if (!isMainThread) watchedInThread.set(events, { raw, context: raw.context })
  void tellEvents(events, onEvent).finally(() => {
    watchedInThread.delete(events)
    onEnd()
  })
  return events
}

// An observer must not be closed before libzmq is done with its socket: libzmq
// would wait for ever to tell of the end, and no socket of the process would be
// closed any more (addresses in use, EMFILE). It closes itself after that.
const tellEvents = async (observer: Observer, onEvent: (event: ConnectionEvent) => void): Promise<void> => {
  try {
    for (let told = 1; !observer.closed; told++) {
      const event = await observer.receive()
      if (event === undefined || event.type === "end") return
      onEvent(event)
      if (told % eventsPerTurn === 0) await new Promise(setImmediate)
    }
  } catch {
    // closed with its thread
  }
}
