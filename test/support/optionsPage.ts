/** The page docs/options.md, from the table of options: `npx vitest run test/options.test.ts -u` writes it. */
import { type SocketType, table } from "../../src/internal/options.ts"

const short = (types: ReadonlyArray<SocketType>, all: ReadonlyArray<SocketType>): string => {
  const missing = all.filter((type) => !types.includes(type))
  if (missing.length === 0) return "all"
  return missing.length > 2 ? types.join(", ") : `all but ${missing.join(" and ")}`
}

const inCell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "&lt;")

export const optionsPage = (): string => {
  const rows = Object.entries(table)
  const all: ReadonlyArray<SocketType> = table.bind.types
  const lines = rows.map(([name, { expected, fallback, libzmq, types }]) => {
    const ours = [...new Set(types.map((type) => fallback?.(type)))].filter((value) => value !== undefined)
    const defaults = ours.length === 0 ? "" : ours.map((value) => `\`${String(value)}\``).join(" or ")
    return `| \`${name}\` | ${libzmq === "" ? "" : `\`${libzmq}\``} | ${inCell(expected)} | ${defaults} | ${short(types, all)} |`
  })
  return `# Options

Every option of every socket, as the library checks them: this page is made from the table that does. The docstrings
of \`Zmq.PullOptions\` and its like say what each is for. Whatever is not of the form given fails with \`OptionError\`.
Durations are \`Duration.Input\`: milliseconds as a number, or text like \`"5 seconds"\`.

Our default is given where it is not libzmq's own.

| option | libzmq | what it takes | our default | sockets |
|---|---|---|---|---|
${lines.join("\n")}

See also: [bounds](bounds.md), [features](features.md), [all pages](README.md).
`
}
