/**
 * One connection of a client: one socket, that connects once. A DEALER that came back
 * by itself would hand a later server calls of which the client was told that they failed.
 */
import * as Cause from "effect/Cause"
import type { FromServerEncoded } from "effect/rpc/RpcMessage"
import { constPing } from "effect/rpc/RpcMessage"
import type { RpcSerialization } from "effect/rpc/RpcSerialization"
import type { Message } from "../../Message.ts"
import type { SocketCore } from "../socket/socket.ts"
import { type Conversation, millisToReadOn } from "./dial.ts"
import { ConnectionError, reasons } from "./errors.ts"
import { Intake } from "./intake.ts"
import { Link } from "./link.ts"
import { Out } from "./out.ts"
import { mostOfText } from "./size.ts"
import { Values } from "./values.ts"
import * as Wire from "./wire.ts"

export interface ConnectionOwner {
  readonly serialization: RpcSerialization["Service"]
  readonly onOpen: (link: Link) => void
  readonly onResponses: (link: Link, responses: ReadonlyArray<FromServerEncoded>) => void
  /** A server is there no more, and no answer of it comes any more. */
  readonly onLinkEnd: (link: Link, error: ConnectionError) => void
  /** It has ended, or is a broker that has no server. */
  readonly onEnd: (error: ConnectionError) => void
}

/** Of a side: how long it waits, in milliseconds or Infinity, and the bytes that it takes in one message, or Infinity. */
interface Terms {
  readonly openTimeout: number
  readonly pingInterval: number
  readonly pingTimeout: number
  readonly most: number
}

// A broker names servers: not more than it can have.
const mostLinks = 10_000

export class Connection implements Conversation {
  readonly endpoint: string
  private readonly core: SocketCore
  private readonly terms: Terms
  private readonly owner: ConnectionOwner
  private readonly links = new Map<string, Link>()
  private readonly out: Out
  private readonly intake: Intake
  private readonly onEnd: (error: ConnectionError) => void
  private readonly hello: Buffer
  private isBroker = false
  /** What a broker between takes in one message. */
  private mostBetween = Number.POSITIVE_INFINITY
  private isOver = false
  private waited = 0
  private idle = 0
  private sinceAsked = 0
  /** Since when the engine says that it was lost, in milliseconds; what had come before may still be read. */
  private lostFor: number | undefined

  /** `onEnd` is told once, when it has ended. */
  constructor(
    endpoint: string,
    core: SocketCore,
    terms: Terms,
    owner: ConnectionOwner,
    onEnd: (error: ConnectionError) => void
  ) {
    this.endpoint = endpoint
    this.core = core
    this.terms = terms
    this.owner = owner
    this.onEnd = onEnd
    this.out = new Out(core.outbox, () => this.end("Lost", ""))
    this.intake = new Intake(core, this.onMessage)
    const limit = terms.pingInterval + terms.pingTimeout
    const { contentType } = owner.serialization
    this.hello = Wire.hello({ limit: Number.isFinite(limit) ? limit : 0, contentType, most: terms.most })
  }

  begin(): void {
    this.out.send(this.hello)
    this.intake.start()
  }

  get open(): ReadonlyArray<Link> {
    return [...this.links.values()].filter(({ isOpen }) => isOpen)
  }

  /** Says goodbye, and ends. */
  close(): void {
    if (this.isOver) return
    // Whoever has never answered was sent no call, and need not know.
    if (this.links.size === 0 && !this.isBroker) this.core.deliversNothing = true
    this.out.send(Wire.goodbye({ why: "closing", text: "" }))
    this.end("Closed", "")
  }

  failed(reason: "Unreachable" | "Refused", detail: string): void {
    this.end(reason, detail)
  }

  /** The engine says that the connection is gone. What had come before it is read first. */
  lost(): void {
    this.lostFor ??= 0
  }

  /** Milliseconds have passed. */
  pass(millis: number, all: number): void {
    if (this.isOver) return
    const { openTimeout, pingInterval, pingTimeout } = this.terms
    if (this.lostFor !== undefined) this.lostFor += millis
    if (this.lostFor !== undefined && this.lostFor > millisToReadOn) return this.end("Lost", "")
    const open = this.open
    this.waited = open.length === 0 ? this.waited + millis : 0
    if (this.waited > openTimeout) {
      if (!this.isBroker) {
        const detail = `no answer for ${openTimeout} ms`
        return this.end("Unreachable", detail, new Cause.TimeoutError(detail))
      }
      this.owner.onEnd(this.error("NoServer", ""))
    }
    if (this.isBroker) {
      this.idle += millis
      this.sinceAsked += all
      if (this.idle > pingInterval + pingTimeout) return this.end("Silent", `nothing for ${Math.round(this.idle)} ms`)
      if (this.sinceAsked >= pingInterval) {
        this.sinceAsked = 0
        this.out.send(this.hello)
      }
    }
    for (const link of open) {
      link.idle += millis
      link.sincePing += all
      if (link.idle > pingInterval + pingTimeout) {
        this.endLink(link, "Silent", `nothing for ${Math.round(link.idle)} ms`)
      } else if (link.sincePing >= pingInterval) {
        link.sincePing = 0
        link.send(constPing)
      }
    }
  }

  private end(reason: ConnectionError["reason"], detail: string, cause?: unknown): void {
    if (this.isOver) return
    this.isOver = true
    this.intake.stop()
    const error = this.error(reason, detail, cause)
    for (const link of [...this.links.values()]) this.drop(link, error)
    this.out.clear()
    this.owner.onEnd(error)
    this.onEnd(error)
  }

  private error(reason: ConnectionError["reason"], detail: string, cause?: unknown): ConnectionError {
    return new ConnectionError({ endpoint: this.endpoint, reason, detail, ...(cause === undefined ? {} : { cause }) })
  }

  private endLink(link: Link, reason: ConnectionError["reason"], detail: string, cause?: unknown): void {
    if (link.tag === undefined) return this.end(reason, detail, cause)
    const error = this.error(reason, detail, cause)
    this.drop(link, error)
    if (this.open.length > 0) return
    this.waited = 0
    this.owner.onEnd(this.error("NoServer", ""))
  }

  private drop(link: Link, error: ConnectionError): void {
    this.links.delete(nameOf(link.tag))
    link.end()
    this.owner.onLinkEnd(link, error)
  }

  private readonly onMessage = (message: Message): void => {
    const tag = message.length === 2 ? message[0] : undefined
    const frame = message[message.length - 1]!
    if (message.length > 2 || this.isOver) return
    this.idle = 0
    const link = this.links.get(nameOf(tag))
    if (link !== undefined) link.idle = 0
    if (Wire.isWord(frame)) return this.onWord(tag, link, Wire.wordOf(frame))
    if (link === undefined || frame.length === 0) return
    let responses: ReadonlyArray<FromServerEncoded>
    try {
      responses = link.values.decode(frame) as ReadonlyArray<FromServerEncoded>
    } catch (cause) {
      return this.endLink(
        link,
        "Rejected",
        `the server sends what is no ${this.owner.serialization.contentType}`,
        cause
      )
    }
    this.owner.onResponses(link, responses)
  }

  private onWord(tag: Buffer | undefined, link: Link | undefined, word: Wire.Word | undefined): void {
    switch (word?.kind) {
      case "welcome":
        return this.openLink(link ?? (tag === undefined ? this.addLink(tag) : undefined), mostOfText(word.text))
      case "broker":
        this.isBroker = true
        this.mostBetween = mostOfText(word.text)
        return
      case "none":
        if (this.isBroker && this.links.size === 0) this.owner.onEnd(this.error("NoServer", ""))
        return
      case "ready":
        if (tag === undefined || link !== undefined || this.links.size >= mostLinks) return
        return this.addLink(tag).say(this.hello)
      case "stranger":
        if (tag === undefined) this.end("SeveralServers", "")
        else if (link !== undefined) this.endLink(link, "Lost", "the server does not know us any more")
        return
      case "bye": {
        const { text, why } = Wire.goodbyeOf(word.text)
        const reason = reasons[why]
        if (tag === undefined) this.end(reason, text)
        else if (link !== undefined) this.endLink(link, reason, text)
      }
    }
  }

  private addLink(tag: Buffer | undefined): Link {
    const link = new Link(this.endpoint, tag, new Values(this.owner.serialization), (frame) =>
      this.out.send(tag === undefined ? frame : [tag, frame])
    )
    this.links.set(nameOf(tag), link)
    return link
  }

  private openLink(link: Link | undefined, most: number): void {
    if (link === undefined || link.isOpen) return
    link.open(Math.min(most, this.mostBetween))
    this.waited = 0
    this.owner.onOpen(link)
  }
}

const nameOf = (tag: Buffer | undefined): string => (tag === undefined ? "" : `=${tag.toString("latin1")}`)
