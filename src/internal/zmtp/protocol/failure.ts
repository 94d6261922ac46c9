/** Why a connection came to nothing, or to its end. It is data: no peer makes anything throw. */

/**
 * - `version`: the peer speaks ZMTP 1.0 or 2.0.
 * - `mechanism`: the peer uses another security mechanism, or the same role in it.
 * - `authentication`: the peer was not let in, or did not let us in. With a ZAP status.
 * - `protocol`: the peer sent what ZMTP does not allow, or more than the limits do, or refused what we are.
 * - `cryptography`: the peer has other keys.
 * - `timeout`: the peer did not say in time what was to come next.
 * - `nobody`: there is no authenticator to ask about the peer.
 */
export type FailureKind =
  | "protocol"
  | "authentication"
  | "version"
  | "mechanism"
  | "cryptography"
  | "timeout"
  | "nobody"

export interface Fault {
  readonly kind: FailureKind
  /** For people. What it shows of the peer's bytes is printable and short. */
  readonly reason: string
  /** The status of ZAP, 300, 400 or 500, where there is one. */
  readonly status?: number
  /** The peer said so, in an ERROR command. RFC 37 forbids to reconnect with the same credentials. */
  readonly byPeer?: true
}

export type Phase = "greeting" | "handshake" | "traffic"

export interface Failure extends Fault {
  readonly phase: Phase
}

export const protocolFault = (reason: string): Fault => ({ kind: "protocol", reason })
