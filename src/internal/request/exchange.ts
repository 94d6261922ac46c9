/**
 * Request and reply: whose turn it is on REQ and REP, many requests in flight on
 * a DEALER, and serving on REP and ROUTER.
 */
import { randomBytes } from "node:crypto"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import type { Message, Outgoing } from "../../Message.ts"
import { Again, Closed, InvalidState } from "../../ZmqError.ts"
import { microtask, nextMicrotask } from "../microtask.ts"
import { forEachMessage, type RunOptions } from "../receive/handlers.ts"
import type { Diversion, Inbox } from "../receive/inbox.ts"
import type { ReceiveError, ReceiveRule, Receiving } from "../receive/receive.ts"
import { retrying } from "../receive/retry.ts"
import { checkOutgoing, framesOf, noRule, type SendError, type Sending, type SendRule } from "../send/send.ts"
import { startTimer } from "../timer.ts"

export const wholeMessage = (message: Message): Message => message

/**
 * The turns of a REQ: send, receive, send … A request that was given up leaves
 * the turn open: its reply may still be received, or, on a `relaxed` socket,
 * another request be sent. `correlate` has libzmq drop the late reply then.
 */
export class ReqTurn {
  private turn: "send" | "receive" | "either" = "send"
  private requesting = false
  private readonly inbox: Inbox
  private readonly relaxed: boolean

  constructor(inbox: Inbox, relaxed: boolean) {
    this.inbox = inbox
    this.relaxed = relaxed
  }

  readonly sending: SendRule = {
    check: (operation) => {
      if (this.requesting) return new InvalidState({ operation, expected: "A request is in flight: wait for it" })
      return this.checkSend(operation, false)
    },
    sent: () => this.sent()
  }

  readonly receiving: ReceiveRule = {
    begin: (operation) => {
      if (this.requesting) return new InvalidState({ operation, expected: "A request is in flight: wait for it" })
      if (this.turn === "send") {
        return new InvalidState({ operation, expected: "A REQ sends a request before it receives: send first" })
      }
      if (this.relaxed) this.turn = "either"
      return undefined
    },
    received: () => {
      this.turn = "send"
    },
    undone: () => {
      this.turn = "receive"
    }
  }

  private checkSend(operation: string, givesUp: boolean): InvalidState | undefined {
    if (this.inbox.mailbox.wanted) {
      return new InvalidState({
        operation,
        expected: "A receive waits for the reply to an earlier request: let it end first"
      })
    }
    if (this.turn !== "receive" || givesUp) return undefined
    return new InvalidState({
      operation,
      expected: `A REQ receives the reply before it sends again: receive first${
        this.relaxed ? ". Once a receive has been tried and given up, a relaxed REQ may send again" : ""
      }`
    })
  }

  private sent(): void {
    // What is here by now answers an earlier request.
    this.inbox.mailbox.clear()
    this.turn = "receive"
  }

  /** Sends a request and waits for its reply; others wait until it is done. */
  requester(sending: Sending, receiving: Receiving) {
    const reply = receiving.receiveLater("request", this.receiving.received)
    const one = Semaphore.makeUnsafe(1)
    const rule: SendRule = {
      check: (operation) => this.checkSend(operation, this.relaxed),
      sent: () => {
        sending.outbox.requests++
        this.sent()
      }
    }
    return (message: Outgoing): Effect.Effect<Message, SendError | ReceiveError> =>
      Effect.suspend(() => {
        this.requesting = true
        const replied = Effect.andThen(sending.sendBy(rule, "request", message), reply)
        // A late reply may have been received a moment ago, and be in the mailbox
        // only after this.
        return this.inbox.receiving ? Effect.andThen(nextMicrotask, replied) : replied
      }).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            this.requesting = false
          })
        ),
        one.withPermits(1)
      )
  }
}

/** The turns of a REP: receive, send, receive … */
export class RepTurn {
  private turn: "send" | "receive" = "receive"

  readonly sending: SendRule = {
    check: (operation) =>
      this.turn === "receive"
        ? new InvalidState({ operation, expected: "A REP receives a request before it sends its reply: receive first" })
        : undefined,
    sent: () => {
      this.turn = "receive"
    }
  }

  readonly receiving: ReceiveRule = {
    begin: (operation) =>
      this.turn === "send"
        ? new InvalidState({ operation, expected: "A REP replies before it receives again: send the reply first" })
        : undefined,
    received: () => {
      this.turn = "send"
    },
    undone: () => {
      this.turn = "receive"
    }
  }
}

/**
 * Requests over a DEALER, any number in flight. A request is framed as RFC 28
 * has it, `[correlation id, empty, ...body]`: a REP or ROUTER peer returns what
 * stands before the body with its reply.
 */
export class DealerRequests implements Diversion {
  private readonly sending: Sending
  private readonly inbox: Inbox
  private readonly timeLimit: number
  private readonly ids = new RequestIds()
  private readonly inFlight = new Map<string, Request>()

  constructor(sending: Sending, inbox: Inbox, timeLimit: number) {
    this.sending = sending
    this.inbox = inbox
    this.timeLimit = timeLimit
    inbox.diversion = this
  }

  request(message: Outgoing): Effect.Effect<Message, SendError | ReceiveError> {
    return Effect.suspend(() => {
      const wrong = checkOutgoing("request", message)
      if (wrong !== undefined) return Effect.fail(wrong)
      const id = this.ids.next()
      const key = id.toString("latin1")
      const request: Request = { reply: undefined, wake: undefined, fail: undefined }
      const rule: SendRule = {
        check: noRule.check,
        sent: () => {
          this.sending.outbox.requests++
          this.inFlight.set(key, request)
        }
      }
      return this.sending.sendBy(rule, "request", [id, "", ...framesOf(message)]).pipe(
        Effect.flatMap(() => this.wait(request)),
        Effect.ensuring(
          Effect.sync(() => {
            this.inFlight.delete(key)
          })
        )
      )
    })
  }

  get wanted(): boolean {
    return this.inFlight.size > 0
  }

  close(): void {
    for (const request of this.inFlight.values()) request.fail?.()
  }

  private wait(request: Request): Effect.Effect<Message, ReceiveError> {
    return Effect.callback<Message, ReceiveError>((resume) => {
      const operation = "request"
      if (request.reply !== undefined) return resume(Effect.succeed(request.reply))
      if (this.inbox.mailbox.closed) return resume(Effect.fail(new Closed({ operation })))
      let stopTimer = (): void => {}
      request.wake = () => {
        stopTimer()
        resume(Effect.succeed(request.reply!))
      }
      request.fail = () => {
        stopTimer()
        resume(Effect.fail(new Closed({ operation })))
      }
      if (this.timeLimit !== Number.POSITIVE_INFINITY) {
        stopTimer = startTimer(this.timeLimit, () => resume(Effect.fail(new Again({ operation }))))
      }
      this.inbox.fill()
      return Effect.sync(() => stopTimer())
    })
  }

  // A reply that nobody waits for any more goes no further: it must not be taken
  // for an ordinary message.
  accept(message: Message): boolean {
    const [id, delimiter] = message
    if (message.length < 3 || delimiter?.length !== 0 || !this.ids.isOurs(id)) return false
    const key = id.toString("latin1")
    const request = this.inFlight.get(key)
    if (request !== undefined) {
      // Nobody waits for it any more, nor receives for its sake.
      this.inFlight.delete(key)
      request.reply = message.slice(2) as unknown as Message
      // Later, and not from here: a burst of messages is being handed over.
      microtask(() => request.wake?.())
    }
    return true
  }
}

const prefixLength = 4
const idLength = 16
const idsAtOnce = 256

/**
 * Ids of requests: what tells ours from those of a DEALER before us on the same
 * routing id, and from other messages; and then random bytes. A server knows the
 * ids of what it was asked, and must not guess what another was asked.
 */
class RequestIds {
  private readonly prefix = randomBytes(prefixLength)
  private pool = Buffer.alloc(0)

  next(): Buffer {
    if (this.pool.length === 0) this.pool = randomBytes(idLength * idsAtOnce)
    const id = this.pool.subarray(0, idLength)
    this.pool = this.pool.subarray(idLength)
    this.prefix.copy(id)
    return id
  }

  isOurs(id: Buffer): boolean {
    return id.length === idLength && id.compare(this.prefix, 0, prefixLength, 0, prefixLength) === 0
  }
}

interface Request {
  reply: Message | undefined
  wake: (() => void) | undefined
  fail: (() => void) | undefined
}

/** What a request is made of: how to address the reply, and the request itself. */
interface Envelope {
  readonly address: ReadonlyArray<Buffer>
  readonly body: Message
}

// RFC 28: the address ends with the first empty frame. A DEALER that sends
// without one is addressed by its routing id alone.
const openEnvelope = (message: Message): Envelope => {
  const delimiter = message.findIndex((frame, index) => index > 0 && frame.length === 0)
  const end = delimiter > 0 && delimiter < message.length - 1 ? delimiter + 1 : 1
  return { address: message.slice(0, end), body: message.slice(end) as unknown as Message }
}

/** What a handler replies, or that it drops the request. */
type Reply = Outgoing | undefined

export type Handler<E, R> = (request: Message, routingId: Buffer | undefined) => Effect.Effect<Reply, E, R>

export interface ServeOptions<E, R> extends RunOptions<E, R> {
  readonly retry?: Schedule.Schedule<unknown, E, never, R> | undefined
  readonly orElse?:
    | ((request: Message, cause: Cause.Cause<E>, routingId: Buffer | undefined) => Effect.Effect<Reply, E, R>)
    | undefined
}

/**
 * Answers each request with what `handler` makes of it. A request whose handler
 * fails or is interrupted goes back. A reply that is made is sent: where its
 * client has no room, it waits for that by itself.
 */
export const serve = <E, R>(
  receiving: Receiving,
  sending: Sending,
  type: "rep" | "router",
  handler: Handler<E, R>,
  options?: ServeOptions<E | SendError, R>
): Effect.Effect<void, SendError | ReceiveError | E, R> => {
  const checked = (reply: Reply): Effect.Effect<Reply, SendError> => {
    const wrong = reply === undefined ? undefined : checkOutgoing("serve", reply)
    return wrong === undefined ? Effect.succeed(reply) : Effect.fail(wrong)
  }
  const orElse = options?.orElse
  const handle = retrying<Envelope, Reply, SendError | E, R, SendError>(
    {
      retry: options?.retry,
      orElse: orElse && (({ address, body }, cause) => Effect.flatMap(orElse(body, cause, address[0]), checked))
    },
    ({ address, body }) => Effect.flatMap(handler(body, address[0]), checked),
    ({ address }, reply, settle) => {
      // A REP cannot do without.
      if (reply === undefined && type === "router") {
        settle()
        return Effect.void
      }
      return sending.reply("serve", [...address, ...framesOf(reply ?? "")] as unknown as Outgoing, settle)
    }
  )
  return receiving.inTurn(
    "serve",
    forEachMessage<Envelope, SendError | E, R>(
      receiving,
      {
        operation: "serve",
        decode: type === "router" ? openEnvelope : (message): Envelope => ({ address: [], body: message }),
        concurrency: type === "router" ? options?.concurrency : 1,
        until: options?.until,
        inTurn: type === "rep",
        // A server waits for requests as long as it takes.
        timeLimit: Number.POSITIVE_INFINITY
      },
      handle
    )
  )
}
