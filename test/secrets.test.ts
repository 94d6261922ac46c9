/** Whatever is printed, and however, shows no secret key and no password. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import {
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  type FileSystem,
  Layer,
  type Path,
  Redacted,
  Result,
  Schema,
  type Scope,
  Stream
} from "effect"
import { Curve, Draft, Null, Plain, Z85, Zap, Zmq } from "effect-zmq"
import type { SocketCore } from "../src/internal/socket/socket.ts"
import { coreOf } from "../src/internal/socket/socket.ts"
import type { Incoming } from "../src/internal/zeromq/incoming.ts"
import { ways } from "./support/shown.ts"
import { boundTo, freshEndpoint, until } from "./support/sockets.ts"
import { alone, captured } from "./support/zap.ts"

const server = Effect.runSync(Curve.generate)
const client = Effect.runSync(Curve.generate)
const password = Redacted.make("correct horse battery staple")

const secrets: Readonly<Record<string, string>> = {
  "the key of the server": Redacted.value(server.secretKey),
  "the key of the client": Redacted.value(client.secretKey),
  "the password": Redacted.value(password)
}

/** A secret, and all that it may look like. */
const forms = (secret: string): ReadonlyArray<string> => {
  const all = [Buffer.from(secret)]
  const bytes = Z85.decode(secret)
  if (secret.length === 40 && Result.isSuccess(bytes)) all.push(Buffer.from(bytes.success))
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    ...all.flatMap((bytes) => [
      bytes.toString("hex"),
      bytes.toString("hex").replaceAll(/..(?=.)/g, "$& "),
      bytes.toString("base64"),
      [...bytes].join(", "),
      [...bytes].join(",")
    ])
  ]
}

/** Shows none of the secrets, in any way. */
const isSafe = (name: string, value: unknown): void => {
  for (const [way, show] of Object.entries(ways)) {
    const text = show(value)
    for (const [which, secret] of Object.entries(secrets)) {
      for (const form of forms(secret)) {
        const at = text.indexOf(form)
        if (at < 0) continue
        const around = text.slice(Math.max(0, at - 300), at).replaceAll(/\s+/g, " ")
        expect.fail(`${name}, ${way}, shows ${which}: …${around}`)
      }
    }
  }
}

it("a secret would be found, in whatever way it is shown", () => {
  for (const [which, secret] of Object.entries(secrets)) {
    const shown: ReadonlyArray<unknown> = [
      { a: { b: secret } },
      new Map([["a", new Set([secret])]]),
      Object.defineProperty({}, "a", { value: secret }),
      Object.assign(new Error("no"), { secret }),
      [Buffer.from(secret)]
    ]
    for (const value of shown) {
      expect(() => isSafe("it", value)).toThrow(`shows ${which}`)
    }
  }
})

const security = {
  curveServer: Curve.server({ keys: server, domain: "d" }),
  curveClient: Curve.client({ keys: client, serverKey: server.publicKey }),
  plainServer: Plain.server({ domain: "d" }),
  plainClient: Plain.client({ username: "ann", password }),
  nullServer: Null.server({ domain: "d" })
}

describe("values", () => {
  const values: Readonly<Record<string, unknown>> = {
    ...security,
    "a pair of keys": client,
    "a certificate": { ...client, metadata: { name: "Ann" } },
    "the options of a socket": { connect: "tcp://127.0.0.1:1", security: security.curveClient },
    "an effect that opens a socket": Zmq.push({ security: security.curveClient }),
    "the layer of a socket": Zmq.layer(Zmq.push({ security: security.plainClient })),
    "the layer of an authenticator": Zap.layer({ plain: { ann: password } }),
    "a draft": Draft.client({ security: security.curveClient })
  }
  for (const [name, value] of Object.entries(values)) it(name, () => isSafe(name, value))
})

describe("errors", () => {
  const key = Redacted.value(client.secretKey)
  const plainPassword = Redacted.value(password)
  const anything = (open: unknown) => open as (options: object) => Effect.Effect<unknown, unknown, Scope.Scope>
  const failed = (options: object) => Effect.flip(Effect.scoped(anything(Zmq.push)(options)))
  const failures: Readonly<Record<string, Effect.Effect<unknown, unknown>>> = {
    "a password that is not redacted": failed({ security: { ...security.plainClient, password: plainPassword } }),
    "a key that is not redacted": failed({ security: { ...security.curveClient, secretKey: key } }),
    "a key in the place of another": failed({ security: { ...security.curveClient, publicKey: key } }),
    "the key of somebody else": failed({ security: { ...security.curveClient, publicKey: server.publicKey } }),
    "a misspelt name": failed({ curveSecretKye: key }),
    "a misspelt field": failed({ security: { ...security.curveClient, secret: key } }),
    "a name of ZeroMQ": failed({ ZMQ_PLAIN_PASSWORD: plainPassword }),
    "an option of ZeroMQ": failed({ plainPassword }),
    "a password that is too long": failed({
      security: Plain.client({ username: "a", password: Redacted.make(`${plainPassword}${"x".repeat(255)}`) })
    }),
    "what is no option": failed({ security: key }),
    "a form that is none": failed({ security: { _tag: "PlainClient", username: plainPassword } }),
    "options that are none": failed([security.curveClient] as never),
    "an endpoint that is none": failed({ connect: "nowhere", security: security.plainClient }),
    "a table of passwords": Effect.flip(
      Effect.scoped(Layer.build(Zap.layer({ plain: { ann: plainPassword } as never }) as Layer.Layer<never, unknown>))
    ),
    "a list of keys": Effect.flip(
      Effect.scoped(Layer.build(Zap.layer({ curve: [`${key}x`] }) as Layer.Layer<never, unknown>))
    ),
    "text that is no key": Effect.flip(Curve.secretKeyFrom(`${key}x`)),
    "text that is no key, in a schema": Effect.flip(
      Schema.decodeUnknownEffect(Curve.SecretKey)(`${key}x`, { reportInput: true })
    )
  }
  for (const [name, failure] of Object.entries(failures)) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const error = yield* failure
        // What there is to know is in it all the same.
        expect(error).toBeInstanceOf(Error)
        isSafe(name, error)
        isSafe(name, Exit.fail(error))
      })
    )
  }

  it.effect("a certificate that cannot be read", () =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "effect-zmq-secrets-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const path = join(folder, "a.key_secret")
      const texts = [
        `curve\n    public-key = "${server.publicKey}"\n    secret-key = "${key}"\n`,
        `curve\n    public-key = "${client.publicKey}"\n    secret-key = "${key}x"\n`,
        `curve\n    public-key = "${client.publicKey}"\n    secret-key ${key}\n`,
        `curve\n    public-key = "${key}x"\n`,
        `${key}\n`,
        `"${key}" = a\n`
      ]
      for (const text of texts) {
        writeFileSync(path, text, { mode: 0o600 })
        isSafe(text, yield* Effect.flip(Curve.readSecretCertificate(path)))
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("what is open", () => {
  const types = {
    pull: Zmq.pull,
    push: Zmq.push,
    pub: Zmq.pub,
    xpub: Zmq.xpub,
    xsub: Zmq.xsub,
    req: Zmq.req,
    rep: Zmq.rep,
    dealer: Zmq.dealer,
    router: Zmq.router,
    pair: Zmq.pair
  } as const
  type Open = (options: object) => Effect.Effect<Zmq.Socket, Zmq.SocketError, Scope.Scope>

  for (const [type, open] of Object.entries(types)) {
    it.effect(`a socket, its core, its operations and its context: ${type}`, () =>
      Effect.gen(function* () {
        // A REQ of libzmq has no domain.
        const ours = type === "req" ? Curve.server({ keys: server }) : security.curveServer
        for (const one of [ours, security.curveClient, security.plainClient]) {
          const socket = yield* (open as Open)({ security: one, connect: "tcp://127.0.0.1:1", linger: 0 })
          isSafe("the socket", socket)
          isSafe("its core", coreOf(socket))
          isSafe("its operations", Object.entries(socket))
          isSafe("its context", yield* Zmq.Context)
          isSafe("the services", yield* Effect.context<never>())
        }
      }).pipe(Effect.provide(alone))
    )
  }

  it.effect("a service, and the fiber that uses it", () =>
    Effect.gen(function* () {
      const layer = Zmq.layer(Zmq.pull({ bind: freshEndpoint("tcp"), security: security.curveServer }))
      const services = yield* Layer.build(layer)
      isSafe("the services", services)
      const fiber = yield* Effect.forkChild(Effect.provideContext(Zmq.recv, services), { startImmediately: true })
      isSafe("the fiber", fiber)
      yield* Fiber.interrupt(fiber)
      const stream = yield* Effect.forkChild(Effect.provideContext(Stream.runDrain(Zmq.messages), services), {
        startImmediately: true
      })
      isSafe("the fiber of a stream", stream)
      yield* Fiber.interrupt(stream)
    }).pipe(Effect.provide(alone))
  )

  it.live("the services of a handler, which lead to no message of others", () =>
    Effect.gen(function* () {
      const router = yield* Zmq.router({ bind: freshEndpoint("inproc") })
      const dealer = yield* Zmq.dealer({ connect: router.endpoints[0]! })
      yield* dealer.sendAll(["first", ...Object.values(secrets)])
      const shown = yield* Deferred.make<Context.Context<never>>()
      yield* Effect.forkScoped(
        router.runForEach(() =>
          Effect.andThen(
            Effect.flatMap(Effect.context<never>(), (services) => Deferred.succeed(shown, services)),
            Effect.never
          )
        )
      )
      isSafe("the services", yield* Deferred.await(shown))
    }).pipe(Effect.scoped, Effect.provide(alone))
  )

  it.live("an authenticator that is asked about a password, and its context", () => {
    const log = captured()
    return Effect.gen(function* () {
      const asked = yield* Deferred.make<Zap.PlainRequest>()
      let count = 0
      const authenticator = Zap.layer({
        concurrency: 1,
        plain: (request) =>
          Effect.andThen(
            Effect.sync(() => void count++),
            Effect.andThen(Deferred.succeed(asked, request), Effect.never)
          )
      })
      const services = yield* Layer.build(authenticator)
      const pull = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*", security: security.plainServer })
      // One is being decided about, and others wait for that.
      for (let i = 0; i < 3; i++) {
        yield* Zmq.push({ connect: boundTo(pull), security: security.plainClient, linger: 0 })
      }
      isSafe("the request", yield* Deferred.await(asked))
      const { sockets } = yield* Zmq.Context
      const asking = ([...sockets] as unknown as ReadonlyArray<SocketCore>).find(({ type }) => type === "router")!
      // Nobody asks for them, so they are read ahead.
      yield* until(
        Effect.sync(() => {
          // Where the engine reads no further than it is asked to.
          const { incoming } = asking.port as unknown as { readonly incoming?: Incoming }
          incoming?.readAll()
          return asking.inbox.queued > 0
        })
      )
      isSafe("the services", services)
      isSafe("the service", Context.get(services, Zap.Zap))
      isSafe("its context", yield* Zmq.Context)
      expect(count).toBe(1)
      isSafe("the log", log.lines)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(Zmq.Context.layer(), log.layer)))
  })
})

describe("a file with a secret key", () => {
  /** The warnings of reading a file that has been made with a mode, twice. */
  const warningsOf = <A, E, R>(read: (path: string) => Effect.Effect<A, E, R>, mode: number, secret = true) =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "effect-zmq-secrets-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const path = join(folder, "a.key")
      const lines = [
        "curve",
        `    public-key = "${client.publicKey}"`,
        ...(secret ? [`    secret-key = "${Redacted.value(client.secretKey)}"`] : [])
      ]
      writeFileSync(path, lines.join("\n"))
      chmodSync(path, mode)
      const log = captured()
      yield* Effect.provide(Effect.andThen(read(path), read(path)), log.layer)
      isSafe("the log", log.lines)
      return log.lines.map((line): string => JSON.parse(line).message)
    }).pipe(Effect.scoped)

  const readers: Readonly<
    Record<string, (path: string) => Effect.Effect<unknown, unknown, FileSystem.FileSystem | Path.Path>>
  > = {
    readCertificate: Curve.readCertificate,
    readSecretCertificate: Curve.readSecretCertificate,
    readCertificates: (path) => Curve.readCertificates(dirname(path)),
    "Zap.certificates": (path) => Effect.scoped(Zap.certificates(dirname(path)))
  }
  for (const [name, read] of Object.entries(readers)) {
    for (const mode of [0o600, 0o400, 0o700]) {
      it.live(`of mode ${mode.toString(8)} is read by ${name} without a word`, () =>
        Effect.gen(function* () {
          expect(yield* warningsOf(read, mode)).toEqual([])
        }).pipe(Effect.provide(NodeServices.layer))
      )
    }
    for (const mode of [0o640, 0o604, 0o644, 0o620, 0o666]) {
      it.live(`of mode ${mode.toString(8)} is warned of by ${name}, once, with what to do`, () =>
        Effect.gen(function* () {
          const warnings = yield* warningsOf(read, mode)
          expect(warnings).toEqual([
            expect.stringMatching(/a\.key has a secret key in it.*\(mode .*chmod 600 \S+a\.key/)
          ])
          expect(warnings[0]).toContain(`mode ${mode.toString(8)}`)
        }).pipe(Effect.provide(NodeServices.layer))
      )
    }
  }

  it.live("is warned of again when it was its owner's alone meanwhile", () =>
    Effect.gen(function* () {
      const again = (path: string) =>
        Effect.gen(function* () {
          yield* Curve.readCertificate(path)
          chmodSync(path, 0o600)
          yield* Curve.readCertificate(path)
          chmodSync(path, 0o644)
        })
      // It is read twice.
      expect((yield* warningsOf(again, 0o644)).length).toBe(2)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("is not one that has the public key alone", () =>
    Effect.gen(function* () {
      expect(yield* warningsOf(Curve.readCertificate, 0o666, false)).toEqual([])
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
