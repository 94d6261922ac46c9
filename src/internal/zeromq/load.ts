/**
 * The package `zeromq`, which is native code: it is loaded with the first socket
 * that needs it, and not before.
 */
import { createRequire } from "node:module"

let loaded: typeof import("zeromq") | undefined

/** Throws an error with the code `ERR_ENGINE_MISSING` where it cannot be loaded. */
export const zeromq = (): typeof import("zeromq") => {
  if (loaded !== undefined) return loaded
  try {
    loaded = createRequire(import.meta.url)("zeromq") as typeof import("zeromq")
    return loaded
  } catch (cause) {
    throw Object.assign(new Error(String(cause), { cause }), { code: "ERR_ENGINE_MISSING" })
  }
}
