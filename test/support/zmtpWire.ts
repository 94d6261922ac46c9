/** Connections of ZMTP without a network: what a peer says is read when a test wants it. */
import type { Socket } from "node:net"
import { Duplex } from "node:stream"
import { Settings } from "../../src/internal/zmtp/settings.ts"
import type { Reader } from "../../src/internal/zmtp/transport/reading.ts"
import { Wire } from "../../src/internal/zmtp/transport/wire.ts"
import { greeting, nullSecurity, ready } from "./zmtpSides.ts"

export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

type Times = Partial<Pick<Settings, "handshakeInterval" | "heartbeatInterval" | "heartbeatTimeout">>

/** What Wire takes for a socket of node:net. */
export class WiredPeer extends Duplex {
  readonly received: Array<string> = []
  readonly setNoDelay = (): void => {}
  readonly wire: Wire
  /** What was written to it. */
  heard = Buffer.alloc(0)
  /** Why it was ended, once it was. */
  ended: string | undefined
  /** How many messages are taken before they say to stop. */
  room = Number.POSITIVE_INFINITY
  isStopped = false
  /** Whether it reads what is written to it. */
  reads = true
  private reader: Reader | undefined

  constructor(type: "PULL" | "XPUB", times: Times = {}) {
    super({
      read: () => {},
      write: (bytes, _encoding, done) => {
        this.heard = Buffer.concat([this.heard, bytes])
        if (this.reads) done()
      }
    })
    const readable = {
      socket: this as unknown as Socket,
      attach: (reader: Reader) => {
        this.reader = reader
      }
    }
    const add = (text: string): boolean => {
      this.received.push(text)
      return --this.room > 0
    }
    const options = { local: { socketType: type }, security: nullSecurity }
    this.wire = new Wire(readable, options, Object.assign(new Settings("pull", false, -1), times), {
      ready: () => {},
      message: ([body]) => add(String(body!.length > 100 ? body!.length : body)),
      subscribed: (topic, begins) => add(`${begins ? "+" : "-"}${topic}`),
      zap: () => {},
      written: () => {},
      ended: (failure) => {
        this.ended = failure?.reason ?? "it hung up"
      }
    })
  }

  says(bytes: Buffer): void {
    // What was read is overwritten by what is read next.
    const place = Buffer.from(bytes)
    this.reader!.read(place)
    place.fill(0xa5)
  }

  override pause(): this {
    this.isStopped = true
    return super.pause()
  }

  override resume(): this {
    this.isStopped = false
    return super.resume()
  }
}

/** Those who have shaken hands. */
export const wired = async (
  count: number,
  type: "PULL" | "XPUB",
  peer: string,
  times: Times = {}
): Promise<Array<WiredPeer>> => {
  const all = Array.from({ length: count }, () => new WiredPeer(type, times))
  for (const one of all) one.says(Buffer.concat([greeting(), ready(peer)]))
  while (all.some(({ isStopped }) => isStopped)) await nextTurn()
  return all
}
