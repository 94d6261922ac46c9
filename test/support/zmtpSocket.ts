/** A connection of ZMTP over a socket of node:net: as little as it takes to talk to others. */
import { connect, createServer, type Server, type Socket } from "node:net"
import { blockSize, type Progress } from "../../src/internal/zmtp/protocol/connection.ts"
import { Side, type SideOptions } from "./zmtpSides.ts"

export class WiredSide extends Side {
  readonly socket: Socket
  isClosed = false
  onClosed: () => void = () => {}

  constructor(socket: Socket, options: SideOptions) {
    super(options)
    this.socket = socket
    socket.setNoDelay(true)
    socket.on("data", (bytes: Buffer) => {
      this.goOn(this.receive(bytes))
    })
    // Who is refused may be cut off while we write.
    socket.on("error", () => {})
    socket.on("close", () => {
      this.isClosed = true
      this.connection.end()
      this.onClosed()
    })
    this.flush()
  }

  /** What follows from what was received, or from an answer. */
  goOn(progress: Progress): void {
    this.flush()
    if (progress === "later") setImmediate(() => this.goOn(this.connection.resume()))
    if (progress === "failed") this.socket.end()
    else if (progress === "all") this.socket.resume()
    else this.socket.pause()
  }

  private isWriting = false
  flush(): void {
    if (this.isWriting || this.connection.pending === 0 || this.socket.destroyed) return
    const chunks = this.connection.take()
    this.isWriting = true
    for (const [i, chunk] of chunks.entries())
      this.socket.write(
        chunk,
        i < chunks.length - 1
          ? undefined
          : () => {
              this.isWriting = false
              this.connection.written()
              this.flush()
            }
      )
  }

  /** Sends, with a flush as soon as it is worth it. */
  send(message: Parameters<Side["connection"]["send"]>[0]): void {
    this.connection.send(message)
    if (this.connection.pending >= blockSize) this.flush()
  }
}

export interface Listening {
  readonly endpoint: string
  readonly sides: ReadonlyArray<WiredSide>
  readonly close: () => Promise<void>
}

/** Whoever connects gets a connection. */
export const listen = (options: () => SideOptions, onSide: (side: WiredSide) => void = () => {}): Promise<Listening> =>
  new Promise((resolve) => {
    const sides: Array<WiredSide> = []
    const server: Server = createServer((socket) => {
      const side = new WiredSide(socket, options())
      sides.push(side)
      onSide(side)
    })
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { readonly port: number }
      resolve({
        endpoint: `tcp://127.0.0.1:${port}`,
        sides,
        close: () => {
          for (const { socket } of sides) socket.destroy()
          return new Promise((done) => server.close(() => done()))
        }
      })
    })
  })

export const dial = (endpoint: string, options: SideOptions): Promise<WiredSide> =>
  new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(endpoint.replace(/^tcp:/, "http:")).port), "127.0.0.1")
    socket.once("error", reject)
    socket.once("connect", () => {
      socket.off("error", reject)
      resolve(new WiredSide(socket, options))
    })
  })

export const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1))
}
