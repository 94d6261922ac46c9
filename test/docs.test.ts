/** Every example in the docs of the source, in `docs` and in the README compiles as it stands, and every link leads somewhere. */
import { execFile } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { expect, it } from "vitest"

const root = new URL("..", import.meta.url).pathname
const folder = `${root}node_modules/.cache/docs`
const read = (file: string): string => readFileSync(root + file, "utf8")
const pages = readdirSync(`${root}docs`, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".md"))
  .map((file) => `docs/${file}`)
const beside = ["AGENTS.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
const markdown = ["README.md", ...beside, ...pages]

interface Example {
  readonly where: string
  readonly code: string
}

/** The blocks between ```ts and ```, of Markdown or of doc comments. */
const examplesIn = (file: string): Array<Example> => {
  const examples: Array<Example> = []
  let lines: Array<string> | undefined
  read(file)
    .split("\n")
    .forEach((line, at) => {
      // In Markdown a block may be an item's of a list.
      const bare = file.endsWith(".ts") ? line.replace(/^\s*\* ?/, "") : line.replace(/^ +(?=```)/, "")
      if (lines === undefined) {
        if (/^```(ts|js)\b/.test(bare)) {
          lines = []
          examples.push({ where: `${file}:${at + 1}`, code: "" })
        }
      } else if (bare.startsWith("```")) {
        examples.push({ where: examples.pop()!.where, code: `${lines.join("\n")}\n` })
        lines = undefined
      } else lines.push(bare)
    })
  return examples
}

it("every example in the docs compiles", { timeout: 120_000 }, async () => {
  const sources = readdirSync(`${root}src`, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".ts")
  )
  const examples = [...markdown, ...sources.sort().map((file) => `src/${file}`)].flatMap(examplesIn)
  for (const file of ["README.md", "AGENTS.md", "docs/cancellation.md", "docs/stopping.md", "src/Zmq.ts"]) {
    expect(examples.some(({ where }) => where.startsWith(file))).toBe(true)
  }

  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  examples.forEach(({ code }, i) => {
    writeFileSync(`${folder}/example${i}.ts`, code)
  })
  const config = {
    extends: `${root}tsconfig.json`,
    compilerOptions: {
      noEmit: true,
      moduleDetection: "force",
      paths: { "effect-zmq": [`${root}src/index.ts`], "effect-zmq/*": [`${root}src/*.ts`] }
    },
    include: ["*.ts"]
  }
  writeFileSync(`${folder}/package.json`, JSON.stringify({ type: "module" }))
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(config))

  const tsc = `${root}node_modules/typescript/bin/tsc`
  const output = await promisify(execFile)(process.execPath, [tsc, "--noEmit", "--pretty", "false", "-p", folder]).then(
    ({ stdout }) => stdout,
    ({ stdout, message }: { stdout: string; message: string }) => stdout || message
  )
  // Say where the example is, and not where its copy is.
  const errors = output.replace(
    /^.*?example(\d+)\.ts\((\d+),/gm,
    (_, i, line) => `${examples[Number(i)]!.where} (line ${line} of the example, column `
  )
  expect(errors).toBe("")
})

// Whatever else they are called would not be compiled.
it("has programs in no other blocks", () => {
  const known = new Set(["ts", "js", "sh", "text", "python"])
  const others = markdown.flatMap((file) => {
    const opened = read(file)
      .split("\n")
      .filter((line) => /^ *```/.test(line))
      .filter((_, i) => i % 2 === 0)
    return opened.filter((line) => !known.has(line.trim().slice(3))).map((line) => `${file}: ${line}`)
  })
  expect(others).toEqual([])
})

/** Headings, as GitHub names them in links. */
const anchorsOf = (file: string): Set<string> =>
  new Set(
    [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replace(/[^\w\- ]/g, "")
        .replaceAll(" ", "-")
    )
  )

it("every link and every file that is named leads somewhere", () => {
  const broken = markdown.flatMap((file) => {
    const links = [...read(file).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!)
    const local = links.filter((link) => !/^https?:/.test(link))
    const named = read(file).match(/\b(test|examples|src|proof)\/[\w./-]+\.ts\b/g) ?? []
    const leads = (link: string): boolean => {
      const [path, anchor] = link.split("#")
      const target = path === "" ? file : join(dirname(file), path!)
      return existsSync(root + target) && (anchor === undefined || anchorsOf(target).has(anchor))
    }
    return [
      ...local.filter((link) => !leads(link)).map((link) => `${file}: ${link}`),
      ...named.filter((name) => !existsSync(root + name)).map((name) => `${file}: ${name}`)
    ]
  })
  expect(broken).toEqual([])
})

it("the index has every page and every example, and every page leads back to it", () => {
  const index = read("docs/README.md")
  const missing = pages.filter(
    (page) => page !== "docs/README.md" && !index.includes(`](${page.slice("docs/".length)})`)
  )
  const examples = readdirSync(`${root}examples`).filter((file) => file.endsWith(".ts"))
  missing.push(...examples.filter((file) => !index.includes(`](../examples/${file})`)))
  expect(missing).toEqual([])
  expect(pages.filter((page) => !/\]\((\.\.\/)*README\.md\)/.test(read(page)))).toEqual([])
})

// On the site it is the example itself, and the tests of the examples run each.
it("a page of a task has a whole program", () => {
  const tasks = pages.filter((page) => page.startsWith("docs/how-to/"))
  expect(tasks.length).toBeGreaterThan(8)
  const whole = /^\[(examples\/[\w-]+\.ts)\]\(\.\.\/\.\.\/\1\)$/m
  expect(tasks.filter((page) => !whole.test(read(page)))).toEqual([])
})

it("the README and what is for assistants are short", () => {
  for (const file of ["README.md", "AGENTS.md"]) expect(read(file).split("\n").length).toBeLessThan(200)
})

it("the changelog has the version of the package first", () => {
  const { version } = JSON.parse(read("package.json")) as { readonly version: string }
  const [first, second] = [...read("CHANGELOG.md").matchAll(/^## (.*)$/gm)].map(([, title]) => title!)
  const newest = first!.startsWith("Unreleased") ? second! : first!
  expect(`${newest} `.startsWith(`${version} `)).toBe(true)
})

it("who contributes is told of every room", () => {
  const rooms = readdirSync(`${root}src/internal`, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const named = new Set([...read("CONTRIBUTING.md").matchAll(/`(\w+)`/g)].map(([, name]) => name))
  expect(rooms.map(({ name }) => name).filter((name) => !named.has(name))).toEqual([])
})
