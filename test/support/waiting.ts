/**
 * Threads whose sockets wait for the same inproc name. What one closes is no
 * business of the others, and the process ends by itself.
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"
import { Effect } from "effect"
import { Zmq } from "effect-zmq"
import { threadScript } from "./child.ts"
import { pause } from "./sockets.ts"

const name = "inproc://several-threads-wait"

/** A watched socket that waits for the name, and closes. */
const waitsAndCloses = Effect.scoped(
  Effect.gen(function* () {
    const push = yield* Zmq.push({ bind: "tcp://127.0.0.1:*", linger: 0, monitor: true })
    yield* push.connect(name)
  })
)

/** Sends to the name, and stays until it is told. */
const waits = (told: Promise<unknown>) =>
  Effect.gen(function* () {
    const push = yield* Zmq.push({ connect: name })
    yield* push.send("kept")
    parentPort!.postMessage("waits")
    yield* Effect.promise(() => told)
    parentPort!.close()
  }).pipe(Effect.scoped)

const closes = Effect.andThen(
  waitsAndCloses,
  Effect.sync(() => parentPort!.postMessage("closed"))
)

const start = (what: "waits" | "closes") => {
  const worker = new Worker(threadScript(import.meta.url), { eval: true, workerData: what })
  const said = Effect.promise(() => new Promise((resolve) => worker.once("message", resolve)))
  const ended = new Promise<number>((resolve) => worker.once("exit", resolve))
  return { worker, said, ended: Effect.promise(() => ended) }
}

const main = Effect.gen(function* () {
  const one = start("waits")
  yield* one.said
  // This thread gives the name up, and so does another.
  yield* waitsAndCloses
  const other = start("closes")
  yield* other.said
  yield* pause(600)
  const pull = yield* Zmq.pull({ bind: name })
  console.log(yield* pull.recvString)
  one.worker.postMessage("done")
  yield* one.ended
  yield* other.ended
}).pipe(Effect.scoped)

if (isMainThread) {
  await Effect.runPromise(main)
  // Nobody waits any more: a name that is given up keeps no process alive.
  await Effect.runPromise(waitsAndCloses)
} else {
  const told = new Promise((resolve) => parentPort!.once("message", resolve))
  await Effect.runPromise(workerData === "waits" ? waits(told) : closes)
  if (workerData === "closes") parentPort!.close()
}
