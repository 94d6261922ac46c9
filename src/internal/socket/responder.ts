import * as Effect from "effect/Effect"
import type { Outgoing } from "../../Message.ts"
import type * as Zmq from "../../Zmq.ts"
import { DecodeError, EncodeError } from "../../ZmqError.ts"
import { type Codec, decodeAs, encodeAs } from "../codec/codec.ts"
import { type TraceOf, traceOf } from "../codec/traced.ts"
import { invalidWarning } from "../receive/invalid.ts"
import { asksWho } from "../receive/peer.ts"
import type { Receiving } from "../receive/receive.ts"
import { serve } from "../request/serve.ts"
import type { SendError, Sending } from "../send/send.ts"
import { type AnyHandler, type AnyOptions, wholeMessage } from "./receiver.ts"
import { inSpan } from "./spans.ts"

/** `serve` and `serveAs`. `headed` puts before a request what its handler is to know. */
export const responderOf = <M, Made>(
  receiving: Receiving,
  sending: Sending,
  type: "rep" | "router",
  whole: (body: Zmq.Message, routingId: Buffer | undefined) => M
) => {
  const warn = invalidWarning()
  const { inbox } = receiving
  return {
    serve: <E, R>(handler: AnyHandler<M, Made, E, R>, options?: AnyOptions<M, Made, E | SendError, R>) => {
      if (asksWho(handler)) inbox.rememberPeers()
      return serve<M, Made, E | SendError, R>(receiving, sending, type, {
        ...options,
        operation: "serve",
        decode: whole,
        encode: (made) => made as Outgoing | undefined,
        handler: inSpan(options?.span, "respond", handler)
      })
    },
    serveAs: <Q, P, E, R>(
      decode: (body: Zmq.Message, routingId: Buffer | undefined) => Q | DecodeError,
      encode: (reply: P) => Outgoing | EncodeError,
      handler: AnyHandler<Q, P, E, R>,
      options?: AnyOptions<Q, P | undefined, E | SendError, R>,
      trace?: TraceOf
    ) => {
      if (asksWho(handler) || asksWho(options?.onInvalid)) inbox.rememberPeers()
      return serve<Q, P | undefined, E | SendError, R>(receiving, sending, type, {
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
}

type Codecs<Q, P> = { readonly request: Codec<Q>; readonly reply: Codec<P> }

export const serversOf = (receiving: Receiving, sending: Sending, type: "rep" | "router") => {
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
export const requestsOf = <E>(request: (message: Outgoing) => Effect.Effect<Zmq.Message, E>) => {
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
