/** The public keys of a folder of certificates, as it is now. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Authenticator, CurveRequest } from "../../Zap.ts"
import { OptionError } from "../../ZmqError.ts"
import { read } from "../security/certificate.ts"
import { warnIfExposed } from "../security/exposed.ts"
import { accept } from "./model.ts"
import { unknownKey } from "./policy.ts"

// A certificate has a few hundred bytes.
const largest = 65_536
const readsAtOnce = 16

export const watchCertificates = (
  folder: string,
  options?: { readonly rescanInterval?: Duration.Input | undefined }
): Effect.Effect<
  Authenticator<CurveRequest, never, never>,
  PlatformError.PlatformError | OptionError,
  FileSystem.FileSystem | Scope.Scope
> =>
  Effect.gen(function* () {
    const interval = yield* readInterval(options?.rescanInterval)
    const fs = yield* FileSystem.FileSystem
    let keys: ReadonlySet<string> = new Set()
    const faulty = new Map<string, string>()

    const keyIn = Effect.fnUntraced(function* (name: string) {
      const path = `${folder}/${name}`
      const info = yield* fs.stat(path)
      if (info.type !== "File") return undefined
      const text = info.size > largest ? undefined : yield* fs.readFileString(path)
      const certificate = text === undefined ? undefined : read(text)
      if (certificate !== undefined && Result.isSuccess(certificate)) {
        faulty.delete(name)
        if (certificate.success.secretKey !== undefined) yield* warnIfExposed(fs, path)
        return certificate.success.publicKey
      }
      // Once for each fault, and not at each rescan. A fault never quotes the file.
      const fault =
        certificate === undefined
          ? "it is too large"
          : `${certificate.failure.reason}${certificate.failure.line === undefined ? "" : `, in line ${certificate.failure.line}`}`
      if (faulty.get(name) === fault) return undefined
      faulty.set(name, fault)
      yield* Effect.logWarning(`effect-zmq: ${path} is no certificate, and lets in nobody: ${fault}`)
      return undefined
    })
    // A file that went away, or may not be read, lets in nobody.
    const readAll = Effect.gen(function* () {
      const names = (yield* fs.readDirectory(folder)).filter((name) => name.endsWith(".key"))
      const found = yield* Effect.forEach(names, (name) => Effect.option(keyIn(name)), { concurrency: readsAtOnce })
      keys = new Set(found.map(Option.getOrUndefined).filter((key) => key !== undefined))
    })

    // Any number of changes make one more reading.
    const changes = yield* Queue.sliding<void>(1)
    const watched = yield* Deferred.make<void>()
    const onReady = () => Deferred.doneUnsafe(watched, Effect.void)
    yield* fs.watch(folder, { onReady }).pipe(
      Stream.runForEach(() => Queue.offer(changes, undefined)),
      Effect.ignore,
      Effect.ensuring(Deferred.succeed(watched, undefined)),
      // The folder has gone, or cannot be watched: the rescans tell.
      Effect.andThen(Effect.sleep(interval)),
      Effect.forever,
      Effect.forkScoped({ startImmediately: true })
    )
    yield* Deferred.await(watched)
    yield* readAll
    let failing = false
    yield* Effect.raceFirst(Queue.take(changes), Effect.sleep(interval)).pipe(
      Effect.andThen(readAll),
      Effect.matchCauseEffect({
        onSuccess: () =>
          Effect.sync(() => {
            failing = false
          }),
        onFailure: (cause) =>
          Effect.suspend(() => {
            keys = new Set()
            if (failing) return Effect.void
            failing = true
            return Effect.logError(
              `effect-zmq: the certificates in ${folder} cannot be read, and nobody is let in`,
              cause
            )
          })
      }),
      Effect.forever,
      Effect.forkScoped
    )
    // Whatever ends the reading, the keys as they were do not count any more.
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        keys = new Set()
      })
    )
    return ({ publicKey }) => Effect.sync(() => (keys.has(publicKey) ? accept() : unknownKey))
  })

const readInterval = (given: Duration.Input | undefined): Effect.Effect<Duration.Duration, OptionError> => {
  const duration = given === undefined ? Option.some(Duration.seconds(5)) : Duration.fromInput(given)
  return Option.isSome(duration) && Duration.toMillis(duration.value) > 0
    ? Effect.succeed(duration.value)
    : Effect.fail(
        new OptionError({
          option: "rescanInterval",
          value: given,
          expected: 'a Duration.Input longer than 0, like "5 seconds", or "Infinity" for none'
        })
      )
}
