import { dirname } from "node:path"
import { Argument, Command, Flag } from "effect/cli"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Curve from "effect-zmq/Curve"
import { Failed } from "../failure.ts"
import { layerLog } from "../notes.ts"
import * as options from "../options.ts"
import { write } from "../output.ts"

export const keygen = Command.make(
  "keygen",
  {
    names: Argument.String("name").pipe(
      Argument.withDescription("Whose keys: NAME.key for everybody, NAME.key_secret for its owner alone"),
      Argument.variadic({ min: 1 })
    ),
    folder: Flag.String("folder").pipe(
      Flag.withDefault("."),
      Flag.withMetavar("FOLDER"),
      Flag.withDescription("Where the files go. Made if it is not there. Default: here")
    ),
    metadata: Flag.KeyValuePair("metadata").pipe(
      Flag.withDefault({}),
      Flag.withMetavar("NAME=VALUE"),
      Flag.withDescription("What else the files say of their owner. May be given several times")
    ),
    force: options.toggle("force").pipe(Flag.withDescription("Replace files that are there")),
    ...options.loudness
  },
  ({ folder, force, metadata, names, ...loudness }) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const paths = names.map((name) => `${folder === "." ? "" : `${folder}/`}${name.replace(/\.key$/, "")}.key`)
      for (const path of force ? [] : paths) {
        for (const file of [path, `${path}_secret`]) {
          if (yield* fs.exists(file)) {
            return yield* new Failed({
              message: `${file} is there, and was not replaced. Take another name, or --force`
            })
          }
        }
      }
      for (const path of paths) {
        yield* fs.makeDirectory(dirname(path), { recursive: true })
        const keys = yield* Curve.generate
        yield* Curve.writeCertificate(path, { ...keys, metadata })
        yield* write(`${keys.publicKey}\t${path}\n`)
      }
    }).pipe(Effect.provide(layerLog(loudness)))
).pipe(
  Command.withDescription("Make CURVE keys, in files that CZMQ and PyZMQ can read. Writes the public keys."),
  Command.withShortDescription("Make CURVE keys."),
  Command.withExamples([
    { command: "ezmq keygen server", description: "server.key, and server.key_secret with mode 600" },
    { command: "ezmq keygen --folder clients alice bob", description: "Those who may come in" },
    { command: "ezmq keygen alice --metadata team=maps --force", description: "New keys, and whose they are" }
  ])
)
