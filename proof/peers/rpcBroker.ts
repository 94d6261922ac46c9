/** A broker of RPC. Arguments: where clients connect, and where servers do. */
import { Effect } from "effect"
import { makeBroker } from "effect-zmq/Rpc"
import { writeLine } from "./line.ts"

const [frontend = "", backend = ""] = process.argv.slice(2)

Effect.runFork(
  Effect.scoped(
    Effect.andThen(
      makeBroker({ frontend: { bind: frontend }, backend: { bind: backend } }),
      Effect.andThen(
        Effect.sync(() => writeLine("started")),
        Effect.never
      )
    )
  )
)
