/** One streaming RPC, to any number of subscribers: a stream for each payload that somebody has subscribed to. */
import { randomBytes } from "node:crypto"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Rpc from "effect/rpc/Rpc"
import { RpcSerialization } from "effect/rpc/RpcSerialization"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Frame, Message } from "../../Message.ts"
import type * as ZmqRpc from "../../Rpc.ts"
import { OptionError, type SocketError } from "../../ZmqError.ts"
import { lasting } from "../lasting.ts"
import { openSocket } from "../socket/open.ts"
import { receivingOf, wholeMessage } from "../socket/receiver.ts"
import type { SocketCore } from "../socket/socket.ts"
import { longestSubscription } from "../subscription.ts"
import { Feed, headerOf, type Kind, type Large, type Refusal, sayLarge } from "./feed.ts"
import { excessOf } from "./size.ts"

// Subscribers that come within so long of each other are told the latest value at once.
const betweenLatest = "10 millis"

/** How many sizes its subscribers may take at most: each has a topic of its own, and all that is said is said to each. */
const mostAudiences = 16

/** Those who take the same size. To send them more would end their connections, again and again. */
interface Audience {
  readonly topic: Buffer
  readonly most: number
}

/** Those of a stream, by their topics. */
type Audiences = Map<string, Audience>

const limitedOf = (audiences: Audiences): number => {
  let count = 0
  for (const { most } of audiences.values()) if (Number.isFinite(most)) count++
  return count
}

/** One run of a stream. What it says goes out in the operation that counts it. */
class Run {
  readonly audiences: Audiences
  private readonly id = randomBytes(8)
  private readonly core: SocketCore
  private number = 0
  private latest: Frame | undefined = undefined
  private end: Frame | undefined = undefined
  private isQuiet = false
  fiber: Fiber.Fiber<void> | undefined = undefined
  /** Since when nobody has subscribed to it, in milliseconds of the clock. */
  idleSince: number | undefined = undefined
  /** Whether it ends because nobody wants it any more. */
  isStopped = false

  constructor(core: SocketCore, audiences: Audiences) {
    this.core = core
    this.audiences = audiences
  }

  get hasEnded(): boolean {
    return this.end !== undefined
  }

  /** Forgets those who have left. Says whether there are others. */
  hasSubscribers(): boolean {
    const { subscribers } = this.core.port
    for (const [key, { topic }] of this.audiences) if (subscribers?.matching(topic) === 0) this.audiences.delete(key)
    return this.audiences.size > 0
  }

  /** A PUB never waits: whoever is too far behind misses it, and sees that by the number. */
  private say(kind: Kind, body?: Frame): void {
    const header = headerOf({ kind, run: this.id, number: this.number })
    const { outbox } = this.core
    for (const { most, topic } of this.audiences.values()) {
      const excess = body === undefined ? undefined : excessOf(kind, body, most)
      if (excess !== undefined) this.leaveOut({ kind: kind as Large["kind"], bytes: excess.bytes }, topic)
      else outbox.offer(body === undefined ? [topic, header] : [topic, header, body])
    }
  }

  private leaveOut(large: Large, topic: Buffer): void {
    const header = headerOf({ kind: "tooLarge", run: this.id, number: this.number })
    this.core.outbox.offer([topic, header, sayLarge(large)])
  }

  publish(value: Frame): void {
    this.number++
    this.latest = value
    this.isQuiet = false
    this.say("value", value)
  }

  /** For those who have just come, or have missed something: they take the end only of a run that they were told of. */
  tellLatest(): void {
    this.say("latest", this.latest)
    if (this.end !== undefined) this.say("end", this.end)
  }

  finish(end: Frame): void {
    this.end = end
    this.say("end", end)
  }

  /** Says how far it is, for those who have missed the last of it. */
  beat(): void {
    if (this.end !== undefined) this.say("end", this.end)
    else if (this.isQuiet) this.say("beat")
    this.isQuiet = true
  }

  refuse(why: Refusal): void {
    this.say("refused", why)
  }

  stop(): void {
    this.isStopped = true
    this.fiber?.interruptUnsafe()
  }

  leave(): void {
    this.stop()
    if (!this.hasEnded) this.say("leaving")
  }
}

const unencodable = Exit.die("the end of the stream could not be encoded")

type Handler = (payload: unknown) => Stream.Stream<unknown, unknown, unknown>

/** The runs of a publisher, by their topics. */
class Runs {
  private readonly core: SocketCore
  private readonly feed: Feed
  private readonly handler: Handler
  private readonly maxTopics: number
  private readonly fork: (self: Effect.Effect<void>) => Fiber.Fiber<void>
  private readonly byTopic = new Map<string, Run>()
  /** The topics that somebody has come to. */
  private readonly newcomers = new Set<string>()
  readonly hasNewcomers = Latch.makeUnsafe(false)

  constructor(
    core: SocketCore,
    feed: Feed,
    handler: Handler,
    maxTopics: number,
    fork: (self: Effect.Effect<void>) => Fiber.Fiber<void>
  ) {
    this.core = core
    this.feed = feed
    this.handler = handler
    this.maxTopics = maxTopics
    this.fork = fork
  }

  /** What an XPUB receives: that somebody subscribes, or ends that. */
  readonly heard = ([frame]: Message): void => {
    const topic = frame.subarray(1)
    if (frame[0] !== 1) return
    const asked = this.feed.askedFor(topic)
    if (asked !== undefined) return this.welcome(this.feed.audienceOf(asked).stream.toString("latin1"))
    if (!this.feed.isTopic(topic)) return
    const { most, stream } = this.feed.audienceOf(topic)
    const key = stream.toString("latin1")
    const known = this.byTopic.get(key)
    const audience: readonly [string, Audience] = [topic.toString("latin1"), { topic: Buffer.from(topic), most }]
    const audiences: Audiences = known?.audiences ?? new Map()
    // Whoever takes everything always has a place.
    const isFull = Number.isFinite(most) && !audiences.has(audience[0]) && limitedOf(audiences) >= mostAudiences
    if (isFull || (known === undefined && this.byTopic.size >= this.maxTopics))
      return new Run(this.core, new Map([audience])).refuse("TooManyTopics")
    audiences.set(...audience)
    // One who comes when it has ended has it run again, as with a call.
    if (known === undefined || known.hasEnded) this.begin(key, stream, audiences)
    this.welcome(key)
  }

  private welcome(key: string): void {
    const run = this.byTopic.get(key)
    if (run === undefined) return
    run.idleSince = undefined
    this.newcomers.add(key)
    this.hasNewcomers.openUnsafe()
  }

  private begin(key: string, stream: Buffer, audiences: Audiences): void {
    const run = new Run(this.core, audiences)
    this.byTopic.set(key, run)
    const program = Effect.matchEffect(this.feed.payloadOf(stream), {
      onFailure: () =>
        Effect.sync(() => {
          if (this.byTopic.get(key) === run) this.byTopic.delete(key)
          run.refuse("InvalidPayload")
        }),
      onSuccess: (payload) => this.run(run, payload)
    })
    run.fiber = this.fork(program as Effect.Effect<void>)
  }

  private run(run: Run, payload: unknown): Effect.Effect<void, never, unknown> {
    const { feed, handler } = this
    return Stream.suspend(() => handler(payload)).pipe(
      Stream.runForEach((value) => Effect.map(feed.encodeValue(value), (frame) => run.publish(frame))),
      Effect.exit,
      Effect.flatMap((exit) =>
        run.isStopped ? Effect.void : Effect.map(feed.encodeExit(exit), (frame) => run.finish(frame))
      ),
      // A failure that cannot be encoded.
      Effect.catchDefect((defect) =>
        Effect.andThen(
          Effect.logError(`effect-zmq: the end of the stream ${feed.tag} cannot be encoded`, defect),
          Effect.map(feed.encodeExit(unencodable), (frame) => run.finish(frame))
        )
      )
    )
  }

  tellLatest(): void {
    this.hasNewcomers.closeUnsafe()
    for (const key of this.newcomers) this.byTopic.get(key)?.tellLatest()
    this.newcomers.clear()
  }

  /** Says how far each is, and stops those that nobody has wanted for so long. */
  beat(now: number, idle: number): void {
    for (const [key, run] of this.byTopic) {
      if (run.hasSubscribers()) {
        run.idleSince = undefined
        run.beat()
        continue
      }
      run.idleSince ??= now
      if (!run.hasEnded && now - run.idleSince < idle) continue
      this.byTopic.delete(key)
      run.stop()
    }
  }

  leave(): void {
    for (const run of this.byTopic.values()) run.leave()
    this.byTopic.clear()
  }

  get topics(): number {
    return this.byTopic.size
  }
}

const wholeNumber = (option: string, value: number): number => {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new OptionError({ option, value, expected: "a whole number above 0" })
}

const millisOf = (option: string, value: Duration.Input, least: number): number => {
  const millis = Duration.toMillis(value)
  if (millis >= least) return millis
  throw new OptionError({ option, value, expected: `a Duration.Input of at least ${least} ms` })
}

export const publish = (
  rpc: Rpc.AnyWithProps,
  handler: Handler,
  options: ZmqRpc.PublishOptions
): Effect.Effect<ZmqRpc.Publication, SocketError, unknown> =>
  Effect.gen(function* () {
    const { beatInterval = "1 second", idleTimeToLive = "10 seconds", maxTopics = 1000, ...own } = options
    const serialization = yield* RpcSerialization
    const { beat, feed, idle, most } = yield* Effect.try({
      try: () => ({
        feed: new Feed(rpc, serialization),
        most: wholeNumber("maxTopics", maxTopics),
        beat: millisOf("beatInterval", beatInterval, 1),
        idle: millisOf("idleTimeToLive", idleTimeToLive, 0)
      }),
      catch: (error) => error
    }).pipe(Effect.catch((error) => (error instanceof OptionError ? Effect.fail(error) : Effect.die(error))))
    const core = yield* openSocket("xpub", {
      maxMessageSize: longestSubscription,
      ...own,
      // Those who come to what others have subscribed to before them are told as well.
      verbosity: "allSubsUnsubs"
    })
    const scope = yield* Effect.scope
    const context: Context.Context<never> = yield* lasting<never>()
    const runs = new Runs(core, feed, handler, most, (self) => Fiber.runIn(Effect.runForkWith(context)(self), scope))
    yield* Effect.addFinalizer(() => Effect.sync(() => runs.leave()))
    yield* Effect.map(receivingOf(core).receive("recv", wholeMessage), runs.heard).pipe(
      Effect.forever({ disableYield: true }),
      // The socket has closed, with its context.
      Effect.ignore,
      Effect.forkScoped
    )
    yield* runs.hasNewcomers.await.pipe(
      Effect.andThen(Effect.sync(() => runs.tellLatest())),
      Effect.andThen(Effect.sleep(betweenLatest)),
      Effect.forever,
      Effect.forkScoped
    )
    yield* Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sync(() => runs.beat(now, idle))).pipe(
      Effect.delay(beat),
      Effect.forever,
      Effect.forkScoped
    )
    return {
      get endpoints() {
        return core.endpoints
      },
      get topics() {
        return runs.topics
      }
    }
  }) as Effect.Effect<ZmqRpc.Publication, SocketError, Scope.Scope | RpcSerialization>
