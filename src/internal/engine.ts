/**
 * The port: what an engine owes the library above it. There is nothing in here
 * but types.
 *
 * An engine makes sockets. All of it belongs to one event loop: while JavaScript
 * runs, nothing changes behind its back.
 *
 * - What an engine tells its owner it tells later, and never from within a call of
 *   its owner's. A `done` alone may be called at once. Until `open` has returned it
 *   tells and asks nothing.
 * - No promise carries a message, and what was answered "sent" does not come back.
 * - What it takes from the network, or hands over, counts for the turn of the event
 *   loop (`turn.ts`): when that is over, it tells of messages in the next one.
 * - Between `dismiss` and `close` offers and room go on, for what is still owed.
 *   After `close` it tells nothing but the `done` of that, and of what was under way.
 *
 * What a message is made of is as in libzmq: a ROUTER, STREAM and SERVER have the
 * routing id first, REQ and REP no envelope, an XPUB subscriptions as 1 or 0 and the
 * topic, a STREAM an empty frame for a peer that comes or goes, drafts what is said
 * of them in `draft/sockets.ts`.
 */
import type { Message, Outgoing } from "../Message.ts"
import type { SocketEvent } from "../SocketEvent.ts"
import type { SocketType } from "./socketTypes.ts"

export interface Engine {
  /**
   * Makes a socket, which tells its owner what happens. Throws an error with a
   * `code`: `EMFILE`, `ENFILE` or `ENOMEM` when there is no room for it, `ETERM` when
   * its context is closed, `ERR_ENGINE_MISSING` where the engine cannot run,
   * `ERR_ENGINE_UNSUPPORTED` on a runtime that it does not know, `ERR_ENGINE_DRAFT` for a
   * type that it does not have.
   */
  readonly open: (opening: Opening, owner: Owner) => EngineSocket
  /** A context with inproc names of its own, or without options that of the process. Throws as well. */
  readonly openContext: (options?: ContextSettings) => EngineContext
}

/** Options of a context, as they are named in `ZmqContext.ts`. */
export type ContextSettings = Readonly<Record<string, boolean | number | undefined>>

/** Where names over inproc are known. */
export interface EngineContext {
  /** To be called when all its sockets are closed. */
  close(): void
}

/** One option as it is set: by the name that zeromq.js has for it, with the value that libzmq takes. */
export interface Setting {
  readonly option: string
  readonly value: boolean | number | string | Buffer | null
  /** What the program gave; a `Redacted` for a secret, and undefined where it is a default of ours. */
  readonly given: unknown
  readonly expected: string
}

/** What has to be known of a socket when it is made. */
export interface Opening {
  readonly type: SocketType
  readonly context: EngineContext
  /**
   * At most so many messages should be taken from the network at a time that nobody
   * has asked for. What has to be read further, so that the end of a peer is seen, the
   * engine bounds itself.
   */
  readonly prefetch: number
  readonly conflate: boolean
  readonly noDrop: boolean
  /** Whether to watch connections from the first endpoint on; undefined as the engine thinks best. */
  readonly monitor: boolean | undefined
  /**
   * What is received when a peer has left, behind all that it had sent: of a ROUTER that
   * is bound, headed by its routing id, and of a DEALER that has connected. Undefined:
   * nothing. An engine that cannot tell leaves it out.
   */
  readonly farewell?: Buffer | undefined
}

/** Whoever has a socket. */
export interface Owner {
  /** How many messages it would take now. At 0 what it has asked for by `listen` may lapse: it listens again. */
  readonly wanted: number
  /** How many messages it has had sent. */
  readonly sent: number
  /** There are messages to take, after it was asked to `listen`: once for each time, also for those that were here already. */
  readonly onMessages: () => void
  /** Who waits for room in a lane may try again: it has room, or its peer has left, or only an attempt can tell. */
  readonly onRoom: (lane: Lane) => void
  /** Something became of a connection, in the order in which it happened: of one that we made, the endpoint as it was given. */
  readonly onEvent: (event: SocketEvent, connectedTo: string | undefined) => void
  /** Who is there, or what they subscribe to, has changed, and not by a call of the owner's. */
  readonly onPeers: () => void
  /** The engine dropped messages that peers had sent it. */
  readonly onDropped: () => void
  /** Nothing can be received any more. */
  readonly onEnd: () => void
}

/**
 * What became of a message that was offered.
 * - sent: it is the engine's. A PUB or XPUB without `noDrop` always says so.
 * - full: there is no room now, or no peer yet.
 * - unroutable: it names a peer that is not there (ROUTER, STREAM, SERVER).
 * - outOfTurn: it is the peer's turn to send (REQ, REP).
 */
export type Offer = "sent" | "full" | "unroutable" | "outOfTurn" | "closed"

/** Messages to send in turn. `peek` gives the next one as often as it is called, until it is `sent`; undefined ends it. */
export interface Source {
  readonly peek: () => Outgoing | undefined
  readonly sent: () => void
}

/** What has room of its own: a peer of a ROUTER, STREAM or SERVER, by its routing id as latin1; or else all peers, `""`. */
export type Lane = string

/** Where a peer is connected from, and as whom ZAP let it in: as in `Message.ts`. */
export interface Whence {
  readonly address: string | undefined
  readonly userId: string | undefined
}

/** Something that takes its time, and can be given up: then it is as if it had never begun, and its `done` is not called. */
export type GiveUp = () => void

/** How it ended: with a value, or with an error that has a `code`. */
export type Done<A> = (error: unknown, value?: A) => void

export interface EngineSocket {
  // In

  /** How many messages can be taken now. */
  readonly ready: number
  /** The next message, fairly from all peers. Only while one is `ready`. */
  take(): Message
  /** Its owner waits for messages: tells `onMessages` once when there are some. Asked again before that, it is the same wish. */
  listen(): void
  /**
   * Sees what has come by now, from the network too, and calls `done`, at once or a
   * moment later: nothing is `ready` then only if there was nothing. At most `max` need
   * be. What is here already is enough, but with `conflate`, where it may be out of date.
   */
  look(max: number, done: () => void): void
  /**
   * Remembers from now on who messages are from that are taken, and gives what tells of
   * one. An engine that knows nothing of peers does not have it.
   */
  readonly rememberPeers?: () => (message: Message) => Whence | undefined
  /**
   * Leaves with a peer what it sends, or takes that again, as often as it is asked to.
   * The others are served on. When the peer has left it is over. Returns how many messages
   * are on their way to it: who reads has fewer. An engine that has all peers in one queue
   * does not have it.
   */
  readonly holdBack?: (lane: Lane, isHeldBack: boolean) => number
  /** How many messages came that are not `ready`: those of peers that are held back, or that wait for their name. */
  readonly waiting?: number
  /** Nobody receives any more. What still comes is dropped, and counted in `left`. */
  dismiss(): void

  // Out

  /** Offers a message, with the answer at once. */
  offer(message: Outgoing): Offer
  /** Offers messages in turn, until there are no more or one is refused. */
  offerAll(source: Source): Promise<Offer>
  /** Somebody waits for room in a lane, or waits again: tells `onRoom` once, though there may be room by now. */
  awaitRoom(lane: Lane): void
  /** Nobody waits in it any more, whether or not it was told. */
  forgoRoom(lane: Lane): void

  // Settings

  /** Sets an option. Throws where it cannot be; what would be right may be the `expected` of what it throws. */
  set(setting: Setting): void
  subscribe(topic: Buffer): void
  unsubscribe(topic: Buffer): void

  // Endpoints

  /** Binds, and gives the endpoint as it was resolved. Done at once, or later. */
  bind(endpoint: string, done: Done<string>): GiveUp
  /** Ends a bind, by the resolved endpoint. Done when that is free. */
  unbind(endpoint: string, done: Done<void>): void
  /** Begins to connect. The peer need not be there. There is one connection to an endpoint: again is nothing. */
  connect(endpoint: string, done: Done<void>): GiveUp
  /** Ends a connection. Throws an error with a `code`. */
  disconnect(endpoint: string): void

  // Peers

  /** Tells `onEvent` of connections from now on. Says whether there was room for that. */
  watch(): boolean
  /** Whether it does. */
  readonly watched: boolean
  /** Why it is not known who is there, if it is not. */
  peersUnknown(): string | undefined
  /** How many peers there are, and whether all of them are known. */
  readonly peers: number
  readonly knowsPeers: boolean
  /** How many have come in where it is bound, if that is known. */
  peersAt(endpoint: string): number | undefined
  /** Whether the peer is there that was connected to. */
  isConnected(endpoint: string): boolean
  /** Of a PUB or XPUB: its subscriptions, unless they cannot be counted. */
  readonly subscribers: EngineSubscribers | undefined

  // The end

  /**
   * Ends it, and what is under way, and calls `done` when all that was sent is on its
   * way and its endpoints are free, or when `linger` milliseconds have passed, which may
   * be for ever. What went through it is asked for after that, too.
   */
  close(linger: number, done: (delivery: Delivery) => void): void

  // What went through it

  readonly received: { readonly messages: number; readonly bytes: number }
  /** How often it found nothing where something was announced. */
  readonly again: number
  /** Messages of peers that it dropped. */
  readonly dropped: number
  /** Messages that came when nobody received any more. */
  readonly left: number
}

export interface EngineSubscribers {
  /** How many subscriptions match a message that begins with `topic`. */
  matching(topic: Buffer): number
  /** Somebody waits for changes, until the function that is returned is called. Calls `begun` when what is there by now is counted. */
  listen(begun: () => void): () => void
}

/** What became of all that was sent. */
export interface Delivery {
  /** Whether all of it is on its way, as far as is known. */
  readonly inTime: boolean
  /** How many messages were certainly not sent. */
  readonly unsent: number
}
