/**
 * CURVE, PLAIN and NULL on the wire: who gets in and who does not, with PyZMQ on
 * the other side as well; and the keys and certificates they need.
 */
import { spawnSync } from "node:child_process"
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import { NodeServices } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Exit, Fiber, FileSystem, Redacted, Result, Schema, Stream } from "effect"
import { Curve, Null, Plain, Z85, Zmq } from "effect-zmq"
import { curveKeyPair } from "zeromq"
import { engineName } from "./support/byEngine.ts"
import { runCommand, scriptPath } from "./support/child.ts"
import { boundTo, failureOf, freshEndpoint, numbers, until } from "./support/sockets.ts"

const python = "/usr/bin/python3"
const hasPeer = spawnSync(python, ["-c", "import zmq"]).status === 0
const missing = hasPeer ? "" : ` (${python} cannot import zmq: install the package python3-zmq)`
const peer = (...args: ReadonlyArray<string>) => runCommand(python, [scriptPath("curve.py"), ...args])

it("PyZMQ is there to talk to, or this is not CI", () => {
  expect(hasPeer || process.env.CI !== "true", missing).toBe(true)
})

/** Text in which no secret may be. */
const shown = (value: unknown): string =>
  `${String(value)} ${JSON.stringify(value)} ${inspect(value, { depth: 9 })} ${(value as Error).stack ?? ""}`

// Of libzmq's documentation.
const publicText = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
const secretText = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
const zeros = "0".repeat(40)

describe("Z85", () => {
  it("encodes and decodes as RFC 32 has it", () => {
    const bytes = new Uint8Array([0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b])
    expect(Z85.encode(bytes)).toEqual(Result.succeed("HelloWorld"))
    expect(Result.getOrThrow(Z85.decode("HelloWorld"))).toEqual(Buffer.from(bytes))
    expect(Z85.encode(new Uint8Array(0))).toEqual(Result.succeed(""))
    expect(Z85.encode(new Uint8Array(4).fill(255))).toEqual(Result.succeed("%nSc0"))
    expect(Z85.encode(Buffer.from("__HELLO__").subarray(2, 6))).toEqual(Z85.encode(Buffer.from("HELL")))
    for (let size = 0; size < 400; size += 4) {
      const some = crypto.getRandomValues(new Uint8Array(size))
      expect(Result.getOrThrow(Result.flatMap(Z85.encode(some), Z85.decode))).toEqual(Buffer.from(some))
    }
  })

  it("refuses what is no Z85", () => {
    for (const size of [1, 2, 3, 5]) expect(Result.isFailure(Z85.encode(new Uint8Array(size)))).toBe(true)
    // The last two would wrap around.
    for (const text of ["a", "Hello ", "Hell~", "Héllo", "%nSc1", "#####"]) {
      expect(Result.isFailure(Z85.decode(text)), text).toBe(true)
    }
  })
})

describe("keys", () => {
  it.effect("are made in pairs, each another", () =>
    Effect.gen(function* () {
      const pairs = yield* Effect.replicateEffect(Curve.generate, 100)
      expect(new Set(pairs.map(({ publicKey }) => publicKey)).size).toBe(100)
      expect(new Set(pairs.map(({ secretKey }) => Redacted.value(secretKey))).size).toBe(100)
      for (const { publicKey, secretKey } of pairs) {
        expect(yield* Curve.publicKeyFrom(publicKey)).toBe(publicKey)
        expect(Redacted.value(yield* Curve.secretKeyFrom(secretKey))).toBe(Redacted.value(secretKey))
        expect(shown({ publicKey, secretKey })).not.toContain(Redacted.value(secretKey))
      }
    })
  )

  it.effect("belong together as libzmq says, for 1,000 pairs of its own", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 1000; i++) {
        const pair = curveKeyPair()
        expect(Curve.publicKey(yield* Curve.secretKeyFrom(pair.secretKey))).toBe(pair.publicKey)
      }
    })
  )

  it.effect("are checked, from text and from bytes", () =>
    Effect.gen(function* () {
      const key = yield* Curve.publicKeyFrom(publicText)
      expect(yield* Curve.publicKeyFrom(Curve.toBytes(key))).toBe(publicText)
      const bytes = Result.getOrThrow(Z85.decode(secretText))
      for (const input of [secretText, bytes, Redacted.make(secretText), Redacted.make(bytes)]) {
        const secret = yield* Curve.secretKeyFrom(input)
        expect(Redacted.value(secret)).toBe(secretText)
        expect(Curve.publicKey(secret)).toBe(publicText)
      }
      const wrong = ["", "hush-hush", `${secretText}0`, "~".repeat(40), "#".repeat(40), zeros]
      for (const input of [...wrong, ...[0, 31, 33].map((size) => new Uint8Array(size).fill(1)), new Uint8Array(32)]) {
        const errors = [
          yield* Effect.flip(Curve.publicKeyFrom(input)),
          yield* Effect.flip(Curve.secretKeyFrom(input)),
          yield* Effect.flip(Curve.secretKeyFrom(Redacted.make(input)))
        ]
        expect(errors.map(({ key }) => key)).toEqual(["public", "secret", "secret"])
        for (const error of errors) {
          expect(error._tag).toBe("KeyError")
          expect(shown(error)).not.toContain("hush-hush")
        }
      }
    })
  )

  it.effect("are decoded by schemas, in a configuration too, whose errors show no secret", () =>
    Effect.gen(function* () {
      const Keys = Schema.Struct({ publicKey: Curve.PublicKey, secretKey: Curve.SecretKey })
      const encoded = { publicKey: publicText, secretKey: secretText }
      const keys: Curve.KeyPair = yield* Schema.decodeEffect(Keys)(encoded)
      expect(Curve.publicKey(keys.secretKey)).toBe(keys.publicKey)
      expect(yield* Schema.encodeEffect(Keys)(keys)).toEqual(encoded)

      const provider = ConfigProvider.fromUnknown({ KEY: secretText, WRONG: `${secretText}hush` })
      const secretKey = yield* Config.schema(Curve.SecretKey, "KEY").parse(provider)
      expect(Redacted.value(secretKey)).toBe(secretText)
      const errors = [
        yield* Effect.flip(Config.schema(Curve.SecretKey, "WRONG").parse(provider)),
        yield* Effect.flip(Schema.decodeEffect(Keys)({ ...encoded, secretKey: `${secretText}hush` })),
        yield* Effect.flip(Schema.decodeEffect(Curve.SecretKey)("hush"))
      ]
      const reporting = { reportInput: true }
      errors.push(
        yield* Effect.flip(Schema.decodeEffect(Keys, reporting)({ ...encoded, secretKey: `${secretText}hush` })),
        yield* Effect.flip(
          Schema.decodeEffect(Schema.toType(Curve.SecretKey), reporting)(Redacted.make("hush") as never)
        )
      )
      for (const error of errors) {
        expect(error.message).toContain("40 Z85 characters")
        expect(shown(error)).not.toContain("hush")
      }
      expect(Exit.isFailure(yield* Effect.exit(Schema.decodeEffect(Curve.PublicKey)(zeros)))).toBe(true)
    })
  )
})

// -----------------------------------------------------------------------------

/** A folder of its own, in which a process with no umask writes. */
const folder = Effect.acquireRelease(
  Effect.sync(() => {
    const umask = process.umask(0)
    return { path: mkdtempSync(join(tmpdir(), "effect-zmq-curve-")), umask }
  }),
  ({ path, umask }) =>
    Effect.sync(() => {
      process.umask(umask)
      rmSync(path, { recursive: true })
    })
).pipe(Effect.map(({ path }) => path))

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

const certificateOf = (content: string) =>
  Effect.gen(function* () {
    const path = join(yield* folder, "some.key")
    writeFileSync(path, content)
    return yield* Curve.readCertificate(path)
  }).pipe(Effect.scoped)

describe("certificates", () => {
  it.live("are written and read, with all that they say", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "alice.key")
      const keys = yield* Curve.generate
      const metadata = { name: "Alice ' O", "e-mail": '"a" # b = c', empty: "", __proto__x: "é → ü", "a/b": "  c  " }
      yield* Curve.writeCertificate(path, { ...keys, metadata })
      expect(yield* Curve.readCertificate(path)).toEqual({ publicKey: keys.publicKey, metadata })
      const secret = yield* Curve.readSecretCertificate(`${path}_secret`)
      expect(secret).toEqual({ ...keys, metadata })
      expect(Redacted.value(secret.secretKey)).toBe(Redacted.value(keys.secretKey))
      expect(readFileSync(path, "utf8")).not.toContain(Redacted.value(keys.secretKey))
      expect(readFileSync(path, "utf8")).toMatch(/^#.* \d{4}-\d\d-\d\dT.* by effect-zmq/)
      expect(shown(secret)).not.toContain(Redacted.value(keys.secretKey))

      const error = yield* Effect.flip(Curve.readSecretCertificate(path))
      expect(error).toMatchObject({ _tag: "CertificateError", path, line: undefined })
      expect(error.message).toContain(path)
      expect(error.message).toContain("secret-key")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("keep their secret from the first byte on, also where another file was", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "server.key")
      const target = join(yield* folder, "elsewhere")
      // All that is, each time that anything changes.
      const modes = new Set<string>()
      const fs = yield* FileSystem.FileSystem
      const look = Effect.sync(() => {
        for (const name of readdirSync(join(path, ".."))) {
          const file = join(path, "..", name)
          if (/-----|secret-key/.test(readFileSync(file, "utf8")) || name.includes("_secret.")) modes.add(modeOf(file))
        }
      })
      const watched = {
        ...fs,
        open: (...args: Parameters<typeof fs.open>) =>
          fs.open(...args).pipe(
            Effect.tap(look),
            Effect.map((file) => ({
              ...file,
              sync: Effect.tap(file.sync, look),
              writeAll: (bytes: Uint8Array) => Effect.tap(file.writeAll(bytes), look)
            }))
          ),
        rename: (from: string, to: string) => Effect.tap(fs.rename(from, to), look)
      }
      const write = (keys: Curve.KeyPair) =>
        Curve.writeCertificate(path, keys).pipe(Effect.provideService(FileSystem.FileSystem, watched))
      yield* write(yield* Curve.generate)
      expect([...modes]).toEqual(["600"])
      expect(modeOf(path)).toBe("644")
      expect(modeOf(`${path}_secret`)).toBe("600")

      // Open to all, and held open by somebody: neither shows them the new secret.
      chmodSync(`${path}_secret`, 0o666)
      chmodSync(path, 0o666)
      const { ino } = statSync(`${path}_secret`)
      modes.clear()
      const keys = yield* Curve.generate
      yield* Curve.writeCertificate(path, keys)
      expect(modeOf(`${path}_secret`)).toBe("600")
      expect(modeOf(path)).toBe("644")
      expect(statSync(`${path}_secret`).ino).not.toBe(ino)
      expect(yield* Curve.readSecretCertificate(`${path}_secret`)).toMatchObject(keys)

      // A link is replaced, and not written through.
      writeFileSync(target, "public")
      rmSync(`${path}_secret`)
      symlinkSync(target, `${path}_secret`)
      yield* write(keys)
      expect(readFileSync(target, "utf8")).toBe("public")
      expect([...modes]).toEqual(["600"])
      expect(
        readdirSync(join(path, ".."))
          .filter((name) => name.includes(".key"))
          .sort()
      ).toEqual(["server.key", "server.key_secret"])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("are both written or neither, and leave nothing behind", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "server.key")
      const fs = yield* FileSystem.FileSystem
      const [first, second] = [yield* Curve.generate, yield* Curve.generate]
      yield* Curve.writeCertificate(path, first)
      const fails = (change: Partial<FileSystem.FileSystem>) =>
        Effect.exit(
          Curve.writeCertificate(path, second).pipe(
            Effect.provideService(FileSystem.FileSystem, { ...fs, ...change } as FileSystem.FileSystem)
          )
        )
      let opened = 0
      const full = fs.open(join(path, "not", "there"))
      const failed = yield* fails({ open: (...args) => (++opened === 2 ? full : fs.open(...args)) })
      expect(failureOf(failed)?._tag).toBe("PlatformError")
      const interrupted = yield* fails({ rename: () => Effect.interrupt })
      expect(Exit.hasInterrupts(interrupted)).toBe(true)
      expect(readdirSync(join(path, ".."))).toHaveLength(2)
      expect((yield* Curve.readCertificate(path)).publicKey).toBe(first.publicKey)
      expect((yield* Curve.readSecretCertificate(`${path}_secret`)).publicKey).toBe(first.publicKey)

      const nowhere = yield* Effect.flip(Curve.writeCertificate(join(path, "..", "no", "a.key"), first))
      expect(nowhere).toMatchObject({ _tag: "PlatformError", reason: { _tag: "NotFound" } })
      const unread = yield* Effect.flip(Curve.readCertificate(`${path}x`))
      expect(unread).toMatchObject({ _tag: "PlatformError", reason: { _tag: "NotFound" } })
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("are not written with what would not be read again, or be taken for a key", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "server.key")
      const keys = yield* Curve.generate
      const other = yield* Curve.generate
      const metadata = (metadata: Record<string, string>) => ({ ...keys, metadata })
      for (const certificate of [
        metadata({ "a b": "c" }),
        metadata({ "": "c" }),
        metadata({ "/a": "c" }),
        metadata({ "a/": "c" }),
        metadata({ é: "c" }),
        metadata({ a: "both \" and '" }),
        metadata({ a: `b\n    public-key = "${other.publicKey}"` }),
        metadata({ a: "b\rc" }),
        metadata({ "public-key": other.publicKey }),
        metadata({ "secret-key-of": "c" }),
        { publicKey: other.publicKey, secretKey: keys.secretKey }
      ]) {
        const error = yield* Effect.flip(Curve.writeCertificate(path, certificate))
        expect(error).toMatchObject({ _tag: "CertificateError", path, line: undefined })
        expect(shown(error)).not.toContain(Redacted.value(keys.secretKey))
        expect(readdirSync(join(path, ".."))).toEqual([])
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("are read as RFC 4 has it", () =>
    Effect.gen(function* () {
      // As CZMQ writes them, and by hand.
      const czmq = `#   ****  Generated on 2024-01-01 00:00:00 by CZMQ  ****
#   ZeroMQ CURVE **Secret** Certificate
#   DO NOT PROVIDE THIS FILE TO OTHER USERS nor change its permissions.

metadata
    email = "ph@imatix.com"
    name = "Pieter"
curve
    public-key = "${publicText}"
    secret-key = "${secretText}"
`
      const certificate = yield* certificateOf(czmq)
      expect(certificate.metadata).toEqual({ email: "ph@imatix.com", name: "Pieter" })
      expect(certificate.publicKey).toBe(publicText)
      expect(Redacted.value(certificate.secretKey!)).toBe(secretText)
      for (const ending of ["\r\n", "\r"]) {
        expect(yield* certificateOf(czmq.replaceAll("\n", ending))).toEqual(certificate)
      }
      // CZMQ's "no secret key"
      const without = yield* certificateOf(czmq.replace(secretText, zeros))
      expect(without).toEqual({ publicKey: publicText, metadata: certificate.metadata })

      const byHand = yield* certificateOf(`
   # a comment, anywhere

curve = # of Alice
    public-key='${publicText}' # hers
    more
        deeper = 1
metadata
    a= b c   # d
    e = "f # g"
    h = 'i " j'
    k
    l = "m
    n = "o" p
    __proto__ = q`)
      expect(Object.entries(byHand.metadata)).toEqual([
        ["a", "b c"],
        ["e", "f # g"],
        ["h", 'i " j'],
        ["k", ""],
        ["l", '"m'],
        ["n", '"o" p'],
        ["__proto__", "q"]
      ])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("say where they are malformed, and nothing of what stands there", () =>
    Effect.gen(function* () {
      const key = `    public-key = "${publicText}"`
      const cases: ReadonlyArray<readonly [line: number | undefined, content: string]> = [
        [undefined, ""],
        [undefined, "metadata\n    a = b\n"],
        [undefined, "curve\n    private-key = 1\n"],
        [undefined, `curve\nx\n${key}\n`],
        [2, `curve\n    public-key = hush-hush\n`],
        [2, `curve\n    public-key = "${zeros}"\n`],
        [3, `curve\n${key}\n    secret-key = hush-hush\n`],
        [3, `curve\n${key}\n    secret-key = "${publicText}"\n`],
        [3, `curve\n${key}\n${key}\n`],
        [4, `curve\n${key}\nmetadata\ncurve\n${key}\n`],
        [3, `curve\n${key}\n  secret-key = "hush-hush"\n`],
        [3, `curve\n${key}\n\tsecret-key = "hush-hush"\n`],
        [3, `curve\n${key}\n            secret-key = "hush-hush"\n`],
        [1, `    curve\n${key}\n`],
        [3, `curve\n${key}\n    secret-key "hush-hush"\n`],
        [4, `curve\r\n\r\n${key}\r\n    = hush-hush\r\n`],
        [1, "-----BEGIN PRIVATE KEY-----\nhush-hush\n"],
        [1, "\0\x01\x02hush-hush"]
      ]
      for (const [line, content] of cases) {
        const error = yield* Effect.flip(certificateOf(content))
        expect(error, content).toMatchObject({ _tag: "CertificateError", line })
        if (error._tag !== "CertificateError") continue
        expect(error.message).toContain("some.key")
        if (line !== undefined) expect(error.message).toContain(`line ${line}`)
        expect(error.reason).toMatch(/^expected \S/)
        expect(shown(error)).not.toContain("hush-hush")
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("are read by the folder, without secrets, and all or none", () =>
    Effect.gen(function* () {
      const path = yield* folder
      expect(yield* Curve.readCertificates(path)).toEqual([])
      const names = ["zoe", "adam", "eve"]
      const certificates: Array<Curve.Certificate> = []
      for (const name of names) {
        const { publicKey, secretKey } = yield* Curve.generate
        yield* Curve.writeCertificate(join(path, `${name}.key`), { publicKey, secretKey, metadata: { name } })
        certificates.push({ publicKey, metadata: { name } })
      }
      writeFileSync(join(path, "notes.txt"), "no certificate")
      yield* (yield* FileSystem.FileSystem).makeDirectory(join(path, "folder.key"))
      const [zoe, adam, eve] = certificates
      expect(yield* Curve.readCertificates(path)).toEqual([adam, eve, zoe])

      const broken = join(path, "broken.key")
      writeFileSync(broken, "curve\n    public-key = 1\n")
      const error = yield* Effect.flip(Curve.readCertificates(path))
      expect(error).toMatchObject({ _tag: "CertificateError", path: broken, line: 2 })
      const nowhere = yield* Effect.flip(Curve.readCertificates(join(path, "nowhere")))
      expect(nowhere).toMatchObject({ _tag: "PlatformError", reason: { _tag: "NotFound" } })
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live.skipIf(!hasPeer)(`of PyZMQ load in ours, and ours in PyZMQ${missing}`, () =>
    Effect.gen(function* () {
      const path = yield* folder
      expect(yield* peer("certificates", "create", path, "theirs")).toMatchObject({ code: 0, stderr: "" })
      const theirs = yield* Curve.readSecretCertificate(join(path, "theirs.key_secret"))
      expect(theirs.metadata).toEqual({ name: "Zoë", "e-mail": "zoe@example.com" })
      expect((yield* Curve.readCertificate(join(path, "theirs.key"))).publicKey).toBe(theirs.publicKey)

      const ours = yield* Effect.replicateEffect(Curve.generate, 20)
      const metadata = { name: "Zoë", quote: '"', hash: "# = '" }
      for (const [i, keys] of ours.entries()) {
        const file = join(path, `${i}.key`)
        yield* Curve.writeCertificate(file, { ...keys, metadata })
        if (i > 0) continue
        const { stdout } = yield* peer("certificates", "load", file)
        expect(stdout).toBe(`${keys.publicKey}\nnone\n`)
        const { stdout: both } = yield* peer("certificates", "load", `${file}_secret`)
        expect(both).toBe(`${keys.publicKey}\n${Redacted.value(keys.secretKey)}\n`)
      }
      const { stdout } = yield* peer("certificates", "folder", path)
      const all = [theirs, ...ours].map(({ publicKey }) => publicKey)
      expect(stdout.trimEnd().split("\n").sort()).toEqual(all.sort())
      expect((yield* Curve.readCertificates(path)).map(({ publicKey }) => publicKey).sort()).toEqual(all)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

// -----------------------------------------------------------------------------

const [ours, theirs, others] = await Effect.runPromise(Effect.all([Curve.generate, Curve.generate, Curve.generate]))
const server = Curve.server({ keys: ours })
const client = Curve.client({ keys: theirs, serverKey: ours.publicKey })
const password = Redacted.make("hush")

/** Sends as soon as it is let in, for as long as the scope is open. */
const knock = (endpoint: string, text: string, security?: Zmq.Security) =>
  Effect.gen(function* () {
    const push = yield* Zmq.push({ connect: endpoint, security, linger: 0 })
    yield* Effect.forkScoped(push.send(text), { startImmediately: true })
    return push
  })

/** The first failures of handshakes, as `reason code status`. */
const refusals = (socket: Zmq.Socket, count = 1) =>
  socket.events.pipe(
    Stream.filter(Zmq.SocketEvent.$is("HandshakeFailed")),
    Stream.take(count),
    Stream.runCollect,
    Effect.map((events) => events.map(({ code, reason, status }) => `${reason} ${code} ${status}`))
  )

/** The clock: this many clients that are let in come, are heard, and go. */
const clients = (pull: Zmq.Pull, security: Zmq.Security | undefined, count: number) =>
  Effect.forEach(numbers(0, count), (number) =>
    Effect.gen(function* () {
      yield* knock(boundTo(pull), `${number}`, security)
      expect(yield* pull.recvString).toBe(`${number}`)
    }).pipe(Effect.scoped)
  )

/** Answers like a ZAP handler, and tells what it was asked. */
const zapHandler = (allow: (request: ReadonlyArray<string>) => boolean) =>
  Effect.gen(function* () {
    const asked: Array<ReadonlyArray<string>> = []
    const rep = yield* Zmq.rep({ bind: "inproc://zeromq.zap.01" })
    const answers = rep.serve(([version, id, domain, address, , mechanism, ...credentials]) => {
      const request = [
        mechanism!.toString(),
        domain!.toString(),
        ...credentials.map((frame) => frame.toString("latin1"))
      ]
      asked.push(request)
      expect(address?.toString()).toBe("127.0.0.1")
      return Effect.succeed([version!, id!, allow(request) ? "200" : "400", "", "", ""] as const)
    })
    yield* Effect.forkScoped(answers, { startImmediately: true })
    return asked
  })

const hello = (name: string, body: Uint8Array): Buffer => {
  const command = Buffer.concat([Buffer.from([name.length]), Buffer.from(name), body])
  return Buffer.concat([Buffer.from([4, command.length]), command])
}
const pushes = Buffer.from("\x0bSocket-Type\0\0\0\x04PUSH")

const message = Buffer.from("\0\x09let me in")

/** What a peer that speaks ZMTP by hand may send, with a message at the end. */
const intruders = (): ReadonlyArray<readonly [name: string, bytes: Buffer, mechanism: string]> => {
  const greeting = (mechanism: string, asServer = 0) =>
    Buffer.concat([
      Buffer.from("ff00000000000000017f0300", "hex"),
      Buffer.from(mechanism.padEnd(20, "\0")),
      Buffer.from([asServer]),
      Buffer.alloc(31)
    ])
  const v3 = (mechanism: string, command: Buffer) => Buffer.concat([greeting(mechanism), command])
  const ready = hello("READY", pushes)
  return [
    ["ZMTP 1.0", Buffer.concat([Buffer.from("\x01\0"), Buffer.from("\x0a\0let me in")]), "NULL"],
    ["ZMTP 2.0", Buffer.concat([Buffer.from("ff00000000000000017f01080000", "hex"), message]), "NULL"],
    ["ZMTP 3.0", v3("NULL", ready), "NULL"],
    ["PLAIN", v3("PLAIN", hello("HELLO", Buffer.from("\x05admin\x04hush"))), "PLAIN"],
    ["CURVE with READY", v3("CURVE", ready), "CURVE"],
    ["CURVE with INITIATE", v3("CURVE", hello("INITIATE", crypto.getRandomValues(Buffer.alloc(240)))), "CURVE"],
    ["CURVE with noise", v3("CURVE", hello("HELLO", crypto.getRandomValues(Buffer.alloc(194)))), "CURVE"],
    ["CURVE with a message", v3("CURVE", message), "CURVE"],
    ["no such mechanism", v3("CURVE2", ready), "CURVE2"],
    [
      "noise",
      Buffer.concat([Buffer.from("ff00000000000000017f03", "hex"), crypto.getRandomValues(Buffer.alloc(99))]),
      ""
    ]
  ]
}

/** Sends bytes, and a message once the peer is ready for it, and waits until the peer closes the connection. */
const attempt = (endpoint: string, bytes: Buffer): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const socket = connect(Number(endpoint.split(":").at(-1)), "127.0.0.1", () => socket.write(bytes))
    let heard = ""
    socket.setEncoding("latin1").on("data", (text: string) => {
      heard += text
      if (heard.includes("READY")) socket.write(message)
    })
    socket.on("error", () => undefined)
    socket.on("close", () => resume(Effect.void))
    return Effect.sync(() => socket.destroy())
  })

describe("who gets in", () => {
  for (const transport of ["tcp", "ipc"] as const) {
    it.live(`with the right keys, over ${transport}, whichever side binds`, () =>
      Effect.gen(function* () {
        const rep = yield* Zmq.rep({ bind: freshEndpoint(transport), security: server })
        const req = yield* Zmq.req({ connect: boundTo(rep), security: client })
        yield* Effect.forkScoped(rep.serve(([question]) => Effect.succeed(["re", question!])))
        for (const number of numbers(0, 50)) {
          expect((yield* req.request(`${number}`)).join()).toBe(`re,${number}`)
        }
        const bound = yield* Zmq.pull({ bind: freshEndpoint(transport), security: client })
        yield* knock(boundTo(bound), "from the server", server)
        expect(yield* bound.recvString).toBe("from the server")
      })
    )

    it.live(`and nobody else, over ${transport}`, () =>
      Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: freshEndpoint(transport), security: server })
        const endpoint = boundTo(pull)
        const intruders = [
          yield* knock(endpoint, "another server's key", Curve.client({ keys: theirs, serverKey: others.publicKey })),
          yield* knock(endpoint, "the client's own key", Curve.client({ keys: theirs, serverKey: theirs.publicKey })),
          yield* knock(endpoint, "no mechanism"),
          yield* knock(endpoint, "NULL with a domain", Null.server({ domain: "jobs" })),
          yield* knock(endpoint, "PLAIN", Plain.client({ username: "admin", password })),
          yield* knock(endpoint, "a PLAIN server", Plain.server({ domain: "jobs" }))
        ]
        // It waits for a client to begin.
        yield* knock(endpoint, "another CURVE server", Curve.server({ keys: others }))
        for (const intruder of intruders) expect(yield* refusals(intruder)).toHaveLength(1)
        yield* refusals(pull, intruders.length)
        yield* clients(pull, client, 10)
        expect(yield* pull.drain).toEqual([])
      })
    )
  }

  it.live("a refusal is an event on both sides, which says what was wrong", () =>
    Effect.gen(function* () {
      const wrongKey = Curve.client({ keys: theirs, serverKey: others.publicKey })
      const name = Plain.client({ username: "admin", password })
      const mismatch = "Protocol ERR_ZMTP_MECHANISM_MISMATCH undefined"
      for (const [security, theirs, seenByServer, seenByClient] of [
        [server, wrongKey, /^Protocol ERR_ZMTP_CRYPTOGRAPHIC /, /^Connection EPIPE /],
        [server, undefined, mismatch, mismatch],
        [server, name, mismatch, mismatch],
        [undefined, client, mismatch, mismatch],
        [Plain.server({ domain: "jobs" }), undefined, mismatch, mismatch],
        // There is nobody to ask. libzmq may let the client wait, until its `handshakeInterval` is over.
        [Plain.server({ domain: "jobs" }), name, /^Connection EFAULT /, undefined],
        [Curve.server({ keys: ours, domain: "jobs" }), client, /^Connection EFAULT /, undefined],
        [Null.server({ domain: "jobs" }), undefined, /^Connection EFAULT /, undefined]
      ] as const) {
        const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), security })
        const push = yield* knock(boundTo(pull), "let me in", theirs)
        expect((yield* refusals(pull))[0]).toMatch(seenByServer)
        if (seenByClient !== undefined) expect((yield* refusals(push))[0]).toMatch(seenByClient)
      }
    })
  )

  it.live("no server but the right one gets what a client sends", () =>
    Effect.gen(function* () {
      const wrong = [undefined, Plain.server({ domain: "jobs" }), Curve.server({ keys: others }), client]
      const right = yield* Zmq.pull({ bind: freshEndpoint("tcp"), security: server })
      const pulls = yield* Effect.forEach(wrong, (security) => Zmq.pull({ bind: freshEndpoint("tcp"), security }))
      const connect = [...pulls, right].map(boundTo)
      // It deals them out to all who have shaken hands.
      const push = yield* Zmq.push({ connect, security: client, immediate: true, linger: 0 })
      for (const number of numbers(0, 100)) {
        yield* push.send(`${number}`)
        expect(yield* right.recvString).toBe(`${number}`)
      }
      for (const pull of pulls) expect(yield* pull.drain).toEqual([])
    })
  )

  it.live(
    "nobody of 10,000 who speak an older protocol, no mechanism, or a broken one",
    () =>
      Effect.gen(function* () {
        const secured = yield* Zmq.pull({ bind: freshEndpoint("tcp"), security: server })
        // The same bytes bring a message to a socket without security.
        const open = yield* Zmq.pull({ bind: freshEndpoint("tcp") })
        for (const [name, bytes, mechanism] of intruders()) {
          if (mechanism !== "NULL") continue
          // These are refused by the other engine, secured or not.
          if (engineName === "zmtp" && (name === "ZMTP 1.0" || name === "ZMTP 2.0")) continue
          const socket = yield* Effect.forkChild(attempt(boundTo(open), bytes), { startImmediately: true })
          expect(yield* open.recvString, name).toBe("let me in")
          yield* Fiber.interrupt(socket)
        }
        let attempts = 0
        while (attempts < 10_000) {
          const round = Array.from({ length: 50 }, intruders).flat()
          yield* Effect.forEach(round, ([, bytes]) => attempt(boundTo(secured), bytes), {
            concurrency: 50,
            discard: true
          })
          attempts += round.length
        }
        yield* clients(secured, client, 1)
        expect(yield* secured.drain).toEqual([])
      }),
    120_000
  )

  it.live("every kind of socket is secured", () =>
    Effect.gen(function* () {
      const pub = yield* Zmq.xpub({ bind: freshEndpoint("tcp"), security: server })
      const sub = yield* Zmq.sub({ connect: boundTo(pub), subscribe: "", security: client })
      expect((yield* pub.recv).join()).toBe("\x01")
      yield* pub.send("news")
      expect(yield* sub.recvString).toBe("news")
      const router = yield* Zmq.router({ bind: freshEndpoint("tcp"), security: server })
      const dealer = yield* Zmq.dealer({ connect: boundTo(router), security: client })
      yield* Effect.forkScoped(router.serve((request) => Effect.succeed(request)))
      expect((yield* dealer.request("echo")).join()).toBe("echo")
      const pair = yield* Zmq.pair({ bind: freshEndpoint("tcp"), security: server })
      const other = yield* Zmq.pair({ connect: boundTo(pair), security: client })
      yield* other.send("peer")
      expect(yield* pair.recvString).toBe("peer")
    })
  )

  it.live("without a ZAP handler: as it is written in the docs", () =>
    Effect.gen(function* () {
      const domain = "jobs"
      const clock = yield* Zmq.pull({ bind: freshEndpoint("tcp"), security: server })
      const closed = yield* Effect.forEach(
        [
          [Curve.server({ keys: ours, domain }), client],
          [Plain.server({ domain }), Plain.client({ username: "admin", password })],
          [Null.server({ domain }), undefined]
        ] as const,
        ([security, theirs]) =>
          Effect.gen(function* () {
            const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), security })
            yield* knock(boundTo(pull), "nobody was asked", theirs)
            return pull
          })
      )
      yield* clients(clock, client, 30)
      for (const pull of closed) expect(yield* pull.drain).toEqual([])

      const open = yield* Zmq.pull({ bind: freshEndpoint("tcp"), security: server })
      yield* knock(boundTo(open), "any keys", Curve.client({ keys: others, serverKey: ours.publicKey }))
      expect(yield* open.recvString).toBe("any keys")
      const inproc = yield* Zmq.pull({ bind: freshEndpoint("inproc"), security: Curve.server({ keys: ours, domain }) })
      yield* knock(boundTo(inproc), "no handshake")
      expect(yield* inproc.recvString).toBe("no handshake")
    })
  )

  it.live("is for the ZAP handler to say, who is told the domain and the credentials", () =>
    Effect.gen(function* () {
      const asked = yield* zapHandler(([mechanism, domain, ...credentials]) => {
        if (mechanism === "NULL") return domain === "open"
        if (mechanism === "PLAIN") return credentials.join() === "admin,hush"
        return credentials[0] === Buffer.from(Curve.toBytes(theirs.publicKey)).toString("latin1")
      })
      const domain = "jobs"
      const wrongPassword = Redacted.make("hash")
      const curve = yield* Zmq.pull({ bind: freshEndpoint("tcp"), security: Curve.server({ keys: ours, domain }) })
      const plain = yield* Zmq.pull({ bind: freshEndpoint("tcp"), security: Plain.server({ domain }) })
      const open = yield* Zmq.pull({ bind: freshEndpoint("tcp"), security: Null.server({ domain: "open" }) })
      const closed = yield* Zmq.pull({ bind: freshEndpoint("tcp"), security: Null.server({ domain }) })
      const denied = [
        yield* knock(boundTo(curve), "denied", Curve.client({ keys: others, serverKey: ours.publicKey })),
        yield* knock(boundTo(plain), "denied", Plain.client({ username: "admin", password: wrongPassword }))
      ]
      yield* knock(boundTo(plain), "denied", Plain.client({ username: "root", password }))
      yield* knock(boundTo(plain), "denied")
      yield* knock(boundTo(closed), "denied")
      const was = (...request: ReadonlyArray<string>) =>
        until(Effect.sync(() => asked.some((one) => one.join() === request.join())))
      yield* was("CURVE", domain, Buffer.from(Curve.toBytes(others.publicKey)).toString("latin1"))
      yield* was("PLAIN", domain, "admin", "hash")
      yield* was("PLAIN", domain, "root", "hush")
      yield* was("NULL", domain)
      for (const socket of [curve, ...denied]) {
        expect((yield* refusals(socket))[0]).toMatch(/^Authentication \S+ 400$/)
      }
      yield* clients(curve, client, 5)
      yield* clients(plain, Plain.client({ username: "admin", password }), 5)
      yield* clients(open, undefined, 5)
      for (const pull of [curve, plain, open, closed]) expect(yield* pull.drain).toEqual([])
    })
  )

  it.live.skipIf(!hasPeer)(`with PyZMQ as the client${missing}`, () =>
    Effect.gen(function* () {
      yield* zapHandler(([mechanism, , ...credentials]) => mechanism === "CURVE" || credentials.join() === "admin,hush")
      const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), security: server })
      const plain = yield* Zmq.pull({ bind: freshEndpoint("tcp"), security: Plain.server({ domain: "jobs" }) })
      const start = (...args: ReadonlyArray<string>) => Effect.forkScoped(peer(...args), { startImmediately: true })
      const keys = [theirs.publicKey, Redacted.value(theirs.secretKey)]
      yield* start("curve-client", boundTo(pull), others.publicKey, ...keys)
      yield* start("null-client", boundTo(pull))
      yield* start("plain-client", boundTo(pull), "admin", "hush")
      yield* start("plain-client", boundTo(plain), "admin", "hash")
      yield* start("null-client", boundTo(plain))
      for (const _ of numbers(0, 3)) {
        yield* start("curve-client", boundTo(pull), ours.publicKey, ...keys)
        expect(yield* pull.recvString).toBe("curve-client of PyZMQ")
        yield* start("plain-client", boundTo(plain), "admin", "hush")
        expect(yield* plain.recvString).toBe("plain-client of PyZMQ")
      }
      yield* clients(pull, client, 10)
      for (const one of [pull, plain]) expect(yield* one.drain).toEqual([])
    })
  )

  it.live.skipIf(!hasPeer)(`with PyZMQ as the server${missing}`, () =>
    Effect.gen(function* () {
      const endpoint = freshEndpoint("ipc")
      const python = yield* Effect.forkScoped(peer("curve-server", endpoint, Redacted.value(ours.secretKey)))
      yield* knock(endpoint, "the key of another server", Curve.client({ keys: theirs, serverKey: others.publicKey }))
      yield* knock(endpoint, "no mechanism")
      yield* knock(endpoint, "PLAIN", Plain.client({ username: "admin", password }))
      const push = yield* Zmq.push({ connect: endpoint, security: client })
      for (const number of numbers(0, 10)) yield* push.send(`${number}`)
      expect(yield* Fiber.join(python)).toMatchObject({ stdout: `${numbers(0, 10).join("\n")}\n`, stderr: "" })
    })
  )
})
