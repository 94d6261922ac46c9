/** The authenticator: decides about requests, and tells of it. */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Take from "effect/Take"
import type { Message, Outgoing } from "../../Message.ts"
import type { Authenticator, DecidedPeer, Decision, Options, Reason, Request, Verdict, Zap } from "../../Zap.ts"
import { lasting } from "../lasting.ts"
import { CurrentContext } from "../socket/context.ts"
import { inThePast, Warnings } from "../socket/warnings.ts"
import { runHandler } from "./handler.ts"
import * as model from "./model.ts"
import { attempt, check, type Policies } from "./policy.ts"
import { accepted, denied, isMalformed, type Malformed, parse, type Status } from "./protocol.ts"

// How far a subscriber may fall behind.
const mostBehind = 1024

type Denial = {
  readonly reason: Reason
  readonly detail: string
  readonly status: Status
  readonly cause?: Cause.Cause<unknown>
}

export const makeZap = (options: Options): Effect.Effect<Zap["Service"], unknown, unknown> =>
  Effect.gen(function* () {
    const { concurrency, decisionTimeout, policies } = yield* check(options)
    const services = yield* lasting<unknown>()
    const scope = yield* Effect.scope
    const decisions = yield* PubSub.sliding<Take.Take<Decision>>(mostBehind)
    yield* Effect.addFinalizer(() => PubSub.end(decisions, Exit.void))
    const ask = asker(services, scope, decisionTimeout)
    const denials = new Warnings((count, minutes) => {
      const line = Effect.logWarning(`effect-zmq: ZAP denied peers ${count} more times ${inThePast(minutes)}`)
      Effect.runForkWith(services)(Effect.annotateLogs(line, { count }))
    })

    const answerWith =
      (decide: (request: Request) => Effect.Effect<string | Denial>) =>
      (frames: Message): Effect.Effect<Outgoing> =>
        Effect.gen(function* () {
          const parsed = parse(frames)
          const { requestId } = parsed
          const result = isMalformed(parsed) ? malformed(parsed) : yield* decide(parsed.request)
          const peer = peerOf(isMalformed(parsed) ? parsed : parsed.request)
          const decision =
            typeof result === "string"
              ? model.Decision.Accepted({ ...peer, userId: result })
              : model.Decision.Denied({ ...peer, ...result, cause: result.cause })
          yield* PubSub.publish(decisions, [decision])
          if (decision._tag === "Accepted" || denials.isNew(kindOf(decision))) {
            // A logger that fails must not be the end of the authenticator.
            yield* Effect.ignoreCause(log(decision))
          }
          return typeof result === "string" ? accepted(requestId, result) : denied(requestId, result.status)
        })

    yield* runHandler(yield* CurrentContext, {
      concurrency,
      answer: answerWith((request) => decide(policies, ask, request)),
      deny: answerWith(() => Effect.succeed(ended))
    })

    return {
      decisions: Stream.fromPubSubTake(decisions),
      setAddressRules: (rules, domain) => attempt(() => policies.setRules(rules, domain))
    }
  })

type Ask = (
  authenticator: Authenticator<never>,
  request: Request
) => Effect.Effect<Exit.Exit<Verdict, unknown> | undefined>

const decide = (policies: Policies, ask: Ask, request: Request): Effect.Effect<string | Denial> =>
  Effect.suspend(() => {
    const judgement = policies.judge(request)
    if (judgement._tag === "Deny") {
      return Effect.succeed<Denial>({ reason: judgement.reason, detail: judgement.detail, status: 400 })
    }
    const known = { NULL: "anonymous", PLAIN: peerOf(request).username, CURVE: peerOf(request).publicKey }
    const name = known[request.mechanism]!
    if (judgement._tag === "Accept") return Effect.succeed(name)
    return Effect.map(ask(judgement.decider, request), (exit): string | Denial => {
      if (exit === undefined) {
        return { reason: "TimedOut", detail: "the authenticator took longer than `decisionTimeout`", status: 300 }
      }
      if (Exit.isFailure(exit)) {
        const detail = `the authenticator ${Cause.hasInterruptsOnly(exit.cause) ? "was interrupted" : "failed"}: see the \`cause\` of the decision`
        return { reason: "Failed", detail, status: 300, cause: exit.cause }
      }
      const verdict: Verdict | undefined = exit.value
      if (verdict?._tag === "Deny") {
        return { reason: "Credentials", detail: verdict.detail ?? "the authenticator denied it", status: 400 }
      }
      const userId = verdict?._tag === "Accept" ? (verdict.userId ?? name) : undefined
      if (typeof userId !== "string" || Buffer.byteLength(userId) > 255) {
        const detail =
          "the authenticator gave no verdict with a user id of at most 255 bytes: use Zap.accept and Zap.deny"
        return { reason: "Failed", detail, status: 300 }
      }
      return userId
    })
  })

/**
 * Runs an authenticator of the user's: in a fiber of its own, so that it can
 * interrupt no other, and is not waited for when its time is over. `undefined` if
 * it is.
 */
const asker =
  (services: Context.Context<unknown>, scope: Scope.Scope, limit: Duration.Duration): Ask =>
  (authenticator, request) =>
    Effect.gen(function* () {
      const run = Effect.suspend(() => authenticator(request as never)) as Effect.Effect<Verdict, unknown, unknown>
      const fiber = yield* Effect.forkIn(Effect.provideContext(run, services), scope, { startImmediately: true })
      return yield* Effect.raceFirst(Fiber.await(fiber), Effect.as(Effect.sleep(limit), undefined)).pipe(
        Effect.ensuring(Effect.sync(() => fiber.interruptUnsafe()))
      )
    })

const ended: Denial = { reason: "Ended", detail: "the authenticator has ended", status: 300 }

const malformed = ({ detail, status }: Malformed): Denial => ({ reason: "Malformed", detail, status })

const peerOf = (of: Request | Malformed): DecidedPeer => ({
  domain: of.domain,
  address: of.address,
  identity: of.identity,
  mechanism: of.mechanism,
  username: "username" in of ? of.username : undefined,
  publicKey: "publicKey" in of ? of.publicKey : undefined
})

const kindOf = ({ address, domain, mechanism, reason }: Extract<Decision, { readonly _tag: "Denied" }>): string =>
  [domain, mechanism, reason, address].join("\n")

const log = (decision: Decision): Effect.Effect<void> => {
  // A name may be a password that was typed in the wrong place.
  const { address, domain, identity, mechanism, publicKey } = decision
  const entry =
    decision._tag === "Denied"
      ? Effect.logWarning(`effect-zmq: ZAP denied a peer: ${decision.detail}`)
      : Effect.logDebug("effect-zmq: ZAP accepted a peer")
  return Effect.annotateLogs(entry, {
    domain: printable(domain),
    address: printable(address),
    mechanism: printable(mechanism),
    identity: printable(Buffer.from(identity).toString()),
    ...(publicKey === undefined ? {} : { publicKey }),
    ...(decision._tag === "Denied"
      ? { reason: decision.reason, status: decision.status }
      : { userId: printable(decision.userId) })
  })
}

/** What a peer sends must not move the cursor of a terminal, or begin a line of its own. */
const printable = (text: string): string =>
  text.replace(/[^\x20-\x7e\u00a1-\u{10ffff}]|[\u2028\u2029]/gu, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`)
