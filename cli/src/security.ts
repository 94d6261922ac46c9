/** CURVE and PLAIN, from the files that the options name. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Curve from "effect-zmq/Curve"
import * as Plain from "effect-zmq/Plain"
import * as Zap from "effect-zmq/Zap"
import { Failed, Usage } from "./failure.ts"

export interface SecurityFlags {
  readonly serverKey: Option.Option<string>
  readonly key: Option.Option<string>
  readonly clients: Option.Option<string>
  readonly user: Option.Option<string>
  readonly passwordFile: Option.Option<string>
  readonly users: Option.Option<string>
}

const domain = "ezmq"

/** A key as it is written, or that of a certificate. */
export const publicKeyOf = (keyOrFile: string) =>
  Effect.catchTag(Curve.publicKeyFrom(keyOrFile), "KeyError", () =>
    Effect.map(Curve.readCertificate(keyOrFile), ({ publicKey }) => publicKey).pipe(
      Effect.mapError((error) =>
        error._tag === "PlatformError" && error.reason._tag === "NotFound"
          ? new Failed({ message: `${keyOrFile}: neither a public key of 40 characters nor a file` })
          : error
      )
    )
  )

const curve = (flags: SecurityFlags) =>
  Effect.gen(function* () {
    const keys = Option.isSome(flags.key) ? yield* Curve.readSecretCertificate(flags.key.value) : undefined
    if (Option.isSome(flags.serverKey)) {
      const serverKey = yield* publicKeyOf(flags.serverKey.value)
      return Curve.client({ keys: keys ?? (yield* Curve.generate), serverKey })
    }
    if (keys === undefined) return yield* new Usage({ message: "--clients is for a server: name its --key" })
    if (Option.isNone(flags.clients)) return Curve.server({ keys })
    yield* Layer.build(Zap.layer({ curve: Zap.certificates(flags.clients.value) }))
    return Curve.server({ keys, domain })
  })

const passwordOf = (flags: SecurityFlags) =>
  Effect.gen(function* () {
    if (Option.isSome(flags.passwordFile)) {
      const fs = yield* FileSystem.FileSystem
      return Redacted.make((yield* fs.readFileString(flags.passwordFile.value)).split(/\r?\n/)[0]!)
    }
    const password = process.env.EZMQ_PASSWORD
    return password === undefined
      ? yield* new Usage({ message: "--user needs a password: in EZMQ_PASSWORD, or in a --password-file" })
      : Redacted.make(password)
  })

const usersOf = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const lines = (yield* fs.readFileString(file)).split(/\r?\n/)
    const users: Record<string, Redacted.Redacted<string>> = {}
    for (const [i, line] of lines.entries()) {
      if (line === "" || line.startsWith("#")) continue
      const [, name, password] = /^([^:]+):(.+)$/.exec(line) ?? []
      if (name === undefined || password === undefined) {
        return yield* new Failed({ message: `${file}, line ${i + 1}: expected name:password` })
      }
      users[name] = Redacted.make(password)
    }
    return users
  })

/** The option `security` of the socket, or `undefined`. What decides who comes in lives as long as the scope. */
export const securityOf = (flags: SecurityFlags) =>
  Effect.gen(function* () {
    const isCurve = [flags.serverKey, flags.key, flags.clients].some(Option.isSome)
    const isPlain = [flags.user, flags.passwordFile, flags.users].some(Option.isSome)
    if (isCurve && isPlain) return yield* new Usage({ message: "take keys or passwords, and not both" })
    if (isCurve) return yield* curve(flags)
    if (Option.isSome(flags.users)) {
      yield* Layer.build(Zap.layer({ plain: yield* usersOf(flags.users.value) }))
      return Plain.server({ domain })
    }
    if (Option.isSome(flags.user)) {
      return Plain.client({ username: flags.user.value, password: yield* passwordOf(flags) })
    }
    return isPlain ? yield* new Usage({ message: "--password-file is for a --user" }) : undefined
  })
