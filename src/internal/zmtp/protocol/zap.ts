/** What is asked about a client, and what the answer may be (RFC 27). Who answers is not known here. */
import type { MechanismName } from "./greeting.ts"
import type { Properties } from "./metadata.ts"

export interface ZapRequest {
  readonly mechanism: MechanismName
  /** NULL: none. PLAIN: username and password. CURVE: the public key of the client, 32 bytes. */
  readonly credentials: ReadonlyArray<Buffer>
  /** What the client said that it is called, as far as it has said anything yet. */
  readonly identity: Buffer
}

export interface Accepted {
  readonly status: 200
  readonly userId: string
  readonly metadata: Properties
}

export interface Refused {
  /** 300 is temporary: the client is told nothing, and may try again. */
  readonly status: 300 | 400 | 500
}

export type ZapAnswer = Accepted | Refused
