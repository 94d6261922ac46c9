/** What the engine on zeromq.js has inside, and that engine on other native sockets. */
import { CurrentEngine } from "../../src/internal/currentEngine.ts"
import { coreOf } from "../../src/internal/socket/socket.ts"
import { engineOn, openNative } from "../../src/internal/zeromq/engine.ts"
import type { Refusals } from "../../src/internal/zeromq/fullPeers.ts"
import type { Incoming } from "../../src/internal/zeromq/incoming.ts"
import type { NativeSocket } from "../../src/internal/zeromq/native.ts"

export { CurrentEngine, engineOn, openNative }

/** The parts of a socket on zeromq.js. */
export const partsOf = (socket: object) =>
  coreOf(socket)!.port as unknown as {
    readonly native: NativeSocket
    readonly incoming: Incoming
    readonly refusals: Refusals | undefined
  }
