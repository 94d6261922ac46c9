/** Sockets whose options come from the environment: see docs/receive-and-send.md. */
import { expect, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Exit, Layer, Redacted } from "effect"
import { Curve, Zmq } from "effect-zmq"
import { expectTypeOf } from "vitest"
import { ways } from "./support/shown.ts"
import { boundTo, freshEndpoint } from "./support/sockets.ts"

const server = Effect.runSync(Curve.generate)
const client = Effect.runSync(Curve.generate)

const options = Config.all({
  connect: Config.String("PRICES_URL"),
  subscribe: Config.String("PRICES_TOPIC").pipe(Config.withDefault("")),
  receiveTimeout: Config.Duration("PRICES_PATIENCE"),
  curveServerKey: Config.String("PRICES_SERVER_KEY"),
  curvePublicKey: Config.String("PRICES_PUBLIC_KEY"),
  curveSecretKey: Config.Redacted("PRICES_SECRET_KEY")
})
const Prices = Zmq.layer(Effect.flatMap(options, Zmq.sub))

const environment = (connect: string): Record<string, string> => ({
  PRICES_URL: connect,
  PRICES_TOPIC: "oslo",
  PRICES_PATIENCE: "10 seconds",
  PRICES_SERVER_KEY: server.publicKey,
  PRICES_PUBLIC_KEY: client.publicKey,
  PRICES_SECRET_KEY: Redacted.value(client.secretKey)
})
const from = (env: Record<string, string>) =>
  Layer.provide(Prices, ConfigProvider.layer(ConfigProvider.fromEnv({ env })))

it.live("a layer opens a socket with options from the environment, keys among them", () =>
  Effect.gen(function* () {
    expectTypeOf(Prices).toEqualTypeOf<
      Layer.Layer<Zmq.Socket | Zmq.Receiver | Zmq.Subscriber, Config.ConfigError | Zmq.SocketError>
    >()
    const pub = yield* Zmq.pub({ bind: freshEndpoint("tcp"), security: Curve.server({ keys: server }) })
    const price = yield* Effect.gen(function* () {
      yield* pub.awaitSubscribers("oslo")
      yield* pub.sendAll(["bergen 1", "oslo 2"])
      return yield* Zmq.recvString
    }).pipe(Effect.provide(from(environment(boundTo(pub)))))
    expect(price).toBe("oslo 2")
  })
)

it.effect("what is missing or wrong is an error of Config or of the options, which shows no key", () =>
  Effect.gen(function* () {
    const endpoint = "tcp://127.0.0.1:5555"
    const failures: Array<string> = []
    const { PRICES_SECRET_KEY: key = "", ...without } = environment(endpoint)
    for (const env of [without, { ...without, PRICES_SECRET_KEY: `${key}?` }, environment("tcp://127.0.0.1")]) {
      const exit = yield* Effect.exit(Effect.provide(Zmq.recv, from(env)))
      const error = yield* Effect.flip(exit)
      failures.push(error._tag)
      expect(Exit.isFailure(exit)).toBe(true)
      for (const show of Object.values(ways)) expect(show(error)).not.toContain(key)
    }
    expect(failures).toEqual(["ConfigError", "OptionError", "ConnectError"])
  })
)
