import { inspect } from "node:util"
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import { describe, expect, it } from "vitest"
import * as Curve from "../src/Curve.ts"
import type * as Draft from "../src/Draft.ts"
import { secured } from "../src/internal/security/security.ts"
import { optionNames, prepare, table } from "../src/internal/socket/options.ts"
import type { DraftType, SocketType } from "../src/internal/socketTypes.ts"
import { openNative } from "../src/internal/zeromq/engine.ts"
import { sharedContext } from "../src/internal/zeromq/nativeContexts.ts"
import * as Null from "../src/Null.ts"
import * as Plain from "../src/Plain.ts"
import type * as Options from "../src/SocketOptions.ts"
import { OptionError } from "../src/ZmqError.ts"
import { optionsPage } from "./support/optionsPage.ts"

interface OptionsOf {
  readonly pull: Options.PullOptions
  readonly push: Options.PushOptions
  readonly pub: Options.PubOptions
  readonly sub: Options.SubOptions
  readonly req: Options.ReqOptions
  readonly rep: Options.RepOptions
  readonly dealer: Options.DealerOptions
  readonly router: Options.RouterOptions
  readonly pair: Options.PairOptions
  readonly xpub: Options.XPubOptions
  readonly xsub: Options.XSubOptions
  readonly rawStream: Options.RawStreamOptions
  readonly server: Draft.ServerOptions
  readonly client: Draft.ClientOptions
  readonly radio: Draft.RadioOptions
  readonly dish: Draft.DishOptions
  readonly gather: Draft.GatherOptions
  readonly scatter: Draft.ScatterOptions
  readonly datagram: Draft.DatagramOptions
}

type Table = typeof table
type NamesOf<Type extends SocketType> = {
  [Name in keyof Table]: Type extends Table[Name]["types"][number] ? Name : never
}[keyof Table]
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false

// Does not compile when an interface and the table disagree.
const agreed: { readonly [Type in SocketType]: Same<NamesOf<Type>, keyof OptionsOf[Type]> } = {
  pull: true,
  push: true,
  pub: true,
  sub: true,
  req: true,
  rep: true,
  dealer: true,
  router: true,
  pair: true,
  xpub: true,
  xsub: true,
  rawStream: true,
  server: true,
  client: true,
  radio: true,
  dish: true,
  gather: true,
  scatter: true,
  datagram: true
}
const types = Object.keys(agreed) as ReadonlyArray<SocketType>

const secretKey = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
const publicKey = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

const otherKey = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"

const integers = (...outside: ReadonlyArray<number>) => [...outside, NaN, Infinity, 0.5, 2 ** 53]
const durations = (...outside: ReadonlyArray<unknown>) => [
  ...outside,
  -1,
  NaN,
  "5",
  "5 parsecs",
  "-Infinity",
  Duration.negativeInfinity,
  {},
  { second: 5 },
  { seconds: NaN },
  [1, NaN],
  [1],
  -1n
]
const texts = (max: number) => ["", "a\0b", "x".repeat(max + 1), "é".repeat(Math.ceil((max + 1) / 2))]

interface Case {
  readonly good: ReadonlyArray<readonly [given: unknown, value: unknown]>
  readonly wrongType: ReadonlyArray<unknown>
  readonly wrongValue: ReadonlyArray<unknown>
  /** What must be there too. */
  readonly beside?: Record<string, unknown>
}

const boolean: Case = {
  good: [
    [true, true],
    [false, false]
  ],
  wrongType: [1, "true", null, {}],
  wrongValue: []
}
const integer = (min: number, max: number, ...special: ReadonlyArray<number>): Case => ({
  good: [min, max, ...special].map((value) => [value, value]),
  wrongType: ["1", true, null, 1n, [1]],
  wrongValue: integers(max + 1, ...(special.includes(min - 1) ? [min - 2] : [min - 1]))
})
const duration = (infinity: number | undefined, max = 2 ** 31 - 1): Case => ({
  good: [
    [0, 0],
    ["5 seconds", 5000],
    [Duration.minutes(1), 60_000],
    [max, max],
    ...(infinity === undefined
      ? []
      : [
          ["Infinity", infinity] as const,
          [Duration.infinity, infinity] as const,
          [Number.POSITIVE_INFINITY, infinity] as const
        ])
  ],
  wrongType: [true, null, new Date()],
  wrongValue: durations(max + 1, ...(infinity === undefined ? ["Infinity"] : []))
})
const seconds: Case = {
  good: [
    ["1 second", 1],
    ["1500 millis", 2],
    ["32767 seconds", 32_767],
    ["Infinity", -1]
  ],
  wrongType: [true, null],
  wrongValue: durations(0, "32768 seconds")
}
const milliseconds = (least = 1): Case => {
  const base = duration(0)
  return { ...base, good: [...base.good, ["10 micros", least], [1.2, Math.max(least, 2)]] }
}
const text = (max: number): Case => ({
  good: [
    ["a", "a"],
    ["x".repeat(max), "x".repeat(max)]
  ],
  wrongType: [1, true, null, Buffer.from("a")],
  wrongValue: texts(max)
})
const keys = [
  "",
  "short",
  "0".repeat(40),
  "~".repeat(40),
  `${publicKey}\0`,
  publicKey.slice(1),
  `${publicKey}0`,
  "#".repeat(40)
]
const role = { curvePublicKey: publicKey, curveSecretKey: Redacted.make(secretKey), curveServerKey: publicKey }
const publicCase: Case = {
  good: [[publicKey, publicKey]],
  wrongType: [1, true, null, Redacted.make(publicKey)],
  wrongValue: keys,
  beside: role
}
const bytes: Case["good"] = [
  ["é", Buffer.from("é")],
  [new Uint8Array([1, 0, 2]), Buffer.from([1, 0, 2])]
]
const endpoints: Case = { good: [], wrongType: [1, true, null, {}, [1], ["inproc://a", undefined]], wrongValue: [] }
const limit: Case = { good: [], wrongType: [true, null], wrongValue: durations() }

const cases: { readonly [Name in keyof Table]: Case } = {
  bind: endpoints,
  connect: endpoints,
  subscribe: { good: [], wrongType: [1, true, null, {}, ["a", 1]], wrongValue: [] },
  join: {
    good: [],
    wrongType: [1, true, null, Buffer.from("a"), ["a", 1]],
    wrongValue: ["a\0b", "x".repeat(15), ["a", "é".repeat(8)]]
  },
  receiveTimeout: limit,
  sendTimeout: limit,
  ipv6: boolean,
  linger: duration(-1),
  immediate: boolean,
  reconnectInterval: duration(-1),
  reconnectMaxInterval: duration(undefined),
  connectTimeout: duration(0),
  handshakeInterval: milliseconds(),
  heartbeatInterval: milliseconds(),
  heartbeatTimeout: milliseconds(),
  heartbeatTimeToLive: {
    ...duration(0, 6_553_599),
    good: [
      ["1 milli", 100],
      ["Infinity", 0],
      [6_553_599, 6_553_599]
    ]
  },
  backlog: integer(0, 2 ** 31 - 1),
  maxMessageSize: integer(0, Number.MAX_SAFE_INTEGER, -1),
  affinity: integer(0, Number.MAX_SAFE_INTEGER),
  tcpKeepalive: integer(-1, 1),
  tcpKeepaliveCount: { ...integer(1, 127, -1), wrongValue: integers(0, 128, -2) },
  tcpKeepaliveIdle: seconds,
  tcpKeepaliveInterval: seconds,
  tcpMaxRetransmitTimeout: duration(0),
  tcpAcceptFilter: {
    good: [
      ["127.0.0.1", "127.0.0.1"],
      ["10.0.0.0/8", "10.0.0.0/8"],
      ["::1/128", "::1/128"]
    ],
    wrongType: [1, null, {}],
    wrongValue: ["", "localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8x", "::1/129", "10.0.0.0/8\0", ["a"]],
    beside: { ipv6: true }
  },
  typeOfService: integer(0, 255),
  interface: text(15),
  loopbackFastPath: boolean,
  monitor: { good: [], wrongType: [1, null, "yes"], wrongValue: [] },
  security: { good: [], wrongType: [1, true, null, "curve", {}, [], new Map()], wrongValue: [{ _tag: "Curve" }] },
  plainServer: { ...boolean, good: [[true, true]] },
  plainUsername: text(255),
  plainPassword: {
    good: [[Redacted.make("hush"), "hush"]],
    wrongType: ["hush", 1, null, Redacted.make(1)],
    wrongValue: texts(255).map((value) => Redacted.make(value))
  },
  curveServer: { ...boolean, good: [[true, true]], beside: { curveSecretKey: Redacted.make(secretKey) } },
  curvePublicKey: publicCase,
  curveSecretKey: {
    good: [[Redacted.make(secretKey), secretKey]],
    wrongType: [secretKey, 1, null, Redacted.make(1)],
    wrongValue: keys.map((value) => Redacted.make(value)),
    beside: role
  },
  curveServerKey: publicCase,
  zapDomain: text(255),
  zapEnforceDomain: { ...boolean, beside: { zapDomain: "here" } },
  rate: integer(1, 2 ** 31 - 1),
  recoveryInterval: duration(undefined),
  multicastMaxTransportDataUnit: integer(1, 2 ** 31 - 1),
  multicastHops: integer(1, 255),
  multicastLoop: boolean,
  receiveHighWaterMark: integer(0, 2 ** 31 - 1),
  receiveBufferSize: integer(0, 2 ** 31 - 1, -1),
  sendHighWaterMark: integer(0, 2 ** 31 - 1),
  sendBufferSize: integer(0, 2 ** 31 - 1, -1),
  conflate: boolean,
  routingId: {
    good: [...bytes, ["x".repeat(255), Buffer.alloc(255, "x")]],
    wrongType: [1, true, null, [1]],
    wrongValue: ["", "a\0b", "x".repeat(256), new Uint8Array(0), new Uint8Array([0, 1]), new Uint8Array(256).fill(1)]
  },
  probeRouter: boolean,
  correlate: boolean,
  relaxed: boolean,
  mandatory: boolean,
  handover: boolean,
  noDrop: boolean,
  invertMatching: boolean,
  welcomeMessage: { good: bytes, wrongType: [1, true, null], wrongValue: ["a\0b"] },
  verbosity: {
    good: [
      [null, null],
      ["allSubs", "allSubs"],
      ["allSubsUnsubs", "allSubsUnsubs"]
    ],
    wrongType: [true, 1],
    wrongValue: ["unique", ""]
  },
  notify: boolean
}

const required = (type: SocketType): Record<string, unknown> => (type === "sub" ? { subscribe: "" } : {})

const errorOf = (type: SocketType, options: unknown): OptionError => {
  try {
    prepare(type, options)
  } catch (error) {
    expect(error).toBeInstanceOf(OptionError)
    return error as OptionError
  }
  throw new Error("no error")
}

describe.each(types)("%s", (type) => {
  it.each(optionNames(type))("%s", (name) => {
    const { beside, good, wrongType, wrongValue } = cases[name as keyof Table]
    const options = (value: unknown) => ({ ...required(type), ...beside, [name]: value })
    for (const [given, value] of good) {
      const settings = prepare(type, options(given)).settings.filter(({ option }) => option === name)
      expect(settings.map((setting) => setting.value)).toEqual([value])
      expect(settings[0]?.given).toBe(given)
    }
    for (const value of [...wrongType, ...wrongValue]) {
      const error = errorOf(type, options(value))
      expect(error.option, String(value)).toBe(name)
      expect(error.expected.length).toBeGreaterThan(10)
      if (!/Password$|SecretKey$|^security$/.test(name)) expect(error.value).toBe(value)
    }
    const without = prepare(type, { ...required(type), ...(name === "subscribe" ? {} : { [name]: undefined }) })
    expect(without.settings.filter(({ option }) => option === name).length).toBeLessThanOrEqual(1)
  })

  it("refuses the options of other types, and says whose they are", () => {
    for (const name of Object.keys(cases).filter((name) => !optionNames(type).includes(name))) {
      const error = errorOf(type, { ...required(type), [name]: true })
      expect(error.option).toBe(name)
      expect(error.expected).toContain(`an option of`)
    }
  })

  it.each([null, 1, "a", true, [], new Map(), () => ({}), new (class Options {})()])("refuses %s", (options) => {
    expect(errorOf(type, options).option).toBe("options")
  })

  it("applies our defaults", () => {
    const prepared = prepare(type, required(type))
    const expected: Record<string, unknown> = { linger: ["sub", "xsub", "dish"].includes(type) ? 0 : 5000 }
    if (type === "router") expected.mandatory = true
    if (type === "pub") expected.maxMessageSize = 640
    if (type === "xpub") expected.receiveHighWaterMark = 2
    if (type === "xsub") expected.sendHighWaterMark = 100_000
    if (type === "req") Object.assign(expected, { correlate: true, relaxed: true })
    expect(Object.fromEntries(prepared.settings.map(({ option, value }) => [option, value]))).toEqual(expected)
    expect(prepared).toMatchObject({
      bind: [],
      connect: [],
      subscribe: type === "sub" ? [Buffer.alloc(0)] : [],
      receiveTimeout: Infinity,
      sendTimeout: Infinity,
      receiveHighWaterMark: 1000,
      conflate: false,
      noDrop: false,
      relaxed: type === "req"
    })
  })
})

it("takes no options at all, but for sub", () => {
  expect(prepare("pull", undefined).settings).toHaveLength(1)
  const { expected, message, option } = errorOf("sub", undefined)
  expect(option).toBe("subscribe")
  expect(expected).toContain("receives nothing")
  expect(message).toContain('[""]')
  expect(errorOf("sub", { subscribe: undefined }).option).toBe("subscribe")
  expect(Object.keys(prepare("pull", Object.create(null) as object))).toContain("settings")
})

it("lists endpoints and topics", () => {
  const prepared = prepare("sub", {
    bind: "inproc://a",
    connect: ["inproc://b", "inproc://c"],
    subscribe: ["é", new Uint8Array([0, 1])]
  })
  expect(prepared.bind).toEqual(["inproc://a"])
  expect(prepared.connect).toEqual(["inproc://b", "inproc://c"])
  expect(prepared.subscribe).toEqual([Buffer.from("é"), Buffer.from([0, 1])])
  expect(prepare("xsub", { subscribe: "a" }).subscribe).toEqual([Buffer.from("a")])
  expect(prepare("sub", { subscribe: [] }).subscribe).toEqual([])
  expect(prepare("dish", { join: ["é", ""] }).subscribe).toEqual([Buffer.from("é"), Buffer.alloc(0)])
})

it("copies bytes", () => {
  const id = new Uint8Array([1, 2])
  const prepared = prepare("dealer", { routingId: id })
  id[0] = 9
  expect(prepared.settings.at(-1)?.value).toEqual(Buffer.from([1, 2]))
})

it("keeps time limits from libzmq, at any length", () => {
  const prepared = prepare("pair", { receiveTimeout: "10 micros", sendTimeout: "1000 weeks" })
  expect(prepared.receiveTimeout).toBe(1)
  expect(prepared.sendTimeout).toBe(604_800_000_000)
  expect(prepared.settings.map(({ option }) => option)).toEqual(["linger"])
})

it("reports what the receive and send paths need to know", () => {
  expect(prepare("sub", { subscribe: "", conflate: true, receiveHighWaterMark: 0 })).toMatchObject({
    conflate: true,
    receiveHighWaterMark: 0
  })
  expect(prepare("xpub", { noDrop: true }).noDrop).toBe(true)
  expect(prepare("req", { relaxed: false }).relaxed).toBe(false)
})

it("applies every filter, after ipv6", () => {
  const { settings } = prepare("pull", { tcpAcceptFilter: ["10.0.0.0/8", "::1"], ipv6: true })
  expect(settings.map(({ option, value }) => [option, value])).toEqual([
    ["ipv6", true],
    ["linger", 5000],
    ["tcpAcceptFilter", "10.0.0.0/8"],
    ["tcpAcceptFilter", "::1"]
  ])
})

it.each([
  ["recieveTimeout", "receiveTimeout"],
  ["receivetimeout", "receiveTimeout"],
  ["lingr", "linger"],
  ["binds", "bind"],
  ["ZMQ_RCVHWM", "receiveHighWaterMark"],
  ["rcvhwm", "receiveHighWaterMark"]
])("for %s suggests %s", (name, meant) => {
  expect(errorOf("pull", { [name]: 1 }).expected).toContain(`Did you mean ${meant}?`)
})

it.each(["zzzzzzzz", "vmciBufferSize", "gssapiServer", "socksProxy", "manual", "constructor"])(
  "suggests nothing for %s",
  (name) => {
    const error = errorOf("pull", { [name]: 1 })
    expect(error.option).toBe(name)
    expect(error.expected).not.toContain("Did you mean")
  }
)

describe("security", () => {
  const secret = Redacted.make(secretKey)

  it.each<[option: string, options: Options.PullOptions]>([
    ["curveServer", { plainServer: true, curveServer: true, curveSecretKey: secret }],
    ["curvePublicKey", { plainUsername: "a", curvePublicKey: publicKey }],
    ["plainUsername", { plainServer: true, plainUsername: "a" }],
    ["plainPassword", { plainServer: true, plainPassword: Redacted.make("hush") }],
    ["curveSecretKey", { curveServer: true }],
    ["curveServerKey", { curveServer: true, curveSecretKey: secret, curveServerKey: publicKey }],
    ["curveServerKey", { curvePublicKey: publicKey, curveSecretKey: secret }],
    ["curvePublicKey", { curveSecretKey: secret }],
    ["curveSecretKey", { curvePublicKey: publicKey, curveServerKey: publicKey }],
    // No handshake of theirs can succeed.
    ["curvePublicKey", { curvePublicKey: otherKey, curveSecretKey: secret, curveServerKey: publicKey }],
    ["curvePublicKey", { curveServer: true, curvePublicKey: otherKey, curveSecretKey: secret }],
    // libzmq aborts the process when a client connects.
    ["zapDomain", { plainServer: true, zapEnforceDomain: true }],
    ["zapDomain", { zapEnforceDomain: true }]
  ])("refuses %s where it cannot work", (option, options) => {
    const error = errorOf("pull", options)
    expect(error.option).toBe(option)
    expect(error.message).not.toContain("undefined")
  })

  it("does not switch a mechanism off by saying that the socket is no server", () => {
    const { settings } = prepare("pull", { ...role, curveServer: false, plainServer: false })
    expect(settings.map(({ option }) => option)).toEqual([
      "linger",
      "curvePublicKey",
      "curveSecretKey",
      "curveServerKey"
    ])
  })

  it("never shows a secret in an error", () => {
    const hush = "hush-hush"
    const wiped = Redacted.make(secretKey)
    Redacted.wipeUnsafe(wiped)
    for (const options of [
      { plainPassword: hush },
      { plainPassword: Redacted.make(`${hush}\0`) },
      { curveSecretKey: hush },
      { curveSecretKey: Redacted.make(hush) },
      { curveSecretkey: hush },
      { plainPasword: hush },
      { mySecret: hush },
      { curveSecretKey: wiped }
    ]) {
      const error = errorOf("pull", options)
      expect(Redacted.isRedacted(error.value)).toBe(true)
      expect(`${error} ${error.stack} ${JSON.stringify(error)} ${error.message}`).not.toContain(hush)
    }
  })
  const keys: Curve.KeyPair = {
    publicKey: Curve.PublicKey.make(publicKey),
    secretKey: Redacted.make(secretKey as Curve.SecretText)
  }
  const serverKey = Curve.PublicKey.make(otherKey)
  const domain = "jobs"
  const password = Redacted.make("hush")
  const settingsOf = (security: Options.Security) =>
    Object.fromEntries(
      prepare("pull", { security, linger: 0 })
        .settings.filter(({ option }) => option !== "linger")
        .map(({ option, value }) => [option, value])
    )

  it("says the same as libzmq's own options", () => {
    const curve = { curveServer: true, curveSecretKey: secretKey }
    const ask = { zapDomain: domain, zapEnforceDomain: true }
    const client = { curvePublicKey: publicKey, curveSecretKey: secretKey, curveServerKey: otherKey }
    expect(settingsOf(Curve.server({ secretKey: keys.secretKey }))).toEqual(curve)
    expect(settingsOf(Curve.server({ secretKey: keys.secretKey, domain }))).toEqual({ ...curve, ...ask })
    expect(settingsOf(Curve.server({ keys, domain }))).toEqual({ ...curve, ...ask, curvePublicKey: publicKey })
    expect(settingsOf(Curve.client({ keys, serverKey }))).toEqual(client)
    expect(settingsOf(Curve.client({ ...keys, serverKey }))).toEqual(client)
    expect(settingsOf(Plain.server({ domain }))).toEqual({ plainServer: true, ...ask })
    expect(settingsOf(Plain.client({ username: "admin", password }))).toEqual({
      plainUsername: "admin",
      plainPassword: "hush"
    })
    expect(settingsOf(Null.server({ domain }))).toEqual(ask)
  })

  it("takes the role of server before the keys, whatever the order they were given in", () => {
    const { settings } = prepare("pull", { security: Curve.server({ domain, keys }) })
    const order = settings.map(({ option }) => option)
    expect(order.indexOf("curveServer")).toBeLessThan(order.indexOf("curvePublicKey"))
    expect(order.indexOf("curveServer")).toBeLessThan(order.indexOf("curveSecretKey"))
  })

  it.each(secured)("is given by `security` or by %s, and not by both", (name) => {
    for (const security of [
      Curve.server({ keys }),
      Plain.client({ username: "a", password }),
      Null.server({ domain })
    ]) {
      const error = errorOf("pull", { security, [name]: false })
      expect(error.option).toBe(name)
      expect(error.message).toContain("beside security")
    }
  })

  // What the types refuse, from a program that has none.
  const curveServer = Curve.server as (options: object) => Options.Security
  const curveClient = Curve.client as (options: object) => Options.Security
  const plainServer = Plain.server as (options: object) => Options.Security
  const plainClient = Plain.client as (options: object) => Options.Security
  const nullServer = Null.server as (options: object) => Options.Security
  it.each<[option: string, security: Options.Security]>([
    ["security.secretKey", curveServer({})],
    ["security.secretKey", curveServer({ domain })],
    ["security.secretKey", curveServer({ secretKey: secretKey })],
    ["security.secretKey", curveServer({ secretKey: Redacted.make("hush-hush") })],
    ["security.publicKey", curveServer({ secretKey: keys.secretKey, publicKey: serverKey })],
    ["security.domain", curveServer({ keys, domain: "" })],
    // It would let everybody in.
    ["security.domian", curveServer({ keys, domian: domain })],
    ["security.serverKey", curveServer({ keys, serverKey })],
    ["security.serverKey", curveClient({ keys })],
    ["security.serverKey", curveClient({ keys, serverKey: "hush-hush" })],
    ["security.publicKey", curveClient({ secretKey: keys.secretKey, serverKey })],
    ["security.publicKey", curveClient({ secretKey: keys.secretKey, publicKey: serverKey, serverKey })],
    // swapped
    ["security.publicKey", curveClient({ secretKey: Redacted.make(publicKey), publicKey: secretKey, serverKey })],
    ["security.secretKey", curveClient({ publicKey: keys.publicKey, serverKey })],
    ["security.domain", curveClient({ keys, serverKey, domain })],
    ["security.metadata", curveClient({ ...keys, serverKey, metadata: {} })],
    ["security.domain", plainServer({})],
    ["security.password", plainServer({ domain, password: "hush-hush" })],
    ["security.password", plainClient({ username: "a" })],
    ["security.password", plainClient({ username: "a", password: "hush-hush" })],
    ["security.username", plainClient({ password })],
    ["security.domain", nullServer({})]
  ])("refuses %s where it cannot work", (option, security) => {
    const error = errorOf("pull", { security })
    expect(error.option).toBe(option)
    expect(error.message).toMatch(/^option security\.\w+: expected \S/)
    expect(error.message).not.toContain("undefined")
    const shown = `${error} ${error.stack} ${JSON.stringify(error)} ${inspect(error, { depth: 9 })}`
    for (const hush of ["hush-hush", secretKey]) expect(shown).not.toContain(hush)
  })

  it("is nothing that a STREAM has: plain TCP has no handshake", () => {
    for (const name of ["security", ...secured]) {
      expect(optionNames("rawStream")).not.toContain(name)
      expect(errorOf("rawStream", { [name]: true }).option).toBe(name)
    }
  })
})

// zeromq.js cannot ask for these, or not for all that was set.
const neverTold = new Set([
  "tcpAcceptFilter",
  "conflate",
  "curvePublicKey",
  "curveSecretKey",
  "curveServerKey",
  "probeRouter",
  "correlate",
  "relaxed",
  "mandatory",
  "handover",
  "noDrop",
  "welcomeMessage",
  "verbosity",
  "notify",
  "multicastLoop"
])

const _isDraft = (type: SocketType): type is DraftType =>
  ["server", "client", "radio", "dish", "gather", "scatter", "datagram"].includes(type)

/** What libzmq makes of a value: tenths of seconds, and zeromq.js of its bytes: text to the first NUL. */
const kept = (name: string, value: unknown): unknown => {
  if (name === "heartbeatTimeToLive") return Math.floor((value as number) / 100) * 100
  return Buffer.isBuffer(value) ? value.toString().split("\0")[0] : value
}

describe.each(types)("%s: what was set comes back from libzmq", (type) => {
  const names = optionNames(type).filter((name) => !table[name as keyof Table].ours)
  it.each(names)("%s", async (name) => {
    const { beside, good } = cases[name as keyof Table]
    for (const [given, value] of good) {
      const { conflate, settings } = prepare(type, { ...required(type), ...beside, [name]: given })
      const socket = openNative(type, { context: sharedContext(), noDrop: false, conflate })
      try {
        for (const setting of settings) socket.set(setting)
        // It has its options from when it is bound.
        if (type === "datagram") socket.bind("udp://127.0.0.1:5564")
        const { raw } = socket as unknown as { readonly raw: Record<string, unknown> }
        if (!neverTold.has(name)) expect(raw[name]).toEqual(kept(name, value))
      } finally {
        socket.close()
      }
    }
  })
})

it("docs/options.md lists them all", async () => {
  await expect(optionsPage()).toMatchFileSnapshot("../docs/options.md")
})
