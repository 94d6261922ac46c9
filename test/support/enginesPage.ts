/** The options by engine, as docs/engines.md has them: `WRITE=1 npx vitest run test/engine.test.ts` writes them. */
import { table } from "../../src/internal/socket/options.ts"
import { isDraft, type SocketType } from "../../src/internal/socketTypes.ts"
import { unsupportedOptions } from "../../src/internal/zmtp/settings.ts"

/** What is to be said of some options besides. */
const notes: Readonly<Record<string, string>> = {
  monitor: "no matter: connections are always known",
  bind: "tcp, ipc and inproc",
  connect: "tcp, ipc and inproc",
  security: "yes; CURVE with `sodium-native` or `libsodium-wrappers`",
  backlog: "yes",
  heartbeatTimeToLive: "yes",
  handover:
    "yes; the old owner is disconnected, and if it lives it comes back and takes its name over in turn; over inproc it waits until a peer of that endpoint leaves"
}

/** A value as a program gives it. */
export const asGiven = (name: string, value: unknown): unknown =>
  table[name as keyof typeof table].read("Infinity" as never) === value ? "Infinity" : value

const onZmtp = (name: string, types: ReadonlyArray<SocketType>): string => {
  if (types.every(isDraft)) return "no: of a draft"
  const harmless = unsupportedOptions.get(name)
  if (harmless === undefined) return notes[name] ?? "yes"
  const values = harmless.map((value) => `\`${String(asGiven(name, value))}\``).join(", ")
  return `**refused**${values === "" ? "" : `, but for ${values}`}`
}

export const optionsByEngine = (): string =>
  [
    "| option | `Engine.layerZeromq` | `Engine.layerZmtp` |",
    "|---|---|---|",
    ...Object.entries(table).map(([name, { types }]) => `| \`${name}\` | yes | ${onZmtp(name, types)} |`)
  ].join("\n")
