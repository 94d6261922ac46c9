/**
 * Streams: a message is lent until the next one is asked for.
 */
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Message } from "../../Message.ts"
import { DecodeError } from "../../ZmqError.ts"
import { type BatchSize, nextBatch } from "./batch.ts"
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
          if (value === nothing) return later as Effect.Effect<readonly [A], ReceiveError>
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

/** A stream of batches, each of which it lends as one. */
export const makeBatches = <A>(
  receiving: Receiving,
  whole: (message: Message) => A,
  size: BatchSize
): Stream.Stream<readonly [A, ...Array<A>], ReceiveError> =>
  Stream.fromChannel(
    Channel.fromTransform((_, scope) =>
      Effect.suspend(() => {
        let lent: Array<Lease<Message>> = []
        const lending = receiving.lend({
          operation: "batches",
          decode: (message) => [whole(message)] as ReadonlyArray<A>,
          keep: (lease) => lent.push(lease),
          final: true
        })
        const next = nextBatch(receiving.inbox, lending, size)
        const pull = Effect.suspend(() => {
          lent = []
          return Effect.map(next, (batch) => [batch] as unknown as readonly [readonly [A, ...Array<A>]])
        })
        const settle = (exit: Exit.Exit<unknown, unknown>) =>
          Effect.sync(() => {
            if (Exit.isFailure(exit)) receiving.putBackAll(lent)
            lent = []
          })
        return Effect.as(Scope.addFinalizerExit(scope, settle), pull)
      })
    )
  )
