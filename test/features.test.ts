/**
 * The table of features: it leaves out no public name of PyZMQ and zeromq.js, and
 * promises no name that we do not have.
 */
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { scriptPath } from "./support/child.ts"

const root = new URL("..", import.meta.url).pathname
const read = (file: string): string => readFileSync(root + file, "utf8")
const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\/\/.*$/gm, "")

const page = read("docs/features.md")

/** What stands between backticks in one column of all tables that have it. */
const namesIn = (column: string): Set<string> => {
  const names = new Set<string>()
  let at = -1
  for (const line of page.split("\n")) {
    if (!line.startsWith("|")) at = -1
    else {
      const cells = line.split("|").slice(1, -1)
      const header = cells.findIndex((cell) => cell.trim() === column)
      if (header >= 0) at = header
      else for (const [, name] of (cells[at] ?? "").matchAll(/`([^`]+)`/g)) names.add(name!)
    }
  }
  return names
}

describe("the table of features", () => {
  it("has a row for every name of PyZMQ", (context) => {
    const { status, stdout } = spawnSync("/usr/bin/python3", [scriptPath("pyzmq_names.py")], { encoding: "utf8" })
    if (status !== 0) {
      expect(process.env.CI, "install the package python3-zmq").not.toBe("true")
      return context.skip("/usr/bin/python3 cannot import zmq: install the package python3-zmq")
    }
    const { names } = JSON.parse(stdout) as { names: Array<string> }
    expect(names.length).toBeGreaterThan(400)
    const rows = namesIn("PyZMQ")
    expect(names.filter((name) => !rows.has(name))).toEqual([])
  })

  it("has a row for every name of zeromq.js", () => {
    const names = [...declaredIn("index.d.ts"), ...declaredIn("draft.d.ts"), ...declaredIn("compat.d.ts")]
    const native = declaredIn("native.d.ts")
    const passedOn = /export \{([^}]*)\} from "\.\/native"/.exec(read("node_modules/zeromq/lib/index.d.ts"))![1]!
    const exported = new Set(passedOn.split(",").map((name) => name.trim()))
    names.push(...native.filter((name) => exported.has(name.split(".")[0]!)))
    expect(names.length).toBeGreaterThan(150)
    const rows = namesIn("zeromq.js")
    const missing = names.filter((name) => !rows.has(name) && !rows.has(name.slice(name.indexOf(".") + 1)))
    expect(missing).toEqual([])
  })

  it("names nothing of ours that is not there", () => {
    const unknown = [...namesIn("effect-zmq")].filter((name) => !isOurs(name))
    expect(unknown).toEqual([])
  })

  it("says which modules are not there yet, and no others", () => {
    expect(later.filter((module) => existsSync(`${root}src/${module}.ts`))).toEqual([])
  })
})

/** The exports of a declaration file of zeromq.js, and the members of its classes and interfaces. */
const declaredIn = (file: string): Array<string> => {
  const names: Array<string> = []
  let owner: { readonly name: string; readonly indent: string } | undefined
  for (const line of withoutComments(read(`node_modules/zeromq/lib/${file}`)).split("\n")) {
    const opened = /^(\s*)(?:export )?(?:declare )?(?:abstract )?(?:class|interface) (\w+)/.exec(line)
    const single = /^export (?:declare )?(?:const|function|type) (\w+)/.exec(line)
    if (opened !== null) {
      owner = line.trimEnd().endsWith("}") ? undefined : { name: opened[2]!, indent: opened[1]! }
      names.push(opened[2]!)
    } else if (single !== null) names.push(single[1]!)
    else if (owner !== undefined) {
      if (line.startsWith(`${owner.indent}}`)) owner = undefined
      else {
        const member = new RegExp(`^${owner.indent}    (?:readonly |get |set |static )*([a-z]\\w*)\\??[(<:]`).exec(line)
        if (member !== null && member[1] !== "constructor") names.push(`${owner.name}.${member[1]}`)
      }
    }
  }
  return names
}

// -----------------------------------------------------------------------------
// names of ours
// -----------------------------------------------------------------------------

const later = [...(/^Not in this version yet:(.*)$/m.exec(page)?.[1] ?? "").matchAll(/`(\w+)`/g)].map(
  ([, module]) => module!
)

const sources = readdirSync(`${root}src`).filter((file) => file.endsWith(".ts") && file !== "index.ts")
const everything = sources.map((file) => withoutComments(read(`src/${file}`))).join("\n")

/** The source of a module, with that of the files it passes on. */
const sourceOf = (module: string): string => {
  const text = withoutComments(read(`src/${module}.ts`))
  const passedOn = [...text.matchAll(/^export (?:type )?(?:\*|\{[^}]*\}) from "\.\/(\w+)\.ts"/gm)]
  return [text, ...passedOn.map(([, file]) => sourceOf(file!))].join("\n")
}

const isExported = (text: string, name: string): boolean =>
  new RegExp(`^export (?:declare )?(?:abstract )?(?:const|class|interface|type|function) ${name}\\b`, "m").test(text) ||
  [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].some(([, names]) => new RegExp(`\\b${name}\\b`).test(names!))

/** An exported type or class, up to the next export. */
const bodyOf = (text: string, name: string): string =>
  `${text}\nexport `.match(new RegExp(`^export (?:class|interface|type) ${name}\\b[\\s\\S]*?(?=^export )`, "m"))?.[0] ??
  ""

/** A field, or the tag of one of several. */
const isMember = (text: string, name: string): boolean =>
  text.includes(`readonly _tag: "${name}"`) ||
  new RegExp(`^\\s+(?:declare |static |readonly )*${name}\\??(?:: |\\(| = )`, "m").test(text)

/** `Zmq.pull`, `Zmq.SocketEvent.Closed`, `.recv`, `linger`, `"Protocol"`, `Effect.timeout` or `effect/socket`. */
const isOurs = (name: string): boolean => {
  if (name.startsWith('"')) return everything.includes(name)
  if (name.startsWith("effect/")) return existsSync(`${root}node_modules/effect/dist/${name.slice(7)}/index.d.ts`)
  if (plain.has(name)) return true
  if (/^\.?[a-z]\w*$/.test(name)) return isMember(everything, name.replace(".", ""))
  const [module = "", member = "", field] = name.split(".")
  if (existsSync(`${root}src/${module}.ts`)) {
    const text = sourceOf(module)
    return isExported(text, member) && (field === undefined || isMember(bodyOf(text, member), field))
  }
  const effect = `${root}node_modules/effect/dist/${module}.d.ts`
  if (existsSync(effect)) return isInEffect(readFileSync(effect, "utf8"), member)
  return later.includes(module)
}

const isInEffect = (text: string, name: string): boolean =>
  new RegExp(`^export (?:declare )?(?:const|function|class|interface|type) ${name}\\b|\\bas ${name}\\b`, "m").test(text)

// Not names of anybody: what an option or an endpoint is.
const plain = new Set([
  "tcp://*:*",
  "ws://",
  "pgm",
  "norm",
  "vmci",
  "wss",
  "Effect",
  "Stream",
  "Redacted",
  "SOCKS_PROXY"
])
