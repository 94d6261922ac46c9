/** The end of all that a socket has: what was sent goes on its way, for as long as it may linger. */
import type { Delivery } from "../engine.ts"
import type { Pipe } from "./pipe.ts"

/** What listens at an endpoint. Calls back when that is free. */
export interface Closable {
  readonly close: (done: () => void) => void
}

/** Closes them, and calls back when all are, or when `linger` milliseconds have passed. */
export const closeAll = (
  listeners: ReadonlyArray<Closable>,
  pipes: ReadonlySet<Pipe>,
  linger: number,
  done: (delivery: Delivery) => void
): void => {
  // Those that are open, and one more, until all have begun to close.
  let open = listeners.length + pipes.size + 1
  let unsent = 0
  let timer: NodeJS.Timeout | undefined
  const closed = (): void => {
    open--
    if (open !== 0) return
    clearTimeout(timer)
    // Whoever does not linger does not mind.
    done({ inTime: unsent === 0 || linger <= 0, unsent })
  }
  for (const listener of listeners) listener.close(closed)
  for (const pipe of pipes) {
    pipe.close(linger, (count) => {
      unsent += count
      closed()
    })
  }
  if (open > 1 && linger > 0 && Number.isFinite(linger)) {
    timer = setTimeout(() => {
      for (const pipe of pipes) pipe.close(0, () => {})
    }, linger)
  }
  closed()
}
