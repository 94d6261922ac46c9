/**
 * Worker threads that run generated commands on real sockets, and end in every
 * way that a thread can: `threads.ts SEED COUNT`. The process has to survive
 * all of them, and prints how each ended.
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"
import { Effect, Exit, Fiber, Scope } from "effect"
import { Zmq } from "effect-zmq"
import { threadScript } from "./child.ts"

const ways = ["closed", "throws, closed", "throws", "exits, closed", "exits"] as const
type Way = (typeof ways)[number]

interface Task {
  readonly seed: number
  readonly way: Way
}

const randomOf = (seed: number) => {
  let state = seed >>> 0
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below)
  }
}

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

type Any = Partial<Zmq.Receiver & Zmq.Sender>

const run = ({ seed }: Task, scope: Scope.Scope) =>
  Effect.gen(function* () {
    const random = randomOf(seed)
    const pick = <A>(from: ReadonlyArray<A>): A | undefined => from[random(Math.max(1, from.length))]
    const log: Array<string> = []
    const sockets: Array<Any> = []
    const scopes: Array<Scope.Closeable> = []
    const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
    const fork = <A, E>(self: Effect.Effect<A, E>) =>
      Effect.map(Effect.forkDetach(Effect.exit(self), { startImmediately: random(2) === 0 }), (fiber) => {
        fibers.push(fiber)
      })
    const open = Effect.gen(function* () {
      const own = yield* Scope.fork(scope)
      scopes.push(own)
      const bind = random(2) === 0 ? "tcp://127.0.0.1:*" : `inproc://thread-${seed}-${sockets.length}`
      const linger = random(2) * 50
      const pair = Effect.gen(function* () {
        switch (random(6)) {
          case 0: {
            const pull = yield* Zmq.pull({ bind })
            return [pull, yield* Zmq.push({ connect: pull.endpoints[0]!, linger, sendHighWaterMark: 2 })]
          }
          case 1: {
            const router = yield* Zmq.router({ bind, linger })
            return [router, yield* Zmq.dealer({ connect: router.endpoints[0]!, linger })]
          }
          case 2: {
            const pub = yield* Zmq.xpub({ bind, linger, noDrop: true })
            return [pub, yield* Zmq.sub({ connect: pub.endpoints[0]!, subscribe: [""] })]
          }
          case 3: {
            const one = yield* Zmq.pair({ bind, linger })
            return [one, yield* Zmq.pair({ connect: one.endpoints[0]!, linger })]
          }
          case 4:
            return [yield* Zmq.rawStream({ bind: "tcp://127.0.0.1:*", linger })]
          default:
            // Nobody is there: whoever sends waits.
            return [yield* Zmq.push({ bind, linger })]
        }
      })
      sockets.push(...((yield* Scope.provide(pair, own)) as ReadonlyArray<Any>))
    })

    for (let left = 10 + random(30); left > 0; left--) {
      const command = sockets.length === 0 ? 0 : random(9)
      log.push(String(command))
      switch (command) {
        case 0:
          if (scopes.length < 6) yield* open
          break
        case 1: {
          const recv = pick(sockets)!.recv
          if (recv !== undefined) yield* fork(Effect.timeout(recv, 1 + random(20)))
          break
        }
        case 2: {
          const recv = pick(sockets)!.recv
          if (recv !== undefined) yield* fork(Effect.forever(recv))
          break
        }
        case 3:
        case 4: {
          const send = pick(sockets)!.send
          if (send !== undefined) yield* fork(send([String(left), "x".repeat(random(300))]))
          break
        }
        case 5: {
          const runForEach = pick(sockets)!.runForEach
          if (runForEach !== undefined) yield* fork(runForEach(() => Effect.sleep(random(3)), { concurrency: 2 }))
          break
        }
        case 6: {
          const fiber = pick(fibers)
          if (fiber !== undefined) yield* Fiber.interrupt(fiber)
          break
        }
        case 7:
          if (random(4) === 0 && scopes.length > 0) yield* Scope.close(pick(scopes)!, Exit.void)
          break
        case 8:
          yield* turn
          break
      }
    }
    return fibers
  })

/** What a thread does. */
const thread = async (task: Task): Promise<void> => {
  const scope = Scope.makeUnsafe()
  const fibers = await Effect.runPromise(run(task, scope))
  if (task.way.includes("closed")) {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await Effect.runPromise(Fiber.interruptAll(fibers))
  }
  parentPort!.postMessage("ends")
  if (task.way.startsWith("throws")) {
    setImmediate(() => {
      throw new Error("on purpose")
    })
  }
  if (task.way.startsWith("exits")) process.exit(3)
}

const start = (task: Task): Promise<void> =>
  new Promise((resolve, reject) => {
    const broken = (what: string) => reject(new Error(`seed ${task.seed}, ${task.way}: ${what}`))
    const worker = new Worker(threadScript(import.meta.url), { eval: true, workerData: task })
    let said: unknown
    worker.on("message", (message) => {
      said = message
    })
    worker.on("error", (error) => {
      if (!task.way.startsWith("throws") || error.message !== "on purpose") broken(String(error.stack))
    })
    worker.on("exit", (code) => {
      const expected = task.way.startsWith("throws") ? 1 : task.way.startsWith("exits") ? 3 : 0
      if (said !== "ends") broken("it did not come to its end")
      else if (code !== expected) broken(`code ${code}`)
      else resolve()
    })
  })

if (isMainThread) {
  const [seed, count] = process.argv.slice(2).map(Number)
  const tasks = Array.from({ length: count! }, (_, at): Task => ({ seed: seed! + at, way: ways[at % ways.length]! }))
  // Two at a time: one thread ends while another is at work.
  let survived = 0
  const next = async (): Promise<void> => {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
      await start(task)
      survived++
    }
  }
  await Promise.all([next(), next()])
  console.log(`survived ${survived}`)
} else await thread(workerData as Task)
