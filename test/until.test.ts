/**
 * The option `until`: nothing new is taken, handlers that run are finished, and
 * the run succeeds. Over scripted sockets, where a test says what happens when.
 */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, type Fiber } from "effect"
import { Draft, Zmq } from "effect-zmq"
import { messageOf, openNow, type ScriptedSocket, turns, turnsUntil } from "./support/scripted.ts"
import { sweep } from "./support/sweep.ts"

const bodies = (messages: ReadonlyArray<Zmq.Message>) => messages.map((message) => `${message.at(-1)}`)
const idOf = (peer: string) => Buffer.from(peer.padEnd(4, ".").slice(0, 4))

/** A run that handles messages until it is told to stop. */
interface Subject {
  readonly port: ScriptedSocket
  readonly run: <E, E2>(
    handle: (body: string) => Effect.Effect<string, E>,
    until: Effect.Effect<void, E2>
  ) => Effect.Effect<void, unknown>
  readonly arrive: (...bodies: ReadonlyArray<string>) => void
  readonly left: () => Promise<Array<string>>
  readonly stats: () => Zmq.Stats
  /** Whether what handlers make is sent. */
  readonly replies: boolean
}

const asSubject = (
  port: ScriptedSocket,
  socket: { readonly stats: Zmq.Stats },
  rest: Pick<Subject, "run" | "left" | "replies">,
  message: (body: string) => Zmq.Message
): Subject => ({
  port,
  stats: () => socket.stats,
  arrive: (...bodies) => {
    for (const body of bodies) port.arriveMessage(message(body))
  },
  ...rest
})

const subjects: Record<string, () => Subject> = {
  ...Object.fromEntries(
    [1, 3].flatMap((concurrency) => [
      [
        `runForEach, ${concurrency} at a time`,
        () => {
          const { port, socket } = openNow(Zmq.pull())
          return asSubject(
            port,
            socket,
            {
              run: (handle, until) => socket.runForEach(([body]) => handle(`${body}`), { concurrency, until }),
              left: async () => bodies(await Effect.runPromise(socket.drain)),
              replies: false
            },
            messageOf
          )
        }
      ],
      [
        `serve of a ROUTER, ${concurrency} at a time`,
        () => {
          const { port, socket } = openNow(Zmq.router(), { admission: "ask" })
          return asSubject(
            port,
            socket,
            {
              run: (handle, until) => socket.serve(([body]) => handle(`${body}`), { concurrency, until }),
              left: async () => bodies(await Effect.runPromise(socket.drain)),
              replies: true
            },
            (body) => messageOf("peer", "", body)
          )
        }
      ]
    ])
  ),
  "serve of a SERVER": () => {
    const { port, socket } = openNow(Draft.server(), { admission: "ask" })
    return asSubject(
      port,
      socket,
      {
        run: (handle, until) => socket.serve(({ data }) => handle(`${data}`), { concurrency: 2, until }),
        left: async () => (await Effect.runPromise(socket.drain)).map(({ data }) => `${data}`),
        replies: true
      },
      (body) => messageOf(idOf("peer"), body)
    )
  },
  "serve of a REP": () => {
    const { port, socket } = openNow(Zmq.rep(), { admission: "ask" })
    return asSubject(
      port,
      socket,
      {
        run: (handle, until) => socket.serve(([body]) => handle(`${body}`), { until }),
        left: async () => {
          const all: Array<string> = []
          for (let one = await Effect.runPromise(socket.tryRecv); one._tag === "Some"; ) {
            all.push(`${one.value[0]}`)
            await Effect.runPromise(socket.send("by hand"))
            one = await Effect.runPromise(socket.tryRecv)
          }
          return all
        },
        replies: true
      },
      messageOf
    )
  }
}

/** What was replied until now. */
const repliesOf = ({ port }: Subject) =>
  port.sent.filter((text) => text.includes("re ")).map((text) => text.slice(text.indexOf("re ") + 3))

/** Handlers that go on when they are told to. */
class Gate {
  readonly begun: Array<string> = []
  readonly done: Array<string> = []
  private readonly waiting = new Map<string, (effect: Effect.Effect<void, string>) => void>()

  readonly handle = (body: string): Effect.Effect<string, string> =>
    Effect.callback<void, string>((resume) => {
      this.begun.push(body)
      this.waiting.set(body, resume)
    }).pipe(
      Effect.map(() => {
        this.done.push(body)
        return `re ${body}`
      })
    )

  open(body: string): void {
    this.waiting.get(body)!(Effect.void)
  }
  break(body: string): void {
    this.waiting.get(body)!(Effect.fail(`broken ${body}`))
  }
}

const has = (done: () => boolean) => turnsUntil(done).then((so) => expect(so).toBe(true))
const start = <E>(subject: Subject, gate: Gate, until: Effect.Effect<void, E>) =>
  Effect.runFork(subject.run(gate.handle, until))
/** A run that goes on until it is told to stop. */
const started = (subject: Subject) => {
  const gate = new Gate()
  const stop = Deferred.makeUnsafe<void, string>()
  const tell = (how: Effect.Effect<void, string> = Effect.void) => Deferred.doneUnsafe(stop, how)
  return { subject, gate, tell, fiber: start(subject, gate, Deferred.await(stop)) }
}
const ends = async <A, E>(fiber: Fiber.Fiber<A, E>): Promise<Exit.Exit<A, E>> => {
  await has(() => fiber.pollUnsafe() !== undefined)
  return fiber.pollUnsafe()!
}

for (const [name, open] of Object.entries(subjects)) {
  describe(`until, of ${name},`, () => {
    it.live("takes nothing new, finishes what it has, and succeeds", () =>
      Effect.promise(async () => {
        const { fiber, gate, subject, tell } = started(open())
        subject.arrive("0", "1", "2", "3", "4", "5")
        await has(() => gate.begun.length > 0)
        await turns(10)
        const inHand = [...gate.begun]
        gate.open("0")
        await has(() => gate.begun.length > inHand.length)
        await turns(10)
        const running = gate.begun.filter((body) => body !== "0")
        tell()
        await turns(10)
        expect(fiber.pollUnsafe()).toBeUndefined()
        for (const body of running) {
          expect(fiber.pollUnsafe()).toBeUndefined()
          gate.open(body)
          await turns(3)
        }
        expect(await ends(fiber)).toEqual(Exit.void)
        expect(gate.done).toEqual(gate.begun)
        if (subject.replies) expect(repliesOf(subject)).toEqual(gate.done)
        subject.arrive("6")
        await turns(3)
        const left = await subject.left()
        expect([...gate.done, ...left]).toEqual(["0", "1", "2", "3", "4", "5", "6"])
        expect(subject.stats().putBack).toBe(0)
      })
    )

    it.live("ends a run that has nothing to do, at once", () =>
      Effect.promise(async () => {
        const { fiber, gate, subject, tell } = started(open())
        await turns(5)
        expect(fiber.pollUnsafe()).toBeUndefined()
        tell()
        subject.arrive("0")
        expect(await ends(fiber)).toEqual(Exit.void)
        await turns(5)
        expect(gate.begun).toEqual([])
        expect(await subject.left()).toEqual(["0"])
      })
    )

    it.live("that has succeeded before takes nothing", () =>
      Effect.promise(async () => {
        const subject = open()
        const gate = new Gate()
        subject.arrive("0")
        expect(await ends(start(subject, gate, Effect.void))).toEqual(Exit.void)
        expect(gate.begun).toEqual([])
        expect(await subject.left()).toEqual(["0"])
      })
    )

    it.live("that fails, fails the run, and what it has goes back", () =>
      Effect.promise(async () => {
        const { fiber, gate, subject, tell } = started(open())
        subject.arrive("0", "1")
        await has(() => gate.begun.length > 0)
        tell(Effect.fail("no"))
        expect(await ends(fiber)).toEqual(Exit.fail("no"))
        expect(gate.done).toEqual([])
        expect(await subject.left()).toEqual(["0", "1"])
      })
    )

    it.live("does not hide that a handler fails meanwhile", () =>
      Effect.promise(async () => {
        const { fiber, gate, subject, tell } = started(open())
        subject.arrive("0", "1")
        await has(() => gate.begun.length > 0)
        tell()
        await turns(3)
        gate.break("0")
        expect(await ends(fiber)).toEqual(Exit.fail("broken 0"))
        expect(await subject.left()).toEqual(["0", "1"])
      })
    )

    it.live("may be interrupted while it finishes, and then what it has goes back", () =>
      Effect.promise(async () => {
        const { fiber, gate, subject, tell } = started(open())
        subject.arrive("0", "1")
        await has(() => gate.begun.length > 0)
        tell()
        await turns(3)
        fiber.interruptUnsafe()
        const exit = await ends(fiber)
        expect(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)).toBe(true)
        expect(await subject.left()).toEqual(["0", "1"])
      })
    )

    it.live("is interrupted, and waited for, when the run ends before", () =>
      Effect.promise(async () => {
        const subject = open()
        const gate = new Gate()
        let interrupted = false
        const until = Effect.onInterrupt(Effect.never, () =>
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => {
              interrupted = true
            })
          )
        )
        const fiber = start(subject, gate, until)
        subject.arrive("0")
        await has(() => gate.begun.length > 0)
        gate.break("0")
        expect(await ends(fiber)).toEqual(Exit.fail("broken 0"))
        expect(interrupted).toBe(true)
      })
    )

    for (const what of ["told to stop", "interrupted", "interrupted as it stops"] as const) {
      it.live(`${what} at each of its steps, handles each message once or leaves it`, () =>
        Effect.promise(async () => {
          let cut = 0
          let stopped = 0
          const steps = await sweep(() => {
            const subject = open()
            const stop = Deferred.makeUnsafe<void>()
            const begun: Array<string> = []
            const done: Array<string> = []
            const tell = () => Deferred.doneUnsafe(stop, Effect.void)
            subject.arrive("0", "1")
            return {
              program: subject.run(
                (body) =>
                  Effect.gen(function* () {
                    begun.push(body)
                    yield* Effect.yieldNow
                    yield* Effect.void
                    yield* Effect.yieldNow
                    done.push(body)
                    return `re ${body}`
                  }),
                Deferred.await(stop)
              ),
              all: true,
              ...(what === "told to stop" ? { instead: tell } : {}),
              script: async () => {
                await turns(1)
                subject.arrive("2")
                if (what === "interrupted as it stops") tell()
                await turns(1)
                subject.arrive("3")
                await turns(3)
              },
              check: async ({ fiber, moment, step }) => {
                const where = `${moment} at step ${step}`
                await turns(5)
                const exit = fiber.pollUnsafe()!
                const putBack = subject.stats().putBack
                const left = await subject.left()
                expect({ where, all: [...new Set([...done, ...left])].sort() }).toEqual({
                  where,
                  all: ["0", "1", "2", "3"]
                })
                expect({ where, left }).toEqual({ where, left: left.toSorted() })
                if (subject.replies) {
                  expect({ where, replied: [...repliesOf(subject), ...left].sort() }).toEqual({
                    where,
                    replied: ["0", "1", "2", "3"]
                  })
                }
                if (Exit.isSuccess(exit)) {
                  stopped++
                  // What was begun was finished, and nothing came again.
                  expect({ where, begun: begun.sort(), putBack }).toEqual({ where, begun: done.toSorted(), putBack: 0 })
                  expect({ where, all: [...done, ...left].sort() }).toEqual({ where, all: ["0", "1", "2", "3"] })
                }
                if (left.length > 0) cut++
                expect(subject.port.violations).toEqual([])
              }
            }
          })
          expect(steps).toBeGreaterThan(20)
          expect(cut).toBeGreaterThan(5)
          if (what !== "interrupted") expect(stopped).toBeGreaterThan(what === "told to stop" ? 10 : 0)
        })
      )
    }
  })
}
