/**
 * A socket of zeromq.js without its traps, which the rest of this engine builds on:
 * it hands over messages, accepts a message or says why not, and never throws on
 * the receive and send paths. Tests put a scripted one in its place.
 */
import type { Message, Outgoing } from "../../Message.ts"
import type { Offer, Setting, Source } from "../engine.ts"
import type { SocketType } from "../socketTypes.ts"
import type { ConnectionEvent, NativeContext } from "./raw.ts"

/** Only one `receive` or `receiveBurst`, and only one `room`, may be under way at a time. */
export interface NativeSocket {
  /** Waits for one message. Rejects when the socket closes, and with EAGAIN when there was none after all. */
  receive(): Promise<Message>
  /** Whether `receive` has a message that is there at once, and not in the next turn of the event loop. */
  readonly receivesAtOnce: boolean
  /** Hands over at most `max` messages that are there now, and resolves when it has. `undefined` if there are none. */
  receiveBurst(max: number, onMessage: (message: Message) => void): Promise<void> | undefined
  /**
   * Has libzmq see to what its other threads have told it, which it does only
   * when it is asked for something. Not while a `receive` is pending.
   */
  attend(): void
  /** Lets a pending `receive` see what has arrived by now. Says whether it could. */
  recheck(): boolean
  /**
   * Offers a message to libzmq and knows the answer at once. Should libzmq go
   * back on a `sent` (its last peer has left meanwhile), the message
   * comes back through `onReturned`.
   */
  offer(message: Outgoing): Offer
  onReturned: (message: Outgoing) => void
  /** Offers messages in turn, until there are no more or one is refused. */
  offerAll(source: Source): Promise<Offer>
  /**
   * Resolves when there is room, or after a moment: with whether an offer may
   * succeed now. With `false` only after a turn of the event loop, or whoever
   * asks again would never let go of it.
   */
  room(): Promise<boolean>
  set(setting: Setting): void
  subscribe(topic: Buffer): void
  unsubscribe(topic: Buffer): void
  /** Binds and returns the endpoint as libzmq resolved it. */
  bind(endpoint: string): string
  connect(endpoint: string): void
  /** Connects, and takes messages for the peer only when its handshake has succeeded (ZMQ_IMMEDIATE). */
  connectOnceReady(endpoint: string): void
  /** Ends a connection, or unbinds: libzmq's `disconnect` does both. */
  disconnect(endpoint: string): void
  /**
   * Tells from now on what becomes of the connections, until libzmq has done
   * with the socket, which may be some time after `close`. To be called once.
   */
  watch(onEvent: (event: ConnectionEvent) => void, onEnd: () => void): void
  /** Ends whatever is pending. A pending `receive` may still resolve with a message. */
  close(): void
}

/** What has to be known of a socket when it is made. */
export interface NativeOpening {
  readonly context: NativeContext
  readonly noDrop: boolean
  readonly conflate: boolean
  readonly farewell?: Buffer | undefined
}

/** Opens a native socket. Throws what zeromq.js throws. */
export type OpenNative = (type: SocketType, opening: NativeOpening) => NativeSocket
