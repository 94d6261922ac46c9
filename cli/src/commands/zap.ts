import { Argument, Command, Flag } from "effect/cli"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Curve from "effect-zmq/Curve"
import { Failed } from "../failure.ts"
import { layerLog, say } from "../notes.ts"
import * as options from "../options.ts"
import { write } from "../output.ts"
import { publicKeyOf } from "../security.ts"

interface Entry {
  readonly file: string
  readonly certificate: Curve.Certificate
}

const reasonOf = (error: { readonly _tag: string; readonly message: string }): string =>
  error._tag === "CertificateError" ? error.message.replace(/^certificate /, "") : error.message

/** Each certificate of the folder, by its own: one that is none is named, and hides no other. */
const read = (folder: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const names = (yield* fs.readDirectory(folder)).filter((name) => name.endsWith(".key")).sort()
    const entries: Array<Entry> = []
    let faults = 0
    for (const file of names) {
      const certificate = yield* Effect.result(Curve.readCertificate(path.join(folder, file)))
      if (Result.isSuccess(certificate)) entries.push({ file, certificate: certificate.success })
      else {
        faults++
        say(reasonOf(certificate.failure))
      }
    }
    return { entries, faults }
  })

const lineOf = ({ certificate: { metadata, publicKey, secretKey }, file }: Entry): string => {
  const about = Object.entries(metadata).map(([name, value]) => `${name}=${value}`)
  if (secretKey !== undefined) about.push("(has a secret key in it: leave that with its owner)")
  return [publicKey, file, ...about].join("\t")
}

export const zap = Command.make(
  "zap",
  {
    folder: Argument.String("folder").pipe(Argument.withDescription("The certificates of those who may come in")),
    key: Argument.String("key").pipe(
      Argument.withDescription("A public key, or a .key file: may its owner come in?"),
      Argument.optional
    ),
    json: options.toggle("json").pipe(Flag.withDescription("A line of JSON for each certificate")),
    ...options.loudness
  },
  ({ folder, json, key, ...loudness }) =>
    Effect.gen(function* () {
      const wanted = Option.isSome(key) ? yield* publicKeyOf(key.value) : undefined
      const { entries, faults } = yield* read(folder)
      const found = entries.filter(({ certificate }) => wanted === undefined || certificate.publicKey === wanted)
      const lines = found.map((entry) =>
        json
          ? JSON.stringify({
              publicKey: entry.certificate.publicKey,
              file: entry.file,
              metadata: entry.certificate.metadata
            })
          : lineOf(entry)
      )
      if (lines.length > 0) yield* write(`${lines.join("\n")}\n`)
      if (wanted !== undefined && found.length === 0) {
        return yield* new Failed({ message: `${wanted} may not come in: no certificate in ${folder} has that key` })
      }
      if (wanted === undefined && faults > 0) {
        return yield* new Failed({ message: `${faults} of ${faults + entries.length} files let in nobody` })
      }
      if (entries.length === 0) {
        return yield* new Failed({ message: `nobody may come in: ${folder} has no file that ends in .key` })
      }
    }).pipe(Effect.provide(layerLog(loudness)))
).pipe(
  Command.withDescription("Check a folder of certificates: who may come in, and which files are none."),
  Command.withShortDescription("Check a folder of certificates: who may come in."),
  Command.withExamples([
    {
      command: "ezmq zap clients",
      description: "A line for each who may come in. The exit code is 1 if a file is bad"
    },
    { command: "ezmq zap clients alice.key", description: "Is it Alice's key that we have?" }
  ])
)
