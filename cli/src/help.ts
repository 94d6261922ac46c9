/** Help for a terminal of eighty columns: examples first, and the options by what they are about. */

import { CliOutput, type HelpDoc } from "effect/cli"
import * as Option from "effect/Option"
import { groups } from "./options.ts"

type Doc = HelpDoc.HelpDoc
type FlagDoc = Doc["flags"][number]

const widest = 100
// How far names go before their descriptions begin.
const names = 26

const width = (): number => Math.min(process.stdout.columns ?? 80, widest)

const wrap = (text: string, room: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > room) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** A name and what it is, which goes on below itself, and begins below a name that is too long. */
const entry = (name: string, text: string): string => {
  const lines = wrap(text, width() - names)
  const indent = " ".repeat(names)
  const first = `  ${name}`
  return first.length + 2 > names
    ? [first, ...lines.map((line) => indent + line)].join("\n")
    : [first.padEnd(names) + lines[0], ...lines.slice(1).map((line) => indent + line)].join("\n")
}

const flagName = ({ aliases, name, type }: FlagDoc): string => {
  const short = aliases.length === 0 ? "    " : `${aliases.join(", ")}, `
  return `${short}--${name}${type === "boolean" ? "" : ` ${type}`}`
}

const flagEntry = (flag: FlagDoc): string =>
  entry(
    flagName(flag),
    // The name has the choices.
    Option.getOrElse(flag.description, () => "").replace(/ \(choices: [^)]*\)$/, "")
  )

const section = (title: string, entries: ReadonlyArray<string>): ReadonlyArray<string> =>
  entries.length === 0 ? [] : [`${title}:\n${entries.join("\n")}`]

const flagSections = (flags: ReadonlyArray<FlagDoc>, common: ReadonlyArray<FlagDoc>): ReadonlyArray<string> => {
  const byName = new Map(flags.map((flag) => [flag.name, flag]))
  const grouped = groups.flatMap(([title, of]) => {
    const found = of.flatMap((name) => byName.get(name) ?? [])
    for (const { name } of found) byName.delete(name)
    return section(title, found.map(flagEntry))
  })
  const others = [...byName.values(), ...common]
  return [...grouped, ...section(grouped.length === 0 ? "Options" : "Other options", others.map(flagEntry))]
}

const usage = (doc: Doc): string => {
  const path = doc.commandPath?.join(" ") ?? "ezmq"
  const args = (doc.args ?? []).map(({ name, required, variadic }) => {
    const many = `${name}${variadic ? "..." : ""}`
    return required ? `<${many}>` : `[${many}]`
  })
  const parts = doc.subcommands?.length ? ["<command>"] : args
  return `Usage: ${[path, ...parts, "[options]"].join(" ")}`
}

const exitCodes =
  "Exit codes: 0 done, 1 something failed, 2 wrong usage, 124 the time limit passed, 130 stopped by Ctrl-C."

const formatHelpDoc = (doc: Doc): string => {
  const commands = (doc.subcommands ?? []).flatMap(({ commands, group }) =>
    section(
      group ?? "Commands",
      commands.map(({ description, name, shortDescription }) => entry(name, shortDescription ?? description))
    )
  )
  const examples = (doc.examples ?? []).map(({ command, description }) =>
    description === undefined ? `  ${command}` : `  # ${description}\n  ${command}`
  )
  const args = (doc.args ?? []).map(({ description, name, variadic }) =>
    entry(
      `${name}${variadic ? "..." : ""}`,
      Option.getOrElse(description, () => "")
    )
  )
  const isRoot = doc.commandPath?.length === 1
  const globals = (doc.globalFlags ?? []).filter(({ name }) => isRoot || name === "help")
  const hasTimes = doc.flags.some(({ type }) => type === "TIME")
  return [
    wrap(doc.description, width()).join("\n"),
    usage(doc),
    ...section("Examples", examples),
    ...section("Arguments", args),
    ...commands,
    ...flagSections(doc.flags, globals),
    ...(commands.length > 0
      ? [`Each command has its own help: ${doc.commandPath?.join(" ") ?? "ezmq"} <command> --help`]
      : []),
    ...(hasTimes ? ["A TIME is like 500ms, 5s, 2m or forever. A bare number is of seconds."] : []),
    wrap(exitCodes, width()).join("\n")
  ].join("\n\n")
}

const formatter: CliOutput.Formatter = {
  ...CliOutput.defaultFormatter({ colors: false }),
  formatHelpDoc,
  formatVersion: (name, version) => `${name} ${version}`
}

export const layerHelp = CliOutput.layer(formatter)
