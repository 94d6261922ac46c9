/**
 * Looks, now and then, for what the thread-safe sockets of libzmq do not tell.
 *
 * They have no descriptor of their own. zeromq.js makes a `zmq_poller` for each
 * and polls the descriptor of that one, which becomes readable with the first
 * event. Only `zmq_poller_wait` would make it unreadable again, and zeromq.js
 * never calls it. So with a receive or a send that waits natively the event
 * loop goes round and round for nothing, from the first event on (zeromq.js
 * issues 429 and 708: 66 to 97 % of a core, measured). That there are messages
 * does not cost anything to ask (0.2 µs). So nothing ever waits natively, and
 * all that wait in a process are looked at in turn, by one timer.
 */

/** How a socket has fared with looking in each turn of the event loop. */
export class Pace {
  /** Whether that has paid last time. */
  pays = false
  waits = 0
}

/** What waits. */
export interface Watched {
  /** Looks, and says whether the wait is over. */
  readonly look: () => boolean
  readonly pace: Pace
  /** When something last happened. */
  since: number
  /** Whether to look in each turn at first. */
  eager: boolean
}

// Something that comes `quiet` after the last that came is seen at most an
// eighth of that later, within these bounds (milliseconds). To look costs up to
// 0.15 ms when the process has to wake up for it.
const share = 1 / 8
const soonest = 1
const latest = 15
// A peer that answers at once does so within this time, and it pays to look in
// each turn of the event loop for as long. Every so many waits it is tried out.
const eagerly = 0.5
const triedEvery = 16

const waiting = new Set<Watched>()
let timer: NodeJS.Timeout | undefined
let turn: NodeJS.Immediate | undefined

/** Looks until the wait is over. */
export const watch = (pace: Pace, look: () => boolean): Watched => {
  const one: Watched = { look, pace, since: 0, eager: false }
  waiting.add(one)
  stir(one)
  return one
}

/** Something has happened that makes it likely that the wait is soon over. */
export const stir = (one: Watched): void => {
  one.since = performance.now()
  one.eager = one.pace.pays || one.pace.waits++ % triedEvery === 0
  if (turn !== undefined || !waiting.has(one)) return
  clearTimeout(timer)
  timer = undefined
  schedule()
}

export const unwatch = (one: Watched): void => {
  if (!waiting.delete(one) || waiting.size > 0) return
  clearTimeout(timer)
  clearImmediate(turn)
  timer = undefined
  turn = undefined
}

const lookAtAll = (): void => {
  timer = undefined
  turn = undefined
  const now = performance.now()
  for (const one of waiting) {
    if (one.look()) {
      waiting.delete(one)
      one.pace.pays = now - one.since < eagerly
    } else if (one.eager && now - one.since >= eagerly) one.eager = one.pace.pays = false
  }
  if (timer === undefined && turn === undefined) schedule()
}

const schedule = (): void => {
  if (waiting.size === 0) return
  const now = performance.now()
  let quiet = Number.POSITIVE_INFINITY
  for (const one of waiting) {
    if (one.eager) {
      turn = setImmediate(lookAtAll)
      return
    }
    quiet = Math.min(quiet, now - one.since)
  }
  timer = setTimeout(lookAtAll, Math.min(latest, Math.max(soonest, quiet * share)))
}
