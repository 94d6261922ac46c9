import type { Message, Peer } from "../../Message.ts"
import { peersOf } from "../receive/peer.ts"
import type { SocketCore } from "../socket/socket.ts"
import { latin1 } from "./address.ts"
import { Intake } from "./intake.ts"
import type { ServedClient } from "./servedClient.ts"
import type * as Wire from "./wire.ts"

/** Where clients come from: a ROUTER, or a DEALER that has connected to a broker. */
export class Source {
  readonly core: SocketCore
  readonly intake: Intake
  readonly peerOf: (message: Message) => Peer
  /** What a broker takes in one message. */
  most = Number.POSITIVE_INFINITY
  /** The clients that come by one connection with others, by that connection. */
  readonly behind = new Map<string, Set<ServedClient>>()
  /** Ended clients that are still connected, and what is to be said to each if it speaks again. */
  readonly ended = new Map<string, Buffer | undefined>()
  private readonly clients = new Map<string, ServedClient>()

  /** What a broker says itself. */
  readonly onWord: (word: Wire.Word | undefined) => void

  constructor(
    core: SocketCore,
    onMessage: (source: Source, message: Message) => void,
    onWord: (word: Wire.Word | undefined) => void
  ) {
    this.core = core
    this.onWord = onWord
    core.inbox.rememberPeers()
    this.peerOf = peersOf(core.type, core.inbox)
    this.intake = new Intake(core, (message) => onMessage(this, message))
  }

  client(key: string): ServedClient | undefined {
    return this.clients.get(key)
  }
  add(client: ServedClient): void {
    this.clients.set(client.key, client)
    if (client.address.length === 1) return
    const first = latin1(client.address[0])
    const others = this.behind.get(first)
    if (others === undefined) this.behind.set(first, new Set([client]))
    else others.add(client)
  }
  remove(client: ServedClient): void {
    this.clients.delete(client.key)
    if (client.address.length === 1) return
    const first = latin1(client.address[0])
    const others = this.behind.get(first)
    others?.delete(client)
    if (others?.size === 0) this.behind.delete(first)
  }
  get all(): ReadonlyArray<ServedClient> {
    return [...this.clients.values()]
  }
}
