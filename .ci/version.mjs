// Gives the command the version of the library, of which it is a part.
import { readFileSync, writeFileSync } from "node:fs"

const { version } = JSON.parse(readFileSync("package.json", "utf8"))
const file = "cli/package.json"
const cli = JSON.parse(readFileSync(file, "utf8"))
cli.version = version
cli.dependencies["effect-zmq"] = version
writeFileSync(file, `${JSON.stringify(cli, null, 2)}\n`)
