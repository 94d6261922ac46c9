/**
 * The RPC of Effect over ZeroMQ.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as EffectRpc from "effect/rpc/Rpc"
import type * as RpcSchema from "effect/rpc/RpcSchema"
import type { RpcSerialization } from "effect/rpc/RpcSerialization"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Missed, PublisherError } from "./internal/rpc/feedErrors.ts"
import * as publishing from "./internal/rpc/publish.ts"
import * as subscribing from "./internal/rpc/subscribe.ts"
import type { SubOptions, XPubOptions } from "./SocketOptions.ts"
import type { Again, Closed, SocketError } from "./ZmqError.ts"

export { Missed, PublisherError } from "./internal/rpc/feedErrors.ts"

// -----------------------------------------------------------------------------
// publish and subscribe
// -----------------------------------------------------------------------------

/**
 * How a publisher listens: the options of an XPUB, but for those that are decided here.
 *
 * @category options
 * @since 0.1.0
 */
export interface PublishOptions
  extends Omit<
    XPubOptions,
    "verbosity" | "welcomeMessage" | "noDrop" | "invertMatching" | "receiveTimeout" | "sendTimeout"
  > {
  /** How many streams may run at a time. Whoever subscribes to another is told `TooManyTopics`. Default: 1,000. */
  readonly maxTopics?: number | undefined
  /**
   * How often each subscriber is told how far a stream is on which nothing was published since: so long it takes at most
   * until one that was behind sees that it has missed the last values, or the end. Default: 1 second.
   */
  readonly beatInterval?: Duration.Input | undefined
  /**
   * How long a stream runs on that nobody has subscribed to any more. A subscriber whose connection was lost should be back within
   * that time. It is looked at with each beat. Default: 10 seconds.
   */
  readonly idleTimeToLive?: Duration.Input | undefined
}

/**
 * A streaming RPC that is published.
 *
 * @category models
 * @since 0.1.0
 */
export interface Publication {
  /** Where subscribers connect to. */
  readonly endpoints: ReadonlyArray<string>
  /** How many streams it has: one for each payload that somebody has subscribed to. */
  readonly topics: number
}

/**
 * How a subscriber connects: the options of a SUB, but for those that are decided here.
 *
 * @category options
 * @since 0.1.0
 */
export interface SubscribeOptions<out R = never>
  extends Omit<SubOptions, "subscribe" | "bind" | "connect" | "conflate" | "invertMatching"> {
  /** The endpoint of the publisher, or of several forwarders that lead to it. */
  readonly connect: string | ReadonlyArray<string>
  /** What to do about values that were missed, and then go on with the stream. Default: it fails with `Missed`. */
  readonly onMissed?: ((missed: Missed) => Effect.Effect<unknown, never, R>) | undefined
  /**
   * Whether to wait for a publisher that has gone, or to fail with `Gone`. That it has gone without a word is known over
   * tcp, ipc and ws. Over inproc there is no way to wait, as libzmq does not make such a connection again. Default: `"wait"`.
   */
  readonly whileDisconnected?: "wait" | "fail" | undefined
}

/**
 * Publishes one streaming RPC, to any number of subscribers over PUB and SUB, until the
 * scope closes.
 *
 * **Details**
 *
 * For each payload that somebody subscribes to one stream runs, however many subscribers it has.
 * It begins with the first of them, and ends when the handler's stream ends, which they are told with its
 * error, or when nobody has wanted it for `idleTimeToLive`. Whoever subscribes to one that has ended has
 * it run again, as with a call.
 *
 * Who comes late is told the value that was published last, and goes on from there: no value is
 * missing, and none comes twice.
 *
 * A PUB waits for nobody. For a subscriber that is further behind than the `sendHighWaterMark` here and the `receiveHighWaterMark` there
 * it drops values, and the subscriber sees by their numbers how many: see `Missed`.
 *
 * @category publish and subscribe
 * @since 0.1.0
 */
export const publish: <R extends StreamRpc, E extends EffectRpc.ErrorExit<R>, Env>(
  rpc: R,
  handler: (payload: EffectRpc.Payload<R>) => Stream.Stream<EffectRpc.SuccessChunk<R>, E, Env>,
  options: PublishOptions
) => Effect.Effect<
  Publication,
  SocketError,
  Scope.Scope | RpcSerialization | Exclude<Env, Scope.Scope> | EffectRpc.ServicesServer<R>
> = publishing.publish as never

/**
 * Subscribes to a streaming RPC that is published, with a payload.
 *
 * **Details**
 *
 * The stream begins with the value that was published last, if there was one. It ends as the stream of the
 * publisher does, with its error. It fails with `Missed` where values were dropped on their way, unless there is
 * an `onMissed`: then it goes on with the latest value. `Stream.retry` subscribes again.
 *
 * @category publish and subscribe
 * @since 0.1.0
 */
export const subscribe: <R extends StreamRpc, Env = never>(
  rpc: R,
  payload: EffectRpc.PayloadConstructor<R>,
  options: SubscribeOptions<Env>
) => Stream.Stream<
  EffectRpc.SuccessChunk<R>,
  EffectRpc.ErrorExit<R> | Missed | PublisherError | SocketError | Again | Closed,
  RpcSerialization | Env | EffectRpc.ServicesClient<R>
> = subscribing.subscribe as never

/**
 * An RPC with `stream: true`.
 *
 * @category models
 * @since 0.1.0
 */
export type StreamRpc = EffectRpc.Any & {
  readonly successSchema: RpcSchema.Stream<Schema.Constraint, Schema.Constraint>
}
