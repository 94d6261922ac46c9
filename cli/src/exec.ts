/** A command of the shell for each message. */
import { spawn } from "node:child_process"
import * as Effect from "effect/Effect"
import { Failed } from "./failure.ts"

export interface Ran {
  /** `undefined` if it went well; else what became of it. */
  readonly failure: string | undefined
  readonly output: Buffer
}

/**
 * Runs a command with a message on its standard input. `{}` in it is the message as one word: it
 * reaches the shell as a parameter, so that nothing in a message is taken for a command.
 */
export const run = (
  command: string,
  message: string | Uint8Array,
  options: { readonly capture: boolean }
): Effect.Effect<Ran, Failed> =>
  Effect.callback((resume) => {
    const words = command.includes("{}") ? [Buffer.from(message).toString().replaceAll("\0", "")] : []
    const child = spawn("sh", ["-c", command.replaceAll("{}", '"$1"'), "ezmq", ...words], {
      stdio: ["pipe", options.capture ? "pipe" : "inherit", "inherit"]
    })
    const output: Array<Buffer> = []
    child.stdout?.on("data", (bytes: Buffer) => output.push(bytes))
    // It need not read its input.
    child.stdin?.on("error", () => {})
    child.stdin?.end(message)
    child.on("error", (error) =>
      resume(Effect.fail(new Failed({ message: `cannot run ${JSON.stringify(command)}: ${error.message}` })))
    )
    child.on("close", (code, signal) => {
      const failure = code === 0 ? undefined : signal === null ? `ended with code ${code}` : `was ended by ${signal}`
      resume(Effect.succeed({ failure, output: Buffer.concat(output) }))
    })
  })
