import type { Engine } from "../engine.ts"
import { isDraft } from "../socketTypes.ts"
import { ZeromqContext } from "./context.ts"
import { openDraft } from "./draft/open.ts"
import type { OpenNative } from "./native.ts"
import { ZeromqSocket } from "./socket.ts"
import { StableSocket } from "./stable.ts"

export const openNative: OpenNative = (type, opening) =>
  isDraft(type) ? openDraft(type, opening) : new StableSocket(type, opening)

/** The engine, on the native sockets that are given. */
export const engineOn = (open: OpenNative): Engine => ({
  open: (opening, owner) => new ZeromqSocket(opening, owner, open),
  openContext: (options) => new ZeromqContext(options)
})

/** libzmq, by way of the package `zeromq`. */
export const zeromqEngine: Engine = engineOn(openNative)
