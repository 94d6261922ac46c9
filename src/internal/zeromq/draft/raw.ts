/** The draft sockets of zeromq.js, as they have to be called. */
import { createRequire } from "node:module"
import type { Frame, Message } from "../../../Message.ts"
import type { Setting } from "../../engine.ts"
import type { DraftType } from "../../socketTypes.ts"
import type { NativeContext, Observer, RawSocket } from "../raw.ts"
import { closeRaw, opened } from "../threads.ts"

/** `zeromq/draft`, which is loaded with the first draft socket: it warns that it is a draft. */
const constructorsOf = (): { readonly [name in ConstructorName]: new (options: object) => unknown } =>
  createRequire(import.meta.url)("zeromq/draft.js")

type ConstructorName = (typeof nameOf)[DraftType]
const nameOf = {
  server: "Server",
  client: "Client",
  radio: "Radio",
  dish: "Dish",
  gather: "Gather",
  scatter: "Scatter",
  datagram: "Datagram"
} as const

/** As zeromq.js has them on draft sockets. */
export interface DraftRawSocket extends Omit<RawSocket, "receive" | "send"> {
  maxMessageSize: number
  /** A frame and what comes with it, or for a DGRAM two frames. */
  receive(): Promise<readonly [Buffer, ...ReadonlyArray<unknown>]>
  send(message: unknown, to?: { readonly routingId: number } | { readonly group: Frame }): Promise<void>
  join(group: Buffer): void
  leave(group: Buffer): void
}

export const ZMQ_SNDHWM = 23
export const ZMQ_RCVTIMEO = 27
const ZMQ_SNDTIMEO = 28
// Options that zeromq.js does not have.
const numberOf: Readonly<Record<string, number>> = { noDrop: 69, multicastLoop: 96 }

export const make = (type: DraftType, context: NativeContext): DraftRawSocket => {
  // Without other options: as in stable.ts.
  const raw = new (constructorsOf()[nameOf[type]])({ context }) as DraftRawSocket
  opened(raw as unknown as RawSocket)
  // Whatever is asked is answered before the call returns.
  raw.setInt32Option(ZMQ_SNDTIMEO, 0)
  raw.setInt32Option(ZMQ_RCVTIMEO, 0)
  return raw
}

export const close = (raw: DraftRawSocket, observer?: Observer): void => closeRaw(raw as unknown as RawSocket, observer)

export const assign = (raw: DraftRawSocket, { option, value }: Setting): void => {
  const number = numberOf[option]
  if (number === undefined) (raw as unknown as Record<string, Setting["value"]>)[option] = value
  else raw.setInt32Option(number, value === true ? 1 : 0)
}

export const asMessage = (parts: readonly [Buffer, ...ReadonlyArray<unknown>]): Message => parts as unknown as Message
