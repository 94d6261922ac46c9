/** The five set-ups of the ZeroMQ guide, from grasslands to ironhouse, with clients of ours and of PyZMQ. */
import { spawnSync } from "node:child_process"
import { NodeServices } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, FileSystem, Option, Redacted, Stream } from "effect"
import { Curve, Null, Plain, Zap, Zmq } from "effect-zmq"
import { byEngine } from "./support/byEngine.ts"
import { runCommand, scriptPath } from "./support/child.ts"
import { boundTo } from "./support/sockets.ts"
import { alone, secured } from "./support/zap.ts"

const python = "/usr/bin/python3"
const hasPeer = spawnSync(python, ["-c", "import zmq, zmq.auth; assert zmq.has('curve')"]).status === 0
const missing = `${python} cannot import zmq with CURVE: install the package python3-zmq`

it("PyZMQ is there to talk to, or this is not CI", () => {
  expect(hasPeer || process.env.CI !== "true", missing).toBe(true)
})

/** A server as the guide has it: a PUSH that sends hello to whoever is let in. */
const server = (security?: Zmq.PushOptions["security"]) =>
  Effect.gen(function* () {
    const push = yield* Zmq.push({ bind: "tcp://127.0.0.1:*", linger: 0, security })
    yield* Effect.forkScoped(Effect.forever(push.send("hello")))
    return boundTo(push)
  })

/** What becomes of a client of ours, in the words of `security.py`. */
const ours = (connect: string, security?: Zmq.PullOptions["security"]): Effect.Effect<string, unknown> =>
  Effect.gen(function* () {
    const pull = yield* Zmq.pull({ connect, security })
    const refused = pull.events.pipe(
      Stream.filter(Zmq.SocketEvent.$is("HandshakeFailed")),
      Stream.map(({ status }) => (status === undefined ? "refused" : `refused with ${status}`)),
      Stream.runHead,
      Effect.map(Option.getOrElse(() => "closed"))
    )
    return yield* Effect.raceFirst(
      Effect.map(pull.recvString, (text) => `received ${text}`),
      refused
    )
  }).pipe(Effect.scoped)

/** What becomes of a client of theirs. */
const theirs = (...args: ReadonlyArray<string>): Effect.Effect<string> =>
  Effect.map(runCommand(python, [scriptPath("security.py"), ...args]), ({ stderr, stdout }) => {
    expect(stderr).toBe("")
    return stdout.trim().replace(/^(does not understand|cut off)$/, "refused")
  })

const hello = "received hello"

describe.skipIf(!hasPeer)(hasPeer ? "with clients of ours and of PyZMQ" : `set-ups (${missing})`, () => {
  it.live("grasslands: everybody gets in", () =>
    Effect.gen(function* () {
      const at = yield* server()
      expect(yield* ours(at)).toBe(hello)
      expect(yield* theirs(at, "null")).toBe(hello)
    }).pipe(Effect.provide(alone))
  )

  it.live("strawhouse: by address", () =>
    Effect.gen(function* () {
      const at = yield* server(Null.server({ domain: "global" }))
      expect(yield* ours(at)).toBe(hello)
      expect(yield* theirs(at, "null")).toBe(hello)
      const zap = yield* Zap.Zap
      yield* zap.setAddressRules({ allow: ["127.0.0.2"] })
      expect(yield* ours(at)).toBe("refused with 400")
      expect(yield* theirs(at, "null")).toBe("refused with 400")
    }).pipe(Effect.provide(secured(Zap.layer({ allow: ["127.0.0.1"] }))))
  )

  it.live("woodhouse: by name and password", () =>
    Effect.gen(function* () {
      const at = yield* server(Plain.server({ domain: "global" }))
      const client = (username: string, password: string) =>
        Plain.client({ username, password: Redacted.make(password) })
      expect(yield* ours(at, client("admin", "secret"))).toBe(hello)
      expect(yield* theirs(at, "plain", "admin", "secret")).toBe(hello)
      expect(yield* ours(at, client("admin", "guess"))).toBe("refused with 400")
      // libzmq 4.3.4 and 4.3.5 misspell the name of the ERROR of PLAIN alike, and know no other.
      const theirWord = byEngine({ zeromq: "refused with 400", zmtp: "refused" })
      expect(yield* theirs(at, "plain", "admin", "guess")).toBe(theirWord)
      expect(yield* ours(at)).toBe("refused")
      expect(yield* theirs(at, "null")).toBe("refused")
    }).pipe(Effect.provide(secured(Zap.layer({ plain: { admin: Redacted.make("secret") } }))))
  )

  it.live("stonehouse: encrypted, for everybody who knows the server", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const [keys, stranger, impostor] = [yield* Curve.generate, yield* Curve.generate, yield* Curve.generate]
      yield* Curve.writeCertificate(`${folder}/server.key`, keys)
      yield* Curve.writeCertificate(`${folder}/impostor.key`, impostor)
      yield* theirs("certificates", folder, "stranger")
      // With an authenticator, and, as the guide has it, without.
      for (const layer of [secured(Zap.layer({ curve: Zap.anybody })), alone]) {
        yield* Effect.gen(function* () {
          const at = yield* server(Curve.server({ keys }))
          const curve = (name: string) => ["curve", `${folder}/stranger.key_secret`, `${folder}/${name}.key`] as const
          expect(yield* ours(at, Curve.client({ keys: stranger, serverKey: keys.publicKey }))).toBe(hello)
          expect(yield* theirs(at, ...curve("server"))).toBe(hello)
          expect(yield* ours(at, Curve.client({ keys: stranger, serverKey: impostor.publicKey }))).toBe("refused")
          expect(yield* theirs(at, ...curve("impostor"))).toBe("refused")
          expect(yield* ours(at)).toBe("refused")
          expect(yield* theirs(at, "null")).toBe("refused")
        }).pipe(Effect.scoped, Effect.provide(layer))
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("ironhouse: encrypted, for those whose certificates are there, ours and theirs", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const clients = `${folder}/clients`
      yield* fs.makeDirectory(clients)
      const [keys, ann, eve] = [yield* Curve.generate, yield* Curve.generate, yield* Curve.generate]
      yield* Curve.writeCertificate(`${folder}/server.key`, keys)
      yield* Curve.writeCertificate(`${clients}/ann.key`, { publicKey: ann.publicKey })
      yield* theirs("certificates", folder, "bob")
      yield* theirs("certificates", folder, "eve")
      yield* fs.copyFile(`${folder}/bob.key`, `${clients}/bob.key`)
      yield* Effect.gen(function* () {
        const at = yield* server(Curve.server({ keys, domain: "global" }))
        const client = (pair: Curve.KeyPair) => Curve.client({ keys: pair, serverKey: keys.publicKey })
        const curve = (name: string) => ["curve", `${folder}/${name}.key_secret`, `${folder}/server.key`] as const
        expect(yield* ours(at, client(ann))).toBe(hello)
        expect(yield* theirs(at, ...curve("bob"))).toBe(hello)
        expect(yield* ours(at, client(eve))).toBe("refused with 400")
        expect(yield* theirs(at, ...curve("eve"))).toBe("refused with 400")
        expect(yield* ours(at)).toBe("refused")
        expect(yield* theirs(at, "null")).toBe("refused")
        expect(yield* theirs(at, "plain", "admin", "secret")).toBe("refused")
      }).pipe(Effect.scoped, Effect.provide(secured(Zap.layer({ curve: Zap.certificates(clients) }))))
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
