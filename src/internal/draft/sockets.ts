import { isIPv4 } from "node:net"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import type * as Draft from "../../Draft.ts"
import type { Frame, Message, Outgoing } from "../../Message.ts"
import type * as Zmq from "../../Zmq.ts"
import { DecodeError, EncodeError, OptionError, type SocketError } from "../../ZmqError.ts"
import {
  decodeAs,
  decodeJson,
  decodeSchema,
  decodeString,
  encodeAs,
  encodeJson,
  encodeSchema,
  type FrameCodec
} from "../codec/codec.ts"
import type { Decode, Receiving } from "../receive/receive.ts"
import { makeStream } from "../receive/stream.ts"
import { sizeOf } from "../send/outbox.ts"
import { isFrame, noRule, type SendError, Sending } from "../send/send.ts"
import { socketOf } from "../socket/common.ts"
import { openSocket, whenOpen } from "../socket/open.ts"
import { longestGroup, toGroup } from "../socket/options.ts"
import { type AnyOptions, handlersOf, receiverOf, receivingOf } from "../socket/receiver.ts"
import { responderOf } from "../socket/responder.ts"
import { senderOf } from "../socket/sender.ts"
import type { SocketCore } from "../socket/socket.ts"
import type { DraftType } from "../socketTypes.ts"

/** What heads a message: whom it is from or for. It is the first frame inside. */
interface Heading<H> {
  readonly read: (frame: Buffer) => H
  /** The frame, or undefined when `to` is not what is `expected`. */
  readonly frame: (to: unknown) => Buffer | undefined
  readonly to: (heading: H) => unknown
  readonly expected: string
}

const peer: Heading<Draft.Peer> = {
  read: (frame) => ({ routingId: frame.readUInt32BE() as Draft.RoutingId }),
  frame: (to) => {
    if (!Number.isInteger(to) || (to as number) < 1 || (to as number) > 0xffff_ffff) return undefined
    const frame = Buffer.allocUnsafe(4)
    frame.writeUInt32BE(to as number)
    return frame
  },
  to: ({ routingId }) => routingId,
  expected: "the routing id of a peer, as it was received: a whole number from 1 to 4294967295"
}

const group: Heading<Draft.Group> = {
  read: (frame) => ({ group: frame.toString() }),
  frame: toGroup,
  to: ({ group }) => group,
  expected: `a group, a string of at most ${longestGroup} bytes of UTF-8 without NUL`
}

const address: Heading<Draft.Address> = {
  // libzmq ends it with a NUL.
  read: (frame) => ({ address: frame.toString("latin1", 0, frame.length - 1) }),
  frame: (to) => {
    if (typeof to !== "string") return undefined
    const [host = "", port = "", ...rest] = to.split(":")
    const isPort = /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535
    return isIPv4(host) && isPort && rest.length === 0 ? Buffer.from(to) : undefined
  },
  to: ({ address }) => address,
  expected: 'an IPv4 address and a port, like "127.0.0.1:5555"'
}

// -----------------------------------------------------------------------------
// receiving
// -----------------------------------------------------------------------------

const headedReceiverOf = <H>(receiving: Receiving, type: DraftType, heading: Heading<H>) => {
  type Headed<A> = H & Draft.Data<A>
  const { batches, runForEach, runForEachAs, runForEachBatch } = handlersOf(receiving, type)
  const whole = (message: Message): Headed<Buffer> => ({ ...heading.read(message[0]), data: message[1]! })
  const headed =
    <A>(decode: Decode<A>): Decode<Headed<A>> =>
    (message) => {
      const data = decode([message[1]!])
      // The error owns the message, and not just what could not be decoded.
      if (data instanceof DecodeError) return Object.defineProperty(data, "frames", { value: message })
      return { ...heading.read(message[0]), data }
    }
  return {
    recv: receiving.receive("recv", whole),
    recvString: receiving.receive("recvString", headed(decodeString("recvString"))),
    recvJson: receiving.receive("recvJson", headed(decodeJson("recvJson"))),
    recvSchema: <A>(schema: Schema.Decoder<A>) =>
      receiving.receive("recvSchema", headed(decodeSchema("recvSchema", schema))),
    recvAs: <A>(codec: FrameCodec<A>) => receiving.receive("recvAs", headed(decodeAs("recvAs", codec))),
    tryRecv: receiving.tryReceive(whole),
    drain: receiving.drain(whole),
    messages: makeStream(receiving, "messages", whole),
    strings: makeStream(receiving, "strings", headed(decodeString("strings"))),
    stream: <A>(schema: Schema.Decoder<A>) => makeStream(receiving, "stream", headed(decodeSchema("stream", schema))),
    streamAs: <A>(codec: FrameCodec<A>) => makeStream(receiving, "streamAs", headed(decodeAs("streamAs", codec))),
    batches: batches(whole),
    runForEach: runForEach(whole),
    runForEachBatch: runForEachBatch(whole),
    runForEachAs: <A, E, R>(
      codec: FrameCodec<A>,
      handler: (message: Headed<A>, peer: Zmq.Peer) => Effect.Effect<unknown, E, R>,
      options?: AnyOptions<Headed<A>, unknown, E, R>
    ) => runForEachAs(headed(decodeAs("runForEachAs", codec)), handler, options)
  }
}

// -----------------------------------------------------------------------------
// sending
// -----------------------------------------------------------------------------

const oneFrame = "one frame, a string or a Uint8Array: a draft socket has no messages of several"

const checkSingle = (operation: string, value: unknown): EncodeError | undefined =>
  isFrame(value) || (Array.isArray(value) && value.length === 1 && isFrame(value[0]))
    ? undefined
    : new EncodeError({ operation, value, expected: oneFrame })

// What is wrong with a message is found as it is put together, and told as it is sent.
const checkHeaded = (operation: string, value: unknown): EncodeError | undefined =>
  value instanceof EncodeError
    ? value
    : Array.isArray(value) && value.length === 2 && value.every(isFrame)
      ? undefined
      : new EncodeError({ operation, value, expected: oneFrame })

const singleSendingOf = (core: SocketCore) => new Sending(core.outbox, core.options.sendTimeout, noRule, checkSingle)
const headedSendingOf = (core: SocketCore) => new Sending(core.outbox, core.options.sendTimeout, noRule, checkHeaded)

/** What is wrong with the size of a message that its socket cannot send, or undefined. */
type Fits = (heading: Buffer, data: Frame) => string | undefined

const headedSenderOf = <H>(sending: Sending, heading: Heading<H>, fits: Fits = () => undefined) => {
  const put = (operation: string, to: unknown, data: unknown): Outgoing => {
    const frame = heading.frame(to)
    const wrong = (value: unknown, expected: string) =>
      new EncodeError({ operation, value, expected }) as unknown as Outgoing
    if (frame === undefined) return wrong(to, heading.expected)
    if (!isFrame(data)) return wrong(data, oneFrame)
    const expected = fits(frame, data)
    return expected === undefined ? [frame, data] : wrong(data, expected)
  }
  const send = (operation: string, to: unknown, data: unknown) =>
    Effect.suspend(() =>
      data instanceof EncodeError ? Effect.fail(data) : sending.send(operation, put(operation, to, data))
    )
  const sendEncoded =
    <A>(operation: string, encode: (value: A) => Outgoing | EncodeError) =>
    (to: unknown, value: A) =>
      Effect.suspend(() => send(operation, to, encode(value)))
  function* outgoing(operation: string, messages: Iterable<H & Draft.Data<Frame>>): Iterable<Outgoing> {
    for (const message of messages) yield put(operation, heading.to(message), message.data)
  }
  return {
    send: (to: unknown, data: Frame) => send("send", to, data),
    sendJson: sendEncoded("sendJson", (value: unknown) => encodeJson("sendJson", value)),
    sendSchema: <A>(schema: Schema.Codec<A, unknown>) => sendEncoded("sendSchema", encodeSchema("sendSchema", schema)),
    sendAs: <A>(codec: FrameCodec<A>) => sendEncoded("sendAs", encodeAs("sendAs", codec)),
    trySend: (to: unknown, data: Frame) => Effect.suspend(() => sending.trySend("trySend", put("trySend", to, data))),
    sendAll: (messages: Iterable<H & Draft.Data<Frame>>) =>
      Effect.suspend(() => sending.sendAll("sendAll", outgoing("sendAll", messages))),
    sink: Sink.forEachArray((messages: readonly [H & Draft.Data<Frame>, ...Array<H & Draft.Data<Frame>>]) =>
      sending.sendAll("sink", outgoing("sink", messages))
    )
  }
}

// libzmq puts a packet together in a buffer of this size, and does not look
// whether it fits (udp_engine.cpp): the process crashes some time later.
const largestPacket = 8192

const fitsDatagram: Fits = (_, data) =>
  sizeOf(data) > largestPacket
    ? `at most ${largestPacket} bytes, which is the most that libzmq can send over udp`
    : undefined

const fitsRadio =
  (core: SocketCore): Fits =>
  (group, data) =>
    1 + group.length + sizeOf(data) <= largestPacket || !core.endpoints.some(isUdp)
      ? undefined
      : `at most ${largestPacket} bytes, less one, together with its group, which is the most that libzmq can send over udp`

// -----------------------------------------------------------------------------
// udp
// -----------------------------------------------------------------------------

const isUdp = (endpoint: unknown): endpoint is string => typeof endpoint === "string" && endpoint.startsWith("udp://")

// -----------------------------------------------------------------------------
// the types
// -----------------------------------------------------------------------------

const groupsOf = (core: SocketCore) => {
  const isNever = (_: unknown): _ is never => false
  const checked = <A, E, R>(group: string, run: (bytes: Buffer) => Effect.Effect<A, E, R>) =>
    Effect.suspend((): Effect.Effect<A, E | OptionError, R> => {
      const bytes = toGroup(group)
      return bytes === undefined
        ? Effect.fail(new OptionError({ option: "join", value: group, expected: groupExpected }))
        : run(bytes)
    })
  const leave = (bytes: Buffer, token?: symbol) =>
    whenOpen(core, "leave", isNever, () => core.subscriptions.remove(bytes, token))
  return {
    join: (group: string) =>
      checked(group, (bytes) =>
        Effect.asVoid(
          Effect.acquireRelease(
            whenOpen(core, "join", isNever, () => core.subscriptions.add(bytes)),
            (token) => Effect.ignore(leave(bytes, token))
          )
        )
      ),
    leave: (group: string) => checked(group, (bytes) => leave(bytes))
  }
}
const groupExpected = group.expected

const operations: { readonly [Type in DraftType]: (core: SocketCore) => object } = {
  server: (core) => {
    const receiving = receivingOf(core)
    const sending = headedSendingOf(core)
    // Framed as the requests of a ROUTER are: the routing id, and the body.
    const { serve, serveAs } = responderOf<Draft.Peer & Draft.Data<Buffer>, Frame | undefined>(
      receiving,
      sending,
      "router",
      ([data], id) => ({ ...peer.read(id!), data })
    )
    return {
      ...headedReceiverOf(receiving, core.type as DraftType, peer),
      ...headedSenderOf(sending, peer),
      serve,
      serveAs: <Q, P, E, R>(
        { reply, request }: { readonly request: FrameCodec<Q>; readonly reply: FrameCodec<P> },
        handler: (message: Draft.Peer & Draft.Data<Q>, peer: Zmq.Peer) => Effect.Effect<P, E, R>,
        options?: AnyOptions<Draft.Peer & Draft.Data<Q>, P | undefined, E | SendError, R>
      ) => {
        const decode = decodeAs("serveAs", request)
        const decodeHeaded = (body: Message, id: Buffer | undefined) => {
          const data = decode(body)
          return data instanceof DecodeError ? data : { ...peer.read(id!), data }
        }
        return serveAs(decodeHeaded, encodeAs("serveAs", reply), handler, options)
      }
    }
  },
  client: (core) => ({ ...receiverOf(receivingOf(core), core.type), ...senderOf(singleSendingOf(core)) }),
  radio: (core) => headedSenderOf(headedSendingOf(core), group, fitsRadio(core)),
  dish: (core) => ({ ...headedReceiverOf(receivingOf(core), core.type as DraftType, group), ...groupsOf(core) }),
  gather: (core) => receiverOf(receivingOf(core), core.type),
  scatter: (core) => senderOf(singleSendingOf(core)),
  datagram: (core) => ({
    ...headedReceiverOf(receivingOf(core), core.type as DraftType, address),
    ...headedSenderOf(headedSendingOf(core), address, fitsDatagram)
  })
}

type AnyDraft = Draft.Server | Draft.Client | Draft.Radio | Draft.Dish | Draft.Gather | Draft.Scatter | Draft.Datagram

const open =
  <S extends AnyDraft>(type: S["type"]) =>
  (options?: object): Effect.Effect<S, SocketError, Scope.Scope> =>
    Effect.map(openSocket(type, options), (core) => socketOf<S>(core, operations[type](core)))

export const server = open<Draft.Server>("server")
export const client = open<Draft.Client>("client")
export const radio = open<Draft.Radio>("radio")
export const dish = open<Draft.Dish>("dish")
export const gather = open<Draft.Gather>("gather")
export const scatter = open<Draft.Scatter>("scatter")
export const datagram = open<Draft.Datagram>("datagram")
