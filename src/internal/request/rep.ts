import { InvalidState } from "../../ZmqError.ts"
import type { ReceiveRule } from "../receive/receive.ts"
import type { SendRule } from "../send/send.ts"

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
