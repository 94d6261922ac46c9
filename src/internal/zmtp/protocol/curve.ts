/** CURVE: HELLO, WELCOME, INITIATE, READY (RFC 25, 26). The names of the keys are those of RFC 26. */
import { randomBytes } from "node:crypto"
import { type Boxes, boxOverhead, type KeyPair } from "./boxes.ts"
import { part, sameBytes } from "./bytes.ts"
import { commandData, commandName, encodeCommand, faultOfError } from "./command.ts"
import type { Limits } from "./limits.ts"
import { fails, type Mechanism, refuses, rejects, type Step, unexpected } from "./mechanism.ts"
import { encodeLocal, isFault, type Local, type Peer, readPeer } from "./peer.ts"
import { Counter, Sealing } from "./sealing.ts"
import type { ZapAnswer } from "./zap.ts"

/** A nonce of 24 octets: a text of 8 or 16, and random octets or a number. */
const nonceOf = (prefix: string, rest: Uint8Array): Buffer => Buffer.concat([Buffer.from(prefix, "latin1"), rest])

const longNonce = (): Buffer => randomBytes(16)

const nextNonce = (counter: Counter): Buffer => {
  const nonce = Buffer.alloc(8)
  counter.next(nonce, 0)
  return nonce
}

const seal = (boxes: Boxes, plain: Uint8Array, nonce: Uint8Array, key: Uint8Array): Buffer => {
  const box = Buffer.alloc(plain.length + boxOverhead)
  boxes.seal(box, plain, nonce, key)
  return box
}

const open = (boxes: Boxes, box: Uint8Array, nonce: Uint8Array, key: Uint8Array | undefined): Buffer | undefined => {
  if (key === undefined || box.length < boxOverhead) return undefined
  const plain = Buffer.alloc(box.length - boxOverhead)
  return boxes.open(plain, box, nonce, key) ? plain : undefined
}

const cannotOpen = (reason: string): Step => ({ fault: { kind: "cryptography", reason } })

const forget = (...secrets: ReadonlyArray<Uint8Array | undefined>): void => {
  for (const secret of secrets) secret?.fill(0)
}

export interface CurveClientKeys extends KeyPair {
  /** The public key of the server, S. */
  readonly serverKey: Uint8Array
}

export class CurveClient implements Mechanism {
  readonly name = "CURVE"
  readonly asServer = false
  readonly waits = false
  sealing: Sealing | undefined
  private readonly local: Local
  private readonly limits: Limits
  private readonly boxes: Boxes
  private readonly keys: CurveClientKeys
  /** C' */
  private readonly transient: KeyPair
  /** The key of C' and S'. */
  private key: Uint8Array | undefined
  private readonly ours = new Counter()
  private readonly theirs = new Counter()
  private state: "welcome" | "ready" | "over" = "welcome"

  constructor(local: Local, limits: Limits, boxes: Boxes, keys: CurveClientKeys) {
    this.local = local
    this.limits = limits
    this.boxes = boxes
    this.keys = keys
    this.transient = boxes.keyPair()
  }

  start(): Step {
    const { boxes, keys, transient } = this
    const key = boxes.agree(keys.serverKey, transient.secretKey)
    if (key === undefined) return fails("our key of the server is no key")
    const nonce = nextNonce(this.ours)
    const signature = seal(boxes, new Uint8Array(64), nonceOf("CurveZMQHELLO---", nonce), key)
    return { say: encodeCommand("HELLO", Buffer.of(1, 0), Buffer.alloc(72), transient.publicKey, nonce, signature) }
  }

  command(body: Buffer): Step {
    const name = commandName(body)
    if (name === "ERROR") return { fault: faultOfError(commandData(body)) }
    if (this.state === "welcome") return name === "WELCOME" ? this.welcome(body) : unexpected(name, "WELCOME")
    return name === "READY" && this.state === "ready" ? this.ready(body) : unexpected(name, "READY")
  }

  private welcome(body: Buffer): Step {
    const { boxes, keys, transient } = this
    if (body.length !== 168) return fails("a malformed WELCOME")
    const withServer = boxes.agree(keys.serverKey, transient.secretKey)
    const plain = open(boxes, part(body, 24, 168), nonceOf("WELCOME-", part(body, 8, 24)), withServer)
    if (plain === undefined) return cannotOpen("a WELCOME that cannot be opened: is the key of the server right?")
    const server = part(plain, 0, 32)
    const cookie = part(plain, 32, 128)
    const vouchKey = boxes.agree(server, keys.secretKey)
    this.key = boxes.agree(server, transient.secretKey)
    if (this.key === undefined || vouchKey === undefined) return fails("a WELCOME with a key that is none")
    const vouchNonce = longNonce()
    const vouched = Buffer.concat([transient.publicKey, keys.serverKey])
    const vouch = seal(boxes, vouched, nonceOf("VOUCH---", vouchNonce), vouchKey)
    const nonce = nextNonce(this.ours)
    const said = Buffer.concat([keys.publicKey, vouchNonce, vouch, encodeLocal(this.local)])
    const box = seal(boxes, said, nonceOf("CurveZMQINITIATE", nonce), this.key)
    forget(withServer, vouchKey)
    this.state = "ready"
    return { say: encodeCommand("INITIATE", cookie, nonce, box) }
  }

  private ready(body: Buffer): Step {
    if (body.length < 30) return fails("a malformed READY")
    if (!this.theirs.rises(body, 6)) return fails("a READY with a bad nonce")
    const plain = open(
      this.boxes,
      part(body, 14, body.length),
      nonceOf("CurveZMQREADY---", part(body, 6, 14)),
      this.key
    )
    if (plain === undefined) return cannotOpen("a READY that cannot be opened")
    this.state = "over"
    const peer = readPeer(this.local, this.limits, plain)
    if (isFault(peer)) return { fault: peer }
    forget(this.transient.secretKey)
    this.sealing = new Sealing(this.boxes, this.key!, false, this.ours, this.theirs)
    return { done: peer }
  }

  answered(): Step {
    return fails("nothing was asked")
  }

  end(): void {
    forget(this.transient.secretKey, this.key)
  }
}

export class CurveServer implements Mechanism {
  readonly name = "CURVE"
  readonly asServer = true
  sealing: Sealing | undefined
  private readonly local: Local
  private readonly limits: Limits
  private readonly boxes: Boxes
  private readonly keys: KeyPair
  private readonly asks: boolean
  /**
   * What is left of HELLO and WELCOME: the key of the cookie, K, in which the
   * client brings C' and s' back. It is of this connection alone, so that a
   * cookie opens nothing anywhere else.
   */
  private cookieKey: Uint8Array | undefined
  private key: Uint8Array | undefined
  private peer: Peer | undefined
  private readonly ours = new Counter()
  private readonly theirs = new Counter()
  private state: "hello" | "initiate" | "zap" | "over" = "hello"

  constructor(local: Local, limits: Limits, boxes: Boxes, keys: KeyPair, asks: boolean) {
    this.local = local
    this.limits = limits
    this.boxes = boxes
    this.keys = keys
    this.asks = asks
  }

  get waits(): boolean {
    return this.state === "zap"
  }

  start(): Step {
    return {}
  }

  command(body: Buffer): Step {
    const name = commandName(body)
    if (this.state === "hello") return name === "HELLO" ? this.hello(body) : unexpected(name, "HELLO")
    return name === "INITIATE" && this.state === "initiate" ? this.initiate(body) : unexpected(name, "INITIATE")
  }

  private hello(body: Buffer): Step {
    const { boxes, keys } = this
    if (body.length !== 200 || body[6] !== 1 || body[7] !== 0) return fails("a malformed HELLO")
    for (let i = 8; i < 80; i++) if (body[i] !== 0) return fails("a HELLO with a padding that is not zero")
    if (!this.theirs.rises(body, 112)) return fails("a HELLO with a bad nonce")
    const client = part(body, 80, 112)
    const key = boxes.agree(client, keys.secretKey)
    const plain = open(boxes, part(body, 120, 200), nonceOf("CurveZMQHELLO---", part(body, 112, 120)), key)
    if (plain === undefined || key === undefined)
      return cannotOpen("a HELLO that cannot be opened: does the client have the key of this server?")
    if (!plain.every((byte) => byte === 0)) return fails("a HELLO with a bad signature")
    const transient = boxes.keyPair()
    this.cookieKey = randomBytes(32)
    const cookieNonce = longNonce()
    const secrets = Buffer.concat([client, transient.secretKey])
    const cookie = seal(boxes, secrets, nonceOf("COOKIE--", cookieNonce), this.cookieKey)
    const nonce = longNonce()
    const said = Buffer.concat([transient.publicKey, cookieNonce, cookie])
    const box = seal(boxes, said, nonceOf("WELCOME-", nonce), key)
    forget(transient.secretKey, secrets, key)
    this.state = "initiate"
    return { say: encodeCommand("WELCOME", nonce, box) }
  }

  private initiate(body: Buffer): Step {
    const { boxes, keys } = this
    if (body.length < 257) return fails("a malformed INITIATE")
    if (!this.theirs.rises(body, 105)) return fails("an INITIATE with a bad nonce")
    const cookie = open(boxes, part(body, 25, 105), nonceOf("COOKIE--", part(body, 9, 25)), this.cookieKey)
    forget(this.cookieKey)
    this.cookieKey = undefined
    if (cookie === undefined) return cannotOpen("an INITIATE with another cookie")
    const client = part(cookie, 0, 32)
    const secret = part(cookie, 32, 64)
    const key = boxes.agree(client, secret)
    this.key = key
    const plain = open(boxes, part(body, 113, body.length), nonceOf("CurveZMQINITIATE", part(body, 105, 113)), key)
    if (plain === undefined) return cannotOpen("an INITIATE that cannot be opened")
    const permanent = part(plain, 0, 32)
    const vouchKey = boxes.agree(permanent, secret)
    const vouched = open(boxes, part(plain, 48, 128), nonceOf("VOUCH---", part(plain, 32, 48)), vouchKey)
    forget(secret, vouchKey)
    if (vouched === undefined) return cannotOpen("an INITIATE with a vouch that cannot be opened")
    if (!sameBytes(part(vouched, 0, 32), client) || !sameBytes(part(vouched, 32, 64), keys.publicKey))
      return fails("an INITIATE with a vouch for something else")
    const peer = readPeer(this.local, this.limits, part(plain, 128, plain.length))
    if (isFault(peer)) return rejects(peer)
    this.peer = peer
    if (!this.asks) return this.ready(peer)
    this.state = "zap"
    return { ask: { mechanism: "CURVE", credentials: [Buffer.from(permanent)], identity: peer.identity } }
  }

  answered(answer: ZapAnswer): Step {
    if (this.state !== "zap" || this.peer === undefined) return fails("nothing was asked")
    return answer.status === 200 ? this.ready(this.peer) : refuses(answer)
  }

  private ready(peer: Peer): Step {
    const nonce = nextNonce(this.ours)
    const box = seal(this.boxes, encodeLocal(this.local), nonceOf("CurveZMQREADY---", nonce), this.key!)
    this.state = "over"
    this.sealing = new Sealing(this.boxes, this.key!, true, this.ours, this.theirs)
    return { say: encodeCommand("READY", nonce, box), done: peer }
  }

  end(): void {
    forget(this.cookieKey, this.key)
  }
}
