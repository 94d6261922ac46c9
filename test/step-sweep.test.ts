import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Codec, Zmq } from "effect-zmq"
import { messageOf, type Opened, openNow, type ScriptedSocket, turns, turnsUntil } from "./support/scripted.ts"
import { failureOf } from "./support/sockets.ts"
import { sweep } from "./support/sweep.ts"

const textOf = (message: Zmq.Message): string => message.map((frame) => frame.toString()).join("|")

const drainNow = async (socket: Zmq.Pull): Promise<Array<string>> => (await Effect.runPromise(socket.drain)).map(textOf)

// -----------------------------------------------------------------------------
// receives
// -----------------------------------------------------------------------------

type Loop = (socket: Zmq.Pull, got: Array<string>) => Effect.Effect<unknown, unknown>

/**
 * A receive as a method and as an accessor, in a loop that ends with the 4th
 * message. Nothing stands between the receive and the loop.
 */
const loops = <A, E, E2>(
  method: (socket: Zmq.Pull) => Effect.Effect<A, E>,
  accessor: Effect.Effect<A, E2, Zmq.Receiver>,
  texts: (value: A) => ReadonlyArray<string>
): { readonly [How in "method" | "accessor"]: Loop } => {
  const loop = <E, R>(receive: Effect.Effect<A, E, R>, got: Array<string>) =>
    Effect.gen(function* () {
      while (got.length < 4) {
        const before = got.length
        got.push(...texts(yield* receive))
        // one that does not wait
        if (got.length === before) yield* Effect.yieldNow
      }
    })
  return {
    method: (socket, got) => loop(method(socket), got),
    accessor: (socket, got) => Effect.provideService(loop(accessor, got), Zmq.Receiver, socket)
  }
}

const receives = {
  recv: loops(
    (socket) => socket.recv,
    Zmq.recv,
    (message) => [textOf(message)]
  ),
  recvString: loops(
    (socket) => socket.recvString,
    Zmq.recvString,
    (text) => [text]
  ),
  recvStrings: loops(
    (socket) => socket.recvStrings,
    Zmq.recvStrings,
    (texts) => [texts.join("|")]
  ),
  recvJson: loops(
    (socket) => socket.recvJson,
    Zmq.recvJson,
    (json) => [String(json)]
  ),
  recvSchema: loops(
    (socket) => socket.recvSchema(Schema.Number),
    Zmq.recvSchema(Schema.Number),
    (number) => [String(number)]
  ),
  recvAs: loops(
    (socket) => socket.recvAs(Codec.json(Schema.Number)),
    Zmq.recvAs(Codec.json(Schema.Number)),
    (number) => [String(number)]
  ),
  recvWithPeer: loops(
    (socket) => socket.recvWithPeer,
    Zmq.recvWithPeer,
    ([message]) => [textOf(message)]
  ),
  tryRecv: loops(
    (socket) => socket.tryRecv,
    Zmq.tryRecv,
    (message) => Option.toArray(message).map(textOf)
  ),
  drain: loops(
    (socket) => socket.drain,
    Zmq.drain,
    (messages) => messages.map(textOf)
  )
}

const arrivals = {
  "that are in the mailbox": {
    prepare: async ({ port, socket }: Opened<Zmq.Pull>) => {
      port.arrive("before", "0", "1", "2", "3")
      await Effect.runPromise(socket.recv)
      port.offered.shift()
    },
    script: async (_: ScriptedSocket) => {}
  },
  "that are there": {
    prepare: async ({ port }: Opened<Zmq.Pull>) => port.arrive("0", "1", "2", "3"),
    script: async (_: ScriptedSocket) => {}
  },
  "that arrive": {
    prepare: async () => {},
    script: async (port: ScriptedSocket) => {
      await turns(3)
      port.arrive("0")
      await turns(3)
      port.arrive("1", "2")
      await turns(3)
      port.arrive("3")
    }
  },
  "that arrive while it starts": {
    prepare: async ({ port }: Opened<Zmq.Pull>) => port.arrive("0"),
    script: async (port: ScriptedSocket) => {
      port.arrive("1")
      await turns()
      port.arrive("2")
      await Promise.resolve()
      port.arrive("3")
    }
  }
} as const

describe("A receive, interrupted at each of its steps", () => {
  for (const [name, hows] of Object.entries(receives)) {
    for (const [how, loop] of Object.entries(hows)) {
      for (const [when, { prepare, script }] of Object.entries(arrivals)) {
        it.live(`${name}, as ${how}, loses no message ${when}`, () =>
          Effect.promise(async () => {
            const steps = await sweep(async () => {
              const opened = openNow(Zmq.pull())
              const { port, socket } = opened
              const got: Array<string> = []
              await prepare(opened)
              return {
                program: loop(socket, got),
                script: () => script(port),
                check: async ({ moment, step }) => {
                  const left = await drainNow(socket)
                  const where = `interrupted ${moment} at step ${step}`
                  expect({ where, messages: [...got, ...left] }).toEqual({ where, messages: port.offered })
                  expect(port.violations).toEqual([])
                }
              }
            })
            expect(steps).toBeGreaterThan(10)
          })
        )
      }
    }
  }

  it.live("loses no message within its time limit, nor with one of 0", () =>
    Effect.promise(async () => {
      for (const receiveTimeout of ["1 hour", 0] as const) {
        for (const { prepare, script } of Object.values(arrivals)) {
          await sweep(async () => {
            const opened = openNow(Zmq.pull({ receiveTimeout }))
            const { port, socket } = opened
            const got: Array<string> = []
            const recv = socket.recvString
            await prepare(opened)
            return {
              program: Effect.gen(function* () {
                for (let i = 0; i < 50 && got.length < 4; i++) {
                  const exit: Exit.Exit<string, unknown> = yield* Effect.exit(
                    Effect.gen(function* () {
                      got.push(yield* recv)
                      return ""
                    })
                  )
                  if (Exit.isFailure(exit)) yield* Effect.yieldNow
                }
              }),
              script: () => script(port),
              check: async () => {
                expect([...got, ...(await drainNow(socket))]).toEqual(port.offered)
              }
            }
          })
        }
      }
    })
  )

  it.live("gets along with one who waits for messages of another shape", () =>
    Effect.promise(async () => {
      await sweep(() => {
        const { port, socket } = openNow(Zmq.pull())
        const got: Array<string> = []
        const refused: Array<string> = []
        const other = Effect.runFork(
          Effect.map(Effect.flip(socket.recvSchema(Schema.Boolean)), (error) => {
            if (error._tag === "DecodeError") refused.push(textOf(error.frames))
          })
        )
        return {
          program: Effect.gen(function* () {
            while (got.length < 2) got.push(yield* socket.recvString)
          }),
          script: async () => {
            await turns(2)
            port.arrive("0", "1", "2")
          },
          check: async () => {
            expect(Exit.isSuccess(await Effect.runPromise(Fiber.await(other)))).toBe(true)
            expect(refused.length).toBe(1)
            const left = await drainNow(socket)
            expect([...got, ...left]).toEqual(port.offered.filter((text) => !refused.includes(text)))
          }
        }
      })
    })
  )
})

describe("A woken receive, interrupted at each of its steps", () => {
  it.live("passes its message on to the next in line", () =>
    Effect.promise(async () => {
      let passedOn = 0
      await sweep(() => {
        const { port, socket } = openNow(Zmq.pull())
        const got: Array<string> = []
        const gotByOther: Array<string> = []
        let other: Fiber.Fiber<void, unknown> | undefined
        return {
          program: Effect.gen(function* () {
            got.push(yield* socket.recvString)
          }),
          script: async () => {
            await turns(3)
            other = Effect.runFork(
              Effect.gen(function* () {
                gotByOther.push(yield* socket.recvString)
              })
            )
            await turns(3)
            port.arrive("0")
          },
          check: async () => {
            // Nothing else arrives.
            await turns(4)
            expect([...got, ...gotByOther]).toEqual(["0"])
            if (gotByOther.length === 1) passedOn++
            other?.interruptUnsafe()
          }
        }
      })
      expect(passedOn).toBeGreaterThan(3)
    })
  )

  it.live("passes it on along a line of 5 who are all interrupted but the last", () =>
    Effect.promise(async () => {
      await sweep(() => {
        const { port, socket } = openNow(Zmq.pull())
        const got: Array<string> = []
        const receive = Effect.gen(function* () {
          got.push(yield* socket.recvString)
        })
        const others: Array<Fiber.Fiber<void, unknown>> = []
        return {
          program: receive,
          script: async () => {
            await turns(2)
            for (let i = 0; i < 4; i++) others.push(Effect.runFork(receive))
            await turns(2)
            port.arrive("0")
            // in the very tick in which the message gets to the mailbox, and the next
            for (const other of others.slice(0, 3)) {
              await Promise.resolve()
              other.interruptUnsafe()
            }
          },
          check: async () => {
            await turns(4)
            expect(got).toEqual(["0"])
          }
        }
      })
    })
  )
})

// -----------------------------------------------------------------------------
// streams
// -----------------------------------------------------------------------------

type Consumer = (socket: Zmq.Pull, handle: (text: string) => Effect.Effect<void>) => Effect.Effect<unknown, unknown>

const through = <A, E, E2>(
  method: (socket: Zmq.Pull) => Stream.Stream<A, E>,
  accessor: Stream.Stream<A, E2, Zmq.Receiver>,
  text: (value: A) => string
): { readonly [How in "method" | "accessor"]: Consumer } => ({
  method: (socket, handle) => Stream.runForEach(method(socket), (value) => handle(text(value))),
  accessor: (socket, handle) =>
    Effect.provideService(
      Stream.runForEach(accessor, (value) => handle(text(value))),
      Zmq.Receiver,
      socket
    )
})

const forEachWith = (concurrency: number): { readonly [How in "method" | "accessor"]: Consumer } => ({
  method: (socket, handle) => socket.runForEach((message) => handle(textOf(message)), { concurrency }),
  accessor: (socket, handle) =>
    Effect.provideService(
      Zmq.runForEach((message) => handle(textOf(message)), { concurrency }),
      Zmq.Receiver,
      socket
    )
})

const consumers = {
  messages: [through((socket) => socket.messages, Zmq.messages, textOf), 1],
  strings: [through((socket) => socket.strings, Zmq.strings, String), 1],
  stream: [through((socket) => socket.stream(Schema.Number), Zmq.stream(Schema.Number), String), 1],
  "runForEach, 1 at a time,": [forEachWith(1), 1],
  "runForEach, 3 at a time,": [forEachWith(3), 3]
} as const

// What a handler does with its message, and where in it the message is handled.
const handlers: { readonly [name: string]: (text: string, handled: Array<string>) => Effect.Effect<void> } = {
  "at once": (text, handled) => Effect.sync(() => void handled.push(text)),
  "in the end": (text, handled) =>
    Effect.gen(function* () {
      yield* Effect.void
      yield* Effect.yieldNow
      yield* Effect.void
      handled.push(text)
    })
}

describe("A stream, interrupted at each of its steps", () => {
  for (const [name, [hows, concurrency]] of Object.entries(consumers)) {
    for (const [how, consume] of Object.entries(hows)) {
      it.live(`${name} as ${how}, loses no message and redelivers ${concurrency} at most`, () =>
        Effect.promise(async () => {
          let steps = 0
          let redelivered = 0
          for (const handler of Object.values(handlers)) {
            for (const { prepare, script } of Object.values(arrivals)) {
              steps += await sweep(async () => {
                const opened = openNow(Zmq.pull())
                const { port, socket } = opened
                const handled: Array<string> = []
                await prepare(opened)
                return {
                  program: consume(socket, (text) => handler(text, handled)),
                  all: true,
                  script: () => script(port),
                  check: async ({ moment, step }) => {
                    const left = await drainNow(socket)
                    const where = `interrupted ${moment} at step ${step}`
                    const twice = left.filter((text) => handled.includes(text)).length
                    const messages = [...new Set([...handled, ...left])].sort()
                    expect({ where, messages }).toEqual({ where, messages: port.offered })
                    expect({ where, left }).toEqual({ where, left: left.toSorted() })
                    expect(new Set(handled).size).toBe(handled.length)
                    expect(twice).toBeLessThanOrEqual(concurrency)
                    expect(port.violations).toEqual([])
                    redelivered += twice
                  }
                }
              })
            }
          }
          expect(steps).toBeGreaterThan(40)
          // At least once is what it says: some are handled again.
          expect(redelivered).toBeGreaterThan(0)
        })
      )
    }
  }

  it.live("Stream.take(3) has consumed 3 messages when it succeeds", () =>
    Effect.promise(async () => {
      await sweep(() => {
        const { port, socket } = openNow(Zmq.pull())
        const handled: Array<string> = []
        port.arrive("0", "1", "2", "3", "4")
        return {
          program: socket.strings.pipe(
            Stream.take(3),
            Stream.runForEach((text) => Effect.sync(() => void handled.push(text)))
          ),
          script: async () => {},
          check: async ({ fiber }) => {
            const left = await drainNow(socket)
            expect([...new Set([...handled, ...left])]).toEqual(port.offered)
            if (fiber.pollUnsafe()?._tag === "Success") expect(left).toEqual(["3", "4"])
          }
        }
      })
    })
  )
})

// -----------------------------------------------------------------------------
// sends
// -----------------------------------------------------------------------------

type Send = (message: string) => Effect.Effect<unknown, unknown>

const admissions = {
  always: { open: Zmq.pub(), address: "" },
  writable: { open: Zmq.push(), address: "" },
  ask: { open: Zmq.router(), address: "peer" }
} as const

const openSender = (admission: keyof typeof admissions, room: number): { port: ScriptedSocket; send: Send } => {
  const { address, open } = admissions[admission]
  const { port, socket } = openNow<Zmq.Sender<unknown>, unknown>(open, { admission, room })
  const send: Send = (message) => socket.send(address === "" ? message : [address, message])
  return { port, send }
}

/** What was sent, without the address. */
const sentOf = (port: ScriptedSocket): Array<string> => port.sent.map((text) => text.split("|").at(-1)!)

describe("A send, interrupted at each of its steps", () => {
  for (const admission of ["always", "writable", "ask"] as const) {
    it.live(`has one fate when there is room (${admission})`, () =>
      Effect.promise(async () => {
        const steps = await sweep(() => {
          const { port, send } = openSender(admission, Number.POSITIVE_INFINITY)
          const succeeded: Array<string> = []
          return {
            program: Effect.gen(function* () {
              for (const message of ["a", "b", "c"]) {
                yield* send(message)
                succeeded.push(message)
              }
            }),
            script: async () => {},
            check: async () => {
              await turns(2)
              expect(sentOf(port)).toEqual(succeeded)
            }
          }
        })
        expect(steps).toBeGreaterThan(6)
      })
    )
  }

  for (const admission of ["writable", "ask"] as const) {
    for (const early of [false, true]) {
      it.live(`has one fate when it waits for room (${admission}${early ? ", called too early" : ""})`, () =>
        Effect.promise(async () => {
          const steps = await sweep(() => {
            const { port, send } = openSender(admission, 0)
            const succeeded: Array<string> = []
            return {
              program: Effect.gen(function* () {
                for (const message of ["a", "b", "c"]) {
                  yield* send(message)
                  succeeded.push(message)
                }
              }),
              script: async () => {
                await turns(2)
                if (early) port.endWait()
                await turns(2)
                port.giveRoom(1)
                await turns(2)
                if (early) port.endWait()
                port.giveRoom(2)
                await turns(2)
              },
              check: async () => {
                // A ghost would go now.
                port.giveRoom(10)
                await turns(4)
                expect(sentOf(port)).toEqual(succeeded)
                expect(port.violations).toEqual([])
              }
            }
          }, 5_000)
          expect(steps).toBeGreaterThan(10)
        })
      )
    }

    it.live(`passes its turn on when it was woken (${admission})`, () =>
      Effect.promise(async () => {
        let passedOn = 0
        await sweep(() => {
          const { port, send } = openSender(admission, 0)
          const succeeded: Array<string> = []
          const sendOne = (message: string) =>
            Effect.gen(function* () {
              yield* send(message)
              succeeded.push(message)
            })
          const others: Array<Fiber.Fiber<void, unknown>> = []
          return {
            program: sendOne("a"),
            script: async () => {
              await turns(2)
              others.push(Effect.runFork(sendOne("b")), Effect.runFork(sendOne("c")))
              await turns(2)
              port.giveRoom(1)
              await turns(6)
            },
            check: async () => {
              // There was room for one, and somebody has used it.
              await turns(4)
              const first = succeeded[0] === "a" ? "a" : "b"
              expect(sentOf(port)).toEqual([first])
              expect(succeeded).toEqual([first])
              if (first === "b") passedOn++
              port.giveRoom(1)
              await turns(4)
              expect(sentOf(port)).toEqual(first === "a" ? ["a", "b"] : ["b", "c"])
              for (const other of others) other.interruptUnsafe()
              port.giveRoom(10)
              await turns(4)
              expect(sentOf(port)).toEqual(succeeded)
            }
          }
        }, 5_000)
        expect(passedOn).toBeGreaterThan(3)
      })
    )
  }

  it.live("sendAll has sent the first of its messages and none of the rest", () =>
    Effect.promise(async () => {
      const messages = Array.from({ length: 6 }, (_, index) => `${index}`)
      for (const room of [Number.POSITIVE_INFINITY, 2, 0]) {
        await sweep(() => {
          const { port, socket } = openNow(Zmq.push(), { admission: "writable", room })
          let took = 0
          const iterable = {
            *[Symbol.iterator]() {
              for (const message of messages) {
                took++
                yield message
              }
            }
          }
          return {
            program: socket.sendAll(iterable),
            script: async () => {
              await turns(2)
              port.giveRoom(1)
              await turns(2)
              port.giveRoom(2)
              await turns(2)
            },
            check: async ({ fiber }) => {
              const sent = port.sent.length
              port.giveRoom(10)
              await turns(4)
              expect(port.sent).toEqual(messages.slice(0, sent))
              expect(took - sent).toBeLessThanOrEqual(1)
              if (fiber.pollUnsafe()?._tag === "Success") expect(sent).toBe(6)
            }
          }
        })
      }
    })
  )

  it.live("trySend says what became of its message", () =>
    Effect.promise(async () => {
      await sweep(() => {
        const { port, socket } = openNow(Zmq.push(), { admission: "writable", room: 1 })
        const said: Array<boolean> = []
        return {
          program: Effect.gen(function* () {
            for (const message of ["a", "b"]) said.push(yield* socket.trySend(message))
          }),
          script: async () => {},
          check: async () => {
            expect(port.sent).toEqual(said[0] ? ["a"] : [])
            expect(said[1] ?? false).toBe(false)
          }
        }
      })
    })
  )
})

// -----------------------------------------------------------------------------
// closing
// -----------------------------------------------------------------------------

const untilItFails = <E>(self: Effect.Effect<unknown, E>): Effect.Effect<never, E> =>
  Effect.forever(Effect.andThen(self, Effect.yieldNow))

const receiverEnds: {
  readonly [name: string]: (socket: Zmq.Pull) => Effect.Effect<unknown, { readonly _tag: string }>
} = {
  recv: ({ recv }) => untilItFails(recv),
  "recv in a timeout": ({ recv }) => untilItFails(Effect.timeout(recv, "1 hour")),
  recvSchema: ({ recvSchema }) => untilItFails(recvSchema(Schema.Number)),
  recvWithPeer: ({ recvWithPeer }) => untilItFails(recvWithPeer),
  tryRecv: ({ tryRecv }) => untilItFails(tryRecv),
  drain: ({ drain }) => untilItFails(drain),
  messages: ({ messages }) => Stream.runDrain(messages),
  runForEach: ({ runForEach }) => runForEach(() => Effect.void),
  "runForEach, 3 at a time": ({ runForEach }) => runForEach(() => Effect.void, { concurrency: 3 }),
  "runForEach, until": ({ runForEach }) => runForEach(() => Effect.void, { until: Effect.never }),
  "runForEach, retry": ({ runForEach }) =>
    runForEach(() => Effect.void, { retry: Schedule.recurs(1), orElse: () => Effect.void }),
  runForEachAs: ({ runForEachAs }) => runForEachAs(Codec.json(Schema.Number), () => Effect.void),
  batches: ({ batches }) => Stream.runDrain(batches({ max: 2, within: "1 hour" })),
  runForEachBatch: ({ runForEachBatch }) => runForEachBatch(() => Effect.void, { max: 2, within: "1 hour" })
}

const senderEnds: {
  readonly [name: string]: (socket: Zmq.Push) => Effect.Effect<unknown, { readonly _tag: string }>
} = {
  send: ({ send }) => untilItFails(send("a")),
  "send in a timeout": ({ send }) => untilItFails(Effect.timeout(send("a"), "1 hour")),
  trySend: ({ trySend }) => untilItFails(trySend("a")),
  sendAll: ({ sendAll }) => untilItFails(sendAll(["a", "b", "c"])),
  sink: ({ sink }) => untilItFails(Stream.run(Stream.make("a", "b"), sink))
}

/** Closes the socket at each step of a program, and looks that it ends with that by itself. */
const closing = <S>(
  open: () => Opened<S> & { readonly close: () => Promise<void> },
  run: (socket: S) => Effect.Effect<unknown, { readonly _tag: string }>,
  script: (port: ScriptedSocket) => Promise<void>
): Promise<number> =>
  sweep(() => {
    const { close, port, socket } = open()
    let closed: Promise<void> | undefined
    const closeNow = () => {
      closed ??= close()
    }
    let ended = ""
    return {
      program: Effect.onExit(run(socket), (exit) =>
        Effect.sync(() => {
          ended = Exit.isSuccess(exit) ? "success" : (failureOf(exit)?._tag ?? "interrupted")
        })
      ),
      all: true,
      instead: closeNow,
      script: async () => {
        await script(port)
        closeNow()
      },
      check: async ({ step }) => {
        await closed
        expect({ step, ended }).toEqual({ step, ended: "Closed" })
        expect(port.violations).toEqual([])
      }
    }
  })

describe("A socket that closes at each step of what is done with it", () => {
  for (const [name, run] of Object.entries(receiverEnds)) {
    for (const receiveTimeout of ["Infinity", "1 hour", 0] as const) {
      // With a limit of 0 these end with Again.
      if (receiveTimeout === 0 && !["tryRecv", "drain"].includes(name)) continue
      for (const texts of [[], ["0", "1", "2"]]) {
        it.live(`ends ${name} with Closed, in a time of ${receiveTimeout}, after ${texts.length} messages`, () =>
          Effect.promise(async () => {
            const steps = await closing(
              () => openNow(Zmq.pull({ receiveTimeout })),
              run,
              async (port) => {
                for (const text of texts) {
                  port.arrive(text)
                  await turns()
                }
              }
            )
            expect(steps).toBeGreaterThan(3)
          })
        )
      }
    }
  }

  for (const [name, run] of Object.entries(senderEnds)) {
    for (const room of [0, 4]) {
      it.live(`ends ${name} with Closed, with room for ${room}`, () =>
        Effect.promise(async () => {
          const steps = await closing(
            () => openNow(Zmq.push(), { admission: "writable", room }),
            run,
            async (port) => {
              await turns(2)
              port.giveRoom(1)
            }
          )
          expect(steps).toBeGreaterThan(3)
        })
      )
    }
  }

  for (const type of ["req", "dealer"] as const) {
    it.live(`ends a request with Closed (${type})`, () =>
      Effect.promise(async () => {
        const steps = await closing(
          () => openNow<Zmq.Requester, unknown>(Zmq[type]()),
          (socket) => socket.request("a"),
          () => turns(2)
        )
        expect(steps).toBeGreaterThan(3)
      })
    )

    it.live(`ends requestAs with Closed (${type})`, () =>
      Effect.promise(async () => {
        const steps = await closing(
          () => openNow<Zmq.Requester, unknown>(Zmq[type]()),
          (socket) => socket.requestAs({ request: Codec.string, reply: Codec.string })("a"),
          () => turns(2)
        )
        expect(steps).toBeGreaterThan(3)
      })
    )
  }

  for (const type of ["rep", "router"] as const) {
    const serves: Record<string, (socket: Zmq.Responder) => Effect.Effect<never, { readonly _tag: string }>> = {
      serve: (socket) => socket.serve((request) => Effect.succeed(request)),
      serveAs: (socket) => socket.serveAs({ request: Codec.string, reply: Codec.string }, Effect.succeed)
    }
    for (const [name, serve] of Object.entries(serves)) {
      it.live(`ends ${name} with Closed (${type})`, () =>
        Effect.promise(async () => {
          const steps = await closing(
            () => openNow<Zmq.Responder, unknown>(Zmq[type]()),
            serve,
            async (port) => {
              port.arriveMessage(type === "rep" ? messageOf("a") : messageOf("peer", "", "a"))
              await turns(2)
            }
          )
          expect(steps).toBeGreaterThan(3)
        })
      )
    }
  }
})

// -----------------------------------------------------------------------------
// a budget that is spent all the time
// -----------------------------------------------------------------------------

const shapes: {
  readonly [name: string]: (socket: Zmq.Pull, got: Array<string>, end: number) => Effect.Effect<unknown, unknown>
} = {
  recv: (socket, got, end) => repeat(socket.recvString, got, end),
  "Effect.map": (socket, got, end) => repeat(Effect.map(socket.recvString, String), got, end),
  "Effect.timeout": (socket, got, end) => repeat(Effect.timeout(socket.recvString, "1 hour"), got, end),
  "Effect.raceFirst": (socket, got, end) => repeat(Effect.raceFirst(socket.recvString, Effect.never), got, end),
  "Effect.withSpan": (socket, got, end) => repeat(Effect.withSpan(socket.recvString, "recv"), got, end),
  "a time limit": (socket, got, end) => repeat(socket.recvString, got, end),
  tryRecv: (socket, got, end) =>
    Effect.gen(function* () {
      while (got.length < end) {
        const message = yield* socket.tryRecv
        if (Option.isSome(message)) got.push(textOf(message.value))
      }
    }),
  drain: (socket, got, end) =>
    Effect.gen(function* () {
      while (got.length < end) got.push(...(yield* socket.drain).map(textOf))
    }),
  "two fibers": (socket, got, end) =>
    Effect.forEach(
      Array(end).fill(socket.recvString),
      (recv: Effect.Effect<string, unknown>) =>
        Effect.gen(function* () {
          got.push(yield* recv)
        }),
      { concurrency: 2 }
    ),
  "Stream.take": (socket, got, end) =>
    socket.strings.pipe(
      Stream.take(end),
      Stream.runForEach((text) => Effect.sync(() => void got.push(text)))
    ),
  runForEach: (socket, got, end) =>
    Effect.flip(
      socket.runForEach(
        (message) =>
          Effect.suspend(() => {
            got.push(textOf(message))
            return got.length >= end ? Effect.fail("end") : Effect.void
          }),
        { concurrency: 3 }
      )
    )
}

const repeat = <E>(receive: Effect.Effect<string, E>, got: Array<string>, end: number) =>
  Effect.gen(function* () {
    while (got.length < end) got.push(yield* receive)
  })

describe("A fiber whose budget is always spent", () => {
  for (const maxOps of [3, 5, 17, 100]) {
    for (const [name, shape] of Object.entries(shapes)) {
      it.live(`goes on with ${name}, ${maxOps} operations at a time`, () =>
        Effect.promise(async () => {
          const { port, socket } = openNow(Zmq.pull(name === "a time limit" ? { receiveTimeout: "1 hour" } : {}))
          const got: Array<string> = []
          port.arrive("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
          const fiber = Effect.runFork(
            Effect.provideService(shape(socket, got, 20), Scheduler.MaxOpsBeforeYield, maxOps)
          )
          await turns(20)
          for (let i = 10; i < 20; i++) {
            port.arrive(`${i}`)
            await turns()
          }
          const ended = await turnsUntil(() => fiber.pollUnsafe() !== undefined, 5_000)
          // What a handler failed on may be handled again, and handlers that run
          // side by side end in any order.
          const messages = name === "runForEach" ? [...new Set(got)].sort((a, b) => +a - +b) : got
          expect({ ended, messages }).toEqual({ ended: true, messages: port.offered })
        })
      )
    }

    it.live(`goes on with send, ${maxOps} operations at a time`, () =>
      Effect.promise(async () => {
        const { port, socket } = openNow(Zmq.push(), { admission: "writable", room: 3 })
        const messages = Array.from({ length: 20 }, (_, index) => `${index}`)
        const fiber = Effect.runFork(
          Effect.provideService(
            Effect.andThen(
              Effect.forEach(messages.slice(0, 10), (message) => socket.send(message)),
              socket.sendAll(messages.slice(10))
            ),
            Scheduler.MaxOpsBeforeYield,
            maxOps
          )
        )
        for (let i = 0; i < 17; i++) {
          await turns(3)
          port.giveRoom(1)
        }
        const ended = await turnsUntil(() => fiber.pollUnsafe() !== undefined, 5_000)
        expect({ ended, sent: port.sent }).toEqual({ ended: true, sent: messages })
      })
    )
  }
})
