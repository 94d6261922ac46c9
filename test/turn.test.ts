/** The budget that all sockets and proxies have in one turn of the event loop, and what it is spent on. */
import { afterEach, describe, expect, it, vi } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { Proxy, Zmq } from "effect-zmq"
import { coreOf } from "../src/internal/socket/socket.ts"
import { Turn, turn } from "../src/internal/turn.ts"
import { partsOf } from "./support/engine.ts"
import { messageOf, openScripted, turns, turnsUntil } from "./support/scripted.ts"

describe("a turn of the event loop", () => {
  it("is over when all is spent, and then comes the next", async () => {
    const turn = new Turn(10)
    turn.spend(9)
    expect(turn.isOver).toBe(false)
    turn.spend()
    expect(turn.isOver).toBe(true)
    turn.spend(100)
    await turns(2)
    expect(turn.isOver).toBe(false)
    turn.spend(9)
    expect(turn.isOver).toBe(false)
  })

  it("leaves nothing of what it has spent to the next, if it has spent half", async () => {
    const turn = new Turn(10)
    turn.spend(5)
    await turns(2)
    turn.spend(9)
    expect(turn.isOver).toBe(false)
  })

  it("can go on with what is given back, which is never more than all", async () => {
    const turn = new Turn(10)
    turn.spend(10)
    turn.giveBack(1)
    expect(turn.isOver).toBe(false)
    turn.spend()
    expect(turn.isOver).toBe(true)
    // The next one has begun when it is given back.
    await turns(2)
    turn.giveBack(10)
    turn.spend(10)
    expect(turn.isOver).toBe(true)
  })

  it("has those who wait for it go on in their order, in the next one", async () => {
    const turn = new Turn(10)
    const order: Array<string> = []
    turn.next(() => {
      order.push("a")
      turn.next(() => order.push("c"))
    })
    turn.next(() => order.push("b"))
    expect(order).toEqual([])
    await turns()
    expect(order).toEqual(["a", "b"])
    await turns()
    expect(order).toEqual(["a", "b", "c"])
  })
})

describe("the budget is spent on messages, whoever takes or passes on how many of them", () => {
  afterEach(() => void vi.restoreAllMocks())

  /** What was spent, less what was given back. */
  const spending = () => {
    let spent = 0
    const { giveBack, spend } = turn
    vi.spyOn(turn, "spend").mockImplementation((count = 1) => {
      spent += count
      spend.call(turn, count)
    })
    vi.spyOn(turn, "giveBack").mockImplementation((count) => {
      spent -= count
      giveBack.call(turn, count)
    })
    return () => {
      const before = spent
      spent = 0
      return before
    }
  }
  const aFewTurns = Effect.promise(() => turns(10))

  it.live("a receive, in bursts and one by one", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      const spent = spending()
      let received = 0
      port.arrive("1", "2", "3")
      yield* Effect.forkScoped(socket.runForEach(() => Effect.sync(() => received++)))
      yield* Effect.promise(() => turnsUntil(() => received === 3))
      yield* aFewTurns
      expect(spent()).toBe(3)
      port.arrive("4", "5", "6", "7")
      yield* Effect.promise(() => turnsUntil(() => received === 7))
      yield* aFewTurns
      expect(spent()).toBe(4)
      // Each 16 KiB count as one more.
      port.arriveMessage(messageOf(Buffer.alloc(40 * 1024), Buffer.alloc(10 * 1024)))
      yield* Effect.promise(() => turnsUntil(() => received === 8))
      yield* aFewTurns
      expect(spent()).toBe(1 + 3)
    }).pipe(Effect.scoped)
  )

  it.live("a look for messages, which counts as well", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      const spent = spending()
      yield* socket.tryRecv
      expect(spent()).toBe(1)
      port.arrive("1", "2", "3")
      expect((yield* socket.drain).length).toBe(3)
      // Once with what is there, and once without.
      expect(spent()).toBe(3 + 2)
    }).pipe(Effect.scoped)
  )

  it.live("reading ahead", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.router())
      const spent = spending()
      for (const text of ["1", "2", "3"]) port.arriveMessage(messageOf("peer", text))
      partsOf(socket).incoming.readAll()
      yield* aFewTurns
      expect(socket.stats.queued).toBe(3)
      expect(spent()).toBe(3 + 2)
    }).pipe(Effect.scoped)
  )

  it.live("reading ahead, or a look, in the next turn if this one is over", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.router())
      const { inbox } = coreOf(socket)!
      port.arriveMessage(messageOf("peer", "1"))
      turn.spend(1000)
      partsOf(socket).incoming.readAll()
      inbox.poll(1, () => {})
      expect(port.handedOver).toBe(0)
      yield* aFewTurns
      expect(socket.stats.queued).toBe(1)
    }).pipe(Effect.scoped)
  )

  it.live("a proxy, for what it receives, and for what it sends, at once or later", () =>
    Effect.gen(function* () {
      const front = yield* openScripted(Zmq.pull())
      const back = yield* openScripted(Zmq.router(), { admission: "ask" })
      let room = false
      back.port.answer = ([id]) => (`${id}` === "gone" ? "unroutable" : room ? "sent" : "full")
      const spent = spending()
      yield* Effect.forkScoped(Proxy.run(front.socket, back.socket))
      yield* aFewTurns
      const arrive = (peer: string, count: number) => {
        for (let i = 0; i < count; i++) front.port.arriveMessage(messageOf(peer, "x"))
        return aFewTurns
      }
      room = true
      yield* arrive("there", 5)
      expect(spent()).toBe(2 * 5)
      // Without a peer nothing is sent.
      yield* arrive("gone", 5)
      expect(spent()).toBe(5)
      room = false
      yield* arrive("there", 3)
      const waiting = spent()
      room = true
      yield* Effect.promise(() => turnsUntil(() => back.port.sent.length === 8))
      yield* aFewTurns
      expect(waiting + spent()).toBe(2 * 3)
    }).pipe(Effect.scoped)
  )
})

it.live("A receive that is given up before the next turn leaves the way free for one that comes after it", () =>
  Effect.gen(function* () {
    const { port, socket } = yield* openScripted(Zmq.pull())
    turn.spend(10_000)
    // It waits for the turn, and asks libzmq for nothing before that.
    const first = yield* Effect.forkChild(socket.recvString, { startImmediately: true })
    yield* Fiber.interrupt(first)
    yield* Effect.promise(() => turns(3))
    const second = yield* Effect.forkChild(socket.recvString, { startImmediately: true })
    port.arrive("a")
    expect(yield* Effect.promise(() => turnsUntil(() => second.pollUnsafe() !== undefined))).toBe(true)
    expect(second.pollUnsafe()).toEqual(Exit.succeed("a"))
  }).pipe(Effect.scoped)
)
