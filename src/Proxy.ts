/**
 * Proxies: what arrives on one socket leaves on another, as libzmq's
 * `zmq_proxy` has it, in the event loop and without a thread.
 *
 * **Details**
 *
 * A proxy passes messages on between a frontend and a backend, in the one
 * direction or the two that their types allow. Until libzmq has accepted a
 * message for the other side it belongs to the socket that received it: a proxy
 * that is interrupted, paused or ended has passed each message on once, or the
 * next receive gets it. Messages keep their order and their frames.
 *
 * While one side has no room, a proxy stops reading the other, so that the peers
 * there have to wait, too. No more messages are taken from libzmq than a mailbox
 * holds: 256, or `receiveHighWaterMark` if that is less. The peers of a ROUTER wait
 * for room separately, and one that does not read holds up nobody: up to 1,000
 * messages for it wait, and as many of its own. What comes beyond that is dropped,
 * counted in `stats.dropped` of the ROUTER and said once in the log. While a peer of a
 * ROUTER has no room, more is read, as its end may be behind that: at most 65,536
 * messages and 64 MiB.
 *
 * A message for a ROUTER peer that has left is dropped, as `zmq_proxy` does it,
 * and counted. With `mandatory: false` libzmq itself drops it, and also what a
 * peer has no room for: then no peer ever holds up the others, and nobody
 * counts.
 *
 * Any number of proxies may run: they occupy no thread, and share what they take
 * of the event loop. A proxy in a thread of libuv, as zeromq.js has it, passes
 * more messages, and is not to be had here: it loses what is queued when it is
 * stopped, cannot be stopped while the backend is full, and keeps the process
 * from exiting (see `bench/README.md`).
 *
 * **Example** (A broker between clients that ask and workers that answer)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Proxy } from "effect-zmq"
 *
 * export const broker = Effect.gen(function* () {
 *   const proxy = yield* Proxy.queue({
 *     frontend: { bind: "tcp://127.0.0.1:5559" },
 *     backend: { bind: "tcp://127.0.0.1:5560" }
 *   })
 *   yield* Effect.log(`clients connect to ${proxy.frontend.endpoints[0]}`)
 *   yield* proxy.await
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type flows, flowsTo, ProxyCore, type Role } from "./internal/proxy/proxy.ts"
import type { SocketCore } from "./internal/socket/socket.ts"
import { coreOf } from "./internal/socket/socket.ts"
import { longestSubscription } from "./internal/subscription.ts"
import * as Zmq from "./Zmq.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

interface SocketsByType {
  readonly pull: Zmq.Pull
  readonly push: Zmq.Push
  readonly pub: Zmq.Pub
  readonly sub: Zmq.Sub
  readonly dealer: Zmq.Dealer
  readonly router: Zmq.Router
  readonly pair: Zmq.Pair
  readonly xpub: Zmq.XPub
  readonly xsub: Zmq.XSub
  readonly rawStream: Zmq.RawStream
}

type Flows = typeof flows
type TargetOf<From> = From extends keyof Flows ? Flows[From][number] : never
type SourceOf<To> = { [From in keyof Flows]: To extends Flows[From][number] ? From : never }[keyof Flows]

/**
 * A socket that can be one side of a proxy: all but REQ and REP, which are in
 * turn with one peer. Use DEALER and ROUTER in their places.
 *
 * @category models
 * @since 0.1.0
 */
export type Side = SocketsByType[keyof SocketsByType]

/**
 * What `S` can be paired with: a socket that may send what `S` receives, or
 * receive what `S` sends.
 *
 * **Details**
 *
 * | one | other | passes |
 * |---|---|---|
 * | ROUTER, STREAM | DEALER, PAIR | both ways |
 * | XSUB | XPUB | messages to the XPUB, subscriptions to the XSUB |
 * | DEALER, PAIR | DEALER, PAIR, XSUB, XPUB | both ways |
 * | PULL, SUB | PUSH, PUB, XPUB, DEALER, PAIR | to the latter |
 * | ROUTER, STREAM, XSUB, DEALER, PAIR | PUSH, PUB, XPUB | to the latter, and an XPUB's subscriptions back to XSUB, DEALER and PAIR |
 * | PULL | ROUTER, STREAM | to the latter: messages headed by a routing id |
 *
 * @category models
 * @since 0.1.0
 */
export type Counterpart<S extends Side> = SocketsByType[TargetOf<S["type"]> | SourceOf<S["type"]>]

/**
 * A socket that can be given a copy of each message.
 *
 * @category models
 * @since 0.1.0
 */
export type Capture = Zmq.Pub | Zmq.XPub | Zmq.Push | Zmq.Pair | Zmq.Dealer

/**
 * What has been passed on in one direction.
 *
 * @category models
 * @since 0.1.0
 */
export interface Passed {
  /** Whole messages, of however many frames, that libzmq has accepted. */
  readonly messages: number
  /** The bytes of all their frames. */
  readonly bytes: number
  /** Messages for a ROUTER that went nowhere: their peer had left, or they had no frame besides its routing id. */
  readonly dropped: number
}

/**
 * What a proxy has passed on since it was made. Plain counters, read with
 * `proxy.stats`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  /** From the frontend to the backend. */
  readonly toBackend: Passed
  /** From the backend to the frontend. */
  readonly toFrontend: Passed
}

/**
 * A proxy that is there, and how to steer it: `zmq_proxy_steerable` as Effects.
 *
 * @category models
 * @since 0.1.0
 */
export interface Proxy<out F extends Zmq.Socket = Zmq.Socket, out B extends Zmq.Socket = Zmq.Socket> {
  readonly frontend: F
  readonly backend: B
  /**
   * Stops passing messages on, until `resume`. When it is done no message is on
   * its way: what had not been sent is back with the socket it came from, where a
   * receive would get it. PAUSE
   */
  readonly pause: Effect.Effect<void>
  /** Goes on, in a proxy that is paused. RESUME */
  readonly resume: Effect.Effect<void>
  /** Ends the proxy, as closing its scope does. Its sockets stay open. TERMINATE */
  readonly terminate: Effect.Effect<void>
  /** What has passed until now. STATISTICS */
  readonly stats: Stats
  /** Waits until the proxy has ended. Fails if it ended because one of its sockets was closed. */
  readonly await: Effect.Effect<void, Zmq.Closed>
}

/**
 * What a proxy can be given besides its sockets.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Gets a copy of each message, of both directions, before it is passed on. It
   * is a part of the way: while it has no room, nothing is passed on. A PUB always
   * has, and drops what its peers have no room for. A message that is put back
   * after it was captured is not captured again. Default: none.
   */
  readonly capture?: Capture | undefined
  /**
   * When it succeeds, the proxy takes nothing more from either side, passes on what
   * is on its way, and ends: `await` and `run` succeed then. What waits until a peer
   * has room is on its way, as long as that takes. A reply that comes later stays with
   * the socket that receives it: to have all of them, stop those who ask, wait, and then
   * stop the proxy. It is interrupted when the proxy ends before. Default: none.
   */
  readonly until?: Effect.Effect<unknown> | undefined
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * The sockets cannot be proxied. What compiles fails with it only where types
 * were circumvented, or with a copy of a socket.
 *
 * **Details**
 *
 * - `NoFlow`: neither can send what the other receives.
 * - `SameSocket`: one socket cannot be two sides of a proxy.
 * - `NotASocket`: an object that none of the constructors of `Zmq` made.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProxyError extends Data.TaggedError("ProxyError")<{
  readonly reason: "NoFlow" | "SameSocket" | "NotASocket"
  readonly frontend: string
  readonly backend: string
  readonly capture: string | undefined
}> {
  override get message(): string {
    const capture = this.capture === undefined ? "" : `, captured by ${this.capture}`
    return `Proxy between ${this.frontend} and ${this.backend}${capture}: ${this.reason}. ${advice[this.reason]}`
  }
}

const advice = {
  NoFlow:
    "Use a pair like router and dealer, xsub and xpub, or pull and push, and a pub, push, pair or dealer as its capture",
  SameSocket: "Open a socket for each side",
  NotASocket: "Use the sockets as the constructors of `Zmq` made them, and no copies of them"
} as const

// -----------------------------------------------------------------------------
// proxies
// -----------------------------------------------------------------------------

const captures: ReadonlySet<string> = new Set<Capture["type"]>(["pub", "xpub", "push", "pair", "dealer"])

interface Cores {
  readonly frontend: SocketCore
  readonly backend: SocketCore
  readonly capture: SocketCore | undefined
}

const coresOf = (frontend: Side, backend: Side, capture: Capture | undefined): Cores | ProxyError => {
  const fail = (reason: ProxyError["reason"]) =>
    new ProxyError({ reason, frontend: frontend?.type, backend: backend?.type, capture: capture?.type })
  const all = [frontend, backend, capture].map((socket) => (socket === undefined ? undefined : coreOf(socket)))
  const [front, back, copies] = all
  if (front === undefined || back === undefined || (capture !== undefined && copies === undefined)) {
    return fail("NotASocket")
  }
  if (front === back || copies === front || copies === back) return fail("SameSocket")
  const flows = flowsTo(front.type, back.type) || flowsTo(back.type, front.type)
  if (!flows || (copies !== undefined && !captures.has(copies.type))) return fail("NoFlow")
  return { frontend: front, backend: back, capture: copies }
}

const closed = (role: Role) => new Zmq.Closed({ operation: `Proxy: ${role}` })

const settled = (run: () => Promise<unknown> | undefined): Effect.Effect<void> =>
  Effect.suspend(() => {
    const settling = run()
    return settling === undefined ? Effect.void : Effect.promise(() => settling)
  })

interface Running {
  readonly core: ProxyCore
  readonly ended: Deferred.Deferred<void, Zmq.Closed>
}

const start = (cores: Cores): Effect.Effect<Running, Zmq.Closed> => {
  for (const role of ["frontend", "backend", "capture"] as const) {
    if (cores[role]?.closed) return Effect.fail(closed(role))
  }
  const ended = Deferred.makeUnsafe<void, Zmq.Closed>()
  const core = new ProxyCore(cores.frontend, cores.backend, cores.capture, (role) => {
    Deferred.doneUnsafe(ended, role === undefined ? Effect.void : Effect.fail(closed(role)))
  })
  return Effect.succeed({ core, ended })
}

const open = (
  frontend: Side,
  backend: Side,
  options: Options | undefined
): Effect.Effect<Running, ProxyError | Zmq.Closed, Scope.Scope> =>
  Effect.tap(
    Effect.acquireRelease(
      Effect.suspend((): Effect.Effect<Running, ProxyError | Zmq.Closed> => {
        const cores = coresOf(frontend, backend, options?.capture)
        return cores instanceof ProxyError ? Effect.fail(cores) : start(cores)
      }),
      ({ core }) => settled(() => core.end())
    ),
    ({ core, ended }) => {
      const resume = Effect.sync(() => core.resume())
      if (options?.until === undefined) return resume
      const finish = Effect.matchCause(options.until, {
        onSuccess: () => core.finish(),
        onFailure: (cause) => {
          Deferred.doneUnsafe(ended, Effect.failCause(cause))
          core.end()
        }
      })
      // At once: what is to end now takes nothing.
      return Effect.andThen(Effect.forkScoped(finish, { startImmediately: true }), resume)
    }
  )

/**
 * Passes messages on between two sockets until the scope closes, and gives a
 * handle to steer it with.
 *
 * **Details**
 *
 * It runs from now on, and by itself. `await` waits for its end. The sockets may be
 * used beside it: who receives or sends takes turns with the proxy. Their
 * `receiveTimeout` and `sendTimeout` do not apply to it.
 *
 * **Example** (Pausing, and what has passed)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Proxy, Zmq } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const jobs = yield* Zmq.pull({ bind: "tcp://127.0.0.1:5557" })
 *   const workers = yield* Zmq.push({ bind: "tcp://127.0.0.1:5558" })
 *   const proxy = yield* Proxy.make(jobs, workers)
 *   yield* Effect.sleep("1 minute")
 *   yield* proxy.pause
 *   const { toBackend } = proxy.stats
 *   yield* Effect.log(`${toBackend.messages} jobs of ${toBackend.bytes} bytes`)
 *   yield* proxy.resume
 *   yield* proxy.await
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <F extends Side, B extends Counterpart<F>>(
  frontend: F,
  backend: B,
  options?: Options
): Effect.Effect<Proxy<F, B>, ProxyError | Zmq.Closed, Scope.Scope> =>
  Effect.map(open(frontend, backend as Side, options), ({ core, ended }) => ({
    frontend,
    backend,
    pause: settled(() => core.pause()),
    resume: Effect.sync(() => core.resume()),
    terminate: settled(() => core.end()),
    get stats() {
      return { toBackend: { ...core.toBackend }, toFrontend: { ...core.toFrontend } }
    },
    await: Deferred.await(ended)
  }))

/**
 * Passes messages on between two sockets until it is interrupted, or, with `until`, told
 * to end. The sockets stay open.
 *
 * **Example** (A forwarder that may be interrupted and started again)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Proxy, Zmq } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const publishers = yield* Zmq.xsub({ bind: "tcp://127.0.0.1:5556" })
 *   const subscribers = yield* Zmq.xpub({ bind: "tcp://127.0.0.1:5557" })
 *   const audit = yield* Zmq.push({ connect: "tcp://127.0.0.1:5558" })
 *   yield* Proxy.run(publishers, subscribers, { capture: audit }).pipe(Effect.timeoutOption("1 hour"))
 *   yield* Proxy.run(publishers, subscribers)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const run: {
  <F extends Side, B extends Counterpart<F>>(
    frontend: F,
    backend: B,
    options: Options & { readonly until: Effect.Effect<unknown> }
  ): Effect.Effect<void, ProxyError | Zmq.Closed>
  <F extends Side, B extends Counterpart<F>>(
    frontend: F,
    backend: B,
    options?: Options & { readonly until?: undefined }
  ): Effect.Effect<never, ProxyError | Zmq.Closed>
} = (frontend: Side, backend: Side, options?: Options): Effect.Effect<never, ProxyError | Zmq.Closed> =>
  Effect.scoped(
    Effect.flatMap(open(frontend, backend, options), ({ ended }) =>
      // Without `until` it ends in no other way.
      Effect.as(Deferred.await(ended), undefined as never)
    )
  )

/**
 * Opens a ROUTER for clients and a DEALER for workers, and passes requests to
 * the workers, in turn, and their replies to the client that asked. Clients are
 * REQ or DEALER, workers REP, DEALER or ROUTER. While there is no worker, requests
 * wait.
 *
 * **Example** (As a part of an application)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { Proxy } from "effect-zmq"
 *
 * export const Broker = Layer.effectDiscard(
 *   Proxy.queue({
 *     frontend: { bind: "tcp://127.0.0.1:5559" },
 *     backend: { bind: "tcp://127.0.0.1:5560" }
 *   })
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const queue = (
  options: { readonly frontend: Zmq.RouterOptions; readonly backend: Zmq.DealerOptions } & Options
): Effect.Effect<Proxy<Zmq.Router, Zmq.Dealer>, Zmq.SocketError | ProxyError | Zmq.Closed, Scope.Scope> =>
  Effect.gen(function* () {
    const frontend = yield* Zmq.router(options.frontend)
    const backend = yield* Zmq.dealer(options.backend)
    return yield* make(frontend, backend, options)
  })

/**
 * Opens an XSUB for publishers and an XPUB for subscribers, and passes messages
 * to the subscribers, and their subscriptions to the publishers: so that only
 * what somebody has subscribed to is sent at all.
 *
 * The XPUB takes topics of up to 512 bytes, as a PUB does, unless it is given
 * another `maxMessageSize`: a subscriber that sends more is disconnected there,
 * and not the forwarder by its publishers.
 *
 * **Example** (Publishers and subscribers that need to know one address only)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Proxy } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const proxy = yield* Proxy.forwarder({
 *     frontend: { bind: "tcp://127.0.0.1:5556" },
 *     backend: { bind: "tcp://127.0.0.1:5557" }
 *   })
 *   yield* proxy.await
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const forwarder = (
  options: { readonly frontend: Zmq.XSubOptions; readonly backend: Zmq.XPubOptions } & Options
): Effect.Effect<Proxy<Zmq.XSub, Zmq.XPub>, Zmq.SocketError | ProxyError | Zmq.Closed, Scope.Scope> =>
  Effect.gen(function* () {
    const frontend = yield* Zmq.xsub(options.frontend)
    // What a subscriber sends goes to the publishers, which cut off who sends more.
    const maxMessageSize = options.backend.maxMessageSize ?? longestSubscription
    const backend = yield* Zmq.xpub({ ...options.backend, maxMessageSize })
    return yield* make(frontend, backend, options)
  })

/**
 * Opens a PULL for those who have jobs and a PUSH for those who do them, and
 * passes the jobs on, in turn.
 *
 * **Example** (Jobs from anywhere, for whoever is there)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Proxy } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const proxy = yield* Proxy.streamer({
 *     frontend: { bind: "tcp://127.0.0.1:5557" },
 *     backend: { bind: "tcp://127.0.0.1:5558" }
 *   })
 *   yield* proxy.await
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const streamer = (
  options: { readonly frontend: Zmq.PullOptions; readonly backend: Zmq.PushOptions } & Options
): Effect.Effect<Proxy<Zmq.Pull, Zmq.Push>, Zmq.SocketError | ProxyError | Zmq.Closed, Scope.Scope> =>
  Effect.gen(function* () {
    const frontend = yield* Zmq.pull(options.frontend)
    const backend = yield* Zmq.push(options.backend)
    return yield* make(frontend, backend, options)
  })
