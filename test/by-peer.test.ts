/**
 * Anything at all on sockets whose peers have room of their own, in any order:
 * each message is in one place, each send has one fate, and nobody waits for ever.
 */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import { Zmq } from "effect-zmq"
import { coreOf } from "../src/internal/socket/socket.ts"
import { messageOf, openScripted, randomOf, turns, turnsUntil } from "./support/scripted.ts"
import { numbers } from "./support/sockets.ts"

/** `BY_PEER_SEED=7 vitest run test/by-peer.test.ts` runs the sequences from seed 7 on again. */
const firstSeed = Number(process.env.BY_PEER_SEED ?? Date.now() % 1_000_000)
const rounds = Number(process.env.BY_PEER_ROUNDS ?? 150)
const operations = 60
const peers = ["p0", "p1", "p2", "p3", "p4"] as const

interface Tried {
  readonly text: string
  readonly fiber: Fiber.Fiber<unknown, unknown>
}

const round = (type: "router" | "rawStream", seed: number, closes: boolean): Effect.Effect<void> =>
  Effect.gen(function* () {
    const random = randomOf(seed)
    const chance = (share: number) => random() < share
    const below = (count: number) => Math.floor(random() * count)
    const pick = <A>(from: ReadonlyArray<A>): A => from[below(from.length)]!
    const scope = yield* Scope.make()
    const { port, socket } = yield* Scope.provide(
      openScripted<Zmq.Router | Zmq.RawStream, unknown>(type === "router" ? Zmq.router() : Zmq.rawStream(), {
        admission: "ask"
      }),
      scope
    )
    const closesAt = closes ? below(operations) : Number.POSITIVE_INFINITY
    // How many more messages each peer takes.
    const room = new Map<string, number>(peers.map((peer) => [peer, Number.POSITIVE_INFINITY]))
    const gone = new Set<string>()
    const replied: Array<string> = []
    port.answer = (message) => {
      const peer = Buffer.from(message[0] as Uint8Array).toString()
      if (gone.has(peer)) {
        // The reply to one that has left is gone with it.
        const body = `${message.at(-1)}`
        if (body.startsWith("r")) replied.push(body.slice(1))
        return "unroutable"
      }
      const left = room.get(peer)!
      if (left <= 0) return "full"
      room.set(peer, left - 1)
      return "sent"
    }
    let arrived = 0
    let sends = 0
    // Messages by what became of them. A handler that succeeds settles, a reply as well.
    const done: Array<string> = []
    const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
    const tried: Array<Tried> = []
    const gates: Array<() => void> = []
    const fork = (effect: Effect.Effect<unknown, unknown>) =>
      Effect.map(Effect.forkDetach(effect, { startImmediately: chance(0.5) }), (fiber) => {
        fibers.push(fiber)
        return fiber
      })
    const gate = Effect.callback<void>((resume) => void gates.push(() => resume(Effect.void)))
    const send = Effect.fnUntraced(function* (peer: string, how: (text: string) => Effect.Effect<unknown, unknown>) {
      const text = `s${sends++}`
      const fiber = yield* fork(how(text))
      tried.push({ text: `${peer}|${text}`, fiber })
      return fiber
    })
    const sendTo = (peer: string) =>
      send(peer, (text) => {
        const sending = socket.send([peer, text])
        return chance(0.3) ? Effect.timeout(sending, "2 millis") : sending
      })
    const settle = (body: string) => Effect.sync(() => void done.push(body))
    const handler = (id: string, body: string): Effect.Effect<unknown, unknown> => {
      const own = Effect.ignore(Effect.flatMap(sendTo(id), Fiber.join))
      switch (below(9)) {
        case 0:
          return settle(body)
        case 1:
          return Effect.andThen(Effect.yieldNow, settle(body))
        case 2:
          return Effect.andThen(gate, settle(body))
        case 3:
          return Effect.uninterruptible(Effect.andThen(gate, settle(body)))
        case 4:
        case 5:
          return Effect.andThen(Effect.ignore(socket.send([id, `h${body}`])), settle(body))
        case 6:
          return Effect.andThen(
            Effect.forEach(peers, (peer) => Effect.ignore(socket.send([peer, `h${body}`])), {
              concurrency: "unbounded"
            }),
            settle(body)
          )
        case 7:
          return Effect.andThen(own, settle(body))
        default:
          return chance(0.1)
            ? Effect.fail("broken")
            : Effect.andThen(Effect.ignore(Effect.timeout(socket.send([id, `h${body}`]), "1 millis")), settle(body))
      }
    }
    const take = (message: Zmq.Message) => {
      if (message[1]!.length > 0) done.push(`${message[1]}`)
    }

    for (let i = 0; i < operations; i++) {
      const peer = pick(peers)
      if (i === closesAt) yield* fork(Scope.close(scope, Exit.void))
      switch (below(14)) {
        case 0:
        case 1:
        case 2:
          for (let count = chance(0.1) ? 300 + below(600) : below(6); count > 0; count--) {
            port.arriveMessage(messageOf(peer, `${arrived++}`))
          }
          break
        case 3:
        case 4:
          yield* fork(
            socket.runForEach(([id, data]) => (data!.length === 0 ? Effect.void : handler(`${id}`, `${data}`)), {
              concurrency: 1 + below(4)
            })
          )
          break
        case 5:
          if (socket.type === "router") {
            yield* fork(
              (socket as Zmq.Router).serve(
                ([body]) =>
                  Effect.as(
                    chance(0.3) ? (chance(0.5) ? gate : Effect.uninterruptible(gate)) : Effect.void,
                    `r${body}`
                  ),
                { concurrency: 1 + below(4) }
              )
            )
          }
          break
        case 6:
          yield* fork(Effect.map(socket.recv, take))
          break
        case 7:
          yield* sendTo(peer)
          break
        case 8:
          yield* send(peer, (text) =>
            Effect.flatMap(socket.trySend([peer, text]), (sent) => (sent ? Effect.void : Effect.fail("full")))
          )
          break
        case 9:
        case 10:
          room.set(peer, pick([0, 0, 1, 3, Number.POSITIVE_INFINITY]))
          if (chance(0.1)) gone.add(peer)
          else gone.delete(peer)
          break
        case 11:
        case 12:
          gates.splice(below(Math.max(1, gates.length)), 1)[0]?.()
          break
        default: {
          const running = fibers.filter((fiber) => fiber.pollUnsafe() === undefined)
          // One that may not be interrupted is not waited for.
          if (running.length > 0) pick(running).interruptUnsafe()
        }
      }
      if (chance(0.5)) yield* Effect.promise(() => turns(below(4)))
    }

    // All have room again, and all that may go on does.
    for (const peer of peers) room.set(peer, Number.POSITIVE_INFINITY)
    const goOn = Effect.promise(async () => {
      for (let i = 0; i < 3; i++) {
        await turns(30)
        for (const open of gates.splice(0)) open()
      }
    })
    yield* goOn
    for (const fiber of fibers) fiber.interruptUnsafe()
    const ended = yield* Effect.promise(() =>
      turnsUntil(() => {
        for (const open of gates.splice(0)) open()
        return fibers.every((fiber) => fiber.pollUnsafe() !== undefined)
      }, 2000)
    )
    // What is interrupted is looked at now and then.
    for (let i = 0; i < 200 && fibers.some((fiber) => fiber.pollUnsafe() === undefined); i++) {
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
      for (const open of gates.splice(0)) open()
    }
    expect({ seed, ended: fibers.every((fiber) => fiber.pollUnsafe() !== undefined) || ended }).toEqual({
      seed,
      ended: true
    })
    for (const fiber of fibers) {
      const exit = fiber.pollUnsafe()!
      if (Exit.isFailure(exit) && Cause.hasDies(exit.cause)) {
        throw new Error(`seed ${seed}: ${Cause.pretty(exit.cause)}`)
      }
    }
    yield* Effect.promise(() => turns(60))
    for (let last = -1; last !== done.length; ) {
      last = done.length
      for (const message of yield* Effect.orElseSucceed(socket.drain, () => [])) take(message)
    }
    const { held, mailbox } = coreOf(socket)!.inbox
    const outbox = coreOf(socket)!.outbox as unknown as {
      queues: Map<string, unknown>
      owed: Set<unknown>
      full: number
    }

    // Each send has the fate that it was said to have.
    for (const { fiber, text } of tried) {
      const times = port.sent.filter((sent) => sent === text).length
      expect({ seed, text, times }).toEqual({ seed, text, times: Exit.isSuccess(fiber.pollUnsafe()!) ? 1 : 0 })
    }
    // Nothing is left behind, and nobody waits.
    expect({ seed, wanted: mailbox.wanted, owed: outbox.owed.size, violations: port.violations }).toEqual({
      seed,
      wanted: false,
      owed: 0,
      violations: []
    })
    if (closes) return yield* Scope.close(scope, Exit.void)

    // Each message is in one place.
    replied.push(...port.sent.filter((text) => text.includes("|r")).map((text) => text.slice(text.indexOf("|r") + 2)))
    const all = [...done, ...replied]
    expect({ seed, twice: all.filter((text, at) => all.indexOf(text) !== at) }).toEqual({ seed, twice: [] })
    const lost = arrived - all.length - socket.stats.dropped
    expect({ seed, lost }).toEqual({ seed, lost: 0 })
    expect(port.handedOver).toBe(arrived)
    expect({
      seed,
      lanes: outbox.queues.size,
      full: outbox.full,
      held: held!.size,
      heldBack: (port as { readonly heldBack?: ReadonlySet<string> }).heldBack?.size ?? 0,
      mailbox: mailbox.size
    }).toEqual({ seed, lanes: 0, full: 0, held: 0, heldBack: 0, mailbox: 0 })
    yield* Scope.close(scope, Exit.void)
  }).pipe(Effect.orDie)

describe("Anything, in any order", () => {
  for (const type of ["router", "rawStream"] as const) {
    const cases = [
      [false, "no message is lost or handled twice, each send has one fate, nothing is left behind"],
      [true, "and closed in the middle: each send has one fate, nobody waits"]
    ] as const
    for (const [closes, what] of cases) {
      it.live(
        `on a ${type}, ${what}`,
        () =>
          Effect.gen(function* () {
            console.log(`${type}: ${rounds} sequences from seed ${firstSeed}`)
            for (const number of numbers(0, rounds)) yield* round(type, firstSeed + number, closes)
          }),
        120_000
      )
    }
  }
})
