/** The native sockets of zeromq.js, and what has to be known to call them. */
import type { Context } from "zeromq"
import type { Message } from "../../Message.ts"

/** A context of libzmq: its I/O threads, and the names of its inproc endpoints. */
export type NativeContext = Context

/** What became of a connection, as zeromq.js puts it. */
export interface ConnectionEvent {
  readonly type: string
  readonly address?: string
  /** Milliseconds. */
  readonly interval?: number
  readonly error?: Error & { readonly code?: string; readonly status?: number }
}

export interface Observer {
  readonly closed: boolean
  receive(): Promise<ConnectionEvent | undefined>
  close(): void
}

/** The parts of the native class that zeromq.js types as protected, or only on some sockets. */
export interface RawSocket {
  readonly readable: boolean
  readonly writable: boolean
  readonly lastEndpoint: string | null
  readonly events: Observer
  readonly context: NativeContext
  linger: number
  immediate: boolean
  receive(): Promise<Message>
  send(message: unknown): Promise<void>
  setInt32Option(option: number, value: number): void
  setStringOption(option: number, value: Buffer): void
  bindSync(endpoint: string): void
  connect(endpoint: string): void
  disconnect(endpoint: string): void
  close(): void
}

/**
 * A signal makes libzmq give up before it has done anything (EINTR), as those
 * of a profiler do. zeromq.js tries again by itself, but for these calls.
 */
export const untilDone = (run: () => void): void => {
  while (true) {
    try {
      return run()
    } catch (error) {
      if ((error as { readonly code?: unknown }).code !== "EINTR") throw error
    }
  }
}

/** zeromq.js throws some failures and rejects with others: always reject. */
export const attempt = <A>(run: () => Promise<A>): Promise<A> => {
  try {
    return run()
  } catch (error) {
    return Promise.reject(error)
  }
}
