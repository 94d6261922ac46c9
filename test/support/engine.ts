/** The engine that the tests run on; and what the engine on zeromq.js has inside, and that engine on other native sockets. */
import { beforeEach } from "vitest"
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

/** The engine that the tests run on, which `useEngine.ts` sets. */
export const engineName = process.env.ENGINE === "zmtp" ? "zmtp" : "zeromq"

/**
 * For `skipIf`: whether tests are of the engine on zeromq.js alone, and it is another.
 * The reason says what they ask that no other engine has.
 */
export const ofBinding = (_reason: string): boolean => engineName !== "zeromq"

/** The same of a whole file. */
export const fileOfBinding = (reason: string): void => {
  beforeEach(({ skip }) => skip(ofBinding(reason), reason))
}

/** What is right on each engine, where that differs. */
export const byEngine = <A>(values: { readonly zeromq: A; readonly zmtp: A }): A => values[engineName]
