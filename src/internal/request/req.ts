import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Message, Outgoing } from "../../Message.ts"
import { InvalidState } from "../../ZmqError.ts"
import { nextMicrotask } from "../microtask.ts"
import type { Inbox } from "../receive/inbox.ts"
import type { ReceiveError, ReceiveRule, Receiving } from "../receive/receive.ts"
import type { SendError, Sending, SendRule } from "../send/send.ts"

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
        // The reply to one that was given up may be on its way from the engine, and be
        // here only after this.
        return this.turn === "send" ? replied : Effect.andThen(nextMicrotask, replied)
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
