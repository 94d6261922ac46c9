/** The operations of those who receive. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Zmq from "../../Zmq.ts"
import type { DecodeError, EncodeError } from "../../ZmqError.ts"
import { type Codec, decodeAs, decodeJson, decodeSchema, decodeString, decodeStrings } from "../codec/codec.ts"
import { inTrace, type TraceOf, traceOf } from "../codec/traced.ts"
import { type BatchSize, nextBatch } from "../receive/batch.ts"
import { forEachMessage, type Worker } from "../receive/handlers.ts"
import { invalidWarning, keeping, sorting } from "../receive/invalid.ts"
import { asksWho, knowsPeers, nobody, peersOf } from "../receive/peer.ts"
import { type Decode, Receiving } from "../receive/receive.ts"
import { type OnFailure, retrying } from "../receive/retry.ts"
import { makeBatches, makeStream } from "../receive/stream.ts"
import type { SocketType } from "../socketTypes.ts"
import type { SocketCore } from "./socket.ts"
import { inSpan } from "./spans.ts"

/** A message as it is. */
export const wholeMessage = (message: Zmq.Message): Zmq.Message => message

const recvWithPeer = (receiving: Receiving, type: SocketType) => {
  const { inbox } = receiving
  const peerOf = peersOf(type, inbox)
  const withPeer: Decode<readonly [Zmq.Message, Zmq.Peer]> = (message) => [message, peerOf(message)]
  const received = receiving.receive("recvWithPeer", withPeer)
  return Effect.suspend(() => {
    inbox.rememberPeers()
    return received
  })
}

export const receivesOf = (receiving: Receiving, type: SocketType) => ({
  recv: receiving.receive("recv", wholeMessage),
  recvWithPeer: recvWithPeer(receiving, type),
  recvString: receiving.receive("recvString", decodeString("recvString")),
  recvStrings: receiving.receive("recvStrings", decodeStrings("recvStrings")),
  recvJson: receiving.receive("recvJson", decodeJson("recvJson")),
  recvSchema: <A>(schema: Schema.Decoder<A>) => receiving.receive("recvSchema", decodeSchema("recvSchema", schema)),
  recvAs: <A>(codec: Codec<A>) => receiving.receive("recvAs", decodeAs("recvAs", codec)),
  tryRecv: receiving.tryReceive(wholeMessage)
})

/** The options of `Handlers.ts`, which knows what can be needed and can fail. */
export interface AnyOptions<M, Made, E, R> extends Zmq.HandlerOptions, OnFailure<M, Made, E, R> {
  readonly until?: Effect.Effect<unknown, E, R>
  readonly onInvalid?: (error: DecodeError, peer: Zmq.Peer) => Effect.Effect<Made, E, R>
}
export type AnyHandler<M, Made, E, R> = (message: M, peer: Zmq.Peer) => Effect.Effect<Made, E, R>

const settled = (_message: unknown, _made: unknown, worker: Worker): Effect.Effect<void> => {
  worker.settle()
  return Effect.void
}

const sizeOf = ({ max, within }: Zmq.BatchOptions): BatchSize => ({
  max: Math.max(1, Math.floor(max) || 1),
  within: Duration.toMillis(within)
})

export const handlersOf = (receiving: Receiving, type: SocketType) => {
  const { inbox } = receiving
  const peerOf = peersOf(type, inbox)
  const warn = invalidWarning()
  const handleBy = <M, E, R>(
    handler: AnyHandler<M, unknown, E, R>,
    options: AnyOptions<M, unknown, E, R>,
    trace?: TraceOf
  ) => {
    if (asksWho(handler) || asksWho(options.onInvalid)) inbox.rememberPeers()
    const spanned = inSpan(options.span, "process", handler)
    const plain = knowsPeers(type, inbox)
      ? (message: M, worker: Worker) => spanned(message, peerOf(worker.lease!.message))
      : (message: M) => spanned(message, nobody)
    const handle =
      trace === undefined
        ? plain
        : (message: M, worker: Worker) => inTrace(trace(worker.lease!.message), plain(message, worker))
    const { orElse, retry } = options
    return retry === undefined && orElse === undefined
      ? handle
      : retrying<M, unknown, E | EncodeError, R, never>(
          { retry: retry as never, orElse: orElse as never },
          handle,
          settled
        )
  }
  return {
    runForEach:
      <M>(decode: Decode<M>) =>
      <E, R>(handler: AnyHandler<M, unknown, E, R>, options: AnyOptions<M, unknown, E, R> = {}) =>
        forEachMessage<M, E | EncodeError, R>(
          receiving,
          { operation: "runForEach", decode, concurrency: options.concurrency, until: options.until },
          handleBy(handler, options)
        ),
    batches:
      <M>(whole: (message: Zmq.Message) => M) =>
      (size: Zmq.BatchOptions) =>
        makeBatches(receiving, whole, sizeOf(size)),
    runForEachBatch:
      <M>(whole: (message: Zmq.Message) => M) =>
      <E, R>(
        handler: (batch: ReadonlyArray<M>) => Effect.Effect<unknown, E, R>,
        options: AnyOptions<ReadonlyArray<M>, unknown, E, R> & Zmq.BatchOptions
      ) =>
        forEachMessage<ReadonlyArray<M>, E | EncodeError, R>(
          receiving,
          {
            operation: "runForEachBatch",
            decode: (message) => [whole(message)],
            concurrency: options.concurrency,
            until: options.until,
            next: (lending, { gate, onStop }) =>
              gate.withPermits(1)(nextBatch(receiving.inbox, lending, sizeOf(options), onStop))
          },
          handleBy(handler, options)
        ),
    runForEachAs: <M, E, R>(
      decode: Decode<M>,
      handler: AnyHandler<M, unknown, E, R>,
      options: AnyOptions<M, unknown, E, R> = {},
      trace?: TraceOf
    ) => {
      const onInvalid = options.onInvalid ?? warn
      return forEachMessage(
        receiving,
        {
          operation: "runForEachAs",
          decode: keeping(decode),
          concurrency: options.concurrency,
          until: options.until
        },
        sorting(handleBy(handler, options, trace), (error, worker) => onInvalid(error, peerOf(worker.lease!.message)))
      )
    }
  }
}

const handlers = (receiving: Receiving, type: SocketType) => {
  const { batches, runForEach, runForEachAs, runForEachBatch } = handlersOf(receiving, type)
  return {
    batches: batches(wholeMessage),
    runForEachBatch: runForEachBatch(wholeMessage),
    runForEach: runForEach(wholeMessage),
    runForEachAs: <A, E, R>(
      codec: Codec<A>,
      handler: AnyHandler<A, unknown, E, R>,
      options?: AnyOptions<A, unknown, E, R>
    ) => runForEachAs(decodeAs("runForEachAs", codec), handler, options, traceOf(codec))
  }
}

export const receiverOf = (receiving: Receiving, type: SocketType) => ({
  ...receivesOf(receiving, type),
  drain: receiving.drain(wholeMessage),
  messages: makeStream(receiving, "messages", wholeMessage),
  strings: makeStream(receiving, "strings", decodeString("strings")),
  stream: <A>(schema: Schema.Decoder<A>) => makeStream(receiving, "stream", decodeSchema("stream", schema)),
  streamAs: <A>(codec: Codec<A>) => makeStream(receiving, "streamAs", decodeAs("streamAs", codec)),
  ...handlers(receiving, type)
})

export const receivingOf = (core: SocketCore) => new Receiving(core.inbox, core.options.receiveTimeout)
