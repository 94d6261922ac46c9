/** Ways for a process and its sockets to end. Each must end by itself, with code 0 and nothing on stderr. */
import { tmpdir } from "node:os"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"
import { Effect, Exit, Fiber, References, Schedule, Scope, Stream } from "effect"
import { Zmq } from "effect-zmq"
import { byEngine } from "./byEngine.ts"
import { threadScript } from "./child.ts"

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

const everyReceiver = Effect.all([
  Zmq.pull({ bind: "tcp://127.0.0.1:*" }),
  Zmq.sub({ bind: "tcp://127.0.0.1:*", subscribe: "" }),
  Zmq.dealer({ bind: "tcp://127.0.0.1:*" }),
  Zmq.router({ bind: "tcp://127.0.0.1:*" }),
  Zmq.pair({ bind: "tcp://127.0.0.1:*" }),
  Zmq.xpub({ bind: "tcp://127.0.0.1:*" }),
  Zmq.xsub({ bind: "tcp://127.0.0.1:*" }),
  Zmq.rawStream({ bind: "tcp://127.0.0.1:*" }),
  Zmq.rep({ bind: "tcp://127.0.0.1:*" })
])

/** One message that no one will take. */
const unsendable = (path: string) =>
  Effect.gen(function* () {
    const push = yield* Zmq.push({ connect: `ipc://${path}`, linger: "100 millis" })
    yield* push.send("to nobody")
  })

const workerThread = (task: string) =>
  Effect.callback<{ readonly worker: Worker; readonly said: unknown }>((resume) => {
    const worker = new Worker(threadScript(import.meta.url), { eval: true, workerData: { task } })
    worker.once("message", (said) => resume(Effect.succeed({ worker, said })))
    worker.once("error", (error) => resume(Effect.die(error)))
  })
const ended = (worker: Worker) =>
  Effect.callback<number>((resume) => {
    worker.once("exit", (code) => resume(Effect.succeed(code)))
  })

const scenarios: Record<string, Effect.Effect<void>> = {
  // Receives that were interrupted go on natively, and nobody awaits them.
  "interrupted receives": Effect.scoped(
    Effect.gen(function* () {
      for (const socket of yield* everyReceiver) {
        const fiber = yield* Effect.forkChild(Effect.exit(socket.recv), { startImmediately: true })
        yield* turn
        yield* Fiber.interrupt(fiber)
      }
    })
  ).pipe(Effect.orDie),

  "waiting receives": Effect.gen(function* () {
    const scope = yield* Scope.make()
    const sockets = yield* Scope.provide(everyReceiver, scope)
    const fibers = yield* Effect.forEach(sockets, (socket) => Effect.forkChild(Effect.flip(socket.recv)))
    yield* turn
    yield* Scope.close(scope, Exit.void)
    for (const fiber of fibers) {
      const error = yield* Fiber.join(fiber)
      if (error._tag !== "Closed") return yield* Effect.die(error)
    }
  }).pipe(Effect.orDie),

  // The 513th native call of a turn is put off, and is then rejected with ENOTSOCK.
  "deferred receives": Effect.scoped(
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: "inproc://deferred", receiveHighWaterMark: 0 })
      const push = yield* Zmq.push({ connect: "inproc://deferred", sendHighWaterMark: 0 })
      yield* push.sendAll(Array.from({ length: 3000 }, (_, index) => `${index}`))
      const fiber = yield* Effect.forkChild(Effect.forever(pull.recv), { startImmediately: true })
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
    })
  ).pipe(Effect.orDie),

  "blocked senders": Effect.gen(function* () {
    const scope = yield* Scope.make()
    const push = yield* Scope.provide(Zmq.push({ bind: "tcp://127.0.0.1:*" }), scope)
    const fibers = yield* Effect.forEach([1, 2, 3], (n) => Effect.forkChild(Effect.flip(push.send(`${n}`))))
    yield* turn
    yield* Scope.close(scope, Exit.void)
    for (const fiber of fibers) yield* Fiber.join(fiber)
  }).pipe(Effect.orDie),

  // libzmq never ends such a socket, nor tells those who watch it of its end.
  "connections to names that nobody binds": Effect.gen(function* () {
    const watched = Effect.gen(function* () {
      const push = yield* Zmq.push({ bind: "tcp://127.0.0.1:*", linger: "50 millis" })
      yield* push.connect("inproc://nobody")
      yield* push.send("to nobody")
      return push
    })
    yield* Effect.scoped(watched)
    yield* Effect.scoped(Effect.flatMap(watched, (push) => push.disconnect("inproc://nobody")))
    // One that is not watched keeps the others waiting for as long as it is open:
    // until their linger is over, so that the end of this one has to end them.
    const open = yield* Scope.make()
    yield* Scope.provide(Zmq.push({ connect: "inproc://nobody" }), open)
    yield* Effect.sleep("100 millis")
    yield* Scope.close(open, Exit.void)
  }).pipe(Effect.orDie),

  unsendable: Effect.orDie(Effect.scoped(unsendable(`${tmpdir()}/effect-zmq-nobody`))),

  "exit in the middle": Effect.gen(function* () {
    const scope = yield* Scope.make()
    for (const socket of yield* Scope.provide(everyReceiver, scope)) {
      yield* Effect.forkDetach(Effect.exit(socket.recv), { startImmediately: true })
    }
    const push = yield* Scope.provide(Zmq.push({ bind: "tcp://127.0.0.1:*" }), scope)
    yield* Effect.forkDetach(Effect.exit(push.send("x")), { startImmediately: true })
    yield* Scope.provide(unsendable(`${tmpdir()}/effect-zmq-nobody`), scope)
    yield* turn
    console.log("exiting")
    process.exit(0)
  }).pipe(Effect.orDie),

  "half-built sockets": Effect.gen(function* () {
    const bad = [
      { nonsense: 1 },
      { receiveHighWaterMark: -5 },
      { routingId: "" },
      { bind: "tcp://127.0.0.1:99999" },
      { bind: ["inproc://half", "foo://bar"] },
      { connect: ["inproc://half", "tcp://"] },
      // known to be wrong only when libzmq is asked
      { tcpAcceptFilter: "::1" },
      { bind: "tcp://192.0.2.1:*" }
    ]
    for (const options of bad) yield* Effect.flip(Effect.scoped(Zmq.dealer(options as never)))
  }).pipe(Effect.orDie),

  "worker threads": Effect.gen(function* () {
    for (let round = 0; round < 2; round++) {
      const { said, worker } = yield* workerThread("closes its scopes")
      const code = yield* ended(worker)
      if (said !== "100 received" || code !== 0) return yield* Effect.die(`${said}, code ${code}`)
    }
  }),

  "worker that exits": Effect.gen(function* () {
    const { worker } = yield* workerThread("exits in the middle")
    yield* ended(worker)
  }),

  // libzmq's reaper would wait for ever to tell of the end of a socket whose
  // observer is gone, and close no socket of the process any more.
  "worker that watches and exits": Effect.gen(function* () {
    for (let round = 0; round < 2; round++) {
      const { said, worker } = yield* workerThread("watches and exits")
      yield* ended(worker)
      const free = Effect.scoped(Zmq.pull({ bind: String(said) }))
      yield* Effect.retry(free, Schedule.spaced("1 millis"))
    }
  }).pipe(Effect.orDie)
}

const workerTasks: Record<string, (say: (text: string) => void) => Effect.Effect<void>> = {
  "closes its scopes": (say) =>
    Effect.scoped(
      Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
        const push = yield* Zmq.push({ connect: pull.endpoints[0]! })
        yield* push.sendAll(Array.from({ length: 100 }, (_, index) => `${index}`))
        let received = 0
        for (; received < 100; received++) yield* pull.recv
        const waiting = yield* Effect.forkChild(pull.recv, { startImmediately: true })
        const blocked = yield* Zmq.push({ bind: "tcp://127.0.0.1:*" })
        yield* Effect.forkChild(Effect.exit(blocked.send("x")), { startImmediately: true })
        yield* turn
        yield* Fiber.interrupt(waiting)
        say(`${received} received`)
      })
    ).pipe(Effect.orDie),
  "exits in the middle": (say) =>
    Effect.scoped(
      Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
        const waiting = yield* Effect.forkChild(pull.recv, { startImmediately: true })
        yield* turn
        say("exiting")
        yield* Effect.sync(() => process.exit(0))
        yield* Fiber.join(waiting)
      })
    ).pipe(Effect.asVoid, Effect.orDie),
  "watches and exits": (say) =>
    Effect.scoped(
      Effect.gen(function* () {
        const late = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
        // In another thread, libzmq is to be watched from the first endpoint on.
        const isLate = byEngine({ zeromq: true, zmtp: false })
        if (isLate && (yield* Effect.flip(late.awaitPeers(1)))._tag !== "InvalidState")
          return yield* Effect.die("not told")
        const pull = yield* Zmq.pull()
        const arrived = yield* Effect.forkChild(pull.awaitPeers(1), { startImmediately: true })
        yield* pull.bind("tcp://127.0.0.1:*")
        const push = yield* Zmq.push()
        const connected = yield* Effect.forkChild(push.awaitPeers(1), { startImmediately: true })
        yield* push.connect(pull.endpoints[0]!)
        yield* push.connect("tcp://127.0.0.1:1")
        yield* Fiber.join(arrived)
        yield* Fiber.join(connected)
        yield* push.sendAll(Array.from({ length: 100 }, (_, index) => `${index}`))
        // One that cannot deliver what it has sent.
        yield* Effect.scoped(
          Effect.gen(function* () {
            const other = yield* Zmq.push({ linger: "20 millis" })
            yield* Effect.forkScoped(Stream.runDrain(other.events), { startImmediately: true })
            yield* other.connect("tcp://127.0.0.1:1")
            yield* other.send("to nobody")
          })
        ).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
        say(pull.endpoints[0]!)
        yield* Effect.sync(() => process.exit(0))
      })
    ).pipe(Effect.orDie)
}

if (isMainThread) {
  for (const scenario of process.argv.slice(2)) await Effect.runPromise(scenarios[scenario]!)
  console.log("closed")
} else {
  const { task } = workerData as { readonly task: string }
  await Effect.runPromise(workerTasks[task]!((text) => parentPort!.postMessage(text)))
}
