/**
 * What goes over the wire between a DEALER that is a `Socket` and a ROUTER that is a
 * `SocketServer`: messages of a header, and behind that of data the chunks, a frame
 * for each. `docs/socket-server.md` describes it for those who write the other side.
 */
import type { Frame, Message } from "../../Message.ts"

/** What a connection is told, and tells. */
export type Word =
  /** It begins. `window` is what may be sent before more is allowed, `largest` the longest chunk. */
  | { readonly _tag: "Open"; readonly window: number; readonly largest: number }
  | { readonly _tag: "Data"; readonly chunks: ReadonlyArray<Buffer> }
  /** So much more may be sent. With 0 it asks whether the peer is there. */
  | { readonly _tag: "Credit"; readonly more: number }
  /** There will be no more data from here. */
  | { readonly _tag: "End" }
  /** It is over, both ways. */
  | { readonly _tag: "Close"; readonly code: number; readonly reason: string | undefined }

/** The frames of a message, without a routing id. */
export type Frames = readonly [Frame, ...Array<Frame>]

const version = 1
const kinds = { open: 1, data: 2, credit: 3, end: 4, close: 5 } as const

const most = 0xffff_ffff

export const openWord = (window: number, largest: number): Frames => {
  const header = Buffer.alloc(10)
  header.writeUInt8(kinds.open, 0)
  header.writeUInt8(version, 1)
  header.writeUInt32BE(window, 2)
  header.writeUInt32BE(Math.min(largest, most), 6)
  return [header]
}

const dataHeader = Buffer.from([kinds.data])
export const dataWord = (chunks: ReadonlyArray<Frame>): Frames => [dataHeader, ...chunks]

export const creditWord = (more: number): Frames => {
  const header = Buffer.alloc(5)
  header.writeUInt8(kinds.credit, 0)
  header.writeUInt32BE(more, 1)
  return [header]
}

export const endWord: Frames = [Buffer.from([kinds.end])]

// As in a WebSocket. What is longer is cut.
const longestReason = 123

export const closeWord = (code: number, reason: string | undefined): Frames => {
  const text = Buffer.from(reason ?? "").subarray(0, longestReason)
  const header = Buffer.alloc(3)
  header.writeUInt8(kinds.close, 0)
  header.writeUInt16BE(code >= 0 && code <= 0xffff ? code : 1000, 1)
  return [Buffer.concat([header, text])]
}

/** Reads a message, from the frame at `at` on. `undefined` if it is none of these. */
export const wordOf = (message: Message, at: number): Word | undefined => {
  const header = message[at]
  if (header === undefined || header.length === 0) return undefined
  const kind = header[0]
  if (kind === kinds.data) {
    return header.length === 1 && message.length > at + 1 ? { _tag: "Data", chunks: message.slice(at + 1) } : undefined
  }
  if (message.length !== at + 1) return undefined
  switch (kind) {
    case kinds.open:
      return header.length === 10 && header[1] === version
        ? { _tag: "Open", window: header.readUInt32BE(2), largest: header.readUInt32BE(6) }
        : undefined
    case kinds.credit:
      return header.length === 5 ? { _tag: "Credit", more: header.readUInt32BE(1) } : undefined
    case kinds.end:
      return header.length === 1 ? { _tag: "End" } : undefined
    case kinds.close:
      return header.length >= 3
        ? { _tag: "Close", code: header.readUInt16BE(1), reason: header.toString("utf8", 3) || undefined }
        : undefined
    default:
      return undefined
  }
}

// What each chunk counts for beside its bytes: it takes as much to keep it.
const perChunk = 256

/** What chunks count for, of what a peer allows. */
export const costOf = (chunks: ReadonlyArray<Frame>): number => {
  let cost = 0
  for (const chunk of chunks) cost += perChunk + (typeof chunk === "string" ? Buffer.byteLength(chunk) : chunk.length)
  return cost
}

/** How many chunks, and how many bytes unless one chunk has more, a message of data may have. */
export const mostChunks = 256
const mostBytes = 64 * 1024

/** Deals chunks out into messages. */
export const messagesOf = (chunks: ReadonlyArray<Frame>): Array<ReadonlyArray<Frame>> => {
  const messages: Array<Array<Frame>> = []
  let bytes = Number.POSITIVE_INFINITY
  for (const chunk of chunks) {
    const last = messages.at(-1)
    if (last === undefined || last.length >= mostChunks || bytes + chunk.length > mostBytes) {
      messages.push([chunk])
      bytes = chunk.length
    } else {
      last.push(chunk)
      bytes += chunk.length
    }
  }
  return messages
}
