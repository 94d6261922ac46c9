// Says what is missing before a release, and fails if anything is: `npm publish` begins with it.
//
// The home of the project stands in one place, `repository` of package.json: npm, the command
// line and the site take it from there. It is not decided yet, and `.invalid` is a name that
// can never be one.
import { readdirSync, readFileSync } from "node:fs"

const { bugs, homepage, repository, version } = JSON.parse(readFileSync("package.json", "utf8"))
const home = repository.url.replace(/^git\+/, "").replace(/\.git$/, "")

const missing = []
if (new URL(home).hostname.endsWith(".invalid")) {
  missing.push("the home of the project: `repository.url` in package.json, and how to report a fault in SECURITY.md")
}
for (const [name, url] of [["bugs", bugs?.url], ["homepage", homepage]]) {
  if (url !== undefined && !url.startsWith(home)) missing.push(`\`${name}\` in package.json is not at ${home}`)
}
if (/not decided yet/.test(readFileSync("SECURITY.md", "utf8"))) {
  missing.push("SECURITY.md says still that the home is not decided yet")
}
const changes = readFileSync("CHANGELOG.md", "utf8")
const title = changes.match(/^## .*$/m)?.[0]
if (title !== `## ${version}`) missing.push(`the first title of CHANGELOG.md is "${title}", and should be "## ${version}"`)
for (const file of readdirSync(".changeset")) {
  if (file.endsWith(".md") && file !== "README.md") missing.push(`.changeset/${file} is in no version: npm run release:version`)
}
const cli = JSON.parse(readFileSync("cli/package.json", "utf8"))
if (cli.version !== version || cli.dependencies["effect-zmq"] !== version) {
  missing.push(`cli/package.json has not the version ${version}, of itself and of effect-zmq: npm run release:version`)
}

console.log(missing.length === 0 ? `${version} can be released` : `Before ${version} is released:\n- ${missing.join("\n- ")}`)
process.exitCode = missing.length === 0 ? 0 : 1
