/** The engine that our rows run on: the default, or `ENGINE=zmtp`. */
import { fileURLToPath } from "node:url"

export const engineOf = (): string => process.env.ENGINE ?? "zeromq"

/** The arguments that make Node run TypeScript, on that engine. */
export const nodeOptions: ReadonlyArray<string> = [
  "--import",
  "tsx",
  "--import",
  fileURLToPath(new URL("../test/support/useEngine.ts", import.meta.url))
]

/** For rows whose peers are of zeromq.js, and in the process of the row. */
export const needsZeromq = (): string | undefined =>
  engineOf() === "zeromq"
    ? undefined
    : "its peers are of zeromq.js, and inproc does not lead from one engine to another"

/** Options about the buffers of the system, where the engine can set them. */
export const buffers = <A extends object>(options: A): A | Record<string, never> =>
  engineOf() === "zeromq" ? options : {}
