/**
 * A broker: a ROUTER for clients and a ROUTER for servers. It reads none of what they
 * say to each other. A client of ours says which server a message is for; any other
 * has the same server for as long as that is there.
 */
import type { Message, Outgoing } from "../../Message.ts"
import type { SocketCore } from "../socket/socket.ts"
import { latin1 } from "./address.ts"
import { Asked } from "./asked.ts"
import { Intake } from "./intake.ts"
import { Out } from "./out.ts"
import * as Wire from "./wire.ts"

// What waits for a server while there is none, of a client that cannot be told.
const mostWaiting = 1000

// For so long, in milliseconds, a server may be about to come back, and clients are not told that there is none.
const millisToReturn = 1000

/** A client or a server. */
class Peer {
  readonly id: Buffer
  readonly out: Out
  /** Those of the other side that it has to do with. */
  readonly others = new Set<Peer>()
  /** Milliseconds without a word after which it is gone, or 0. */
  limit = 0
  idle = 0
  /** A client that wants to be told of servers. */
  isGreeted = false
  /** Whose server is chosen here, what it has asked, and what of that waits for a server. */
  server: Peer | undefined
  readonly asked = new Asked()
  waiting: Array<Message> = []

  constructor(id: Buffer, core: SocketCore, gone: () => void) {
    this.id = id
    this.out = new Out(core.outbox, gone)
  }
}

/** The bytes that each side takes in one message, or Infinity. */
interface Most {
  readonly front: number
  readonly back: number
}

export class Broker {
  private readonly front: SocketCore
  private readonly back: SocketCore
  private readonly mostPending: number
  private readonly most: Most
  private readonly onDropped: (why: string) => void
  private readonly onServers: (servers: number) => void
  private readonly fromClients: Intake
  private readonly fromServers: Intake
  private readonly clients = new Map<string, Peer>()
  private readonly servers = new Map<string, Peer>()
  /** For how long no server has been there, in milliseconds. */
  private bereft = 0
  dropped = 0

  constructor(
    front: SocketCore,
    back: SocketCore,
    mostPending: number,
    most: Most,
    onServers: (servers: number) => void,
    onDropped: (why: string) => void
  ) {
    this.front = front
    this.back = back
    this.mostPending = mostPending
    this.most = most
    this.onServers = onServers
    this.onDropped = onDropped
    this.fromClients = new Intake(front, (message) => this.onClient(message))
    this.fromServers = new Intake(back, (message) => this.onServer(message))
    this.fromServers.start()
    this.fromClients.start()
  }

  get stats() {
    return { servers: this.servers.size, clients: this.clients.size, dropped: this.dropped }
  }

  /** Milliseconds have passed. */
  pass(millis: number): void {
    const silent = { why: "silent", text: "the broker has heard nothing" } as const
    const isSilent = (peer: Peer): boolean => {
      peer.idle += millis
      return peer.limit > 0 && peer.idle > peer.limit
    }
    if (this.servers.size === 0) {
      const isTold = this.bereft >= millisToReturn
      this.bereft += millis
      if (!isTold && this.bereft >= millisToReturn) {
        for (const client of [...this.clients.values()]) {
          if (client.isGreeted) this.toClient(client, [client.id, "", Wire.none])
        }
      }
    }
    for (const server of [...this.servers.values()]) if (isSilent(server)) this.endServer(server, silent)
    for (const client of [...this.clients.values()]) if (isSilent(client)) this.endClient(client, silent)
  }

  /** Says goodbye to all. */
  close(): void {
    const bye = Wire.goodbye({ why: "closing", text: "the broker ends" })
    for (const server of this.servers.values()) {
      server.out.clear()
      server.out.send([server.id, bye])
    }
    for (const client of this.clients.values()) {
      client.out.clear()
      for (const last of wordsTo(client, bye)) client.out.send(last)
    }
    this.fromClients.stop()
    this.fromServers.stop()
    this.clients.clear()
    this.servers.clear()
  }

  // ---------------------------------------------------------------------------
  // from clients
  // ---------------------------------------------------------------------------

  private onClient(message: Message): void {
    const [id, ...rest] = message
    const frame = rest[rest.length - 1]
    if (frame === undefined) return
    const known = this.clients.get(latin1(id))
    if (known !== undefined) known.idle = 0
    const word = Wire.isWord(frame) ? Wire.wordOf(frame) : undefined
    // Its own last word, or that of the engine.
    if (rest.length === 1 && word?.kind === "bye") {
      if (known !== undefined) this.clientLeft(known)
      return
    }
    const client = known ?? this.addClient(id)
    if (!Wire.isOurs([id])) {
      // A ROUTER, DEALER or REQ that shows itself (`probeRouter`) asks nothing.
      if (word !== undefined || (frame.length === 0 && rest.length === 1)) return
      client.asked.ask(rest.slice(0, -1))
      this.fromOther(client, message)
    } else if (rest.length === 1) {
      if (word?.kind === "hello") this.greet(client, word.text)
    } else if (rest.length === 2) this.fromOurs(client, rest[0]!, frame)
  }

  private addClient(id: Buffer): Peer {
    const client: Peer = new Peer(id, this.front, () => this.clientLeft(client))
    this.clients.set(latin1(id), client)
    return client
  }

  private greet(client: Peer, text: string): void {
    const hello = Wire.helloOf(text)
    if (hello === undefined) return
    client.isGreeted = true
    client.limit = hello.limit
    client.out.send([client.id, "", Wire.broker(this.most.front)])
    for (const server of this.servers.values()) client.out.send([client.id, server.id, isReady])
    if (this.bereft >= millisToReturn) client.out.send([client.id, "", Wire.none])
  }

  private fromOurs(client: Peer, tag: Buffer, frame: Buffer): void {
    const server = this.servers.get(latin1(tag))
    if (server === undefined) return this.toClient(client, [client.id, tag, Wire.farewell])
    join(client, server)
    this.toServer(server, [server.id, client.id, frame])
  }

  private fromOther(client: Peer, message: Message): void {
    client.server ??= this.choose()
    const { server } = client
    if (server !== undefined) {
      join(client, server)
      return this.toServer(server, [server.id, ...message])
    }
    if (client.waiting.length < mostWaiting) client.waiting.push(message)
    else this.drop("clients ask for more than the broker keeps while there is no server")
  }

  private choose(): Peer | undefined {
    let best: Peer | undefined
    for (const server of this.servers.values()) {
      if (best === undefined || server.others.size < best.others.size) best = server
    }
    return best
  }

  private toClient(client: Peer, message: Outgoing): void {
    client.out.send(message)
    if (client.out.pending <= this.mostPending) return
    this.drop("a client does not read what servers send it, and was ended")
    this.endClient(client, { why: "behind", text: `more than ${this.mostPending} messages wait for it at the broker` })
  }

  private clientLeft(client: Peer): void {
    if (!this.clients.delete(latin1(client.id))) return
    client.out.clear()
    for (const server of client.others) {
      server.others.delete(client)
      this.toServer(server, [server.id, client.id, Wire.farewell])
    }
    client.others.clear()
  }

  private endClient(client: Peer, goodbye: Wire.Goodbye): void {
    this.clientLeft(client)
    for (const last of wordsTo(client, Wire.goodbye(goodbye))) this.front.outbox.offer(last)
  }

  // ---------------------------------------------------------------------------
  // from servers
  // ---------------------------------------------------------------------------

  private onServer(message: Message): void {
    const [id, ...rest] = message
    const frame = rest[rest.length - 1]
    if (frame === undefined) return
    const server = this.servers.get(latin1(id))
    if (server !== undefined) server.idle = 0
    if (rest.length === 1) {
      const word = Wire.isWord(frame) ? Wire.wordOf(frame) : undefined
      if (word?.kind === "ready") this.ready(id, server, word.text)
      else if (word?.kind === "bye" && server !== undefined) this.serverLeft(server, Wire.goodbyeOf(word.text))
      return
    }
    if (server === undefined) return
    const client = this.clients.get(latin1(rest[0]!))
    if (client === undefined) return this.toServer(server, [server.id, rest[0]!, Wire.farewell])
    if (Wire.isOurs([client.id])) return this.toClient(client, [client.id, server.id, frame])
    const envelope = rest.slice(1, -1)
    if (!Wire.isWord(frame)) client.asked.answer(envelope)
    else if (Wire.wordOf(frame)?.kind !== "bye" || !client.asked.mayHear(envelope)) return
    this.toClient(client, [client.id, ...envelope, frame])
  }

  private ready(id: Buffer, known: Peer | undefined, text: string): void {
    const limit = Wire.helloOf(text)?.limit ?? 0
    const server: Peer = known ?? new Peer(id, this.back, () => this.serverLeft(server, { why: "lost", text: "" }))
    server.limit = limit
    server.out.send([id, Wire.broker(this.most.back)])
    if (known !== undefined) return
    this.servers.set(latin1(id), server)
    this.bereft = 0
    this.onServers(this.servers.size)
    for (const client of [...this.clients.values()]) {
      if (client.isGreeted) this.toClient(client, [client.id, server.id, isReady])
      for (const message of client.waiting.splice(0)) this.fromOther(client, message)
    }
  }

  private toServer(server: Peer, message: Outgoing): void {
    server.out.send(message)
    if (server.out.pending <= this.mostPending) return
    this.drop("a server does not read what clients ask, and was ended")
    this.endServer(server, { why: "behind", text: `more than ${this.mostPending} messages wait for it at the broker` })
  }

  private serverLeft(server: Peer, goodbye: Wire.Goodbye): void {
    if (!this.servers.delete(latin1(server.id))) return
    server.out.clear()
    this.onServers(this.servers.size)
    const bye = Wire.goodbye(goodbye)
    for (const client of [...this.clients.values()]) {
      if (client.isGreeted) this.toClient(client, [client.id, server.id, bye])
      else if (client.server === server) for (const word of wordsTo(client, bye)) this.toClient(client, word)
      if (client.server === server) client.server = undefined
      client.others.delete(server)
    }
    server.others.clear()
  }

  private endServer(server: Peer, goodbye: Wire.Goodbye): void {
    this.serverLeft(server, goodbye)
    this.back.outbox.offer([server.id, Wire.goodbye(goodbye)])
  }

  private drop(why: string): void {
    this.dropped++
    this.onDropped(why)
  }
}

const isReady = Wire.say("ready")

/** A word for a client of ours, or for all that one of another kind waits for. */
const wordsTo = (client: Peer, word: Buffer): ReadonlyArray<Outgoing> =>
  Wire.isOurs([client.id]) ? [[client.id, word]] : client.asked.answers(client.id, word)

const join = (client: Peer, server: Peer): void => {
  client.others.add(server)
  server.others.add(client)
}
