/** One side of a connection of a `SocketServer`: in any order of what happens, and interrupted at each step. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { Socket } from "effect/socket"
import * as SocketServer from "effect-zmq/SocketServer"
import { Connection, gone, type Limits, type Write } from "../src/internal/socketServer/connection.ts"
import { Outlet, readerOf } from "../src/internal/socketServer/duplex.ts"
import { costOf, type Frames, wordOf } from "../src/internal/socketServer/protocol.ts"
import type { Message } from "../src/Message.ts"
import { turns } from "./support/scripted.ts"
import { freshEndpoint, numbers, pause, randomFrom, until } from "./support/sockets.ts"
import { sweep } from "./support/sweep.ts"

const window = 2_000
const limits: Limits = { window, largest: 100_000, maxPending: 1_000_000 }

const buffersOf = (frames: Frames): Message =>
  frames.map((frame) => Buffer.from(frame as Uint8Array)) as unknown as Message

interface OnItsWay {
  readonly message: Frames
  readonly sent: () => void
}

/** Two sides, and what is on its way between them. */
class Pair {
  /** What each is about to hear. */
  readonly toServer: Array<OnItsWay> = []
  readonly toClient: Array<OnItsWay> = []
  /** Whether the wire has no room: what is said is sent as it is delivered. */
  full = false
  readonly client = this.side(this.toServer)
  readonly server = this.side(this.toClient)

  private side(to: Array<OnItsWay>): Connection {
    return new Connection(
      (message, sent) => {
        to.push({ message, sent: this.full ? sent : () => {} })
        return this.full ? "waits" : "sent"
      },
      limits,
      () => {}
    )
  }

  open(): this {
    this.client.greet()
    this.deliverAll()
    this.server.greet()
    this.deliverAll()
    return this
  }

  deliver(to: "client" | "server"): boolean {
    const next = (to === "client" ? this.toClient : this.toServer).shift()
    if (next === undefined) return false
    next.sent()
    this[to].heard(wordOf(buffersOf(next.message), 0))
    return true
  }

  deliverAll(): void {
    while (this.deliver("server") || this.deliver("client"));
  }
}

const textOf = (chunks: ReadonlyArray<Uint8Array | string>): Array<string> =>
  chunks.map((chunk) => Buffer.from(chunk as Uint8Array).toString())

describe("a connection", () => {
  it("keeps the books in any order of writes, reads, credits, and ends", () => {
    for (let seed = 1; seed <= 400; seed++) {
      const random = randomFrom(seed)
      const pair = new Pair().open()
      const written: Array<{ readonly texts: ReadonlyArray<string>; outcome: string; write: Write | undefined }> = []
      const got: Array<string> = []
      let most = 0
      const write = (): void => {
        const texts = numbers(0, 1 + random(4)).map((i) => `${written.length}.${i}`.padEnd(1 + random(600), "x"))
        const entry: (typeof written)[number] = { texts, outcome: "waits", write: undefined }
        written.push(entry)
        entry.write = pair.client.write(
          texts.map((text) => Buffer.from(text)),
          (outcome) => {
            entry.outcome = outcome
          }
        )
        if (entry.write === undefined) entry.outcome = "sent"
      }
      const take = (): void => {
        if (!pair.server.isReadable) return
        const chunks = pair.server.take()
        most = Math.max(most, costOf(chunks))
        got.push(...textOf(chunks))
      }
      for (let step = 0; step < 300; step++) {
        const what = random(10)
        if (what < 3) write()
        else if (what < 6) pair.deliver(random(2) === 0 ? "client" : "server")
        else if (what < 8) take()
        else if (what === 8) pair.full = !pair.full
        else {
          const waits = written.filter(({ outcome }) => outcome === "waits")
          const one = waits[random(Math.max(1, waits.length))]
          if (one !== undefined && !one.write!.begun) {
            pair.client.giveUp(one.write!)
            one.outcome = "given up"
          }
        }
      }
      const ends = random(3)
      if (ends === 0) pair.client.endWrites()
      for (
        let i = 0;
        i < 2_000 && (written.some(({ outcome }) => outcome === "waits") || pair.server.isReadable);
        i++
      ) {
        pair.deliverAll()
        take()
      }
      pair.deliverAll()
      if (ends === 1) pair.client.end()
      if (ends === 2) pair.server.over(gone)
      pair.deliverAll()
      take()
      const sent = written.filter(({ outcome }) => outcome === "sent").flatMap(({ texts }) => texts)
      expect({ seed, got }).toEqual({ seed, got: sent })
      expect(written.every(({ outcome }) => outcome === "sent" || outcome === "given up")).toBe(true)
      expect(pair.server.readerEnding?.code).toBe(ends === 2 ? 1006 : 1000)
      // Its window, and one message of a write.
      expect(most).toBeLessThanOrEqual(window + 4 * (600 + 256))
    }
  })

  it("that is lost tells those who wait: what was not begun is unsent, what was is cut", () => {
    const pair = new Pair().open()
    const outcomes: Array<string> = []
    const one = Buffer.alloc(70_000)
    pair.client.write([one, one], (outcome) => outcomes.push(`first ${outcome}`))
    pair.client.write([one], (outcome) => outcomes.push(`second ${outcome}`))
    pair.client.over(gone)
    expect(outcomes).toEqual(["first cut", "second unsent"])
    expect(pair.client.write([one], (outcome) => outcomes.push(`third ${outcome}`))).toBeDefined()
    expect(outcomes.at(-1)).toBe("third unsent")
  })

  it("reads what came before it is told that the peer has gone", () => {
    const pair = new Pair().open()
    pair.client.write([Buffer.from("last")], () => {})
    pair.deliver("server")
    pair.server.over(gone)
    expect(pair.server.isReadable).toBe(true)
    expect(textOf(pair.server.take())).toEqual(["last"])
    expect(pair.server.readerEnding).toBe(gone)
  })
})

describe("interrupted at each of its steps", () => {
  it.live("a pull loses no chunk", () =>
    Effect.promise(async () => {
      const steps = await sweep(() => {
        const pair = new Pair().open()
        const { pull } = readerOf(pair.server)
        const got: Array<string> = []
        const say = (...texts: Array<string>): void => {
          pair.client.write(
            texts.map((text) => Buffer.from(text)),
            () => {}
          )
          pair.deliverAll()
        }
        return {
          program: Effect.gen(function* () {
            while (got.length < 7) got.push(...textOf(yield* pull))
          }),
          script: async () => {
            say("0")
            await turns(2)
            say("1", "2")
            say("3")
            await turns(2)
            await Promise.resolve()
            say("4")
            await Promise.resolve()
            say("5", "6")
          },
          check: async ({ moment, step }) => {
            const left = pair.server.isReadable ? textOf(pair.server.take()) : []
            const where = `interrupted ${moment} at step ${step}`
            expect({ where, chunks: [...got, ...left] }).toEqual({ where, chunks: numbers(0, 7).map(String) })
          }
        }
      })
      expect(steps).toBeGreaterThan(20)
    })
  )

  it.live("a write is sent as a whole or not at all, and those behind it are", () =>
    Effect.promise(async () => {
      const steps = await sweep(() => {
        const pair = new Pair().open()
        const outlet = new Outlet(false)
        outlet.connect(pair.client)
        const done: Array<number> = []
        let received = ""
        const step = () => {
          pair.deliverAll()
          if (pair.server.isReadable) received += textOf(pair.server.take()).join("")
          pair.deliverAll()
        }
        const textAt = (i: number): string => `<${i}${"x".repeat(900)}>`
        const scope = Scope.makeUnsafe()
        const writer = Effect.runSync(Scope.provide(outlet.writer, scope))
        return {
          program: Effect.gen(function* () {
            for (const i of numbers(0, 6)) {
              yield* i % 2 === 0 ? writer.write(textAt(i)) : writer.writeAll([textAt(i)])
              done.push(i)
            }
          }),
          script: async () => {
            for (const _ of numbers(0, 6)) {
              await turns(1)
              step()
            }
          },
          check: async () => {
            const behind = Effect.runFork(writer.write("<behind>"))
            for (let i = 0; i < 50 && behind.pollUnsafe() === undefined; i++) {
              await turns(1)
              step()
            }
            step()
            const parts = received.match(/<[^>]*>/g) ?? []
            expect(parts.join("")).toBe(received)
            expect(parts.at(-1)).toBe("<behind>")
            const numbersOf = parts.slice(0, -1).map((part) => Number(/\d/.exec(part)![0]))
            // One may have been sent whose fiber has not gone on.
            expect([done.length, done.length + 1]).toContain(numbersOf.length)
            expect(numbersOf).toEqual(numbers(0, numbersOf.length))
            await Effect.runPromise(Scope.close(scope, Exit.void))
          }
        }
      })
      expect(steps).toBeGreaterThan(20)
    })
  )

  it.live("a connection, from its beginning to its end, leaves no handler behind", () =>
    Effect.gen(function* () {
      let handlers = 0
      const server = yield* SocketServer.make({ bind: freshEndpoint("inproc") })
      yield* Effect.forkChild(
        server.run((socket) =>
          Effect.gen(function* () {
            handlers++
            yield* Effect.addFinalizer(() => Effect.sync(() => handlers--))
            const { pull } = yield* socket.reader
            const { writeAll } = yield* socket.writer
            return yield* Effect.forever(Effect.flatMap(pull, writeAll))
          }).pipe(Effect.scoped)
        )
      )
      const steps = yield* Effect.promise(() =>
        sweep(() => ({
          program: Effect.gen(function* () {
            const socket = yield* SocketServer.makeSocket({ connect: server.endpoints[0]! })
            const { pull } = yield* socket.reader
            const writer = yield* socket.writer
            yield* writer.write("hello")
            expect(textOf(yield* pull)).toEqual(["hello"])
          }).pipe(Effect.scoped),
          script: () => turns(20),
          check: async ({ fiber }) => {
            await Effect.runPromise(until(Effect.sync(() => handlers === 0)))
            const exit = fiber.pollUnsafe()!
            if (Exit.isFailure(exit)) expect(exit.cause.reasons.map(({ _tag }) => _tag)).toEqual(["Interrupt"])
          }
        }))
      )
      expect(steps).toBeGreaterThan(50)
    })
  )
})

describe("a socket of Effect", () => {
  it.live("ends a stream of it in order, and with its error otherwise", () =>
    Effect.gen(function* () {
      const pair = new Pair().open()
      const outlet = new Outlet(false)
      outlet.connect(pair.server)
      const socket = Socket.make({ reader: Effect.succeed(readerOf(pair.server)), writer: outlet.writer })
      const strings = yield* Socket.readerString(socket)
      const [first, second] = [Buffer.from("é").subarray(0, 1), Buffer.from("é").subarray(1)]
      pair.client.write([first], () => {})
      pair.client.write([second], () => {})
      pair.client.endWrites()
      pair.deliverAll()
      expect((yield* strings).join("")).toBe("é")
      expect((yield* Effect.flip(strings)).reason).toMatchObject({ _tag: "SocketCloseError", code: 1000 })
      // It has told the other side that it is done, too.
      pair.deliverAll()
      expect(pair.client.readerEnding).toEqual({ code: 1000 })
    })
  )

  it.live("waits with writes while it has no connection, and does not send those that are given up", () =>
    Effect.gen(function* () {
      const outlet = new Outlet(true)
      const writer = yield* outlet.writer
      const given = yield* Effect.forkChild(writer.write("given up"), { startImmediately: true })
      const kept = yield* Effect.forkChild(writer.write("kept"), { startImmediately: true })
      yield* Fiber.interrupt(given)
      const first = new Pair().open()
      outlet.connect(first.client)
      yield* Fiber.join(kept)
      first.deliverAll()
      expect(textOf(first.server.take())).toEqual(["kept"])
      // What waits when a connection is lost goes to the next one.
      yield* writer.write("x".repeat(3_000))
      const waiting = yield* Effect.forkChild(writer.write("next"), { startImmediately: true })
      first.client.over(gone)
      yield* pause(5)
      expect(waiting.pollUnsafe()).toBeUndefined()
      const second = new Pair().open()
      outlet.connect(second.client)
      yield* Fiber.join(waiting)
      second.deliverAll()
      expect(textOf(second.server.take())).toEqual(["next"])
    })
  )
})
