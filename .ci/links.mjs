// Fails if a page in a folder, the unpacked tarball, links to a file that is not there.
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"

const root = process.argv[2]
const pages = readdirSync(root, { recursive: true }).filter((file) => file.endsWith(".md"))
if (!pages.includes("README.md")) throw new Error(`${root} has no README.md`)
const broken = pages.flatMap((page) =>
  [...readFileSync(join(root, page), "utf8").matchAll(/\]\(([^)\s#]+)[^)]*\)/g)]
    .map(([, link]) => link)
    .filter((link) => !/^(https?|mailto):/.test(link) && !existsSync(join(root, dirname(page), link)))
    .map((link) => `${page}: ${link}`)
)
console.log(broken.length === 0 ? `all in ${pages.length} pages` : broken.join("\n"))
process.exitCode = broken.length === 0 ? 0 : 1
