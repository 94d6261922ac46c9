/**
 * The native sockets of the draft types. All of them but DGRAM are thread-safe
 * sockets of libzmq, which cannot be waited for: see `watch.ts`.
 *
 * A message that names a peer, a group or an address has it as its first frame,
 * as with a ROUTER: the routing id as four bytes, big-endian.
 */
import type { DraftType } from "../../socketTypes.ts"
import type { NativeOpening, NativeSocket } from "../native.ts"
import { DatagramSocket } from "./datagram.ts"
import { DishSocket, RadioSocket } from "./radioDish.ts"
import { ServerSocket } from "./server.ts"
import { ThreadSafeSocket } from "./threadSafe.ts"

export const openDraft = (type: DraftType, { context, noDrop }: NativeOpening): NativeSocket => {
  switch (type) {
    case "server":
      return new ServerSocket(type, "ask", context)
    case "radio":
      return new RadioSocket(type, noDrop ? "ask" : "always", context)
    case "dish":
      return new DishSocket(context)
    case "datagram":
      return new DatagramSocket(context)
    case "client":
    case "scatter":
      return new ThreadSafeSocket(type, "writable", context)
    case "gather":
      return new ThreadSafeSocket(type, "always", context)
  }
}
