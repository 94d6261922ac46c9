/**
 * Makes the pages of the site from what stands in the repository: `docs`, the examples, the proof and the
 * benchmarks. They read well where they are, and links between files become links between pages here.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { basename, dirname, join, posix } from "node:path"

const here = import.meta.dirname
const root = dirname(here)
const pages = join(here, "pages")
const read = (file: string): string => readFileSync(join(root, file), "utf8")

/** The part of the README that is a page of its own here. */
const choice = "when-to-use-it-and-when-something-else"

/** Where a file of the repository is on the site, if it is a page. */
const pageOf = (file: string): string | undefined => {
  if (file === "README.md") return "index.md"
  if (file === `README.md#${choice}`) return "when.md"
  if (file === "docs/README.md") return "all-pages.md"
  if (file === "proof/RESULTS.md") return "proof.md"
  if (file === "bench/README.md") return "benchmarks.md"
  if (file.startsWith("docs/")) return file.slice("docs/".length)
  if (file === "examples") return "examples/index.md"
  if (/^examples\/[\w-]+\.(ts|py)$/.test(file)) return file.replace(/\.(ts|py)$/, "-$1.md").replace("-ts.md", ".md")
  return undefined
}

/** Where the source of the repository can be read, once it has a home: the field `repository` of package.json. */
const sourceOf = (file: string): string | undefined => {
  const { repository } = JSON.parse(read("package.json")) as { repository?: string | { url: string } }
  const url = typeof repository === "string" ? repository : repository?.url
  const home = url?.replace(/^git\+/, "").replace(/\.git$/, "")
  return home?.startsWith("https://") ? `${home}/blob/HEAD/${file}` : undefined
}

/** Text with its links changed, but not those in blocks of code. */
const withLinks = (markdown: string, change: (whole: string, text: string, link: string) => string): string =>
  markdown
    .split(/^( *```[\s\S]*?^ *```$)/m)
    .map((part, i) => (i % 2 === 1 ? part : part.replace(/(?<!`)\[((?:[^[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)/g, change)))
    .join("")

const code = (file: string): string =>
  `\`\`\`${file.endsWith(".py") ? "python" : "ts"}\n${read(file).trimEnd()}\n\`\`\``

// Pages that are a table more than a text.
const tables = new Set(["options", "features", "errors", "bounds"].map((name) => `docs/${name}.md`))

/** A page as the site has it: a line that is nothing but a link to an example is followed by the example. */
const page = (file: string, at: string = pageOf(file)!, markdown: string = read(file)): string => {
  const whole = markdown
    .replace(
      /^\[[^\]]+\]\(((?:\.\.\/)+examples\/[\w-]+\.(?:ts|py))\)$/gm,
      (line, link: string) => `${line}\n\n${code(posix.join(posix.dirname(file), link))}`
    )
    // What is shown there is said below it for those who have no picture.
    .replace(
      /<!-- where:.*-->([\s\S]*)<!-- end of where -->/,
      (_, words: string) =>
        `<details>\n<summary>The same in words</summary>\n${words.replace(/^### /gm, "#### ")}\n</details>`
    )
  const linked = withLinks(whole, (same, text, link) => {
    if (/^(https?:|mailto:|#|\/)/.test(link)) return same
    const [path = "", anchor] = link.split("#")
    const target = posix.join(posix.dirname(file), path).replace(/\/$/, "")
    if (/\.(svg|png)$/.test(target)) return `[${text}](/${basename(target)})`
    const ofPart = anchor === choice ? pageOf(`${target}#${anchor}`) : undefined
    const to = ofPart ?? pageOf(target)
    const hash = anchor === undefined || ofPart !== undefined ? "" : `#${anchor}`
    if (to !== undefined) return `[${text}](${posix.relative(posix.dirname(at), to)}${hash})`
    const source = sourceOf(target)
    return source === undefined ? text : `[${text}](${source})`
  })
  return tables.has(file) ? `---\naside: false\n---\n\n${linked}` : linked
}

/** What the first comment of an example says it is. */
const purpose = (file: string): string => {
  const comment = file.endsWith(".py") ? /^"""([\s\S]*?)"""/m : /^\/\*\*([\s\S]*?)\*\//m
  const text = comment.exec(read(file))?.[1] ?? ""
  return text
    .replace(/^\s*\* ?/gm, " ")
    .replace(/\s+/g, " ")
    .trim()
}

const examples = (): Array<string> =>
  readdirSync(join(root, "examples"))
    .filter((name) => /\.(ts|py)$/.test(name))
    .map((name) => `examples/${name}`)

const example = (file: string): string => {
  const name = basename(file)
  const run = file.endsWith(".ts") ? `Run it in a clone of the repository: \`npx tsx ${file}\`.` : ""
  return `# ${name}\n\n${purpose(file)}\n\n${code(file)}\n\n${run}\n`
}

const filesIn = (folder: string): Array<string> =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .map((name) => `${folder}/${name}`)
    .filter((file) => statSync(join(root, file)).isFile())

/** Writes a page, if it has changed. */
const write = (to: string, content: string | Buffer): void => {
  const path = join(pages, to)
  if (existsSync(path) && readFileSync(path).equals(Buffer.from(content))) return
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}

/** The folders and files that the pages are made from. */
export const sources = ["docs", "examples", "proof/RESULTS.md", "bench", "README.md", "site/home.md"].map((path) =>
  join(root, path)
)

/** Makes all pages but the reference, which is TypeDoc's. */
export const makePages = (): void => {
  const texts = filesIn("docs").filter((file) => file.endsWith(".md"))
  const made = new Map<string, string | Buffer>()
  for (const file of [...texts, "proof/RESULTS.md", "bench/README.md"]) made.set(pageOf(file)!, page(file))
  for (const file of examples()) made.set(pageOf(file)!, example(file))
  const list = examples().map((file) => `- [${basename(file)}](${basename(pageOf(file)!)}): ${purpose(file)}`)
  made.set(
    "examples/index.md",
    `# Examples\n\nEach is a short program, and the tests run each.\n\n${list.join("\n")}\n`
  )
  made.set("index.md", read("site/home.md"))
  const part = /^## (When to use it[\s\S]*?)(?=^## )/m.exec(read("README.md"))![1]!
  made.set("when.md", page("README.md", "when.md", `# ${part}`))
  // The first screen has the first program of the README.
  const first = /^```js\n([\s\S]*?)^```$/m.exec(read("README.md"))![1]!
  made.set("_first-program.md", `\`\`\`sh\nnpm install effect-zmq effect\n\`\`\`\n\n\`\`\`js\n${first}\`\`\`\n`)
  made.set("public/logo.svg", read("site/logo.svg"))
  for (const file of [...filesIn("docs"), ...filesIn("bench")].filter((file) => /\.(svg|png)$/.test(file))) {
    made.set(`public/${basename(file)}`, readFileSync(join(root, file)))
  }
  for (const [to, content] of made) write(to, content)
  // Those whose source is gone.
  for (const file of filesIn("site/pages").map((file) => file.slice("site/pages/".length))) {
    if (!made.has(file) && !file.startsWith("reference/")) rmSync(join(pages, file))
  }
}
