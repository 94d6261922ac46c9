/** Asks the authenticator of a context about peers (RFC 27), over inproc. */
import type { Message } from "../../Message.ts"
import { zapEndpoint } from "../authenticator.ts"
import { InprocPipe } from "./inproc.ts"
import type { Host, Introduction, Pipe } from "./pipe.ts"
import { decodeProperties, type Properties } from "./protocol/metadata.ts"
import type { ZapRequest } from "./protocol/zap.ts"
import { Settings } from "./settings.ts"

type ZapReply =
  | { readonly status: 200; readonly userId: string; readonly metadata: Properties }
  | { readonly status: 300 | 400 | 500 }

/** Questions that are not answered yet. Whoever comes then may try again later. */
const mostAsked = 10_000

const failed: ZapReply = { status: 500 }
const noProperties: Properties = new Map()

/** Where the authenticator is found. */
interface Names {
  binderOf(name: string): { accept(endpoint: string): InprocPipe } | undefined
}

/** What the authenticator takes for a DEALER. */
export class ZapClient implements Host {
  readonly settings: Settings
  readonly introduction: Introduction = {
    type: "DEALER",
    routingId: Buffer.alloc(0),
    address: undefined,
    userId: undefined
  }
  private readonly context: Names
  #pipe: InprocPipe | undefined
  private last = 0
  readonly #asked = new Map<string, (reply: ZapReply) => void>()

  constructor(context: Names) {
    this.context = context
    this.settings = new Settings("dealer", false, -1)
    this.settings.receiveHighWaterMark = 0
    this.settings.sendHighWaterMark = 0
  }

  /** Whether there is anybody to ask. */
  get hasHandler(): boolean {
    return this.context.binderOf(zapEndpoint) !== undefined
  }

  /** Asks. */
  ask(
    domain: string,
    address: string,
    { credentials, identity, mechanism }: ZapRequest,
    done: (reply: ZapReply) => void
  ): void {
    if (this.#asked.size >= mostAsked) return done({ status: 300 })
    const id = String(++this.last)
    this.#asked.set(id, done)
    if (this.#pipe === undefined) {
      const pipe = new InprocPipe(this, zapEndpoint, () => this.lost(pipe))
      this.#pipe = pipe
      if (this.context.binderOf(zapEndpoint)?.accept(zapEndpoint).join(pipe) !== true) this.lost(pipe)
    }
    const frames = ["", "1.0", id, domain, address, identity, mechanism, ...credentials] as const
    this.#pipe?.send(frames)
  }

  // Whoever was asked has gone, and nobody is let in by that.
  private lost(pipe: InprocPipe): void {
    if (this.#pipe !== pipe) return
    this.#pipe = undefined
    const asked = [...this.#asked.values()]
    this.#asked.clear()
    for (const done of asked) done(failed)
  }

  attached(pipe: Pipe, peer: Introduction): boolean {
    pipe.isThere = true
    return peer.type === "ROUTER" || peer.type === "REP"
  }
  detached(pipe: Pipe): void {
    pipe.isThere = false
  }

  arrived(_: Pipe, message: Message): boolean {
    const [delimiter, version, id, status, , userId, metadata] = message
    const key = id?.toString("latin1") ?? ""
    const done = this.#asked.get(key)
    if (done === undefined) return true
    this.#asked.delete(key)
    done(
      delimiter.length === 0 && version?.toString() === "1.0" && message.length === 7
        ? replyOf(status!.toString("latin1"), userId!, metadata!)
        : failed
    )
    return true
  }

  subscribed(): boolean {
    return true
  }
  hasRoom(): void {}
}

const replyOf = (status: string, userId: Buffer, metadata: Buffer): ZapReply => {
  if (status === "300" || status === "400" || status === "500") return { status: Number(status) as 300 | 400 | 500 }
  if (status !== "200") return failed
  const properties = metadata.length === 0 ? noProperties : decodeProperties(metadata, 1000)
  return typeof properties === "string" ? failed : { status: 200, userId: userId.toString(), metadata: properties }
}
