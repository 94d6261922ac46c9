/**
 * Messages in lists. A list is lent as one: each message of it has its lease, and
 * all of them end together.
 */
import * as Effect from "effect/Effect"
import { DecodeError } from "../../ZmqError.ts"
import { Waiter } from "../line.ts"
import { startTimer } from "../timer.ts"
import type { Inbox } from "./inbox.ts"
import { type Lending, nothing, type ReceiveError } from "./receive.ts"

/** How large a batch becomes, and how many milliseconds after its first message it is over. */
export interface BatchSize {
  readonly max: number
  readonly within: number
}

/**
 * Adds to a batch that has its first message: what is there, and what comes, until
 * it is full or its time is over. `onCollecting` is given what ends it before that.
 */
const fill = <A>(
  inbox: Inbox,
  batch: Array<A>,
  { take }: Lending<ReadonlyArray<A>>,
  { max, within }: BatchSize,
  onCollecting: (end: () => void) => () => void
): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const { mailbox } = inbox
    const add = (): void => {
      const more = take()
      if (more !== nothing && !(more instanceof DecodeError)) batch.push(...more)
    }
    // With CONFLATE what the mailbox holds may be out of date, and only what comes is new.
    const addAll = (): void => {
      while (batch.length < max && mailbox.available > 0 && !mailbox.newestOnly) add()
    }
    addAll()
    const done = Effect.sync(() => inbox.rest.end())
    // The fiber of a stream has rested for the first message, if it had to: see `rest.ts`.
    if (batch.length >= max || mailbox.closed) return resume(Effect.void)
    const leave = (): void => {
      stopTimer()
      forget()
      mailbox.leave(waiter)
    }
    const end = (): void => {
      leave()
      resume(done)
    }
    const waiter: Waiter = new Waiter(() => {
      mailbox.claim(waiter)
      add()
      addAll()
      if (batch.length >= max || mailbox.closed) return end()
      mailbox.wait(waiter)
      inbox.fill()
    }, end)
    const forget = onCollecting(end)
    const stopTimer = within === Number.POSITIVE_INFINITY ? ignore : startTimer(within, end)
    mailbox.wait(waiter)
    inbox.fill()
    return Effect.sync(leave)
  })

const ignore = (): void => {}

/** The next batch, or `nothing` if it is not its time. What it has taken is with whoever keeps the leases. */
export const nextBatch = <A>(
  inbox: Inbox,
  lending: Lending<ReadonlyArray<A>>,
  size: BatchSize,
  onCollecting: (end: () => void) => () => void = () => ignore
): Effect.Effect<ReadonlyArray<A> | typeof nothing, ReceiveError> => {
  const first = Effect.suspend((): Effect.Effect<ReadonlyArray<A> | typeof nothing, ReceiveError> => {
    const value = lending.now()
    if (value === nothing) return lending.later
    return value instanceof DecodeError ? Effect.fail(value) : Effect.succeed(value)
  })
  return Effect.flatMap(first, (value): Effect.Effect<ReadonlyArray<A> | typeof nothing> => {
    if (value === nothing) return Effect.succeed(value)
    const batch = [...value]
    return Effect.as(fill(inbox, batch, lending, size, onCollecting), batch)
  })
}
