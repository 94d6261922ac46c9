/** A peer that speaks ZMTP by hand, over TCP: bytes out, bytes in, and when the other ends the connection. */
import { connect, createServer, type Server, type Socket } from "node:net"

/** Generous: nothing that conforms comes near it. */
const patience = 10_000

export interface Frame {
  readonly flags: number
  readonly body: Buffer
  /** All its octets. */
  readonly bytes: Buffer
}

export class Wire {
  private readonly socket: Socket
  private bytes = Buffer.alloc(0)
  private hasEnded = false
  private onChange: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    const ended = () => {
      this.hasEnded = true
      this.onChange()
    }
    socket.on("data", (bytes: Buffer) => {
      this.bytes = Buffer.concat([this.bytes, bytes])
      this.onChange()
    })
    socket.on("end", ended)
    socket.on("close", ended)
    socket.on("error", () => {})
  }

  send(...parts: ReadonlyArray<Uint8Array>): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(parts))
  }

  /** Sends octets in writes of their own. */
  async trickle(bytes: Uint8Array): Promise<void> {
    for (const byte of bytes) {
      this.socket.write(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  close(): void {
    this.socket.destroy()
  }

  /** Reads nothing more, until it reads again. */
  pause(): void {
    this.socket.pause()
  }
  readOn(): void {
    this.socket.resume()
  }

  /** So many octets. Fails if the connection ends before. */
  async read(count: number, what: string): Promise<Buffer> {
    await this.when(() => this.bytes.length >= count || this.hasEnded, `${count} octets of ${what}`)
    if (this.bytes.length < count) throw new Error(`the connection ended, where ${what} was to come`)
    const bytes = this.bytes.subarray(0, count)
    this.bytes = this.bytes.subarray(count)
    return bytes
  }

  /** A frame, held against what RFC 37 says of all of them. */
  async frame(what = "a frame"): Promise<Frame> {
    const flags = (await this.read(1, what))[0]!
    const head = await this.read(flags & 2 ? 8 : 1, what)
    const size = flags & 2 ? Number(head.readBigUInt64BE()) : head[0]!
    const body = await this.read(size, what)
    if (flags > 7) throw new Error(`${what} has reserved flags: ${flags}`)
    if ((flags & 4) !== 0 && (flags & 1) !== 0) throw new Error(`${what} is a command that says more`)
    return { flags, body, bytes: Buffer.concat([Buffer.of(flags), head, body]) }
  }

  /** The data of a command of this name. */
  async command(name: string): Promise<Buffer> {
    const { flags, body } = await this.frame(name)
    const found = body.toString("latin1", 1, 1 + (body[0] ?? 0))
    if ((flags & 4) === 0)
      throw new Error(`a message ${JSON.stringify(body.toString("latin1"))}, where ${name} was to come`)
    if (found !== name) throw new Error(`${JSON.stringify(body.toString("latin1"))}, where ${name} was to come`)
    return body.subarray(1 + name.length)
  }

  /** All frames of a message, as Latin-1. */
  async message(): Promise<Array<string>> {
    const frames: Array<string> = []
    while (true) {
      const { flags, body } = await this.frame("a message")
      if ((flags & 4) !== 0)
        throw new Error(`a command ${JSON.stringify(body.toString("latin1"))}, where a message was to come`)
      frames.push(body.toString("latin1"))
      if ((flags & 1) === 0) return frames
    }
  }

  /** Waits until the other has ended the connection. Gives what it said before that was not read. */
  async ended(): Promise<Buffer> {
    await this.when(() => this.hasEnded, "the end of the connection")
    return this.bytes
  }

  private when(condition: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.onChange = () => {}
        reject(new Error(`${what} did not come within ${patience / 1000} s`))
      }, patience)
      this.onChange = () => {
        if (!condition()) return
        clearTimeout(timer)
        this.onChange = () => {}
        resolve()
      }
      this.onChange()
    })
  }
}

export const dial = (endpoint: string): Promise<Wire> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(endpoint.replace(/^tcp:/, "http:"))
    const socket = connect(Number(port), hostname)
    socket.once("error", reject)
    socket.once("connect", () => resolve(new Wire(socket)))
  })

/** Waits for those who connect, one after the other. */
export class Listener {
  private readonly server: Server
  private readonly wires: Array<Wire> = []
  private waiting: ((wire: Wire) => void) | undefined
  readonly endpoint: string

  private constructor(server: Server, endpoint: string) {
    this.server = server
    this.endpoint = endpoint
    server.on("connection", (socket) => {
      const wire = new Wire(socket)
      const { waiting } = this
      this.waiting = undefined
      if (waiting === undefined) this.wires.push(wire)
      else waiting(wire)
    })
  }

  /** At a port that is free, or at the one of an endpoint. */
  static open(endpoint = "tcp://127.0.0.1:0"): Promise<Listener> {
    return new Promise((resolve) => {
      const server = createServer()
      server.listen(Number(new URL(endpoint.replace(/^tcp:/, "http:")).port || 0), "127.0.0.1", () => {
        const { port } = server.address() as { readonly port: number }
        resolve(new Listener(server, `tcp://127.0.0.1:${port}`))
      })
    })
  }

  next(): Promise<Wire> {
    const wire = this.wires.shift()
    if (wire !== undefined) return Promise.resolve(wire)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nobody connected within ${patience / 1000} s`)), patience)
      this.waiting = (wire) => {
        clearTimeout(timer)
        resolve(wire)
      }
    })
  }

  close(): void {
    this.server.close()
  }
}

export const frame = (flags: number, body: Uint8Array | string = ""): Buffer => {
  const bytes = Buffer.from(body as string, "latin1")
  return bytes.length < 256 ? Buffer.concat([Buffer.of(flags, bytes.length), bytes]) : longFrame(flags, bytes)
}

export const longFrame = (flags: number, body: Uint8Array | string): Buffer => {
  const bytes = Buffer.from(body as string, "latin1")
  const head = Buffer.alloc(9)
  head[0] = flags | 2
  head.writeBigUInt64BE(BigInt(bytes.length), 1)
  return Buffer.concat([head, bytes])
}

export const message = (...frames: ReadonlyArray<string>): Buffer =>
  Buffer.concat(frames.map((body, i) => frame(i < frames.length - 1 ? 1 : 0, body)))

export const commandBody = (name: string, ...data: ReadonlyArray<Uint8Array | string>): Buffer =>
  Buffer.concat([Buffer.of(name.length), ...[name, ...data].map((part) => Buffer.from(part as string, "latin1"))])

export const command = (name: string, ...data: ReadonlyArray<Uint8Array | string>): Buffer =>
  frame(4, commandBody(name, ...data))

export const property = (name: string, value: string): Buffer => {
  const size = Buffer.alloc(4)
  size.writeUInt32BE(value.length)
  return Buffer.concat([Buffer.of(name.length), Buffer.from(name, "latin1"), size, Buffer.from(value, "latin1")])
}

export interface GreetingFields {
  readonly mechanism?: string
  readonly major?: number
  readonly minor?: number
  readonly asServer?: number
  readonly padding?: number
}

export const greeting = ({
  mechanism = "NULL",
  major = 3,
  minor = 1,
  asServer = 0,
  padding = 0
}: GreetingFields = {}): Buffer => {
  const bytes = Buffer.alloc(64)
  bytes[0] = 0xff
  bytes.fill(padding, 1, 9)
  bytes[9] = 0x7f
  bytes[10] = major
  bytes[11] = minor
  bytes.write(mechanism, 12, 20, "latin1")
  bytes[32] = asServer
  return bytes
}

/** The properties in some metadata. Fails if it is not well formed. */
export const properties = (data: Buffer): Map<string, string> => {
  const found = new Map<string, string>()
  for (let at = 0; at < data.length; ) {
    const name = data.toString("latin1", at + 1, at + 1 + data[at]!)
    at += 1 + name.length
    const size = data.readUInt32BE(at)
    if (!/^[A-Za-z0-9\-_.+]{1,255}$/.test(name)) throw new Error(`a property with the name ${JSON.stringify(name)}`)
    if (at + 4 + size > data.length) throw new Error(`the property ${name} is cut off`)
    found.set(name.toLowerCase(), data.toString("latin1", at + 4, at + 4 + size))
    at += 4 + size
  }
  return found
}
