/**
 * Receives from an endpoint and writes each message down at once. Its receives
 * have a time limit of 1 ms. Ends when its input does.
 *
 *     receiver.ts ENDPOINT OPTIONS
 */
import { Effect } from "effect"
import { Zmq } from "effect-zmq"
import { writeLine } from "./line.ts"

const [endpoint, options] = process.argv.slice(2)
const { bind = false, ...socketOptions } = JSON.parse(options ?? "{}") as { bind?: boolean } & Zmq.PullOptions

const ended = new Promise<void>((resolve) => {
  process.stdin.on("end", () => resolve())
  process.stdin.resume()
})

const program = Effect.gen(function* () {
  const pull = yield* Zmq.pull({ ...socketOptions, ...(bind ? { bind: endpoint! } : { connect: endpoint! }) })
  while (true) {
    const message = yield* Effect.timeoutOption(pull.recv, "1 millis")
    if (message._tag === "Some") writeLine(`${message.value.map(String).join(" ")}`)
  }
})
await Effect.runPromise(
  Effect.raceFirst(
    Effect.scoped(program),
    Effect.promise(() => ended)
  )
)
