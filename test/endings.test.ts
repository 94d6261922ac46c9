/**
 * How `serve` and `runForEach` end: a handler that succeeds has settled its
 * message, interrupted or not; each message is settled or goes back.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schedule, Scope } from "effect"
import { Draft, Zmq } from "effect-zmq"
import type { Message } from "../src/Message.ts"
import {
  messageOf,
  openNow,
  openScripted,
  outcome,
  type ScriptedSocket,
  turns,
  turnsUntil
} from "./support/scripted.ts"
import { numbers, until } from "./support/sockets.ts"
import { sweep } from "./support/sweep.ts"

const untilSo = (done: () => boolean) => until(Effect.sync(done))
type Run = Fiber.Fiber<unknown, { readonly _tag: string }>
const aFewTurns = Effect.promise(() => turns(20))

// -----------------------------------------------------------------------------
// serve, at each of its steps
// -----------------------------------------------------------------------------

/** A socket that serves, what its requests look like, and the number of the one that it replied to or that is back. */
interface Server {
  readonly port: ScriptedSocket
  readonly stats: () => Zmq.Stats
  readonly serve: (reply: (body: string) => Effect.Effect<string>) => Effect.Effect<unknown, unknown>
  readonly request: (peer: string, body: string) => Message
  /** What is back, each as the text of its body. */
  readonly back: () => Promise<Array<string>>
}

const bodies = (messages: ReadonlyArray<Message>) => messages.map((message) => `${message.at(-1)}`)
const idOf = (peer: string) => Buffer.from(peer.padEnd(4, ".").slice(0, 4))

const servers: Record<string, () => Server> = {
  ...Object.fromEntries(
    [{ concurrency: 1 }, { concurrency: 3 }, { concurrency: 2, span: "request" }].map((options) => [
      `a ROUTER, ${options.concurrency} at a time${options.span === undefined ? "" : ", with spans,"}`,
      (): Server => {
        const { port, socket } = openNow(Zmq.router(), { admission: "ask" })
        return {
          port,
          stats: () => socket.stats,
          serve: (reply) => socket.serve(([body]) => reply(`${body}`), options),
          request: (peer, body) => messageOf(idOf(peer), "", body),
          back: async () => bodies(await Effect.runPromise(socket.drain))
        }
      }
    ])
  ),
  "a SERVER": () => {
    const { port, socket } = openNow(Draft.server(), { admission: "ask" })
    return {
      port,
      stats: () => socket.stats,
      serve: (reply) => socket.serve(({ data }) => reply(`${data}`), { concurrency: 2 }),
      request: (peer, body) => messageOf(idOf(peer), body),
      back: async () => (await Effect.runPromise(socket.drain)).map(({ data }) => `${data}`)
    }
  },
  "a REP": () => {
    const { port, socket } = openNow(Zmq.rep(), { admission: "ask" })
    return {
      port,
      stats: () => socket.stats,
      serve: (reply) => socket.serve(([body]) => reply(`${body}`)),
      request: (_, body) => messageOf(body),
      back: async () => {
        const all: Array<string> = []
        for (let one = await Effect.runPromise(socket.tryRecv); one._tag === "Some"; ) {
          all.push(`${one.value[0]}`)
          // So that it may receive again.
          await Effect.runPromise(socket.send("by hand"))
          one = await Effect.runPromise(socket.tryRecv)
        }
        return all
      }
    }
  }
}

type Reply = (body: string, begun: Array<string>) => Effect.Effect<string>
const slowly: Reply = (body, begun) =>
  Effect.gen(function* () {
    begun.push(body)
    yield* Effect.yieldNow
    yield* Effect.void
    yield* Effect.yieldNow
    return `re ${body}`
  })
const replies: Record<string, Reply> = {
  "at once": (body, begun) =>
    Effect.sync(() => {
      begun.push(body)
      return `re ${body}`
    }),
  slowly,
  "uninterruptibly, slowly": (body, begun) => Effect.uninterruptible(slowly(body, begun)),
  "in a fiber of its own": (body, begun) => Effect.flatMap(Effect.forkChild(slowly(body, begun)), Fiber.join)
}

describe("serve, interrupted at each of its steps, replies to each request once or gives it back", () => {
  for (const [name, open] of Object.entries(servers)) {
    for (const [how, reply] of Object.entries(replies)) {
      it.live(`${name} that replies ${how}`, () =>
        Effect.promise(async () => {
          let gaveBack = 0
          const steps = await sweep(() => {
            const server = open()
            const { port } = server
            const begun: Array<string> = []
            let stuck = true
            port.answer = (message) =>
              stuck && Buffer.from(message[0] as Uint8Array).toString() === "slow" ? "full" : "sent"
            const arrive = (peer: string, body: string) => port.arriveMessage(server.request(peer, body))
            arrive("slow", "0")
            arrive("good", "1")
            return {
              program: server.serve((body) => reply(body, begun)),
              all: true,
              script: async () => {
                await turns()
                arrive("slow", "2")
                await turns()
                arrive("good", "3")
                await turns(3)
                stuck = false
                await turns(3)
              },
              check: async ({ moment, step }) => {
                const where = `interrupted ${moment} at step ${step}`
                // A reply that is owed is sent though nobody serves any more.
                await turns(10)
                const replied = bodies(port.sent.map((text) => messageOf(text.slice(text.indexOf("re ") + 3))))
                const putBack = server.stats().putBack
                const back = await server.back()
                expect({ where, all: [...replied, ...back].sort() }).toEqual({ where, all: ["0", "1", "2", "3"] })
                expect({ where, back }).toEqual({ where, back: back.toSorted() })
                if (how.startsWith("uninterruptibly")) {
                  expect({ where, unsettled: begun.filter((body) => !replied.includes(body)) }).toEqual({
                    where,
                    unsettled: []
                  })
                }
                // None was replied to and also put back, and none handled twice.
                expect({ where, begun: new Set(begun).size }).toEqual({ where, begun: begun.length })
                expect(putBack).toBeLessThanOrEqual(back.length)
                expect(port.violations).toEqual([])
                gaveBack += putBack
              }
            }
          })
          expect(steps).toBeGreaterThan(40)
          expect(gaveBack).toBeGreaterThan(0)
        })
      )
    }
  }
})

describe("runForEach, interrupted at each of its steps, has settled each message whose handler has succeeded", () => {
  for (const options of [{ concurrency: 1 }, { concurrency: 3 }, { concurrency: 2, span: "message" }]) {
    it.live(`${options.concurrency} at a time${options.span === undefined ? "" : ", with spans"}`, () =>
      Effect.promise(async () => {
        const steps = await sweep(() => {
          const { port, socket } = openNow(Zmq.pull())
          const begun: Array<string> = []
          port.arrive("0", "1", "2")
          return {
            program: socket.runForEach(([body]) => Effect.uninterruptible(slowly(`${body}`, begun)), options),
            all: true,
            script: async () => {
              await turns(2)
              port.arrive("3")
              await turns(3)
            },
            check: async ({ moment, step }) => {
              const where = `interrupted ${moment} at step ${step}`
              const back = (await Effect.runPromise(socket.drain)).map(([body]) => `${body}`)
              const all = [...begun, ...back]
              // Each of them once; and in order, one at a time.
              expect({ where, all: options.concurrency === 1 ? all : all.toSorted() }).toEqual({
                where,
                all: ["0", "1", "2", "3"]
              })
              expect(socket.stats.putBack).toBeLessThanOrEqual(back.length)
            }
          }
        })
        expect(steps).toBeGreaterThan(40)
      })
    )
  }
})

// -----------------------------------------------------------------------------
// handlers that go on
// -----------------------------------------------------------------------------

/** Handlers that end when they are told to. */
const gates = () => {
  const waiting = new Map<string, () => void>()
  return {
    waiting,
    wait: (name: string): Effect.Effect<void> =>
      Effect.callback((resume) => {
        waiting.set(name, () => {
          waiting.delete(name)
          resume(Effect.void)
        })
      }),
    open: (name: string) => waiting.get(name)!()
  }
}

const open = Effect.gen(function* () {
  const { port, socket } = yield* openScripted(Zmq.router(), { admission: "ask" })
  const gate = gates()
  const say = (...texts: ReadonlyArray<string>) => {
    for (const text of texts) port.arriveMessage(messageOf("peer", text))
  }
  const left = Effect.map(socket.drain, bodies)
  return { port, socket, gate, say, left }
})

describe("A handler that may not be interrupted", () => {
  it.live("settles its message, and is waited for", () =>
    Effect.gen(function* () {
      const { gate, left, say, socket } = yield* open
      const run = yield* Effect.forkChild(
        socket.runForEach(([, body]) => Effect.uninterruptible(gate.wait(`${body}`)), { concurrency: 2 })
      )
      say("0", "1", "2")
      yield* untilSo(() => gate.waiting.size === 2)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(run))
      yield* aFewTurns
      expect(outcome(run)).toBe("running")
      gate.open("1")
      yield* aFewTurns
      expect(outcome(run)).toBe("running")
      expect([...gate.waiting.keys()]).toEqual(["0"])
      gate.open("0")
      yield* Fiber.join(interrupting)
      expect(outcome(run)).toBe("interrupted")
      expect(socket.stats.putBack).toBe(0)
      expect(yield* left).toEqual(["2"])
    }).pipe(Effect.scoped)
  )

  it.live("is interrupted where it may be again, and its message goes back", () =>
    Effect.gen(function* () {
      const { gate, left, say, socket } = yield* open
      const seen: Array<string> = []
      const run = yield* Effect.forkChild(
        socket.runForEach(() =>
          Effect.uninterruptibleMask((restore) =>
            gate.wait("first").pipe(
              Effect.andThen(restore(gate.wait("second"))),
              Effect.onInterrupt(() => Effect.sync(() => void seen.push("interrupted")))
            )
          )
        )
      )
      say("0")
      yield* untilSo(() => gate.waiting.has("first"))
      yield* Effect.forkChild(Fiber.interrupt(run))
      yield* aFewTurns
      gate.open("first")
      yield* untilSo(() => outcome(run) === "interrupted")
      expect(seen).toEqual(["interrupted"])
      expect(socket.stats.putBack).toBe(1)
      expect(yield* left).toEqual(["0"])
    }).pipe(Effect.scoped)
  )

  for (const how of ["fails", "dies", "interrupts itself"] as const) {
    it.live(`is waited for when another ${how}, whose message alone goes back`, () =>
      Effect.gen(function* () {
        const { gate, left, say, socket } = yield* open
        const ends = {
          fails: Effect.fail("broken" as const),
          dies: Effect.die("broken"),
          "interrupts itself": Effect.interrupt
        }
        const run = yield* Effect.forkChild(
          socket.runForEach(
            ([, body]) => (`${body}` === "1" ? ends[how] : Effect.uninterruptible(gate.wait(`${body}`))),
            { concurrency: 2 }
          )
        )
        say("0", "1", "2")
        yield* untilSo(() => gate.waiting.size === 1)
        yield* aFewTurns
        expect(run.pollUnsafe()).toBeUndefined()
        expect(socket.stats.putBack).toBe(0)
        gate.open("0")
        expect(Exit.isFailure(yield* Fiber.await(run))).toBe(true)
        expect(socket.stats.putBack).toBe(1)
        expect(yield* left).toEqual(["1", "2"])
      }).pipe(Effect.scoped)
    )
  }

  it.live("has its reply sent", () =>
    Effect.gen(function* () {
      const { gate, left, port, say, socket } = yield* open
      const run = yield* Effect.forkChild(
        socket.serve(([body]) => Effect.uninterruptible(Effect.as(gate.wait(`${body}`), `re ${body}`)), {
          concurrency: 2
        })
      )
      say("0", "1", "2")
      yield* untilSo(() => gate.waiting.size === 2)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(run))
      yield* aFewTurns
      gate.open("1")
      gate.open("0")
      yield* Fiber.join(interrupting)
      expect(port.sent).toEqual(["peer|re 1", "peer|re 0"])
      expect(socket.stats.putBack).toBe(0)
      expect(yield* left).toEqual(["2"])
    }).pipe(Effect.scoped)
  )

  it.live("is waited for by whoever interrupts a second time", () =>
    Effect.gen(function* () {
      const { gate, say, socket } = yield* open
      const run = yield* Effect.forkChild(socket.runForEach(() => Effect.uninterruptible(gate.wait("it"))))
      say("0")
      yield* untilSo(() => gate.waiting.size === 1)
      const both = yield* Effect.forEach([1, 2], () => Effect.forkChild(Fiber.interrupt(run)))
      yield* aFewTurns
      run.interruptUnsafe()
      yield* aFewTurns
      expect(both.map((fiber) => outcome(fiber))).toEqual(["running", "running"])
      gate.open("it")
      yield* Fiber.joinAll(both)
      expect(socket.stats).toMatchObject({ putBack: 0, queued: 0 })
    }).pipe(Effect.scoped)
  )
})

describe("A run", () => {
  for (const concurrency of [1, 16, 1024, 5000]) {
    it.live(
      `with ${concurrency} handlers has ${Math.min(1024, concurrency)} at work, and gives back all they have`,
      () =>
        Effect.gen(function* () {
          const { left, say, socket } = yield* open
          const begun: Array<string> = []
          const all = numbers(0, 1100).map(String)
          const run = yield* Effect.forkChild(
            socket.runForEach(
              ([, body]) => {
                begun.push(`${body}`)
                return Effect.never
              },
              { concurrency }
            )
          )
          say(...all)
          yield* untilSo(() => begun.length === Math.min(1024, concurrency))
          yield* aFewTurns
          expect(begun).toEqual(all.slice(0, Math.min(1024, concurrency)))
          yield* Fiber.interrupt(run)
          expect(socket.stats.putBack).toBe(begun.length)
          expect(yield* left).toEqual(all)
        }).pipe(Effect.scoped)
    )
  }

  const stops: Record<string, (run: () => Run) => Effect.Effect<unknown>> = {
    "and waits for that": (run) => Effect.suspend(() => Fiber.interrupt(run())),
    "and goes on": (run) =>
      Effect.andThen(
        Effect.sync(() => run().interruptUnsafe()),
        Effect.never
      ),
    "and is done": (run) => Effect.sync(() => run().interruptUnsafe()),
    "in a fiber that it forks": (run) =>
      Effect.andThen(
        Effect.forkChild(
          Effect.suspend(() => Fiber.interrupt(run())),
          { startImmediately: true }
        ),
        Effect.never
      )
  }
  for (const [how, stop] of Object.entries(stops)) {
    for (const concurrency of [1, 3]) {
      it.live(`whose handler interrupts it ${how}, ends (${concurrency} at a time)`, () =>
        Effect.gen(function* () {
          const { left, say, socket } = yield* open
          // Some are there when it begins.
          say("0", "stop", "2")
          yield* Effect.forkScoped(socket.send(["peer", "x"]))
          const handled: Array<string> = []
          let run: Run
          run = yield* Effect.forkChild(
            socket.runForEach(
              ([, body]) => {
                handled.push(`${body}`)
                return `${body}` === "stop" ? stop(() => run) : Effect.void
              },
              { concurrency }
            )
          )
          yield* untilSo(() => outcome(run) === "interrupted")
          const back = yield* left
          // Where it is done as it interrupts it may go back or not, and is not lost.
          expect([...new Set([...handled, ...back])].sort()).toEqual(["0", "2", "stop"])
          if (how !== "and is done") expect(back).toContain("stop")
        }).pipe(Effect.scoped)
      )
    }
  }

  it.live("that is interrupted at once has taken nothing", () =>
    Effect.gen(function* () {
      const { left, say, socket } = yield* open
      for (const startImmediately of [true, false]) {
        say("0")
        let handled = 0
        const run = yield* Effect.forkChild(
          socket.runForEach(
            () => {
              handled++
              return Effect.never
            },
            { concurrency: 3 }
          ),
          { startImmediately }
        )
        yield* Fiber.interrupt(run)
        expect(socket.stats.putBack).toBeLessThanOrEqual(handled)
        expect(yield* left).toEqual(["0"])
      }
    }).pipe(Effect.scoped)
  )

  it.live("whose handlers fork others lets go of them as any fiber does", () =>
    Effect.gen(function* () {
      const { left, say, socket } = yield* open
      const ended: Array<string> = []
      const saying = (text: string) => Effect.sync(() => void ended.push(text))
      const run = yield* Effect.forkChild(
        socket.runForEach(([, body]) =>
          Effect.forkChild(
            Effect.onInterrupt(Effect.never, () => saying(`${body}`)),
            { startImmediately: true }
          )
        )
      )
      say("0", "1")
      yield* untilSo(() => socket.stats.queued === 0 && socket.stats.messagesIn === 2)
      yield* aFewTurns
      yield* Fiber.interrupt(run)
      yield* untilSo(() => ended.length === 2)
      expect(socket.stats.putBack).toBe(0)
      expect(yield* left).toEqual([])
    }).pipe(Effect.scoped)
  )

  it.live("fails with Closed when its socket closes, and so does serve", () =>
    Effect.gen(function* () {
      for (const serves of [false, true]) {
        const { close, socket } = openNow(Zmq.router(), { admission: "ask" })
        const run = Effect.runFork(serves ? socket.serve(() => Effect.never) : socket.runForEach(() => Effect.never))
        yield* aFewTurns
        yield* Effect.promise(close)
        yield* untilSo(() => outcome(run as Run) === "Closed")
      }
    })
  )
})

// The worker that is started for the second try has its message before its fiber is known.
it.live("A run that is interrupted while it starts a handler waits for that", () =>
  Effect.promise(async () => {
    const { port, socket } = openNow(Zmq.pull())
    const gate = gates()
    const settled: Array<string> = []
    let tries = 0
    const run: Run = Effect.runFork(
      socket.runForEach(
        ([body]) => {
          if (++tries === 1) return Effect.fail("again")
          run.interruptUnsafe()
          return Effect.uninterruptible(
            Effect.andThen(
              gate.wait(`${body}`),
              Effect.sync(() => settled.push(`${body}`))
            )
          )
        },
        { retry: Schedule.spaced("1 millis"), orElse: () => Effect.die("given up") }
      )
    )
    port.arrive("0")
    expect(await turnsUntil(() => gate.waiting.size > 0)).toBe(true)
    port.arrive("1")
    await turns(5)
    expect(run.pollUnsafe()).toBeUndefined()
    expect(socket.stats.putBack).toBe(0)
    gate.open("0")
    expect(await turnsUntil(() => run.pollUnsafe() !== undefined)).toBe(true)
    expect({ outcome: outcome(run), settled, tries }).toEqual({ outcome: "interrupted", settled: ["0"], tries: 2 })
    expect((await Effect.runPromise(socket.drain)).map(String)).toEqual(["1"])
  })
)

it.live("A run whose handler fails at once begins no other", () =>
  Effect.gen(function* () {
    const { port, socket } = yield* openScripted(Zmq.pull())
    port.arrive("first", "1", "2", "3")
    expect(yield* socket.recvString).toBe("first")
    const handled: Array<string> = []
    const run = socket.runForEach(
      ([body]) => {
        handled.push(`${body}`)
        return Effect.fail("no")
      },
      { concurrency: 3 }
    )
    expect(yield* Effect.flip(run)).toBe("no")
    expect(handled).toEqual(["1"])
    expect((yield* socket.drain).map(String)).toEqual(["1", "2", "3"])
  }).pipe(Effect.scoped)
)

it.live("A request whose reply is made when its socket has closed is left, and its serve fails with Closed", () =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const { port, socket } = yield* Scope.provide(openScripted(Zmq.router()), scope)
    let reply: (() => void) | undefined
    const run = yield* Effect.forkChild(
      socket.serve(
        () =>
          Effect.uninterruptible(
            Effect.callback<string>((resume) => {
              reply = () => resume(Effect.succeed("late"))
            })
          ),
        { concurrency: 2 }
      )
    )
    port.arriveMessage(messageOf("client", "?"))
    yield* Effect.promise(() => turnsUntil(() => reply !== undefined))
    yield* Scope.close(scope, Exit.void)
    expect(socket.stats.leftAtClose).toBe(0)
    reply!()
    expect(yield* Effect.flip(Fiber.join(run))).toMatchObject({ _tag: "Closed" })
    expect(socket.stats).toMatchObject({ leftAtClose: 1, messagesOut: 0 })
  })
)

describe("The receive timeout of a socket", () => {
  it.live("does not end a serve that waits for requests, and ends a runForEach", () =>
    Effect.gen(function* () {
      for (const open of [Zmq.router, Zmq.rep]) {
        const { port, socket } = yield* openScripted<Zmq.Router | Zmq.Rep, unknown>(
          open({ receiveTimeout: "5 millis" }),
          { admission: "ask" }
        )
        const run = yield* Effect.forkScoped(socket.serve(([body]) => Effect.succeed(`re ${body}`)))
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 30)))
        expect(outcome(run)).toBe("running")
        port.arriveMessage(socket.type === "rep" ? messageOf("?") : messageOf("peer", "", "?"))
        yield* untilSo(() => port.sent.length === 1)
        expect(outcome(run)).toBe("running")
      }
      const { socket } = yield* openScripted(Zmq.router({ receiveTimeout: "5 millis" }))
      const run = yield* Effect.forkScoped(socket.runForEach(() => Effect.void))
      yield* untilSo(() => outcome(run) === "Again")
    }).pipe(Effect.scoped)
  )
})

describe("The send timeout of a socket", () => {
  it.live("does not end a serve whose client does not read, which gets its reply when it does", () =>
    Effect.gen(function* () {
      for (const sendTimeout of ["0 millis", "5 millis"] as const) {
        const { port, socket } = yield* openScripted(Zmq.router({ sendTimeout }), { admission: "ask" })
        let stuck = true
        port.answer = (message) =>
          stuck && Buffer.from(message[0] as Uint8Array).toString() === "slow" ? "full" : "sent"
        const run = yield* Effect.forkScoped(socket.serve(([body]) => Effect.succeed(`re ${body}`)))
        port.arriveMessage(messageOf("slow", "", "0"))
        port.arriveMessage(messageOf("good", "", "1"))
        yield* untilSo(() => port.sent.length === 1)
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 30)))
        expect(outcome(run)).toBe("running")
        expect(port.sent).toEqual(["good||re 1"])
        stuck = false
        yield* untilSo(() => port.sent.length === 2)
        expect(port.sent[1]).toBe("slow||re 0")
      }
    }).pipe(Effect.scoped)
  )
})
