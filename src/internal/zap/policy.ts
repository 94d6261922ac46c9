/** The options of an authenticator, checked, and what they say about a request. */
import { createHash, timingSafeEqual } from "node:crypto"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type {
  AddressRules,
  Authenticator,
  CurveRequest,
  Options,
  PlainRequest,
  Policy,
  Reason,
  Request
} from "../../Zap.ts"
import { OptionError } from "../../ZmqError.ts"
import { isKey } from "../security/keys.ts"
import { expectedRule, matches, type Origin, originOf, parseRule, type Rule } from "./address.ts"
import { accept, deny } from "./model.ts"

type Decider = Authenticator<never, unknown, unknown>

interface Rules {
  /** `undefined`: everybody. */
  readonly allow: ReadonlyArray<Rule> | undefined
  readonly deny: ReadonlyArray<Rule> | undefined
}

/** What decides in a domain. */
export interface Domain {
  rules: Rules
  readonly deciders: Readonly<Record<Request["mechanism"], Decider | undefined>>
}

/** What the options say of a request by themselves, or who decides. */
export type Judgement =
  | { readonly _tag: "Accept" }
  | { readonly _tag: "Deny"; readonly reason: Reason; readonly detail: string }
  | { readonly _tag: "Ask"; readonly decider: Decider }

export class Policies {
  private readonly top: Domain
  private readonly named: ReadonlyMap<string, Domain>

  constructor(top: Domain, named: ReadonlyMap<string, Domain>) {
    this.top = top
    this.named = named
  }

  judge(request: Request): Judgement {
    const domain = this.named.get(request.domain) ?? this.top
    const origin = originOf(request.address)
    const refusal = refuse(this.top.rules.deny, domain.rules, origin)
    if (refusal !== undefined) return { _tag: "Deny", reason: "Address", detail: refusal }
    const decider = domain.deciders[request.mechanism]
    if (decider !== undefined) return { _tag: "Ask", decider }
    // Of a peer without credentials the address is all there is. To ban one does
    // not let in all the others where credentials are asked for.
    const { allow, deny } = domain.rules
    const isOpen =
      allow !== undefined || (deny !== undefined && Object.values(domain.deciders).every((one) => one === undefined))
    if (request.mechanism === "NULL" && isOpen) return { _tag: "Accept" }
    const detail = `nothing decides about ${request.mechanism} in this domain: give \`${request.mechanism.toLowerCase()}\``
    return { _tag: "Deny", reason: "NoAuthenticator", detail }
  }

  /** Throws OptionError. */
  setRules(rules: AddressRules, name: string | undefined): void {
    const domain = name === undefined ? this.top : this.named.get(name)
    if (domain === undefined) {
      throw wrong(
        "domain",
        name,
        `one of the domains of the layer: ${[...this.named.keys()].join(", ") || "it has none"}`
      )
    }
    checkNames("rules", rules, ["allow", "deny"])
    domain.rules = readRules("", rules)
  }
}

const refuse = (everywhere: Rules["deny"], { allow, deny }: Rules, origin: Origin): string | undefined => {
  if (origin === undefined && (everywhere ?? allow ?? deny) !== undefined) {
    return "the address is unknown, and there are rules about addresses"
  }
  if (matches(everywhere ?? [], origin) || matches(deny ?? [], origin)) return "the address is in `deny`"
  return allow !== undefined && !matches(allow, origin) ? "the address is not in `allow`" : undefined
}

// -----------------------------------------------------------------------------
// checking the options
// -----------------------------------------------------------------------------

export interface Checked {
  readonly policies: Policies
  readonly decisionTimeout: Duration.Duration
  readonly concurrency: number
}

const policyNames = ["allow", "deny", "null", "plain", "curve"]

/** Everything but what the effects that make authenticators do fails with OptionError. */
export const check = (options: Options): Effect.Effect<Checked, unknown, unknown> =>
  Effect.gen(function* () {
    const decisionTimeout = yield* attempt(() => {
      checkNames("options", options, [...policyNames, "domains", "decisionTimeout", "concurrency"])
      return readTimeout(options.decisionTimeout)
    })
    const concurrency = options.concurrency ?? 64
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 1024) {
      return yield* Effect.fail(wrong("concurrency", concurrency, "a whole number of decisions from 1 to 1,024"))
    }
    const top = yield* readPolicy("", options)
    const named = new Map<string, Domain>()
    for (const [name, policy] of Object.entries(options.domains ?? {})) {
      const option = `domains.${name}`
      yield* attempt(() => {
        if (name.length === 0 || Buffer.byteLength(name) > 255) {
          throw wrong("domains", name, "names of 1 to 255 bytes, as in the option zapDomain of sockets")
        }
        checkNames(option, policy, policyNames)
      })
      named.set(name, yield* readPolicy(`${option}.`, policy))
    }
    return { policies: new Policies(top, named), decisionTimeout, concurrency }
  })

const wrong = (option: string, value: unknown, expected: string) => new OptionError({ option, value, expected })

/** A misspelt option of an authenticator would let somebody in. */
const checkNames = (option: string, given: unknown, names: ReadonlyArray<string>): void => {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw wrong(option, given, `an object with some of ${names.join(", ")}`)
  }
  for (const name of Object.keys(given)) {
    if (!names.includes(name))
      throw wrong(option === "options" ? name : `${option}.${name}`, undefined, `one of ${names.join(", ")}`)
  }
}

const readTimeout = (given: Duration.Input | undefined): Duration.Duration => {
  const duration = given === undefined ? Option.some(Duration.seconds(5)) : Duration.fromInput(given)
  const millis = Option.match(duration, { onNone: () => Number.NaN, onSome: Duration.toMillis })
  if (!(millis > 0) || !Number.isFinite(millis)) {
    throw wrong("decisionTimeout", given, 'a Duration.Input longer than 0 and not infinite, like "5 seconds"')
  }
  return Duration.millis(millis)
}

const readPolicy = (prefix: string, policy: Policy): Effect.Effect<Domain, unknown, unknown> =>
  Effect.gen(function* () {
    const rules = yield* attempt(() => readRules(prefix, policy))
    return {
      rules,
      deciders: {
        NULL: yield* readDecider(`${prefix}null`, policy.null, () => undefined, ""),
        PLAIN: yield* readDecider(
          `${prefix}plain`,
          policy.plain,
          readPasswords,
          "names with Redacted passwords of 1 to 255 bytes each, "
        ),
        CURVE: yield* readDecider(`${prefix}curve`, policy.curve, readKeys, "public keys of 40 Z85 characters each, ")
      }
    }
  })

const readRules = (prefix: string, given: AddressRules): Rules => {
  const read = (name: "allow" | "deny"): ReadonlyArray<Rule> | undefined => {
    const list: unknown = given[name]
    if (list === undefined) return undefined
    if (!Array.isArray(list)) throw wrong(prefix + name, list, `a list, each ${expectedRule}`)
    return list.map((text: unknown) => {
      const rule = parseRule(text)
      if (rule === undefined) throw wrong(prefix + name, text, expectedRule)
      return rule
    })
  }
  return { allow: read("allow"), deny: read("deny") }
}

const readDecider = (
  option: string,
  given: unknown,
  readTable: (given: object) => Decider | undefined,
  table: string
): Effect.Effect<Decider | undefined, unknown, unknown> =>
  Effect.gen(function* () {
    const made: unknown = Effect.isEffect(given) ? yield* given : given
    if (made === undefined && !Effect.isEffect(given)) return undefined
    if (typeof made === "function") return made as Decider
    const read = typeof made === "object" && made !== null ? readTable(made) : undefined
    // The value may be a password.
    const value = Redacted.make(made, { label: option })
    return read ?? (yield* Effect.fail(wrong(option, value, `${table}an authenticator, or an effect that makes one`)))
  })

const isText = (value: unknown): value is string =>
  typeof value === "string" && value.length > 0 && Buffer.byteLength(value) <= 255

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

const readPasswords = (given: object): Authenticator<PlainRequest, never, never> | undefined => {
  const entries: ReadonlyArray<readonly [string, unknown]> = Object.entries(given)
  const digests = new Map<string, Buffer>()
  for (const [name, password] of entries) {
    if (!isText(name) || !Redacted.isRedacted(password)) return undefined
    const text = Redacted.value(password)
    if (!isText(text)) return undefined
    digests.set(name, digest(text))
  }
  const nobody = digest("")
  return ({ password, username }) =>
    Effect.sync(() => {
      const expected = digests.get(username)
      // The time it takes tells nothing of the names or of the passwords.
      const same = timingSafeEqual(digest(Redacted.value(password)), expected ?? nobody)
      return expected !== undefined && same ? accept() : deny("the name or the password is wrong")
    })
}

const readKeys = (given: object): Authenticator<CurveRequest, never, never> | undefined => {
  if (!Array.isArray(given) || !given.every((key) => typeof key === "string" && isKey(key))) return undefined
  const keys: ReadonlySet<string> = new Set(given)
  return ({ publicKey }) => Effect.succeed(keys.has(publicKey) ? accept() : unknownKey)
}

export const unknownKey = deny("the public key is unknown")

/** Runs what throws OptionError. */
export const attempt = <A>(run: () => A): Effect.Effect<A, OptionError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      return error instanceof OptionError ? Effect.fail(error) : Effect.die(error)
    }
  })
