/** How a socket ends: with what was sent on its way and its endpoints free, as far as libzmq says so. */
import { isMainThread } from "node:worker_threads"
import type { Delivery } from "../engine.ts"
import { microtask } from "../microtask.ts"
import { within } from "../within.ts"
import type { ZeromqContext } from "./context.ts"
import type { Endpoints } from "./endpoints.ts"
import type { Incoming } from "./incoming.ts"
import type { Monitor } from "./monitor.ts"
import type { NativeSocket } from "./native.ts"
import { promptly } from "./portIsFree.ts"
import type { Returned } from "./returned.ts"

/** What of a socket has a part in its end. */
export interface Ending {
  readonly context: ZeromqContext
  readonly native: NativeSocket
  readonly incoming: Incoming
  readonly returned: Returned
  readonly endpoints: Endpoints
  readonly monitor: Monitor
  /** How many messages were sent. */
  readonly sent: number
  /** How many milliseconds it lingers for, as it was told; -1 is for ever. */
  readonly linger: number
  /** Nothing is done with it any more. */
  readonly stop: () => void
}

/** Ends it: see `EngineSocket.close`. */
export const closeNative = (ending: Ending, linger: number, done: (delivery: Delivery) => void): void => {
  const began = performance.now()
  const { returned } = ending
  const endWhenSent = (left: number): void => {
    if (left === 0 || returned.isEmpty) return end(ending, { left, began, linger }, done)
    // Some may be given back once more.
    void within(left, returned.whenSent).then(() => endWhenSent(Math.max(0, linger - (performance.now() - began))))
  }
  // What was sent just now may be given back a moment later.
  if (ending.sent === 0) endWhenSent(linger)
  else microtask(() => endWhenSent(linger))
}

/** Since when it ends, how long that may take, and how much of that is left, in milliseconds. */
interface Time {
  readonly began: number
  readonly linger: number
  readonly left: number
}

const end = (ending: Ending, { began, left, linger }: Time, done: (delivery: Delivery) => void): void => {
  const { context, endpoints, incoming, monitor, native, returned, sent } = ending
  lingerFor(ending, left)
  const binds = endpoints.bindsToNetwork
  const isSent = endpoints.network && sent > 0
  const isUnderWay = isSent && (monitor.peers.size > 0 || endpoints.networks.length > 0)
  const matters = isSent || binds.length > 0 || endpoints.freeing.size > 0
  // In a worker thread as little is watched as before.
  if (matters && isMainThread && context.hasRoom(2)) monitor.watch()
  const freed = matters ? [...endpoints.freeing, ...binds.map((endpoint) => endpoints.whenFreed(endpoint))] : []
  const { receiving } = incoming
  const unsent = returned.giveUp()
  ending.stop()
  native.close()
  endpoints.leaveAll()
  if (endpoints.waitsFor.size > 0) context.abandon(endpoints.waitsFor, monitor.watching, sent === 0 ? 0 : left)
  const { ended } = monitor
  const isOver = (): void => {
    const inTime = ended === undefined || !isSent || linger === 0 || performance.now() - began < linger - 1
    done({ inTime: inTime && unsent === 0, unsent })
  }
  // libzmq does not say what became of each message: only when it has done with all of them.
  if (matters && ended !== undefined && !endpoints.silent) void within(left + promptly, ended).then(isOver)
  else if (matters) {
    // Over inproc libzmq ends it when its peers have read all, however long that takes.
    const all: Promise<unknown> = Promise.all(freed)
    void (isUnderWay && ended !== undefined ? all.then(() => within(left, ended)) : all).then(isOver)
  }
  // A receive that was pending may end with a message, a moment later.
  else if (receiving) void Promise.resolve().then(isOver)
  else isOver()
}

const lingerFor = ({ linger, native }: Ending, millis: number): void => {
  if (millis === (linger < 0 ? Number.POSITIVE_INFINITY : linger)) return
  native.set({ option: "linger", value: Math.ceil(millis), given: undefined, expected: "" })
}
