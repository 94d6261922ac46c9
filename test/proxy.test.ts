import { spawnSync } from "node:child_process"
import { readFile } from "node:fs/promises"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, Scope } from "effect"
import { Proxy, Zmq } from "effect-zmq"
import { coreOf } from "../src/internal/socket/socket.ts"
import { longestSubscription } from "../src/internal/subscription.ts"
import { byEngine } from "./support/byEngine.ts"
import { nodeArguments, runCommand, scriptPath } from "./support/child.ts"
import { type Opened, openNow, type Script, turns, turnsUntil } from "./support/scripted.ts"
import {
  boundTo,
  failureOf,
  freshEndpoint,
  nextTurn,
  numbers,
  outcome,
  pause,
  randomFrom,
  texts,
  transports,
  until
} from "./support/sockets.ts"
import { sweep } from "./support/sweep.ts"

const textOf = (message: Zmq.Message): string => message.map((frame) => frame.toString("latin1")).join("|")
const drainNow = async (socket: Zmq.Receiver): Promise<Array<string>> =>
  (await Effect.runPromise(socket.drain)).map(textOf)

const messages = (from: number, to: number): Array<string> => numbers(from, to).map(String)

// -----------------------------------------------------------------------------
// interrupted at every moment, on scripted sockets
// -----------------------------------------------------------------------------

interface Way {
  readonly from: Opened<Zmq.Socket & Zmq.Receiver>
  readonly to: Opened<Zmq.Socket>
}
interface Pairing {
  /** Everything that messages go through. */
  readonly ways: readonly [Way, ...ReadonlyArray<Way>]
  readonly capture: Opened<Zmq.Socket> | undefined
  readonly run: Effect.Effect<never, Proxy.ProxyError | Zmq.Closed>
  /** Messages arrive on each way: so many, of two peers. */
  readonly arrive: (...texts: Array<string>) => void
  readonly giveRoom: (messages: number) => void
}

/** A pair of scripted sockets, each of which has so much room. */
// Whether it ends by itself is for the test to say.
type NoUntil = { readonly until?: undefined }
const pairs = {
  "PULL to PUSH": (room: number, options?: Proxy.Options): Pairing => {
    const from = openNow(Zmq.pull())
    const to = openNow(Zmq.push(), { admission: "writable", room })
    return pairingOf([{ from, to }], Proxy.run(from.socket, to.socket, options as NoUntil))
  },
  "PULL to PUSH, captured by a PUSH": (room: number, options?: Proxy.Options): Pairing => {
    const from = openNow(Zmq.pull())
    const to = openNow(Zmq.push(), { admission: "writable", room })
    const capture = openNow(Zmq.push(), { admission: "writable", room })
    return pairingOf(
      [{ from, to }],
      Proxy.run(from.socket, to.socket, { ...(options as NoUntil), capture: capture.socket }),
      capture
    )
  },
  "PULL to PUSH, captured by a PUB": (room: number, options?: Proxy.Options): Pairing => {
    const from = openNow(Zmq.pull())
    const to = openNow(Zmq.push(), { admission: "writable", room })
    const capture = openNow(Zmq.pub(), { admission: "always" })
    return pairingOf(
      [{ from, to }],
      Proxy.run(from.socket, to.socket, { ...(options as NoUntil), capture: capture.socket }),
      capture
    )
  },
  "ROUTER and DEALER": (room: number, options?: Proxy.Options): Pairing => {
    const front = openNow(Zmq.router(), { admission: "ask", room })
    const back = openNow(Zmq.dealer(), { admission: "writable", room })
    const ways: Pairing["ways"] = [
      { from: front, to: back },
      { from: back, to: front }
    ]
    return pairingOf(ways, Proxy.run(front.socket, back.socket, options as NoUntil))
  },
  "ROUTER and DEALER, captured by a DEALER": (room: number, options?: Proxy.Options): Pairing => {
    const front = openNow(Zmq.router(), { admission: "ask", room })
    const back = openNow(Zmq.dealer(), { admission: "writable", room })
    const capture = openNow(Zmq.dealer(), { admission: "writable", room })
    const ways: Pairing["ways"] = [
      { from: front, to: back },
      { from: back, to: front }
    ]
    return pairingOf(
      ways,
      Proxy.run(front.socket, back.socket, { ...(options as NoUntil), capture: capture.socket }),
      capture
    )
  },
  "XSUB and XPUB": (_room: number, options?: Proxy.Options): Pairing => {
    const front = openNow(Zmq.xsub(), { admission: "always" })
    const back = openNow(Zmq.xpub(), { admission: "always" })
    const ways: Pairing["ways"] = [
      { from: front, to: back },
      { from: back, to: front }
    ]
    return pairingOf(ways, Proxy.run(front.socket, back.socket, options as NoUntil))
  }
} as const

const pairingOf = (ways: Pairing["ways"], run: Pairing["run"], capture?: Opened<Zmq.Socket>): Pairing => ({
  ways,
  capture,
  run,
  arrive: (...texts) => {
    for (const { from } of ways) {
      for (const text of texts) from.port.arriveMessage([Buffer.from(`peer${+text % 2}`), Buffer.from(text)])
    }
  },
  giveRoom: (room) => {
    for (const { to } of ways) to.port.giveRoom(room)
    capture?.port.giveRoom(room)
  }
})

const endless = 1_000_000

/** In the order in which each peer sees them. */
const byPeer = (texts: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> =>
  ["peer0", "peer1"].map((peer) => texts.filter((text) => text.startsWith(peer)))

/** What has been passed on, and what the next receives get, is what there was. */
const expectConservation = async ({ ways, capture }: Pairing, where: string): Promise<void> => {
  const captured: Array<string> = [...(capture?.port.sent ?? [])]
  const passed: Array<string> = []
  for (const { from, to } of ways) {
    const left = await drainNow(from.socket)
    // Messages for one peer may overtake those for another that has no room.
    const order = to.socket.type === "router" ? byPeer : (texts: ReadonlyArray<string>) => texts
    expect({ where, messages: order([...to.port.sent, ...left]) }).toEqual({
      where,
      messages: order(from.port.offered)
    })
    expect(from.port.violations).toEqual([])
    passed.push(...to.port.sent)
  }
  if (capture !== undefined) {
    // Each as often as it was passed on, and then those that were about to be.
    const times = (texts: ReadonlyArray<string>, text: string) => texts.filter((other) => other === text).length
    for (const text of new Set([...captured, ...passed])) {
      const [least, is] = [times(passed, text), times(captured, text)]
      expect([where, text, is, is >= least && is <= ways.length]).toEqual([where, text, is, true])
    }
  }
}

/** A second proxy passes on what the first one left, and each message goes, and is captured, exactly once. */
const expectRest = async (set: Pairing, where: string): Promise<void> => {
  const { capture, ways } = set
  set.giveRoom(endless)
  const fiber = Effect.runFork(set.run)
  const done = () => ways.every(({ from, to }) => to.port.sent.length >= from.port.offered.length)
  await turnsUntil(done, 500)
  await turns(3)
  await Effect.runPromise(Fiber.interrupt(fiber))
  for (const { from, to } of ways) {
    expect({ where, messages: to.port.sent.toSorted() }).toEqual({ where, messages: from.port.offered.toSorted() })
    if (to.socket.type !== "router") expect(to.port.sent).toEqual(from.port.offered)
  }
  if (capture !== undefined) {
    const all = ways.flatMap(({ from }) => from.port.offered)
    expect({ where, captured: capture.port.sent.toSorted() }).toEqual({ where, captured: all.toSorted() })
  }
}

/** The same, in a proxy that goes on. */
const again = ({ capture, ways: [{ from, to }] }: Pairing): Pairing["run"] =>
  Proxy.run(from.socket as Zmq.Pull, to.socket as Zmq.Push, { capture: capture?.socket as Zmq.Push | undefined })

const checks = { "what is left can be received": expectConservation, "another proxy goes on": expectRest }

describe("A proxy, interrupted at each of its steps", () => {
  for (const [name, open] of Object.entries(pairs)) {
    it.live(`${name} passes each message on or leaves it`, () =>
      Effect.promise(async () => {
        let steps = 0
        for (const check of Object.values(checks)) {
          for (const room of [0, 2, endless]) {
            steps += await sweep(() => {
              const set = open(room)
              set.arrive("0", "1", "2")
              return {
                program: set.run,
                all: true,
                script: async () => {
                  await turns(2)
                  set.arrive("3", "4")
                  await turns(2)
                  set.giveRoom(2)
                  await turns(2)
                },
                check: ({ moment, step }) => check(set, `interrupted ${moment} at step ${step}, room ${room}`)
              }
            })
          }
        }
        expect(steps).toBeGreaterThan(30)
      })
    )
  }

  it.live("with a handle that pauses it and goes on", () =>
    Effect.promise(async () => {
      const steps = await sweep(() => {
        const front = openNow(Zmq.pull())
        const back = openNow(Zmq.push(), { admission: "writable", room: 2 })
        const set = pairingOf([{ from: front, to: back }], Proxy.run(front.socket, back.socket))
        set.arrive("0", "1", "2")
        return {
          program: Effect.scoped(
            Effect.gen(function* () {
              const proxy = yield* Proxy.make(front.socket, back.socket)
              yield* nextTurn
              yield* proxy.pause
              yield* nextTurn
              yield* proxy.resume
              yield* nextTurn
              yield* proxy.terminate
              yield* proxy.await
            })
          ),
          script: async () => {
            await turns(2)
            set.arrive("3")
            set.giveRoom(1)
            await turns(2)
          },
          check: ({ moment, step }) => expectConservation(set, `interrupted ${moment} at step ${step}`)
        }
      })
      expect(steps).toBeGreaterThan(20)
    })
  )
})

describe("A proxy, interrupted after each microtask", () => {
  for (const [name, open] of Object.entries(pairs)) {
    it.live(`${name} passes each message on or leaves it`, () =>
      Effect.promise(async () => {
        const sentAtInterrupt = new Set<number>()
        for (const [what, check] of Object.entries(checks)) {
          for (const room of [0, 1, 3, endless]) {
            for (let moment = 0; moment < 120; moment++) {
              const set = open(room)
              const actions = [
                () => set.arrive("0", "1", "2"),
                () => set.giveRoom(1),
                () => set.arrive("3"),
                () => set.arrive("4", "5"),
                () => set.giveRoom(2)
              ]
              const fiber = Effect.runFork(set.run)
              // Half of the moments are those after the event loop has gone round.
              if (moment % 2 === 1) await turns()
              for (let i = 0; i < moment; i++) {
                if (i % 17 === 0) actions.shift()?.()
                await Promise.resolve()
              }
              const ended = Effect.runPromise(Fiber.interrupt(fiber))
              // In the same tick, and the next.
              actions.shift()?.()
              await Promise.resolve()
              actions.shift()?.()
              await ended
              // The fate of each message is settled by now.
              const sent = set.ways.map(({ to }) => to.port.sent.length)
              sentAtInterrupt.add(sent[0]!)
              for (const action of actions) action()
              set.giveRoom(endless)
              await turns(4)
              expect(set.ways.map(({ to }) => to.port.sent.length)).toEqual(sent)
              await check(set, `interrupted at ${moment}, room ${room}, ${what}`)
            }
          }
        }
        // Interrupts came before, between and after the messages.
        expect(sentAtInterrupt.size).toBeGreaterThan(3)
      })
    )
  }
})

describe("A proxy that is told to end after each microtask", () => {
  for (const [name, open] of Object.entries(pairs)) {
    it.live(`${name} passes on what is on its way, takes nothing more, and succeeds`, () =>
      Effect.promise(async () => {
        const sentAtEnd = new Set<number>()
        let waited = 0
        for (const [what, check] of Object.entries(checks)) {
          for (const room of [0, 1, 3, endless]) {
            for (let moment = 0; moment < 120; moment++) {
              const where = `told at ${moment}, room ${room}, ${what}`
              const told = Deferred.makeUnsafe<void>()
              const set = open(room, { until: Deferred.await(told) })
              const actions = [
                () => set.arrive("0", "1", "2"),
                () => set.giveRoom(1),
                () => set.arrive("3"),
                () => set.arrive("4", "5")
              ]
              const fiber = Effect.runFork(set.run)
              if (moment % 2 === 1) await turns()
              for (let i = 0; i < moment; i++) {
                if (i % 17 === 0) actions.shift()?.()
                await Promise.resolve()
              }
              Deferred.doneUnsafe(told, Effect.void)
              const sentBefore = set.ways.map(({ to }) => to.port.sent.length)
              // What comes now stays.
              set.arrive("8", "9")
              await turns(4)
              if (fiber.pollUnsafe() === undefined) waited++
              set.giveRoom(endless)
              expect([where, await turnsUntil(() => fiber.pollUnsafe() !== undefined, 500)]).toEqual([where, true])
              expect([where, fiber.pollUnsafe()]).toEqual([where, Exit.void])
              set.ways.forEach(({ from, to }, i) => {
                // It has one in hand, or several for peers that have no room.
                const most = to.socket.type === "router" ? endless : sentBefore[i]! + 1
                expect([where, to.port.sent.length <= most]).toEqual([where, true])
                expect([where, to.port.sent.filter((text) => /[89]$/.test(text))]).toEqual([where, []])
                expect([where, from.socket.stats.putBack]).toEqual([where, 0])
              })
              const sent = set.ways.map(({ to }) => to.port.sent.length)
              sentAtEnd.add(sent[0]!)
              await turns(3)
              expect(set.ways.map(({ to }) => to.port.sent.length)).toEqual(sent)
              await check({ ...set, run: again(set) }, where)
            }
          }
        }
        expect(sentAtEnd.size).toBeGreaterThan(3)
        // XSUB and XPUB always have room.
        if (!name.startsWith("XSUB")) expect(waited).toBeGreaterThan(10)
      })
    )
  }

  it.live("passes on the one that waits for its capture, and none of those behind it", () =>
    Effect.promise(async () => {
      const front = openNow(Zmq.pull())
      const back = openNow(Zmq.push(), { admission: "writable", room: endless })
      const capture = openNow(Zmq.push(), { admission: "writable", room: 0 })
      const told = Deferred.makeUnsafe<void>()
      // So that all are in the mailbox.
      front.port.arrive("before", "0", "1", "2")
      await Effect.runPromise(front.socket.recv)
      const fiber = Effect.runFork(
        Proxy.run(front.socket, back.socket, { capture: capture.socket, until: Deferred.await(told) })
      )
      await turns(3)
      Deferred.doneUnsafe(told, Effect.void)
      await turns(3)
      expect(fiber.pollUnsafe()).toBeUndefined()
      capture.port.giveRoom(endless)
      expect(await turnsUntil(() => fiber.pollUnsafe() !== undefined, 500)).toBe(true)
      expect(fiber.pollUnsafe()).toEqual(Exit.void)
      expect([capture.port.sent, back.port.sent, await drainNow(front.socket)]).toEqual([["0"], ["0"], ["1", "2"]])
    })
  )

  it.live("takes nothing if that has happened before", () =>
    Effect.promise(async () => {
      const set = pairs["PULL to PUSH"](endless, { until: Effect.void })
      set.arrive("0")
      await turns(3)
      const fiber = Effect.runFork(set.run)
      await turns(3)
      expect(fiber.pollUnsafe()).toEqual(Exit.void)
      await expectConservation(set, "before")
      expect(set.ways[0]!.to.port.sent).toEqual([])
    })
  )

  it.live("ends at once in a pause, and when it is paused while it ends", () =>
    Effect.promise(async () => {
      for (const when of ["before", "after"] as const) {
        const front = openNow(Zmq.pull())
        const back = openNow(Zmq.push(), { admission: "writable", room: 1 })
        const told = Deferred.makeUnsafe<void>()
        const { proxy } = makeNow(Proxy.make(front.socket, back.socket, { until: Deferred.await(told) }))
        front.port.arrive("0", "1", "2")
        await turns(3)
        if (when === "before") await Effect.runPromise(proxy.pause)
        Deferred.doneUnsafe(told, Effect.void)
        const ended = Effect.runFork(proxy.await)
        await turns(3)
        expect(ended.pollUnsafe() === undefined).toBe(when === "after")
        await Effect.runPromise(proxy.pause)
        await turns(1)
        expect(ended.pollUnsafe()).toEqual(Exit.void)
        expect([...back.port.sent, ...(await drainNow(front.socket))]).toEqual(["0", "1", "2"])
      }
    })
  )

  it.live("fails with Closed when a socket closes before it has ended", () =>
    Effect.promise(async () => {
      const front = openNow(Zmq.pull())
      const back = openNow(Zmq.push(), { admission: "writable", room: 0 })
      const told = Deferred.makeUnsafe<void>()
      const fiber = Effect.runFork(Proxy.run(front.socket, back.socket, { until: Deferred.await(told) }))
      front.port.arrive("0")
      await turns(3)
      Deferred.doneUnsafe(told, Effect.void)
      await turns(3)
      await back.close()
      await turns(3)
      expect(failureOf(fiber.pollUnsafe()!)).toMatchObject({ _tag: "Closed", operation: "Proxy: backend" })
      expect(await drainNow(front.socket)).toEqual(["0"])
    })
  )
})

describe("When a proxy has stopped, the fate of each message is settled", () => {
  const hows = {
    interrupted: ({ run }) => {
      const fiber = Effect.runFork(run)
      return () => {
        fiber.interruptUnsafe()
        return fiber
      }
    },
    paused: ({ make }) => {
      const { proxy } = makeNow(make)
      return () => Effect.runFork(proxy.pause)
    },
    terminated: ({ make }) => {
      const { proxy } = makeNow(make)
      return () => Effect.runFork(proxy.terminate)
    },
    "ended by its scope": ({ make }) => {
      const scope = Scope.makeUnsafe()
      Effect.runSync(Scope.provide(make, scope))
      return () => Effect.runFork(Scope.close(scope, Exit.void))
    }
  } satisfies Record<
    string,
    (proxy: {
      readonly run: Effect.Effect<never, unknown>
      readonly make: Effect.Effect<Proxy.Proxy, unknown, Scope.Scope>
    }) => () => Fiber.Fiber<unknown, unknown>
  >
  for (const [how, start] of Object.entries(hows)) {
    it.live(`at the very moment in which it is ${how}`, () =>
      Effect.promise(async () => {
        const sentThen = new Set<number>()
        for (const room of [0, 1, 2, endless]) {
          for (let moment = 0; moment < 40; moment++) {
            const front = openNow(Zmq.pull())
            const back = openNow(Zmq.push(), { admission: "writable", room })
            const { mailbox } = coreOf(front.socket)!.inbox
            front.port.arrive("before", "0", "1", "2")
            await Effect.runPromise(front.socket.recv)
            expect(mailbox.size).toBe(3)
            const stop = start({
              run: Proxy.run(front.socket, back.socket),
              make: Proxy.make(front.socket, back.socket)
            })
            for (let i = 0; i < moment; i++) await Promise.resolve()
            let held = -1
            let sent = -1
            stop().addObserver(() => {
              held = mailbox.size
              sent = back.port.sent.length
            })
            await turnsUntil(() => sent >= 0)
            expect({ moment, room, all: held + sent }).toEqual({ moment, room, all: 3 })
            expect(await drainNow(front.socket)).toEqual(messages(sent, 3))
            sentThen.add(sent)
          }
        }
        expect([...sentThen].sort()).toEqual([0, 1, 2, 3])
      })
    )
  }
})

// -----------------------------------------------------------------------------
// what it does, on scripted sockets
// -----------------------------------------------------------------------------

const makeNow = <F extends Zmq.Socket, B extends Zmq.Socket, E>(
  make: Effect.Effect<Proxy.Proxy<F, B>, E, Scope.Scope>
) => {
  const scope = Scope.makeUnsafe()
  const proxy = Effect.runSync(Scope.provide(make, scope))
  return { proxy, end: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

const streamer = (room: number, script?: Script) => {
  const front = openNow(Zmq.pull(), script)
  const back = openNow(Zmq.push(), { admission: "writable", room })
  return { front, back, ...makeNow(Proxy.make(front.socket, back.socket)) }
}
const queue = (dealer?: Zmq.DealerOptions) => {
  const front = openNow(Zmq.router(), { admission: "ask" })
  const back = openNow(Zmq.dealer(dealer))
  return { front, back, ...makeNow(Proxy.make(front.socket, back.socket)) }
}

const frames = (...texts: [string, ...Array<string>]): Zmq.Message =>
  texts.map((text) => Buffer.from(text)) as unknown as Zmq.Message

describe("A proxy", () => {
  it.live("keeps the order and the frames, and counts", () =>
    Effect.promise(async () => {
      const { back, front, proxy } = queue()
      front.port.arriveMessage(frames("a", "", "one", "two"))
      front.port.arriveMessage(frames("b", "", ""))
      back.port.arriveMessage(frames("a", "", "reply"))
      await turns(3)
      expect(back.port.sent).toEqual(["a||one|two", "b||"])
      expect(front.port.sent).toEqual(["a||reply"])
      expect(proxy.stats).toEqual({
        toBackend: { messages: 2, bytes: 8, dropped: 0 },
        toFrontend: { messages: 1, bytes: 6, dropped: 0 }
      })
    })
  )

  it.live("stops reading one side while the other has no room", () =>
    Effect.promise(async () => {
      const { back, front, proxy } = streamer(10, { flood: String })
      await turnsUntil(() => back.port.isWaiting)
      await turns(20)
      expect(back.port.sent).toEqual(messages(0, 10))
      const taken = front.port.flooded
      expect(taken).toBeLessThanOrEqual(10 + 2 * 256)
      await turns(20)
      expect(front.port.flooded).toBe(taken)
      back.port.giveRoom(1000)
      await turnsUntil(() => back.port.sent.length === 1010)
      await turns(20)
      expect(front.port.flooded).toBeLessThanOrEqual(1010 + 2 * 256)
      // What it has not passed on is there, from the next message on.
      await Effect.runPromise(proxy.pause)
      front.port.flooding = false
      const left = await drainNow(front.socket)
      expect(left).toEqual(messages(1010, front.port.flooded))
    })
  )

  it.live(
    "keeps 1,000 messages for a ROUTER peer that has no room, counts what it drops beyond, and serves the others",
    () =>
      Effect.promise(async () => {
        const steered = queue()
        const { back, front } = steered
        let full = true
        front.port.answer = (message) => (full && `${message[0]}` === "slow" ? "full" : "sent")
        for (const text of messages(0, 1200)) back.port.arriveMessage(frames("slow", text))
        back.port.arriveMessage(frames("fast", "last"))
        expect(await turnsUntil(() => front.port.sent.length === 1)).toBe(true)
        expect(front.port.sent).toEqual(["fast|last"])
        expect(steered.proxy.stats.toFrontend.dropped).toBe(200)
        expect(front.socket.stats.dropped).toBe(200)
        full = false
        expect(await turnsUntil(() => front.port.sent.length === 1001)).toBe(true)
        expect(front.port.sent.slice(1)).toEqual(messages(0, 1000).map((text) => `slow|${text}`))
      })
  )

  it.live("lets one ROUTER peer without room not hold up the others, and keeps the order of each", () =>
    Effect.promise(async () => {
      const steered = queue()
      const { back, front } = steered
      let full = true
      front.port.answer = (message) => (full && `${message[0]}` === "slow" ? "full" : "sent")
      for (const text of messages(0, 20)) back.port.arriveMessage(frames(+text % 2 === 0 ? "slow" : "fast", text))
      await turns(10)
      expect(front.port.sent).toEqual(messages(0, 20).flatMap((text) => (+text % 2 === 1 ? [`fast|${text}`] : [])))
      full = false
      await turnsUntil(() => front.port.sent.length === 20)
      expect(front.port.sent.slice(10)).toEqual(
        messages(0, 20).flatMap((text) => (+text % 2 === 0 ? [`slow|${text}`] : []))
      )
      expect(steered.proxy.stats.toFrontend).toMatchObject({ messages: 20, dropped: 0 })
    })
  )

  it.live("drops and counts what a ROUTER has no peer for, at once or when it had waited, and goes on", () =>
    Effect.promise(async () => {
      const steered = queue()
      const { back, front } = steered
      let left = false
      front.port.answer = (message) => {
        if (`${message[0]}` === "unknown") return "unroutable"
        return `${message[0]}` === "leaving" ? (left ? "unroutable" : "full") : "sent"
      }
      back.port.arriveMessage(frames("unknown", "0"))
      back.port.arriveMessage(frames("leaving", "1"))
      back.port.arriveMessage(frames("here", "2"))
      // A routing id and no message: libzmq would take it and send nothing.
      back.port.arriveMessage(frames("here"))
      back.port.arriveMessage(frames("leaving", "3"))
      await turns(10)
      left = true
      await turnsUntil(() => steered.proxy.stats.toFrontend.dropped === 4)
      back.port.arriveMessage(frames("here", "4"))
      await turns(10)
      expect(front.port.sent).toEqual(["here|2", "here|4"])
      expect(steered.proxy.stats.toFrontend).toEqual({ messages: 2, bytes: 10, dropped: 4 })
      expect(await drainNow(back.socket)).toEqual([])
    })
  )

  it.live("takes its turn with others who send to the same socket, and who receive from it", () =>
    Effect.promise(async () => {
      const { back, front } = streamer(0)
      const other = Effect.runFork(back.socket.send("first"))
      await turns(2)
      front.port.arrive("a", "b")
      await turns(2)
      const last = Effect.runFork(back.socket.send("last"))
      await turns(2)
      for (let i = 0; i < 4; i++) {
        back.port.giveRoom(1)
        await turns(3)
      }
      expect(back.port.sent.slice(0, 3)).toEqual(["first", "a", "last"])
      expect(back.port.sent[3]).toBe("b")
      expect([other.pollUnsafe()?._tag, last.pollUnsafe()?._tag]).toEqual(["Success", "Success"])

      back.port.giveRoom(endless)
      const received = Effect.runFork(front.socket.recvString)
      await turns(2)
      front.port.arrive("c", "d")
      await turns(3)
      // The proxy came first, and who came second has its message.
      expect(back.port.sent.slice(4)).toEqual(["c"])
      expect(received.pollUnsafe()).toEqual(Exit.succeed("d"))
    })
  )

  it.live("captures a message before it passes it on, and waits for the capture", () =>
    Effect.promise(async () => {
      const capture = openNow(Zmq.push(), { admission: "writable", room: 1 })
      const front = openNow(Zmq.pull())
      const back = openNow(Zmq.push(), { admission: "writable", room: endless })
      const { proxy } = makeNow(Proxy.make(front.socket, back.socket, { capture: capture.socket }))
      front.port.arriveMessage(frames("a", "1"))
      front.port.arrive("b", "c")
      await turns(5)
      expect([capture.port.sent, back.port.sent]).toEqual([["a|1"], ["a|1"]])
      capture.port.giveRoom(1)
      await turns(5)
      expect([capture.port.sent, back.port.sent]).toEqual([
        ["a|1", "b"],
        ["a|1", "b"]
      ])
      await Effect.runPromise(proxy.pause)
      expect(await drainNow(front.socket)).toEqual(["c"])
    })
  )

  it.live("does nothing while it is paused, and goes on where it was", () =>
    Effect.promise(async () => {
      const { back, front, proxy } = streamer(1)
      front.port.arrive("0", "1")
      await turns(3)
      await Effect.runPromise(proxy.pause)
      await Effect.runPromise(proxy.pause)
      back.port.giveRoom(endless)
      front.port.arrive("2", "3")
      await turns(5)
      expect(back.port.sent).toEqual(["0"])
      expect(await Effect.runPromise(front.socket.recvString)).toBe("1")
      await Effect.runPromise(proxy.resume)
      await Effect.runPromise(proxy.resume)
      await turns(3)
      expect(back.port.sent).toEqual(["0", "2", "3"])
    })
  )

  it.live("gives others their turn in a flood, however many proxies there are", () =>
    Effect.promise(async () => {
      const all = numbers(0, 8).map(() => streamer(endless, { flood: String }))
      await turns(10)
      const before = all.map(({ back }) => back.port.sent.length)
      await turns(4)
      const passed = all.map(({ back }, i) => back.port.sent.length - before[i]!)
      for (const { front, end } of all) {
        front.port.flooding = false
        await end()
      }
      // All together, in so many turns; and each had its share.
      expect(passed.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(512 * 6)
      expect(Math.min(...passed)).toBeGreaterThan(0)
    })
  )
})

// -----------------------------------------------------------------------------
// its end
// -----------------------------------------------------------------------------

describe("A proxy ends", () => {
  const situations: Record<string, { readonly room: number; readonly captureRoom: number; readonly arrive: boolean }> =
    {
      "while it waits for a message": { room: endless, captureRoom: endless, arrive: false },
      "while it waits for room": { room: 0, captureRoom: endless, arrive: true },
      "while it waits for its capture": { room: endless, captureRoom: 0, arrive: true }
    }
  for (const [when, { arrive, captureRoom, room }] of Object.entries(situations)) {
    for (const role of ["frontend", "backend", "capture"] as const) {
      it.live(`with Closed when its ${role} closes ${when}, and at once`, () =>
        Effect.promise(async () => {
          const frontend = openNow(Zmq.pull())
          const backend = openNow(Zmq.push(), { admission: "writable", room })
          const capture = openNow(Zmq.push(), { admission: "writable", room: captureRoom })
          const sockets = { frontend, backend, capture }
          const fiber = Effect.runFork(Proxy.run(frontend.socket, backend.socket, { capture: capture.socket }))
          if (arrive) frontend.port.arrive("0", "1")
          await turns(3)
          await sockets[role].close()
          await turns(2)
          const exit = fiber.pollUnsafe()
          expect(exit === undefined ? "it goes on" : failureOf(exit)).toMatchObject({
            _tag: "Closed",
            operation: `Proxy: ${role}`
          })
          // What it had in hand is back before the socket counts what is left in it.
          if (arrive && role === "frontend") expect(frontend.socket.stats.leftAtClose).toBe(1)
          // The second message was never taken from libzmq if it was the frontend that closed.
          const left = role === "frontend" ? ["0"] : ["0", "1"]
          if (arrive) expect(await drainNow(frontend.socket)).toEqual(left)
        })
      )
    }
  }

  it.live("when it is told to, and leaves its sockets open", () =>
    Effect.promise(async () => {
      const { back, front, proxy } = streamer(1)
      front.port.arrive("0", "1")
      await turns(3)
      await Effect.runPromise(proxy.terminate)
      await Effect.runPromise(proxy.terminate)
      await Effect.runPromise(proxy.await)
      // There is no way back.
      await Effect.runPromise(proxy.resume)
      back.port.giveRoom(endless)
      await turns(3)
      expect(back.port.sent).toEqual(["0"])
      expect(await drainNow(front.socket)).toEqual(["1"])
      await Effect.runPromise(back.socket.send("open"))
      expect(back.port.sent).toEqual(["0", "open"])
    })
  )

  it.live("also in a pause, when a socket closes", () =>
    Effect.promise(async () => {
      const { back, proxy } = streamer(1)
      await Effect.runPromise(proxy.pause)
      await back.close()
      expect(await Effect.runPromise(outcome(proxy.await))).toBe("Closed")
    })
  )

  it.live("before it begins, with sockets that are closed", () =>
    Effect.promise(async () => {
      const front = openNow(Zmq.pull())
      const back = openNow(Zmq.push())
      await back.close()
      expect(await Effect.runPromise(outcome(Proxy.run(front.socket, back.socket)))).toBe("Closed")
    })
  )
})

// -----------------------------------------------------------------------------
// which sockets
// -----------------------------------------------------------------------------

describe("Which sockets can be proxied", () => {
  const opens = {
    pull: Zmq.pull(),
    push: Zmq.push(),
    pub: Zmq.pub(),
    sub: Zmq.sub({ subscribe: "" }),
    req: Zmq.req(),
    rep: Zmq.rep(),
    dealer: Zmq.dealer(),
    router: Zmq.router(),
    pair: Zmq.pair(),
    xpub: Zmq.xpub(),
    xsub: Zmq.xsub(),
    rawStream: Zmq.rawStream()
  } as const
  type Type = keyof typeof opens
  const types = Object.keys(opens) as Array<Type>

  const counterparts: Readonly<Record<Type, ReadonlyArray<Type>>> = {
    pull: ["push", "pub", "xpub", "dealer", "pair", "router", "rawStream"],
    push: ["pull", "sub", "xsub", "dealer", "pair", "router", "rawStream"],
    pub: ["pull", "sub", "xsub", "dealer", "pair", "router", "rawStream"],
    sub: ["push", "pub", "xpub", "dealer", "pair"],
    req: [],
    rep: [],
    dealer: ["pull", "push", "pub", "sub", "dealer", "router", "pair", "xpub", "xsub", "rawStream"],
    router: ["pull", "push", "pub", "dealer", "pair", "xpub"],
    pair: ["pull", "push", "pub", "sub", "dealer", "router", "pair", "xpub", "xsub", "rawStream"],
    xpub: ["pull", "sub", "dealer", "router", "pair", "xsub", "rawStream"],
    xsub: ["push", "pub", "dealer", "pair", "xpub"],
    rawStream: ["pull", "push", "pub", "dealer", "pair", "xpub"]
  }

  it.live("all others fail with a ProxyError that says so", () =>
    Effect.gen(function* () {
      for (const front of types) {
        for (const back of types) {
          const frontend = yield* opens[front]
          const backend = yield* opens[back]
          const made = yield* outcome(Effect.scoped(Proxy.make(frontend as Zmq.Pull, backend as Zmq.Push)))
          const expected = counterparts[front].includes(back) ? "ok" : "ProxyError"
          expect([front, back, made]).toEqual([front, back, expected])
        }
      }
      const pull = yield* Zmq.pull()
      const push = yield* Zmq.push()
      const pair = yield* Zmq.pair()
      const refused = (self: Effect.Effect<never, Proxy.ProxyError | Zmq.Closed>) => Effect.flip(self)
      const same = yield* refused(Proxy.run(pair, pair))
      expect(same).toMatchObject({ _tag: "ProxyError", reason: "SameSocket", frontend: "pair", backend: "pair" })
      expect(yield* refused(Proxy.run(pull, push, { capture: push }))).toMatchObject({ reason: "SameSocket" })
      const copy = yield* refused(Proxy.run({ ...pull }, push))
      expect(copy).toMatchObject({ reason: "NotASocket" })
      expect(copy.message).toContain("Proxy between pull and push: NotASocket. Use the sockets as")
      const pullAsCapture = pair as unknown as Zmq.Pair
      const capture = (yield* Zmq.sub({ subscribe: "" })) as unknown as typeof pullAsCapture
      expect(yield* refused(Proxy.run(pull, push, { capture }))).toMatchObject({ reason: "NoFlow" })
    }).pipe(Effect.scoped)
  )

  it("and do not compile", () => {
    type Checks = <F extends Proxy.Side, B extends Proxy.Counterpart<F>>(frontend: F, backend: B) => void
    const check: Checks = () => {}
    const { dealer, pair, pub, pull, push, rep, req, router, sub, xpub, xsub } = {} as {
      readonly [T in Type]: Effect.Success<(typeof opens)[T]>
    }
    check(router, dealer)
    check(dealer, router)
    check(xsub, xpub)
    check(xpub, xsub)
    check(pull, push)
    check(push, pull)
    check(sub, pub)
    check(pair, pair)
    // @ts-expect-error a REQ is in turn with its peer
    check(req, dealer)
    // @ts-expect-error a REP is in turn with its peer
    check(router, rep)
    // @ts-expect-error neither sends
    check(pull, pull)
    // @ts-expect-error neither sends
    check(pull, sub)
    // @ts-expect-error neither receives
    check(push, pub)
    // @ts-expect-error the routing ids of one are not those of the other
    check(router, router)
    // @ts-expect-error both receive subscriptions
    check(xpub, xpub)
    // @ts-expect-error a SUB cannot capture, as it cannot send
    const options: Proxy.Options = { capture: sub }
    expect(options).toBeDefined()
  })
})

// -----------------------------------------------------------------------------
// real sockets
// -----------------------------------------------------------------------------

describe("Proxy.queue", () => {
  for (const transport of transports) {
    it.live(`passes requests on and replies back over ${transport}`, () =>
      Effect.gen(function* () {
        const proxy = yield* Proxy.queue({
          frontend: { bind: freshEndpoint(transport) },
          backend: { bind: freshEndpoint(transport) }
        })
        const clients = yield* Effect.forEach(numbers(0, 5), () => Zmq.req({ connect: boundTo(proxy.frontend) }))
        // There is no worker yet: the requests wait.
        const asking = yield* Effect.forkChild(
          Effect.forEach(
            clients,
            (client, own) =>
              Effect.forEach(numbers(0, 50), (n) => Effect.map(client.request([`${own}`, "", `${n}`]), texts)),
            { concurrency: "unbounded" }
          )
        )
        yield* until(Effect.sync(() => proxy.frontend.stats.messagesIn > 0))
        expect(proxy.stats.toBackend.messages).toBe(0)
        const reply = (request: Zmq.Message) => Effect.succeed(["re", ...request] as const)
        const rep = yield* Zmq.rep({ connect: boundTo(proxy.backend) })
        const router = yield* Zmq.router({ connect: boundTo(proxy.backend) })
        yield* Effect.forkScoped(rep.serve(reply))
        yield* Effect.forkScoped(router.serve(reply, { concurrency: 4 }))
        const answers = yield* Fiber.join(asking)
        expect(answers).toEqual(clients.map((_, own) => numbers(0, 50).map((n) => ["re", `${own}`, "", `${n}`])))
        const { toBackend, toFrontend } = proxy.stats
        expect([toBackend.messages, toFrontend.messages]).toEqual([250, 250])
        expect(toFrontend.bytes - toBackend.bytes).toBe(250 * 2)
      }).pipe(Effect.scoped)
    )
  }

  it.live("gives each client all its replies, once and in order, in a storm of interrupts", () =>
    Effect.gen(function* () {
      const seed = 20_261_000
      const random = randomFrom(seed)
      // The other engine is through sooner.
      const { total, turns } = byEngine({ zeromq: { total: 2000, turns: 20 }, zmtp: { total: 4000, turns: 4 } })
      // Little room everywhere, so that everyone waits for everyone.
      const small = { receiveHighWaterMark: 20, sendHighWaterMark: 20 }
      const front = yield* Zmq.router({ bind: freshEndpoint("tcp"), ...small })
      const back = yield* Zmq.dealer({ bind: freshEndpoint("ipc"), ...small })
      const worker = yield* Zmq.dealer({ connect: boundTo(back), ...small })
      yield* Effect.forkScoped(worker.runForEach(worker.send))
      const replies = numbers(0, 4).map((): Array<string> => [])
      for (const [own, got] of replies.entries()) {
        const client = yield* Zmq.dealer({ connect: boundTo(front), ...small })
        yield* Effect.forkScoped(client.sendAll(messages(0, total).map((n) => [`${own}`, n])))
        const slow = client.runForEach((reply) => {
          got.push(textOf(reply))
          return random(100) === 0 ? pause(random(4)) : Effect.void
        })
        yield* Effect.forkScoped(slow)
      }
      let interrupts = 0
      while (replies.some((got) => got.length < total)) {
        const fiber = yield* Effect.forkChild(Proxy.run(front, back))
        for (let i = random(turns); i > 0; i--) yield* nextTurn
        for (let i = random(8); i > 0; i--) yield* Effect.promise(() => Promise.resolve())
        yield* Fiber.interrupt(fiber)
        interrupts++
      }
      yield* pause(20)
      expect({ seed, replies }).toEqual({
        seed,
        replies: replies.map((_, own) => messages(0, total).map((n) => `${own}|${n}`))
      })
      expect(interrupts).toBeGreaterThan(50)
    }).pipe(Effect.scoped)
  )

  it.live("drops the replies to a client that has left, and goes on", () =>
    Effect.gen(function* () {
      const proxy = yield* Proxy.queue({
        frontend: { bind: freshEndpoint("tcp") },
        backend: { bind: freshEndpoint("tcp") }
      })
      const worker = yield* Zmq.dealer({ connect: boundTo(proxy.backend) })
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(Zmq.dealer({ connect: boundTo(proxy.frontend) }), scope)
      yield* client.send("bye")
      const late = yield* worker.recv
      yield* Scope.close(scope, Exit.void)
      // Until libzmq has noticed that it left.
      yield* until(
        Effect.gen(function* () {
          yield* worker.send(late)
          yield* pause(1)
          return proxy.stats.toFrontend.dropped > 0
        })
      )
      const other = yield* Zmq.req({ connect: boundTo(proxy.frontend) })
      const asking = yield* Effect.forkChild(other.request("hello"))
      yield* worker.send(yield* worker.recv)
      expect(texts(yield* Fiber.join(asking))).toEqual(["hello"])
    }).pipe(Effect.scoped)
  )

  it.live("closes its sockets with its scope, and opens nothing when it fails", () =>
    Effect.gen(function* () {
      const endpoint = freshEndpoint("inproc")
      const options = { frontend: { bind: endpoint }, backend: { bind: endpoint } }
      expect(yield* outcome(Effect.scoped(Proxy.queue(options)))).toBe("BindError")
      const { backend } = yield* Effect.scoped(Proxy.queue({ frontend: { bind: endpoint }, backend: {} }))
      expect(yield* outcome(backend.send("x"))).toBe("Closed")
      yield* Zmq.pull({ bind: endpoint })
    }).pipe(Effect.scoped)
  )
})

describe("Proxy.forwarder", () => {
  it.live("cuts off who subscribes to more than a topic may be, unless told otherwise", () =>
    Effect.gen(function* () {
      for (const options of [{}, { maxMessageSize: undefined }]) {
        const proxy = yield* Proxy.forwarder({
          frontend: { bind: freshEndpoint("tcp") },
          backend: { bind: freshEndpoint("tcp"), ...options }
        })
        // An XSUB passes on what a SUB would refuse.
        const subscriber = yield* Zmq.xsub({ connect: boundTo(proxy.backend), subscribe: [] })
        yield* subscriber.awaitConnected
        yield* subscriber.send(Buffer.alloc(longestSubscription + 1, 1))
        yield* until(Effect.map(proxy.backend.status, ({ peers }) => peers === 0))
      }
    }).pipe(Effect.scoped)
  )

  for (const transport of transports) {
    it.live(`passes on what is subscribed to over ${transport}`, () =>
      Effect.gen(function* () {
        const capture = yield* Zmq.push({ bind: freshEndpoint("inproc") })
        const audit = yield* Zmq.pull({ connect: boundTo(capture) })
        const proxy = yield* Proxy.forwarder({
          frontend: { bind: freshEndpoint(transport) },
          backend: { bind: freshEndpoint(transport) },
          capture
        })
        const publisher = yield* Zmq.xpub({ connect: boundTo(proxy.frontend) })
        const subscriber = yield* Zmq.sub({ connect: boundTo(proxy.backend), subscribe: "news." })
        // The subscription comes all the way through.
        expect(yield* publisher.recvString).toBe("\x01news.")
        yield* publisher.sendAll(["weather.1", ["news.1", "a"], "weather.2", ["news.2", "", "b"]])
        expect(texts(yield* subscriber.recv)).toEqual(["news.1", "a"])
        expect(texts(yield* subscriber.recv)).toEqual(["news.2", "", "b"])
        expect(yield* audit.recvString).toBe("\x01news.")
        expect(texts(yield* audit.recv)).toEqual(["news.1", "a"])
        expect(texts(yield* audit.recv)).toEqual(["news.2", "", "b"])
        expect(proxy.stats).toEqual({
          toBackend: { messages: 2, bytes: 14, dropped: 0 },
          toFrontend: { messages: 1, bytes: 6, dropped: 0 }
        })
      }).pipe(Effect.scoped)
    )
  }
})

describe("Proxy.streamer", () => {
  for (const transport of transports) {
    it.live(`loses, doubles and reorders nothing in a storm of interrupts over ${transport}`, () =>
      Effect.gen(function* () {
        const seed = 20_260_000 + transports.indexOf(transport)
        const random = randomFrom(seed)
        const total = 20_000
        const front = yield* Zmq.pull({ bind: freshEndpoint(transport), receiveHighWaterMark: 100 })
        const back = yield* Zmq.push({ bind: freshEndpoint(transport), sendHighWaterMark: 100 })
        const capture = yield* Zmq.push({ bind: freshEndpoint("inproc"), sendHighWaterMark: 50 })
        const source = yield* Zmq.push({ connect: boundTo(front), sendHighWaterMark: 100 })
        const sink = yield* Zmq.pull({ connect: boundTo(back), receiveHighWaterMark: 100 })
        const audit = yield* Zmq.pull({ connect: boundTo(capture), receiveHighWaterMark: 50 })
        const arrived: Array<string> = []
        const captured: Array<string> = []
        const byHand: Array<string> = []
        const receive = (socket: Zmq.Pull, into: Array<string>) =>
          socket.runForEach((message) => {
            into.push(textOf(message))
            // Sometimes it is slow, so that there is no room.
            return random(500) === 0 ? pause(random(5)) : Effect.void
          })
        yield* Effect.forkScoped(source.sendAll(messages(0, total)))
        yield* Effect.forkScoped(receive(sink, arrived))
        yield* Effect.forkScoped(receive(audit, captured))
        let interrupts = 0
        const done = () => arrived.length + byHand.length >= total
        while (!done()) {
          const fiber = yield* Effect.forkChild(Proxy.run(front, back, { capture }))
          const turnsOfIt = random(12)
          for (let i = 0; i < turnsOfIt && !done(); i++) yield* nextTurn
          for (let i = random(8); i > 0; i--) yield* Effect.promise(() => Promise.resolve())
          yield* Fiber.interrupt(fiber)
          interrupts++
          if (random(4) === 0) byHand.push(...(yield* front.tryRecv).pipe(Option.map(textOf), Option.toArray))
          if (interrupts % 100 === 0) yield* pause(1)
        }
        expect({ seed, all: [...arrived, ...byHand].sort((a, b) => +a - +b) }).toEqual({
          seed,
          all: messages(0, total)
        })
        expect(arrived).toEqual(arrived.toSorted((a, b) => +a - +b))
        // What was received by hand may have been captured before.
        const last = arrived.at(-1)!
        yield* until(Effect.sync(() => captured.includes(last)))
        expect(new Set(captured).size).toBe(captured.length)
        const seen = new Set(captured)
        expect(arrived.filter((text) => !seen.has(text))).toEqual([])
        expect(interrupts).toBeGreaterThan(50)
      }).pipe(Effect.scoped)
    )
  }
})

describe("Many proxies", () => {
  it.live("8 of them run beside the file system, DNS and binds, and pass messages on", () =>
    Effect.gen(function* () {
      const proxies = yield* Effect.forEach(numbers(0, 8), () =>
        Proxy.queue({ frontend: { bind: freshEndpoint("tcp") }, backend: { bind: freshEndpoint("tcp") } })
      )
      for (const proxy of proxies) {
        const rep = yield* Zmq.rep({ connect: boundTo(proxy.backend) })
        yield* Effect.forkScoped(rep.serve(([request]) => Effect.succeed(request)))
      }
      for (const [number, proxy] of proxies.entries()) {
        // Each of these needs a thread of libuv, and there are 4.
        yield* Effect.promise(() => readFile(new URL(import.meta.url)))
        const host = boundTo(proxy.frontend).replace("127.0.0.1", "localhost")
        const client = yield* Zmq.req({ connect: host, receiveTimeout: "1 minute" })
        yield* Zmq.pull({ bind: freshEndpoint("tcp") })
        expect(texts(yield* client.request(`${number}`))).toEqual([`${number}`])
      }
    }).pipe(Effect.scoped)
  )

  it.live("leave the event loop alive in a flood: together they pass 512 messages in each turn of it at most", () =>
    Effect.gen(function* () {
      const proxies = yield* Effect.forEach(numbers(0, 4), () =>
        Proxy.streamer({ frontend: { bind: freshEndpoint("ipc") }, backend: { bind: freshEndpoint("ipc") } })
      )
      for (const proxy of proxies) {
        const source = yield* Zmq.push({ connect: boundTo(proxy.frontend), linger: 0 })
        const sink = yield* Zmq.pull({ connect: boundTo(proxy.backend) })
        yield* Effect.forkScoped(sink.runForEach(() => Effect.void))
        if (proxy !== proxies[0]) yield* Effect.forkScoped(Effect.forever(source.sendAll(messages(0, 100))))
      }
      yield* Effect.forkScoped(
        runCommand(process.execPath, [...nodeArguments("flood.ts"), boundTo(proxies[0]!.frontend)])
      )
      const passed = Effect.sync(() => Math.min(...proxies.map(({ stats }) => stats.toBackend.messages)))
      const all = Effect.sync(() => proxies.reduce((sum, { stats }) => sum + stats.toBackend.messages, 0))
      yield* until(Effect.map(passed, (messages) => messages > 100))
      const perTurn: Array<number> = []
      let before = yield* all
      let turn: NodeJS.Immediate
      const count = () => {
        const now = Effect.runSync(all)
        perTurn.push(now - before)
        before = now
        turn = setImmediate(count)
      }
      turn = setImmediate(count)
      yield* until(Effect.map(passed, (messages) => messages > 5000))
      clearImmediate(turn)
      // What one turn begins another may end.
      expect(Math.max(...perTurn)).toBeLessThanOrEqual(2 * 512)
    }).pipe(Effect.scoped)
  )
})

const python = "/usr/bin/python3"
const hasPeer = spawnSync(python, ["-c", "import zmq"]).status === 0
const missing = `${python} cannot import zmq: install the package python3-zmq`
const ofPyzmq = (script: string, role: string, endpoint: string) =>
  Effect.forkChild(runCommand(python, [scriptPath(script), role, endpoint]), { startImmediately: true })

describe.skipIf(!hasPeer)(hasPeer ? "Between peers of PyZMQ" : `Between peers of PyZMQ (${missing})`, () => {
  it.live("a queue: REQ and DEALER of theirs, REP of theirs", () =>
    Effect.gen(function* () {
      const proxy = yield* Proxy.queue({
        frontend: { bind: freshEndpoint("tcp") },
        backend: { bind: freshEndpoint("ipc") }
      })
      const worker = yield* ofPyzmq("reqrep.py", "rep", boundTo(proxy.backend))
      for (const role of ["req", "dealer"]) {
        const client = yield* ofPyzmq("reqrep.py", role, boundTo(proxy.frontend))
        expect(yield* Fiber.join(client)).toMatchObject({ code: 0, stderr: "", stdout: "done\n" })
      }
      const last = yield* Zmq.req({ connect: boundTo(proxy.frontend) })
      yield* last.request("stop")
      expect(yield* Fiber.join(worker)).toMatchObject({ code: 0, stderr: "", stdout: "done\n" })
      expect(proxy.stats.toFrontend).toMatchObject({ messages: 201, dropped: 0 })
    }).pipe(Effect.scoped)
  )

  it.live("a forwarder: XPUB of theirs, SUB of theirs", () =>
    Effect.gen(function* () {
      const proxy = yield* Proxy.forwarder({
        frontend: { bind: freshEndpoint("tcp") },
        backend: { bind: freshEndpoint("tcp") }
      })
      const publisher = yield* ofPyzmq("pubsub.py", "pub", boundTo(proxy.frontend))
      const subscriber = yield* ofPyzmq("pubsub.py", "sub", boundTo(proxy.backend))
      expect(yield* Fiber.join(subscriber)).toMatchObject({ code: 0, stderr: "", stdout: "received all\n" })
      expect(yield* Fiber.join(publisher)).toMatchObject({ code: 0, stderr: "" })
      expect(proxy.stats.toBackend).toMatchObject({ messages: 3 })
    }).pipe(Effect.scoped)
  )
})
