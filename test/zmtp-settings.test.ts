/** What this engine makes of options that it does not take as they are. */
import { Effect, Redacted } from "effect"
import { Curve } from "effect-zmq"
import { describe, expect, it } from "vitest"
import { prepare } from "../src/internal/socket/options.ts"
import { Settings } from "../src/internal/zmtp/settings.ts"

type Type = ConstructorParameters<typeof Settings>[0]

/** As a socket of this type has them. */
const settingsOf = (type: Type, options: Record<string, unknown> = {}): Settings => {
  const settings = new Settings(type, false, -1)
  for (const one of prepare(type, options).settings) settings.set(one)
  return settings
}

describe("who is let in", () => {
  const denied = (addresses: ReadonlyArray<string>, tcpAcceptFilter?: ReadonlyArray<string>): Array<boolean> => {
    const settings = settingsOf("pull", { ipv6: true, ...(tcpAcceptFilter === undefined ? {} : { tcpAcceptFilter }) })
    return addresses.map((address) => settings.denies(address))
  }

  it("is everybody without a filter", () => {
    expect(denied(["10.1.2.3", "::1", "::ffff:10.1.2.3"])).toEqual([false, false, false])
  })
  it("is who is in one of the networks", () => {
    expect(denied(["10.1.2.3", "10.1.255.255", "10.2.0.0", "192.168.0.7"], ["10.1.0.0/16", "192.168.0.7"])).toEqual([
      false,
      false,
      true,
      false
    ])
    expect(denied(["192.168.0.8", "::1"], ["10.1.0.0/16", "192.168.0.7"])).toEqual([true, true])
  })
  it("is known by its address of IPv4, though it comes by IPv6", () => {
    const from = ["::ffff:10.1.2.3", "::FFFF:10.1.2.3", "::ffff:10.2.2.3"]
    expect(denied(from, ["10.1.0.0/16"])).toEqual([false, false, true])
  })
  it("is known by its address of IPv6", () => {
    expect(denied(["fd00::1", "fd01::1", "::1", "::2"], ["fd00::/16", "::1"])).toEqual([false, true, false, true])
  })
  it("cannot be somebody of IPv6 without ipv6", () => {
    expect(() => settingsOf("pull", { tcpAcceptFilter: ["::1"] })).toThrow(/IPv6/)
  })
})

describe("options of what node:net does not have", () => {
  it("are none where they ask for nothing", () => {
    expect(() => settingsOf("pull", { tcpKeepaliveCount: -1, receiveBufferSize: -1 })).not.toThrow()
  })
  it("are refused where they ask for something", () => {
    for (const option of [{ tcpKeepaliveCount: 3 }, { receiveBufferSize: 1000 }, { typeOfService: 8 }])
      expect(() => settingsOf("pull", option)).toThrow(/cannot set it/)
  })
})

describe("as given, but that", () => {
  it("a linger without an end is infinite", () => {
    expect(settingsOf("push", { linger: Number.POSITIVE_INFINITY }).linger).toBe(Number.POSITIVE_INFINITY)
    expect(settingsOf("push", { linger: 7 }).linger).toBe(7)
  })
  it("an XPUB has the high-water mark of the others, where it is given none", () => {
    expect(settingsOf("xpub").receiveHighWaterMark).toBe(1000)
    for (const mark of [0, 1, 2, 1000])
      expect(settingsOf("xpub", { receiveHighWaterMark: mark }).receiveHighWaterMark).toBe(mark)
  })
  it("keep-alives have shorter names", () => {
    const { keepAlive, keepAliveIdle } = settingsOf("pull", { tcpKeepalive: 1, tcpKeepaliveIdle: "7 seconds" })
    expect([keepAlive, keepAliveIdle]).toEqual([1, 7])
  })
})

describe("security", () => {
  const [server, client] = [Effect.runSync(Curve.generate), Effect.runSync(Curve.generate)]
  const mechanismOf = (options: Record<string, unknown>): Record<string, unknown> => {
    const { boxes: _, ...rest } = settingsOf("pull", options).security as unknown as Record<string, unknown>
    return rest
  }
  const bytes = ({ publicKey, secretKey }: Curve.KeyPair) => ({
    publicKey: Curve.toBytes(publicKey),
    secretKey: Curve.toBytes(Redacted.value(secretKey) as never)
  })

  it("is none, and ZAP is asked where there is a domain", () => {
    expect(mechanismOf({})).toEqual({ mechanism: "NULL", asks: false })
    expect(mechanismOf({ zapDomain: "global" })).toEqual({ mechanism: "NULL", asks: true })
  })
  it("is PLAIN, with what is given of its two", () => {
    expect(mechanismOf({ plainServer: true, zapDomain: "global" })).toEqual({ mechanism: "PLAIN", role: "server" })
    const plain = { mechanism: "PLAIN", role: "client", username: "", password: "" }
    expect(mechanismOf({ plainUsername: "admin" })).toEqual({ ...plain, username: "admin" })
    expect(mechanismOf({ plainPassword: Redacted.make("secret") })).toEqual({ ...plain, password: "secret" })
  })
  it("is CURVE, and a public key follows from its secret key", () => {
    const asServer = { mechanism: "CURVE", role: "server", keys: bytes(server), asks: true }
    expect(mechanismOf({ security: Curve.server({ keys: server }) })).toEqual(asServer)
    expect(mechanismOf({ security: Curve.server({ secretKey: server.secretKey }) })).toEqual(asServer)
    expect(mechanismOf({ security: Curve.client({ keys: client, serverKey: server.publicKey }) })).toEqual({
      mechanism: "CURVE",
      role: "client",
      keys: { ...bytes(client), serverKey: Curve.toBytes(server.publicKey) }
    })
  })
})
