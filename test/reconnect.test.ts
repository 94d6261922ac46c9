/** Connections that libzmq gives up for good are made again. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Logger, Redacted, Scope, Stream } from "effect"
import { Curve, Draft, Null, Plain, Zap, Zmq } from "effect-zmq"
import { afterEach, beforeEach, vi } from "vitest"
import { Reconnect } from "../src/internal/zeromq/reconnect.ts"
import { lacks } from "./support/byEngine.ts"
import { openScripted } from "./support/scripted.ts"
import { boundTo, freshEndpoint, numbers, pause, texts, until, untilDefined, whenFree } from "./support/sockets.ts"
import { alone, secured } from "./support/zap.ts"

const transports = ["tcp", "ipc", "ws"] as const
const endpointOf = (transport: (typeof transports)[number]): string =>
  transport === "ws" ? "ws://127.0.0.1:*" : freshEndpoint(transport)

const quick = { reconnectInterval: "10 millis", reconnectMaxInterval: "40 millis" } as const

/** Waits until a socket has been refused, or cut off, so many times and connects again. */
const retried = (socket: Zmq.Socket, times = 1) => {
  let ended = false
  return socket.events.pipe(
    Stream.filter(({ _tag }) => {
      const again = ended && _tag === "ConnectRetried"
      ended = _tag === "Disconnected" || (ended && !again)
      return again
    }),
    Stream.take(times),
    Stream.runDrain
  )
}

describe("a client that is refused, and let in later", () => {
  const keys = { server: Effect.runSync(Curve.generate), client: Effect.runSync(Curve.generate) }
  const mechanisms = {
    NULL: { server: Null.server({ domain: "d" }), client: undefined },
    PLAIN: {
      server: Plain.server({ domain: "d" }),
      client: Plain.client({ username: "ann", password: Redacted.make("word") })
    },
    CURVE: {
      server: Curve.server({ keys: keys.server, domain: "d" }),
      client: Curve.client({ keys: keys.client, serverKey: keys.server.publicKey })
    }
  } as const

  /** Runs with an authenticator that denies everybody until it is told to let everybody in. */
  const withDoor = <A, E>(
    use: (open: Effect.Effect<void>) => Effect.Effect<A, E, Scope.Scope | Zap.Zap>
  ): Effect.Effect<void, unknown, Scope.Scope> => {
    let isOpen = false
    const decide: Zap.Authenticator<Zap.Request, never, never> = () =>
      Effect.sync(() => (isOpen ? Zap.accept() : Zap.deny()))
    const open = Effect.sync(() => {
      isOpen = true
    })
    const layer = secured(Zap.layer({ null: decide, plain: decide, curve: decide }))
    return Effect.asVoid(Effect.provide(use(open), layer))
  }

  for (const [name, mechanism] of Object.entries(mechanisms)) {
    for (const transport of transports) {
      it.live.skipIf(lacks(transport))(
        `${name} over ${transport}: nothing is lost that is sent when it was refused`,
        () =>
          withDoor((open) =>
            Effect.gen(function* () {
              const pull = yield* Zmq.pull({ bind: endpointOf(transport), security: mechanism.server })
              const push = yield* Zmq.push({ connect: boundTo(pull), security: mechanism.client, ...quick })
              yield* retried(push)
              const sending = yield* Effect.forkChild(
                Effect.forEach(numbers(0, 5), (number) => push.send(`${number}`)),
                { startImmediately: true }
              )
              // Those that are refused again must take nothing with them.
              yield* retried(push, 4)
              yield* open
              for (const number of numbers(0, 5)) expect(yield* pull.recvString).toBe(`${number}`)
              yield* Fiber.join(sending)
            })
          )
      )
    }
  }

  const security = { security: mechanisms.CURVE.client, ...quick }
  const bound = { bind: "tcp://127.0.0.1:*", security: mechanisms.CURVE.server } as const
  const sends = (
    receiver: { readonly recv: Effect.Effect<Zmq.Message, unknown> },
    send: Effect.Effect<void, unknown>
  ) =>
    Effect.gen(function* () {
      yield* Effect.forkScoped(send)
      expect(texts(yield* receiver.recv).at(-1)).toBe("hello")
    })
  const types: Record<string, (open: Effect.Effect<void>) => Effect.Effect<void, unknown, Scope.Scope>> = {
    "a PULL": (open) =>
      Effect.gen(function* () {
        const push = yield* Zmq.push(bound)
        const pull = yield* Zmq.pull({ connect: boundTo(push), ...security })
        yield* retried(pull)
        yield* open
        yield* sends(pull, push.send("hello"))
      }),
    "a SUB": (open) =>
      Effect.gen(function* () {
        const pub = yield* Zmq.pub(bound)
        const sub = yield* Zmq.sub({ connect: boundTo(pub), subscribe: "h", ...security })
        yield* retried(sub)
        yield* open
        yield* pub.awaitSubscribers("h")
        yield* sends(sub, pub.send("hello"))
      }),
    "a PAIR, both ways": (open) =>
      Effect.gen(function* () {
        const here = yield* Zmq.pair(bound)
        const there = yield* Zmq.pair({ connect: boundTo(here), ...security })
        yield* retried(there)
        yield* open
        yield* sends(here, there.send("hello"))
        yield* sends(there, here.send("hello"))
      }),
    "a DEALER, both ways": (open) =>
      Effect.gen(function* () {
        const router = yield* Zmq.router(bound)
        const dealer = yield* Zmq.dealer({ connect: boundTo(router), routingId: "d", ...security })
        yield* retried(dealer)
        yield* open
        yield* sends(router, dealer.send("hello"))
        yield* sends(dealer, router.send(["d", "hello"]))
      }),
    "a ROUTER, both ways": (open) =>
      Effect.gen(function* () {
        const dealer = yield* Zmq.dealer({ ...bound, routingId: "d" })
        const router = yield* Zmq.router({ connect: boundTo(dealer), ...security })
        yield* retried(router)
        yield* open
        yield* sends(router, dealer.send("hello"))
        yield* sends(dealer, router.send(["d", "hello"]))
      }),
    "a CLIENT, both ways": (open) =>
      Effect.gen(function* () {
        const server = yield* Draft.server(bound)
        const client = yield* Draft.client({ connect: boundTo(server), ...security })
        yield* retried(client)
        yield* open
        yield* Effect.forkScoped(client.send("hello"))
        const { data, routingId } = yield* server.recvString
        expect(data).toBe("hello")
        yield* server.send(routingId, "hello")
        expect(yield* client.recvString).toBe("hello")
      }),
    "a REQ": (open) =>
      Effect.gen(function* () {
        const rep = yield* Zmq.rep(bound)
        yield* Effect.forkScoped(rep.serve(([question]) => Effect.succeed(`${question}!`)))
        const req = yield* Zmq.req({ connect: boundTo(rep), ...security })
        yield* retried(req)
        yield* open
        expect(texts(yield* req.request("hello"))).toEqual(["hello!"])
      })
  }
  for (const [name, run] of Object.entries(types))
    it.live.skipIf(lacks(...name.split(/\W+/)))(name, () => withDoor(run))

  type Open = (options: object) => Effect.Effect<Zmq.Socket, Zmq.SocketError, Scope.Scope>
  // libzmq aborts the process when such a connection breaks, if it is not made as libzmq expects.
  const pairs: Record<string, readonly [client: Open, server: Open]> = {
    "a PUSH": [Zmq.push, Zmq.pull],
    "a PULL": [Zmq.pull, Zmq.push],
    "a SUB": [(options) => Zmq.sub({ subscribe: "", ...options }), Zmq.pub],
    "an XSUB": [(options) => Zmq.xsub({ subscribe: "", ...options }), Zmq.xpub],
    "a PUB": [Zmq.pub, (options) => Zmq.sub({ subscribe: "", ...options })],
    "a PAIR": [Zmq.pair, Zmq.pair],
    "a DEALER": [Zmq.dealer, Zmq.router],
    "a ROUTER": [Zmq.router, Zmq.dealer],
    "a REQ": [Zmq.req, Zmq.rep],
    // A REQ cannot say who may come in: libzmq would hang up.
    "a REP": [Zmq.rep, Zmq.dealer],
    "a CLIENT": [Draft.client as Open, Draft.server as Open],
    "a SCATTER": [Draft.scatter as Open, Draft.gather as Open],
    "a DISH": [Draft.dish as Open, Draft.radio as Open]
  }
  for (const [name, [openClient, openServer]] of Object.entries(pairs)) {
    it.live.skipIf(lacks(...name.split(/\W+/)))(
      `${name}, whose server leaves then and returns, and which has another connection`,
      () =>
        withDoor((open) =>
          Effect.gen(function* () {
            const scope = yield* Scope.make()
            const endpoint = boundTo(yield* Scope.provide(openServer({ ...bound, linger: 0 }), scope))
            const client = yield* openClient({ connect: endpoint, linger: 0, ...security })
            yield* retried(client)
            yield* open
            yield* client.awaitConnected
            // A PAIR has one.
            const other = name === "a PAIR" ? undefined : yield* openServer({ ...bound, linger: 0 })
            if (other !== undefined) yield* client.connect(boundTo(other))
            yield* client.awaitConnected
            yield* Scope.close(scope, Exit.void)
            yield* openServer({ ...bound, bind: endpoint, linger: 0 })
            yield* client.awaitConnected
          })
        )
    )
  }

  it.live("by a server of another mechanism, in whose place comes another server", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(
        Zmq.pull({ bind: "tcp://127.0.0.1:*", security: mechanisms.CURVE.server, linger: 0 }),
        scope
      )
      const endpoint = boundTo(first)
      const push = yield* Zmq.push({ connect: endpoint, ...quick })
      yield* retried(push)
      yield* Scope.close(scope, Exit.void)
      const second = yield* whenFree(Zmq.pull({ bind: endpoint }))
      yield* sends(second, push.send("hello"))
    }).pipe(Effect.provide(alone))
  )

  it.live("says so in its events, and others of its connections are none the worse for it", () =>
    withDoor((open) =>
      Effect.gen(function* () {
        const warnings: Array<Error> = []
        const onWarning = (warning: Error) => void warnings.push(warning)
        process.on("warning", onWarning)
        yield* Effect.addFinalizer(() => Effect.sync(() => process.off("warning", onWarning)))
        const strict = yield* Zmq.pull(bound)
        const free = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*", security: Curve.server({ keys: keys.server }) })
        yield* open
        const push = yield* Zmq.push({ connect: boundTo(free), ...security })
        yield* push.awaitConnected
        const zap = yield* Zap.Zap
        yield* zap.setAddressRules({ deny: ["127.0.0.1"] })
        yield* push.connect(boundTo(strict))
        const events = yield* push.events.pipe(
          Stream.filter(({ endpoint }) => endpoint === boundTo(strict)),
          Stream.takeUntil(({ _tag }) => _tag === "ConnectRetried"),
          Stream.runCollect
        )
        expect(events.map(({ _tag }) => _tag).filter((tag) => tag !== "ConnectDelayed")).toEqual([
          "Connected",
          "HandshakeFailed",
          "Disconnected",
          "ConnectRetried"
        ])
        // Another connection takes all there is to send, and has not been made again.
        for (const number of numbers(0, 5)) yield* push.send(`${number}`)
        for (const number of numbers(0, 5)) expect(yield* free.recvString).toBe(`${number}`)
        yield* zap.setAddressRules({})
        yield* push.awaitConnected
        yield* push.disconnect(boundTo(free))
        yield* sends(strict, push.send("hello"))
        expect(warnings.map(String)).toEqual([])
      })
    )
  )
})

describe("a peer that sends what cannot be", () => {
  for (const transport of transports) {
    it.live.skipIf(lacks(transport))(`does not end a REQ for good (over ${transport})`, () =>
      Effect.gen(function* () {
        const router = yield* Zmq.router({ bind: endpointOf(transport) })
        const req = yield* Zmq.req({ connect: boundTo(router), ...quick })
        yield* req.send("first")
        const [id] = yield* router.recv
        yield* router.send([id, "a reply without an envelope"])
        yield* retried(req)
        yield* Effect.forkScoped(router.serve(([question]) => Effect.succeed(`${question}!`)))
        expect(texts(yield* req.request("second"))).toEqual(["second!"])
      }).pipe(Effect.provide(alone))
    )

    it.live.skipIf(lacks(transport))(`or a PULL, by a message that is too large (over ${transport})`, () =>
      Effect.gen(function* () {
        const push = yield* Zmq.push({ bind: endpointOf(transport) })
        const pull = yield* Zmq.pull({ connect: boundTo(push), maxMessageSize: 100, ...quick })
        yield* push.send("small")
        expect(yield* pull.recvString).toBe("small")
        yield* push.send(Buffer.alloc(1000))
        yield* retried(pull)
        // What is sent before it is seen that the connection has ended is gone with it.
        const again = Effect.andThen(push.trySend("small again"), pull.drain)
        expect(texts(yield* untilDefined(Effect.map(again, ([message]) => message)))).toEqual(["small again"])
      }).pipe(Effect.provide(alone))
    )
  }
})

describe("a reply that a REQ does not wait for", () => {
  for (const transport of [...transports, "inproc"] as const) {
    it.live.skipIf(transport !== "inproc" && lacks(transport))(`is passed over (over ${transport})`, () =>
      Effect.gen(function* () {
        for (const correlate of [false, true]) {
          const router = yield* Zmq.router({
            bind: transport === "inproc" ? freshEndpoint(transport) : endpointOf(transport)
          })
          const req = yield* Zmq.req({ connect: boundTo(router), correlate, ...quick })
          const others = [["four", ""], ...(correlate ? [[""]] : []), ...(transport === "inproc" ? [[], ["no"]] : [])]
          const ids = new Set<string>()
          for (const question of ["first", "second"]) {
            yield* req.send(question)
            const [id, ...envelope] = (yield* router.recv).slice(0, -1) as [Buffer, ...Array<Buffer>]
            ids.add(id.toString("hex"))
            for (const other of others) yield* router.send([id, ...other, "not its reply"])
            yield* router.send([id, ...envelope, "a reply"])
            expect(texts(yield* req.recv)).toEqual(["a reply"])
          }
          // By one connection.
          expect(ids.size).toBe(1)
        }
      }).pipe(Effect.provide(alone))
    )
  }
})

describe("what the program undoes is not done again", () => {
  const at = "tcp://127.0.0.1:5555"
  const refuse = (port: { readonly tell: (event: { type: string; address: string }) => void }) => {
    for (const type of ["connect", "handshake:error:auth", "disconnect"]) port.tell({ type, address: at })
  }
  const quiet = Logger.layer([])

  it.live("by disconnect, while libzmq has let go of it", () =>
    Effect.gen(function* () {
      const open = Zmq.push({ connect: at, reconnectInterval: "1 minute" })
      const { port, socket } = yield* openScripted(open)
      refuse(port)
      expect(port.log.filter((line) => line.includes(at))).toEqual([`connect ${at}`, `disconnect ${at}`])
      expect(socket.endpoints).toEqual([at])
      yield* socket.disconnect(at)
      expect(socket.endpoints).toEqual([])
      expect(yield* Effect.flip(socket.disconnect(at))).toMatchObject({ reason: "NoSuchEndpoint" })
      // What is connected again is not what was refused.
      yield* socket.connect(at)
      expect(port.log.filter((line) => line.includes(at))).toEqual([
        `connect ${at}`,
        `disconnect ${at}`,
        `connect ${at}`
      ])
    }).pipe(Effect.provide(quiet))
  )

  it.live("by the end of its scope", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { port } = yield* Scope.provide(openScripted(Zmq.push({ connect: at, ...quick })), scope)
      refuse(port)
      yield* Scope.close(scope, Exit.void)
      refuse(port)
      yield* pause(100)
      expect(port.log.filter((line) => line.includes("once ready"))).toEqual([])
    }).pipe(Effect.provide(quiet))
  )

  it.live("by a STREAM, which ends connections on purpose, and whose peers refuse nobody", () =>
    Effect.gen(function* () {
      const { port } = yield* openScripted(Zmq.rawStream({ connect: at, ...quick }))
      refuse(port)
      expect(port.log.filter((line) => line.includes(at))).toEqual([`connect ${at}`])
    }).pipe(Effect.provide(quiet))
  )

  it.live("but what was connected twice, and is wanted once more, is", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.push({ connect: [at, at], ...quick }))
      refuse(port)
      yield* socket.disconnect(at)
      yield* until(Effect.sync(() => port.log.includes(`connect ${at} once ready`)))
    }).pipe(Effect.provide(quiet))
  )
})

describe("when and how often", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const at = "tcp://127.0.0.1:5555"
  const made = (interval = 100, maxInterval = 0) => {
    const log: Array<string> = []
    let fails = 0
    const reconnect = new Reconnect(
      { interval, maxInterval },
      {
        disconnect: (endpoint) => void log.push(`disconnect ${endpoint}`),
        connectOnceReady: (endpoint) => {
          log.push(`connect ${endpoint}`)
          if (fails-- > 0) throw new Error("no room")
        }
      },
      (endpoint, interval) => {
        log.push(`retry ${interval}`)
        // As all that is told comes back to it.
        reconnect.heard(Zmq.SocketEvent.ConnectRetried({ endpoint, interval } as never), endpoint)
      },
      (then) => void setImmediate(then)
    )
    const tell = (...tags: ReadonlyArray<Zmq.SocketEvent["_tag"] | "Denied" | "Misunderstood">) => {
      for (const tag of tags) {
        const reason = tag === "Denied" ? "Authentication" : tag === "Misunderstood" ? "Protocol" : "Connection"
        const _tag = tag === "Denied" || tag === "Misunderstood" ? "HandshakeFailed" : tag
        reconnect.heard({ _tag, endpoint: at, reason } as never, at)
      }
    }
    const waits = () => log.filter((line) => line.startsWith("retry")).map((line) => Number(line.slice(6)))
    const failNext = (times: number) => {
      fails = times
    }
    return { log, reconnect, tell, waits, failNext }
  }

  it("waits twice as long each time, up to ten seconds, with a little more each time", () => {
    const { tell, waits } = made()
    for (let i = 0; i < 12; i++) {
      tell("Connected", "Denied", "Disconnected")
      vi.runAllTimers()
    }
    const least = [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000, 10_000, 10_000]
    waits().forEach((wait, i) => {
      expect(wait).toBeGreaterThanOrEqual(least[i]!)
      expect(wait).toBeLessThanOrEqual(least[i]! + 100)
    })
    expect(new Set(waits()).size).toBeGreaterThan(8)
  })

  it("up to reconnectMaxInterval, if there is one", () => {
    const { tell, waits } = made(100, 300)
    for (let i = 0; i < 5; i++) {
      tell("Connected", "Misunderstood", "Disconnected")
      vi.runAllTimers()
    }
    expect(Math.max(...waits())).toBeLessThanOrEqual(400)
    expect(waits()[4]).toBeGreaterThanOrEqual(300)
  })

  it("and from the beginning after a connection that stood for longer than that", () => {
    const { tell, waits } = made(100, 300)
    const round = (stands: number) => {
      tell("Connected", "HandshakeSucceeded")
      vi.advanceTimersByTime(stands)
      tell("Disconnected")
      vi.runAllTimers()
    }
    for (let i = 0; i < 4; i++) {
      tell("Connected", "Denied", "Disconnected")
      vi.runAllTimers()
    }
    expect(waits().at(-1)).toBeGreaterThanOrEqual(300)
    round(10_000)
    expect(waits().at(-1)).toBeLessThanOrEqual(200)
  })

  it("lets go at once, and makes it again when the time is over", () => {
    const { log, tell } = made()
    tell("Connected", "Denied", "Disconnected")
    expect(log).toEqual([`disconnect ${at}`, expect.stringContaining("retry")])
    vi.advanceTimersByTime(99)
    expect(log).toHaveLength(2)
    vi.advanceTimersByTime(101)
    expect(log.at(-1)).toBe(`connect ${at}`)
    vi.runAllTimers()
    expect(log).toHaveLength(3)
  })

  it("not what libzmq makes again by itself, however late it says so", () => {
    const { log, tell } = made()
    tell("Connected", "HandshakeFailed", "Disconnected", "ConnectRetried")
    vi.runAllTimers()
    tell("Connected", "HandshakeSucceeded", "Disconnected")
    vi.advanceTimersByTime(999)
    tell("ConnectRetried")
    vi.runAllTimers()
    // Mechanisms may differ first, and then the handshake takes too long: the last word counts.
    tell("Connected", "Misunderstood", "HandshakeFailed", "Disconnected", "ConnectRetried")
    vi.runAllTimers()
    expect(log).toEqual([])
  })

  it("not when libzmq says so in the very moment that the wait is over", () => {
    const { log, reconnect, tell } = made()
    tell("Connected", "HandshakeSucceeded", "Disconnected")
    vi.advanceTimersByTime(1000)
    tell("ConnectRetried")
    vi.runAllTimers()
    expect(log).toEqual([])
    reconnect.close()
  })

  it("but what libzmq says nothing more of", () => {
    const { log, tell } = made()
    tell("Connected", "HandshakeSucceeded", "Disconnected")
    vi.advanceTimersByTime(900)
    expect(log).toEqual([])
    vi.runAllTimers()
    expect(log).toEqual([`disconnect ${at}`, expect.stringContaining("retry"), `connect ${at}`])
  })

  it("not of a connection that the program has ended", () => {
    const { log, reconnect, tell } = made()
    // words that come late
    tell("Denied", "Disconnected")
    tell("Connected", "HandshakeSucceeded", "Disconnected")
    expect(reconnect.forget(at)).toBe(false)
    tell("Connected", "Denied", "Disconnected")
    expect(reconnect.forget(at)).toBe(true)
    expect(reconnect.forget(at)).toBe(false)
    vi.runAllTimers()
    expect(log.filter((line) => line.startsWith("connect"))).toEqual([])
    tell("Connected", "Denied", "Disconnected")
    reconnect.close()
    tell("Connected", "Denied", "Disconnected")
    vi.runAllTimers()
    expect(log.filter((line) => line.startsWith("connect"))).toEqual([])
  })

  for (const interval of [-1, 0]) {
    it(`never with a reconnectInterval of ${interval}, which is never`, () => {
      const { log, tell } = made(interval)
      tell("Connected", "Denied", "Disconnected", "Connected", "HandshakeSucceeded", "Disconnected")
      vi.runAllTimers()
      expect(log).toEqual([])
    })
  }

  it("and again, when there was no room for it", () => {
    const { failNext, log, tell } = made()
    failNext(2)
    tell("Connected", "Denied", "Disconnected")
    vi.runAllTimers()
    expect(log.filter((line) => line.startsWith("connect"))).toHaveLength(3)
  })
})
