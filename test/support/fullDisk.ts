/** Says why nothing can be bound in the folder that is named. */
import { Effect } from "effect"
import { Zmq } from "effect-zmq"

const folder = process.argv[2]!
process.env.TMPDIR = folder

const program = Effect.gen(function* () {
  for (const monitor of [true, false]) {
    for (const bind of [`ipc://${folder}/a.sock`, "ipc://*"]) {
      const error = yield* Effect.flip(Effect.scoped(Zmq.pull({ bind, monitor })))
      console.log(`${bind}: ${error._tag === "BindError" ? error.reason : error._tag}`)
    }
  }
})

await Effect.runPromise(program)
