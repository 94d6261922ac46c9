/**
 * The twelve socket types: which operations each has, and how they are made.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { Outgoing } from "../../Message.ts"
import type { Status } from "../../Status.ts"
import type * as Zmq from "../../Zmq.ts"
import {
  type Closed,
  DecodeError,
  EncodeError,
  InvalidState,
  OpenError,
  OptionError,
  type Refused,
  type SocketError
} from "../../ZmqError.ts"
import { callable } from "../callable.ts"
import {
  type Codec,
  decodeAs,
  decodeJson,
  decodeSchema,
  decodeString,
  decodeStrings,
  encodeAs,
  encodeJson,
  encodeSchema
} from "../codec/codec.ts"
import { inTrace, type TraceOf, traceOf } from "../codec/traced.ts"
import { type BatchSize, nextBatch } from "../receive/batch.ts"
import { forEachMessage, type Worker } from "../receive/handlers.ts"
import { invalidWarning, keeping, sorting } from "../receive/invalid.ts"
import { knowsPeers, nobody, peersOf } from "../receive/peer.ts"
import { type Decode, Receiving } from "../receive/receive.ts"
import { type OnFailure, retrying } from "../receive/retry.ts"
import { makeBatches, makeStream } from "../receive/stream.ts"
import { DealerRequests } from "../request/dealer.ts"
import { RepTurn } from "../request/rep.ts"
import { ReqTurn } from "../request/req.ts"
import { serve } from "../request/serve.ts"
import { type Check, checkOutgoing, isFrame, noRule, type SendError, Sending } from "../send/send.ts"
import { isSubscription } from "../subscription.ts"
import { openSocket, whenOpen } from "./open.ts"
import { oneTopic, type SocketType, type StableType } from "./options.ts"
import { link, type SocketCore } from "./socket.ts"
import { isSame } from "./status.ts"

const wholeMessage = (message: Zmq.Message): Zmq.Message => message

const isInvalidState = (error: unknown): error is InvalidState => error instanceof InvalidState
const isNever = (_: unknown): _ is never => false

/** What all sockets have, with the operations of a type. */
export const socketOf = <S extends Zmq.Socket>(core: SocketCore, operations: object): S => {
  const socket = {
    type: core.type,
    // A scope undoes what was done in it, unless it was undone before.
    bind: (endpoint: string) =>
      Effect.map(
        Effect.acquireRelease(
          core.places.bind(endpoint),
          (bound) => Effect.ignore(core.places.unbind(bound)),
          interruptible
        ),
        ({ resolved }) => resolved
      ),
    connect: (endpoint: string) =>
      Effect.asVoid(
        Effect.acquireRelease(
          core.places.connect(endpoint),
          (connected) => Effect.ignore(core.places.disconnect(connected)),
          interruptible
        )
      ),
    unbind: (endpoint: string) => core.places.unbind(endpoint),
    disconnect: (endpoint: string) => core.places.disconnect(endpoint),
    events: Stream.unwrap(
      Effect.suspend(() =>
        core.watch()
          ? Effect.succeed(core.connections.events)
          : Effect.fail(new OpenError({ socketType: core.type, reason: "TooManySockets" }))
      )
    ),
    status: Effect.sync(() => {
      core.watch()
      return core.status
    }),
    statusChanges: changesOf(core),
    awaitConnected: callable(
      Effect.suspend(() => awaitConnected(core)),
      () => awaiting(core, "awaitConnected", () => core.isConnected())
    ),
    awaitPeers: (count: number) => awaiting(core, "awaitPeers", () => core.hasPeers(count)),
    ...operations
  }
  const made: object = Object.assign(Object.create(Inspectable.BaseProto), socket)
  link(made, core)
  return Object.defineProperties(made, {
    endpoints: { get: () => core.endpoints, enumerable: true },
    stats: { get: () => core.stats, enumerable: true },
    toJSON: {
      value: () => ({ _id: `Zmq.${core.type}`, endpoints: core.endpoints, closed: core.closed, stats: core.stats })
    }
  }) as unknown as S
}

const interruptible = { interruptible: true } as const

const awaiting = (core: SocketCore, operation: string, isSo: () => boolean) =>
  Effect.andThen(
    whenOpen(core, operation, isInvalidState, () => core.checkPeers(operation)),
    core.connections.changed.until(operation, isSo)
  )

// A refusal from before may be settled by now: the connection is tried again.
const awaitConnected = (
  core: SocketCore,
  since = core.refusedUntilNow
): Effect.Effect<void, Closed | InvalidState | Refused> =>
  Effect.flatMap(
    awaiting(core, "awaitConnected", () => core.isConnected() || core.refusedSince(since) !== undefined),
    () => {
      if (core.isConnected()) return Effect.void
      const refused = core.refusedSince(since)
      // Connected, and lost again meanwhile.
      return refused === undefined ? awaitConnected(core, since) : Effect.fail(refused)
    }
  )

/** The newest status whenever it is another than the last: whoever reads slowly skips some. */
const changesOf = (core: SocketCore): Stream.Stream<Status> =>
  Stream.unfold(undefined as Status | undefined, (last) =>
    Effect.suspend(() => {
      core.watch()
      let status = core.status
      const isNew = (): boolean => {
        status = core.status
        return last === undefined || !isSame(status, last)
      }
      return core.connections.changed.until("statusChanges", isNew).pipe(
        Effect.map(() => [status, status] as const),
        Effect.catchTag("Closed", () => Effect.succeed(undefined))
      )
    })
  )

// A list would be taken for the bytes of one topic. TypeScript refuses it, so it is a defect.
const topicOf = (topic: string | Uint8Array): Buffer => {
  if (isFrame(topic)) return Buffer.from(topic as string)
  throw new OptionError({ option: "topic", value: topic, expected: "one topic, as a string or a Uint8Array" })
}

const publisherOf = (core: SocketCore) => ({
  awaitSubscribers: (topic: string | Uint8Array, count = 1) =>
    Effect.flatMap(
      whenOpen(core, "awaitSubscribers", isInvalidState, () => {
        const { subscribers } = core.engine
        if (subscribers !== undefined && !core.options.uncountable) return subscribers
        throw new InvalidState({
          operation: "awaitSubscribers",
          expected: "A socket with `conflate` or `invertMatching` does not know its subscribers"
        })
      }),
      (subscribers) => {
        const bytes = topicOf(topic)
        const isSo = () => subscribers.matching(bytes) >= count
        return Effect.suspend(() => {
          let stop = (): void => {}
          const begin = Effect.callback<void>((resume) => {
            stop = subscribers.listen(() => resume(Effect.void))
          })
          return Effect.andThen(begin, core.connections.changed.until("awaitSubscribers", isSo)).pipe(
            Effect.ensuring(Effect.sync(() => stop()))
          )
        })
      }
    )
})

const withPeer =
  (peerOf: (message: Zmq.Message) => Zmq.Peer): Decode<readonly [Zmq.Message, Zmq.Peer]> =>
  (message) => [message, peerOf(message)]

const receivesOf = (receiving: Receiving, type: SocketType) => ({
  recv: receiving.receive("recv", wholeMessage),
  recvWithPeer: receiving.receive("recvWithPeer", withPeer(peersOf(type))),
  recvString: receiving.receive("recvString", decodeString("recvString")),
  recvStrings: receiving.receive("recvStrings", decodeStrings("recvStrings")),
  recvJson: receiving.receive("recvJson", decodeJson("recvJson")),
  recvSchema: <A>(schema: Schema.Decoder<A>) => receiving.receive("recvSchema", decodeSchema("recvSchema", schema)),
  recvAs: <A>(codec: Codec<A>) => receiving.receive("recvAs", decodeAs("recvAs", codec)),
  tryRecv: receiving.tryReceive(wholeMessage)
})

const kinds = { process: "consumer", respond: "server", request: "client" } as const

// Only where it is asked for: a span for each message costs more than the message.
export const inSpan = <Args extends Array<unknown>, A, E, R>(
  name: string | undefined,
  operation: keyof typeof kinds,
  handler: (...args: Args) => Effect.Effect<A, E, R>
) => {
  if (name === undefined) return handler
  const options = {
    kind: kinds[operation],
    attributes: { "messaging.system": "zeromq", "messaging.operation.name": operation }
  } as const
  return (...args: Args) => Effect.withSpan(handler(...args), name, options)
}

/** The options of `Handlers.ts`, which knows what can be needed and can fail. */
export interface AnyOptions<M, Made, E, R> extends Zmq.HandlerOptions, OnFailure<M, Made, E, R> {
  readonly until?: Effect.Effect<unknown, E, R>
  readonly onInvalid?: (error: DecodeError, peer: Zmq.Peer) => Effect.Effect<Made, E, R>
}
type AnyHandler<M, Made, E, R> = (message: M, peer: Zmq.Peer) => Effect.Effect<Made, E, R>

const settled = (_message: unknown, _made: unknown, worker: Worker): Effect.Effect<void> => {
  worker.settle()
  return Effect.void
}

const sizeOf = ({ max, within }: Zmq.BatchOptions): BatchSize => ({
  max: Math.max(1, Math.floor(max) || 1),
  within: Duration.toMillis(within)
})

export const handlersOf = (receiving: Receiving, type: SocketType) => {
  const peerOf = peersOf(type)
  const warn = invalidWarning()
  const handleBy = <M, E, R>(
    handler: AnyHandler<M, unknown, E, R>,
    options: AnyOptions<M, unknown, E, R>,
    trace?: TraceOf
  ) => {
    const spanned = inSpan(options.span, "process", handler)
    const plain = knowsPeers(type)
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

/** `serve` and `serveAs`. `headed` puts before a request what its handler is to know. */
export const responderOf = <M, Made>(
  receiving: Receiving,
  sending: Sending,
  type: "rep" | "router",
  whole: (body: Zmq.Message, routingId: Buffer | undefined) => M
) => {
  const warn = invalidWarning()
  return {
    serve: <E, R>(handler: AnyHandler<M, Made, E, R>, options?: AnyOptions<M, Made, E | SendError, R>) =>
      serve<M, Made, E | SendError, R>(receiving, sending, type, {
        ...options,
        operation: "serve",
        decode: whole,
        encode: (made) => made as Outgoing | undefined,
        handler: inSpan(options?.span, "respond", handler)
      }),
    serveAs: <Q, P, E, R>(
      decode: (body: Zmq.Message, routingId: Buffer | undefined) => Q | DecodeError,
      encode: (reply: P) => Outgoing | EncodeError,
      handler: AnyHandler<Q, P, E, R>,
      options?: AnyOptions<Q, P | undefined, E | SendError, R>,
      trace?: TraceOf
    ) =>
      serve<Q, P | undefined, E | SendError, R>(receiving, sending, type, {
        ...options,
        onInvalid: options?.onInvalid ?? warn,
        operation: "serveAs",
        decode,
        trace,
        encode: (made) => (made === undefined ? undefined : encode(made)),
        handler: inSpan(options?.span, "respond", handler)
      })
  }
}

type Codecs<Q, P> = { readonly request: Codec<Q>; readonly reply: Codec<P> }

const serversOf = (receiving: Receiving, sending: Sending, type: "rep" | "router") => {
  const { serve, serveAs } = responderOf<Zmq.Message, Outgoing | undefined>(receiving, sending, type, wholeMessage)
  return {
    serve,
    serveAs: <Q, P, E, R>(
      { reply, request }: Codecs<Q, P>,
      handler: AnyHandler<Q, P, E, R>,
      options?: AnyOptions<Q, P | undefined, E | SendError, R>
    ) => serveAs(decodeAs("serveAs", request), encodeAs("serveAs", reply), handler, options, traceOf(request))
  }
}

/** `request` and `requestAs`. */
const requestsOf = <E>(request: (message: Outgoing) => Effect.Effect<Zmq.Message, E>) => {
  return {
    request: (message: Outgoing, options?: Zmq.RequestOptions) => inSpan(options?.span, "request", request)(message),
    requestAs: <Q, P>(codecs: Codecs<Q, P>) => {
      const encode = encodeAs("requestAs", codecs.request)
      const decode = decodeAs("requestAs", codecs.reply)
      // Encoded within the span, which a traced codec writes down.
      const asked = (value: Q) =>
        Effect.suspend((): Effect.Effect<P, E | EncodeError | DecodeError> => {
          const message = encode(value)
          if (message instanceof EncodeError) return Effect.fail(message)
          return Effect.flatMap(request(message), (reply) => {
            const value = decode(reply)
            return value instanceof DecodeError ? Effect.fail(value) : Effect.succeed(value)
          })
        })
      return (value: Q, options?: Zmq.RequestOptions) => inSpan(options?.span, "request", asked)(value)
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

const sendsOf = (sending: Sending) => {
  const sendEncoded =
    <A>(operation: string, encode: (value: A) => Outgoing | EncodeError) =>
    (value: A) =>
      Effect.suspend(() => {
        const message = encode(value)
        return message instanceof EncodeError ? Effect.fail(message) : sending.send(operation, message)
      })
  return {
    send: (message: Outgoing) => sending.send("send", message),
    sendJson: sendEncoded("sendJson", (value: unknown) => encodeJson("sendJson", value)),
    sendSchema: <A>(schema: Schema.Codec<A, unknown>) => sendEncoded("sendSchema", encodeSchema("sendSchema", schema)),
    sendAs: <A>(codec: Codec<A>) => sendEncoded("sendAs", encodeAs("sendAs", codec)),
    trySend: (message: Outgoing) => sending.trySend("trySend", message)
  }
}

export const senderOf = (sending: Sending) => ({
  ...sendsOf(sending),
  sendAll: (messages: Iterable<Outgoing>) => sending.sendAll("sendAll", messages),
  sink: Sink.forEachArray((messages: readonly [Outgoing, ...Array<Outgoing>]) =>
    messages.length === 1 ? sending.sendBy(sending.rule, "sink", messages[0]) : sending.sendAll("sink", messages)
  )
})

const subscriberOf = (core: SocketCore) => {
  const change = (operation: string, run: () => void) => whenOpen(core, operation, isNever, run)
  return {
    subscribe: (topic: string | Uint8Array) =>
      Effect.suspend(() => {
        const bytes = topicOf(topic)
        if (core.options.conflate && !core.subscriptions.has(bytes)) {
          throw new OptionError({ option: "topic", value: topic, expected: `${oneTopic}: open another socket for it` })
        }
        return Effect.asVoid(
          Effect.acquireRelease(
            whenOpen(core, "subscribe", isNever, () => core.subscriptions.add(bytes)),
            (token) => Effect.ignore(change("unsubscribe", () => core.subscriptions.remove(bytes, token)))
          )
        )
      }),
    unsubscribe: (topic: string | Uint8Array) => change("unsubscribe", () => core.subscriptions.remove(topicOf(topic)))
  }
}

export const receivingOf = (core: SocketCore) => new Receiving(core.inbox, core.options.receiveTimeout)
const sendingOf = (core: SocketCore) =>
  new Sending(core.outbox, core.options.sendTimeout, noRule, core.options.conflate ? checkSingle : checkOutgoing)
// libzmq would send each of its frames in the place of the one before.
const checkSingle: Check = (operation, value) =>
  Array.isArray(value) && value.length > 1
    ? new EncodeError({
        operation,
        value,
        expected: "one frame beside conflate, with which libzmq keeps the last alone"
      })
    : checkOutgoing(operation, value)
// libzmq would send such a frame as a message of its own, or drop it, and some
// peers would take what is left over for the beginning of another message.
const checkUpstream: Check = (operation, value) =>
  Array.isArray(value) && value.length > 1 && value.some((frame) => isFrame(frame) && isSubscription(frame))
    ? new EncodeError({
        operation,
        value,
        expected:
          "no frame that begins with the byte 0 or 1 in a message of several: libzmq takes it for a subscription, and splits the message"
      })
    : checkOutgoing(operation, value)
const sendingUpstream = (core: SocketCore) => new Sending(core.outbox, core.options.sendTimeout, noRule, checkUpstream)
// A STREAM that is given a third frame says that it is sent, and loses those that follow.
const sendingBytes = (core: SocketCore) =>
  new Sending(core.outbox, core.options.sendTimeout, noRule, (operation, value) =>
    Array.isArray(value) && value.length > 2
      ? new EncodeError({ operation, value, expected: "a list of the peer's routing id and one frame of bytes for it" })
      : checkOutgoing(operation, value, 2)
  )
// Of a message that is a routing id alone libzmq would send nothing.
const sendingToPeers = (core: SocketCore) =>
  new Sending(core.outbox, core.options.sendTimeout, noRule, (operation, value) => checkOutgoing(operation, value, 2))

// What a type has besides what all sockets have.
const operations: { readonly [Type in StableType]: (core: SocketCore) => object } = {
  pull: (core) => receiverOf(receivingOf(core), core.type),
  push: (core) => senderOf(sendingOf(core)),
  pub: (core) => ({ ...senderOf(sendingOf(core)), ...publisherOf(core) }),
  sub: (core) => ({ ...receiverOf(receivingOf(core), core.type), ...subscriberOf(core) }),
  req: (core) => {
    const turn = new ReqTurn(core.inbox, core.options.relaxed)
    const sending = new Sending(core.outbox, core.options.sendTimeout, turn.sending)
    const receiving = new Receiving(core.inbox, core.options.receiveTimeout, turn.receiving)
    return {
      ...receivesOf(receiving, core.type),
      ...sendsOf(sending),
      ...requestsOf(turn.requester(sending, receiving))
    }
  },
  rep: (core) => {
    const turn = new RepTurn()
    const sending = new Sending(core.outbox, core.options.sendTimeout, turn.sending)
    const receiving = new Receiving(core.inbox, core.options.receiveTimeout, turn.receiving)
    return {
      ...receivesOf(receiving, core.type),
      ...sendsOf(sending),
      ...serversOf(receiving, sending, "rep")
    }
  },
  dealer: (core) => {
    const sending = sendingOf(core)
    const requests = new DealerRequests(sending, core.inbox, core.options.receiveTimeout)
    return {
      ...receiverOf(receivingOf(core), core.type),
      ...senderOf(sending),
      ...requestsOf((message) => requests.request(message))
    }
  },
  router: (core) => {
    const sending = sendingToPeers(core)
    const receiving = receivingOf(core)
    return {
      ...receiverOf(receiving, core.type),
      ...senderOf(sending),
      ...serversOf(receiving, sending, "router")
    }
  },
  pair: (core) => ({ ...receiverOf(receivingOf(core), core.type), ...senderOf(sendingOf(core)) }),
  xpub: (core) => ({ ...receiverOf(receivingOf(core), core.type), ...senderOf(sendingOf(core)), ...publisherOf(core) }),
  xsub: (core) => ({
    ...receiverOf(receivingOf(core), core.type),
    ...senderOf(sendingUpstream(core)),
    ...subscriberOf(core)
  }),
  rawStream: (core) => ({ ...receiverOf(receivingOf(core), core.type), ...senderOf(sendingBytes(core)) })
}

// The operations are written once, for all types: which of them fail with what
// is for the interfaces in `Zmq.ts` to say.
const open =
  <S extends Zmq.Socket & { readonly type: StableType }>(type: S["type"]) =>
  (options?: object): Effect.Effect<S, SocketError, Scope.Scope> =>
    Effect.map(openSocket(type, options), (core) => socketOf<S>(core, operations[type](core)))

export const pull = open<Zmq.Pull>("pull")
export const push = open<Zmq.Push>("push")
export const pub = open<Zmq.Pub>("pub")
export const sub = open<Zmq.Sub>("sub")
export const req = open<Zmq.Req>("req")
export const rep = open<Zmq.Rep>("rep")
export const dealer = open<Zmq.Dealer>("dealer")
export const router = open<Zmq.Router>("router")
export const pair = open<Zmq.Pair>("pair")
export const xpub = open<Zmq.XPub>("xpub")
export const xsub = open<Zmq.XSub>("xsub")
export const rawStream = open<Zmq.RawStream>("rawStream")
