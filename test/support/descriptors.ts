/** Opens, binds and closes while hardly any file descriptors are left: descriptors.ts how-many watched|unwatched. */
import { closeSync, openSync } from "node:fs"
import { devNull } from "node:os"
import { Effect, Exit, Schedule } from "effect"
import { Zmq } from "effect-zmq"
import { openFiles, until } from "./sockets.ts"

const left = Number(process.argv[2])
const monitor = process.argv[3] === "watched"
const here = "tcp://127.0.0.1:*"

const program = Effect.gen(function* () {
  // What stays open from the first socket on.
  yield* Effect.scoped(Zmq.pull({ bind: here }))
  const taken: Array<number> = []
  try {
    for (;;) taken.push(openSync(devNull, "r"))
  } catch {
    // none left
  }
  for (const descriptor of taken.splice(0, left)) closeSync(descriptor)
  const exit = yield* Effect.exit(Effect.scoped(Zmq.pull({ bind: here, monitor })))
  for (const descriptor of taken) closeSync(descriptor)
  if (Exit.isFailure(exit)) {
    const reason = exit.cause.reasons[0]!
    if (reason._tag !== "Fail" || !("reason" in reason.error) || reason.error.reason !== "TooManySockets") {
      return yield* Effect.die(exit.cause)
    }
  }
  // libzmq still closes what is closed.
  const endpoint = yield* Effect.scoped(Effect.map(Zmq.pull({ bind: here }), (pull) => pull.endpoints[0]!))
  yield* Effect.retry(Effect.scoped(Zmq.pull({ bind: endpoint })), Schedule.spaced("1 millis"))
  const before = openFiles()
  for (let i = 0; i < 20; i++) yield* Effect.scoped(Zmq.pull({ bind: here }))
  // In another thread, whenever it gets to it.
  yield* until(Effect.sync(() => openFiles() <= before))
  console.log("closed")
})
await Effect.runPromise(program)
