/** The options of a socket, as this engine uses them. */
import { createRequire } from "node:module"
import { BlockList, isIPv6 } from "node:net"
import type { Setting } from "../engine.ts"
import { publicKeyOf } from "../security/keys.ts"
import { decode } from "../security/z85.ts"
import type { SocketType as Type } from "../socketTypes.ts"
import { errorOf } from "./addresses.ts"
import { type Boxes, findBoxes } from "./protocol/boxes.ts"
import type { Security } from "./protocol/connection.ts"

/** An option that this engine does not have. */
export class Unsupported extends Error {
  readonly code = "ERR_ENGINE_UNSUPPORTED"
  readonly expected: string

  constructor(expected: string) {
    super(expected)
    this.expected = expected
  }
}

const require = createRequire(import.meta.url)

/** Options of what cannot be had of `node:net`, which are refused but for these values, which ask for nothing. */
export const unsupportedOptions: ReadonlyMap<string, ReadonlyArray<Setting["value"]>> = new Map<
  string,
  ReadonlyArray<Setting["value"]>
>([
  ["affinity", [0]],
  ["tcpKeepaliveCount", [-1]],
  ["tcpKeepaliveInterval", [-1]],
  ["tcpMaxRetransmitTimeout", [0]],
  ["typeOfService", [0]],
  ["interface", []],
  ["loopbackFastPath", [false]],
  ["rate", []],
  ["recoveryInterval", []],
  ["multicastMaxTransportDataUnit", []],
  ["multicastHops", []],
  ["receiveBufferSize", [-1]],
  ["sendBufferSize", [-1]]
])

export class Settings {
  readonly type: Type
  ipv6: boolean
  /** Milliseconds. */
  linger = Number.POSITIVE_INFINITY
  immediate = false
  /** Milliseconds; at 0 or less a connection is never made again. */
  reconnectInterval = 100
  reconnectMaxInterval = 0
  connectTimeout = 0
  handshakeInterval = 30_000
  heartbeatInterval = 0
  heartbeatTimeout: number | undefined
  heartbeatTimeToLive = 0
  backlog = 100
  maxMessageSize = -1
  keepAlive = -1
  keepAliveIdle = -1
  acceptFilter: BlockList | undefined
  zapDomain = ""
  zapEnforceDomain = false
  receiveHighWaterMark = 1000
  sendHighWaterMark = 1000
  conflate = false
  routingId: Buffer = Buffer.alloc(0)
  probeRouter = false
  correlate = false
  relaxed = false
  mandatory = false
  handover = false
  noDrop = false
  invertMatching = false
  welcomeMessage: Buffer | undefined
  verbosity: "allSubs" | "allSubsUnsubs" | null = null
  notify = true
  // Where nothing finds them that prints sockets.
  #plain: { server: boolean; username: string | undefined; password: string | undefined } = {
    server: false,
    username: undefined,
    password: undefined
  }
  #curve: { server: boolean; publicKey?: Uint8Array; secretKey?: Uint8Array; serverKey?: Uint8Array } = {
    server: false
  }
  #boxes: Boxes | undefined

  constructor(type: Type, ipv6: boolean, maxMessageSize: number) {
    this.type = type
    this.ipv6 = ipv6
    this.maxMessageSize = maxMessageSize
  }

  /** Throws `Unsupported`. */
  set({ given, option, value }: Setting): void {
    const harmless = unsupportedOptions.get(option)
    if (harmless !== undefined) {
      if (harmless.includes(value)) return
      throw new Unsupported(
        `no ${option} on the engine Engine.layerZmtp, which runs on node:net and cannot set it: leave it out, or use Engine.layerZeromq`
      )
    }
    switch (option) {
      case "linger":
        this.linger = (value as number) < 0 ? Number.POSITIVE_INFINITY : (value as number)
        return
      case "receiveHighWaterMark":
        // Our default, that of an XPUB, is for the sake of libzmq.
        if (given !== undefined) this.receiveHighWaterMark = value as number
        return
      case "tcpKeepalive":
        this.keepAlive = value as number
        return
      case "tcpKeepaliveIdle":
        this.keepAliveIdle = value as number
        return
      case "tcpAcceptFilter":
        // As libzmq has it.
        if (!this.ipv6 && (value as string).includes(":")) throw errorOf("EINVAL", "an address of IPv6, without `ipv6`")
        this.acceptFilter ??= new BlockList()
        allow(this.acceptFilter, value as string)
        return
      case "plainServer":
        this.#plain.server = value as boolean
        return
      case "plainUsername":
        this.#plain.username = value as string
        return
      case "plainPassword":
        this.#plain.password = value as string
        return
      case "curveServer":
        this.useBoxes(option)
        this.#curve.server = value as boolean
        return
      case "curvePublicKey":
        this.useBoxes(option)
        this.#curve.publicKey = decode(value as string)!
        return
      case "curveSecretKey":
        this.useBoxes(option)
        this.#curve.secretKey = decode(value as string)!
        this.#curve.publicKey ??= decode(publicKeyOf(value as string))!
        return
      case "curveServerKey":
        this.useBoxes(option)
        this.#curve.serverKey = decode(value as string)!
        return
      default:
        Object.assign(this, { [option]: value })
    }
  }

  private useBoxes(option: string): void {
    this.#boxes ??= findBoxes(require)
    if (this.#boxes === undefined)
      throw new Unsupported(
        `no ${option} without a package for its cryptography: run \`npm install sodium-native\`, or \`npm install libsodium-wrappers\`, which is slower and needs no native code`
      )
  }

  /** How connections are secured. */
  get security(): Security {
    const plain = this.#plain
    const curve = this.#curve
    if (plain.server) return { mechanism: "PLAIN", role: "server" }
    if (plain.username !== undefined || plain.password !== undefined)
      return { mechanism: "PLAIN", role: "client", username: plain.username ?? "", password: plain.password ?? "" }
    const boxes = this.#boxes
    if (boxes !== undefined && curve.secretKey !== undefined && curve.publicKey !== undefined) {
      const { publicKey, secretKey, serverKey } = curve
      if (curve.server) return { mechanism: "CURVE", role: "server", boxes, keys: { publicKey, secretKey }, asks: true }
      if (serverKey !== undefined)
        return { mechanism: "CURVE", role: "client", boxes, keys: { publicKey, secretKey, serverKey } }
    }
    return { mechanism: "NULL", asks: this.zapDomain !== "" }
  }

  /** What has to be there before a handshake, if anything: cryptography by WebAssembly is compiled in the background. */
  get waitsFor(): Promise<unknown> | undefined {
    return this.#boxes?.ready
  }

  /** Whether the addresses of who connects are looked at, and this one may not. */
  denies(address: string): boolean {
    const { acceptFilter } = this
    if (acceptFilter === undefined) return false
    // One of IPv4 that comes by IPv6 is taken for what it is.
    return !acceptFilter.check(address, isIPv6(address) ? "ipv6" : "ipv4")
  }
}

const allow = (list: BlockList, network: string): void => {
  const [address, bits] = network.split("/") as [string, string | undefined]
  const family = isIPv6(address) ? "ipv6" : "ipv4"
  if (bits === undefined) list.addAddress(address, family)
  else list.addSubnet(address, Number(bits), family)
}
