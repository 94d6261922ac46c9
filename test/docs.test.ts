/** Every example in the docs of the source, in `docs` and in the README compiles as it stands. */
import { execFile } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { promisify } from "node:util"
import { expect, it } from "vitest"

const root = new URL("..", import.meta.url).pathname
const folder = `${root}node_modules/.cache/docs`

interface Example {
  readonly where: string
  readonly code: string
}

/** The blocks between ```ts and ```, of Markdown or of doc comments. */
const examplesIn = (file: string): Array<Example> => {
  const examples: Array<Example> = []
  let lines: Array<string> | undefined
  const text = readFileSync(root + file, "utf8")
  text.split("\n").forEach((line, at) => {
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
  const docs = readdirSync(`${root}docs`)
  const examples = [
    "README.md",
    ...docs.map((file) => `docs/${file}`),
    ...sources.sort().map((file) => `src/${file}`)
  ].flatMap(examplesIn)
  expect(examples.some(({ where }) => where.startsWith("README.md"))).toBe(true)
  expect(examples.some(({ where }) => where.startsWith("docs/cancellation.md"))).toBe(true)
  expect(examples.some(({ where }) => where.startsWith("src/Zmq.ts"))).toBe(true)

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

it("every file that the README names is there", () => {
  const readme = readFileSync(`${root}README.md`, "utf8")
  const named = new Set(readme.match(/\b(test|examples)\/[\w.-]+\.ts\b/g))
  expect(named.size).toBeGreaterThan(15)
  expect([...named].filter((file) => !existsSync(root + file))).toEqual([])
})
