/** Options of a cluster, checked before anything is opened. */
import type { LinkOptions, Options } from "../../Cluster.ts"
import { OptionError } from "../../ZmqError.ts"
import * as Rpc from "../rpc/options.ts"

const linkOptions: ReadonlyArray<string> = [
  "endpoint",
  "security",
  "pingInterval",
  "pingTimeout",
  "openTimeout",
  "maxMessageSize",
  "maxPendingPerRunner"
] satisfies ReadonlyArray<keyof LinkOptions>

const layerOptions: ReadonlyArray<string> = [
  ...linkOptions,
  ...(["clientOnly", "storage", "serialization", "runnerHealth", "shardingConfig"] satisfies ReadonlyArray<
    keyof Options
  >)
]

const refuse = (option: string, value: unknown, expected: string): never => {
  throw new OptionError({ option, value, expected })
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

const checkNames = (options: object, names: ReadonlyArray<string>, within = ""): void => {
  for (const [name, value] of Object.entries(options)) {
    if (!names.includes(name)) refuse(`${within}${name}`, value, `one of ${names.join(", ")}`)
  }
}

// As a socket checks it, and with the name that it has here. What was given may be a secret.
const checkKey = (option: string, value: unknown, client: object): void => {
  try {
    Rpc.check("dealer", { security: { ...client, _tag: "CurveClient" } })
  } catch (error) {
    if (error instanceof OptionError) refuse(option, value, error.expected)
    throw error
  }
}

const checkSecurity = (security: LinkOptions["security"]): void => {
  if (security === undefined) return
  if (!isObject(security)) refuse("security", security, "{ keys, runners, trusted }")
  checkNames(security, ["keys", "runners", "trusted"], "security.")
  const { keys, runners, trusted } = security
  if (!isObject(keys)) refuse("security.keys", keys, "a pair of keys, as Curve.generate makes")
  // A certificate is a pair of keys, and more.
  const { publicKey, secretKey } = keys
  checkKey("security.keys", keys, { publicKey, secretKey, serverKey: publicKey })
  if (typeof runners === "function") {
    if (trusted === undefined) {
      refuse(
        "security.trusted",
        trusted,
        "the public keys that may come in, or an authenticator, as `runners` names none"
      )
    }
  } else if (!isObject(runners)) {
    refuse("security.runners", runners, 'the public keys of runners by "host:port", or a function of an address')
  } else {
    for (const [address, serverKey] of Object.entries(runners)) {
      checkKey(`security.runners[${JSON.stringify(address)}]`, serverKey, { publicKey, secretKey, serverKey })
    }
  }
  if (trusted !== undefined && typeof trusted !== "function" && !Array.isArray(trusted)) {
    refuse("security.trusted", trusted, "a list of public keys, or an authenticator")
  }
}

const checkLinks = (options: LinkOptions): void => {
  if (options.endpoint !== undefined && typeof options.endpoint !== "function") {
    refuse("endpoint", options.endpoint, "a function that gives the endpoint of an address")
  }
  checkSecurity(options.security)
  Rpc.millisOf("pingInterval", options.pingInterval, 1)
  Rpc.millisOf("pingTimeout", options.pingTimeout, 1)
  Rpc.millisOf("openTimeout", options.openTimeout, 1)
  Rpc.countOf("maxMessageSize", options.maxMessageSize, 1)
  Rpc.countOf("maxPendingPerRunner", options.maxPendingPerRunner, 1)
}

/** Throws OptionError for what no link could be made of. */
export const checkLinkOptions = (options: LinkOptions): void => {
  checkNames(options, linkOptions)
  checkLinks(options)
}

/** The same, of the options of a whole runner. */
export const checkOptions = (options: Options): void => {
  checkNames(options, layerOptions)
  checkLinks(options)
  const { clientOnly, runnerHealth, serialization, shardingConfig, storage } = options
  if (clientOnly !== undefined && typeof clientOnly !== "boolean") refuse("clientOnly", clientOnly, "true or false")
  Rpc.oneOf("storage", storage, ["sql", "local", "byo"])
  Rpc.oneOf("serialization", serialization, ["binary", "ndjson"])
  Rpc.oneOf("runnerHealth", runnerHealth, ["ping", "byo"])
  if (shardingConfig !== undefined && !isObject(shardingConfig)) {
    refuse("shardingConfig", shardingConfig, "some of the properties of ShardingConfig")
  }
}

/** What is about links among the options of a runner. */
export const linkOptionsOf = (options: Options): LinkOptions =>
  Object.fromEntries(Object.entries(options).filter(([name]) => linkOptions.includes(name)))
