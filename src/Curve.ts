/**
 * The CURVE mechanism (ZeroMQ RFC 26): every connection is encrypted, the client
 * knows that it talks to the server whose public key it has, and the server knows
 * the public key of each client.
 *
 * **Details**
 *
 * Each side has a pair of keys. The public key of the server is given to its
 * clients, and the public keys of clients to the ZAP handler of the server, which
 * says who may come in. A secret key never leaves its owner.
 *
 * `Redacted` keeps secret keys out of logs and errors.
 *
 * **Example** (A server and a client)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Curve, Zmq } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const [ours, theirs] = [yield* Curve.generate, yield* Curve.generate]
 *   const server = yield* Zmq.pull({
 *     bind: "tcp://127.0.0.1:*",
 *     security: Curve.server({ keys: ours })
 *   })
 *   const client = yield* Zmq.push({
 *     connect: [...server.endpoints],
 *     security: Curve.client({ keys: theirs, serverKey: ours.publicKey })
 *   })
 *   yield* client.send("nobody else can read this")
 *   return yield* server.recvString
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */
import { randomUUID } from "node:crypto"
import * as Brand from "effect/Brand"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as text from "./internal/security/certificate.ts"
import { warnIfExposed } from "./internal/security/exposed.ts"
import { expectedKey, isKey, publicKeyOf, randomSecret } from "./internal/security/keys.ts"
import { decode, encode } from "./internal/security/z85.ts"

// -----------------------------------------------------------------------------
// keys
// -----------------------------------------------------------------------------

/**
 * A public key: 40 characters of Z85.
 *
 * The schema checks text. `publicKeyFrom` takes bytes as well.
 *
 * **Example** (From the configuration)
 *
 * ```ts
 * import { Config } from "effect"
 * import { Curve } from "effect-zmq"
 *
 * export const serverKey = Config.schema(Curve.PublicKey, "SERVER_KEY")
 * ```
 *
 * @category keys
 * @since 0.1.0
 */
export const PublicKey: Schema.brand<Schema.String, "effect-zmq/Curve/PublicKey"> = Schema.String.check(
  Schema.makeFilter(isKey, { expected: expectedKey })
).pipe(Schema.brand("effect-zmq/Curve/PublicKey"))

/**
 * A public key: 40 characters of Z85.
 *
 * @category keys
 * @since 0.1.0
 */
export type PublicKey = typeof PublicKey.Type

/**
 * The 40 characters of Z85 that a `SecretKey` keeps.
 *
 * @category keys
 * @since 0.1.0
 */
export type SecretText = Brand.Branded<string, "effect-zmq/Curve/SecretKey">

/**
 * A secret key: 40 characters of Z85, `Redacted`.
 *
 * The schema decodes text, and its errors do not show it. It encodes the key to
 * plain text. `secretKeyFrom` takes bytes as well.
 *
 * **Example** (From the configuration)
 *
 * ```ts
 * import { Config } from "effect"
 * import { Curve } from "effect-zmq"
 *
 * export const secretKey = Config.schema(Curve.SecretKey, "SECRET_KEY")
 * ```
 *
 * @category keys
 * @since 0.1.0
 */
// Redacted first and checked then: a failed check may report what it is about.
export const SecretKey: Schema.Codec<SecretKey, string> = Schema.RedactedFromValue(Schema.String).pipe(
  Schema.refine((key): key is SecretKey => isKey(Redacted.value(key)), { expected: expectedKey })
)

/**
 * A secret key: 40 characters of Z85, `Redacted`.
 *
 * @category keys
 * @since 0.1.0
 */
export type SecretKey = Redacted.Redacted<SecretText>

/**
 * A public key and the secret key that belongs to it.
 *
 * @category keys
 * @since 0.1.0
 */
export interface KeyPair {
  readonly publicKey: PublicKey
  readonly secretKey: SecretKey
}

/**
 * Something is no key. The error does not show what it was.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyError extends Data.TaggedError("KeyError")<{ readonly key: "public" | "secret" }> {
  override get message(): string {
    return `${this.key} key: expected 40 characters of Z85, or the 32 bytes they stand for, and not all of them zero. Curve.generate makes keys`
  }
}

const makePublic = Brand.nominal<PublicKey>()
const makeSecret = (text: string): SecretKey => Redacted.make(Brand.nominal<SecretText>()(text))

const keyFrom = (key: "public" | "secret", input: string | Uint8Array): Effect.Effect<string, KeyError> => {
  const text = typeof input === "string" ? input : input instanceof Uint8Array ? encode(input) : undefined
  return text !== undefined && isKey(text) ? Effect.succeed(text) : Effect.fail(new KeyError({ key }))
}

/**
 * Checks a public key, as 40 characters of Z85 or as 32 bytes.
 *
 * @category keys
 * @since 0.1.0
 */
export const publicKeyFrom = (input: string | Uint8Array): Effect.Effect<PublicKey, KeyError> =>
  Effect.map(keyFrom("public", input), makePublic)

/**
 * Checks a secret key, as 40 characters of Z85 or as 32 bytes.
 *
 * @category keys
 * @since 0.1.0
 */
export const secretKeyFrom = (
  input: string | Uint8Array | Redacted.Redacted<string | Uint8Array>
): Effect.Effect<SecretKey, KeyError> =>
  Effect.suspend(() =>
    Effect.map(keyFrom("secret", Redacted.isRedacted(input) ? Redacted.value(input) : input), makeSecret)
  )

/**
 * The 32 bytes of a public key.
 *
 * @category keys
 * @since 0.1.0
 */
export const toBytes = (key: PublicKey): Uint8Array => decode(key)!

/**
 * The public key that belongs to a secret key.
 *
 * @category keys
 * @since 0.1.0
 */
export const publicKey = (secretKey: SecretKey): PublicKey => makePublic(publicKeyOf(Redacted.value(secretKey)))

/**
 * A new pair of keys, from the random numbers of the operating system.
 *
 * @category keys
 * @since 0.1.0
 */
export const generate: Effect.Effect<KeyPair> = Effect.sync(() => {
  const secretKey = makeSecret(randomSecret())
  return { publicKey: publicKey(secretKey), secretKey }
})

// -----------------------------------------------------------------------------
// the two sides
// -----------------------------------------------------------------------------

/**
 * What `Curve.server` makes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Server {
  readonly _tag: "CurveServer"
  readonly secretKey: SecretKey
  readonly publicKey?: PublicKey | undefined
  readonly domain?: string | undefined
}

/**
 * What `Curve.client` makes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client extends KeyPair {
  readonly _tag: "CurveClient"
  readonly serverKey: PublicKey
}

/**
 * Lets in clients that have this server's public key and a pair of their own, and
 * encrypts what is sent. For the option `security`.
 *
 * **Details**
 *
 * Whether clients are told apart is up to `domain`, of 1 to 255 bytes:
 *
 * - With a `domain` the ZAP handler is asked about the public key of each client.
 *   If the context has no ZAP handler, nobody gets in (`zapEnforceDomain`).
 * - Without one, and without a ZAP handler, **everybody gets in who has the public
 *   key of the server**, with any pair of keys. If the context has a ZAP handler,
 *   it is asked, with an empty domain; should it end, everybody gets in again.
 *
 * Peers that use another mechanism, or none, never get in. The endpoints of
 * `inproc://` are not secured, by any mechanism: a peer in the same process gets
 * in.
 *
 * **Example** (Clients that the ZAP handler knows)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Curve, Zmq } from "effect-zmq"
 *
 * export const jobs = Effect.gen(function* () {
 *   const keys = yield* Curve.readSecretCertificate("server.key_secret")
 *   return yield* Zmq.pull({
 *     bind: "tcp://127.0.0.1:5557",
 *     security: Curve.server({ keys, domain: "jobs" })
 *   })
 * })
 * ```
 *
 * @category security
 * @since 0.1.0
 */
export const server = (
  options: (
    | { readonly secretKey: SecretKey; readonly publicKey?: PublicKey | undefined; readonly keys?: undefined }
    | { readonly keys: KeyPair; readonly secretKey?: undefined; readonly publicKey?: undefined }
  ) & { readonly domain?: string | undefined }
): Server => ({ ...(withKeys(options) as Omit<Server, "_tag">), _tag: "CurveServer" })

/**
 * Talks to the server with this public key and to no other, under a pair of keys
 * of its own, and encrypts what is sent. For the option `security`.
 *
 * **Details**
 *
 * A server with another key, another mechanism or none gets nothing: its
 * connection fails, and is tried again.
 *
 * **Example** (A client)
 *
 * ```ts
 * import { Config, Effect } from "effect"
 * import { Curve, Zmq } from "effect-zmq"
 *
 * export const jobs = Effect.gen(function* () {
 *   const serverKey = yield* Config.schema(Curve.PublicKey, "SERVER_KEY")
 *   const keys = yield* Curve.generate
 *   return yield* Zmq.push({
 *     connect: "tcp://127.0.0.1:5557",
 *     security: Curve.client({ keys, serverKey })
 *   })
 * })
 * ```
 *
 * @category security
 * @since 0.1.0
 */
export const client = (
  options: (
    | (KeyPair & { readonly keys?: undefined })
    | { readonly keys: KeyPair; readonly secretKey?: undefined; readonly publicKey?: undefined }
  ) & { readonly serverKey: PublicKey }
): Client => ({ ...(withKeys(options) as Omit<Client, "_tag">), _tag: "CurveClient" })

// What else a program has put in is kept, for the check of options to find.
const withKeys = ({ keys, ...rest }: { readonly keys?: KeyPair | undefined }): object =>
  keys === undefined ? rest : { ...rest, publicKey: keys.publicKey, secretKey: keys.secretKey }

// -----------------------------------------------------------------------------
// certificates
// -----------------------------------------------------------------------------

/**
 * A public key, perhaps its secret key, and what is to be known about their
 * owner, by name.
 *
 * @category certificates
 * @since 0.1.0
 */
export interface Certificate {
  readonly publicKey: PublicKey
  readonly secretKey?: SecretKey | undefined
  readonly metadata: Readonly<Record<string, string>>
}

/**
 * A certificate with its secret key: it can be used as `keys`.
 *
 * @category certificates
 * @since 0.1.0
 */
export interface SecretCertificate extends Certificate {
  readonly secretKey: SecretKey
}

/**
 * A file is no certificate, or a certificate cannot be written. `line` is where
 * the fault is, counted from 1, if it is in one line. The error does not show
 * what stands there.
 *
 * @category errors
 * @since 0.1.0
 */
export class CertificateError extends Data.TaggedError("CertificateError")<{
  readonly path: string
  readonly line: number | undefined
  readonly reason: string
}> {
  override get message(): string {
    return `certificate ${this.path}${this.line === undefined ? "" : `, line ${this.line}`}: ${this.reason}`
  }
}

/**
 * Reads a certificate: a `.key` file, with the public key, or a `.key_secret`
 * file, with both. Of CZMQ, of PyZMQ, or of `writeCertificate`.
 *
 * **Details**
 *
 * The files are in the ZeroMQ Property Language (RFC 4), and are read by the
 * `FileSystem` of the platform, like that of `NodeServices.layer` in
 * `@effect/platform-node`. Fails with
 * `CertificateError` if the file is malformed, has no public key, or has a secret
 * key that does not belong to it.
 *
 * If there is a secret key in a file that others than its owner may read, a
 * warning is in the log, once for each file: `chmod 600` is the cure. Not on
 * Windows.
 *
 * @category certificates
 * @since 0.1.0
 */
export const readCertificate = (
  path: string
): Effect.Effect<Certificate, CertificateError | PlatformError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const read = text.read(yield* fs.readFileString(path))
    if (Result.isFailure(read)) return yield* new CertificateError({ path, ...read.failure })
    const { metadata, publicKey, secretKey } = read.success
    if (secretKey !== undefined) yield* warnIfExposed(fs, path)
    return {
      publicKey: makePublic(publicKey),
      ...(secretKey === undefined ? {} : { secretKey: makeSecret(secretKey) }),
      metadata
    }
  })

/**
 * Reads a certificate that must have its secret key, a `.key_secret` file.
 *
 * **Example** (The keys of a server)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Curve } from "effect-zmq"
 *
 * export const security = Effect.map(Curve.readSecretCertificate("server.key_secret"), (keys) =>
 *   Curve.server({ keys, domain: "jobs" })
 * )
 * ```
 *
 * @category certificates
 * @since 0.1.0
 */
export const readSecretCertificate = (
  path: string
): Effect.Effect<SecretCertificate, CertificateError | PlatformError, FileSystem.FileSystem> =>
  Effect.flatMap(readCertificate(path), ({ secretKey, ...rest }) =>
    secretKey === undefined
      ? Effect.fail(
          new CertificateError({
            path,
            line: undefined,
            reason: "expected a `secret-key` in the section `curve`. It is in the file that ends in .key_secret"
          })
        )
      : Effect.succeed({ ...rest, secretKey })
  )

/**
 * Reads the certificates of a folder: all files whose names end in `.key`, in
 * the order of their names, without secret keys. What CZMQ and PyZMQ take for a
 * set of clients.
 *
 * **Details**
 *
 * One malformed file fails it all, so that no certificate is left out unseen.
 *
 * @category certificates
 * @since 0.1.0
 */
export const readCertificates = (
  folder: string
): Effect.Effect<ReadonlyArray<Certificate>, CertificateError | PlatformError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const entries = yield* fs.readDirectoryEntries(folder)
    const names = entries
      .filter(({ name, type }) => name.endsWith(".key") && type !== "Directory")
      .map(({ name }) => name)
    return yield* Effect.forEach(names.sort(), (name) =>
      Effect.map(readCertificate(path.join(folder, name)), ({ metadata, publicKey }) => ({ publicKey, metadata }))
    )
  })

/**
 * Writes a certificate to `path`, like `"keys/server.key"`, in a folder that is
 * there: the public key, and, if there is a secret key, both keys to the same
 * name with `_secret` after it, like `"keys/server.key_secret"`. CZMQ and PyZMQ
 * can read them.
 *
 * **Details**
 *
 * A file that is there is replaced, whole. The secret file is for its owner only
 * (mode 0600) from its first byte on, whatever the mode of the file that it
 * replaces; the public one for all to read (0644). The umask may narrow both.
 *
 * Fails with `CertificateError`, and writes nothing, if the metadata does not fit
 * the format: names are of letters, digits and `$ - _ @ . & + /`, and values of
 * one line.
 *
 * **Example** (New keys for a client)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Curve } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const keys = yield* Curve.generate
 *   yield* Curve.writeCertificate("keys/alice.key", { ...keys, metadata: { name: "Alice" } })
 * })
 * ```
 *
 * @category certificates
 * @since 0.1.0
 */
export const writeCertificate = (
  path: string,
  certificate: Omit<Certificate, "metadata"> & Partial<Pick<Certificate, "metadata">>
): Effect.Effect<void, CertificateError | PlatformError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { metadata = {}, publicKey, secretKey } = certificate
    const reason =
      text.checkMetadata(metadata) ??
      (secretKey !== undefined && publicKeyOf(Redacted.value(secretKey)) !== publicKey
        ? "expected the secret key that belongs to the public key"
        : undefined)
    if (reason !== undefined) return yield* new CertificateError({ path, line: undefined, reason })

    const now = new Date(yield* Clock.currentTimeMillis)
    const content = { publicKey, secretKey: undefined, metadata }
    const files = [{ path, mode: 0o644, content: text.write(content, now) }]
    if (secretKey !== undefined) {
      const secret = text.write({ ...content, secretKey: Redacted.value(secretKey) }, now)
      files.unshift({ path: `${path}_secret`, mode: 0o600, content: secret })
    }
    // Both are ready before either takes its place.
    const ready = yield* Effect.forEach(files, stage)
    yield* Effect.uninterruptible(Effect.forEach(ready, (takePlace) => takePlace))
  }).pipe(Effect.scoped)

/** Writes a new file beside the one to be, and gives the effect that puts it in its place. */
const stage = ({ content, mode, path }: { readonly path: string; readonly mode: number; readonly content: string }) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const temporary = `${path}.${randomUUID()}`
    yield* Effect.addFinalizer(() => Effect.ignore(fs.remove(temporary, { force: true })))
    // A file keeps the mode that it was created with, and whoever has it open
    // keeps it open: so it is never one that was there ("wx").
    yield* Effect.scoped(
      Effect.gen(function* () {
        const file = yield* fs.open(temporary, { flag: "wx", mode })
        yield* file.writeAll(Buffer.from(content))
        yield* file.sync
      })
    )
    return fs.rename(temporary, path)
  })
