/** What zeromq.js and libzmq do that this library must not step into. Each test names its hazard. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Stream } from "effect"
import { Zmq } from "effect-zmq"
import { nodeArguments, runCommand, runScript } from "./support/child.ts"
import { CurrentEngine, engineOn, openNative } from "./support/engine.ts"
import {
  boundTo,
  freshEndpoint,
  nextTurn,
  numbers,
  outcome,
  pause,
  randomFrom,
  texts,
  transports
} from "./support/sockets.ts"

const fork = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

const pipeline = (transport: "inproc" | "ipc" | "tcp" = "inproc") =>
  Effect.gen(function* () {
    const pull = yield* Zmq.pull({ bind: freshEndpoint(transport) })
    const push = yield* Zmq.push({ connect: boundTo(pull) })
    return { pull, push }
  })

describe("receiving and sending", () => {
  it.effect("EBUSY for a second receive or send: any number of fibers may do both on one socket", () =>
    Effect.gen(function* () {
      const left = yield* Zmq.pair({ bind: freshEndpoint("ipc"), receiveHighWaterMark: 20, sendHighWaterMark: 20 })
      const right = yield* Zmq.pair({ connect: boundTo(left), receiveHighWaterMark: 20, sendHighWaterMark: 20 })
      const receivers = (socket: Zmq.Pair) => numbers(0, 1000).map(() => socket.recvString)
      const senders = (socket: Zmq.Pair) => numbers(0, 1000).map((number) => socket.send(`${number}`))
      const all = { concurrency: "unbounded" } as const
      const [atLeft, atRight] = yield* Effect.all(
        [
          Effect.all(receivers(left), all),
          Effect.all(receivers(right), all),
          Effect.all(senders(left), all),
          Effect.all(senders(right), all)
        ],
        all
      )
      // Fibers are served in the order in which they came.
      expect(atLeft).toEqual(numbers(0, 1000).map(String))
      expect(atRight).toEqual(numbers(0, 1000).map(String))
    })
  )

  it.effect("receive() takes its message before it returns: interrupted in the same tick, the next one has it", () =>
    Effect.gen(function* () {
      const { pull, push } = yield* pipeline()
      for (const number of numbers(0, 500)) {
        const before = number % 2 === 0
        if (before) yield* push.send(`${number}`)
        const receiving = yield* fork(Effect.exit(pull.recvString))
        if (!before) yield* push.send(`${number}`)
        const exit = yield* Effect.andThen(Fiber.interrupt(receiving), Fiber.await(receiving))
        if (Exit.isSuccess(exit) && Exit.isSuccess(exit.value)) expect(exit.value.value).toBe(`${number}`)
        else expect(yield* pull.recvString).toBe(`${number}`)
      }
      expect(yield* pull.drain).toEqual([])
    })
  )

  it.effect("the 513th call of a turn is deferred: long queues are received in order, and others get their turn", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc"), receiveHighWaterMark: 0 })
      const push = yield* Zmq.push({ connect: boundTo(pull), sendHighWaterMark: 0 })
      let turns = 0
      const counting = yield* fork(
        Effect.forever(
          Effect.andThen(
            nextTurn,
            Effect.sync(() => turns++)
          )
        )
      )
      yield* push.sendAll(numbers(0, 20_000).map(String))
      turns = 0
      for (const number of numbers(0, 20_000)) expect((yield* pull.recv)[0].toString()).toBe(`${number}`)
      expect(turns).toBeGreaterThan(10)
      yield* Fiber.interrupt(counting)
    })
  )

  it.effect("reading `readable` or `writable` stalls a pending receive: tryRecv, drain and trySend do not", () =>
    Effect.gen(function* () {
      const left = yield* Zmq.pair({ bind: freshEndpoint("ipc") })
      const right = yield* Zmq.pair({ connect: boundTo(left) })
      for (const number of numbers(0, 1000)) {
        const waiting = yield* fork(left.recvString)
        if (number % 4 === 0) yield* nextTurn
        yield* right.send(`${number}`)
        const polled =
          number % 3 === 0
            ? yield* left.drain
            : number % 3 === 1
              ? Option.toArray(yield* left.tryRecv)
              : yield* Effect.as(left.trySend("x"), [])
        // First come, first served: what the receive waits for is not taken from under it.
        expect(polled).toEqual([])
        expect(yield* Fiber.join(waiting)).toBe(`${number}`)
      }
    })
  )

  it.effect("a send that waits keeps a pending receive from being looked at: tryRecv and drain see what is there", () =>
    Effect.gen(function* () {
      const options = { receiveHighWaterMark: 1, sendHighWaterMark: 1 }
      const left = yield* Zmq.pair({ bind: freshEndpoint("inproc"), ...options })
      const right = yield* Zmq.pair({ connect: boundTo(left), ...options })
      for (const number of numbers(0, 100)) {
        const interrupted = yield* fork(left.recv)
        yield* nextTurn
        yield* Fiber.interrupt(interrupted)
        let sent = 1
        while (yield* left.trySend("x")) sent++
        const blocked = yield* fork(left.send("x"))
        yield* nextTurn
        yield* right.send(`${number}`)
        const there = number % 2 === 0 ? yield* left.drain : Option.toArray(yield* left.tryRecv)
        expect(there.map(texts)).toEqual([[`${number}`]])
        for (let count = 0; count < sent; count++) yield* right.recv
        yield* Fiber.join(blocked)
      }
    })
  )

  for (const transport of ["inproc", "ipc"] as const) {
    for (const type of ["pair", "dealer"] as const) {
      it.effect(`a receive and a send that wait on one ${type} lose each other's wake-up (${transport})`, () =>
        Effect.gen(function* () {
          const options = { receiveHighWaterMark: 1, sendHighWaterMark: 1 }
          const left: Zmq.Pair | Zmq.Dealer = yield* Zmq[type]({ bind: freshEndpoint(transport), ...options })
          const right: Zmq.Pair | Zmq.Dealer = yield* Zmq[type]({ connect: boundTo(left), ...options })
          const random = randomFrom(1)
          for (const round of numbers(0, 600)) {
            // left waits to receive, and finds no room to send
            const waiting = yield* fork(left.recvString)
            if (random(2) === 0) yield* nextTurn
            let sent = 0
            while (yield* left.trySend(`${sent}`)) sent++
            const blocked = random(2) === 0 ? yield* fork(left.send(`${sent++}`)) : undefined
            if (random(2) === 0) yield* nextTurn
            // a message for the receive, and nothing else
            yield* right.send(`${round}`)
            expect(yield* Fiber.join(waiting)).toBe(`${round}`)
            // room for the send, while a receive waits again
            const next = yield* fork(left.recvString)
            for (const number of numbers(0, sent)) expect(yield* right.recvString).toBe(`${number}`)
            if (blocked !== undefined) yield* Fiber.join(blocked)
            yield* right.send("end")
            expect(yield* Fiber.join(next)).toBe("end")
          }
        })
      )
    }
  }

  it.effect("a native send that waits for room holds its message: interrupted, it is never sent", () =>
    Effect.gen(function* () {
      const push = yield* Zmq.push({ bind: freshEndpoint("ipc") })
      for (const number of numbers(0, 50)) {
        const sending = yield* fork(push.send(`ghost ${number}`))
        if (number % 2 === 0) yield* nextTurn
        yield* Fiber.interrupt(sending)
      }
      const pull = yield* Zmq.pull({ connect: boundTo(push) })
      yield* push.send("real")
      expect(yield* pull.recvString).toBe("real")
      expect(yield* pull.drain).toEqual([])
    })
  )

  it.effect("REQ out of turn waits for ever: it fails at once", () =>
    Effect.gen(function* () {
      const req = yield* Zmq.req({ bind: freshEndpoint("inproc"), relaxed: false })
      const rep = yield* Zmq.rep({ connect: boundTo(req) })
      expect(yield* outcome(req.recv)).toBe("InvalidState")
      yield* req.send("1")
      expect(yield* outcome(req.send("2"))).toBe("InvalidState")
      expect(yield* outcome(rep.send("2"))).toBe("InvalidState")
    })
  )

  it.effect("a mandatory ROUTER without peers waits for ever: it fails at once", () =>
    Effect.gen(function* () {
      const router = yield* Zmq.router({ bind: freshEndpoint("tcp") })
      expect(yield* outcome(router.send(["nobody", "x"]))).toBe("Unroutable")
    })
  )

  it.effect("a message of one frame vanishes in a ROUTER or STREAM: it is refused", () =>
    Effect.gen(function* () {
      const router = yield* Zmq.router({ bind: freshEndpoint("inproc") })
      const dealer = yield* Zmq.dealer({ connect: boundTo(router), routingId: "dealer", probeRouter: true })
      yield* router.recv
      expect(yield* outcome(router.send("dealer"))).toBe("EncodeError")
      expect(yield* outcome(router.send(["dealer"]))).toBe("EncodeError")
      const stream = yield* Zmq.rawStream({ bind: freshEndpoint("tcp") })
      expect(yield* outcome(stream.send("x"))).toBe("EncodeError")
      yield* router.send(["dealer", ""])
      expect(texts(yield* dealer.recv)).toEqual([""])
    })
  )

  it.effect("operations that make no sense for a type exist natively: here they do not", () =>
    Effect.gen(function* () {
      const push = yield* Zmq.push()
      const pull = yield* Zmq.pull()
      expect(["recv", "messages", "subscribe", "request", "serve"].filter((name) => name in push)).toEqual([])
      expect(["send", "sink", "subscribe", "request", "serve"].filter((name) => name in pull)).toEqual([])
    })
  )

  it.live("a pending receive does not keep its socket from being collected: it does here", () =>
    Effect.gen(function* () {
      setFlagsFromString("--expose-gc")
      const collectGarbage = runInNewContext("gc") as () => void
      const endpoint = freshEndpoint("ipc")
      const received = yield* fork(
        Effect.scoped(Effect.flatMap(Zmq.pull({ bind: endpoint }), (pull) => pull.recvString))
      )
      for (const _ of numbers(0, 10)) {
        collectGarbage()
        yield* nextTurn
      }
      const push = yield* Zmq.push({ connect: endpoint })
      yield* push.send("still here")
      expect(yield* Fiber.join(received)).toBe("still here")
    })
  )
})

describe("opening", () => {
  it.effect("an asynchronous bind on a socket in use gives EBUSY: bind and unbind during traffic do no harm", () =>
    Effect.gen(function* () {
      const { pull, push } = yield* pipeline("tcp")
      const sent = numbers(0, 20_000).map(String)
      const sender = yield* fork(push.sendAll(sent))
      const receiver = yield* fork(Stream.runCollect(Stream.take(pull.strings, sent.length)))
      let binds = 0
      while (receiver.pollUnsafe() === undefined) {
        yield* Effect.scoped(Effect.andThen(pull.bind(freshEndpoint(transports[binds % 3]!)), nextTurn))
        yield* Effect.scoped(push.bind(freshEndpoint("inproc")))
        binds++
      }
      expect(yield* Fiber.join(receiver)).toEqual(sent)
      expect(binds).toBeGreaterThan(10)
      yield* Fiber.join(sender)
    })
  )

  it.effect("unbindSync is wired to bind (issue 704): unbind unbinds", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc") })
      const endpoint = boundTo(pull)
      expect(yield* outcome(pull.bind(endpoint))).toBe("BindError")
      yield* pull.unbind(endpoint)
      expect(yield* pull.bind(endpoint)).toBe(endpoint)
      const push = yield* Zmq.push({ connect: endpoint })
      yield* push.send("x")
      expect(yield* pull.recvString).toBe("x")
    })
  )

  it.effect("tcp://127.0.0.1:99999 is bound to another port: it is refused", () =>
    Effect.gen(function* () {
      expect(yield* outcome(Zmq.pull({ bind: "tcp://127.0.0.1:99999" }))).toBe("BindError")
      expect(yield* outcome(Zmq.pull({ connect: "tcp://127.0.0.1:99999" }))).toBe("ConnectError")
    })
  )

  it.effect("options are cut at a NUL (issue 506): routing ids and topics with one are whole, or refused", () =>
    Effect.gen(function* () {
      const routingId = Buffer.from([1, 0, 2])
      const router = yield* Zmq.router({ bind: freshEndpoint("tcp") })
      const dealer = yield* Zmq.dealer({ connect: boundTo(router), routingId, probeRouter: true })
      expect((yield* router.recv)[0]).toEqual(routingId)
      yield* router.send([routingId, "x"])
      expect(yield* dealer.recvString).toBe("x")
      expect(yield* outcome(Zmq.dealer({ routingId: "a\0b" }))).toBe("OptionError")

      const xpub = yield* Zmq.xpub({ bind: freshEndpoint("inproc") })
      const sub = yield* Zmq.sub({ connect: boundTo(xpub), subscribe: Buffer.from([7, 0, 1]) })
      yield* sub.subscribe("b\0c")
      expect((yield* xpub.recv)[0]).toEqual(Buffer.from([1, 7, 0, 1]))
      expect(yield* xpub.recvString).toBe("\x01b\0c")
      for (const topic of [Buffer.from([7, 0, 2]), Buffer.from([7]), "b\0d", "b\0c"]) yield* xpub.send(topic)
      expect(yield* sub.recvString).toBe("b\0c")
    })
  )

  it.live("options that are set late print a warning: no use of a socket does", () =>
    Effect.gen(function* () {
      const warnings: Array<Error> = []
      const onWarning = (warning: Error) => void warnings.push(warning)
      process.on("warning", onWarning)
      const pull = yield* Zmq.pull({
        bind: freshEndpoint("tcp"),
        receiveTimeout: "2 millis",
        receiveHighWaterMark: 5,
        linger: "1 second",
        heartbeatInterval: "1 second"
      })
      const push = yield* Zmq.push({ connect: boundTo(pull), sendTimeout: "2 millis", sendHighWaterMark: 5 })
      yield* outcome(pull.recv)
      yield* Effect.repeat(push.send(Buffer.alloc(10_000)), { while: () => true }).pipe(outcome)
      yield* pull.bind(freshEndpoint("ipc"))
      while ((yield* pull.drain).length > 0) yield* nextTurn
      const sub = yield* Zmq.sub({ bind: freshEndpoint("ipc"), subscribe: "a" })
      yield* sub.subscribe("b")
      yield* sub.unsubscribe("a")
      yield* nextTurn
      yield* nextTurn
      process.off("warning", onWarning)
      expect(warnings).toEqual([])
    })
  )
})

describe("a process that is profiled", () => {
  // The profiler's signals make libzmq give up with EINTR.
  it.live("connects and disconnects all the same", () =>
    Effect.gen(function* () {
      const ended = yield* runScript("profiled.ts")
      expect(ended).toMatchObject({ code: 0, stdout: "3000 times\n" })
    })
  )
})

/** Counts what the sockets that are opened with this ask of libzmq. */
const counting = () => {
  const counts = { calls: 0 }
  const service = engineOn((type, opening) => {
    const native = openNative(type, opening)
    for (const name of ["receive", "receiveBurst", "recheck", "offer", "offerAll", "room"] as const) {
      const call: (...args: Array<never>) => unknown = native[name]
      Object.defineProperty(native, name, {
        value: (...args: Array<never>) => {
          counts.calls++
          return call.apply(native, args)
        }
      })
    }
    return native
  })
  return { counts, service }
}

describe("what waiting costs", () => {
  // Late timers make it less, and never more.
  const callsWhile = <E, R>(counts: { readonly calls: number }, wait: Effect.Effect<unknown, E, R>) =>
    Effect.gen(function* () {
      const waiting = yield* fork(wait)
      yield* nextTurn
      const before = counts.calls
      const start = performance.now()
      yield* pause(400)
      const took = performance.now() - start
      const calls = counts.calls - before
      yield* Fiber.interrupt(waiting)
      return { calls, took }
    })
  // What is waited for is looked for every 20 ms, and more often at first.
  const looks = (took: number) => 2 * (took / 20 + 8)

  it.live("receives that wait ask nothing", () => {
    const { counts, service } = counting()
    return Effect.gen(function* () {
      const { pull } = yield* pipeline("tcp")
      const receives = Effect.replicateEffect(pull.recv, 10, { concurrency: 10 })
      expect((yield* callsWhile(counts, receives)).calls).toBe(0)
      expect(counts.calls).toBeGreaterThan(0)
    }).pipe(Effect.provideService(CurrentEngine, service))
  })

  it.live("a send that waits for room asks now and then", () => {
    const { counts, service } = counting()
    return Effect.gen(function* () {
      const push = yield* Zmq.push({ bind: freshEndpoint("tcp") })
      const { calls, took } = yield* callsWhile(counts, push.send("x"))
      expect(calls).toBeLessThan(looks(took))
    }).pipe(Effect.provideService(CurrentEngine, service))
  })

  it.live("a send that waits for a peer of a ROUTER asks now and then", () => {
    const { counts, service } = counting()
    return Effect.gen(function* () {
      const router = yield* Zmq.router({ bind: freshEndpoint("inproc"), sendHighWaterMark: 1 })
      yield* Zmq.dealer({ connect: boundTo(router), routingId: "d", probeRouter: true, receiveHighWaterMark: 1 })
      yield* router.recv
      while (yield* router.trySend(["d", "x"])) yield* Effect.void
      const { calls, took } = yield* callsWhile(counts, router.send(["d", "x"]))
      expect(calls).toBeLessThan(looks(took))
    }).pipe(Effect.provideService(CurrentEngine, service))
  })

  for (const operation of ["receive", "send"] as const) {
    it.live(`an interrupted ${operation} waits for nothing: the event loop goes round once at most`, () =>
      Effect.gen(function* () {
        const pair = yield* Zmq.pair({ bind: freshEndpoint("tcp") })
        const wait = operation === "receive" ? Effect.asVoid(pair.recv) : pair.send("x")
        let most = 0
        for (const number of numbers(0, 200)) {
          const waiting = yield* fork(Effect.exit(wait))
          if (number % 4 === 0) yield* pause(1)
          else if (number % 2 === 0) yield* nextTurn
          // As long as this goes on, time passes in many turns.
          let turns = 0
          let counting = true
          const count = () => {
            turns++
            if (counting) setImmediate(count)
          }
          setImmediate(count)
          yield* Fiber.interrupt(waiting)
          counting = false
          most = Math.max(most, turns)
        }
        expect(most).toBeLessThanOrEqual(1)
      })
    )
  }
})

describe("a flood from another process", () => {
  const consumers: Record<
    string,
    (pull: Zmq.Pull, count: () => void) => Effect.Effect<unknown, Zmq.Again | Zmq.Closed>
  > = {
    recv: (pull, count) => Effect.forever(Effect.andThen(pull.recv, Effect.sync(count))),
    messages: (pull, count) => Stream.runForEach(pull.messages, () => Effect.sync(count)),
    runForEach: (pull, count) => pull.runForEach(() => Effect.sync(count), { concurrency: 8 }),
    tryRecv: (pull, count) =>
      Effect.forever(Effect.andThen(pull.tryRecv, (message) => Effect.sync(Option.isSome(message) ? count : () => {}))),
    drain: (pull, count) => Effect.forever(Effect.tap(pull.drain, (all) => Effect.sync(() => all.forEach(count))))
  }

  it.live("leaves the event loop alive: it goes round after a few hundred messages, and other fibers run", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("ipc"), receiveHighWaterMark: 10_000 })
      yield* fork(runCommand(process.execPath, [...nodeArguments("flood.ts"), boundTo(pull)]))
      yield* pull.recv
      for (const [name, consume] of Object.entries(consumers)) {
        let received = 0
        let ticks = 0
        let turns = 0
        let mostInOneTurn = 0
        let before = pull.stats.messagesIn
        const consumer = yield* fork(consume(pull, () => received++))
        const other = yield* fork(
          Effect.forever(
            Effect.andThen(
              Effect.sync(() => ticks++),
              Effect.yieldNow
            )
          )
        )
        while (received < 10_000 || turns < 100) {
          yield* nextTurn
          turns++
          const now = pull.stats.messagesIn
          mostInOneTurn = Math.max(mostInOneTurn, now - before)
          before = now
        }
        yield* Fiber.interruptAll([consumer, other])
        expect(mostInOneTurn, name).toBeLessThanOrEqual(2 * 512)
        expect(ticks, name).toBeGreaterThan(turns / 10)
      }
    })
  )
})
