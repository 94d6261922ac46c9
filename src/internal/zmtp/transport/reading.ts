/**
 * How bytes are read: into memory that is ours, and used again, where that can be.
 * It saves an allocation for each read, and for large frames a copy.
 */
import { connect, type OnReadOpts, Socket } from "node:net"
import { Turn } from "../../turn.ts"
import type { ConnectTo } from "../addresses.ts"
import { framesOfTurn } from "../protocol/connection.ts"

/**
 * What all connections together may decode in one turn of the event loop: or a
 * thousand peers would have a thousand times as long a one. A KiB counts as a frame.
 */
export const decoding = new Turn(framesOfTurn)

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
/** What is read where there is no time for it: it has to be kept. */
const laterBytes = 4 * 1024

class Onto implements Readable {
  readonly socket: Socket
  private place: Buffer
  private reader: Reader | undefined

  constructor(open: (onread: OnReadOpts) => Socket) {
    shared ??= Buffer.allocUnsafeSlow(sharedBytes)
    this.place = shared
    this.socket = open({
      buffer: () => {
        const place = this.reader?.place() ?? shared!
        this.place = decoding.isOver ? place.subarray(0, laterBytes) : place
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
