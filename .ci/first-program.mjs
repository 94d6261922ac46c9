// Prints the first program of the README: what is in its first block of code that imports the library.
import { readFileSync } from "node:fs"

const readme = readFileSync(process.argv[2], "utf8")
const blocks = [...readme.matchAll(/^```(?:js|ts)\n([^]*?)^```/gm)].map(([, code]) => code)
const first = blocks.find((code) => code.includes('from "effect-zmq"'))
if (first === undefined) throw new Error("the README has no program")
process.stdout.write(first)
