/** A connection as a `Socket` of Effect. */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Socket from "effect/socket/Socket"
import type { Connection, Ending } from "./connection.ts"

export const closeError = ({ code, reason }: Ending): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketCloseError({ code, closeReason: reason }) })

export const openError = (kind: "Unknown" | "Timeout", cause: unknown): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketOpenError({ kind, cause }) })

const writeError = (text: string): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketWriteError({ cause: new Error(text) }) })

/** What a `Socket` reads. Whoever is interrupted has taken nothing, as the take is the last operation. */
const pullOf = (connection: Connection): Socket.Reader["pull"] => {
  const readable = Effect.callback<void>((resume) => {
    if (connection.isReadable || connection.readerEnding !== undefined) return resume(Effect.void)
    const stop = connection.awaitReadable(() => {
      stop()
      resume(Effect.void)
    })
    return Effect.sync(stop)
  })
  const take = Effect.sync(() => connection.take() as [Buffer, ...Array<Buffer>])
  const pull: Socket.Reader["pull"] = Effect.suspend(() => {
    if (connection.isReadable) return take
    const ending = connection.readerEnding
    if (ending === undefined) return Effect.flatMap(readable, () => pull)
    // As over TCP: whoever has read to the end has no more to say either.
    connection.endWrites()
    return Effect.fail(closeError(ending))
  })
  return pull
}

export const readerOf = (connection: Connection): Socket.Reader => ({
  pull: pullOf(connection),
  upgrade: Socket.SocketUpgradeError.unsupported
})

/**
 * The write side of a `Socket`, whichever connection it has now. While it has none,
 * writes wait for the next.
 */
export class Outlet {
  /** Whether there can be another connection. */
  private readonly reconnects: boolean
  private connection: Connection | undefined
  private readonly latch = Latch.makeUnsafe(false)

  constructor(reconnects: boolean) {
    this.reconnects = reconnects
  }

  connect(connection: Connection): void {
    this.connection = connection
    this.latch.openUnsafe()
  }

  disconnect(connection: Connection): void {
    if (this.connection !== connection || !this.reconnects) return
    this.connection = undefined
    this.latch.closeUnsafe()
  }

  private writeAll(chunks: ReadonlyArray<string | Uint8Array>): Effect.Effect<void, Socket.SocketError> {
    const write: Effect.Effect<void, Socket.SocketError> = Effect.suspend(() => {
      const { connection } = this
      if (connection === undefined) return this.latch.whenOpen(write)
      if (connection.ending !== undefined) return this.afterEnding(connection, write)
      if (connection.writesEnded) return Effect.fail(writeError("the write side has ended"))
      const frames = chunks.map((chunk) => (typeof chunk === "string" ? Buffer.from(chunk) : chunk))
      const tooLong = frames.find(({ length }) => length > connection.largest)
      if (tooLong !== undefined) {
        const text = `a chunk of ${tooLong.length} bytes, where the peer takes ${connection.largest} (its maxMessageSize)`
        return Effect.fail(writeError(text))
      }
      return Effect.callback<void, Socket.SocketError>((resume) => {
        const waiting = connection.write(frames, (outcome) =>
          resume(
            outcome === "sent"
              ? Effect.void
              : outcome === "cut"
                ? Effect.fail(writeError("the connection ended when a part of this was sent"))
                : this.afterEnding(connection, write)
          )
        )
        if (waiting === undefined) return resume(Effect.void)
        return Effect.sync(() => connection.giveUp(waiting))
      })
    })
    return write
  }

  // Nothing of it was sent, so it may go to the next connection, if there can be one.
  private afterEnding(
    connection: Connection,
    write: Effect.Effect<void, Socket.SocketError>
  ): Effect.Effect<void, Socket.SocketError> {
    if (!this.reconnects) return Effect.fail(writeError("the connection has ended"))
    this.disconnect(connection)
    return write
  }

  private write(chunk: string | Uint8Array | Socket.CloseEvent): Effect.Effect<void, Socket.SocketError> {
    if (!Socket.isCloseEvent(chunk)) return this.writeAll([chunk])
    const close: Effect.Effect<void> = Effect.suspend(() => {
      if (this.connection === undefined) return this.latch.whenOpen(close)
      this.connection.end(chunk)
      return Effect.void
    })
    return close
  }

  /** Ends the write side when it is released. */
  readonly writer: Socket.Socket["writer"] = Effect.acquireRelease(
    Effect.sync(() => ({
      write: (chunk: string | Uint8Array | Socket.CloseEvent) => this.write(chunk),
      writeAll: (chunks: ReadonlyArray<string | Uint8Array>) => this.writeAll(chunks)
    })),
    () => Effect.sync(() => this.connection?.endWrites())
  )
}
