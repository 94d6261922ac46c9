import type { Engine } from "../engine.ts"
import { errorOf } from "./addresses.ts"
import { ZmtpContext } from "./context.ts"
import { hasPattern } from "./patterns.ts"
import { ZmtpSocket } from "./socket.ts"

/** That of the process, which is never closed. */
const shared = new ZmtpContext()

/** ZMTP in TypeScript, on `node:net`. */
export const zmtpEngine: Engine = {
  open: (opening, owner) => {
    if (!hasPattern(opening.type)) throw errorOf("ERR_ENGINE_DRAFT", `there is no ${opening.type} on this engine`)
    return new ZmtpSocket(opening, owner)
  },
  openContext: (options) => (options === undefined ? shared : new ZmtpContext(options))
}
