/** Which mechanism a connection uses, with what it needs to know for it. */
import type { Boxes, KeyPair } from "./boxes.ts"
import { CurveClient, type CurveClientKeys, CurveServer } from "./curve.ts"
import type { Limits } from "./limits.ts"
import type { Mechanism } from "./mechanism.ts"
import { NullMechanism } from "./null.ts"
import type { Local } from "./peer.ts"
import { PlainClient, PlainServer } from "./plain.ts"

/**
 * With `asks`, ZAP is asked about the peer. A server of PLAIN always asks: who
 * else knows the passwords?
 */
export type Security =
  | { readonly mechanism: "NULL"; readonly asks: boolean }
  | { readonly mechanism: "PLAIN"; readonly role: "client"; readonly username: string; readonly password: string }
  | { readonly mechanism: "PLAIN"; readonly role: "server" }
  | { readonly mechanism: "CURVE"; readonly role: "client"; readonly boxes: Boxes; readonly keys: CurveClientKeys }
  | {
      readonly mechanism: "CURVE"
      readonly role: "server"
      readonly boxes: Boxes
      readonly keys: KeyPair
      readonly asks: boolean
    }

export const makeMechanism = (security: Security, local: Local, limits: Limits): Mechanism => {
  switch (security.mechanism) {
    case "NULL":
      return new NullMechanism(local, limits, security.asks)
    case "PLAIN":
      return security.role === "client"
        ? new PlainClient(local, limits, security.username, security.password)
        : new PlainServer(local, limits)
    case "CURVE":
      return security.role === "client"
        ? new CurveClient(local, limits, security.boxes, security.keys)
        : new CurveServer(local, limits, security.boxes, security.keys, security.asks)
  }
}
