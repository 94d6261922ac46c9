import type { Message } from "../../Message.ts"
import { Queue } from "../queue.ts"

/**
 * Messages that were read further ahead than the mailbox takes. They go on one of
 * each peer in turn, as libzmq has them: one that floods is not before the others.
 */
export class Ahead {
  // In the order of their turns.
  private readonly peers = new Map<string, Queue<Message>>()
  size = 0

  put(peer: string, message: Message): void {
    let messages = this.peers.get(peer)
    if (messages === undefined) {
      messages = new Queue()
      this.peers.set(peer, messages)
    }
    messages.append(message)
    this.size++
  }

  /** The next message. Only while there is one. */
  take(): Message {
    const [peer, messages] = this.peers.entries().next().value!
    this.size--
    this.peers.delete(peer)
    const message = messages.take()
    if (messages.length > 0) this.peers.set(peer, messages)
    return message
  }
}
