/** PLAIN: HELLO with a username and a password, WELCOME, INITIATE, READY (RFC 24). */
import { nothing, part } from "./bytes.ts"
import { commandData, commandName, encodeCommand, faultOfError, isMisspelledError } from "./command.ts"
import type { Limits } from "./limits.ts"
import { fails, type Mechanism, refuses, rejects, type Step, unexpected } from "./mechanism.ts"
import { encodeLocal, isFault, type Local, readPeer } from "./peer.ts"
import type { ZapAnswer } from "./zap.ts"

const short = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  if (bytes.length > 255) throw new RangeError("a username or password of PLAIN has 255 bytes at most")
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}

export class PlainClient implements Mechanism {
  readonly name = "PLAIN"
  readonly asServer = false
  readonly sealing = undefined
  readonly waits = false
  private readonly local: Local
  private readonly limits: Limits
  private readonly hello: Buffer
  private state: "welcome" | "ready" | "over" = "welcome"

  constructor(local: Local, limits: Limits, username: string, password: string) {
    this.local = local
    this.limits = limits
    this.hello = encodeCommand("HELLO", short(username), short(password))
  }

  start(): Step {
    return { say: this.hello }
  }

  command(body: Buffer): Step {
    if (isMisspelledError(body)) return { fault: faultOfError(part(body, 5, body.length)) }
    const name = commandName(body)
    if (name === "ERROR") return { fault: faultOfError(commandData(body)) }
    if (this.state === "welcome") {
      if (name !== "WELCOME") return unexpected(name, "WELCOME")
      if (body.length !== 8) return fails("a WELCOME with data")
      this.state = "ready"
      return { say: encodeCommand("INITIATE", encodeLocal(this.local)) }
    }
    if (name !== "READY" || this.state !== "ready") return unexpected(name, "READY")
    this.state = "over"
    const peer = readPeer(this.local, this.limits, commandData(body))
    return isFault(peer) ? { fault: peer } : { done: peer }
  }

  answered(): Step {
    return fails("nothing was asked")
  }

  end(): void {}
}

export class PlainServer implements Mechanism {
  readonly name = "PLAIN"
  readonly asServer = true
  readonly sealing = undefined
  private readonly local: Local
  private readonly limits: Limits
  private state: "hello" | "zap" | "initiate" | "over" = "hello"

  constructor(local: Local, limits: Limits) {
    this.local = local
    this.limits = limits
  }

  get waits(): boolean {
    return this.state === "zap"
  }

  start(): Step {
    return {}
  }

  command(body: Buffer): Step {
    const name = commandName(body)
    if (this.state === "hello") {
      if (name !== "HELLO") return unexpected(name, "HELLO")
      const credentials = readHello(commandData(body))
      if (credentials === undefined) return fails("a malformed HELLO")
      this.state = "zap"
      return { ask: { mechanism: "PLAIN", credentials, identity: nothing } }
    }
    if (name !== "INITIATE" || this.state !== "initiate") return unexpected(name, "INITIATE")
    this.state = "over"
    const peer = readPeer(this.local, this.limits, commandData(body))
    return isFault(peer) ? rejects(peer) : { say: encodeCommand("READY", encodeLocal(this.local)), done: peer }
  }

  answered(answer: ZapAnswer): Step {
    if (this.state !== "zap") return fails("nothing was asked")
    if (answer.status !== 200) return refuses(answer)
    this.state = "initiate"
    return { say: encodeCommand("WELCOME") }
  }

  end(): void {}
}

const readHello = (data: Buffer): [username: Buffer, password: Buffer] | undefined => {
  const nameEnd = 1 + (data[0] ?? 0)
  if (data.length <= nameEnd) return undefined
  if (data.length !== nameEnd + 1 + data[nameEnd]!) return undefined
  return [Buffer.from(part(data, 1, nameEnd)), Buffer.from(part(data, nameEnd + 1, data.length))]
}
