/**
 * Handlers, and peers that do not read: what waits for a peer waits with that
 * peer. Over a scripted socket that has room or not for each peer, as a test says.
 */
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Logger, Option, type Scope, Stream } from "effect"
import { Proxy, Zmq } from "effect-zmq"
import { describe } from "vitest"
import { type Lease, Mailbox } from "../src/internal/receive/mailbox.ts"
import { coreOf } from "../src/internal/socket/socket.ts"
import { partsOf } from "./support/engine.ts"
import { messageOf, type Opened, openScripted, type ScriptedSocket, turns, turnsUntil } from "./support/scripted.ts"
import { numbers, until } from "./support/sockets.ts"

/** How a ROUTER answers for each peer. Those that are not named have room. */
interface Peers<S> extends Opened<S> {
  readonly stuck: Set<string>
  readonly gone: Set<string>
}

const openWithPeers = <S, E>(
  open: Effect.Effect<S, E, Scope.Scope>,
  ...stuckPeers: ReadonlyArray<string>
): Effect.Effect<Peers<S>, never, Scope.Scope> =>
  Effect.map(openScripted(open, { admission: "ask" }), ({ port, socket }) => {
    const stuck = new Set(stuckPeers)
    const gone = new Set<string>()
    port.answer = (message) => {
      const id = Buffer.from(message[0] as Uint8Array).toString()
      return gone.has(id) ? "unroutable" : stuck.has(id) ? "full" : "sent"
    }
    return { port, socket, stuck, gone }
  })

/** Messages of one peer arrive. */
const say = (port: ScriptedSocket, peer: string, ...bodies: ReadonlyArray<string>): void => {
  for (const body of bodies) port.arriveMessage(messageOf(peer, body))
}

const untilSo = (done: () => boolean) =>
  Effect.map(
    Effect.promise(() => turnsUntil(done)),
    (isSo) => expect(isSo).toBe(true)
  )
const aFewTurns = Effect.promise(() => turns(20))
const texts = (from: number, to: number) => numbers(from, to).map(String)

describe("A STREAM peer that says too much and does not read", () => {
  for (const notify of [true, false]) {
    it.live(`is hung up on when it has room, ${notify ? "which is told" : "and not told, with notify: false"}`, () =>
      Effect.gen(function* () {
        const { port, socket, stuck } = yield* openWithPeers(Zmq.rawStream({ notify }), "slow")
        const handled: Array<string> = []
        yield* Effect.forkScoped(
          socket.runForEach(([id, data]) => {
            handled.push(`${id}|${data}`)
            return data!.length === 0 ? Effect.void : socket.send([id, "answer"])
          })
        )
        say(port, "slow", ...texts(0, 1500))
        say(port, "good", "a")
        yield* untilSo(() => port.handedOver === 1501)
        yield* untilSo(() => handled.includes("good|a"))
        // What waited means nothing without what was dropped behind it.
        expect(handled.filter((text) => text.startsWith("slow"))).toEqual(["slow|0"])
        expect(socket.stats).toMatchObject({ dropped: 1499, queued: 0 })

        stuck.clear()
        yield* untilSo(() => port.sent.includes("slow|"))
        expect(port.sent.filter((text) => text.startsWith("slow"))).toEqual(["slow|answer", "slow|"])
        yield* aFewTurns
        expect(handled.filter((text) => text.startsWith("slow"))).toEqual(notify ? ["slow|0", "slow|"] : ["slow|0"])
        // Another that libzmq gives the same id is another.
        say(port, "slow", "again")
        yield* untilSo(() => handled.includes("slow|again"))
      }).pipe(Effect.scoped)
    )
  }

  it.live("is not heard any more when it is hung up on, though it says more in that moment", () =>
    Effect.gen(function* () {
      const { port, socket, stuck } = yield* openWithPeers(Zmq.rawStream(), "slow")
      const handled: Array<string> = []
      yield* Effect.forkScoped(
        socket.runForEach(([id, data]) => {
          handled.push(`${id}|${data}`)
          return data!.length === 0 ? Effect.void : socket.send([id, "answer"])
        })
      )
      say(port, "slow", ...texts(0, 1200))
      yield* untilSo(() => port.handedOver === 1200)
      const { answer } = port
      port.answer = (message) => {
        const offer = answer(message)
        if (offer === "sent" && `${message[1]}` === "") say(port, "slow", "more")
        return offer
      }
      stuck.clear()
      yield* untilSo(() => handled.length === 2)
      yield* aFewTurns
      expect(handled).toEqual(["slow|0", "slow|"])
      expect(socket.stats).toMatchObject({ dropped: 1200, queued: 0 })
    }).pipe(Effect.scoped)
  )

  it.live("is forgotten when the socket closes", () =>
    Effect.gen(function* () {
      const core = yield* Effect.scoped(
        Effect.gen(function* () {
          const { port, socket } = yield* openWithPeers(Zmq.rawStream({ linger: 0 }), "slow")
          yield* Effect.forkScoped(socket.runForEach(([id]) => socket.send([id, "answer"])))
          say(port, "slow", ...texts(0, 1200))
          yield* untilSo(() => socket.stats.dropped > 0)
          return coreOf(socket)!
        })
      )
      yield* aFewTurns
      // The message whose answer could not be sent, and not its end.
      expect(core.inbox.mailbox.size).toBe(1)
      expect(`${core.inbox.mailbox.take()[1]}`).toBe("0")
    })
  )

  it.live("tells its own end, if it leaves before", () =>
    Effect.gen(function* () {
      const { gone, port, socket } = yield* openWithPeers(Zmq.rawStream(), "slow")
      const handled: Array<string> = []
      yield* Effect.forkScoped(
        socket.runForEach(([id, data]) => {
          handled.push(`${id}|${data}`)
          return data!.length === 0 ? Effect.void : Effect.ignore(socket.send([id, "answer"]))
        })
      )
      say(port, "slow", ...texts(0, 1200))
      yield* untilSo(() => port.handedOver === 1200)
      say(port, "slow", "")
      gone.add("slow")
      yield* untilSo(() => handled.length === 2)
      yield* aFewTurns
      expect(handled).toEqual(["slow|0", "slow|"])
      expect(socket.stats).toMatchObject({ dropped: 1199, queued: 0 })
      say(port, "slow", "again")
      yield* untilSo(() => handled.includes("slow|again"))
    }).pipe(Effect.scoped)
  )
})

it.live("The end of a STREAM peer that was cut off comes when the handler before it is done", () =>
  Effect.gen(function* () {
    const { gone, port, socket } = yield* openWithPeers(Zmq.rawStream(), "slow")
    const done: Array<string> = []
    yield* Effect.forkScoped(
      socket.runForEach(([id, data]) => {
        const answered = data!.length === 0 ? Effect.void : Effect.ignore(socket.send([id, "answer"]))
        return Effect.andThen(
          answered,
          Effect.sync(() => done.push(`${id}|${data}`))
        )
      })
    )
    say(port, "slow", ...texts(0, 1200))
    yield* untilSo(() => port.handedOver === 1200)
    // Read while the answer still waits: libzmq knows that a peer has left when this is read.
    say(port, "slow", "")
    yield* untilSo(() => port.handedOver === 1201)
    yield* aFewTurns
    gone.add("slow")
    yield* untilSo(() => done.length === 2)
    expect(done).toEqual(["slow|0", "slow|"])
  }).pipe(Effect.scoped)
)

/** Handlers that run until they are let go on, and how many of them do. */
class Running {
  now = 0
  most = 0
  begun: Array<string> = []
  private readonly goOn: Array<() => void> = []

  handle(text: string): Effect.Effect<void> {
    return Effect.callback((resume) => {
      this.begun.push(text)
      this.now++
      this.most = Math.max(this.most, this.now)
      const end = () => {
        this.now--
        resume(Effect.void)
      }
      this.goOn.push(end)
      return Effect.sync(() => {
        this.now--
      })
    })
  }

  finish(count = 1): void {
    for (const end of this.goOn.splice(0, count)) end()
  }
}

describe("Handlers that wait until a peer has room", () => {
  for (const concurrency of [1, 3]) {
    it.live(`do not count, and ${concurrency} others run at a time`, () =>
      Effect.gen(function* () {
        const { port, socket, stuck } = yield* openWithPeers(Zmq.router(), "slow 0", "slow 1", "slow 2", "slow 3")
        const running = new Running()
        const goOn = new Running()
        yield* Effect.forkScoped(
          socket.runForEach(
            ([id, body]) =>
              `${id}`.startsWith("slow")
                ? Effect.andThen(socket.send([id, "x"]), goOn.handle(`${id}`))
                : running.handle(`${body}`),
            { concurrency }
          )
        )
        yield* aFewTurns
        for (const peer of stuck) say(port, peer, "a")
        say(port, "good", ...texts(0, 20))
        yield* untilSo(() => running.now === concurrency)
        yield* aFewTurns
        expect(running).toMatchObject({ now: concurrency, most: concurrency })
        running.finish(5)
        yield* untilSo(() => running.begun.length === Math.min(5, concurrency) + concurrency)

        // They go on, and count again: as many as run now end first.
        stuck.clear()
        yield* untilSo(() => goOn.now === 4)
        expect(goOn.most).toBe(4)
        const before = running.begun.length
        goOn.finish(4)
        yield* aFewTurns
        expect(running.begun.length).toBe(before)
        for (let i = 0; i < 20; i++) {
          running.finish()
          yield* Effect.promise(() => turns(2))
          expect(running.now).toBeLessThanOrEqual(concurrency)
        }
        expect(running.begun).toEqual(texts(0, 20))
      }).pipe(Effect.scoped)
    )
  }

  it.live("count again when they go on, though others had nothing to do meanwhile", () =>
    Effect.gen(function* () {
      const { port, socket, stuck } = yield* openWithPeers(Zmq.router(), "slow")
      const running = new Running()
      yield* Effect.forkScoped(
        socket.runForEach(([id, body]) =>
          `${id}` === "slow"
            ? Effect.andThen(socket.send([id, "x"]), running.handle("slow"))
            : running.handle(`${body}`)
        )
      )
      say(port, "slow", "a")
      yield* aFewTurns
      stuck.clear()
      yield* untilSo(() => running.begun.includes("slow"))
      yield* aFewTurns
      say(port, "good", "a", "b")
      yield* aFewTurns
      expect(running).toMatchObject({ now: 1, begun: ["slow"] })
      running.finish()
      yield* untilSo(() => running.begun.length === 2)
      yield* aFewTurns
      expect(running).toMatchObject({ now: 1, most: 1, begun: ["slow", "a"] })
    }).pipe(Effect.scoped)
  )

  it.live("count as one each, however many sends they wait for", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openWithPeers(Zmq.router(), ...numbers(0, 10).map((number) => `slow ${number}`))
      const running = new Running()
      yield* Effect.forkScoped(
        socket.runForEach(([id, body]) =>
          `${id}` === "many"
            ? Effect.forEach(numbers(0, 10), (number) => socket.send([`slow ${number}`, "x"]), {
                concurrency: "unbounded"
              })
            : running.handle(`${body}`)
        )
      )
      say(port, "many", "")
      say(port, "good", ...texts(0, 20))
      yield* untilSo(() => running.now === 1)
      yield* aFewTurns
      expect(running.most).toBe(1)
    }).pipe(Effect.scoped)
  )

  it.live("are not those that are done and have left a send behind", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openWithPeers(Zmq.router(), "slow")
      const running = new Running()
      yield* Effect.forkScoped(
        socket.runForEach(([, body]) =>
          `${body}` === "fork"
            ? Effect.forkDetach(socket.send(["slow", "x"]), { startImmediately: true })
            : running.handle(`${body}`)
        )
      )
      say(port, "good", ...numbers(0, 10).map(() => "fork"), ...texts(0, 20))
      for (let done = 0; done < 10; done++) {
        yield* untilSo(() => running.begun.length > done)
        yield* aFewTurns
        expect(running.most).toBe(1)
        running.finish()
      }
    }).pipe(Effect.scoped)
  )

  it.live("go on waiting when a send ends that one before them has left behind", () =>
    Effect.gen(function* () {
      const { port, socket, stuck } = yield* openWithPeers(Zmq.router(), "slow", "slower")
      const handled: Array<string> = []
      // The handler is done before another worker is there.
      let done: (() => void) | undefined
      const { answer } = port
      port.answer = (message) => {
        if (done !== undefined) void Promise.resolve().then(done)
        done = undefined
        return answer(message)
      }
      const leaveBehind = Effect.callback<void>((resume) => {
        done = () => resume(Effect.void)
        Effect.runForkWith(Fiber.getCurrent()!.context)(socket.send(["slow", "x"]))
      })
      yield* Effect.forkScoped(
        socket.runForEach(([, body]) =>
          `${body}` === "fork"
            ? leaveBehind
            : `${body}` === "wait"
              ? socket.send(["slower", "x"])
              : Effect.sync(() => handled.push(`${body}`))
        )
      )
      say(port, "good", "fork", "wait")
      yield* aFewTurns
      stuck.delete("slow")
      yield* untilSo(() => port.sent.length === 1)
      yield* aFewTurns
      say(port, "good", "a", "b")
      yield* untilSo(() => handled.length === 2)
    }).pipe(Effect.scoped)
  )

  it.live("count again when they wait no more, though nothing was sent", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openWithPeers(Zmq.router(), "slow")
      const running = new Running()
      const giveUp = Effect.gen(function* () {
        const send = yield* Effect.forkChild(socket.send(["slow", "x"]))
        yield* aFewTurns
        yield* Fiber.interrupt(send)
      })
      yield* Effect.forkScoped(
        socket.runForEach(([, body]) =>
          `${body}` === "first" ? Effect.andThen(giveUp, running.handle("first")) : running.handle(`${body}`)
        )
      )
      say(port, "good", "first", "a", "b")
      yield* untilSo(() => running.now === 2)
      expect(running.begun).toEqual(["a", "first"])
      running.finish()
      yield* aFewTurns
      expect(running).toMatchObject({ now: 1, begun: ["a", "first"] })
      running.finish()
      yield* untilSo(() => running.begun.length === 3)
    }).pipe(Effect.scoped)
  )

  it.live("are a thousand for one peer at the most: behind them the others wait, too", () =>
    Effect.gen(function* () {
      const { port, socket, stuck } = yield* openWithPeers(Zmq.router(), "worker")
      let begun = 0
      yield* Effect.forkScoped(
        socket.runForEach(([id]) =>
          Effect.suspend(() => {
            begun++
            return socket.send(["worker", id])
          })
        )
      )
      for (const number of texts(0, 3000)) say(port, number, "job")
      yield* untilSo(() => begun > 1000)
      yield* aFewTurns
      yield* aFewTurns
      expect(begun).toBe(1001)
      expect(socket.stats.dropped).toBe(0)
      stuck.clear()
      yield* untilSo(() => port.sent.length === 3000)
      expect(port.sent).toEqual(texts(0, 3000).map((number) => `worker|${number}`))
    }).pipe(Effect.scoped)
  )

  it.live("may be 2,000, whose messages are there at once", () =>
    Effect.gen(function* () {
      const peers = texts(0, 2000)
      const { port, socket, stuck } = yield* openWithPeers(Zmq.router(), ...peers)
      for (const peer of peers) say(port, peer, "a")
      say(port, "good", "a")
      // All of them in the mailbox.
      yield* Effect.forkScoped(socket.send([peers[0]!, "first"]), { startImmediately: true })
      yield* until(Effect.sync(() => port.handedOver === 2001))
      let handled = false
      const run = yield* Effect.forkScoped(
        socket.runForEach(([id]) =>
          `${id}` === "good"
            ? Effect.sync(() => {
                handled = true
              })
            : socket.send([id, "second"])
        )
      )
      yield* untilSo(() => handled)
      expect(run.pollUnsafe()).toBeUndefined()
      stuck.clear()
      yield* untilSo(() => port.sent.length === 2001)
    }).pipe(Effect.scoped)
  )
})

describe("Messages that waited for their peers to have room", () => {
  const ends: Record<string, (router: Zmq.Router) => Effect.Effect<unknown, unknown>> = {
    "runForEach whose handlers wait": (router) =>
      router.runForEach(([id]) => (Number(`${id}`) < 15 ? router.send([id, "x"]) : Effect.void)),
    "serve whose replies wait": (router) => router.serve(([body]) => Effect.succeed(body))
  }
  for (const [name, run] of Object.entries(ends)) {
    it.live(`come back in the order in which they arrived when it ends: ${name}`, () =>
      Effect.gen(function* () {
        const peers = texts(0, 20)
        const { port, socket } = yield* openWithPeers(Zmq.router(), ...peers.slice(0, 15))
        const fiber = yield* Effect.forkChild(run(socket))
        const waiting: Array<string> = []
        for (const number of texts(0, 400)) {
          const peer = (Number(number) * 7) % 20
          say(port, peers[peer]!, number)
          if (peer < 15) waiting.push(number)
          if (Number(number) % 50 === 0) yield* aFewTurns
        }
        yield* aFewTurns
        // Of each stuck peer the first message is with its handler, or settled with its reply.
        expect(socket.stats.queued).toBe(waiting.length - 15)
        yield* Fiber.interrupt(fiber)
        const back = name.startsWith("serve") ? waiting.slice(15) : waiting
        expect(socket.stats.queued).toBe(back.length)
        expect((yield* socket.drain).map(([, body]) => `${body}`)).toEqual(back)
      }).pipe(Effect.scoped)
    )
  }

  it("may be very many, of many peers", () => {
    const mailbox = new Mailbox<number>()
    const count = 200_000
    for (const number of numbers(0, count)) mailbox.arrive(number)
    const byPeer: Array<Array<Lease<number>>> = numbers(0, 200).map(() => [])
    for (const number of numbers(0, count)) byPeer[number % 200]!.push(mailbox.lend())
    mailbox.restore(byPeer.flat())
    expect(numbers(0, count).findIndex((number) => mailbox.take() !== number)).toBe(-1)
    expect(mailbox.putBacks).toBe(0)
  })
})

/** Collects what is logged. */
const collecting = () => {
  const logged: Array<string> = []
  return { logged, layer: Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))]) }
}

describe("A client that does not read its replies", () => {
  for (const concurrency of [1, 16]) {
    for (const requests of [1, 20, 1000]) {
      it.live(
        `waits with ${requests} requests, and gets all replies when it reads (serve, ${concurrency} at a time)`,
        () => {
          const { layer, logged } = collecting()
          return Effect.gen(function* () {
            const { port, socket, stuck } = yield* openWithPeers(Zmq.router(), "slow")
            const run = yield* Effect.forkScoped(
              socket.serve(([body]) => Effect.as(Effect.yieldNow, `re ${body}`), { concurrency })
            )
            const ofSlow = () => port.sent.filter((text) => text.startsWith("slow")).map((text) => text.split("re ")[1])
            for (const number of texts(0, requests)) {
              say(port, "slow", number)
              // The others are served meanwhile.
              if (Number(number) % 100 !== 0) continue
              say(port, "good", number)
              yield* untilSo(() => port.sent.includes(`good|re ${number}`))
            }
            yield* untilSo(() => port.handedOver === port.offered.length)
            yield* aFewTurns
            // It reads, ever so slowly: one by one, and then all.
            const { answer } = port
            let room = 0
            port.answer = (message) =>
              Buffer.from(message[0] as Uint8Array).toString() !== "slow" ? "sent" : room-- > 0 ? "sent" : "full"
            stuck.clear()
            for (const number of numbers(1, Math.min(requests, 10))) {
              room = 1
              yield* untilSo(() => ofSlow().length === number)
              say(port, "good", `after ${number}`)
              yield* untilSo(() => port.sent.includes(`good|re after ${number}`))
            }
            port.answer = answer
            yield* untilSo(() => ofSlow().length === requests)
            if (concurrency === 1) expect(ofSlow()).toEqual(texts(0, requests))
            expect(ofSlow().toSorted((a, b) => Number(a) - Number(b))).toEqual(texts(0, requests))
            expect(socket.stats).toMatchObject({ dropped: 0, queued: 0, putBack: 0 })
            expect(run.pollUnsafe()).toBeUndefined()
            expect(logged).toEqual([])
          }).pipe(Effect.scoped, Effect.provide(layer))
        }
      )
    }

    it.live(`has what it asks beyond 1,000 dropped, counted and said once (serve, ${concurrency} at a time)`, () => {
      const { layer, logged } = collecting()
      return Effect.gen(function* () {
        const { port, socket, stuck } = yield* openWithPeers(Zmq.router(), "slow", "slow 2")
        yield* Effect.forkScoped(socket.serve(([body]) => Effect.succeed(`re ${body}`), { concurrency }))
        say(port, "slow", ...texts(0, 3000))
        say(port, "slow 2", ...texts(0, 1500))
        say(port, "good", "a")
        yield* untilSo(() => port.sent.includes("good|re a"))
        yield* aFewTurns
        const { dropped } = socket.stats
        // The first reply of each waits itself, and those that were being made.
        expect(dropped).toBeLessThanOrEqual(2500 - 2)
        expect(dropped).toBeGreaterThanOrEqual(2500 - 2 * concurrency)
        stuck.clear()
        yield* untilSo(() => port.sent.length === 1 + 4500 - dropped)
        yield* aFewTurns
        // The first that it asked, and in order one at a time.
        const replied = port.sent.filter((text) => text.startsWith("slow|")).map((text) => text.slice(8))
        if (concurrency > 1) replied.sort((a, b) => Number(a) - Number(b))
        expect(replied).toEqual(texts(0, replied.length))
        expect(socket.stats).toMatchObject({ dropped, queued: 0 })
        expect(logged).toEqual([
          "effect-zmq: messages of a peer that does not read what is sent to it are dropped beyond 1000"
        ])
        // It is served as any other from now on.
        say(port, "slow", "last")
        yield* untilSo(() => port.sent.includes("slow|re last"))
      }).pipe(Effect.scoped, Effect.provide(layer))
    })
  }

  it.live("is asked nothing new of until it has read all its replies", () =>
    Effect.gen(function* () {
      const { port, socket, stuck } = yield* openWithPeers(Zmq.router(), "slow")
      const waiting = new Running()
      yield* Effect.forkScoped(
        socket.serve(([body]) => Effect.as(waiting.handle(`${body}`), body!), { concurrency: 3 })
      )
      say(port, "slow", "0", "1", "2")
      yield* untilSo(() => waiting.now === 3)
      waiting.finish(3)
      yield* aFewTurns
      say(port, "slow", "3", "4")
      yield* untilSo(() => socket.stats.queued === 2)
      const { answer } = port
      let room = 2
      port.answer = () => (room-- > 0 ? "sent" : "full")
      yield* untilSo(() => port.sent.length === 2)
      yield* aFewTurns
      expect(waiting.begun).toEqual(["0", "1", "2"])
      stuck.clear()
      port.answer = answer
      yield* untilSo(() => waiting.begun.length === 5)
    }).pipe(Effect.scoped)
  )

  it.live("is forgotten when it has left: its replies end, and what it asked is handled or gone", () =>
    Effect.gen(function* () {
      const { gone, port, socket } = yield* openWithPeers(Zmq.router(), "slow")
      let handled = 0
      yield* Effect.forkScoped(
        socket.serve(([body]) =>
          Effect.sync(() => {
            handled++
            return body
          })
        )
      )
      say(port, "slow", ...texts(0, 30_000))
      say(port, "good", "a")
      yield* untilSo(() => port.sent.length === 1)
      gone.add("slow")
      yield* untilSo(() => handled === 1 + 1 + 1000)
      yield* aFewTurns
      expect(socket.stats).toMatchObject({ dropped: 30_000 - 1001, queued: 0 })
      const { held } = coreOf(socket)!.inbox
      expect({ full: coreOf(socket)!.outbox.hasFull, held: held!.size }).toEqual({ full: false, held: 0 })
      // One with its id is another.
      gone.clear()
      say(port, "good", "b")
      yield* untilSo(() => port.sent.includes("good|b"))
    }).pipe(Effect.scoped)
  )
})

describe("Among many peers that do not read", () => {
  for (const many of [10, 1000, 3000]) {
    it.live(`a send to another goes at once, or within a few looks after it has room (${many} are stuck)`, () =>
      Effect.gen(function* () {
        const { port, socket, stuck } = yield* openWithPeers(Zmq.router(), ...texts(0, many), "other")
        for (const peer of texts(0, many)) yield* Effect.forkScoped(socket.send([peer, "x"]))
        // All have been tried again and again, and wait as long as it gets.
        yield* Effect.promise(() => turns(200))
        const sent = (text: string) =>
          Effect.promise(async () => {
            for (let waited = 0; waited < 100; waited++) {
              if (port.sent.includes(text)) return waited
              await turns()
            }
            return 100
          })
        yield* Effect.forkScoped(socket.send(["good", "x"]))
        expect(yield* sent("good|x")).toBeLessThanOrEqual(3)
        yield* Effect.forkScoped(socket.send(["other", "x"]))
        yield* Effect.promise(() => turns(2))
        stuck.delete("other")
        expect(yield* sent("other|x")).toBeLessThanOrEqual(6)
        // And any of the many within so many looks that each has had its turn.
        stuck.delete("7")
        yield* untilSo(() => port.sent.includes("7|x"))
        expect(port.sent).toEqual(["good|x", "other|x", "7|x"])
      }).pipe(Effect.scoped)
    )
  }
})

describe("Peers that do not read", () => {
  it.live("are tried 50 at a time, and each again within a second", () =>
    Effect.gen(function* () {
      const { port, socket, stuck } = yield* openWithPeers(Zmq.router(), ...texts(0, 3000))
      for (const peer of texts(0, 3000)) yield* Effect.forkScoped(socket.send([peer, "x"]))
      yield* aFewTurns
      let tried = 0
      const { answer } = port
      port.answer = (message) => {
        tried++
        return answer(message)
      }
      for (let turn = 0; turn < 1000; turn++) {
        tried = 0
        yield* Effect.promise(() => turns())
        expect(tried).toBeLessThanOrEqual(50)
      }
      // A look takes 10 ms.
      for (const peer of ["1", "1500", "2999"]) {
        const before = port.sent.length
        stuck.delete(peer)
        yield* Effect.promise(() => turnsUntil(() => port.sent.length > before, 100))
        expect(port.sent.at(-1)).toBe(`${peer}|x`)
      }
    }).pipe(Effect.scoped)
  )

  it.live("have room again soon after the last who waited for them has left", () =>
    Effect.gen(function* () {
      const { port, socket, stuck } = yield* openWithPeers(Zmq.router(), "slow")
      const waiting = yield* Effect.forkChild(socket.send(["slow", "x"]), { startImmediately: true })
      yield* Effect.promise(() => turns(100))
      // Just after it was tried, and is not to be tried again for some time.
      let tried = false
      const { answer } = port
      port.answer = (message) => {
        tried = true
        return answer(message)
      }
      yield* untilSo(() => tried)
      yield* Fiber.interrupt(waiting)
      stuck.clear()
      yield* Effect.promise(() => turns(2))
      expect(yield* socket.trySend(["slow", "y"])).toBe(true)
      expect(port.sent).toEqual(["slow|y"])
    }).pipe(Effect.scoped)
  )

  it.live("are forgotten when the socket closes", () =>
    Effect.gen(function* () {
      const { refusals } = yield* Effect.scoped(
        Effect.gen(function* () {
          const { socket } = yield* openWithPeers(Zmq.router(), "slow")
          yield* Effect.forkDetach(Effect.exit(socket.send(["slow", "x"])), { startImmediately: true })
          yield* aFewTurns
          const parts = partsOf(socket)
          expect(parts.refusals!.isEmpty).toBe(false)
          return parts
        })
      )
      expect(refusals!.isEmpty).toBe(true)
    })
  )
})

it.live("What a peer that does not read has sent is there for a stream", () =>
  Effect.gen(function* () {
    const { port, socket } = yield* openWithPeers(Zmq.router(), "slow")
    yield* Effect.forkScoped(socket.send(["slow", "x"]))
    yield* aFewTurns
    say(port, "slow", "a", "b", "c")
    const received: Array<string> = []
    yield* Effect.forkScoped(
      Stream.runForEach(socket.messages, ([, body]) => Effect.sync(() => received.push(`${body}`)))
    )
    yield* untilSo(() => received.length === 3)
    expect(received).toEqual(["a", "b", "c"])
  }).pipe(Effect.scoped)
)

it.live("All of what a peer had sent is read when it has left", () =>
  Effect.gen(function* () {
    const { port, socket } = yield* openWithPeers(Zmq.router())
    say(port, "left", ...texts(0, 3000))
    partsOf(socket).incoming.readAll()
    yield* untilSo(() => socket.stats.queued === 3000)
    expect((yield* socket.drain).map(([, body]) => `${body}`)).toEqual(texts(0, 3000))
  }).pipe(Effect.scoped)
)

describe("What is read further ahead, as a peer has no room", () => {
  /** A ROUTER that has read all, of which `capacity` are in its mailbox, and the messages that came. */
  const readAhead = Effect.gen(function* () {
    const opened = yield* openWithPeers(Zmq.router(), "stuck")
    const { port, socket } = opened
    const waiting = yield* Effect.forkScoped(Effect.exit(socket.send(["stuck", "x"])), { startImmediately: true })
    say(port, "flood", ...texts(0, 3000))
    for (const number of texts(0, 5)) {
      say(port, "good", number)
      say(port, "other", number)
      say(port, "flood", ...texts(3000 + Number(number) * 100, 3100 + Number(number) * 100))
    }
    yield* until(Effect.sync(() => port.handedOver === port.offered.length))
    expect(socket.stats.queued).toBe(3510)
    return { ...opened, waiting }
  })
  const ofPeer = (messages: ReadonlyArray<Zmq.Message>, peer: string) =>
    messages.filter(([id]) => `${id}` === peer).map(([, body]) => `${body}`)
  const expectAll = (messages: ReadonlyArray<Zmq.Message>) => {
    expect(ofPeer(messages, "flood")).toEqual(texts(0, 3500))
    expect(ofPeer(messages, "good")).toEqual(texts(0, 5))
    expect(ofPeer(messages, "other")).toEqual(texts(0, 5))
    expect(messages.length).toBe(3510)
  }

  const receivers: Record<
    string,
    (router: Zmq.Router, to: (message: Zmq.Message) => void) => Effect.Effect<unknown, unknown>
  > = {
    recv: (router, to) => Effect.forever(Effect.map(router.recv, to)),
    tryRecv: (router, to) => Effect.forever(Effect.map(router.tryRecv, Option.map(to))),
    "a stream": (router, to) => Stream.runForEach(router.messages, (message) => Effect.sync(() => to(message))),
    runForEach: (router, to) => router.runForEach((message) => Effect.sync(() => to(message))),
    "runForEach, 5 at a time": (router, to) =>
      router.runForEach((message) => Effect.sync(() => to(message)), { concurrency: 5 })
  }
  for (const [name, receive] of Object.entries(receivers)) {
    it.live(`goes on in the order of each peer, and those that say little soon: ${name}`, () =>
      Effect.gen(function* () {
        const { socket } = yield* readAhead
        const received: Array<Zmq.Message> = []
        yield* Effect.forkScoped(receive(socket, (message) => void received.push(message)))
        yield* untilSo(() => received.length === 3510)
        expectAll(received)
        // Behind what was in the mailbox before they came, and one of each in turn.
        const last = (peer: string) => received.findLastIndex(([id]) => `${id}` === peer)
        expect(last("good")).toBeLessThanOrEqual(256 + 3 * 5)
        expect(last("other")).toBeLessThanOrEqual(256 + 3 * 5)
        expect(socket.stats.queued).toBe(0)
      }).pipe(Effect.scoped)
    )
  }

  it.live("can be drained", () =>
    Effect.gen(function* () {
      const { port, socket, stuck } = yield* readAhead
      const received = [...(yield* socket.drain)]
      expectAll(received)
      stuck.clear()
      yield* untilSo(() => port.sent.length === 1)
      // And no more is read ahead then.
      say(port, "good", "a", "b", "c")
      yield* aFewTurns
      expect(socket.stats.queued).toBeLessThanOrEqual(1)
    }).pipe(Effect.scoped)
  )

  it.live("is left to be received when the socket closes", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* readAhead
      port.failReceive("ETERM")
      yield* aFewTurns
      const received: Array<Zmq.Message> = []
      const error = yield* Effect.flip(Effect.forever(Effect.map(socket.recv, (message) => received.push(message))))
      expect(error).toMatchObject({ _tag: "Closed" })
      expectAll(received)
    }).pipe(Effect.scoped)
  )

  it.live("comes before what arrives when the peer has room again", () =>
    Effect.gen(function* () {
      const { port, socket, stuck } = yield* readAhead
      stuck.clear()
      yield* untilSo(() => port.sent.length === 1)
      const received: Array<Zmq.Message> = []
      const receive = Effect.map(socket.recv, (message) => received.push(message))
      // Nothing is read ahead any more, and each receive has a few more read.
      for (let more = 0; more < 40; more++) {
        say(port, "flood", ...texts(3500 + more * 100, 3600 + more * 100))
        for (let count = 0; count < 100; count++) yield* receive
      }
      while (received.length < 3510 + 4000) yield* receive
      expect(ofPeer(received, "flood")).toEqual(texts(0, 7500))
    }).pipe(Effect.scoped)
  )

  it.live("comes behind what handlers give back", () =>
    Effect.gen(function* () {
      const { socket } = yield* readAhead
      let begun = 0
      const run = yield* Effect.forkChild(
        socket.runForEach(
          () =>
            Effect.suspend(() => {
              begun++
              return Effect.never
            }),
          { concurrency: 300 }
        )
      )
      yield* untilSo(() => begun === 300)
      yield* Fiber.interrupt(run)
      expect(socket.stats).toMatchObject({ queued: 3510, putBack: 300 })
      expectAll(yield* socket.drain)
    }).pipe(Effect.scoped)
  )

  // A burst that was under way comes as well.
  const bounds = [
    ["65,536 messages", 10, 65_536, 256],
    ["64 MiB", 1024 * 1024, 64, 8]
  ] as const
  for (const [bound, bytes, most, burst] of bounds) {
    it.live(`is no more than ${bound}, however often that is done until all is taken`, () =>
      Effect.gen(function* () {
        const { port, socket } = yield* openScripted(Zmq.router(), {
          admission: "ask",
          flood: () => Buffer.alloc(bytes, 1)
        })
        const { incoming } = partsOf(socket)
        const ways: ReadonlyArray<() => void> = [
          () => incoming.readAhead("some"),
          () => incoming.readAhead("far"),
          () => {
            incoming.readAhead("not")
            incoming.readAhead("far")
          },
          () => {
            incoming.readAhead("not")
            incoming.readAll()
          },
          () => incoming.readAll(),
          () => incoming.readAhead("far")
        ]
        for (let times = 0; times < 2; times++) {
          for (const read of ways) {
            read()
            yield* aFewTurns
            yield* untilSo(() => socket.stats.queued >= Math.min(most, 256))
          }
          yield* untilSo(() => socket.stats.queued >= most)
          yield* aFewTurns
          expect(socket.stats.queued).toBeLessThanOrEqual(most + burst)
          port.flooding = false
          incoming.readAhead("not")
          while ((yield* socket.drain).length > 0);
          expect(socket.stats.queued).toBe(0)
          port.flooding = true
        }
      }).pipe(Effect.scoped)
    )
  }
})

describe("A client of a proxy that does not read", () => {
  it.live("waits with its requests, as with its replies, and the others pass", () =>
    Effect.gen(function* () {
      const { port, socket, stuck } = yield* openWithPeers(Zmq.router(), "slow")
      const back = yield* openScripted(Zmq.dealer())
      yield* Effect.forkScoped(Proxy.run(socket, back.socket))
      /** A worker answers what has been passed on to it. */
      let answered = 0
      const answer = () => {
        for (const text of back.port.sent.slice(answered)) {
          answered++
          const [peer, body] = text.split("|") as [string, string]
          back.port.arriveMessage(messageOf(peer, `re ${body}`))
        }
      }
      const passed = (peer: string) => back.port.sent.filter((text) => text.startsWith(peer)).length
      say(port, "slow", "first")
      yield* untilSo(() => passed("slow") === 1)
      answer()
      yield* aFewTurns
      say(port, "slow", ...texts(0, 1300))
      say(port, "good", "a")
      yield* untilSo(() => passed("good") === 1)
      answer()
      yield* untilSo(() => port.sent.includes("good|re a"))
      yield* aFewTurns
      expect(passed("slow")).toBe(1)
      expect(socket.stats).toMatchObject({ queued: 1000, dropped: 300 })

      stuck.clear()
      yield* untilSo(() => passed("slow") === 1001)
      answer()
      yield* untilSo(() => port.sent.length === 1 + 1001)
      expect(port.sent.filter((text) => text.startsWith("slow"))).toEqual(
        ["first", ...texts(0, 1000)].map((body) => `slow|re ${body}`)
      )
    }).pipe(Effect.scoped)
  )

  it.live("has replies beyond 1,000 dropped, which is counted and said once", () => {
    const { layer, logged } = collecting()
    return Effect.gen(function* () {
      const { port, socket, stuck } = yield* openWithPeers(Zmq.router(), "slow", "slow 2")
      const back = yield* openScripted(Zmq.dealer())
      yield* Effect.forkScoped(Proxy.run(socket, back.socket))
      for (const body of texts(0, 1500)) back.port.arriveMessage(messageOf("slow", body))
      for (const body of texts(0, 1200)) back.port.arriveMessage(messageOf("slow 2", body))
      back.port.arriveMessage(messageOf("good", "a"))
      yield* untilSo(() => port.sent.includes("good|a"))
      yield* aFewTurns
      expect(socket.stats.dropped).toBe(500 + 200)
      stuck.clear()
      yield* untilSo(() => port.sent.length === 2001)
      expect(port.sent.filter((text) => text.startsWith("slow|"))).toEqual(texts(0, 1000).map((body) => `slow|${body}`))
      expect(logged).toEqual([
        "effect-zmq: messages of a peer that does not read what is sent to it are dropped beyond 1000"
      ])
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
})
