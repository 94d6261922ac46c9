import type { SocketCore } from "../socket/socket.ts"
import { type Conversation, millisToReadOn } from "./dial.ts"
import { ConnectionError, reasons } from "./errors.ts"
import type { Server } from "./server.ts"
import { mostOfText } from "./size.ts"
import type { Source } from "./source.ts"
import * as Wire from "./wire.ts"

/** A server at a broker: it says that it is there, as long as it serves, and its clients come by the same connection. */
export class Registration implements Conversation {
  private readonly endpoint: string
  private readonly source: Source
  private readonly server: Server
  private readonly pings: { readonly interval: number; readonly timeout: number }
  private readonly word: Buffer
  private readonly ended: (error: ConnectionError) => void
  private idle = 0
  private sinceSaid = 0
  private isAnswered = false
  private isOver = false
  /** Since when the engine says that it was lost, in milliseconds; what had come before may still be read. */
  private lostFor: number | undefined

  constructor(
    endpoint: string,
    core: SocketCore,
    server: Server,
    contentType: string,
    pings: { readonly interval: number; readonly timeout: number },
    ended: (error: ConnectionError) => void
  ) {
    this.endpoint = endpoint
    this.server = server
    this.pings = pings
    this.ended = ended
    const limit = pings.interval + pings.timeout
    this.word = Wire.ready({ limit: Number.isFinite(limit) ? limit : 0, contentType, most: Number.POSITIVE_INFINITY })
    this.source = server.add(core, (word) => this.onWord(word))
  }

  begin(): void {
    this.server.serving.add(this.announce)
    if (this.server.isServing) this.announce(true)
  }

  pass(millis: number, all: number): void {
    const { interval, timeout } = this.pings
    if (this.isOver || !this.server.isServing) return
    if (this.lostFor !== undefined) this.lostFor += millis
    if (this.lostFor !== undefined && this.lostFor > millisToReadOn) return this.end("Lost", "")
    this.idle += millis
    this.sinceSaid += all
    if (this.idle > interval + timeout) return this.end("Silent", "the broker says nothing")
    if (this.sinceSaid >= interval) this.announce(true)
  }

  failed(reason: "Unreachable" | "Refused", detail: string): void {
    this.end(reason, detail)
  }

  // The engine's farewell says so behind what had come, where there is one.
  lost(): void {
    this.lostFor ??= 0
  }

  close(): void {
    if (this.isOver) return
    // A broker that has never answered has no client of ours, and need not know.
    if (!this.isAnswered) this.source.core.deliversNothing = true
    this.announce(false)
    this.end("Closed", "")
  }

  private readonly announce = (isServing: boolean): void => {
    this.sinceSaid = 0
    this.source.core.outbox.offer(isServing ? this.word : Wire.goodbye({ why: "closing", text: "" }))
  }

  private onWord(word: Wire.Word | undefined): void {
    this.idle = 0
    this.isAnswered = true
    if (word?.kind === "broker") this.source.most = mostOfText(word.text)
    if (word?.kind !== "bye") return
    const { text, why } = Wire.goodbyeOf(word.text)
    this.end(reasons[why], text)
  }

  private end(reason: ConnectionError["reason"], detail: string): void {
    if (this.isOver) return
    this.isOver = true
    this.server.serving.delete(this.announce)
    this.server.remove(this.source)
    this.ended(new ConnectionError({ endpoint: this.endpoint, reason, detail }))
  }
}
