/**
 * What messages mean: codecs between values and the frames of a message.
 *
 * A codec encodes a value to a message, and decodes a message to a value, both
 * at once and without effects: a receive decodes in the very operation that
 * takes the message, so that no interruption can come in between. What cannot
 * be encoded is an `EncodeError`, and what cannot be decoded a `DecodeError`,
 * which carries the frames. Neither disturbs any other message.
 *
 * **Example** (Three frames: a topic, a header, and a body in MessagePack)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Codec, Zmq } from "effect-zmq"
 *
 * const Header = Schema.Struct({ version: Schema.Int, trace: Schema.optionalKey(Schema.String) })
 * const Body = Schema.Struct({ image: Schema.Uint8Array, at: Schema.Date })
 *
 * const frame = Codec.frames({
 *   topic: Codec.string,
 *   header: Codec.json(Header),
 *   body: Codec.msgpack(Body)
 * })
 *
 * export const camera = Effect.gen(function* () {
 *   const pub = yield* Zmq.pub({ bind: "tcp://127.0.0.1:5556" })
 *   yield* pub.sendAs(frame)({
 *     topic: "camera.door",
 *     header: { version: 1 },
 *     body: { image: new Uint8Array(1024), at: new Date() }
 *   })
 * }).pipe(Effect.scoped)
 *
 * export const screen = Effect.gen(function* () {
 *   const { topic, body } = yield* Zmq.recvAs(frame)
 *   yield* Effect.log(`${topic}: ${body.image.length} bytes of ${body.at.toISOString()}`)
 * }).pipe(
 *   Effect.provide(Zmq.layer(Zmq.sub({ connect: "tcp://127.0.0.1:5556", subscribe: "camera." })))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type * as Tracer from "effect/Tracer"
import * as internal from "./internal/codec/codec.ts"
import * as trace from "./internal/codec/traced.ts"
import type { Frame, Message, Outgoing } from "./Message.ts"
import type { DecodeError, EncodeError } from "./ZmqError.ts"

/**
 * Encodes values of type `A` to messages, and decodes messages to them.
 *
 * `recvAs`, `streamAs`, `runForEachAs` and `sendAs` of a socket take one, and
 * `serveAs` and `requestAs` two. By itself it is for messages that come another
 * way, as those of `runForEach` or `drain`.
 *
 * **Example** (The messages of `runForEach`)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Codec, Zmq } from "effect-zmq"
 *
 * const job = Codec.msgpack(Schema.Struct({ id: Schema.Number }))
 *
 * export const worker = Zmq.runForEach(
 *   (message) =>
 *     Effect.fromResult(job.decode(message)).pipe(
 *       Effect.flatMap(({ id }) => Effect.log(`job ${id}`)),
 *       Effect.catchTag("DecodeError", (error) => Effect.logWarning(error.reason))
 *     ),
 *   { concurrency: 8 }
 * )
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Codec<in out A> {
  /** How much of a message the codec is for. */
  readonly "~effect-zmq/Codec": "message" | "frame"
  /** The message of a value, or why there is none. */
  readonly encode: (value: A) => Result.Result<Outgoing, EncodeError>
  /** The value of a message, or why there is none. */
  readonly decode: (message: Message) => Result.Result<A, DecodeError>
}

/**
 * The type of what a codec decodes a message to.
 *
 * **Example** (A name for it)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Codec } from "effect-zmq"
 *
 * const job = Codec.json(Schema.Struct({ id: Schema.Number }))
 * export type Job = Codec.Type<typeof job> // { readonly id: number }
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type Type<C extends { readonly decode: (message: Message) => Result.Result<unknown, DecodeError> }> = C extends {
  readonly decode: (message: Message) => Result.Result<infer A, DecodeError>
}
  ? A
  : never

/**
 * A codec of exactly one frame: by itself a codec of messages of one frame, and
 * what `frames` is made from.
 *
 * @category models
 * @since 0.1.0
 */
export interface FrameCodec<in out A> extends Codec<A> {
  readonly "~effect-zmq/Codec": "frame"
}

/**
 * Text: one frame of UTF-8, checked.
 *
 * @category one frame
 * @since 0.1.0
 */
export const string: FrameCodec<string> = internal.frameCodec(internal.stringFormat)

/**
 * Bytes: one frame, as it is. What is received is a view of the message, and
 * yours to keep.
 *
 * @category one frame
 * @since 0.1.0
 */
export const bytes: FrameCodec<Uint8Array> = internal.frameCodec(internal.bytesFormat)

/**
 * JSON, by a schema: the form that `Schema.toCodecJson` gives it. What
 * `recvSchema` and `sendSchema` use.
 *
 * A value may take twenty times the bytes of its JSON. The `maxMessageSize` of the
 * socket is what bounds it: it has no bound of its own.
 *
 * @category one frame
 * @since 0.1.0
 */
export const json = <A>(schema: Schema.Codec<A, unknown>): FrameCodec<A> =>
  internal.frameCodec(internal.jsonSchemaFormat(schema))

/**
 * MessagePack, by a schema: smaller than JSON, it holds bytes, and every
 * language reads it.
 *
 * **Details**
 *
 * Where MessagePack has a type of its own it is used: `Schema.Uint8Array` is
 * `bin`, `Schema.Date` the timestamp, `Schema.Number` an integer or a float
 * (`NaN` and the infinities too), and `Schema.BigInt` an integer, or decimal
 * text if it has more than 64 bits. All else has the form that it has in JSON.
 * A peer's integers beyond 2^53 need a `Schema.BigInt`.
 *
 * A frame is refused if anything follows the value, if text is not UTF-8, if it
 * has other extensions than the timestamp, or if it is nested deeper than 512.
 * What a frame claims to hold takes no memory before the bytes are there.
 *
 * `maxValues` is how many values a frame may be decoded to: the elements of all
 * lists and the entries of all maps in it, together. A value of one byte takes up
 * to 200 bytes of memory. Default: 1,000,000; at most 10,000,000, and anything
 * else throws an `OptionError` at once. A frame with more is a `DecodeError` before
 * the values are made. It is for what is received alone: nothing that is sent is
 * refused for it. How long a frame may be is up to the `maxMessageSize` of the
 * socket.
 *
 * **Example** (Bytes and dates as they are)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Codec, Zmq } from "effect-zmq"
 *
 * const Photo = Schema.Struct({ taken: Schema.Date, size: Schema.BigInt, pixels: Schema.Uint8Array })
 * export const sendPhoto = Zmq.sendAs(Codec.msgpack(Photo))
 * ```
 *
 * @category one frame
 * @since 0.1.0
 */
export const msgpack = <A>(
  schema: Schema.Codec<A, unknown>,
  options?: { readonly maxValues?: number | undefined } | undefined
): FrameCodec<A> => internal.frameCodec(internal.msgpackFormat(schema, options))

/**
 * Effect's own binary encoding of a schema (`effect/encoding/SchemaBinary`): the
 * smallest and, for lists of structs, the quickest, between programs that are
 * both Effect.
 *
 * **Details**
 *
 * Peers may have different versions of the schema, if one is a compatible
 * evolution of the other. `fingerprint` makes frames smaller still, and then
 * both must have the same. Effect calls this encoding unstable: let both peers
 * have the same version of Effect.
 *
 * It throws at once for a schema that has no binary form.
 *
 * **For peers that you trust.** Effect makes room for as many elements as a list
 * says that it has, up to a million beyond the bytes that are there, and four
 * million where an element takes no bytes, like `Schema.Null`: with lists in lists
 * a frame of a few hundred bytes takes gigabytes, which no `maxMessageSize`
 * prevents. From strangers take `msgpack` or `json`.
 *
 * @category one frame
 * @since 0.1.0
 */
export const binary = <A>(
  schema: Schema.Codec<A, unknown>,
  options?: { readonly fingerprint?: boolean | undefined } | undefined
): FrameCodec<A> => internal.frameCodec(internal.binaryFormat(schema, options))

/**
 * One frame, by functions of your own: protobuf, CBOR, Avro, compression …
 *
 * They are called when a message is sent or taken, must answer at once, and
 * refuse by throwing: that becomes the `cause` of an `EncodeError` or a
 * `DecodeError`.
 *
 * **Example** (Compressed JSON)
 *
 * ```ts
 * import { Buffer } from "node:buffer"
 * import { deflateSync, inflateSync } from "node:zlib"
 * import { Codec, Zmq } from "effect-zmq"
 *
 * const compressed = Codec.frame<ReadonlyArray<number>>({
 *   encode: (numbers) => deflateSync(JSON.stringify(numbers)),
 *   decode: (frame) => JSON.parse(inflateSync(frame, { maxOutputLength: 1_000_000 }).toString())
 * })
 * export const next = Zmq.recvAs(Codec.frames([Codec.string, compressed]))
 * ```
 *
 * @category your own
 * @since 0.1.0
 */
export const frame = <A>(options: {
  readonly encode: (value: A) => Frame
  readonly decode: (frame: Buffer) => A
}): FrameCodec<A> => internal.makeFrameCodec(options)

/**
 * Whole messages, by functions of your own: where the number of frames varies.
 * As with `frame`, they answer at once and refuse by throwing.
 *
 * **Example** (A command, and any number of arguments)
 *
 * ```ts
 * import { Codec, Zmq } from "effect-zmq"
 *
 * const command = Codec.make<{ readonly name: string; readonly args: ReadonlyArray<string> }>({
 *   encode: ({ name, args }) => [name, ...args],
 *   decode: ([name, ...args]) => ({ name: name.toString(), args: args.map(String) })
 * })
 * export const run = Zmq.sendAs(command)({ name: "add", args: ["1", "2"] })
 * ```
 *
 * @category your own
 * @since 0.1.0
 */
export const make = <A>(options: {
  readonly encode: (value: A) => Outgoing
  readonly decode: (message: Message) => A
}): Codec<A> => internal.makeCodec(options)

/**
 * A message of several frames, each with a codec of its own: as a list, or by
 * name, in the order in which the names are written.
 *
 * A message with another number of frames is a `DecodeError`. One whose frame
 * cannot be decoded names the frame.
 *
 * **Example** (By name, and as a list)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Codec, Zmq } from "effect-zmq"
 *
 * const Price = Schema.Struct({ bid: Schema.Number, ask: Schema.Number })
 * const update = Codec.frames({ symbol: Codec.string, price: Codec.msgpack(Price) })
 * export const prices = Zmq.streamAs(update) // { symbol: string, price: { bid: number, ask: number } }
 *
 * const pair = Codec.frames([Codec.string, Codec.msgpack(Price)])
 * export const next = Zmq.recvAs(pair) // [string, { bid: number, ask: number }]
 * ```
 *
 * @category several frames
 * @since 0.1.0
 */
export const frames: {
  <const A extends readonly [unknown, ...Array<unknown>]>(
    codecs: {
      readonly [K in keyof A]: FrameCodec<A[K]>
    }
  ): Codec<A>
  <A extends { readonly [name: string]: unknown }>(codecs: { readonly [K in keyof A]: FrameCodec<A[K]> }): Codec<A>
} = internal.framesCodec as never

/**
 * The same codec behind a first frame with the trace of whoever sends: its span, as
 * the `traceparent` of W3C, or an empty frame where there is none.
 *
 * **Details**
 *
 * What is encoded by a fiber carries the span that the fiber is in. Whoever decodes
 * gets the value alone, and has that span from `parentOf`. A frame that is no
 * `traceparent` is as good as an empty one: nothing is refused for it.
 *
 * **Example** (A worker whose spans belong to the trace of who sent the job)
 *
 * ```ts
 * import { Effect, Schema, Stream } from "effect"
 * import { Codec, Zmq } from "effect-zmq"
 *
 * const job = Codec.traced(Codec.json(Schema.Struct({ id: Schema.Number })))
 *
 * export const ask = Zmq.sendAs(job)({ id: 1 }).pipe(Effect.withSpan("ask"))
 * export const worker = Stream.runForEach(Zmq.streamAs(job), (one) =>
 *   Effect.log(`job ${one.id}`).pipe(Effect.withSpan("work", { parent: Codec.parentOf(one) }))
 * )
 * ```
 *
 * @category traces
 * @since 0.1.0
 */
export const traced: <A>(codec: Codec<A>) => Codec<A> = trace.traced

/**
 * The span of whoever sent a value that a `traced` codec has decoded: the `parent`
 * of a span of one's own. `undefined` where it was in none, and of values that are no
 * objects, like text.
 *
 * @category traces
 * @since 0.1.0
 */
export const parentOf: (value: unknown) => Tracer.ExternalSpan | undefined = trace.parentOf
