/** The greeting: 64 octets that say the version, the mechanism and the role in it (RFC 37, Version Negotiation). */
import { copyInto } from "./bytes.ts"
import { type Fault, protocolFault } from "./failure.ts"

export type MechanismName = "NULL" | "PLAIN" | "CURVE"

const greetingSize = 64

/** Ours is sent whole at once, as RFC 37 has it for those who do not speak older versions. */
export const encodeGreeting = (mechanism: MechanismName, asServer: boolean): Buffer => {
  const bytes = Buffer.alloc(greetingSize)
  bytes[0] = 0xff
  bytes[9] = 0x7f
  bytes[10] = 3
  bytes[11] = 1
  bytes.write(mechanism, 12, "latin1")
  bytes[32] = asServer ? 1 : 0
  return bytes
}

/** Reads a peer's greeting, and says as soon as it is clear that it is none that we can answer. */
export class GreetingReader {
  private readonly mechanism: MechanismName
  private readonly asServer: boolean
  private readonly bytes = Buffer.alloc(greetingSize)
  private filled = 0
  /** The minor version that both speak, once `isComplete`. */
  minor: 0 | 1 = 0

  constructor(mechanism: MechanismName, asServer: boolean) {
    this.mechanism = mechanism
    this.asServer = asServer
  }

  get isComplete(): boolean {
    return this.filled === greetingSize
  }

  /** Takes what belongs to the greeting. Gives how much that was. */
  take(chunk: Uint8Array): number {
    const count = Math.min(chunk.length, greetingSize - this.filled)
    copyInto(this.bytes, this.filled, chunk, 0, count)
    this.filled += count
    return count
  }

  check(): Fault | undefined {
    const { bytes, filled } = this
    // ZMTP 1.0 begins with the length of the identity: one octet, or 0xff and eight, and flags of which the last bit is 0.
    if (filled > 0 && bytes[0] !== 0xff) return older("1.0, or something else than ZMTP")
    if (filled > 9 && bytes[9] !== 0x7f)
      return (bytes[9]! & 1) === 0 ? older("1.0") : protocolFault("a greeting with a bad signature")
    if (filled > 10 && bytes[10]! < 3) return older(bytes[10] === 0 ? "1.0" : "2.0")
    if (!this.isComplete) return undefined
    // A higher version speaks as we do: the padding, the filler and what else may be in them are not looked at.
    this.minor = bytes[10] === 3 && bytes[11] === 0 ? 0 : 1
    const ours = encodeGreeting(this.mechanism, this.asServer)
    if (bytes.compare(ours, 12, 32, 12, 32) !== 0) {
      const theirs = bytes
        .toString("latin1", 12, 32)
        .replace(/\0+$/, "")
        .replace(/[^\x20-\x7e]/g, "?")
      return { kind: "mechanism", reason: `the peer uses ${theirs || "no mechanism"}, and not ${this.mechanism}` }
    }
    // Two clients cannot be told from two libzmq peers: libzmq never says that it is a server.
    if (this.mechanism !== "NULL" && this.asServer && bytes[32] === 1)
      return { kind: "mechanism", reason: `both are servers of ${this.mechanism}` }
    return undefined
  }
}

const older = (version: string): Fault => ({ kind: "version", reason: `the peer speaks ZMTP ${version}` })
