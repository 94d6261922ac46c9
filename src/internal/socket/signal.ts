import * as Effect from "effect/Effect"
import { Closed } from "../../ZmqError.ts"
import { microtask } from "../microtask.ts"

const ignore = (): void => {}

/** Something has changed that others wait for. */
export class Signal {
  private readonly waiting = new Set<() => void>()
  private raised = false
  private closed = false

  /** Later, and not from here: a burst of messages may be on its way. */
  raise(): void {
    if (this.raised || this.waiting.size === 0) return
    this.raised = true
    microtask(() => {
      this.raised = false
      for (const look of [...this.waiting]) look()
    })
  }

  close(): void {
    this.closed = true
    this.raise()
  }

  /** Waits until it is so; `begin` is told that somebody waits. */
  until(operation: string, isSo: () => boolean, begin: () => void = ignore): Effect.Effect<void, Closed> {
    return Effect.callback<void, Closed>((resume) => {
      const look = (): boolean => {
        if (this.closed) resume(Effect.fail(new Closed({ operation })))
        else if (isSo()) resume(Effect.void)
        else return false
        this.waiting.delete(look)
        return true
      }
      if (look()) return
      this.waiting.add(look)
      begin()
      return Effect.sync(() => this.waiting.delete(look))
    })
  }
}
