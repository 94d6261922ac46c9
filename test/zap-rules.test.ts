/** What an authenticator is told and answers, and how it reads addresses and options. No sockets. */
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, type FileSystem, type Layer, type PlatformError, Redacted } from "effect"
import { Zap, type Zmq } from "effect-zmq"
import { expectTypeOf } from "vitest"
import { encode } from "../src/internal/security/z85.ts"
import { matches, originOf, parseRule } from "../src/internal/zap/address.ts"
import { attempt, type Checked, check } from "../src/internal/zap/policy.ts"
import { accepted, denied, isMalformed, parse } from "../src/internal/zap/protocol.ts"
import { OptionError } from "../src/ZmqError.ts"
import { numbers, randomFrom } from "./support/sockets.ts"

const covers = (rule: string, address: string): boolean => matches([parseRule(rule)!], originOf(address))

describe("addresses", () => {
  it.each([
    ["127.0.0.1", "127.0.0.1"],
    ["10.0.0.0/8", "10.255.255.255"],
    ["192.168.16.0/20", "192.168.31.255"],
    ["0.0.0.0/0", "8.8.8.8"],
    ["255.255.255.255/32", "255.255.255.255"],
    ["::1", "::1"],
    ["::1", "0:0:0:0:0:0:0:1"],
    ["2001:db8::/32", "2001:db8:ffff::1"],
    ["2001:db8:0:8000::/49", "2001:db8:0:ffff::"],
    ["fe80::/10", "fe80::1%eth0"],
    ["::/0", "2001:db8::1"],
    ["127.0.0.0/8", "::ffff:127.0.0.1"],
    ["::ffff:127.0.0.0/104", "127.0.0.1"],
    ["::ffff:127.0.0.1", "::ffff:7f00:1"],
    ["::ffff:0:0/96", "1.2.3.4"],
    ["64:ff9b::1.2.3.4", "64:ff9b::102:304"],
    ["ipc", "localhost"],
    ["ipc", "localhost:1000:1000:4711"]
  ])("%s covers %s", (rule, address) => {
    expect(covers(rule, address)).toBe(true)
  })

  it.each([
    ["127.0.0.1", "127.0.0.2"],
    ["10.0.0.0/8", "11.0.0.0"],
    ["192.168.16.0/20", "192.168.32.0"],
    ["::1", "127.0.0.1"],
    ["::1", "::2"],
    ["2001:db8::/32", "2001:db9::"],
    ["::/0", "1.2.3.4"],
    ["::/0", "::ffff:1.2.3.4"],
    ["0.0.0.0/0", "::1"],
    ["0.0.0.0/0", "localhost:0:0:1"],
    ["::/0", "localhost"],
    ["ipc", "127.0.0.1"],
    ["ipc", "localhost.example.org"],
    ["ipc", "localhost:a:b:c"],
    ["0.0.0.0/0", ""],
    ["ipc", ""],
    ["0.0.0.0/0", "127.0.0.1 "],
    ["0.0.0.0/0", "127.1"],
    ["0.0.0.0/0", "127.0.0.01"],
    ["0.0.0.0/0", "127.0.0.1:5555"]
  ])("%s does not cover %j", (rule, address) => {
    expect(covers(rule, address)).toBe(false)
  })

  it.each([
    "",
    "localhost",
    "10.0.0.1/8",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "10.0.0.0/8 ",
    "10.0.0/8",
    "::1/64",
    "::/129",
    "fe80::1%eth0",
    "IPC",
    "010.0.0.0/8",
    "*",
    "2001:db8::/1e1",
    10,
    null,
    undefined,
    {}
  ])("%j is no rule", (rule) => {
    expect(parseRule(rule)).toBeUndefined()
  })

  it("a network covers the addresses that begin with its bits, and no others", () => {
    const random = randomFrom(1)
    for (const _ of numbers(0, 2000)) {
      const bytes = (): Array<number> => [random(4), random(4), random(256), random(256)]
      const bits = random(33)
      const value = (address: ReadonlyArray<number>) => address.reduce((sum, byte) => sum * 256 + byte, 0)
      const size = 2 ** (32 - bits)
      const [a, b] = [bytes(), bytes()]
      const base = Math.floor(value(a) / size) * size
      const network = [24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join(".")
      expect(covers(`${network}/${bits}`, b.join("."))).toBe(Math.floor(value(b) / size) === Math.floor(base / size))
    }
  })
})

const bytes = (...frames: ReadonlyArray<string | Buffer>) =>
  frames.map((frame) => Buffer.from(frame as string)) as unknown as Zmq.Message
const key = Buffer.from(numbers(1, 33))

describe("requests", () => {
  it("of each mechanism", () => {
    expect(parse(bytes("1.0", "1", "global", "127.0.0.1", "server", "NULL"))).toEqual({
      requestId: Buffer.from("1"),
      request: { domain: "global", address: "127.0.0.1", identity: Buffer.from("server"), mechanism: "NULL" }
    })
    const plain = parse(bytes("1.0", "", "", "::1", Buffer.from([0, 255]), "PLAIN", "grüße", "hush"))
    expect(plain).toMatchObject({ request: { mechanism: "PLAIN", username: "grüße", identity: Buffer.from([0, 255]) } })
    expect(JSON.stringify(plain)).not.toContain("hush")
    const curve = parse(bytes("1.0", Buffer.from([0, 1]), "d", "", "", "CURVE", key))
    expect(curve).toMatchObject({ requestId: Buffer.from([0, 1]), request: { publicKey: encode(key) } })
  })

  it.each<[string, number, Zmq.Message]>([
    ["another version", 500, bytes("2.0", "1", "", "", "", "NULL")],
    ["no version", 500, bytes("", "1", "", "", "", "NULL")],
    ["a version alone", 500, bytes("1.0")],
    ["no mechanism", 500, bytes("1.0", "1", "", "127.0.0.1", "")],
    ["an empty mechanism", 400, bytes("1.0", "1", "", "", "", "")],
    ["an unknown mechanism", 400, bytes("1.0", "1", "", "", "", "GSSAPI", "x")],
    ["a mechanism in small letters", 400, bytes("1.0", "1", "", "", "", "null")],
    ["credentials of NULL", 500, bytes("1.0", "1", "", "", "", "NULL", "x")],
    ["PLAIN without a password", 500, bytes("1.0", "1", "", "", "", "PLAIN", "ann")],
    ["PLAIN with too much", 500, bytes("1.0", "1", "", "", "", "PLAIN", "ann", "hush", "x")],
    ["a name that is no UTF-8", 500, bytes("1.0", "1", "", "", "", "PLAIN", Buffer.from([255]), "hush")],
    ["a domain that is no UTF-8", 500, bytes("1.0", "1", Buffer.from([255]), "", "", "NULL")],
    ["a name that is too long", 500, bytes("1.0", "1", "", "", "", "PLAIN", "x".repeat(256), "hush")],
    ["CURVE without a key", 500, bytes("1.0", "1", "", "", "", "CURVE")],
    ["a short key", 500, bytes("1.0", "1", "", "", "", "CURVE", key.subarray(1))],
    ["a key of Z85", 500, bytes("1.0", "1", "", "", "", "CURVE", encode(key)!)],
    [
      "a key of zeros, to which everybody has the secret one",
      500,
      bytes("1.0", "1", "", "", "", "CURVE", Buffer.alloc(32))
    ],
    ["two keys", 500, bytes("1.0", "1", "", "", "", "CURVE", key, key)]
  ])("%s is refused with %i", (_, status, request) => {
    const parsed = parse(request)
    expect(isMalformed(parsed) && parsed.status).toBe(status)
  })

  it("of any bytes are read or refused", () => {
    const random = randomFrom(2)
    const words = ["1.0", "1", "", "NULL", "PLAIN", "CURVE", "127.0.0.1", key, Buffer.from([255]), "x".repeat(300)]
    for (const _ of numbers(0, 20_000)) {
      const parsed = parse(bytes(...numbers(0, 1 + random(10)).map(() => words[random(words.length)]!)))
      if (!isMalformed(parsed)) expect(["NULL", "PLAIN", "CURVE"]).toContain(parsed.request.mechanism)
    }
  })

  it("are answered with the frames of RFC 27, and a refusal tells nothing", () => {
    const id = Buffer.from([0, 7])
    expect(accepted(id, "ann")).toEqual(["1.0", id, "200", "OK", "ann", ""])
    expect(denied(id, 400)).toEqual(["1.0", id, "400", "", "", ""])
  })
})

describe("options", () => {
  const checked = (options: object) => check(options as Zap.Options) as Effect.Effect<unknown, OptionError>
  const publicKey = encode(key)!
  const secret = Redacted.make("hush")

  it.effect.each<[string, object]>([
    ["allow", { allow: "127.0.0.1" }],
    ["allow", { allow: ["localhost"] }],
    ["deny", { deny: ["10.0.0.1/8"] }],
    ["deny", { deny: [null] }],
    ["null", { null: true }],
    ["null", { null: null }],
    ["null", { null: [] }],
    ["plain", { plain: { ann: "hush" } }],
    ["plain", { plain: { ann: Redacted.make("") } }],
    ["plain", { plain: { ann: Redacted.make(1) } }],
    ["plain", { plain: { ["x".repeat(256)]: secret } }],
    ["curve", { curve: [publicKey.slice(1)] }],
    ["curve", { curve: [encode(Buffer.alloc(32))] }],
    ["curve", { curve: publicKey }],
    ["curve", { curve: Effect.succeed(undefined) }],
    ["domains", { domains: { "": {} } }],
    ["domains", { domains: { ["ü".repeat(128)]: {} } }],
    ["domains.admin", { domains: { admin: null } }],
    ["domains.admin", { domains: { admin: [] } }],
    ["domains.admin.allow", { domains: { admin: { allow: ["x"] } } }],
    ["domains.admin.domains", { domains: { admin: { domains: {} } } }],
    ["domains.admin.curve", { domains: { admin: { curve: ["x"] } } }],
    ["decisionTimeout", { decisionTimeout: 0 }],
    ["decisionTimeout", { decisionTimeout: "Infinity" }],
    ["decisionTimeout", { decisionTimeout: Number.NaN }],
    ["decisionTimeout", { decisionTimeout: "soon" }],
    ["concurrency", { concurrency: 0 }],
    ["concurrency", { concurrency: 1025 }],
    ["concurrency", { concurrency: 1.5 }],
    ["alow", { alow: [] }],
    ["options", null as unknown as object],
    ["options", []]
  ])("%s: %o is refused", ([option, options]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(checked(options))
      expect(error).toBeInstanceOf(OptionError)
      expect(error.option).toBe(option)
      expect(error.expected.length).toBeGreaterThan(10)
      expect(JSON.stringify(error)).not.toContain("hush")
    })
  )

  it.effect("good ones are taken", () =>
    Effect.gen(function* () {
      yield* checked({})
      yield* checked({ allow: [], deny: [], plain: {}, curve: [], domains: {} })
      yield* checked({ plain: { ann: secret }, curve: [publicKey], null: Zap.anybody, concurrency: 1024 })
      yield* checked({ curve: Effect.succeed([publicKey]), domains: { admin: { plain: Zap.anybody } } })
    })
  )
})

class A extends Context.Service<A, { readonly name: string }>()("test/A") {}
class B extends Context.Service<B, { readonly name: string }>()("test/B") {}

it("a layer needs what its authenticators need, and fails with what makes them fails with", () => {
  type Plain = Layer.Layer<Zap.Zap, Zmq.SocketError>
  expectTypeOf(Zap.layer({})).toEqualTypeOf<Plain>()
  expectTypeOf(Zap.layer({ curve: ["key"], plain: { ann: Redacted.make("hush") } })).toEqualTypeOf<Plain>()
  expectTypeOf(Zap.layer({ curve: Zap.anybody, null: Zap.anybody })).toEqualTypeOf<Plain>()
  expectTypeOf(Zap.layer({ curve: Zap.certificates("folder") })).toEqualTypeOf<
    Layer.Layer<Zap.Zap, Zmq.SocketError | PlatformError.PlatformError, FileSystem.FileSystem>
  >()
  const several = Zap.layer({
    plain: ({ username }) => A.use(({ name }) => Effect.succeed(username === name ? Zap.accept() : Zap.deny())),
    domains: { admin: { curve: ({ publicKey }) => B.use(({ name }) => Effect.fail(publicKey + name)) } }
  })
  expectTypeOf(several).toEqualTypeOf<Layer.Layer<Zap.Zap, Zmq.SocketError, A | B>>()
  const made = Zap.layer({
    plain: Effect.map(
      A,
      (): Zap.Authenticator<Zap.PlainRequest, never, B> => () => B.use(() => Effect.succeed(Zap.deny()))
    )
  })
  expectTypeOf(made).toEqualTypeOf<Layer.Layer<Zap.Zap, Zmq.SocketError, A | B>>()
  const wrong = () => [
    // @ts-expect-error a misspelt option
    Zap.layer({ curve: ["key"], alow: [] }),
    // @ts-expect-error a misspelt option of a domain
    Zap.layer({ domains: { admin: { alow: [] } } }),
    // @ts-expect-error a boolean is no verdict
    Zap.layer({ plain: () => Effect.succeed(true) }),
    // @ts-expect-error a password is Redacted
    Zap.layer({ plain: { ann: "hush" } })
  ]
  expect(wrong).toHaveLength(0)
})

const judging = (options: Zap.Options) =>
  Effect.map(check(options) as Effect.Effect<Checked, OptionError>, ({ policies }) => {
    /** What is said of a request from there, in a word or two. */
    const judge = (address: string, domain = "", mechanism: "NULL" | "PLAIN" = "NULL"): string => {
      const peer = { domain, address, identity: Buffer.alloc(0) }
      const judgement = policies.judge(
        mechanism === "NULL"
          ? { ...peer, mechanism }
          : { ...peer, mechanism, username: "ann", password: Redacted.make("hush") }
      )
      return judgement._tag === "Deny" ? `Deny ${judgement.reason}` : judgement._tag
    }
    return { judge, policies }
  })

describe("peers without credentials", () => {
  const judge = (options: Zap.Options) => Effect.map(judging(options), ({ judge }) => judge("127.0.0.1").split(" ")[0])
  const publicKey = encode(key)!

  it.effect("are let in by an address that is allowed, and by one that is not denied if nothing asks for more", () =>
    Effect.gen(function* () {
      expect(yield* judge({})).toBe("Deny")
      expect(yield* judge({ allow: ["127.0.0.1"] })).toBe("Accept")
      expect(yield* judge({ deny: ["192.0.2.1"] })).toBe("Accept")
      expect(yield* judge({ deny: ["192.0.2.1"], curve: [publicKey] })).toBe("Deny")
      expect(yield* judge({ deny: ["192.0.2.1"], plain: Zap.anybody })).toBe("Deny")
      expect(yield* judge({ allow: ["127.0.0.1"], curve: [publicKey] })).toBe("Accept")
    })
  )
})

describe("an address", () => {
  const all = ["0.0.0.0/0", "::/0", "ipc"]
  const peers = ["127.0.0.1", "10.1.2.3", "::1", "localhost:1000:1000:4711"]
  const rules = ["127.0.0.0/8", "10.1.2.3", "::1", "ipc"]

  it.effect.each(peers.map((peer, index) => [peer, rules[index]!] as const))(
    "that is denied is denied, whatever is allowed: %s",
    ([peer, rule]) =>
      Effect.gen(function* () {
        const users = {
          allow: [...all, peer.startsWith("local") ? "ipc" : peer],
          null: Zap.anybody,
          plain: Zap.anybody
        }
        const denying: ReadonlyArray<readonly [string, Zap.Options]> = [
          ["", { ...users, deny: [rule] }],
          ["users", { domains: { users: { ...users, deny: [rule] } } }],
          // The `deny` of the layer counts in all domains.
          ["users", { deny: [rule], domains: { users } }],
          ["users", { ...users, deny: [rule], domains: { users } }]
        ]
        for (const [domain, options] of denying) {
          const { judge } = yield* judging(options)
          for (const other of peers) {
            const expected = other === peer ? "Deny Address" : "Ask"
            expect([other, judge(other, domain)]).toEqual([other, expected])
            expect([other, judge(other, domain, "PLAIN")]).toEqual([other, expected])
          }
        }
      })
  )

  // libzmq could not tell, or told what nobody can read.
  it.effect.each(["", "unknown", "127.0.0.1:5555"])(
    "that is unknown is denied wherever there are rules: %j",
    (address) =>
      Effect.gen(function* () {
        const users = { null: Zap.anybody, plain: Zap.anybody }
        const [allow, deny] = [all, ["192.0.2.1"]]
        const ruled: ReadonlyArray<readonly [string, Zap.Options]> = [
          ["", { ...users, allow }],
          ["", { ...users, deny }],
          ["users", { domains: { users: { ...users, allow } } }],
          ["users", { domains: { users: { ...users, deny } } }],
          ["users", { deny, domains: { users } }]
        ]
        for (const [domain, options] of ruled) {
          const { judge } = yield* judging(options)
          for (const mechanism of ["NULL", "PLAIN"] as const) {
            expect(judge(address, domain, mechanism)).toBe("Deny Address")
            expect(judge("127.0.0.1", domain, mechanism)).toBe("Ask")
          }
        }
        const { judge } = yield* judging({ ...users, domains: { others: { allow, deny } } })
        expect(judge(address)).toBe("Ask")
      })
  )

  it.effect("is judged by the rules that were set last, and misspelt ones change nothing", () =>
    Effect.gen(function* () {
      const { judge, policies } = yield* judging({ null: Zap.anybody, domains: { users: { null: Zap.anybody } } })
      for (const domain of [undefined, "users"]) {
        policies.setRules({ deny: ["127.0.0.1"] }, domain)
        for (const [wrong, option] of [
          [{ denny: ["10.1.2.3"] }, "rules.denny"],
          [{ allow: all, Deny: [] }, "rules.Deny"],
          [{ null: Zap.anybody }, "rules.null"],
          [["127.0.0.1"], "rules"],
          ["allow", "rules"],
          [null, "rules"],
          [undefined, "rules"],
          [{ allow: ["localhost"] }, "allow"],
          [{ allow: all, deny: "ipc" }, "deny"]
        ] as const) {
          const set = attempt(() => policies.setRules(wrong as never, domain))
          expect([option, (yield* Effect.flip(set)).option]).toEqual([option, option])
        }
        expect(judge("127.0.0.1", domain)).toBe("Deny Address")
        expect(judge("10.1.2.3", domain)).toBe("Ask")
        policies.setRules({}, domain)
        expect(judge("127.0.0.1", domain)).toBe("Ask")
      }
    })
  )
})

it.effect("a table of passwords lets in whom it has, with the right one, and nobody without one", () =>
  Effect.gen(function* () {
    const names = ["ann", "bob", "Ann", "", "nobody", "__proto__", "constructor"]
    const passwords = ["hush", "hash", "Hush", "", "hush\0", "undefined"]
    const tables: ReadonlyArray<Readonly<Record<string, string>>> = [{ ann: "hush", bob: "hash" }, { ann: "hash" }, {}]
    for (const table of tables) {
      const plain = Object.fromEntries(Object.entries(table).map(([name, text]) => [name, Redacted.make(text)]))
      const { policies } = yield* judging({ plain })
      for (const username of names) {
        for (const text of passwords) {
          const password = Redacted.make(text)
          const peer = { domain: "", address: "127.0.0.1", identity: Buffer.alloc(0) }
          const request: Zap.PlainRequest = { ...peer, mechanism: "PLAIN", username, password }
          const judgement = policies.judge(request)
          if (judgement._tag !== "Ask") return expect.fail(`${username} is not asked for a password`)
          const decide = judgement.decider as Zap.Authenticator<Zap.PlainRequest, never, never>
          const verdict = (yield* decide(request))._tag
          const expected = Object.hasOwn(table, username) && table[username] === text ? "Accept" : "Deny"
          expect([username, text, verdict]).toEqual([username, text, expected])
        }
      }
    }
  })
)
