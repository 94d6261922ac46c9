/** The page docs/options.md, from the table of options: `npx vitest run test/options.test.ts -u` writes it. */
import { table } from "../../src/internal/socket/options.ts"
import type { SocketType } from "../../src/internal/socketTypes.ts"

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
    const ours = [...new Set(types.map((type) => fallback?.(type)))]
    const defaults = ours
      .filter((value) => value !== undefined)
      .map((value) => {
        const having = types.filter((type) => fallback?.(type) === value)
        return `\`${String(value)}\`${having.length === types.length ? "" : ` (${short(having, types)})`}`
      })
      .join(", ")
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

## Subscriptions

- A SUB, XSUB or DISH may have any number of topics or groups: what a SUB and a DISH send are these alone, and have no
  high-water mark. An XSUB sends messages as well, hence its \`sendHighWaterMark\`: the half of it is room for topics
  whenever a publisher comes back, and a mark that the program gives is taken as it is. libzmq drops subscriptions above
  it without a word.
- A PUB takes topics of up to 512 bytes: a subscriber that sends more at a time is disconnected, unless the program
  gives another \`maxMessageSize\`, and so it is at the XPUB of a \`Proxy.forwarder\`. Over inproc libzmq has no such limit.
- Of what else subscribers send, a PUB drops all, and an XPUB on which nobody receives keeps 1,000 messages and 100,000
  subscriptions. What is dropped is counted in \`stats.dropped\`, and said once in the log. A subscriber that floods is
  read more slowly, and its own queue fills.
- libzmq keeps each topic for as long as somebody has subscribed to it, with some 50 bytes of memory for each byte of it,
  and has no bound for that. Where strangers may subscribe, say who may connect (\`security\`), and give a
  \`maxMessageSize\` of little more than the longest topic.
- A frame of an XSUB that begins with the byte 0 or 1 is a subscription to libzmq, wherever it stands: in a message of
  several frames it is refused with \`EncodeError\`. From peers without this library the parts of such a message arrive
  as libzmq cuts it.

See also: [bounds](bounds.md), [features](features.md), [all pages](README.md).
`
}
