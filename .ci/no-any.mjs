// Fails if the word `any` stands in an emitted type. Comments may have it, and
// so may what Effect's own `Data.TaggedError` is, which is not exported.
import { readdirSync, readFileSync } from "node:fs"

const files = readdirSync("dist", { recursive: true }).filter(
  (file) => file.endsWith(".d.ts") && !file.startsWith("internal")
)
if (files.length === 0) throw new Error("dist has no types: run `npm run build` first")
const found = files.flatMap((file) =>
  readFileSync(`dist/${file}`, "utf8")
    .replace(/\/\*[^]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ""))
    .replace(/\/\/.*$/gm, "")
    .replace(/"[^"\n]*"/g, '""')
    .replace(/^declare const \w+_base: new <A extends Record<string, any> = \{\}>/gm, "")
    .split("\n")
    .flatMap((line, at) => (/\bany\b/.test(line) ? [`dist/${file}:${at + 1}: ${line.trim()}`] : []))
)
console.log(found.length === 0 ? `none in ${files.length} files` : found.join("\n"))
process.exitCode = found.length === 0 ? 0 : 1
