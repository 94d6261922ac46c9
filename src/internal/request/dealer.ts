import * as Effect from "effect/Effect"
import type { Message, Outgoing } from "../../Message.ts"
import { Again, Closed } from "../../ZmqError.ts"
import { microtask } from "../microtask.ts"
import type { Diversion, Inbox } from "../receive/inbox.ts"
import type { ReceiveError } from "../receive/receive.ts"
import { checkOutgoing, framesOf, noRule, type SendError, type Sending, type SendRule } from "../send/send.ts"
import { startTimer } from "../timer.ts"
import { RequestIds } from "./ids.ts"

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

interface Request {
  reply: Message | undefined
  wake: (() => void) | undefined
  fail: (() => void) | undefined
}
