/**
 * How bytes are read: into memory that is ours, and used again, where that can be.
 * It saves an allocation for each read, and for large frames a copy.
 */
import { connect, type OnReadOpts, Socket } from "node:net"
import type { ConnectTo } from "../addresses.ts"

/** Takes what was read. */
export interface Reader {
  /** Where the next bytes are best read to. `undefined`: anywhere. */
  place(): Buffer | undefined
  /** They are the reader's until it returns. */
  read(bytes: Buffer): void
}

/** A connection, and what has it read for somebody. */
export interface Readable {
  readonly socket: Socket
  attach(reader: Reader): void
}

// What is read is used up at once: one will do for all connections.
let shared: Buffer | undefined
const sharedBytes = 256 * 1024

class Onto implements Readable {
  readonly socket: Socket
  private place: Buffer
  private reader: Reader | undefined

  constructor(open: (onread: OnReadOpts) => Socket) {
    shared ??= Buffer.allocUnsafeSlow(sharedBytes)
    this.place = shared
    this.socket = open({
      buffer: () => {
        this.place = this.reader?.place() ?? shared!
        return this.place
      },
      callback: (count) => {
        const { place } = this
        this.reader?.read(place.subarray(0, count))
        return true
      }
    })
  }

  attach(reader: Reader): void {
    this.reader = reader
    this.socket.resume()
  }
}

/** Begins a connection. Whoever reads has to be attached when it is there. */
export const dial = (to: ConnectTo): Readable => new Onto((onread) => connect({ ...to, onread }))

interface WithHandle {
  _handle: { readonly useUserBuffer?: unknown } | null
}

/**
 * A connection that came in, and is paused. Its handle moves to a socket that reads
 * into our memory: for those that are accepted Node has no public way. Where it
 * cannot, each read has memory of its own.
 */
export const accepted = (given: Socket): Readable => {
  const { _handle: handle } = given as unknown as WithHandle
  if (typeof handle?.useUserBuffer !== "function") {
    const attach = (reader: Reader): void => {
      given.on("data", (bytes: Buffer) => reader.read(bytes))
      given.resume()
    }
    return { socket: given, attach }
  }
  ;(given as unknown as WithHandle)._handle = null
  return new Onto((onread) => {
    const options = { handle, onread, pauseOnCreate: true, readable: true, writable: true }
    return new Socket(options as unknown as ConstructorParameters<typeof Socket>[0])
  })
}
