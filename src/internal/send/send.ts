/**
 * Sending, as Effects with one fate for each message.
 *
 * A message is handed to the engine, and the answer known, in the last operation of
 * the send. Until then it belongs to the fiber that sends it: when that fiber
 * is interrupted, the message was not sent and never will be. What Effect adds
 * behind the send are operations again: see `rest.ts`.
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Frame, Outgoing } from "../../Message.ts"
import { Again, Closed, EncodeError, InvalidState, Unroutable } from "../../ZmqError.ts"
import { CurrentHandler } from "../currentHandler.ts"
import type { Offer } from "../engine.ts"
import { mostPerPeer } from "../lane.ts"
import { Waiter } from "../line.ts"
import { microtask, whenResolved } from "../microtask.ts"
import { startTimer } from "../timer.ts"
import type { Outbox } from "./outbox.ts"

export type SendError = Again | Closed | EncodeError | InvalidState | Unroutable

// Thrown inside a last operation that can't be the last one after all. Nothing
// was sent.
class NotSent {
  readonly why: Exclude<Offer, "sent"> | "timeUp" | "tired" | SendError
  constructor(why: NotSent["why"]) {
    this.why = why
  }
}
const full = new NotSent("full")
const closed = new NotSent("closed")
const timeUp = new NotSent("timeUp")
const tired = new NotSent("tired")

/** Why a message was not sent, if that is what a send failed with. */
const whyNotSent = ({ reasons: [reason] }: Cause.Cause<unknown>): NotSent["why"] | undefined =>
  reason?._tag === "Die" && reason.defect instanceof NotSent ? reason.defect.why : undefined

export const isFrame = (value: unknown): value is Frame => typeof value === "string" || value instanceof Uint8Array

/** What is wrong with a value as a message of at least so many frames, or undefined. */
export const checkOutgoing = (operation: string, value: unknown, leastFrames = 1): EncodeError | undefined => {
  if (isFrame(value) && leastFrames === 1) return undefined
  if (Array.isArray(value) && value.length >= leastFrames && value.every(isFrame)) return undefined
  const expected =
    leastFrames === 1
      ? "a message: a string, a Uint8Array, or a list of at least one of them"
      : "a list of the peer's routing id and at least one more frame, each a string or a Uint8Array"
  return new EncodeError({ operation, value, expected })
}

/** What is wrong with a value as a message of one socket type, or undefined. */
export type Check = (operation: string, value: unknown) => EncodeError | undefined

export const framesOf = (message: Outgoing): readonly [Frame, ...Array<Frame>] =>
  isFrame(message) ? [message] : message

/** Rules that a socket type has for when to send, and what follows when it has. */
export interface SendRule {
  /** Why it is not the time to send now, or undefined. */
  readonly check: (operation: string) => InvalidState | undefined
  readonly sent: () => void
}
export const noRule: SendRule = { check: () => undefined, sent: () => {} }

export class Sending {
  readonly outbox: Outbox
  private readonly timeLimit: number
  readonly rule: SendRule
  private readonly check: Check

  constructor(outbox: Outbox, timeLimit: number, rule: SendRule, check: Check = checkOutgoing) {
    this.check = check
    this.outbox = outbox
    this.timeLimit = timeLimit
    this.rule = rule
  }

  /** Sends a message. */
  send(operation: string, message: Outgoing): Effect.Effect<void, SendError> {
    return this.sendBy(this.rule, operation, message, true)
  }

  /**
   * Sends a message. `sent` of the rule runs in the operation that sends it.
   * `final` says that whoever sends has no other way to know what became of it, so
   * that its fiber must be rested.
   */
  sendBy(rule: SendRule, operation: string, message: Outgoing, final = false): Effect.Effect<void, SendError> {
    return this.orWait(
      Effect.sync(() => {
        const wrong = this.check(operation, message) ?? rule.check(operation)
        if (wrong !== undefined) throw new NotSent(wrong)
        if (final && this.outbox.rest.isDue) throw tired
        const offer = this.outbox.offer(message)
        if (offer !== "sent") throw offer === "full" ? full : new NotSent(offer)
        rule.sent()
      }),
      operation,
      message,
      rule
    )
  }

  /**
   * Sends a reply that has been checked. Nobody waits for it: where its client has no room it is sent later, and
   * before the socket closes if it can be. `accepted` is called when it
   * is out of the hands of its handler. All that happens at once, within the
   * operation in which the handler succeeds: behind it its fiber may be interrupted.
   */
  reply(operation: string, message: Outgoing, accepted: () => void): Effect.Effect<void, SendError> {
    const { context } = Fiber.getCurrent()!
    const offer = this.outbox.post(message, (offer) => {
      if (offer === "sent") this.rule.sent()
      else if (offer === "unroutable") Effect.runForkWith(context)(clientLeft)
    })
    if (offer === "closed" || offer === "outOfTurn") return Effect.fail(errorOf(operation, message, offer))
    accepted()
    if (offer === "sent") this.rule.sent()
    return offer === "unroutable" ? clientLeft : Effect.void
  }

  /** Sends a message if there is room now. */
  trySend(operation: string, message: Outgoing): Effect.Effect<boolean, Exclude<SendError, Again>> {
    const { outbox } = this
    const attempt: Effect.Effect<boolean, Exclude<SendError, Again>> = Effect.catchCause(
      Effect.sync(() => {
        const wrong = this.check(operation, message) ?? this.rule.check(operation)
        if (wrong !== undefined) throw new NotSent(wrong)
        if (outbox.rest.isDue) throw tired
        const offer = outbox.offer(message, true)
        if (offer === "full") return false
        if (offer !== "sent") throw new NotSent(offer)
        this.rule.sent()
        return true
      }),
      (cause) => {
        const why = whyNotSent(cause)
        if (why === undefined) return Effect.failCause(cause)
        if (why !== "tired") return Effect.fail(errorOf(operation, message, why) as Exclude<SendError, Again>)
        const rested = Effect.suspend(() => {
          outbox.rest.end()
          return attempt
        })
        return Effect.callback((resume) => outbox.rest.begin(() => resume(rested)))
      }
    )
    return attempt
  }

  /**
   * Sends messages in order, in bursts: the fiber waits once for many of them.
   * An interrupted burst stops after the message that is being offered.
   */
  sendAll(operation: string, messages: Iterable<Outgoing>): Effect.Effect<void, SendError> {
    return Effect.suspend((): Effect.Effect<void, SendError> => {
      if (this.outbox.closed) return Effect.fail(new Closed({ operation }))
      // Its characters are messages, too, but nobody means that.
      if (typeof messages === "string") {
        return Effect.fail(new EncodeError({ operation, value: messages, expected: "a list of messages" }))
      }
      const iterator = messages[Symbol.iterator]()
      let next = iterator.next()
      let broken: { readonly error: unknown } | undefined
      // How many messages the burst may still send.
      let left = 0
      const sent = () => {
        left--
        try {
          next = iterator.next()
        } catch (error) {
          // The iterable is the user's. What came from it before is sent.
          broken = { error }
        }
      }
      const burst = Effect.callback<Offer | "paused" | EncodeError>((resume) => {
        let wrong: EncodeError | undefined
        left = messagesPerBurst
        const peek = () => {
          if (next.done || broken !== undefined || left <= 0) return undefined
          wrong = this.check(operation, next.value)
          return wrong === undefined ? (next.value as Outgoing) : undefined
        }
        // Behind this operation: what the iterable does may interrupt this fiber.
        const offered = new Promise<Offer>((resolve) => microtask(() => resolve(this.outbox.offerAll({ peek, sent }))))
        void whenResolved(offered, (offer) =>
          resume(
            broken === undefined
              ? Effect.succeed(wrong ?? (offer === "sent" && !next.done ? "paused" : offer))
              : Effect.die(broken.error)
          )
        )
        return Effect.promise(() => {
          left = 0
          return offered
        })
      })
      const sendRest = Effect.whileLoop({
        while: () => !next.done,
        body: () =>
          Effect.flatMap(burst, (offer): Effect.Effect<void, SendError> => {
            if (offer === "sent") return Effect.void
            if (offer === "paused") return Effect.yieldNow
            if (offer === "full") {
              const waited = this.sendBy({ check: noRule.check, sent }, operation, next.value)
              return Effect.flatMap(waited, () => (broken === undefined ? Effect.void : Effect.die(broken.error)))
            }
            return Effect.fail(offer instanceof EncodeError ? offer : errorOf(operation, next.value, offer))
          }),
        step: () => {}
      })
      return Effect.ensuring(
        sendRest,
        Effect.sync(() => {
          if (!next.done && broken === undefined) iterator.return?.()
        })
      )
    })
  }

  private orWait(
    self: Effect.Effect<void>,
    operation: string,
    message: Outgoing,
    rule: SendRule,
    before?: Waiting
  ): Effect.Effect<void, SendError> {
    // A frame that costs nothing on success, and adds no operation there.
    return Effect.catchCause(self, (cause): Effect.Effect<void, SendError> => {
      const why = whyNotSent(cause)
      if (why === undefined) return Effect.failCause(cause)
      if (why === "tired") return this.wait(operation, message, rule, before, true)
      return why === "full" && this.timeLimit > 0
        ? this.wait(operation, message, rule, before)
        : Effect.fail(errorOf(operation, message, why))
    })
  }

  private wait(
    operation: string,
    message: Outgoing,
    rule: SendRule,
    before: Waiting | undefined,
    rest = false
  ): Effect.Effect<void, SendError> {
    const { outbox } = this
    return Effect.suspend(() => {
      const handler = Fiber.getCurrent()!.getRef(CurrentHandler)
      const since = before ?? { until: this.timeLimit + elapsedMillis(), lease: handler?.lease }
      const { lease, until } = since
      const waiting = Effect.callback<void>((resume) => {
        let stopTimer = ignore
        let goOn = ignore
        const end = (effect: Effect.Effect<void>): void => {
          stopTimer()
          goOn()
          resume(effect)
        }
        if (outbox.closed) return end(Effect.die(closed))
        const waiter: Waiter = new Waiter(
          () => end(attempt),
          () => end(Effect.die(closed))
        )
        // Evaluated in the place of the wait, with the wait's own finalizer
        // still in charge: an interrupt finds the message sent, or the waiter.
        const attempt = Effect.sync(() => {
          const wrong = rule.check(operation)
          if (wrong !== undefined) {
            outbox.leave(message, waiter)
            throw new NotSent(wrong)
          }
          outbox.rest.end()
          const offer = outbox.retry(message, waiter)
          if (offer !== "sent") throw new NotSent(offer)
          rule.sent()
        })
        if (!rest) outbox.wait(message, waiter, before !== undefined)
        else if (outbox.joinToRest(message, waiter)) {
          outbox.rest.begin(waiter.wake)
          return Effect.sync(() => outbox.leave(message, waiter))
        }
        if (until !== Number.POSITIVE_INFINITY) {
          stopTimer = startTimer(Math.max(0, until - elapsedMillis()), () => {
            if (waiter.state !== "waiting") return
            outbox.leave(message, waiter)
            end(Effect.die(timeUp))
          })
        }
        // Others have to wait as well only where many wait for that peer already.
        if (handler?.sends === outbox && outbox.waitingWith(message) <= mostPerPeer) {
          goOn = handler.waits(lease)
        }
        return Effect.sync(() => {
          stopTimer()
          goOn()
          outbox.leave(message, waiter)
        })
      })
      return this.orWait(waiting, operation, message, rule, since)
    })
  }
}

/** A wait that goes on: until when, and for which message's handler. */
interface Waiting {
  readonly until: number
  readonly lease: unknown
}

const ignore = (): void => {}

const clientLeft = Effect.logDebug("effect-zmq: a client left before its reply")

// After this many messages other fibers get their turn.
const messagesPerBurst = 256

const elapsedMillis = (): number => Number(Fiber.getCurrent()!.getRef(Clock.Clock).monotonicTimeNanosUnsafe()) / 1e6

const errorOf = (operation: string, message: Outgoing, why: Exclude<NotSent["why"], "tired">): SendError => {
  switch (why) {
    case "full":
    case "timeUp":
      return new Again({ operation })
    case "closed":
      return new Closed({ operation })
    case "unroutable":
      return new Unroutable({ operation, routingId: Buffer.from(framesOf(message)[0] as Uint8Array) })
    case "outOfTurn":
      return new InvalidState({ operation, expected: "It is the peer's turn to send" })
    default:
      return why
  }
}
