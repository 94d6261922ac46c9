/** Connections of ZMTP that are tested without any I/O: what they are told is written down, and what they say is moved by hand. */
import { nativeBoxes, wrapperBoxes } from "../../proof/conformance/sodium.ts"
import {
  Connection,
  type Failure,
  type Introduced,
  type Limits,
  type Message,
  type Progress,
  type Security,
  type SocketType,
  type ZapRequest
} from "../../src/internal/zmtp/protocol/connection.ts"

export { nativeBoxes, wrapperBoxes }

export interface SideOptions {
  readonly type: SocketType
  readonly identity?: string
  readonly metadata?: ReadonlyArray<readonly [string, Uint8Array]>
  readonly security?: Security
  readonly limits?: Partial<Limits>
  /** How many messages are taken before the events say to stop. */
  readonly room?: number
  /** What ZAP answers at once. Without it, requests are written down. */
  readonly zap?: (request: ZapRequest, side: Side) => void
  readonly onReady?: (side: Side) => void
  /** Does not keep messages. */
  readonly counts?: boolean
}

export const nullSecurity: Security = { mechanism: "NULL", asks: false }

export class Side {
  readonly connection: Connection
  readonly messages: Array<Message> = []
  /** All that happened but messages, as texts. */
  readonly log: Array<string> = []
  readonly requests: Array<ZapRequest> = []
  readonly progress: Array<Progress> = []
  count = 0
  room: number
  peer: Introduced | undefined
  failure: Failure | undefined
  /** How many events there were when it failed, with that. */
  eventsAtFailure = 0

  constructor(options: SideOptions) {
    this.room = options.room ?? Number.POSITIVE_INFINITY
    const topic = (what: string) => (topic: Buffer) => {
      this.log.push(`${what} ${topic.toString("latin1")}`)
      return true
    }
    this.connection = new Connection(
      {
        local: {
          socketType: options.type,
          ...(options.identity === undefined ? {} : { identity: Buffer.from(options.identity, "latin1") }),
          ...(options.metadata === undefined ? {} : { metadata: options.metadata })
        },
        security: options.security ?? nullSecurity,
        ...(options.limits === undefined ? {} : { limits: options.limits })
      },
      {
        ready: (peer) => {
          this.peer = peer
          this.log.push("ready")
          options.onReady?.(this)
        },
        message: (message) => {
          this.count++
          if (options.counts !== true) this.messages.push(message)
          return --this.room > 0
        },
        subscribe: topic("subscribe"),
        cancel: topic("cancel"),
        ping: (ttl) => void this.log.push(`ping ${ttl}`),
        pong: (context) => void this.log.push(`pong ${context.toString("latin1")}`),
        zap: (request) => {
          this.requests.push(request)
          options.zap?.(request, this)
        },
        failed: (failure) => {
          this.failure = failure
          this.log.push(`failed ${failure.kind}`)
          this.eventsAtFailure = this.count + this.log.length
        }
      }
    )
  }

  receive(bytes: Uint8Array): Progress {
    const progress = this.connection.receive(bytes)
    this.progress.push(progress)
    return progress
  }

  /** What it has to say. */
  said(): Buffer {
    const bytes = Buffer.concat(this.connection.take())
    this.connection.written()
    return bytes
  }

  texts(): Array<Array<string>> {
    return this.messages.map((message) => message.map((frame) => frame.toString("latin1")))
  }
}

/** Feeds bytes as a transport does: cut into pieces, read in place where there is one, with later turns. */
export const feed = (to: Side, bytes: Uint8Array, size: () => number): void => {
  const { connection } = to
  for (let at = 0; at < bytes.length; ) {
    const piece = bytes.subarray(at, at + Math.max(1, size()))
    const place = connection.place()
    if (place === undefined) {
      // One buffer for all reads, which is overwritten afterwards.
      const buffer = Buffer.from(piece)
      to.receive(buffer)
      buffer.fill(0xa5)
      at += piece.length
    } else {
      const count = Math.min(place.length, piece.length)
      place.set(piece.subarray(0, count))
      to.receive(place.subarray(0, count))
      at += count
    }
    while (to.progress.at(-1) === "later") to.progress.push(connection.resume())
  }
}

const whole = () => Number.POSITIVE_INFINITY

/** Moves what both say until both are silent. */
export const exchange = (a: Side, b: Side, size: () => number = whole): void => {
  while (a.connection.pending > 0 || b.connection.pending > 0) {
    feed(b, a.said(), size)
    feed(a, b.said(), size)
  }
}

export const serverKeys = nativeBoxes.keyPair()
export const clientKeys = nativeBoxes.keyPair()

export const accepts: NonNullable<SideOptions["zap"]> = (_, side) => void side.connection.accept("user")

/** The two sides of each mechanism. */
export const securities: Record<string, readonly [client: Security, server: Security]> = {
  NULL: [nullSecurity, { mechanism: "NULL", asks: true }],
  PLAIN: [
    { mechanism: "PLAIN", role: "client", username: "admin", password: "secret" },
    { mechanism: "PLAIN", role: "server" }
  ],
  "CURVE, native": [
    {
      mechanism: "CURVE",
      role: "client",
      boxes: nativeBoxes,
      keys: { ...clientKeys, serverKey: serverKeys.publicKey }
    },
    { mechanism: "CURVE", role: "server", boxes: nativeBoxes, keys: serverKeys, asks: true }
  ],
  "CURVE, WebAssembly and native": [
    {
      mechanism: "CURVE",
      role: "client",
      boxes: wrapperBoxes,
      keys: { ...clientKeys, serverKey: serverKeys.publicKey }
    },
    { mechanism: "CURVE", role: "server", boxes: nativeBoxes, keys: serverKeys, asks: true }
  ]
}

/** Frames as RFC 37 has them, written without the encoder. */
export const frame = (flags: number, body: Uint8Array | string): Buffer => {
  const bytes = Buffer.from(body as string, "latin1")
  if (bytes.length < 256) return Buffer.concat([Buffer.of(flags, bytes.length), bytes])
  const head = Buffer.alloc(9)
  head[0] = flags | 2
  head.writeBigUInt64BE(BigInt(bytes.length), 1)
  return Buffer.concat([head, bytes])
}

export const longFrame = (flags: number, length: bigint, body = ""): Buffer => {
  const head = Buffer.alloc(9)
  head[0] = flags | 2
  head.writeBigUInt64BE(length, 1)
  return Buffer.concat([head, Buffer.from(body, "latin1")])
}

export const command = (name: string, data: Uint8Array | string = ""): Buffer =>
  frame(4, Buffer.concat([Buffer.of(name.length), Buffer.from(name, "latin1"), Buffer.from(data as string, "latin1")]))

export const property = (name: string, value: Uint8Array | string): Buffer => {
  const bytes = Buffer.from(value as string, "latin1")
  const head = Buffer.alloc(1 + name.length + 4)
  head[0] = name.length
  head.write(name, 1, "latin1")
  head.writeUInt32BE(bytes.length, 1 + name.length)
  return Buffer.concat([head, bytes])
}

export const greeting = (mechanism = "NULL", major = 3, minor = 1, asServer = 0): Buffer => {
  const bytes = Buffer.alloc(64)
  bytes[0] = 0xff
  bytes[9] = 0x7f
  bytes[10] = major
  bytes[11] = minor
  bytes.write(mechanism, 12, "latin1")
  bytes[32] = asServer
  return bytes
}

export const ready = (type: string, ...properties: ReadonlyArray<Buffer>): Buffer =>
  command("READY", Buffer.concat([property("Socket-Type", type), ...properties]))

/** A connection that is in traffic with a peer that is played by hand. */
export const inTraffic = (options: SideOptions, peer: string, minor = 1): Side => {
  const side = new Side(options)
  side.receive(Buffer.concat([greeting("NULL", 3, minor), ready(peer)]))
  side.said()
  return side
}
