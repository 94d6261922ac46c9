/** Idle sockets in a worker thread, which are not watched: what they do, and what their peers do, takes effect. */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"
import { Effect, Exit, Scope, Stream } from "effect"
import { Zmq } from "effect-zmq"
import { threadScript } from "./child.ts"
import { until } from "./sockets.ts"

/** In the worker: connects in a scope that ends, and binds in one that is left by hand. */
const worker = (endpoint: string) =>
  Effect.gen(function* () {
    const pull = yield* Zmq.pull()
    const scope = yield* Scope.make()
    yield* Scope.provide(pull.connect(endpoint), scope)
    const rep = yield* Zmq.rep()
    const bound = yield* rep.bind("tcp://127.0.0.1:*")
    const said: Array<unknown> = []
    parentPort!.on("message", (text) => said.push(text))
    parentPort!.postMessage(bound)
    yield* until(Effect.sync(() => said.length === 1))
    yield* Scope.close(scope, Exit.void)
    yield* rep.unbind(bound)
    // Free at once, and bound again and again.
    for (let times = 0; times < 20; times++) yield* Effect.scoped(Zmq.pull({ bind: bound }))
    yield* Effect.scoped(rep.bind(bound))
    yield* until(Effect.sync(() => said.length === 2))
    parentPort!.close()
  }).pipe(Effect.scoped)

const endsOf = (socket: Zmq.Socket) =>
  Effect.gen(function* () {
    const seen = { ends: 0 }
    yield* Effect.forkScoped(
      Stream.runForEach(socket.events, ({ _tag }) =>
        Effect.sync(() => {
          if (_tag === "Disconnected") seen.ends++
        })
      ),
      { startImmediately: true }
    )
    return seen
  })

const main = Effect.gen(function* () {
  const push = yield* Zmq.push({ bind: "tcp://127.0.0.1:*" })
  const atPush = yield* endsOf(push)
  const thread = new Worker(threadScript(import.meta.url), { eval: true, workerData: push.endpoints[0] })
  const bound = yield* Effect.promise(() => new Promise<string>((resolve) => thread.once("message", resolve)))
  const req = yield* Zmq.req()
  const atReq = yield* endsOf(req)
  yield* req.connect(bound)
  yield* Effect.all([push.awaitPeers(1), req.awaitConnected])
  thread.postMessage("connected")
  yield* until(Effect.sync(() => atPush.ends === 1 && atReq.ends > 0))
  const ended = new Promise<number>((resolve) => thread.once("exit", resolve))
  thread.postMessage("heard")
  if ((yield* Effect.promise(() => ended)) !== 0) return yield* Effect.die("the thread failed")
  console.log("heard")
}).pipe(Effect.scoped)

await Effect.runPromise(isMainThread ? main : worker(workerData))
