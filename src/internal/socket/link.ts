import type { SocketCore } from "./socket.ts"

const cores = new WeakMap<object, SocketCore>()

/** Remembers what a public socket is made of. */
export const link = (socket: object, core: SocketCore): void => void cores.set(socket, core)

/** What a public socket is made of, or undefined if it is none of ours: a copy, or a test's own. */
export const coreOf = (socket: object): SocketCore | undefined => cores.get(socket)
