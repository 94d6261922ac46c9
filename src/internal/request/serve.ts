import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Message, Outgoing, Peer } from "../../Message.ts"
import { DecodeError, EncodeError } from "../../ZmqError.ts"
import { inTrace, type TraceOf } from "../codec/traced.ts"
import { forEachMessage, type RunOptions, type Worker } from "../receive/handlers.ts"
import { nobody } from "../receive/peer.ts"
import type { ReceiveError, Receiving } from "../receive/receive.ts"
import { type OnFailure, retrying } from "../receive/retry.ts"
import { checkOutgoing, framesOf, type SendError, type Sending } from "../send/send.ts"

/** What a request is made of: how to address the reply, and the request itself. */
interface Envelope<Q> {
  readonly address: ReadonlyArray<Buffer>
  body: Q
}

// RFC 28: the address ends with the first empty frame. A DEALER that sends
// without one is addressed by its routing id alone.
const openEnvelope = (message: Message) => {
  const delimiter = message.findIndex((frame, index) => index > 0 && frame.length === 0)
  const end = delimiter > 0 && delimiter < message.length - 1 ? delimiter + 1 : 1
  return { address: message.slice(0, end), body: message.slice(end) as unknown as Message }
}

const noAddress: ReadonlyArray<Buffer> = []

/** What requests and replies mean, and how they are answered. */
export interface Service<Q, Made, E, R> extends RunOptions<E, R>, OnFailure<Q, Made, E | SendError, R> {
  readonly operation: string
  readonly decode: (body: Message, routingId: Buffer | undefined) => Q | DecodeError
  /** The reply, why there is none, or `undefined` if the request is to be dropped. */
  readonly encode: (made: Made) => Outgoing | EncodeError | undefined
  readonly handler: (request: Q, peer: Peer) => Effect.Effect<Made, E, R>
  /** The span of whoever sent a request, for those of its handler. */
  readonly trace?: TraceOf
  readonly onInvalid?: ((error: DecodeError, peer: Peer) => Effect.Effect<Made, E, R>) | undefined
}

/**
 * Answers each request with what its handler makes of it. A request whose handler
 * fails or is interrupted goes back. A reply that is made is sent: where its
 * client has no room, it waits for that by itself.
 */
export const serve = <Q, Made, E, R>(
  receiving: Receiving,
  sending: Sending,
  type: "rep" | "router",
  service: Service<Q, Made, E, R>
): Effect.Effect<void, SendError | ReceiveError | E, R> => {
  const { concurrency, decode, encode, handler, onInvalid, operation, retry, trace, until } = service
  const { inbox } = receiving
  const peerOf = ({ address }: Envelope<unknown>, { lease }: Worker): Peer => {
    const whence = inbox.whenceOf?.(lease!.message)
    return address.length === 0 ? (whence ?? nobody) : { routingId: address[0], ...whence }
  }
  const bodyOf = (message: Message): Message => (type === "router" ? openEnvelope(message).body : message)
  const reply = <E2>(
    { address }: Envelope<unknown>,
    made: Made,
    worker: Worker,
    refuse: (error: EncodeError) => Effect.Effect<unknown, E2, R>
  ): Effect.Effect<unknown, E2 | SendError, R> => {
    const body = encode(made)
    // A REP cannot do without.
    if (body === undefined && type === "router") {
      worker.settle()
      return Effect.void
    }
    const wrong = body === undefined ? undefined : checkOutgoing(operation, body)
    if (wrong !== undefined) return refuse(body instanceof EncodeError ? body : wrong)
    const message = [...address, ...framesOf((body ?? "") as Outgoing)] as unknown as Outgoing
    return sending.reply(operation, message, worker.settle)
  }
  const orElse =
    service.orElse && (({ body }: Envelope<Q>, cause: Cause.Cause<E | SendError>) => service.orElse!(body, cause))
  const valid = retrying<Envelope<Q>, Made, E | SendError, R, SendError>(
    { retry, orElse },
    trace === undefined
      ? (envelope, worker) => handler(envelope.body, peerOf(envelope, worker))
      : (envelope, worker) =>
          inTrace(trace(bodyOf(worker.lease!.message)), handler(envelope.body, peerOf(envelope, worker))),
    reply
  )
  const invalid = retrying<Envelope<DecodeError>, Made, E, R, SendError>(
    {},
    (envelope, worker) => onInvalid!(envelope.body, peerOf(envelope, worker)),
    reply
  )
  const either = (envelope: Envelope<Q | DecodeError>, worker: Worker) =>
    envelope.body instanceof DecodeError
      ? invalid(envelope as Envelope<DecodeError>, worker)
      : valid(envelope as Envelope<Q>, worker)
  const handle = onInvalid === undefined ? (valid as typeof either) : either
  return receiving.inTurn(
    operation,
    forEachMessage<Envelope<Q | DecodeError>, SendError | E, R>(
      receiving,
      {
        operation,
        decode: (message) => {
          const envelope: Envelope<Q | DecodeError | Message> =
            type === "router" ? openEnvelope(message) : { address: noAddress, body: message }
          // In its place: this is done for each request.
          envelope.body = decode(envelope.body as Message, envelope.address[0])
          return envelope as Envelope<Q | DecodeError>
        },
        concurrency: type === "router" ? concurrency : 1,
        until,
        inTurn: type === "rep",
        // A server waits for requests as long as it takes.
        timeLimit: Number.POSITIVE_INFINITY
      },
      handle
    )
  )
}
