/** How sockets end: who waits is told at once, nothing stays open, and the process exits. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Logger, Metric, Option, References, Scope, Stream } from "effect"
import { Zmq } from "effect-zmq"
import { prepare } from "../src/internal/socket/options.ts"
import { nodeArguments, runCommand, runScript } from "./support/child.ts"
import {
  boundTo,
  failureOf,
  freshEndpoint,
  nextTurn,
  numbers,
  openFiles,
  outcome,
  pause,
  texts,
  transports,
  until
} from "./support/sockets.ts"

/** A socket, and what closes it. */
const closable = <A>(open: Effect.Effect<A, Zmq.SocketError, Scope.Scope>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const socket = yield* Scope.provide(open, scope)
    return { socket, close: Scope.close(scope, Exit.void) }
  })

const fork = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

describe("closing a socket", () => {
  for (const transport of transports) {
    it.effect(`with a pending receive over ${transport} fails it with Closed (EAGAIN natively)`, () =>
      Effect.gen(function* () {
        for (const early of [true, false]) {
          const { close, socket } = yield* closable(Zmq.pull({ bind: freshEndpoint(transport) }))
          const waiting = yield* fork(socket.recv)
          if (!early) yield* nextTurn
          yield* close
          expect(failureOf(yield* Fiber.await(waiting))).toMatchObject({ _tag: "Closed", operation: "recv" })
        }
      })
    )
  }

  it.effect("with many waiters fails all of them, and none with a defect", () =>
    Effect.gen(function* () {
      const { close, socket } = yield* closable(Zmq.dealer({ bind: freshEndpoint("inproc") }))
      const waiting = yield* Effect.forEach(
        numbers(0, 25).flatMap(() => [
          outcome(socket.recv),
          outcome(socket.recvString),
          outcome(Stream.runDrain(socket.messages)),
          outcome(socket.runForEach(() => Effect.void, { concurrency: 2 })),
          outcome(socket.send("x")),
          outcome(socket.sendAll(["x", "y"])),
          outcome(Stream.run(Stream.make("x"), socket.sink))
        ]),
        fork
      )
      yield* nextTurn
      yield* close
      const ends = yield* Effect.forEach(waiting, Fiber.join)
      expect(ends).toEqual(ends.map(() => "Closed"))
    })
  )

  it.effect("with requests that wait for their replies fails them with Closed", () =>
    Effect.gen(function* () {
      const router = yield* Zmq.router({ bind: freshEndpoint("inproc") })
      for (const open of [Zmq.req, Zmq.dealer]) {
        const { close, socket } = yield* closable<Zmq.Req | Zmq.Dealer>(open({ connect: boundTo(router) }))
        const waiting = yield* Effect.forEach([1, 2, 3], (number) => fork(outcome(socket.request(`${number}`))))
        yield* router.recv
        yield* nextTurn
        yield* close
        for (const fiber of waiting) expect(yield* Fiber.join(fiber)).toBe("Closed")
      }
    })
  )

  it.effect("with a blocked sender fails it with Closed, and its message is never sent", () =>
    Effect.gen(function* () {
      const endpoint = freshEndpoint("ipc")
      const { close, socket } = yield* closable(Zmq.push({ bind: endpoint }))
      const sending = yield* fork(outcome(socket.send("ghost")))
      yield* nextTurn
      yield* close
      expect(yield* Fiber.join(sending)).toBe("Closed")
      const push = yield* Zmq.push({ bind: endpoint })
      const pull = yield* Zmq.pull({ connect: endpoint })
      yield* push.send("real")
      expect(yield* pull.recvString).toBe("real")
      expect(yield* pull.drain).toEqual([])
    })
  )

  it.effect("ends a stream with Closed, in its typed errors", () =>
    Effect.gen(function* () {
      const { close, socket } = yield* closable(Zmq.pull({ bind: freshEndpoint("inproc") }))
      const push = yield* Zmq.push({ connect: boundTo(socket) })
      yield* push.sendAll(["a", "b"])
      const got: Array<string> = []
      const consumer = yield* fork(Stream.runForEach(socket.strings, (text) => Effect.sync(() => got.push(text))))
      yield* until(Effect.sync(() => got.length === 2))
      yield* close
      expect(failureOf(yield* Fiber.await(consumer))).toMatchObject({ _tag: "Closed" })
    })
  )

  it.effect("with messages in the mailbox: they are counted and logged, and can still be taken", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        lines.push(`${logLevel} ${message}`)
      })
      const left = Effect.map(
        Metric.snapshot,
        (all) =>
          (all.find(({ id }) => id === "zmq_messages_left_at_close")?.state as { count: number } | undefined)?.count ??
          0
      )
      const before = yield* left
      const { close, socket } = yield* closable(Zmq.pull({ bind: freshEndpoint("inproc") }))
      const push = yield* Zmq.push({ connect: boundTo(socket) })
      yield* push.sendAll(["1", "2", "3"])
      // A lease that is given back brings all three into the mailbox.
      const consumer = yield* fork(Stream.runForEach(socket.messages, () => Effect.never))
      yield* nextTurn
      yield* Fiber.interrupt(consumer)
      yield* close.pipe(
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "Debug")
      )
      expect(lines).toEqual([expect.stringContaining("Debug effect-zmq: messages were left")])
      const counted = (yield* left) - before
      expect(counted).toBeGreaterThan(0)
      // What was in the mailbox, and no more, is still there.
      const rest = (yield* socket.drain).flatMap(texts)
      expect(rest).toEqual(["1", "2", "3"].slice(0, counted))
      expect(yield* outcome(socket.recv)).toBe("Closed")
    })
  )

  it.effect("at the moment when a message arrives loses none that had been received", () =>
    Effect.gen(function* () {
      for (const number of numbers(0, 200)) {
        const { close, socket } = yield* closable(Zmq.pull({ bind: freshEndpoint("inproc") }))
        const push = yield* Zmq.push({ connect: boundTo(socket), linger: 0 })
        const waiting = yield* fork(Effect.exit(socket.recvString))
        if (number % 2 === 0) yield* nextTurn
        yield* push.send(`${number}`)
        if (number % 3 === 0) yield* nextTurn
        yield* close
        const exit = yield* Fiber.join(waiting)
        if (Exit.isSuccess(exit)) expect(exit.value).toBe(`${number}`)
        else expect(failureOf(exit)?._tag).toBe("Closed")
      }
    })
  )

  it.effect("twice, or while it is being used by its own finalizers, is no defect", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(
        Effect.scoped(
          Effect.gen(function* () {
            const outer = yield* Effect.scope
            const pull = yield* Zmq.pull()
            yield* Scope.provide(pull.bind(freshEndpoint("inproc")), outer)
            yield* pull.connect("inproc://nowhere")
            yield* Effect.addFinalizer(() => Effect.ignore(pull.recv.pipe(Effect.timeoutOption(0))))
            return yield* Effect.fail("why not" as const)
          })
        )
      )
      expect(failureOf(exit)).toBe("why not")
    })
  )

  it.effect("frees the name of an inproc endpoint at once", () =>
    Effect.gen(function* () {
      const endpoint = freshEndpoint("inproc")
      for (const _ of numbers(0, 300)) yield* Effect.scoped(Zmq.pull({ bind: endpoint }))
    })
  )

  it.effect("frees a name at once when opening failed after the bind", () =>
    Effect.gen(function* () {
      const endpoint = freshEndpoint("inproc")
      for (const _ of numbers(0, 300)) {
        expect(yield* outcome(Effect.scoped(Zmq.pull({ bind: [endpoint, "foo://bar"] })))).toBe("BindError")
        yield* Effect.scoped(Zmq.pull({ bind: endpoint }))
      }
    })
  )

  it.effect("an interrupted open leaves nothing open", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(Zmq.pull())
      const before = openFiles()
      for (const turns of numbers(0, 50)) {
        const open = Zmq.pull({ bind: freshEndpoint("inproc") })
        const fiber = yield* Effect.forkChild(Effect.scoped(Effect.andThen(open, Effect.never)))
        for (let turn = 0; turn < turns % 4; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        expect(Option.getOrUndefined(Exit.getCause(yield* Fiber.await(fiber)))).toSatisfy(
          (cause: Cause.Cause<Zmq.SocketError>) => Cause.hasInterruptsOnly(cause)
        )
        yield* until(Effect.sync(() => openFiles() <= before))
      }
    })
  )

  it.effect("2,000 sockets opened and closed leave no file open", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(Zmq.pull())
      const before = openFiles()
      const one = Effect.scoped(
        Effect.gen(function* () {
          const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc") })
          const push = yield* Zmq.push({ connect: boundTo(pull) })
          yield* push.send("x")
          yield* Fiber.interrupt(yield* fork(push.send("y")))
          expect(yield* pull.recvString).toBe("x")
          yield* Fiber.interrupt(yield* fork(pull.recv))
        })
      )
      for (let opened = 0; opened < 2000; opened += 2 * 20) {
        yield* Effect.all(
          Array.from({ length: 20 }, () => one),
          { concurrency: "unbounded" }
        )
        // libzmq closes in another thread, and has a limit of 1,023 sockets.
        yield* until(Effect.sync(() => openFiles() <= before + 100))
      }
      yield* until(Effect.sync(() => openFiles() <= before))
    })
  )
})

describe("1,000 sockets that were opened and closed", () => {
  for (const transport of ["tcp", "ipc"] as const) {
    it.effect(`over ${transport}, with a message on its way, leave no file open`, () =>
      Effect.gen(function* () {
        yield* Effect.scoped(Zmq.pull({ bind: freshEndpoint(transport) }))
        const before = openFiles()
        const one = Effect.scoped(
          Effect.gen(function* () {
            const pull = yield* Zmq.pull({ bind: freshEndpoint(transport) })
            const push = yield* Zmq.push({ connect: boundTo(pull) })
            yield* push.send("x")
            expect(yield* pull.recvString).toBe("x")
            yield* push.send("y")
          })
        )
        yield* Effect.forEach(numbers(0, 500), () => one, { concurrency: 20, discard: true })
        yield* until(Effect.sync(() => openFiles() <= before))
      })
    )
  }
})

describe("a watched socket that has closed while it waits for an inproc name to be bound", () => {
  const watched = (endpoint: string, linger: "1 minute" | 0) =>
    Effect.gen(function* () {
      const push = yield* Zmq.push({ bind: "tcp://127.0.0.1:*", linger })
      // With no peer at tcp, what it sends waits for that name.
      yield* push.connect(endpoint)
      return push
    })

  it.live("delivers what it has sent for as long as it lingers", () =>
    Effect.gen(function* () {
      const endpoint = freshEndpoint("inproc")
      yield* Effect.scoped(Effect.flatMap(watched(endpoint, "1 minute"), (push) => push.send("late")))
      yield* pause(20)
      const pull = yield* Zmq.pull({ bind: endpoint })
      expect(yield* pull.recvString).toBe("late")
    })
  )

  it.live("takes nothing from another that waits for the same", () =>
    Effect.gen(function* () {
      const endpoint = freshEndpoint("inproc")
      const other = yield* Zmq.push({ connect: endpoint })
      yield* other.send("1")
      yield* Effect.scoped(watched(endpoint, 0))
      yield* pause(50)
      const pull = yield* Zmq.pull({ bind: endpoint })
      yield* other.send("2")
      expect([yield* pull.recvString, yield* pull.recvString]).toEqual(["1", "2"])
    })
  )
})

it.live("sockets that waited for inproc names which nobody binds leave no file descriptor open", () =>
  Effect.gen(function* () {
    const before = openFiles()
    const name = freshEndpoint("inproc")
    for (const number of numbers(0, 50)) {
      yield* Effect.scoped(Zmq.push({ connect: [name, `${name}/${number}`] }))
    }
    yield* until(Effect.sync(() => openFiles() < before + 10))
  })
)

describe("a process ends by itself, with code 0 and no word on stderr", () => {
  const ends = (scenarios: ReadonlyArray<string>, stdout = "closed\n") =>
    Effect.gen(function* () {
      const ended = yield* runScript("closing.ts", ...scenarios)
      expect(ended).toMatchObject({ code: 0, signal: null, stderr: "", stdout })
      return ended
    })

  it.live(
    "after receives that nobody awaits, waiting ones, deferred ones (unhandled rejections), blocked senders",
    () => ends(["interrupted receives", "waiting receives", "deferred receives", "blocked senders"])
  )
  it.live("after connections to inproc names that nobody binds, on sockets that were watched", () =>
    ends(["connections to names that nobody binds"])
  )
  it.live.each([1, 2, 3])("after anything, done to sockets of any type in any order (seed %i)", (seed) =>
    Effect.map(runScript("anything.ts", `${seed}`), (ended) =>
      expect(ended).toMatchObject({ code: 0, signal: null, stderr: "", stdout: "done\n" })
    )
  )
  it.live("after sockets that could not be opened (SIGSEGV at exit)", () => ends(["half-built sockets"]))
  it.live("by process.exit with everything open", () => ends(["exit in the middle"], "exiting\n"))
  it.live("after worker threads that used sockets and closed their scopes (SIGABRT)", () => ends(["worker threads"]))

  it.live("after a worker thread that exits with everything pending (SIGABRT)", () => ends(["worker that exits"]))

  const few = [0, 1, 2, 3, 4, 6].flatMap((left) => [[left, "watched"] as const, [left, "unwatched"] as const])
  for (const [left, how] of few) {
    it.live(`that has ${left} file descriptors left, ${how} (SIGABRT, and a reaper that closes nothing any more)`, () =>
      Effect.gen(function* () {
        const node = [process.execPath, ...nodeArguments("descriptors.ts"), `${left}`, how]
        const ended = yield* runCommand("/bin/sh", ["-c", 'ulimit -n 200 && exec "$@"', "sh", ...node])
        expect(ended).toMatchObject({ code: 0, signal: null, stderr: "", stdout: "closed\n" })
      })
    )
  }

  it.live("after worker threads that exit while they watch connections (EADDRINUSE for ever after)", () =>
    ends(["worker that watches and exits"])
  )

  it.live("with a message that nobody takes, when its linger is over", () =>
    Effect.gen(function* () {
      const { stdout, ...ended } = yield* runScript("closing.ts", "unsendable")
      expect(ended).toMatchObject({ code: 0, signal: null, stderr: "" })
      expect(stdout).toMatch(/closed before all was delivered[\s\S]*\nclosed\n$/)
      // What would wait for ever is 5 seconds by default.
      for (const type of ["push", "pub", "req", "rep", "dealer", "router", "pair", "xpub", "rawStream"] as const) {
        expect(prepare(type, {}).settings.find(({ option }) => option === "linger")?.value).toBe(5000)
      }
    })
  )
})
