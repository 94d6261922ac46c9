import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Sink from "effect/Sink"
import type { Outgoing } from "../../Message.ts"
import { EncodeError } from "../../ZmqError.ts"
import { type Codec, encodeAs, encodeJson, encodeSchema } from "../codec/codec.ts"
import { type Check, checkOutgoing, isFrame, noRule, Sending } from "../send/send.ts"
import { isSubscription } from "../subscription.ts"
import type { SocketCore } from "./socket.ts"

export const sendsOf = (sending: Sending) => {
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

export const sendingOf = (core: SocketCore) =>
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
export const sendingUpstream = (core: SocketCore) =>
  new Sending(core.outbox, core.options.sendTimeout, noRule, checkUpstream)
// A STREAM that is given a third frame says that it is sent, and loses those that follow.
export const sendingBytes = (core: SocketCore) =>
  new Sending(core.outbox, core.options.sendTimeout, noRule, (operation, value) =>
    Array.isArray(value) && value.length > 2
      ? new EncodeError({ operation, value, expected: "a list of the peer's routing id and one frame of bytes for it" })
      : checkOutgoing(operation, value, 2)
  )
// Of a message that is a routing id alone libzmq would send nothing.
export const sendingToPeers = (core: SocketCore) =>
  new Sending(core.outbox, core.options.sendTimeout, noRule, (operation, value) => checkOutgoing(operation, value, 2))
