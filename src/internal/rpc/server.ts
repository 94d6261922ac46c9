/**
 * The server's side: who its clients are, what they may do, and what is owed to them.
 *
 * All clients share one loop, which never waits: not in a send, and not in what the
 * server of RPC does with a message. Whatever a client does ends that client alone.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { FromClientEncoded, FromServerEncoded } from "effect/rpc/RpcMessage"
import type { RpcSerialization } from "effect/rpc/RpcSerialization"
import type { Message, Peer } from "../../Message.ts"
import type { SocketCore } from "../socket/socket.ts"
import { type Address, addressed, hasAddress, isReqAt, keyOf, latin1 } from "./address.ts"
import { faultOf, messageOf } from "./requests.ts"
import { ServedClient } from "./servedClient.ts"
import { excessOf } from "./size.ts"
import { Source } from "./source.ts"
import { Values } from "./values.ts"
import * as Wire from "./wire.ts"

interface Bounds {
  /** How many chunks of a stream are on their way at most. */
  readonly window: number
  /** How many replies may wait for a client, and how many calls of it may be under way. */
  readonly maxPendingPerClient: number
  /** Bytes, or -1. */
  readonly maxMessageSize: number
  /** The bytes of a value that it takes, or Infinity. */
  readonly most: number
}

interface Surroundings {
  readonly serialization: RpcSerialization["Service"]
  readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  /** A client of which the server of RPC knows is there no more. */
  readonly onLeft: (clientId: number) => void
  /** A client was ended by us. */
  readonly onEnded: (goodbye: Wire.Goodbye) => void
}

/** What the server of RPC does with a message. */
type Handle = (clientId: number, message: FromClientEncoded) => Effect.Effect<void>

// Frames in front of a message: one for each hop, and what a REQ adds.
const deepestAddress = 8
// Behind one connection: a forwarder that we know nothing of.
const mostBehindPeer = 10_000
// Who was ended, and is still connected.
const mostEnded = 10_000

export class Server {
  readonly sources = new Set<Source>()
  /** Who wants to know whether there is somebody who serves. */
  readonly serving = new Set<(isServing: boolean) => void>()
  private readonly bounds: Bounds
  private readonly around: Surroundings
  private readonly clients = new Map<number, ServedClient>()
  private handle: Handle | undefined
  private nextId = 0
  /** How many clients were ended for what they did. */
  ended = 0

  constructor(bounds: Bounds, around: Surroundings) {
    this.bounds = bounds
    this.around = around
  }

  // ---------------------------------------------------------------------------
  // the server of RPC
  // ---------------------------------------------------------------------------

  /** Serves by `handle`. Until then, and behind `rest`, what comes waits at the sockets. */
  serve(handle: Handle): void {
    this.handle = handle
    for (const { intake } of this.sources) intake.start()
    for (const tell of this.serving) tell(true)
  }

  rest(): void {
    this.handle = undefined
    for (const { intake } of this.sources) intake.stop()
    for (const tell of this.serving) tell(false)
  }

  get isServing(): boolean {
    return this.handle !== undefined
  }

  get clientIds(): ReadonlySet<number> {
    return new Set(this.clients.keys())
  }

  peerOf(clientId: number): Peer | undefined {
    return this.clients.get(clientId)?.peer
  }

  get calls(): number {
    let calls = 0
    for (const client of this.clients.values()) calls += client.calls.size
    return calls
  }

  get pending(): number {
    let pending = 0
    for (const client of this.clients.values()) pending += client.pending
    return pending
  }

  /** Sends a response. Never waits: what a client has no room for waits in its place, up to a bound. */
  send(clientId: number, response: FromServerEncoded): Effect.Effect<void> {
    return Effect.suspend(() => {
      const client = this.clients.get(clientId)
      if (client === undefined) return Effect.void
      const frame = client.values.encode(response)
      const excess = frame === undefined ? undefined : excessOf("the reply", frame, client.most)
      if (excess !== undefined) return this.refuse(client, response, excess)
      // The last of a batch goes first: what it came with is not to wait for the rest.
      if (response._tag === "Exit") client.calls.delete(response.requestId)
      if (frame !== undefined) client.send(frame)
      if (client.out.pending > this.bounds.maxPendingPerClient) {
        this.end(client, { why: "behind", text: `more than ${this.bounds.maxPendingPerClient} replies wait for it` })
        return Effect.void
      }
      if (client.isOnce && response._tag === "Exit" && client.calls.size + client.pending === 0) this.leave(client)
      return response._tag === "Chunk" ? this.goOn(client, response.requestId) : Effect.void
    })
  }

  // What a client does not take ends its call, with a defect in its place: the server of RPC sees to that.
  private refuse(client: ServedClient, response: FromServerEncoded, excess: Error): Effect.Effect<void> {
    const isOfCall = response._tag === "Exit" || response._tag === "Chunk"
    if (isOfCall && client.calls.delete(response.requestId)) return Effect.die(excess)
    // Not even the defect.
    this.end(client, { why: "rejected", text: excess.message })
    return Effect.void
  }

  /** The server of RPC has done with a client, which had said that it would ask no more; or with all, as it ends itself. */
  finish(clientId: number): Effect.Effect<void> {
    return Effect.sync(() => {
      const client = this.isServing ? this.clients.get(clientId) : undefined
      if (client === undefined) return
      const bye = Wire.goodbye({ why: "rejected", text: "it had said Eof" })
      if (client.isReq) client.say(bye)
      this.forget(client, bye)
    })
  }

  // A stream of effect waits for an Ack behind each chunk. While fewer chunks than the
  // window are on their way, it has one from here.
  private goOn(client: ServedClient, requestId: string | number): Effect.Effect<void> {
    const { handle } = this
    const mayGoOn = client.chunkSent(requestId, handle === undefined ? 0 : this.bounds.window)
    return mayGoOn && handle !== undefined ? handle(client.id, { _tag: "Ack", requestId }) : Effect.void
  }

  // ---------------------------------------------------------------------------
  // clients
  // ---------------------------------------------------------------------------

  add(core: SocketCore, onWord: (word: Wire.Word | undefined) => void = () => {}): Source {
    const source = new Source(core, this.onMessage, onWord)
    this.sources.add(source)
    if (this.handle !== undefined) source.intake.start()
    return source
  }

  /** A socket has ended, and all who came by it are gone. */
  remove(source: Source): void {
    source.intake.stop()
    this.sources.delete(source)
    for (const client of source.all) this.leave(client)
  }

  /** Says goodbye to all clients. */
  close(): void {
    const bye = Wire.goodbye({ why: "closing", text: "" })
    for (const client of [...this.clients.values()]) if (!client.isReq || client.calls.size > 0) client.say(bye)
  }

  /** Calls `run` once nothing waits for any client. */
  whenSent(run: () => void): void {
    let left = this.clients.size
    if (left === 0) return run()
    for (const { out } of [...this.clients.values()]) {
      out.whenEmpty(() => {
        if (--left === 0) run()
      })
    }
  }

  /** Milliseconds have passed: who has been silent for too long is gone. */
  pass(millis: number): void {
    for (const client of [...this.clients.values()]) {
      if (client.limit === 0) continue
      client.idle += millis
      if (client.idle > client.limit) this.end(client, { why: "silent", text: `nothing for ${client.limit} ms` })
    }
  }

  private readonly onMessage = (source: Source, message: Message): void => {
    const frame = message[message.length - 1]!
    const address = message.slice(0, -1)
    if (!hasAddress(address)) return source.onWord(Wire.isWord(frame) ? Wire.wordOf(frame) : undefined)
    if (address.length > deepestAddress) return
    const key = keyOf(address)
    const client = source.client(key)
    if (client !== undefined) client.idle = 0
    if (Wire.isWord(frame)) return this.onWord(source, address, key, client, message, Wire.wordOf(frame))
    // A ROUTER, DEALER or REQ that shows itself (`probeRouter`).
    if (frame.length === 0 && address.length === 1) return
    if (client !== undefined) return this.onFrame(client, frame)
    if (source.ended.has(key)) return this.repeat(source, address, key)
    if (Wire.isOurs(address)) return void source.core.outbox.offer(addressed(address, Wire.stranger))
    const added = this.admit(source, address, key, message)
    if (added !== undefined) this.onFrame(added, frame)
  }

  private onWord(
    source: Source,
    address: Address,
    key: string,
    client: ServedClient | undefined,
    message: Message,
    word: Wire.Word | undefined
  ): void {
    if (word?.kind === "bye") {
      // The engine says that a connection has ended, and so have all that came by it.
      if (address.length === 1) for (const other of [...(source.behind.get(key) ?? [])]) this.leave(other)
      source.ended.delete(key)
      if (client !== undefined) this.leave(client)
    } else if (word?.kind === "hello") {
      const hello = Wire.helloOf(word.text)
      if (hello === undefined || source.ended.has(key)) return
      const admitted = client ?? this.admit(source, address, key, message)
      if (admitted === undefined) return
      admitted.limit = hello.limit
      const { contentType } = this.around.serialization
      if (hello.contentType === contentType) {
        admitted.greet(Math.min(hello.most, source.most))
        return admitted.say(Wire.welcome(this.bounds.most))
      }
      this.end(admitted, { why: "rejected", text: `it speaks ${hello.contentType}, and this server ${contentType}` })
    }
  }

  // The engine knows whom the very message is from that has come, and not of a copy of it.
  private admit(source: Source, address: Address, key: string, message: Message): ServedClient | undefined {
    const first = address.length === 1 ? undefined : source.behind.get(latin1(address[0]))
    if (first !== undefined && first.size >= mostBehindPeer && source.core.type === "router") return undefined
    const values = new Values(this.around.serialization)
    // Of who is behind another, as a broker, the engine knows nothing: only of that other.
    const isDirect = source.core.type === "router" && address.length === 1
    const peer = source.peerOf(isDirect ? message : [...address])
    const client: ServedClient = new ServedClient(this.nextId++, address, key, source, values, peer, () =>
      this.leave(client)
    )
    this.clients.set(client.id, client)
    source.add(client)
    return client
  }

  private onFrame(client: ServedClient, frame: Buffer): void {
    const { maxMessageSize } = this.bounds
    const reject = (text: string): void => this.end(client, { why: "rejected", text })
    // Over inproc nobody else looks.
    if (maxMessageSize >= 0 && frame.length > maxMessageSize) {
      return reject(`a message of ${frame.length} bytes, and at most ${maxMessageSize} are accepted`)
    }
    let values: ReadonlyArray<unknown>
    try {
      values = client.values.decode(frame)
    } catch (error) {
      return reject(`a message is no ${this.around.serialization.contentType}: ${textOf(error)}`)
    }
    for (const value of values) {
      const fault = faultOf(value)
      if (fault !== undefined) return reject(fault)
    }
    const messages = values.map(messageOf)
    if (!client.isBusy) this.run(client, messages)
    else if (client.queued.length < this.bounds.maxPendingPerClient) client.queued.append(messages)
    else this.end(client, { why: "behind", text: "its messages come faster than they can be decoded" })
  }

  private run(client: ServedClient, messages: ReadonlyArray<FromClientEncoded>): void {
    const { handle } = this
    if (handle === undefined) return
    let next = 0
    const fiber = this.around.fork(
      Effect.whileLoop({
        while: () => next < messages.length && this.clients.has(client.id),
        body: () => {
          const message = messages[next++]!
          return this.mayRun(client, message) ? handle(client.id, message) : Effect.void
        },
        step: () => {}
      })
    )
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return this.onRun(client, exit)
    client.isBusy = true
    fiber.addObserver((exit) => {
      client.isBusy = false
      this.onRun(client, exit)
      while (!client.isBusy && client.queued.length > 0 && this.clients.has(client.id)) {
        this.run(client, client.queued.take())
      }
    })
  }

  // The server of RPC answers what is against its rules with an interruption or a defect.
  private onRun(client: ServedClient, exit: Exit.Exit<void>): void {
    if (exit._tag === "Failure" && this.handle !== undefined) {
      this.end(client, { why: "rejected", text: "it asks for what the server does not allow, as a message after Eof" })
    }
  }

  /** Whether the server of RPC is to see a message. */
  private mayRun(client: ServedClient, message: FromClientEncoded): boolean {
    switch (message._tag) {
      case "Request": {
        if (message.isNotification === true) return true
        if (client.calls.has(message.id)) {
          this.end(client, { why: "rejected", text: "it uses the id of a call that is not done" })
          return false
        }
        if (client.calls.size >= this.bounds.maxPendingPerClient) {
          this.end(client, { why: "behind", text: `${client.calls.size} of its calls are not done` })
          return false
        }
        client.calls.set(message.id, undefined)
        return true
      }
      case "Ack":
        return client.acknowledged(message.requestId)
      default:
        return true
    }
  }

  // ---------------------------------------------------------------------------
  // ends
  // ---------------------------------------------------------------------------

  /** Ends a client for what it has done. It is told so, and again should it go on. */
  private end(client: ServedClient, goodbye: Wire.Goodbye): void {
    if (!this.clients.has(client.id)) return
    this.ended++
    const bye = Wire.goodbye(goodbye)
    const { outbox } = client.source.core
    // It does not read what it is sent, or it has no right to the rest.
    client.clear()
    const isTold = outbox.offer(addressed(client.address, bye)) === "sent"
    this.forget(client, isTold && !client.isReq ? undefined : bye)
    this.around.onLeft(client.id)
    this.around.onEnded(goodbye)
  }

  private repeat(source: Source, address: Address, key: string): void {
    const bye = source.ended.get(key)
    if (bye === undefined) return
    const offer = source.core.outbox.offer(addressed(address, bye))
    // A REQ waits for an answer to each of its requests.
    if (offer === "sent" && !isReqAt(address)) source.ended.set(key, undefined)
  }

  private forget(client: ServedClient, bye: Buffer | undefined): void {
    this.strike(client)
    // Its next call is by another address.
    if (client.isOnce) return
    const { ended } = client.source
    ended.set(client.key, bye)
    if (ended.size <= mostEnded) return
    for (const oldest of ended.keys()) {
      ended.delete(oldest)
      break
    }
  }

  /** A client has left by itself. */
  private leave(client: ServedClient): void {
    if (!this.clients.has(client.id)) return
    this.strike(client)
    this.around.onLeft(client.id)
  }

  private strike(client: ServedClient): void {
    this.clients.delete(client.id)
    client.source.remove(client)
    client.clear()
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 200)
