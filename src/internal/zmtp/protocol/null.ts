/** NULL: both say READY (RFC 37, The NULL Security Mechanism). */
import { nothing } from "./bytes.ts"
import { commandData, commandName, encodeCommand, faultOfError } from "./command.ts"
import type { Limits } from "./limits.ts"
import { fails, type Mechanism, refuses, rejects, type Step, unexpected } from "./mechanism.ts"
import { encodeLocal, isFault, type Local, type Peer, readPeer } from "./peer.ts"
import type { ZapAnswer } from "./zap.ts"

export class NullMechanism implements Mechanism {
  readonly name = "NULL"
  readonly asServer = false
  readonly sealing = undefined
  private readonly local: Local
  private readonly limits: Limits
  private readonly asks: boolean
  private isReady = false
  private peer: Peer | undefined

  constructor(local: Local, limits: Limits, asks: boolean) {
    this.local = local
    this.limits = limits
    this.asks = asks
  }

  get waits(): boolean {
    return this.peer !== undefined && !this.isReady
  }

  // ZAP is asked at once: if both sides waited for the READY of the other before they ask, both would wait forever.
  start(): Step {
    return this.asks ? { ask: { mechanism: "NULL", credentials: [], identity: nothing } } : this.ready()
  }

  command(body: Buffer): Step {
    const name = commandName(body)
    if (name === "ERROR") return { fault: faultOfError(commandData(body)) }
    if (name !== "READY" || this.peer !== undefined) return unexpected(name, "READY")
    const peer = readPeer(this.local, this.limits, commandData(body))
    if (isFault(peer)) return rejects(peer)
    this.peer = peer
    return this.isReady ? { done: peer } : {}
  }

  answered(answer: ZapAnswer): Step {
    return answer.status === 200 ? this.ready() : refuses(answer)
  }

  end(): void {}

  private ready(): Step {
    if (this.isReady) return fails("READY was said already")
    this.isReady = true
    const say = encodeCommand("READY", encodeLocal(this.local))
    return this.peer === undefined ? { say } : { say, done: this.peer }
  }
}
