/** A subscriber of one streaming RPC: what comes is the stream, or what was missed of it. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import type * as Rpc from "effect/rpc/Rpc"
import { RpcSerialization } from "effect/rpc/RpcSerialization"
import * as Stream from "effect/Stream"
import type { Message } from "../../Message.ts"
import type * as ZmqRpc from "../../Rpc.ts"
import type * as Zmq from "../../Zmq.ts"
import { OptionError } from "../../ZmqError.ts"
import { isInproc } from "../endpoint.ts"
import { CurrentContext } from "../socket/context.ts"
import { coreOf, type SocketCore } from "../socket/socket.ts"
import { sub } from "../socket/sockets.ts"
import {
  askFor,
  Feed,
  type Header,
  headerBytes,
  headerOf,
  largeOf,
  type Refusal,
  readHeader,
  refusals
} from "./feed.ts"
import { Missed, PublisherError } from "./feedErrors.ts"
import { mostOf } from "./size.ts"

/** What a message comes to. `missed` is what is not there before it. */
export interface Step {
  readonly missed?: Pick<Missed, "reason" | "count"> | undefined
  /** Whether its body is the next value. */
  readonly emits?: boolean
  readonly ends?: boolean
  /** Whether the latest value is not known, and is to be asked for. */
  readonly isBehind?: boolean
}

const nothing: Step = {}

/**
 * Where a subscriber is in a stream. It begins with the first value it is told, the
 * latest or a new one, and from then on each has the next number.
 */
export class Position {
  private run: Buffer | undefined = undefined
  private number = 0

  step({ kind, number, run }: Header, hasBody: boolean): Step {
    const isValue = kind === "value" || kind === "latest"
    if (this.run === undefined) {
      // An end before that may be one of which we were not meant to hear: if it runs again for us, that is the answer.
      if (!isValue) return { isBehind: true }
      this.moveTo(run, number)
      return hasBody ? { emits: true } : nothing
    }
    if (!this.run.equals(run)) {
      this.moveTo(run, isValue ? number : 0)
      const missed = { reason: "Restarted", count: undefined } as const
      return { missed, emits: isValue && hasBody, ends: kind === "end" }
    }
    if (kind === "end") return { missed: this.dropped(number - this.number), ends: true }
    if (number <= this.number) return nothing
    if (!isValue) return { isBehind: true, missed: this.dropped(number - this.number) }
    const missed = this.dropped(number - this.number - 1)
    this.number = number
    return { missed, emits: hasBody }
  }

  private moveTo(run: Buffer, number: number): void {
    this.run = Buffer.from(run)
    this.number = number
  }

  private dropped(count: number): Step["missed"] {
    return count > 0 ? { reason: "Dropped", count } : undefined
  }
}

/** Has the loss of the connection come behind what had come, as if the publisher said that it leaves. */
const tellLoss = (socket: Zmq.Sub, core: SocketCore, topic: Buffer) =>
  socket.events.pipe(
    Stream.dropUntil(({ _tag }) => _tag === "HandshakeSucceeded"),
    Stream.filter(({ _tag }) => _tag === "Disconnected"),
    Stream.runForEach(() =>
      Effect.sync(() => {
        const leaving = headerOf({ kind: "leaving", run: Buffer.alloc(8), number: 0 })
        core.inbox.poll(mostToHear, () => core.inbox.put([topic, leaving]))
      })
    ),
    Effect.ignore
  )

const mostToHear = 65_536

export const subscribe = (
  rpc: Rpc.AnyWithProps,
  payload: unknown,
  options: ZmqRpc.SubscribeOptions<unknown>
): Stream.Stream<unknown, unknown, unknown> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { onMissed, whileDisconnected = "wait", ...own } = options
      const feed = new Feed(rpc, yield* RpcSerialization)
      const { settings } = yield* CurrentContext
      const maxMessageSize = own.maxMessageSize ?? settings.maxMessageSize ?? -1
      const most = mostOf({ ...own, maxMessageSize })
      const topic = yield* feed.topicOf(rpc.payloadSchema.make(payload), most)
      const least = Math.max(topic.length, headerBytes)
      if (most < least)
        return yield* new OptionError({
          option: "maxMessageSize",
          value: maxMessageSize,
          expected: `room for a topic of ${least} bytes, which is in each message`
        })
      const { connect, ...others } = own
      const socket = yield* sub({ ...others, subscribe: [topic] })
      const core = coreOf(socket)!
      if (whileDisconnected === "fail") {
        core.watch()
        yield* Effect.forkScoped(tellLoss(socket, core, topic), { startImmediately: true })
      }
      const endpoints = typeof connect === "string" ? [connect] : connect
      for (const endpoint of endpoints) yield* core.places.connect(endpoint)

      const position = new Position()
      const tell = (missed: Pick<Missed, "reason" | "count" | "bytes">): Effect.Effect<void, unknown, unknown> => {
        const error = new Missed({ rpc: rpc._tag, ...missed })
        return onMissed === undefined ? Effect.fail(error) : Effect.asVoid(onMissed(error))
      }
      const refused = (body: Buffer | undefined): Effect.Effect<never, PublisherError> => {
        const why = body?.toString() ?? ""
        const reason = refusals.includes(why) ? (why as Refusal) : "Undecodable"
        return Effect.fail(new PublisherError({ rpc: rpc._tag, reason }))
      }
      const heard = ([, frame, body]: Message): Effect.Effect<ReadonlyArray<unknown>, unknown, unknown> => {
        const header = readHeader(frame)
        if (header === undefined) return Effect.fail(new PublisherError({ rpc: rpc._tag, reason: "Undecodable" }))
        if (header.kind === "refused") return refused(body)
        if (header.kind === "leaving") {
          return whileDisconnected === "wait" && !endpoints.some(isInproc)
            ? Effect.succeed([])
            : Effect.fail(new PublisherError({ rpc: rpc._tag, reason: "Gone" }))
        }
        const large = header.kind === "tooLarge" ? largeOf(body) : undefined
        if (header.kind === "tooLarge" && large === undefined)
          return Effect.fail(new PublisherError({ rpc: rpc._tag, reason: "Undecodable" }))
        const { emits, ends, isBehind, missed } = position.step(
          large === undefined ? header : { ...header, kind: large.kind },
          body !== undefined
        )
        // The latest value will tell what was missed before it.
        if (isBehind === true && (missed === undefined || onMissed !== undefined)) {
          return Effect.sync(() => {
            core.subscriptions.remove(askFor(topic), core.subscriptions.add(askFor(topic)))
            return []
          })
        }
        const next = emits
          ? large === undefined
            ? Effect.map(feed.decodeValue(body), (value) => [value])
            : Effect.as(tell({ reason: "TooLarge", count: 1, bytes: large.bytes }), [])
          : ends
            ? large === undefined
              ? Effect.flatMap(feed.decodeExit(body), (exit) => Effect.andThen(exit, Cause.done()))
              : Effect.fail(new PublisherError({ rpc: rpc._tag, reason: "EndTooLarge" }))
            : Effect.succeed([])
        return missed === undefined ? next : Effect.andThen(tell(missed), next)
      }
      const pull: Pull.Pull<readonly [unknown, ...Array<unknown>], unknown, void, unknown> = Effect.flatMap(
        Effect.flatMap(socket.recv, heard),
        (values) => (values.length === 0 ? pull : Effect.succeed(values as [unknown]))
      )
      return Stream.fromPull(Effect.succeed(pull))
    })
  )
