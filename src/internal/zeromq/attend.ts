/**
 * Attending to sockets that nobody calls.
 *
 * libzmq finishes a `disconnect`, the end of a peer, its return, and much else
 * only in the thread that uses the socket, when it calls it. While a receive or
 * a send waits, the event loop does that. Otherwise it is done here: now and then
 * for every open socket of the thread, and soon for one that has news.
 */

/** A socket that can be called at any time. */
export interface Attended {
  attend(): void
}

// How long news may take at most to be noticed, in milliseconds. A call of an
// idle socket takes 1.3 µs.
const every = 200
// When there is news more follows: the answers of libzmq's other threads, which
// take a moment.
const soonest = 1
const latest = 128

const open = new Set<Attended>()
const soonAgain = new Map<Attended, NodeJS.Timeout>()
let rounds: NodeJS.Timeout | undefined

/** Attends to it from now on, until `leave`. */
export const attendTo = (socket: Attended): void => {
  open.add(socket)
  // No reason for a process to go on.
  rounds ??= setInterval(() => {
    for (const one of open) one.attend()
  }, every).unref()
}

export const leave = (socket: Attended): void => {
  open.delete(socket)
  clearTimeout(soonAgain.get(socket))
  soonAgain.delete(socket)
  if (open.size > 0) return
  clearInterval(rounds)
  rounds = undefined
}

/** There is news for it: attends to it now, and again after 1, 2, 4 … 128 ms. */
export const soon = (socket: Attended): void => {
  if (!open.has(socket)) return
  clearTimeout(soonAgain.get(socket))
  const attend = (next: number) => {
    socket.attend()
    if (next > latest) soonAgain.delete(socket)
    else soonAgain.set(socket, setTimeout(attend, next, next * 2).unref())
  }
  attend(soonest)
}
