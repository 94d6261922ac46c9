/**
 * What one streaming RPC is over PUB and SUB: messages of a topic, a header, and a
 * value or the end, which the serialization of RPC encodes as its `Chunk` and its `Exit`.
 * `docs/publish-rpc.md` describes them for those who write the other side.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcSchema from "effect/rpc/RpcSchema"
import type { RpcSerialization } from "effect/rpc/RpcSerialization"
import * as Schema from "effect/Schema"
import type { Frame } from "../../Message.ts"
import { longestTopic } from "../subscription.ts"
import { PublisherError } from "./feedErrors.ts"

/**
 * What a message says.
 * - value: the next value of the stream
 * - latest: the value that was published last, for those who have just come; none where there was none yet
 * - beat: nothing new
 * - end: the stream has ended, or failed
 * - refused: there will be no stream, and why
 * - leaving: the publisher ends
 * - tooLarge: a value, the latest value or the end, that has more bytes than the subscriber takes, and is left out
 */
const kinds = ["value", "latest", "beat", "end", "refused", "leaving", "tooLarge"] as const
export type Kind = (typeof kinds)[number]

/** `run` is one run of the stream, and `number` how many values it has published by then. */
export interface Header {
  readonly kind: Kind
  readonly run: Buffer
  readonly number: number
}

const version = 1
const runBytes = 8
export const headerBytes = 2 + runBytes + 8

export const headerOf = ({ kind, number, run }: Header): Buffer => {
  const header = Buffer.alloc(headerBytes)
  header.writeUInt8(version, 0)
  header.writeUInt8(kinds.indexOf(kind), 1)
  run.copy(header, 2)
  header.writeBigUInt64BE(BigInt(number), 2 + runBytes)
  return header
}

/** Reads a header. `undefined` if it is none. */
export const readHeader = (frame: Buffer | undefined): Header | undefined => {
  if (frame?.length !== headerBytes || frame[0] !== version) return undefined
  const kind = kinds[frame[1]!]
  if (kind === undefined) return undefined
  return { kind, run: frame.subarray(2, 2 + runBytes), number: Number(frame.readBigUInt64BE(2 + runBytes)) }
}

/** The frames of an end that is a refusal. */
export type Refusal = "TooManyTopics" | "InvalidPayload"
export const refusals: ReadonlyArray<string> = ["TooManyTopics", "InvalidPayload"] satisfies ReadonlyArray<Refusal>

/** What was left out, as it had more bytes than the subscriber takes. */
export interface Large {
  readonly kind: "value" | "latest" | "end"
  readonly bytes: number
}

export const sayLarge = ({ bytes, kind }: Large): string => `${kind} ${bytes}`

/** Undefined if it is nothing of the kind. */
export const largeOf = (body: Buffer | undefined): Large | undefined => {
  const [, kind, bytes] = /^(value|latest|end) (\d{1,16})$/.exec(body?.toString() ?? "") ?? []
  return kind === undefined ? undefined : { kind: kind as Large["kind"], bytes: Number(bytes) }
}

// What is behind a topic in the subscription of one who has missed something. It gets
// nothing by it, and keeps that to the topic meanwhile, so that it does not miss more.
const question = Buffer.from("?")
export const askFor = (topic: Buffer): Buffer => Buffer.concat([topic, question])

// The services of the schemas are there where these run: see the types of `publish` and `subscribe`.
type Coder = (value: unknown) => Effect.Effect<unknown, Schema.SchemaError>

// A reply is to a request. Here is none.
const requestId = 0

/** The topic that a payload is, and values and ends as they are in messages. */
export class Feed {
  readonly tag: string
  private readonly parser: () => ReturnType<RpcSerialization["Service"]["makeUnsafe"]>
  private readonly encodePayload: Coder
  private readonly decodePayload: Coder
  private readonly encodeValues: Coder
  private readonly decodeValues: Coder
  private readonly encodeEnd: Coder
  private readonly decodeEnd: Coder

  constructor(rpc: Rpc.AnyWithProps, serialization: RpcSerialization["Service"]) {
    const { payloadSchema, successSchema } = rpc
    if (!RpcSchema.isStreamSchema(successSchema)) {
      throw new TypeError(`the RPC ${rpc._tag} is none with \`stream: true\``)
    }
    const options = Context.get(rpc.annotations, Rpc.ParseOptions)
    const encoder = (schema: Schema.Top) => Schema.encodeUnknownEffect(schema, options) as Coder
    const decoder = (schema: Schema.Top) => Schema.decodeUnknownEffect(schema, options) as Coder
    const { codecFor } = serialization
    const payload = Schema.toCodecJson(payloadSchema)
    const values = codecFor(Schema.NonEmptyArray(successSchema.success))
    const end = codecFor(Rpc.exitSchema(rpc as never) as Schema.Top)
    this.tag = rpc._tag
    this.parser = () => serialization.makeUnsafe()
    this.encodePayload = encoder(payload)
    this.decodePayload = decoder(payload)
    this.encodeValues = encoder(values)
    this.decodeValues = decoder(values)
    this.encodeEnd = encoder(end)
    this.decodeEnd = decoder(end)
  }

  /**
   * The topic of those who take at most so many bytes. None is the beginning of another: there is no NUL in JSON, and
   * no JSON that ends with a space and digits.
   */
  topicOf(payload: unknown, most = Number.POSITIVE_INFINITY): Effect.Effect<Buffer, PublisherError> {
    return Effect.flatMap(Effect.orDie(this.encodePayload(payload)), (encoded) => {
      const size = Number.isFinite(most) ? ` ${most}` : ""
      const topic = Buffer.from(`${this.tag}\0${JSON.stringify(sorted(encoded)) ?? ""}${size}\0`)
      return topic.length > longestTopic
        ? Effect.fail(new PublisherError({ rpc: this.tag, reason: "PayloadTooLong" }))
        : Effect.succeed(topic)
    })
  }

  /** The topic of the stream alone, and how many bytes those take who have subscribed to this one. */
  audienceOf(topic: Buffer): { readonly stream: Buffer; readonly most: number } {
    const size = / (\d{1,16})\0$/.exec(topic.toString("latin1"))
    if (size === null) return { stream: topic, most: Number.POSITIVE_INFINITY }
    return { stream: Buffer.concat([topic.subarray(0, size.index), topic.subarray(-1)]), most: Number(size[1]) }
  }

  /** The topic whose latest value is asked for, if a subscription is that. */
  askedFor(topic: Buffer): Buffer | undefined {
    const asked = topic.subarray(0, topic.length - question.length)
    return topic.subarray(asked.length).equals(question) && this.isTopic(asked) ? asked : undefined
  }

  /** Whether a subscription is to this RPC, and not to a part of its topics, or to another's. */
  isTopic(topic: Buffer): boolean {
    return topic.length > this.tag.length + 1 && topic.at(-1) === 0 && topic.toString().startsWith(`${this.tag}\0`)
  }

  /** The payload that a topic is. Fails with whatever is wrong with it. */
  payloadOf(topic: Buffer): Effect.Effect<unknown, unknown> {
    return Effect.suspend(() => {
      const json = topic.toString("utf8", Buffer.byteLength(this.tag) + 1, topic.length - 1)
      try {
        return this.decodePayload(json === "" ? undefined : JSON.parse(json))
      } catch (cause) {
        return Effect.fail(cause)
      }
    })
  }

  encodeValue(value: unknown): Effect.Effect<Frame> {
    return Effect.map(Effect.orDie(this.encodeValues([value])), (values) =>
      this.frameOf({ _tag: "Chunk", requestId, values })
    )
  }

  encodeExit(exit: Exit.Exit<unknown, unknown>): Effect.Effect<Frame> {
    return Effect.map(Effect.orDie(this.encodeEnd(exit)), (encoded) =>
      this.frameOf({ _tag: "Exit", requestId, exit: encoded })
    )
  }

  decodeValue(frame: Buffer | undefined): Effect.Effect<unknown, PublisherError> {
    return Effect.map(this.decode(frame, "Chunk", "values", this.decodeValues), (values) => (values as [unknown])[0])
  }

  decodeExit(frame: Buffer | undefined): Effect.Effect<Exit.Exit<unknown, unknown>, PublisherError> {
    return this.decode(frame, "Exit", "exit", this.decodeEnd) as Effect.Effect<
      Exit.Exit<unknown, unknown>,
      PublisherError
    >
  }

  private frameOf(message: unknown): Frame {
    return this.parser().encode(message) ?? ""
  }

  // A parser keeps what is incomplete for the next call: so each message has one of its own.
  private decode(
    frame: Buffer | undefined,
    tag: string,
    field: string,
    decode: Coder
  ): Effect.Effect<unknown, PublisherError> {
    return Effect.suspend(() => {
      const messages = frame === undefined ? [] : this.parser().decode(frame)
      const message = messages[0] as Record<string, unknown> | undefined
      if (messages.length !== 1 || message?._tag !== tag) throw new Error(`no ${tag} of the serialization`)
      return decode(message[field])
    }).pipe(
      Effect.catchDefect((cause) => Effect.fail(cause)),
      Effect.mapError((cause) => new PublisherError({ rpc: this.tag, reason: "Undecodable", cause }))
    )
  }
}

/** JSON with the keys in order, so that the same payload is the same topic. */
const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, field]) => [key, sorted(field)])
  )
}
