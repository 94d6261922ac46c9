/** CURVE by hand (RFC 26): each command made and opened on its own, so that each can be made wrong. */
import { randomBytes } from "node:crypto"
import { decode } from "../../src/internal/security/z85.ts"
import type { Boxes, KeyPair } from "../../src/internal/zmtp/protocol/boxes.ts"
import { keys } from "./subject.ts"
import { command, commandBody, type Frame, frame, property } from "./wire.ts"

const bytes = (text: string): Uint8Array => decode(text)!

export const serverPublic = bytes(keys.serverPublic)
export const serverSecret = bytes(keys.serverSecret)
export const clientPublic = bytes(keys.clientPublic)
export const clientSecret = bytes(keys.clientSecret)

export const short = (value: bigint): Buffer => {
  const nonce = Buffer.alloc(8)
  nonce.writeBigUInt64BE(value)
  return nonce
}

export class Curve {
  private readonly boxes: Boxes
  /** Our transient keys. */
  readonly transient: KeyPair
  /** The number of our last command. */
  nonce = 0n

  constructor(boxes: Boxes) {
    this.boxes = boxes
    this.transient = boxes.keyPair()
  }

  pair(): KeyPair {
    return this.boxes.keyPair()
  }

  box(plain: Uint8Array, prefix: string, nonce: Uint8Array, to: Uint8Array, from: Uint8Array): Buffer {
    const into = Buffer.alloc(plain.length + 16)
    this.boxes.seal(into, plain, Buffer.concat([Buffer.from(prefix), nonce]), this.boxes.agree(to, from)!)
    return into
  }

  open(box: Uint8Array, prefix: string, nonce: Uint8Array, from: Uint8Array, to: Uint8Array, what: string): Buffer {
    const into = Buffer.alloc(box.length - 16)
    if (!this.boxes.open(into, box, Buffer.concat([Buffer.from(prefix), nonce]), this.boxes.agree(from, to)!))
      throw new Error(`${what} cannot be opened`)
    return into
  }

  // ------------------------------------------------------------- a client

  hello({
    version = Buffer.of(1, 0),
    padding = Buffer.alloc(72),
    nonce = ++this.nonce,
    zeros = new Uint8Array(64)
  } = {}): Buffer {
    const number = short(nonce)
    const signature = this.box(zeros, "CurveZMQHELLO---", number, serverPublic, this.transient.secretKey)
    return command("HELLO", version, padding, this.transient.publicKey, number, signature)
  }

  readWelcome(data: Buffer): { readonly server: Buffer; readonly cookie: Buffer } {
    if (data.length !== 160) throw new Error(`a WELCOME of ${data.length + 8} octets, and not 168`)
    const plain = this.open(
      data.subarray(16),
      "WELCOME-",
      data.subarray(0, 16),
      serverPublic,
      this.transient.secretKey,
      "WELCOME"
    )
    return { server: plain.subarray(0, 32), cookie: plain.subarray(32) }
  }

  initiate(
    server: Uint8Array,
    cookie: Uint8Array,
    {
      vouched = Buffer.concat([this.transient.publicKey, serverPublic]) as Uint8Array,
      vouchedBy = clientSecret,
      nonce = ++this.nonce,
      metadata = property("Socket-Type", "DEALER") as Uint8Array
    } = {}
  ): Buffer {
    const vouchNonce = randomBytes(16)
    const vouch = this.box(vouched, "VOUCH---", vouchNonce, server, vouchedBy)
    const number = short(nonce)
    const plain = Buffer.concat([clientPublic, vouchNonce, vouch, metadata])
    return command(
      "INITIATE",
      cookie,
      number,
      this.box(plain, "CurveZMQINITIATE", number, server, this.transient.secretKey)
    )
  }

  readReady(data: Buffer, server: Uint8Array): { readonly nonce: bigint; readonly metadata: Buffer } {
    if (data.length < 24) throw new Error(`a READY of ${data.length + 6} octets, and not 30 at least`)
    const number = data.subarray(0, 8)
    const metadata = this.open(data.subarray(8), "CurveZMQREADY---", number, server, this.transient.secretKey, "READY")
    return { nonce: number.readBigUInt64BE(), metadata }
  }

  // ------------------------------------------------------------- a server

  readHello(data: Buffer): { readonly client: Buffer; readonly nonce: bigint } {
    if (data.length !== 194) throw new Error(`a HELLO of ${data.length + 6} octets, and not 200`)
    if (data[0] !== 1 || data[1] !== 0) throw new Error("a HELLO of another version than 1.0")
    if (data.subarray(2, 74).some((byte) => byte !== 0)) throw new Error("a HELLO with a padding that is not zero")
    const client = data.subarray(74, 106)
    const number = data.subarray(106, 114)
    const zeros = this.open(data.subarray(114), "CurveZMQHELLO---", number, client, serverSecret, "HELLO")
    if (zeros.length !== 64 || zeros.some((byte) => byte !== 0))
      throw new Error("a HELLO with another signature than zeros")
    return { client, nonce: number.readBigUInt64BE() }
  }

  welcome(client: Uint8Array, cookie: Uint8Array, signedBy = serverSecret): Buffer {
    const nonce = randomBytes(16)
    const plain = Buffer.concat([this.transient.publicKey, cookie])
    return command("WELCOME", nonce, this.box(plain, "WELCOME-", nonce, client, signedBy))
  }

  readInitiate(
    data: Buffer,
    client: Uint8Array
  ): {
    readonly cookie: Buffer
    readonly nonce: bigint
    readonly permanent: Buffer
    readonly vouched: Buffer
    readonly metadata: Buffer
  } {
    if (data.length < 248) throw new Error(`an INITIATE of ${data.length + 9} octets, and not 257 at least`)
    const number = data.subarray(96, 104)
    const secret = this.transient.secretKey
    const plain = this.open(data.subarray(104), "CurveZMQINITIATE", number, client, secret, "INITIATE")
    const permanent = plain.subarray(0, 32)
    const vouched = this.open(
      plain.subarray(48, 128),
      "VOUCH---",
      plain.subarray(32, 48),
      permanent,
      secret,
      "the vouch"
    )
    return {
      cookie: data.subarray(0, 96),
      nonce: number.readBigUInt64BE(),
      permanent,
      vouched,
      metadata: plain.subarray(128)
    }
  }

  ready(client: Uint8Array, metadata: Uint8Array = property("Socket-Type", "ROUTER"), nonce = ++this.nonce): Buffer {
    const number = short(nonce)
    return command("READY", number, this.box(metadata, "CurveZMQREADY---", number, client, this.transient.secretKey))
  }

  // ------------------------------------------------------------- messages

  /** A MESSAGE to the other, whose transient key is given. */
  message(side: "S" | "C", to: Uint8Array, text: string, { flags = 0, wire = 0, nonce = ++this.nonce } = {}): Buffer {
    const number = short(nonce)
    const plain = Buffer.concat([Buffer.of(flags), Buffer.from(text, "latin1")])
    return frame(
      wire,
      commandBody("MESSAGE", number, this.box(plain, `CurveZMQMESSAGE${side}`, number, to, this.transient.secretKey))
    )
  }

  readMessage(
    side: "S" | "C",
    { body }: Frame,
    from: Uint8Array
  ): { readonly nonce: bigint; readonly flags: number; readonly text: string } {
    if (body.toString("latin1", 0, 8) !== "\x07MESSAGE") throw new Error("another command than MESSAGE")
    if (body.length < 33) throw new Error(`a MESSAGE of ${body.length} octets, and not 33 at least`)
    const number = body.subarray(8, 16)
    const plain = this.open(
      body.subarray(16),
      `CurveZMQMESSAGE${side}`,
      number,
      from,
      this.transient.secretKey,
      "MESSAGE"
    )
    return { nonce: number.readBigUInt64BE(), flags: plain[0]!, text: plain.toString("latin1", 1) }
  }
}
