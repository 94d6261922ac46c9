/**
 * Streams and `runForEach`: a message is lent until it is dealt with.
 */
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Message } from "../Message.ts"
import { DecodeError } from "../ZmqError.ts"
import type { Lease } from "./mailbox.ts"
import { type Decode, nothing, type ReceiveError, type Receiving } from "./receive.ts"

/**
 * A stream that lends each element until the next one is asked for. If the
 * stream fails or is interrupted before that, the element goes back.
 */
export const makeStream = <A>(
  receiving: Receiving,
  operation: string,
  decode: Decode<A>
): Stream.Stream<A, ReceiveError> =>
  Stream.fromChannel(
    Channel.fromTransform((_, scope) =>
      Effect.suspend(() => {
        let lent: Lease<Message> | undefined
        // One element at a time: of an array, nobody could tell how much was handled.
        const { now, later } = receiving.lend({
          operation,
          decode: (message) => {
            const value = decode(message)
            return value instanceof DecodeError ? value : ([value] as const)
          },
          keep: (lease) => {
            lent = lease
          },
          // A stream that ends, as `Stream.take` has it, has consumed its last
          // element before anybody has seen it.
          final: true
        })
        const pull = Effect.suspend(() => {
          lent = undefined
          const value = now()
          if (value === nothing) return later
          return value instanceof DecodeError ? Effect.fail(value) : Effect.succeed(value)
        })
        const settle = (exit: Exit.Exit<unknown, unknown>) =>
          Effect.sync(() => {
            if (lent !== undefined && Exit.isFailure(exit)) receiving.putBack(lent)
            lent = undefined
          })
        return Effect.as(Scope.addFinalizerExit(scope, settle), pull)
      })
    )
  )

// Each is a fiber, from the start.
const mostWorkers = 1024

/**
 * Runs `handler` on each message, `concurrency` of them at a time. A message
 * whose handler fails or is interrupted goes back.
 *
 * `handler` is given a function that settles its message early.
 */
export const forEachMessage = <A, E, R>(
  receiving: Receiving,
  options: {
    readonly operation: string
    readonly decode: Decode<A>
    readonly concurrency: number | undefined
    readonly timeLimit?: number | undefined
  },
  handler: (value: A, settle: () => void) => Effect.Effect<unknown, E, R>
): Effect.Effect<never, ReceiveError | E, R> => {
  return Effect.suspend(() => {
    const count = Math.min(mostWorkers, Math.max(1, Math.floor(options.concurrency ?? 1) || 1))
    // What each worker has.
    const lent: Array<Lease<Message> | undefined> = Array(count).fill(undefined)
    const worker = (own: number) => {
      const keep = (lease: Lease<Message>) => {
        lent[own] = lease
      }
      const settle = () => {
        lent[own] = undefined
      }
      const { now, later } = receiving.lend({ ...options, keep, final: false })
      const waitAndHandle = Effect.flatMap(later, (value) => handler(value, settle))
      const handleNext = (): Effect.Effect<unknown, ReceiveError | E, R> => {
        const value = now()
        if (value === nothing) return waitAndHandle
        return value instanceof DecodeError ? Effect.fail(value) : handler(value, settle)
      }
      return Effect.whileLoop({ while: () => true, body: handleNext, step: settle })
    }
    // A bound would have Effect interrupt them one within the other, and overflow the stack at some 800.
    const workers =
      count === 1 ? worker(0) : Effect.forEach(lent.keys(), worker, { concurrency: "unbounded", discard: true })
    // When all workers have ended, and not before: the others would handle what
    // the first of them to fail had.
    return Effect.onExit(workers, () =>
      Effect.sync(() => {
        for (const lease of lent) if (lease !== undefined) receiving.putBack(lease)
      })
    ) as Effect.Effect<never, ReceiveError | E, R>
  })
}
