/** What all security mechanisms are: small state machines, from the greeting to traffic. */
import { encodeError } from "./command.ts"
import { type Fault, protocolFault } from "./failure.ts"
import type { MechanismName } from "./greeting.ts"
import type { Peer } from "./peer.ts"
import type { Sealing } from "./sealing.ts"
import type { Refused, ZapAnswer, ZapRequest } from "./zap.ts"

/** What follows from what has happened, in this order. */
export interface Step {
  /** The body of a command to send. */
  readonly say?: Uint8Array
  /** What to ask. The answer is given to `answered`. */
  readonly ask?: ZapRequest
  /** The handshake is over: traffic follows. */
  readonly done?: Peer
  readonly fault?: Fault
}

export interface Mechanism {
  readonly name: MechanismName
  readonly asServer: boolean
  /** Nothing that the peer sends can be answered before ZAP has. */
  readonly waits: boolean
  /** Greetings were exchanged. */
  start(): Step
  /** The peer sent a command. Its body is not kept. */
  command(body: Buffer): Step
  /** ZAP has answered. */
  answered(answer: ZapAnswer): Step
  /** How messages are sealed, once the handshake is over. In clear text, if that is `undefined`. */
  readonly sealing: Sealing | undefined
  /** The handshake came to nothing: secrets are forgotten. */
  end(): void
}

export const fails = (reason: string): Step => ({ fault: protocolFault(reason) })

export const unexpected = (name: string | undefined, awaited: string): Step =>
  fails(`${name === undefined ? "a malformed command" : "another command"}, where ${awaited} was to come`)

/** A client that may not come in is told so, unless it may try again soon. */
export const refuses = ({ status }: Refused): Step => ({
  ...(status === 300 ? {} : { say: encodeError(String(status)) }),
  fault: { kind: "authentication", reason: `ZAP refused the peer with status ${status}`, status }
})

/** Who has metadata that we cannot accept is told so by a server. */
export const rejects = (fault: Fault): Step => ({ say: encodeError("Invalid metadata"), fault })
