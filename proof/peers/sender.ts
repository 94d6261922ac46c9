/**
 * Sends `name 0`, `name 1` … to an endpoint, and writes each number down once
 * its send has succeeded. Ends when its input does, and then sends what is left.
 *
 *     sender.ts ENDPOINT NAME OPTIONS
 */
import { Effect } from "effect"
import { Zmq } from "effect-zmq"
import { nextTurn } from "../moments.ts"
import { writeLine } from "./line.ts"

const [endpoint, name, options] = process.argv.slice(2)
const { pause = 0, ...socketOptions } = JSON.parse(options ?? "{}") as { pause?: number } & Zmq.PushOptions

let ended = false
process.stdin.on("end", () => {
  ended = true
})
process.stdin.resume()

const program = Effect.gen(function* () {
  const push = yield* Zmq.push({ ...socketOptions, connect: endpoint! })
  for (let number = 0; !ended; number++) {
    const sent = yield* Effect.timeoutOption(push.send([name!, String(number)]), "1 second")
    if (sent._tag === "None") {
      number--
      continue
    }
    writeLine(String(number))
    if (number % 20 === 19) yield* pause > 0 ? Effect.sleep(pause) : nextTurn
  }
})
await Effect.runPromise(Effect.scoped(program))
