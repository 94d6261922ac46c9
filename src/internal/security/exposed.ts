/** Files with secret keys that others than their owner may read. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"

// The permissions of all but the owner. Windows has none of them.
const others = process.platform === "win32" ? 0 : 0o077

const warned = new Set<string>()

/** Warns of a file that has a secret key in it, once, until it is found to be its owner's alone. */
export const warnIfExposed = (fs: FileSystem.FileSystem, path: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    const info = yield* Effect.option(fs.stat(path))
    if (Option.isNone(info)) return
    const { mode } = info.value
    if ((mode & others) === 0) return void warned.delete(path)
    if (warned.has(path)) return
    warned.add(path)
    const permissions = (mode & 0o777).toString(8).padStart(3, "0")
    yield* Effect.logWarning(
      `effect-zmq: ${path} has a secret key in it, and others than its owner have permissions to it (mode ${permissions}): chmod 600 ${path}, and make new keys if others may have seen these`
    )
  })
