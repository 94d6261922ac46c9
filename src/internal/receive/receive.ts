/**
 * Receiving, as Effects that no interruption can make lose a message.
 *
 * A fiber can be interrupted between any two of its operations, and nowhere
 * else. So a receive waits for a signal that carries no message, and takes and
 * decodes the message in its very last operation: an `Effect.sync`, which hands
 * its value to whoever called the receive within the same operation.
 *
 * What Effect adds behind the receive are operations again: see `rest.ts`.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Message } from "../../Message.ts"
import { Again, Closed, DecodeError, type InvalidState } from "../../ZmqError.ts"
import { Waiter } from "../line.ts"
import { startTimer } from "../timer.ts"
import type { Inbox } from "./inbox.ts"
import type { Lease } from "./mailbox.ts"

export type ReceiveError = Again | Closed | DecodeError | InvalidState

/** Makes something of a message, or says why it can't. */
export type Decode<A> = (message: Message) => A | DecodeError

// Thrown inside a last operation that can't be the last one after all. Nothing
// was taken. As all that is thrown there it travels as a defect, to `orElse`.
const notYet = { _tag: "effect-zmq/notYet" }

// A frame that costs nothing on success, and adds no operation there. A message
// that can't be decoded was taken, and is thrown as its DecodeError.
const orElse = <A, E, E2, E3 = never>(
  self: Effect.Effect<A, E>,
  that: Effect.Effect<A, E2>,
  refuse: (error: DecodeError) => Effect.Effect<never, E3> = Effect.die
): Effect.Effect<A, E | E2 | E3> =>
  Effect.catchCause(self, (cause): Effect.Effect<A, E | E2 | E3> => {
    const reason = cause.reasons[0]
    if (reason?._tag !== "Die") return Effect.failCause(cause)
    if (reason.defect === notYet) return that
    return reason.defect instanceof DecodeError ? refuse(reason.defect) : Effect.failCause(cause)
  })

const ignore = (): void => {}

// Whether a message is there, and the fiber that asks may take it. `final` says
// that the message is out of our hands then.
const mayTake = (inbox: Inbox, final: boolean): boolean => inbox.mailbox.available > 0 && !(final && inbox.rest.isDue)

/** Rules that a socket type has for when to receive, and what follows when it has. */
export interface ReceiveRule {
  /** A receive begins. Returns why it is not the time for it, or undefined. */
  readonly begin: (operation: string) => InvalidState | undefined
  readonly received: () => void
  /** A message that had been received is put back. */
  readonly undone: () => void
}

/** How a receive gets its message. */
interface Taker<A> {
  readonly operation: string
  /** Takes the next message. */
  readonly take: () => A | DecodeError
  /** Whether the message is out of our hands then, so that its fiber must be rested. */
  readonly final: boolean
  readonly timeLimit: number
  /** What it comes to if there is nothing and `timeLimit` is 0: `Again`, unless given. */
  readonly ifNone?: Effect.Effect<A> | undefined
}

/** That no message was taken: a message may be decoded to any other value. */
export const nothing = Symbol("nothing")

/** How messages are lent. */
export interface Lending<A> {
  /**
   * The next message, if it can be had without an Effect: to be called within an
   * operation of the fiber that gets it. The lease is what keeps it safe behind that.
   */
  readonly now: () => A | DecodeError | typeof nothing
  /** Takes the next message, which is there. `nothing` if it is not its time, and waits. */
  readonly take: () => A | DecodeError | typeof nothing
  /** The next message, if it can't. `nothing` if it is not its time, and waits. */
  readonly later: Effect.Effect<A | typeof nothing, ReceiveError>
}

interface Receiver<A> {
  /** Receives the next message. */
  readonly received: Effect.Effect<A, ReceiveError>
  /** The same, where none was there. */
  readonly later: Effect.Effect<A, ReceiveError>
}

export class Receiving {
  readonly inbox: Inbox
  private readonly timeLimit: number
  private readonly rule: ReceiveRule | undefined

  constructor(inbox: Inbox, timeLimit: number, rule?: ReceiveRule) {
    this.inbox = inbox
    this.timeLimit = timeLimit
    this.rule = rule
  }

  /** Receives the next message. */
  receive<A>(operation: string, decode: Decode<A>): Effect.Effect<A, ReceiveError> {
    const { mailbox } = this.inbox
    const { rule, timeLimit } = this
    if (rule === undefined) {
      return this.receiver({ operation, take: () => decode(mailbox.take()), final: true, timeLimit }).received
    }
    const take = () => {
      rule.received()
      return decode(mailbox.take())
    }
    return this.inTurn(operation, this.receiver({ operation, take, final: true, timeLimit }).received)
  }

  /** Receives the next message, which is most likely not there yet. */
  receiveLater(operation: string, received: () => void): Effect.Effect<Message, ReceiveError> {
    const { timeLimit } = this
    const { mailbox } = this.inbox
    const take = () => {
      received()
      return mailbox.take()
    }
    return this.receiver({ operation, take, final: true, timeLimit }).later
  }

  /** Runs `self` if it is the time to receive. */
  inTurn<A, E, R>(operation: string, self: Effect.Effect<A, E, R>) {
    return Effect.suspend((): Effect.Effect<A, E | InvalidState, R> => {
      const wrong = this.rule?.begin(operation)
      return wrong === undefined ? self : Effect.fail(wrong)
    })
  }

  /**
   * Receives messages and leaves a lease on each with `keep`, in the operation
   * that takes it. `final` says that the lease may end before the message is handled;
   * if not, the messages of peers that do not read wait.
   */
  lend<A>(options: {
    readonly operation: string
    readonly decode: Decode<A>
    readonly keep: (lease: Lease<Message>) => void
    readonly final: boolean
    readonly timeLimit?: number | undefined
  }): Lending<A> {
    const { inbox } = this
    const { mailbox } = inbox
    const { decode, keep, final } = options
    const held = final ? undefined : inbox.held
    const take = (): A | DecodeError | typeof nothing => {
      const lease = mailbox.lend()
      if (held?.keep(lease)) return nothing
      this.rule?.received()
      const value = decode(lease.message)
      if (!(value instanceof DecodeError)) keep(lease)
      return value
    }
    const { later } = this.receiver({ ...options, take, timeLimit: options.timeLimit ?? this.timeLimit })
    const now = () => {
      while (!mailbox.newestOnly && mayTake(inbox, final)) {
        const value = take()
        if (value !== nothing) return value
      }
      return nothing
    }
    return { now, take, later }
  }

  /** The last one first, as each then finds its place at once. */
  putBackAll(leases: ReadonlyArray<Lease<Message>>): void {
    for (let i = leases.length - 1; i >= 0; i--) this.putBack(leases[i]!)
  }

  putBack(lease: Lease<Message>): void {
    this.rule?.undone()
    this.inbox.mailbox.putBack(lease)
  }

  private receiver<A>({ operation, take, final, timeLimit, ifNone }: Taker<A>): Receiver<A> {
    const { inbox } = this
    const { mailbox } = inbox

    // Takes the message and hands it on, in one operation.
    const takeNow = (): A => {
      const value = take()
      if (value instanceof DecodeError) throw value
      return value
    }

    // The receive path, when a message is there.
    const received: Effect.Effect<A, ReceiveError> = orElse(
      Effect.sync(() => {
        if (!mayTake(inbox, final)) throw notYet
        return takeNow()
      }),
      Effect.suspend(() => later),
      Effect.fail
    )

    // When none is there, or when the fiber must rest first.
    const later = Effect.suspend((): Effect.Effect<A, ReceiveError> => {
      if (mailbox.available > 0) return final ? rest : received
      if (mailbox.closed) return Effect.fail(new Closed({ operation }))
      return timeLimit > 0 ? wait : poll
    })

    // Evaluated in the place of a wait, with the wait's own finalizer still in
    // charge: an interrupt finds the message taken, or the waiter.
    const claim = (waiter: Waiter): Effect.Effect<A> =>
      Effect.sync(() => {
        mailbox.claim(waiter)
        inbox.rest.end()
        return takeNow()
      })

    // The message waits for the fiber meanwhile.
    const rest = orElse(
      Effect.callback<A, ReceiveError>((resume) => {
        if (mailbox.available === 0) return resume(received)
        const waiter = new Waiter(ignore, ignore)
        mailbox.promise(waiter)
        inbox.rest.begin(() => resume(claim(waiter)))
        return Effect.sync(() => mailbox.leave(waiter))
      }),
      Effect.suspend(() => received),
      Effect.fail
    )

    const wait = orElse(
      Effect.callback<A, ReceiveError>((resume) => {
        if (mailbox.available > 0 || mailbox.closed) return resume(received)
        let stopTimer = ignore
        const waiter: Waiter = new Waiter(
          () => {
            stopTimer()
            resume(claim(waiter))
          },
          () => {
            stopTimer()
            resume(Effect.fail(new Closed({ operation })))
          }
        )
        mailbox.wait(waiter)
        if (timeLimit !== Number.POSITIVE_INFINITY) {
          stopTimer = startTimer(timeLimit, () => {
            if (waiter.state !== "waiting") return
            mailbox.leave(waiter)
            resume(Effect.fail(new Again({ operation })))
          })
        }
        inbox.fill()
        return Effect.sync(() => {
          stopTimer()
          mailbox.leave(waiter)
        })
      }),
      Effect.suspend(() => received),
      Effect.fail
    )

    // With a time limit of 0: what is there now, or Again.
    const poll = Effect.flatMap(this.poll, () =>
      mailbox.available > 0 || mailbox.closed ? received : (ifNone ?? Effect.fail(new Again({ operation })))
    )

    // CONFLATE: what is here may be out of date by now.
    const newest = Effect.suspend(() =>
      inbox.hasSome && !mailbox.closed ? Effect.flatMap(this.poll, () => received) : received
    )
    return mailbox.newestOnly ? { received: newest, later: newest } : { received, later }
  }

  /** The next message if there is one now. */
  tryReceive<A>(make: (message: Message) => A): Effect.Effect<Option.Option<A>, ReceiveError> {
    const operation = "tryRecv"
    const { mailbox } = this.inbox
    const take = () => {
      this.rule?.received()
      return Option.some(make(mailbox.take()))
    }
    const ifNone = Effect.succeed(Option.none<A>())
    const { received } = this.receiver({ operation, take, final: true, timeLimit: 0, ifNone })
    return this.rule === undefined ? received : this.inTurn(operation, received)
  }

  /** All messages that are there now. */
  drain<A>(make: (message: Message) => A): Effect.Effect<Array<A>, Closed> {
    const { inbox } = this
    const { mailbox } = inbox
    // Until this operation the messages stay in the mailbox, as many as they are.
    const takeAll = Effect.sync(() => {
      if (mailbox.closed && mailbox.available === 0) throw notYet
      const messages: Array<A> = []
      while (mailbox.available > 0) messages.push(make(mailbox.take()))
      return messages
    })
    const closed = Effect.suspend(() => Effect.fail(new Closed({ operation: "drain" })))
    return Effect.callback<Array<A>, Closed>((resume) => {
      let abandoned = false
      const more = (): void => {
        const before = mailbox.size
        inbox.poll(burstOfDrain, () => {
          if (!abandoned && mailbox.size > before && mailbox.size < mostToDrain) more()
          // Suspended once more, so that the fiber has a whole budget left behind it.
          else resume(Effect.flatMap(Effect.yieldNow, () => orElse(takeAll, closed)))
        })
      }
      more()
      return Effect.sync(() => {
        abandoned = true
      })
    })
  }

  /** Gets the next message into the mailbox if there is one now; with CONFLATE, the newest. */
  private get poll(): Effect.Effect<void> {
    const max = this.inbox.mailbox.newestOnly ? burstOfDrain : 1
    return Effect.callback((resume) => this.inbox.poll(max, () => resume(Effect.void)))
  }
}

const burstOfDrain = 512
// A flood must not keep a drain going for ever.
const mostToDrain = 65_536
