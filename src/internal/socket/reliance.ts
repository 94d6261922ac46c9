/**
 * Which sockets of a context rely on its authenticator: libzmq lets everybody in
 * to a CURVE socket, or one with a domain that is not enforced, when there is no
 * authenticator to ask. So one that ends must stay for as long as they are open.
 */
import * as Effect from "effect/Effect"

export class Reliance {
  /** Whether there is an authenticator of ours, which tells of those whom it denies. */
  tells = false
  private open = 0
  private whenNone: Effect.Effect<void> | undefined

  enter(): void {
    this.open++
  }

  readonly leave: Effect.Effect<void> = Effect.suspend(() => {
    this.open--
    return this.settle
  })

  /** Runs an effect as soon as no socket relies on the authenticator, or not at all if another takes its place. */
  afterAll(run: Effect.Effect<void> | undefined): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.whenNone = run
      return this.settle
    })
  }

  private readonly settle = Effect.suspend(() => {
    const run = this.whenNone
    if (this.open > 0 || run === undefined) return Effect.void
    this.whenNone = undefined
    return run
  })
}
