/** Peers that are slow to read: what they send is left with them, where the engine can do that. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Zmq } from "effect-zmq"
import { coreOf } from "../src/internal/socket/socket.ts"
import { CurrentEngine } from "./support/engine.ts"
import { messageOf, turns } from "./support/scripted.ts"
import { ScriptedPort } from "./support/scriptedPort.ts"
import { boundTo, freshEndpoint, nextTurn, numbers, until } from "./support/sockets.ts"

/** A service whose clients have as much room as a test says. */
const service = (
  concurrency = 4,
  holdsBack = true
): Effect.Effect<
  {
    readonly port: ScriptedPort
    readonly socket: Zmq.Router
    /** How many more messages a client takes. */
    readonly room: Map<string, number>
    readonly run: Fiber.Fiber<void, unknown>
    readonly ask: (client: string, count: number) => void
    readonly answered: (client: string) => number
  },
  never,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const port = new ScriptedPort({ admission: "ask", holdsBack })
    const room = new Map<string, number>()
    port.answer = (message) => {
      const client = `${message[0]}`
      const left = room.get(client) ?? Number.POSITIVE_INFINITY
      if (left <= 0) return "full"
      room.set(client, left - 1)
      return "sent"
    }
    const socket = yield* Effect.orDie(Zmq.router({ linger: 0 })).pipe(
      Effect.provideService(CurrentEngine, port.engine)
    )
    const run = yield* Effect.forkChild(socket.serve(([body]) => Effect.succeed(`re ${body}`), { concurrency }))
    let asked = 0
    const ask = (client: string, count: number) => {
      for (const _ of numbers(0, count)) port.arriveMessage(messageOf(client, "", `${asked++}`))
    }
    const answered = (client: string) => port.sent.filter((sent) => sent.startsWith(`${client}|`)).length
    return { port, socket, room, run, ask, answered }
  })

const go = Effect.promise(() => turns(200))

describe("A peer that is slow to read", () => {
  it.effect("is held back before anything is dropped, and read on when it reads, in order", () =>
    Effect.gen(function* () {
      const { answered, ask, port, room, socket } = yield* service(1)
      room.set("slow", 10)
      ask("slow", 5000)
      yield* go
      expect([...port.heldBack]).toEqual(["slow"])
      // Others are served on.
      ask("good", 300)
      yield* go
      expect(answered("good")).toBe(300)
      // It reads some, time and again, and that in less than a second.
      for (let i = 0; i < 20; i++) {
        room.set("slow", 100)
        yield* go
        yield* TestClock.adjust("900 millis")
        expect([...port.heldBack]).toEqual(["slow"])
      }
      room.delete("slow")
      yield* Effect.andThen(go, go)
      expect(port.sent.filter((sent) => sent.startsWith("slow"))).toEqual(
        numbers(0, 5000).map((number) => `slow||re ${number}`)
      )
      expect(socket.stats).toMatchObject({ dropped: 0, queued: 0, putBack: 0 })
      expect(port.heldBack.size).toBe(0)
    })
  )

  it.effect("counts as one that does not read after a second: what it sends beyond 1,000 is dropped", () =>
    Effect.gen(function* () {
      const { answered, ask, port, room, socket } = yield* service()
      room.set("dead", 0)
      ask("dead", 5000)
      yield* go
      yield* TestClock.adjust("999 millis")
      yield* go
      expect(socket.stats.dropped).toBe(0)
      expect([...port.heldBack]).toEqual(["dead"])
      yield* TestClock.adjust("1 millis")
      yield* go
      expect([...port.heldBack]).toEqual([])
      // The first was handled, and its reply waits.
      expect(socket.stats).toMatchObject({ dropped: 5000 - 1001, queued: 1000 })
      // Once it reads, it has the same patience again.
      room.delete("dead")
      yield* go
      expect(answered("dead")).toBe(1001)
      room.set("dead", 0)
      ask("dead", 5000)
      yield* go
      yield* TestClock.adjust("999 millis")
      expect([...port.heldBack]).toEqual(["dead"])
      expect(socket.stats.dropped).toBe(5000 - 1001)
    })
  )

  it.effect("is held back for as long as it reads, though there is no end of what is sent to it", () =>
    Effect.gen(function* () {
      const { ask, port, room, socket } = yield* service(1)
      room.set("slow", 0)
      for (const number of numbers(0, 30)) yield* Effect.forkChild(socket.send(["slow", "", `news ${number}`]))
      ask("slow", 5000)
      yield* go
      for (let i = 0; i < 20; i++) {
        room.set("slow", 1)
        yield* go
        yield* TestClock.adjust("900 millis")
        yield* go
        expect([...port.heldBack]).toEqual(["slow"])
      }
      expect(port.sent).toEqual(numbers(0, 20).map((number) => `slow||news ${number}`))
      expect(socket.stats.dropped).toBe(0)
      // Now it reads nothing: what it has read before is no reason to wait.
      yield* TestClock.adjust("2 seconds")
      yield* go
      expect([...port.heldBack]).toEqual([])
      // The first was handled, and its reply waits.
      expect(socket.stats.dropped).toBe(5000 - 1001)
    })
  )

  it.effect("counts as one that reads while there is less and less on its way to it, and again when it goes on", () =>
    Effect.gen(function* () {
      const { ask, port, room, socket } = yield* service()
      room.set("slow", 0)
      port.onTheirWay.set("slow", 1000)
      ask("slow", 5000)
      yield* go
      const pass = (reads: number) => {
        port.onTheirWay.set("slow", port.onTheirWay.get("slow")! - reads)
        return Effect.andThen(TestClock.adjust("1 seconds"), go)
      }
      for (let i = 0; i < 5; i++) {
        yield* pass(1)
        expect([...port.heldBack]).toEqual(["slow"])
      }
      expect(socket.stats.dropped).toBe(0)
      yield* pass(0)
      expect([...port.heldBack]).toEqual([])
      const { dropped } = socket.stats
      expect(dropped).toBe(5000 - 1001)
      yield* pass(1)
      // What it sends next is left with it.
      ask("slow", 2000)
      yield* go
      expect([...port.heldBack]).toEqual(["slow"])
      expect(socket.stats.dropped).toBe(dropped)
      yield* pass(0)
      expect([...port.heldBack]).toEqual([])
      expect(socket.stats.dropped).toBeGreaterThan(dropped)
    })
  )

  it.effect("is no more patient with it for those who give up sending to it, and forgets it", () =>
    Effect.gen(function* () {
      const port = new ScriptedPort({ admission: "ask", holdsBack: true })
      port.answer = () => "full"
      const socket = yield* Effect.orDie(Zmq.router({ linger: 0 })).pipe(
        Effect.provideService(CurrentEngine, port.engine)
      )
      let answers = true
      const answer = ([id]: Zmq.Message) =>
        answers ? Effect.ignore(Effect.timeout(socket.send([id, "answer"]), "100 millis")) : Effect.void
      yield* Effect.forkScoped(socket.runForEach(answer))
      for (const number of numbers(0, 5000)) port.arriveMessage(messageOf("dead", `${number}`))
      const pass = Effect.andThen(TestClock.adjust("100 millis"), go)
      for (let i = 0; i < 9; i++) {
        yield* Effect.andThen(go, pass)
        expect(socket.stats.dropped).toBe(0)
      }
      yield* Effect.andThen(go, pass)
      yield* go
      expect([...port.heldBack]).toEqual([])
      expect(port.ready).toBe(0)
      expect(socket.stats.dropped).toBeGreaterThan(3900)
      // Nobody sends to it any more, and nothing is kept of it.
      answers = false
      const { patience } = coreOf(socket)!.inbox.held as unknown as {
        readonly patience: { readonly waits: ReadonlyMap<string, unknown> }
      }
      expect(patience.waits.size).toBe(1)
      yield* Effect.andThen(pass, go)
      expect(socket.stats.queued).toBe(0)
      yield* TestClock.adjust("1 seconds")
      expect(patience.waits.size).toBe(0)
    })
  )

  it.effect("is held back anew when another has come by its name", () =>
    Effect.gen(function* () {
      const { ask, port, room, socket } = yield* service()
      room.set("slow", 0)
      ask("slow", 3000)
      yield* go
      expect([...port.heldBack]).toEqual(["slow"])
      for (const number of numbers(1, 5)) {
        port.heldBack.clear()
        ask("slow", 250)
        yield* go
        expect([...port.heldBack]).toEqual(["slow"])
        expect(socket.stats).toMatchObject({ dropped: 0, queued: 3000 + number * 250 - 1 })
      }
      room.delete("slow")
      yield* Effect.andThen(go, go)
      expect(socket.stats).toMatchObject({ dropped: 0, queued: 0, messagesOut: 4000 })
    })
  )

  it.effect("is held back no more when nobody handles messages, or it has left", () =>
    Effect.gen(function* () {
      const { ask, port, room, run, socket } = yield* service()
      room.set("slow", 0)
      room.set("leaving", 0)
      ask("slow", 2000)
      ask("leaving", 2000)
      yield* go
      expect([...port.heldBack].toSorted()).toEqual(["leaving", "slow"])
      const { answer } = port
      port.answer = (message) => (`${message[0]}` === "leaving" ? "unroutable" : answer(message))
      yield* go
      expect([...port.heldBack]).toEqual(["slow"])
      yield* Fiber.interrupt(run)
      expect([...port.heldBack]).toEqual([])
      const left = yield* Effect.orDie(socket.drain)
      // The reply to the first of them is on its way.
      expect(left.map((message) => Number(message[2]))).toEqual(numbers(1, 2000))
      expect(socket.stats.dropped).toBe(0)
    })
  )

  it.effect("is not held back where the engine has all peers in one queue: beyond 1,000 is dropped", () =>
    Effect.gen(function* () {
      const { ask, room, socket } = yield* service(4, false)
      room.set("slow", 0)
      ask("slow", 5000)
      yield* go
      expect(socket.stats).toMatchObject({ dropped: 5000 - 1001, queued: 1000 })
    })
  )
})

describe("A client of a STREAM that is slow to read", () => {
  it.effect("is read on when it has said too much all the same, so that it is seen to leave", () =>
    Effect.gen(function* () {
      const port = new ScriptedPort({ admission: "ask", holdsBack: true })
      port.answer = () => "full"
      const opening = Zmq.rawStream({ linger: 0 }).pipe(Effect.provideService(CurrentEngine, port.engine))
      const socket = yield* Effect.orDie(opening)
      for (const number of numbers(0, 3000)) port.arriveMessage(messageOf("slow", `${number}`))
      // All of them are on this side by now: they come back.
      const held: Array<number> = []
      const collecting = yield* Effect.forkChild(
        socket.runForEachBatch(
          (batch) =>
            Effect.andThen(
              Effect.sync(() => held.push(batch.length)),
              Effect.never
            ),
          {
            max: 3000,
            within: "1 hour"
          }
        )
      )
      yield* go
      yield* Fiber.interrupt(collecting)
      expect(held).toEqual([3000])
      yield* Effect.forkScoped(socket.runForEach(([id]) => socket.send([id, "answer"])))
      yield* go
      expect(socket.stats.dropped).toBe(2999)
      expect([...port.heldBack]).toEqual([])
    })
  )
})

describe("A peer with thousands of requests that reads one reply in each turn", () => {
  for (const transport of ["tcp", "ipc", "inproc"] as const)
    it.effect(`gets them all on ZMTP, over ${transport}`, () =>
      Effect.gen(function* () {
        const bind = freshEndpoint(transport)
        const router = yield* Zmq.router({ bind, sendHighWaterMark: 10, receiveHighWaterMark: 10, linger: 0 })
        const padding = " ".repeat(20_000)
        yield* Effect.forkScoped(router.serve(([body]) => Effect.succeed(`${body}${padding}`), { concurrency: 16 }))
        const dealer = yield* Zmq.dealer({
          connect: boundTo(router),
          receiveHighWaterMark: 1,
          sendHighWaterMark: 10,
          linger: 0
        })
        yield* Effect.forkScoped(dealer.sendAll(numbers(0, 5000).map((number) => ["", `${number}`] as const)))
        const answers: Array<number> = []
        while (answers.length < 5000) {
          answers.push(Number.parseInt(`${(yield* dealer.recv)[1]}`, 10))
          yield* nextTurn
        }
        expect(answers.toSorted((a, b) => a - b)).toEqual(numbers(0, 5000))
        expect(router.stats.dropped).toBe(0)
      }).pipe(Effect.provide(Engine.layerZmtp))
    )
})

describe("What came of a peer that is held back", () => {
  for (const transport of ["tcp", "inproc"] as const)
    it.effect(`counts as queued, and is there when its socket has closed, over ${transport}`, () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const opening = Zmq.router({ bind: freshEndpoint(transport), sendHighWaterMark: 1, linger: 0 })
        const router = yield* Scope.provide(opening, scope)
        const padding = " ".repeat(100_000)
        let answered = 0
        const run = yield* Effect.forkChild(
          router.runForEach(([id]) =>
            Effect.andThen(
              router.send([id, padding]),
              Effect.sync(() => answered++)
            )
          )
        )
        const dealer = yield* Zmq.dealer({ connect: boundTo(router), receiveHighWaterMark: 1, linger: 0 })
        yield* dealer.sendAll(numbers(0, 1500).map((number) => `${number}`))
        yield* until(Effect.sync(() => answered + router.stats.queued === 1499))
        yield* Scope.close(scope, Exit.void)
        yield* Fiber.await(run)
        const left = yield* router.drain
        expect(left.map((message) => Number(message[1]))).toEqual(numbers(answered, 1500))
        expect(router.stats).toMatchObject({ dropped: 0, leftAtClose: left.length })
      }).pipe(Effect.provide(Engine.layerZmtp))
    )
})
