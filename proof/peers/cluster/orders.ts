/** A client that executes a workflow for each line `ID FAILS PLACE`, and writes `end ID KIND`. */
import { createInterface } from "node:readline"
import { Effect, Exit, Queue } from "effect"
import { ClusterWorkflowEngine } from "effect/cluster"
import { writeLine } from "../line.ts"
import { Order } from "./order.ts"
import { readConfig } from "./peer.ts"
import { runClient } from "./run.ts"

const program = Effect.gen(function* () {
  const lines = yield* Queue.unbounded<string>()
  createInterface({ input: process.stdin }).on("line", (line) => Queue.offerUnsafe(lines, line))
  writeLine("ready")
  yield* Effect.forever(
    Effect.gen(function* () {
      const [id = "", fails, ...place] = (yield* Queue.take(lines)).split(" ")
      const exit = yield* Effect.exit(Order.execute({ id, fails: fails === "true", endsAt: place.join(" ") }))
      const [reason] = Exit.isSuccess(exit) ? [] : exit.cause.reasons
      const kind = Exit.isSuccess(exit) ? "value" : reason?._tag === "Fail" ? reason.error._tag : String(exit.cause)
      writeLine(`end ${id} ${kind.replaceAll(/\s+/g, "_").slice(0, 300)}`)
    })
  )
}).pipe(Effect.provide(ClusterWorkflowEngine.layer))

runClient(readConfig(), program)
