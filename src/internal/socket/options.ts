/**
 * One table of all options, and the check of a program's options against it.
 *
 * libzmq wraps, cuts or ignores many values it cannot use, and a socket that
 * zeromq.js half built crashes the process, so everything is checked before the
 * native socket exists.
 */
import { isIP } from "node:net"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { OptionError } from "../../ZmqError.ts"
import type { Setting } from "../engine.ts"
import { expectedKey, isKey, publicKeyOf } from "../security/keys.ts"
import { expectedSecurity, forms, secured } from "../security/security.ts"
import { draftTypes, type SocketType, stableTypes } from "../socketTypes.ts"
import { longestSubscription, mostInFront } from "../subscription.ts"

const every = [...stableTypes, ...draftTypes] as const
const allBut = <T extends SocketType, U extends T>(types: ReadonlyArray<T>, out: U) =>
  types.filter((type): type is Exclude<T, U> => type !== out)
// A DGRAM has no connections.
const connecting = allBut(every, "datagram")
// A STREAM speaks plain TCP, where no mechanism is: libzmq takes these options,
// and lets everybody in (measured).
const withHandshake = allBut(connecting, "rawStream")
const receivers = [
  ...(["pull", "sub", "req", "rep", "dealer", "router", "pair", "xpub", "xsub", "rawStream"] as const),
  ...(["server", "client", "dish", "gather", "datagram"] as const)
]
const senders = [
  ...(["push", "pub", "req", "rep", "dealer", "router", "pair", "xpub", "xsub", "rawStream"] as const),
  ...(["server", "client", "radio", "scatter", "datagram"] as const)
]

/** Keeps its value where nothing finds it that prints objects, whatever it is told to print. */
class SecretSetting implements Setting {
  readonly option: string
  readonly given: unknown
  readonly expected: string
  readonly #value: Setting["value"]

  constructor({ expected, given, option, value }: Setting) {
    this.option = option
    this.given = given
    this.expected = expected
    this.#value = value
  }

  get value(): Setting["value"] {
    return this.#value
  }
}

export interface Prepared {
  /** In the order to apply, with the defaults that are ours. */
  readonly settings: ReadonlyArray<Setting>
  readonly bind: ReadonlyArray<string>
  readonly connect: ReadonlyArray<string>
  readonly subscribe: ReadonlyArray<Buffer>
  /** Milliseconds, `Infinity` when unlimited. */
  readonly receiveTimeout: number
  /** Milliseconds, `Infinity` when unlimited. */
  readonly sendTimeout: number
  readonly receiveHighWaterMark: number
  readonly conflate: boolean
  readonly noDrop: boolean
  readonly relaxed: boolean
  /** Undefined: on the main thread. */
  readonly monitor: boolean | undefined
  /** Whether it cannot be known who gets what is sent. */
  readonly uncountable: boolean
}

// -----------------------------------------------------------------------------
// Kinds of values
// -----------------------------------------------------------------------------

/** `read` gives the checked value, or `undefined` when it is not what is `expected`. */
interface Kind<A> {
  readonly expected: string
  readonly read: (given: unknown) => A | undefined
  readonly secret?: boolean
}

const int32 = 2_147_483_647

const boolean: Kind<boolean> = {
  expected: "true or false",
  read: (given) => (typeof given === "boolean" ? given : undefined)
}

const integer = (
  min: number,
  max: number,
  unit: string,
  special?: { value: number; meaning: string }
): Kind<number> => ({
  expected: [
    `a whole number of ${unit} from ${min} to ${max}`,
    ...(special ? [`or ${special.value} for ${special.meaning}`] : [])
  ].join(", "),
  read: (given) =>
    Number.isSafeInteger(given) && (given === special?.value || ((given as number) >= min && (given as number) <= max))
      ? (given as number)
      : undefined
})

const durationUnits = new Set([
  "weeks",
  "days",
  "hours",
  "minutes",
  "seconds",
  "milliseconds",
  "microseconds",
  "nanoseconds"
])

const isDurationObject = (given: object): boolean => {
  const entries = Object.entries(given).filter(([, amount]) => amount !== undefined)
  return entries.length > 0 && entries.every(([unit, amount]) => durationUnits.has(unit) && typeof amount === "number")
}

/** Milliseconds, or `undefined`: `Duration.fromInput` itself takes NaN, `{}` and `{ second: 5 }` for zero. */
const toMillis = (given: unknown): number | undefined => {
  if (typeof given === "number" && Number.isNaN(given)) return undefined
  if (typeof given === "object" && given !== null && !Duration.isDuration(given)) {
    const parts = Array.isArray(given) ? given : isDurationObject(given) ? Object.values(given) : undefined
    if (parts === undefined || parts.some((part) => Number.isNaN(part))) return undefined
  }
  const millis = Duration.fromInput(given as Duration.Input).pipe(Option.map(Duration.toMillis), Option.getOrUndefined)
  return millis === undefined || Number.isNaN(millis) || millis < 0 ? undefined : millis
}

interface Limits {
  /** What libzmq is given for an infinite duration, and what that means; without it there is none. */
  readonly infinity?: { readonly value: number; readonly meaning: string }
  readonly min?: number
  readonly max?: number
  readonly seconds?: boolean
  /** Positive durations below this are raised to it. */
  readonly least?: number
}

const duration = ({ infinity, least = 1, max = int32, min = 0, seconds = false }: Limits): Kind<number> => ({
  expected: [
    `a Duration.Input from ${min} to ${max} ${seconds ? "seconds" : "milliseconds"}`,
    `like "5 seconds"${seconds ? "" : " or 5000"}`,
    infinity ? `or "Infinity" for ${infinity.meaning}` : "and not infinite"
  ].join(", "),
  read: (given) => {
    const millis = toMillis(given)
    if (millis === undefined) return undefined
    if (millis === Infinity) return infinity?.value
    const whole = Math.ceil(seconds ? millis / 1000 : millis)
    const raised = whole === 0 ? 0 : Math.max(least, whole)
    return raised >= min && raised <= max ? raised : undefined
  }
})

/** Measured by the Effect Clock, never by libzmq, so that any length will do. */
const timeLimit: Kind<number> = {
  expected: 'a Duration.Input of 0 or more, like "5 seconds" or 5000, or "Infinity" for no limit',
  read: (given) => {
    const millis = toMillis(given)
    return millis === undefined ? undefined : Math.ceil(millis)
  }
}

const isText = (given: unknown, max: number): given is string =>
  typeof given === "string" && given.length > 0 && !given.includes("\0") && Buffer.byteLength(given) <= max

const text = (max: number): Kind<string> => ({
  expected: `a string of 1 to ${max} bytes of UTF-8 without NUL`,
  read: (given) => (isText(given, max) ? given : undefined)
})

const key: Kind<string> = {
  expected: expectedKey,
  read: (given) => (typeof given === "string" && isKey(given) ? given : undefined)
}

const secret = (kind: Kind<string>): Kind<string> => ({
  expected: `Redacted.make(…) with ${kind.expected}`,
  secret: true,
  read: (given) => {
    if (!Redacted.isRedacted(given)) return undefined
    try {
      return kind.read(Redacted.value(given))
    } catch {
      // It was wiped.
      return undefined
    }
  }
})

/** Made into other options before they are read. */
const security: Kind<null> = { expected: expectedSecurity, secret: true, read: () => null }

/** zeromq.js gives strings and buffers to libzmq with their length, but its getters cut both at a NUL. */
const toBytes = (given: unknown): Buffer | undefined =>
  given instanceof Uint8Array
    ? Buffer.from(given)
    : typeof given === "string" && !given.includes("\0")
      ? Buffer.from(given)
      : undefined

const routingId: Kind<Buffer> = {
  expected: "a string without NUL, or a Uint8Array, of 1 to 255 bytes of which the first is not 0",
  read: (given) => {
    const bytes = toBytes(given)
    return bytes !== undefined && bytes.length > 0 && bytes.length <= 255 && bytes[0] !== 0 ? bytes : undefined
  }
}

const bytes: Kind<Buffer> = {
  expected: "a string without NUL, or a Uint8Array",
  read: toBytes
}

const choice = <const A extends string | null>(...values: ReadonlyArray<A>): Kind<A> => ({
  expected: values.map((value) => JSON.stringify(value)).join(" or "),
  read: (given) => values.find((value) => value === given)
})

const oneOrMore = <A>(given: unknown, read: (item: unknown) => A | undefined): ReadonlyArray<A> | undefined => {
  const items: ReadonlyArray<unknown> = Array.isArray(given) ? given : [given]
  const all = items.map(read).filter((item) => item !== undefined)
  return all.length === items.length ? all : undefined
}

const endpoints: Kind<ReadonlyArray<string>> = {
  expected: 'an endpoint or a list of endpoints, like "tcp://127.0.0.1:5555"',
  read: (given) => oneOrMore(given, (item) => (typeof item === "string" ? item : undefined))
}

const topics: Kind<ReadonlyArray<Buffer>> = {
  expected:
    "the prefix of the messages to receive, as a string or a Uint8Array, or a list of them. " +
    'A SUB without subscriptions receives nothing: give [""] for everything, or [] to subscribe later',
  read: (given) =>
    oneOrMore(given, (item) =>
      typeof item === "string" ? Buffer.from(item) : item instanceof Uint8Array ? Buffer.from(item) : undefined
    )
}

/**
 * libzmq takes 255 bytes, and frees a group of more than 14 once for each of the
 * peers that it goes to (dist.cpp does not count them): the process crashes.
 */
export const longestGroup = 14

/** The bytes of a group, or `undefined`. libzmq would cut it at a NUL. */
export const toGroup = (given: unknown): Buffer | undefined => {
  if (typeof given !== "string" || given.includes("\0")) return undefined
  const bytes = Buffer.from(given)
  return bytes.length <= longestGroup ? bytes : undefined
}

const groups: Kind<ReadonlyArray<Buffer>> = {
  expected: `a group, a string of at most ${longestGroup} bytes of UTF-8 without NUL, or a list of them`,
  read: (given) => oneOrMore(given, toGroup)
}

const isNetwork = (given: string): boolean => {
  const [address = "", bits, ...rest] = given.split("/")
  const family = isIP(address)
  return (
    family !== 0 &&
    rest.length === 0 &&
    (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)))
  )
}

const networks: Kind<ReadonlyArray<string>> = {
  expected:
    'an IP address or a network like "10.0.0.0/8", or a list of them; an IPv6 one needs the option ipv6 to be true',
  read: (given) => oneOrMore(given, (item) => (typeof item === "string" && isNetwork(item) ? item : undefined))
}

// -----------------------------------------------------------------------------
// The table
// -----------------------------------------------------------------------------

type Read = Setting["value"] | ReadonlyArray<string> | ReadonlyArray<Buffer>

interface Row extends Kind<Read> {
  readonly types: ReadonlyArray<SocketType>
  readonly libzmq: string
  /** Carried out by us and not by an assignment to the native socket. */
  readonly ours: boolean
  /** Our default, where it is not libzmq's. */
  readonly fallback: ((type: SocketType) => unknown) | undefined
}

const native = <const Types extends ReadonlyArray<SocketType>>(
  types: Types,
  libzmq: string,
  kind: Kind<Setting["value"] | ReadonlyArray<string>>,
  fallback?: (type: SocketType) => unknown
) => ({ ...kind, types, libzmq, ours: false, fallback })

const ours = <const Types extends ReadonlyArray<SocketType>>(types: Types, libzmq: string, kind: Kind<Read>) => ({
  ...kind,
  types,
  libzmq,
  ours: true,
  fallback: undefined
})

const osDecides = "what the operating system does"
const noLimit = { value: 0, meaning: "no limit" }

/**
 * In the order to apply: IPv6 decides how filters are read, and the role of
 * server is taken before the keys.
 */
export const table = {
  bind: ours(every, "", endpoints),
  connect: ours(connecting, "", endpoints),
  subscribe: ours(["sub", "xsub"], "ZMQ_SUBSCRIBE", topics),
  join: ours(["dish"], "", groups),
  receiveTimeout: ours(receivers, "ZMQ_RCVTIMEO", timeLimit),
  sendTimeout: ours(senders, "ZMQ_SNDTIMEO", timeLimit),
  monitor: ours(connecting, "zmq_socket_monitor", boolean),

  ipv6: native(connecting, "ZMQ_IPV6", boolean),
  linger: native(
    every,
    "ZMQ_LINGER",
    duration({ infinity: { value: -1, meaning: "for ever" } }),
    // All that a subscriber can have left to deliver is a subscription, which
    // ends with it anyway; libzmq's own default is 0 for these.
    (type) => (type === "sub" || type === "xsub" || type === "dish" ? 0 : 5000)
  ),
  immediate: native(connecting, "ZMQ_IMMEDIATE", boolean),
  reconnectInterval: native(
    connecting,
    "ZMQ_RECONNECT_IVL",
    duration({ infinity: { value: -1, meaning: "no reconnection" } })
  ),
  reconnectMaxInterval: native(connecting, "ZMQ_RECONNECT_IVL_MAX", duration({})),
  connectTimeout: native(connecting, "ZMQ_CONNECT_TIMEOUT", duration({ infinity: { value: 0, meaning: osDecides } })),
  handshakeInterval: native(connecting, "ZMQ_HANDSHAKE_IVL", duration({ infinity: noLimit })),
  heartbeatInterval: native(
    connecting,
    "ZMQ_HEARTBEAT_IVL",
    duration({ infinity: { value: 0, meaning: "no heartbeats" } })
  ),
  heartbeatTimeout: native(connecting, "ZMQ_HEARTBEAT_TIMEOUT", duration({ infinity: noLimit })),
  heartbeatTimeToLive: native(
    connecting,
    "ZMQ_HEARTBEAT_TTL",
    // libzmq counts tenths of a second, rounded down: less than one would be none.
    duration({ infinity: noLimit, least: 100, max: 6_553_599 })
  ),
  backlog: native(connecting, "ZMQ_BACKLOG", integer(0, int32, "connections")),
  maxMessageSize: native(
    // A RADIO receives none; what its peers may say is bounded in zeromq/draft/radioDish.ts.
    allBut(connecting, "radio"),
    "ZMQ_MAXMSGSIZE",
    integer(0, Number.MAX_SAFE_INTEGER, "bytes", { value: -1, meaning: "no limit" }),
    (type) => (type === "pub" ? longestSubscription : undefined)
  ),
  affinity: native(every, "ZMQ_AFFINITY", {
    ...integer(0, Number.MAX_SAFE_INTEGER, "bits"),
    expected: `a bit mask of I/O threads, a whole number from 0 (all threads) to ${Number.MAX_SAFE_INTEGER}`
  }),

  // The kernel refuses zero and what is above these limits, and then libzmq
  // never gets a connection and never says so (measured).
  tcpKeepalive: native(connecting, "ZMQ_TCP_KEEPALIVE", {
    ...integer(-1, 1, ""),
    expected: `1 for on, 0 for off, or -1 for ${osDecides}`
  }),
  tcpKeepaliveCount: native(
    connecting,
    "ZMQ_TCP_KEEPALIVE_CNT",
    integer(1, 127, "probes", { value: -1, meaning: osDecides })
  ),
  tcpKeepaliveIdle: native(
    connecting,
    "ZMQ_TCP_KEEPALIVE_IDLE",
    duration({ infinity: { value: -1, meaning: osDecides }, seconds: true, min: 1, max: 32_767 })
  ),
  tcpKeepaliveInterval: native(
    connecting,
    "ZMQ_TCP_KEEPALIVE_INTVL",
    duration({ infinity: { value: -1, meaning: osDecides }, seconds: true, min: 1, max: 32_767 })
  ),
  tcpMaxRetransmitTimeout: native(
    connecting,
    "ZMQ_TCP_MAXRT",
    duration({ infinity: { value: 0, meaning: osDecides } })
  ),
  tcpAcceptFilter: native(connecting, "ZMQ_TCP_ACCEPT_FILTER", networks),
  typeOfService: native(connecting, "ZMQ_TOS", {
    ...integer(0, 255, ""),
    expected: "the type-of-service byte of the IP header, a whole number from 0 to 255"
  }),
  interface: native(connecting, "ZMQ_BINDTODEVICE", text(15)),
  loopbackFastPath: native(connecting, "ZMQ_LOOPBACK_FASTPATH", boolean),

  security: ours(withHandshake, "", security),
  plainServer: native(withHandshake, "ZMQ_PLAIN_SERVER", boolean),
  plainUsername: native(withHandshake, "ZMQ_PLAIN_USERNAME", text(255)),
  plainPassword: native(withHandshake, "ZMQ_PLAIN_PASSWORD", secret(text(255))),
  curveServer: native(withHandshake, "ZMQ_CURVE_SERVER", boolean),
  curvePublicKey: native(withHandshake, "ZMQ_CURVE_PUBLICKEY", key),
  curveSecretKey: native(withHandshake, "ZMQ_CURVE_SECRETKEY", secret(key)),
  curveServerKey: native(withHandshake, "ZMQ_CURVE_SERVERKEY", key),
  zapDomain: native(withHandshake, "ZMQ_ZAP_DOMAIN", text(255)),
  zapEnforceDomain: native(withHandshake, "ZMQ_ZAP_ENFORCE_DOMAIN", boolean),

  rate: native(connecting, "ZMQ_RATE", integer(1, int32, "kilobits a second")),
  recoveryInterval: native(connecting, "ZMQ_RECOVERY_IVL", duration({})),
  multicastMaxTransportDataUnit: native(connecting, "ZMQ_MULTICAST_MAXTPDU", integer(1, int32, "bytes")),
  multicastHops: native(allBut(senders, "datagram"), "ZMQ_MULTICAST_HOPS", integer(1, 255, "hops")),

  multicastLoop: native(["radio"], "ZMQ_MULTICAST_LOOP", boolean),

  receiveHighWaterMark: native(receivers, "ZMQ_RCVHWM", integer(0, int32, "messages (0 is no limit)"), (type) =>
    type === "xpub" ? mostInFront : undefined
  ),
  receiveBufferSize: native(
    allBut(receivers, "datagram"),
    "ZMQ_RCVBUF",
    integer(0, int32, "bytes", { value: -1, meaning: osDecides })
  ),
  // Subscriptions above it would be dropped: at each reconnection those above a half.
  sendHighWaterMark: native(senders, "ZMQ_SNDHWM", integer(0, int32, "messages (0 is no limit)"), (type) =>
    type === "xsub" ? 100_000 : undefined
  ),
  sendBufferSize: native(
    allBut(senders, "datagram"),
    "ZMQ_SNDBUF",
    integer(0, int32, "bytes", { value: -1, meaning: osDecides })
  ),

  conflate: native(["pull", "push", "pub", "sub", "dealer"], "ZMQ_CONFLATE", boolean),
  routingId: native(["req", "rep", "dealer", "router"], "ZMQ_ROUTING_ID", routingId),
  probeRouter: native(["req", "dealer", "router"], "ZMQ_PROBE_ROUTER", boolean),
  correlate: native(["req"], "ZMQ_REQ_CORRELATE", boolean, () => true),
  relaxed: native(["req"], "ZMQ_REQ_RELAXED", boolean, () => true),
  mandatory: native(["router"], "ZMQ_ROUTER_MANDATORY", boolean, () => true),
  handover: native(["router"], "ZMQ_ROUTER_HANDOVER", boolean),
  noDrop: native(["pub", "xpub", "radio"], "ZMQ_XPUB_NODROP", boolean),
  invertMatching: native(["pub", "sub", "xpub"], "ZMQ_INVERT_MATCHING", boolean),
  welcomeMessage: native(["xpub"], "ZMQ_XPUB_WELCOME_MSG", bytes),
  verbosity: native(["xpub"], "ZMQ_XPUB_VERBOSE", choice(null, "allSubs", "allSubsUnsubs")),
  notify: native(["rawStream"], "ZMQ_STREAM_NOTIFY", boolean)
}

const rows: ReadonlyMap<string, Row> = new Map<string, Row>(Object.entries(table))

/** The names of all options of a socket type. */
export const optionNames = (type: SocketType): ReadonlyArray<string> =>
  [...rows].filter(([, row]) => row.types.includes(type)).map(([name]) => name)

// -----------------------------------------------------------------------------
// The check
// -----------------------------------------------------------------------------

/** Throws OptionError. */
export const prepare = (type: SocketType, options: unknown): Prepared => {
  const all = options === undefined ? {} : options
  if (!isPlainObject(all)) {
    throw new OptionError({
      option: "options",
      value: all,
      expected: `a plain object with the options of a ${type} socket, like { connect: "tcp://127.0.0.1:5555" }`
    })
  }
  for (const [name, value] of Object.entries(all)) {
    if (value !== undefined && !rows.get(name)?.types.includes(type)) throw unknownOption(type, name, value)
  }
  if (type === "sub" && all.subscribe === undefined) {
    throw new OptionError({ option: "subscribe", value: undefined, expected: topics.expected })
  }

  const { given, nameOf } = expandSecurity(all)
  const settings: Array<Setting> = []
  const values: Record<string, unknown> = {}
  for (const [name, row] of rows) {
    if (!row.types.includes(type)) continue
    const value = given[name] === undefined ? row.fallback?.(type) : given[name]
    if (value === undefined) continue
    const read = row.read(value)
    if (read === undefined) {
      const option = nameOf(name)
      const hidden = row.secret || option !== name
      throw new OptionError({ option, value: hidden ? seal(value) : value, expected: row.expected })
    }
    values[name] = read
    if (row.ours) continue
    // To libzmq "not a server" means "no security": setting it would undo the
    // other mechanism, without a word. It is the default of a new socket.
    if (read === false && (name === "plainServer" || name === "curveServer")) continue
    for (const one of isList(read) ? read : [read]) {
      const setting = { option: name, value: one, given: given[name], expected: row.expected }
      settings.push(row.secret ? new SecretSetting(setting) : setting)
    }
  }
  checkSecurity(given, nameOf)
  if (type === "sub" && values.conflate === true && (values.subscribe as ReadonlyArray<Buffer>).length !== 1) {
    throw new OptionError({ option: "subscribe", value: all.subscribe, expected: oneTopic })
  }

  return {
    settings,
    bind: (values.bind as ReadonlyArray<string> | undefined) ?? [],
    connect: (values.connect as ReadonlyArray<string> | undefined) ?? [],
    subscribe: ((values.subscribe ?? values.join) as ReadonlyArray<Buffer> | undefined) ?? [],
    receiveTimeout: (values.receiveTimeout as number | undefined) ?? Infinity,
    sendTimeout: (values.sendTimeout as number | undefined) ?? Infinity,
    receiveHighWaterMark: (given.receiveHighWaterMark as number | undefined) ?? 1000,
    conflate: values.conflate === true,
    noDrop: values.noDrop === true,
    relaxed: values.relaxed === true,
    monitor: values.monitor as boolean | undefined,
    uncountable: values.conflate === true || values.invertMatching === true
  }
}

/** libzmq keeps the last message only of what such a SUB sends as well: its subscriptions. */
export const oneTopic = "one topic beside conflate, with which libzmq forgets all subscriptions but the last"

const isList = (read: Read): read is ReadonlyArray<string> | ReadonlyArray<Buffer> => Array.isArray(read)

const isPlainObject = (given: unknown): given is Readonly<Record<string, unknown>> => {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return false
  const prototype: unknown = Object.getPrototypeOf(given)
  // An object of another realm has another Object.prototype, but it too is the last.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** An error must never show a secret, not even one that was given as a plain string or under a wrong name. */
const seal = (value: unknown): unknown => (Redacted.isRedacted(value) ? value : Redacted.make(value))

/**
 * The options with those that `security` stands for in its place, and the name
 * under which the program gave each.
 */
const expandSecurity = (
  all: Readonly<Record<string, unknown>>
): { readonly given: Readonly<Record<string, unknown>>; readonly nameOf: (name: string) => string } => {
  const { security: value, ...rest } = all
  if (value === undefined) return { given: rest, nameOf: (name) => name }
  const refuse = (option: string, value: unknown, expected: string): never => {
    throw new OptionError({ option, value: seal(value), expected })
  }
  const fields: Readonly<Record<string, unknown>> = isPlainObject(value) ? value : {}
  const form = forms.get(fields._tag) ?? refuse("security", value, expectedSecurity)
  const beside = secured.find((name) => rest[name] !== undefined)
  if (beside !== undefined) {
    refuse(beside, rest[beside], `no ${beside} beside security, which says all of it: leave out one or the other`)
  }

  const meant: Record<string, string> = { ...form.required, ...form.optional }
  const given: Record<string, unknown> = { ...rest }
  const names = new Map<string, string>()
  for (const [field, one] of Object.entries(fields)) {
    if (field === "_tag" || one === undefined) continue
    const name = meant[field] ?? refuse(`security.${field}`, one, `no ${field} in ${form.made}. Leave it out`)
    given[name] = one
    names.set(name, `security.${field}`)
  }
  for (const [field, name] of Object.entries(form.required)) {
    if (given[name] === undefined) refuse(`security.${field}`, undefined, `${rows.get(name)?.expected} in ${form.made}`)
  }
  if (form.role !== undefined) given[form.role] = true
  // Who names a domain wants the ZAP handler asked: without one nobody gets in.
  if (given.zapDomain !== undefined) given.zapEnforceDomain = true
  return { given, nameOf: (name) => names.get(name) ?? name }
}

/**
 * libzmq keeps the mechanism of whichever option was set last, and accepts a
 * server without its secret key and a client without a key to check the server
 * with. Such a socket never connects, or is less safe than it looks.
 */
const checkSecurity = (given: Readonly<Record<string, unknown>>, nameOf: (name: string) => string): void => {
  const has = (name: string) => given[name] !== undefined && given[name] !== false
  const refuse = (option: string, expected: string) => {
    // Keys are hidden, the public ones too: what is wrong may be that they were swapped.
    const hidden = has(option) && (option.endsWith("Key") || rows.get(option)?.secret)
    throw new OptionError({
      option: nameOf(option),
      value: hidden ? seal(given[option]) : given[option],
      expected
    })
  }
  const plainClient = ["plainUsername", "plainPassword"].find(has)
  const plain = has("plainServer") ? "plainServer" : plainClient
  const curve = ["curveServer", "curvePublicKey", "curveSecretKey", "curveServerKey"].find(has)
  if (plain !== undefined && curve !== undefined) {
    refuse(curve, `no CURVE option beside ${plain}: a socket has one security mechanism, so leave out one or the other`)
  }
  if (has("plainServer") && plainClient !== undefined) {
    refuse(plainClient, "no name or password of its own on a PLAIN server: leave it out, or leave out plainServer")
  }
  if (has("zapEnforceDomain") && !has("zapDomain")) {
    // libzmq 4.3.5 lets everybody in, without asking; or, on a PLAIN server,
    // aborts the whole process when a client connects (plain_server.cpp:27).
    refuse("zapDomain", `to be given, because zapEnforceDomain needs it: ${table.zapDomain.expected}`)
  }
  if (curve === undefined) return
  if (has("curveServer") && has("curveServerKey")) {
    refuse("curveServerKey", "no server key on a CURVE server: it belongs to the clients, so leave it out")
  }
  const side = has("curveServer") ? "server" : "client"
  const needed = side === "server" ? ["curveSecretKey"] : ["curvePublicKey", "curveSecretKey", "curveServerKey"]
  for (const name of needed) {
    if (has(name)) continue
    const hint = side === "server" ? "" : ", or curveServer: true if this socket is the server"
    refuse(name, `to be given, because a CURVE ${side} needs ${needed.join(", ")}${hint}: ${rows.get(name)?.expected}`)
  }
  const secretKey = table.curveSecretKey.read(given.curveSecretKey) as string
  if (has("curvePublicKey") && given.curvePublicKey !== publicKeyOf(secretKey)) {
    refuse("curvePublicKey", "the public key that belongs to the secret key beside it: no handshake would succeed")
  }
}

/** Options that zeromq.js lists and that the libzmq in it was built without. */
const unavailable = /^(vmci|gssapi)/

/** Options that libzmq has, and that cannot be used. */
const unusable: ReadonlyMap<string, string> = new Map([
  // epoll.cpp:86
  ["socksProxy", "a proxy that refuses a connection makes libzmq abort the whole process. Leave it out"],
  // xpub.cpp:275: a message that is no subscription moves on to the next peer, too.
  [
    "manual",
    "libzmq accepts a subscription for another peer than the one it came from when a peer sends it anything else. " +
      "Leave it out, and say who may connect with `security`"
  ]
])

const unknownOption = (type: SocketType, name: string, value: unknown): OptionError => {
  const row = rows.get(name)
  const near = row ? undefined : nearest(name, optionNames(type))
  const expected = row
    ? `no ${name} on a ${type} socket: it is an option of ${row.types.join(", ")}. Leave it out`
    : unusable.has(name)
      ? `no ${name}: ${unusable.get(name)}`
      : unavailable.test(name)
        ? `no ${name}: the libzmq that comes with zeromq is built without it. Leave it out`
        : near === undefined
          ? `an option of a ${type} socket, which has none of this name. Leave it out`
          : `an option of a ${type} socket, which has none of this name. Did you mean ${near}?`
  return new OptionError({
    option: name,
    value:
      row?.secret || /secret|pass|key|security/i.test(name) || (near && rows.get(near)?.secret) ? seal(value) : value,
    expected
  })
}

/** The name that was probably meant: libzmq's own for the option, or one that is a few letters off. */
const nearest = (name: string, names: ReadonlyArray<string>): string | undefined => {
  const bare = (text: string) => text.replace(/^ZMQ_/i, "").replaceAll("_", "").toLowerCase()
  const wanted = bare(name)
  let best: string | undefined
  let least = Math.max(2, Math.floor(wanted.length / 3)) + 1
  for (const candidate of names) {
    if (bare(rows.get(candidate)?.libzmq ?? "") === wanted) return candidate
    const steps = distance(wanted, candidate.toLowerCase())
    if (steps < least) {
      least = steps
      best = candidate
    }
  }
  return best
}

const distance = (a: string, b: string): number => {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(replaced, previous[j]! + 1, current[j - 1]! + 1))
    }
    previous = current
  }
  return previous[b.length]!
}
