import type { Message } from "../../Message.ts"
import { Waiter } from "../line.ts"
import type { SocketCore } from "../socket/socket.ts"
import { turn } from "../turn.ts"

// What handling a message costs, in messages that are only taken: see `turn.ts`.
const costOfOne = 4

/** Hands over the messages of a socket as they come, from `start` until `stop`. There is no Effect in here. */
export class Intake {
  private readonly core: SocketCore
  private readonly onMessage: (message: Message) => void
  private running = false

  constructor(core: SocketCore, onMessage: (message: Message) => void) {
    this.core = core
    this.onMessage = onMessage
  }

  start(): void {
    if (this.running) return
    this.running = true
    this.go()
  }

  /** What comes from now on waits for the next `start`, at the socket. */
  stop(): void {
    if (!this.running) return
    this.running = false
    this.core.inbox.mailbox.leave(this.waiter)
  }

  private readonly waiter = new Waiter(
    () => {
      const { mailbox } = this.core.inbox
      mailbox.claim(this.waiter)
      this.take()
      this.go()
    },
    () => {}
  )

  private take(): void {
    turn.spend(costOfOne)
    this.onMessage(this.core.inbox.mailbox.take())
  }

  private readonly go = (): void => {
    const { inbox } = this.core
    const { mailbox } = inbox
    while (this.running && this.waiter.state === "gone") {
      if (mailbox.available === 0) {
        if (mailbox.closed) return
        mailbox.wait(this.waiter)
        return inbox.fill()
      }
      if (turn.isOver) return turn.next(this.go)
      this.take()
    }
  }
}
