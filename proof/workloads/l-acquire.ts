/** Sockets opened, bound, connected, used and closed, interrupted at random points of all that. */
import { readdirSync } from "node:fs"
import { Effect, Exit, Fiber, Scheduler, type Scope } from "effect"
import { Zmq } from "effect-zmq"
import { randomOf, seed } from "../moments.ts"
import type { Outcome, Size, Workload } from "../row.ts"
import { progress, settle, watchExit, watchFiber } from "../watch.ts"

const descriptors = (): number => {
  try {
    return readdirSync("/proc/self/fd").length
  } catch {
    return 0
  }
}

/** How many sockets the context has room for: those that were not closed take it up. */
const roomInContext = (): Promise<number> =>
  Effect.gen(function* () {
    for (let count = 0; count < 5000; count++) {
      if (Exit.isFailure(yield* Effect.exit(Zmq.pull({ monitor: false })))) return count
    }
    return 5000
  }).pipe(Effect.scoped, Effect.runPromise)

const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

/** Sockets end in a thread of libzmq, a little after they are closed. */
const atLast = async (read: () => number, good: (value: number) => boolean): Promise<number> => {
  for (let tries = 0; tries < 600 && !good(read()); tries++) await sleep(50)
  return read()
}

const run = async (size: Size): Promise<Outcome> => {
  const random = randomOf()
  // The first sockets open what stays: the context and its threads.
  for (let i = 0; i < 3; i++) await Effect.runPromise(Effect.scoped(Zmq.pull()))
  await sleep(200)
  const room = await roomInContext()
  await sleep(500)
  const before = descriptors()
  const folder = `ipc://@ezmq-acquire-${process.pid}`
  let opened = 0
  let interrupted = 0
  let failed = 0
  let brieflyInUse = 0
  const errors = new Map<string, number>()

  // The same names again and again: one that was not given back is in use.
  const kinds: ReadonlyArray<() => Effect.Effect<Zmq.Socket, Zmq.SocketError | Zmq.Closed | Zmq.Again, Scope.Scope>> = [
    () => Zmq.pull({ bind: `inproc://acquire-${process.pid}` }),
    () => Zmq.pull({ bind: "tcp://127.0.0.1:*", receiveHighWaterMark: 10 }),
    () => Zmq.router({ bind: [`${folder}-${random(1_000_000_000)}`, "tcp://127.0.0.1:*"] }),
    () => Zmq.push({ connect: ["tcp://localhost:9", "tcp://127.0.0.1:9"], linger: 0 }),
    () => Zmq.sub({ connect: "tcp://localhost:9", subscribe: ["a", "b"] }),
    () =>
      Effect.gen(function* () {
        const socket = yield* Zmq.dealer({ linger: 0 })
        yield* socket.bind("tcp://127.0.0.1:*")
        yield* socket.connect("tcp://localhost:9")
        return socket
      }),
    () =>
      Effect.gen(function* () {
        const socket = yield* Zmq.pull({ bind: `inproc://acquire-${process.pid}` })
        yield* Effect.timeoutOption(socket.recv, 0)
        return socket
      }),
    // Fails half-way, when the socket is there and its first endpoint is bound.
    () => Zmq.pull({ bind: ["tcp://127.0.0.1:*", "tcp://192.0.2.1:5555"] })
  ]

  const program = Effect.gen(function* () {
    for (let round = 0; round < size.count; round++) {
      const open = kinds[random(kinds.length)]!()
      // A fiber that yields every few operations can be interrupted between any two of them (with less than three Effect
      // itself gets nowhere).
      const fiber = watchFiber(
        yield* Effect.forkChild(Effect.provideService(Effect.scoped(open), Scheduler.MaxOpsBeforeYield, 3 + random(12)))
      )
      for (let yields = random(random(3) === 0 ? 60 : 15); yields > 0; yields--) yield* Effect.yieldNow
      if (random(5) > 0) yield* Fiber.interrupt(fiber)
      const exit = watchExit(yield* Fiber.await(fiber))
      if (Exit.isSuccess(exit)) opened++
      else {
        const reason = exit.cause.reasons[0]
        if (reason?._tag !== "Fail") interrupted++
        else {
          const error = reason.error
          if (error._tag === "BindError" && error.reason === "AddressInUse") {
            // libzmq gives a name back in another thread: it has to be free soon.
            brieflyInUse++
            let again: Exit.Exit<unknown, unknown> = exit
            for (let tries = 0; tries < 500 && Exit.isFailure(again); tries++) {
              yield* Effect.sleep(20)
              again = yield* settle(Effect.scoped(Zmq.pull({ bind: error.endpoint })))
            }
            if (Exit.isFailure(again))
              errors.set("name that stays in use", (errors.get("name that stays in use") ?? 0) + 1)
            continue
          }
          failed++
          const name =
            "reason" in error && typeof error.reason === "string" ? `${error._tag} ${error.reason}` : error._tag
          errors.set(name, (errors.get(name) ?? 0) + 1)
        }
      }
      // Sockets end in another thread, and a context holds a thousand.
      if (round % 200 === 199) yield* Effect.sleep(5)
      progress(() => `${round + 1} sockets`)
    }
  })
  await Effect.runPromise(settle(program))
  const after = await atLast(descriptors, (value) => value <= before)
  await sleep(200)
  let roomAfter = await roomInContext()
  for (let tries = 0; tries < 100 && roomAfter < room; tries++) {
    await sleep(300)
    roomAfter = await roomInContext()
  }
  const unexpected = [...errors].filter(([name]) => name !== "BindError AddressNotAvailable")
  return {
    sent: 0,
    delivered: 0,
    redelivered: 0,
    receivable: 0,
    lost: 0,
    duplicated: 0,
    outOfOrder: null,
    faults: [
      ...(after > before ? [`${after - before} file descriptors were left open`] : []),
      ...(roomAfter < room ? [`${room - roomAfter} sockets were left open`] : []),
      ...unexpected.map(([name, count]) => `${count} unexpected ${name}`)
    ],
    notes: [
      `${size.count} sockets: ${opened} opened and closed, ${interrupted} interrupted, ${failed} failed as they should`,
      `a name in use for a moment after its socket closed: ${brieflyInUse}`,
      `descriptors ${before} before, ${after} after`,
      `room in the context for ${room} sockets before, ${roomAfter} after`,
      `seed ${seed}`
    ]
  }
}

export const workload: Workload = {
  id: "l",
  title: "sockets opened and closed, interrupted at random points",
  counting: "Counts sockets and file descriptors, not messages.",
  alone: "it compares this library with itself, before and after",
  rows: [{ library: "effect-zmq", variant: "", quick: 2000, full: 20_000, limit: { quick: 180, full: 1200 }, run }]
}
