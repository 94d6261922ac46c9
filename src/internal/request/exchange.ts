/**
 * Request and reply: whose turn it is on REQ and REP, many requests in flight on
 * a DEALER, and serving on REP and ROUTER.
 */
import { randomBytes } from "node:crypto"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Message, Outgoing, Peer } from "../../Message.ts"
import { Again, Closed, DecodeError, EncodeError, InvalidState } from "../../ZmqError.ts"
import { inTrace, type TraceOf } from "../codec/traced.ts"
import { microtask, nextMicrotask } from "../microtask.ts"
import { forEachMessage, type RunOptions, type Worker } from "../receive/handlers.ts"
import type { Diversion, Inbox } from "../receive/inbox.ts"
import { nobody } from "../receive/peer.ts"
import type { ReceiveError, ReceiveRule, Receiving } from "../receive/receive.ts"
import { type OnFailure, retrying } from "../receive/retry.ts"
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
    this.inbox.clear()
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
        // A late reply may be on its way from the engine, and be in the mailbox
        // only after this.
        return Effect.andThen(nextMicrotask, replied)
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
interface Envelope<Q> {
  readonly address: ReadonlyArray<Buffer>
  body: Q
}

// RFC 28: the address ends with the first empty frame. A DEALER that sends
// without one is addressed by its routing id alone.
const openEnvelope = (message: Message) => {
  const delimiter = message.findIndex((frame, index) => index > 0 && frame.length === 0)
  const end = delimiter > 0 && delimiter < message.length - 1 ? delimiter + 1 : 1
  return { address: message.slice(0, end), body: message.slice(end) as unknown as Message }
}

const noAddress: ReadonlyArray<Buffer> = []

/** What requests and replies mean, and how they are answered. */
export interface Service<Q, Made, E, R> extends RunOptions<E, R>, OnFailure<Q, Made, E | SendError, R> {
  readonly operation: string
  readonly decode: (body: Message, routingId: Buffer | undefined) => Q | DecodeError
  /** The reply, why there is none, or `undefined` if the request is to be dropped. */
  readonly encode: (made: Made) => Outgoing | EncodeError | undefined
  readonly handler: (request: Q, peer: Peer) => Effect.Effect<Made, E, R>
  /** The span of whoever sent a request, for those of its handler. */
  readonly trace?: TraceOf
  readonly onInvalid?: ((error: DecodeError, peer: Peer) => Effect.Effect<Made, E, R>) | undefined
}

/**
 * Answers each request with what its handler makes of it. A request whose handler
 * fails or is interrupted goes back. A reply that is made is sent: where its
 * client has no room, it waits for that by itself.
 */
export const serve = <Q, Made, E, R>(
  receiving: Receiving,
  sending: Sending,
  type: "rep" | "router",
  service: Service<Q, Made, E, R>
): Effect.Effect<void, SendError | ReceiveError | E, R> => {
  const { concurrency, decode, encode, handler, onInvalid, operation, retry, trace, until } = service
  const peerOf = ({ address }: Envelope<unknown>): Peer => (address.length === 0 ? nobody : { routingId: address[0] })
  const bodyOf = (message: Message): Message => (type === "router" ? openEnvelope(message).body : message)
  const reply = <E2>(
    { address }: Envelope<unknown>,
    made: Made,
    worker: Worker,
    refuse: (error: EncodeError) => Effect.Effect<unknown, E2, R>
  ): Effect.Effect<unknown, E2 | SendError, R> => {
    const body = encode(made)
    // A REP cannot do without.
    if (body === undefined && type === "router") {
      worker.settle()
      return Effect.void
    }
    const wrong = body === undefined ? undefined : checkOutgoing(operation, body)
    if (wrong !== undefined) return refuse(body instanceof EncodeError ? body : wrong)
    const message = [...address, ...framesOf((body ?? "") as Outgoing)] as unknown as Outgoing
    return sending.reply(operation, message, worker.settle)
  }
  const orElse =
    service.orElse && (({ body }: Envelope<Q>, cause: Cause.Cause<E | SendError>) => service.orElse!(body, cause))
  const valid = retrying<Envelope<Q>, Made, E | SendError, R, SendError>(
    { retry, orElse },
    trace === undefined
      ? (envelope) => handler(envelope.body, peerOf(envelope))
      : (envelope, { lease }) => inTrace(trace(bodyOf(lease!.message)), handler(envelope.body, peerOf(envelope))),
    reply
  )
  const invalid = retrying<Envelope<DecodeError>, Made, E, R, SendError>(
    {},
    (envelope) => onInvalid!(envelope.body, peerOf(envelope)),
    reply
  )
  const either = (envelope: Envelope<Q | DecodeError>, worker: Worker) =>
    envelope.body instanceof DecodeError
      ? invalid(envelope as Envelope<DecodeError>, worker)
      : valid(envelope as Envelope<Q>, worker)
  const handle = onInvalid === undefined ? (valid as typeof either) : either
  return receiving.inTurn(
    operation,
    forEachMessage<Envelope<Q | DecodeError>, SendError | E, R>(
      receiving,
      {
        operation,
        decode: (message) => {
          const envelope: Envelope<Q | DecodeError | Message> =
            type === "router" ? openEnvelope(message) : { address: noAddress, body: message }
          // In its place: this is done for each request.
          envelope.body = decode(envelope.body as Message, envelope.address[0])
          return envelope as Envelope<Q | DecodeError>
        },
        concurrency: type === "router" ? concurrency : 1,
        until,
        inTurn: type === "rep",
        // A server waits for requests as long as it takes.
        timeLimit: Number.POSITIVE_INFINITY
      },
      handle
    )
  )
}
