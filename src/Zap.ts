/**
 * Who may connect: the ZeroMQ Authentication Protocol (ZAP, RFC 27).
 *
 * libzmq asks the authenticator of its context about each peer that connects to
 * a socket with the PLAIN or CURVE mechanism, or with a `zapDomain`, before the
 * peer can send or receive anything. `Zap.layer` is that authenticator.
 *
 * **Example** (Ironhouse: only peers whose certificate is in a folder)
 *
 * ```ts
 * import { NodeServices } from "@effect/platform-node"
 * import { Effect, Layer } from "effect"
 * import { Curve, Zap, Zmq } from "effect-zmq"
 *
 * const socket = Effect.gen(function* () {
 *   const keys = yield* Curve.readSecretCertificate("server.key_secret")
 *   return yield* Zmq.rep({ bind: "tcp://*:9000", security: Curve.server({ keys, domain: "global" }) })
 * })
 *
 * const server = Zmq.layer(socket).pipe(
 *   Layer.provide(Zap.layer({ curve: Zap.certificates("clients") })),
 *   Layer.provide(NodeServices.layer)
 * )
 *
 * export const main = Zmq.serve(([question]) => Effect.succeed(`echo ${question}`)).pipe(Effect.provide(server))
 * ```
 *
 * **Nobody gets in by accident**
 *
 * What is not allowed is denied: a mechanism that the layer has nothing to decide
 * by, a peer whose address is unknown, a decision that fails, dies, is
 * interrupted or takes longer than `decisionTimeout`, a request that is
 * malformed. If the authenticator itself ends, whatever the reason, those who
 * come are denied for as long as a socket is open that relies on it.
 *
 * That holds for the sockets of its own thread, and until they close: all worker
 * threads share the context of the process, and a socket that has closed may go
 * on connecting for its `linger`. With a domain libzmq itself denies there.
 *
 * Before it begins, libzmq lets nobody in to a socket whose `security` has a
 * domain, and **everybody** to a `Curve.server` without one, and to a socket with
 * a `zapDomain` but no `zapEnforceDomain`. So use `security`, and give it a
 * domain.
 *
 * **What a denied peer sees**
 *
 * Its handshake fails. On 400 (denied) and 500 (a malformed request) it is told
 * the status, and its libzmq gives the connection up for good. A socket of this
 * library makes it again, after `reconnectInterval` at first, and then less and
 * less often: who is allowed later gets in. A program without it has to
 * disconnect and connect. On 300 (no decision was made: a failure, a timeout) it is told nothing,
 * and its libzmq connects again when the `handshakeInterval` of either side is
 * over, which is 30 seconds by default.
 *
 * **What ZAP cannot do**
 *
 * It is asked when a peer connects. A peer that is denied from now on keeps the
 * connection that it has. inproc connections and `rawStream` sockets have no
 * handshake, and are not asked about.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as PlatformError from "effect/PlatformError"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Curve from "./Curve.ts"
import { watchCertificates } from "./internal/zap/certificates.ts"
import * as model from "./internal/zap/model.ts"
import { makeZap } from "./internal/zap/zap.ts"
import type { OptionError, SocketError } from "./ZmqError.ts"

// -----------------------------------------------------------------------------
// requests and verdicts
// -----------------------------------------------------------------------------

/**
 * What is known of a peer that wants to connect.
 *
 * @category models
 * @since 0.1.0
 */
export interface Peer {
  /** The domain of the socket it connects to; empty if that has none. */
  readonly domain: string
  /**
   * Its IP address as libzmq writes it: that of an IPv4 peer of an IPv6 socket is
   * `::ffff:127.0.0.1`. Over ipc it is `localhost`, and on Unix the user, group
   * and process of the peer: `localhost:1000:1000:4711`.
   */
  readonly address: string
  /** The `routingId` of the socket it connects to; empty if that has none. */
  readonly identity: Uint8Array
}

/**
 * A peer without credentials.
 *
 * @category models
 * @since 0.1.0
 */
export interface NullRequest extends Peer {
  readonly mechanism: "NULL"
}

/**
 * A peer with a name and a password. PLAIN sends both in the open.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlainRequest extends Peer {
  readonly mechanism: "PLAIN"
  readonly username: string
  readonly password: Redacted.Redacted<string>
}

/**
 * A peer that has proved that it has the secret key to this public one.
 *
 * @category models
 * @since 0.1.0
 */
export interface CurveRequest extends Peer {
  readonly mechanism: "CURVE"
  /** 40 characters of Z85. */
  readonly publicKey: Curve.PublicKey
}

/**
 * What an authenticator decides about.
 *
 * @category models
 * @since 0.1.0
 */
export type Request = NullRequest | PlainRequest | CurveRequest

/**
 * What an authenticator has decided.
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict =
  | { readonly _tag: "Accept"; readonly userId: string | undefined }
  | { readonly _tag: "Deny"; readonly detail: string | undefined }

/**
 * Lets the peer in. The user id, at most 255 bytes, is in the event, and libzmq
 * has it as the property `User-Id` of each message of the peer, which PyZMQ can
 * read and zeromq.js cannot. It is the name of a PLAIN peer and the public key of
 * a CURVE peer unless given.
 *
 * @category verdicts
 * @since 0.1.0
 */
export const accept: (userId?: string) => Verdict = model.accept

/**
 * Refuses the peer. The detail is in the event and in the log; the peer is not
 * told.
 *
 * @category verdicts
 * @since 0.1.0
 */
export const deny: (detail?: string) => Verdict = model.deny

/**
 * Decides about a peer. If it fails, dies, is interrupted, or takes longer than
 * `decisionTimeout`, the peer is denied.
 *
 * **Example** (Names and passwords in a database)
 *
 * ```ts
 * import { Context, Effect, Redacted } from "effect"
 * import { Zap } from "effect-zmq"
 *
 * class Users extends Context.Service<Users, {
 *   readonly check: (name: string, password: string) => Effect.Effect<boolean, Error>
 * }>()("app/Users") {}
 *
 * // Layer<Zap, SocketError, Users>
 * export const authenticator = Zap.layer({
 *   plain: ({ username, password }) =>
 *     Effect.gen(function* () {
 *       const users = yield* Users
 *       const known = yield* users.check(username, Redacted.value(password))
 *       return known ? Zap.accept(username) : Zap.deny()
 *     })
 * })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type Authenticator<in Req extends Request, out E = unknown, out R = unknown> = (
  request: Req
) => Effect.Effect<Verdict, E, R>

/**
 * Lets in every peer whose address is not denied. With CURVE that is the
 * Stonehouse: all are encrypted, and anybody may come.
 *
 * @category authenticators
 * @since 0.1.0
 */
export const anybody: Authenticator<Request, never, never> = () => Effect.succeed(accept())

/**
 * Lets in the CURVE peers whose public certificates are in a folder: the files
 * whose names end in `.key`, as `Curve.writeCertificate`, CZMQ and PyZMQ write
 * them.
 *
 * The folder is watched: a certificate that is added lets its owner in, and one
 * that is removed, or no longer readable, does not. Where the system gives no
 * notice, as on some network disks, that takes `rescanInterval`, which is 5
 * seconds by default. A file that is no certificate is told of in the log.
 *
 * Fails if there is no such folder. If it goes away later, nobody gets in until
 * it is back.
 *
 * @category authenticators
 * @since 0.1.0
 */
export const certificates: (
  folder: string,
  options?: { readonly rescanInterval?: Duration.Input | undefined } | undefined
) => Effect.Effect<
  Authenticator<CurveRequest, never, never>,
  PlatformError.PlatformError | OptionError,
  FileSystem.FileSystem | Scope.Scope
> = watchCertificates

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

/**
 * Rules about addresses: IPv4 and IPv6 addresses, networks like `"10.0.0.0/8"`,
 * and `"ipc"` for all peers over ipc. An IPv4 address is also that of an IPv4
 * peer of an IPv6 socket.
 *
 * @category options
 * @since 0.1.0
 */
export interface AddressRules {
  /** Who may come, by any mechanism, if the rest agrees. Default: all. */
  readonly allow?: ReadonlyArray<string> | undefined
  /** Who may not. Counts more than `allow`. Default: nobody. */
  readonly deny?: ReadonlyArray<string> | undefined
}

/** An authenticator, or an effect that makes one for as long as the layer lives. */
type AuthenticatorInput<Req extends Request> = Authenticator<Req> | Effect.Effect<Authenticator<Req>, unknown, unknown>

/**
 * Who may connect: what the address rules let through and the mechanism of the
 * socket then accepts.
 *
 * @category options
 * @since 0.1.0
 */
export interface Policy extends AddressRules {
  /**
   * Decides about peers without credentials. Default: whom `allow` lets through;
   * if there is none, whom `deny` lets through, unless `plain` or `curve` ask for
   * credentials here; and otherwise nobody.
   */
  readonly null?: AuthenticatorInput<NullRequest> | undefined
  /** Decides about names and passwords: a table of them, or an authenticator. Default: nobody. */
  readonly plain?: Readonly<Record<string, Redacted.Redacted<string>>> | AuthenticatorInput<PlainRequest> | undefined
  /**
   * Decides about public keys: those that may come, 40 characters of Z85 each, or
   * an authenticator, such as `Zap.certificates` or `Zap.anybody`. Default: nobody.
   */
  readonly curve?: ReadonlyArray<string> | AuthenticatorInput<CurveRequest> | undefined
}

/**
 * Options of `Zap.layer`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends Policy {
  /**
   * Policies for sockets whose `security` has a domain of that name. Such a domain has the
   * policy given here and nothing of the others, but for the `deny` of the layer,
   * which counts everywhere. Default: all domains have the policy of the layer.
   */
  readonly domains?: Readonly<Record<string, Policy>> | undefined
  /**
   * How long an authenticator may take before the peer is denied, by the Effect
   * `Clock`. Longer than 0, and best shorter than the `handshakeInterval` of the
   * sockets, which is 30 seconds by default. Default: 5 seconds.
   */
  readonly decisionTimeout?: Duration.Input | undefined
  /** How many decisions may be under way at once, 1 to 1,024. Default: 64. */
  readonly concurrency?: number | undefined
}

type ResultOf<A> = A extends (...args: never) => infer B ? B : never

type ErrorOf<Input> = Input extends Effect.Effect<unknown, infer E, unknown> ? E : never

type ServicesOf<Input> =
  Input extends Effect.Effect<infer A, unknown, infer R>
    ? Exclude<R, Scope.Scope> | ServicesOf<ResultOf<A>>
    : ResultOf<Input> extends infer B
      ? [B] extends [never]
        ? never
        : B extends Effect.Effect<unknown, unknown, infer R>
          ? R
          : never
      : never

type Member<O, Name extends "null" | "plain" | "curve"> = O extends { readonly [K in Name]: infer Input }
  ? Input
  : never
type Members<O> = Member<O, "null"> | Member<O, "plain"> | Member<O, "curve">
type MembersOf<O> =
  | Members<O>
  | (O extends { readonly domains: infer Domains } ? Members<Domains[keyof Domains]> : never)

// -----------------------------------------------------------------------------
// decisions
// -----------------------------------------------------------------------------

/**
 * Why a peer was denied.
 *
 * | reason | meaning | status |
 * |---|---|---|
 * | `Address` | denied by its address | 400 |
 * | `Credentials` | its authenticator denied it, or it is on no list | 400 |
 * | `NoAuthenticator` | nothing decides about this mechanism in this domain | 400 |
 * | `Failed` | the authenticator failed, died or was interrupted: see `cause` | 300 |
 * | `TimedOut` | the authenticator took longer than `decisionTimeout` | 300 |
 * | `Ended` | the layer has ended, or come to an unexpected end | 300 |
 * | `Malformed` | not a request as RFC 27 has it, or an unknown mechanism | 500, 400 |
 *
 * @category decisions
 * @since 0.1.0
 */
export type Reason = "Address" | "Credentials" | "NoAuthenticator" | "Failed" | "TimedOut" | "Ended" | "Malformed"

/**
 * What is known of a peer that was decided about: no secrets.
 *
 * @category decisions
 * @since 0.1.0
 */
export interface DecidedPeer extends Peer {
  readonly mechanism: string
  /** Of a PLAIN peer. */
  readonly username: string | undefined
  /** Of a CURVE peer: 40 characters of Z85. */
  readonly publicKey: Curve.PublicKey | undefined
}

/**
 * A decision that was made. The `cause` of a `Failed` one is as the authenticator
 * failed, with whatever it says.
 *
 * @category decisions
 * @since 0.1.0
 */
export type Decision =
  | (DecidedPeer & { readonly _tag: "Accepted"; readonly userId: string })
  | (DecidedPeer & {
      readonly _tag: "Denied"
      readonly reason: Reason
      readonly detail: string
      /** What libzmq was told: see the table of `Reason`. */
      readonly status: 300 | 400 | 500
      readonly cause: Cause.Cause<unknown> | undefined
    })

/**
 * Makes, tells apart and matches decisions.
 *
 * **Example** (A line for each peer that was denied)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Zap } from "effect-zmq"
 *
 * export const watch = Effect.gen(function* () {
 *   const zap = yield* Zap.Zap
 *   yield* zap.decisions.pipe(
 *     Stream.filter(Zap.Decision.$is("Denied")),
 *     Stream.runForEach(({ address, reason }) => Effect.log(`${address}: ${reason}`))
 *   )
 * })
 * ```
 *
 * @category decisions
 * @since 0.1.0
 */
export const Decision = model.Decision

// -----------------------------------------------------------------------------
// the authenticator
// -----------------------------------------------------------------------------

/**
 * The authenticator of a context.
 *
 * @category services
 * @since 0.1.0
 */
export class Zap extends Context.Service<
  Zap,
  {
    /**
     * The decisions from the moment that the stream runs, for any number of
     * subscribers. One that falls 1,024 behind misses the oldest. Ends when the
     * layer does.
     */
    readonly decisions: Stream.Stream<Decision>
    /**
     * Puts address rules in the place of those of the layer, or of one of its
     * `domains`, for the peers that connect from now on. What is left out is
     * as if never given.
     */
    readonly setAddressRules: (rules: AddressRules, domain?: string) => Effect.Effect<void, OptionError>
  }
>()("effect-zmq/Zap") {}

/**
 * Runs the authenticator of a context, for as long as the layer lives.
 *
 * It is asked about peers of all sockets of the context in which it is opened. A
 * context has one: a second fails with `BindError` (`AddressInUse`) while the
 * first is there. Options are checked: a wrong one fails with `OptionError`.
 *
 * A denial is in the log as a warning, with the domain, address, mechanism and
 * identity of the peer, and each acceptance at debug level. No password and no
 * secret key is in either. Of denials with the same domain, address, mechanism and
 * reason the first is told, of at most 100 kinds, and how many came after it once a
 * minute, and less often if they do not end: `decisions` has them all.
 *
 * **Example** (Strawhouse: only some addresses)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Null, Zap, Zmq } from "effect-zmq"
 *
 * const server = Zmq.layer(Zmq.pull({ bind: "tcp://*:9000", security: Null.server({ domain: "global" }) })).pipe(
 *   Layer.provide(Zap.layer({ allow: ["127.0.0.1", "10.0.0.0/8"], deny: ["10.1.2.3"] }))
 * )
 *
 * export const main = Zmq.recvString.pipe(Effect.provide(server))
 * ```
 *
 * **Example** (Keys for one domain, passwords for another)
 *
 * ```ts
 * import { Redacted } from "effect"
 * import { Zap } from "effect-zmq"
 *
 * export const authenticator = Zap.layer({
 *   domains: {
 *     admin: { allow: ["10.0.0.0/8"], curve: ["Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"] },
 *     users: { plain: { ann: Redacted.make("a password") } }
 *   }
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const O extends Options>(
  options: O & { readonly [Name in Exclude<keyof O, keyof Options>]: never }
): Layer.Layer<Zap, SocketError | ErrorOf<MembersOf<O>>, ServicesOf<MembersOf<O>>> =>
  Layer.effect(
    Zap,
    makeZap(options) as Effect.Effect<
      Zap["Service"],
      SocketError | ErrorOf<MembersOf<O>>,
      ServicesOf<MembersOf<O>> | Scope.Scope
    >
  ) as Layer.Layer<Zap, SocketError | ErrorOf<MembersOf<O>>, ServicesOf<MembersOf<O>>>
