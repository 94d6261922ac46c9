/** How it stands with connections: the machine by itself, and what sockets say of real ones. */
import { createServer, type Server } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Logger, References, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Curve, Zap, Zmq } from "effect-zmq"
import { begun, established, type Link, Links, next, statusOf } from "../src/internal/socket/status.ts"
import { byEngine, engineName, lacks } from "./support/byEngine.ts"
import { openScripted } from "./support/scripted.ts"
import { boundTo, freshEndpoint, nextTurn, outcome, until } from "./support/sockets.ts"
import { secured } from "./support/zap.ts"

const endpoint = "tcp://127.0.0.1:5555"
const error = new Error("no")
const { Closed, Connected, ConnectDelayed, ConnectRetried, Disconnected, HandshakeFailed, HandshakeSucceeded } =
  Zmq.SocketEvent
const at = { endpoint }
const delayed = ConnectDelayed(at)
const connected = Connected(at)
const succeeded = HandshakeSucceeded(at)
const lost = Disconnected(at)
const closed = Closed(at)
const retried = ConnectRetried({ ...at, interval: "100 millis" as never })
const failed = (reason: "Authentication" | "Protocol" | "Connection", status?: number, code?: string) =>
  HandshakeFailed({ ...at, reason, status, code, error })

/** What comes of events that follow one another a second apart, as it is shown. */
const outcomeOf = (...events: ReadonlyArray<Zmq.SocketEvent>) => {
  let now = 0
  const link = events.reduce((link: Link, event) => next(link, event, 1000 * ++now, true), begun(0))
  const { endpoint: _, ...shown } = statusOf(endpoint, link)
  return "since" in shown ? { ...shown, since: Number(shown.since.epochMilliseconds) } : shown
}
const nobody = [delayed, closed, retried]
const hangUp = [delayed, connected, failed("Connection"), lost, retried]
const denied = [delayed, connected, failed("Authentication", 400), lost, retried]

describe("the machine", () => {
  it("counts attempts, however libzmq tells of their ends", () => {
    const none = { state: "connecting", since: 0, tries: 0, lastError: undefined }
    expect(outcomeOf()).toEqual(none)
    expect(outcomeOf(delayed)).toEqual(none)
    expect(outcomeOf(delayed, connected)).toEqual(none)
    const unreachable = { ...none, lastError: "no connection could be made" }
    expect(outcomeOf(delayed, closed)).toEqual({ ...unreachable, tries: 1 })
    expect(outcomeOf(...nobody, ...nobody, delayed)).toEqual({ ...unreachable, tries: 2 })
    // ipc tells of no delay, and a name without an address of nothing but the next time.
    expect(outcomeOf(closed, retried, closed, retried)).toEqual({ ...unreachable, tries: 2 })
    expect(outcomeOf(retried, retried)).toEqual({ ...unreachable, tries: 2 })
    expect(outcomeOf(...hangUp)).toEqual({ ...none, tries: 1, lastError: "no" })
    expect(outcomeOf(connected, lost, retried)).toEqual({
      ...none,
      tries: 1,
      lastError: "the peer closed the connection before its handshake"
    })
  })

  it("is connected when the handshake is done, and begins anew when that is lost", () => {
    expect(outcomeOf(...nobody, delayed, connected, succeeded)).toEqual({ state: "connected", since: 6000 })
    // In threads of their own.
    expect(outcomeOf(delayed, succeeded, connected)).toEqual({ state: "connected", since: 2000 })
    const again = { state: "connecting", since: 4000, tries: 0, lastError: "the connection was lost" }
    expect(outcomeOf(delayed, connected, succeeded, lost)).toEqual(again)
    expect(outcomeOf(delayed, connected, succeeded, lost, retried)).toEqual(again)
    expect(outcomeOf(delayed, connected, succeeded, lost, retried, ...nobody)).toMatchObject({ since: 4000, tries: 1 })
  })

  it("is connected over ws when both handshakes are done", () => {
    const http = { ...succeeded, endpoint: "ws://127.0.0.1:5555/" }
    expect(outcomeOf(connected, http)).toMatchObject({ state: "connecting" })
    expect(outcomeOf(connected, http, http)).toEqual({ state: "connected", since: 3000 })
    expect(outcomeOf(connected, http, failed("Authentication"), lost, retried, connected, http)).toMatchObject({
      state: "refused",
      tries: 1
    })
  })

  it("is refused until it is let in, or nobody is there", () => {
    expect(outcomeOf(...denied)).toEqual({
      state: "refused",
      since: 3000,
      tries: 1,
      reason: "Authentication",
      advice: "The authenticator of the peer denies us (400): have it allow our key, name or address"
    })
    expect(outcomeOf(...denied, ...denied, delayed, connected)).toMatchObject({
      state: "refused",
      since: 3000,
      tries: 2
    })
    expect(outcomeOf(...denied, delayed, connected, succeeded)).toEqual({ state: "connected", since: 8000 })
    expect(outcomeOf(...denied, delayed, closed)).toMatchObject({ state: "connecting", since: 7000, tries: 2 })
    const advice = (...args: Parameters<typeof failed>) => outcomeOf(connected, failed(...args))
    expect(advice("Protocol", undefined, "ERR_ZMTP_MECHANISM_MISMATCH")).toMatchObject({
      reason: "Protocol",
      advice: expect.stringContaining("give both sockets the same `security`")
    })
    expect(advice("Protocol", undefined, "ERR_ZMTP_CRYPTOGRAPHIC")).toMatchObject({
      advice: expect.stringContaining("ERR_ZMTP_CRYPTOGRAPHIC")
    })
    expect(advice("Authentication", 300)).toMatchObject({ advice: expect.stringContaining("another time") })
    expect(advice("Authentication", 500)).toMatchObject({ advice: expect.stringContaining("its log") })
  })

  it("takes a peer that hangs up for one that refuses, when it has done so for a while, and in a row", () => {
    // Each a second after the other: the second after 5 seconds, the third after 10.
    expect(outcomeOf(...hangUp, ...hangUp)).toMatchObject({ state: "connecting", tries: 2 })
    const refused = { state: "refused", reason: "Connection", tries: 3, since: 13_000 }
    expect(outcomeOf(...hangUp, ...hangUp, ...hangUp)).toMatchObject(refused)
    expect(outcomeOf(...hangUp, ...hangUp, ...nobody, ...hangUp)).toMatchObject({ state: "connecting" })
    const fast = hangUp.concat(hangUp, hangUp, hangUp)
    const link = fast.reduce((link: Link, event) => next(link, event, 4999, true), begun(0))
    expect(link).toMatchObject({ state: "connecting", tries: 4 })
  })

  it("of a STREAM, which has no handshakes", () => {
    expect(next(begun(0), connected, 5, false)).toEqual(established(5))
    expect(next(established(5), lost, 7, false)).toMatchObject({ state: "connecting", since: 7 })
  })
})

it("an endpoint that is not reached for 5 seconds is told once each time, and no more when it is reached", () => {
  const timers = new Map<() => void, number>()
  const told: Array<string> = []
  let now = 0
  const pass = (millis: number) => {
    now += millis
    for (const [run, due] of timers) if (due <= now && timers.delete(run)) run()
  }
  const links = new Links(true, {
    now: () => now,
    after: (millis, run) => {
      timers.set(run, now + millis)
      return () => void timers.delete(run)
    },
    unreached: (name, { tries }) => void told.push(`${name} ${tries}`)
  })
  const hear = (...events: ReadonlyArray<Zmq.SocketEvent>) => events.forEach((event) => void links.heard(event, "a"))
  links.begin("a", false)
  links.begin("there", true)
  pass(4999)
  hear(...nobody, ...nobody)
  expect(told).toEqual([])
  pass(1)
  pass(100_000)
  expect(told).toEqual(["a 2"])
  hear(connected, succeeded)
  pass(10_000)
  hear(lost, retried)
  pass(4000)
  hear(connected, succeeded, lost, retried)
  pass(4000)
  expect(told).toEqual(["a 2"])
  pass(1000)
  expect(told).toEqual(["a 2", "a 0"])
  // Refusals are told otherwise.
  hear(connected, succeeded, lost, retried, ...denied)
  pass(5000)
  hear(connected, succeeded, lost)
  links.end("a")
  links.begin("b", false)
  links.close()
  expect(timers.size).toBe(0)
  expect(told).toHaveLength(2)
  // Late words of what has ended.
  hear(connected)
  expect(links.get("a")).toBeUndefined()
})

const statesOf = (status: Zmq.Status) => status.endpoints.map(({ state }) => state)

for (const transport of ["tcp", "ipc"] as const) {
  it.live(`status and its changes tell of connections over ${transport}, until the socket closes`, () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const scope = yield* Scope.make()
      const pull = yield* Scope.provide(Zmq.pull({ bind: freshEndpoint(transport), linger: 0 }), scope)
      const bound = boundTo(pull)
      expect(yield* pull.status).toEqual({ endpoints: [{ endpoint: bound, state: "listening", peers: 0 }], peers: 0 })
      const ofPull = yield* Effect.forkChild(
        Stream.runForEach(pull.statusChanges, ({ peers }) => Effect.sync(() => void seen.push(`${peers} peers`))),
        { startImmediately: true }
      )
      const push = yield* Zmq.push({ connect: bound, linger: 0, reconnectInterval: "10 millis" })
      const changes = yield* Effect.forkChild(
        push.statusChanges.pipe(
          Stream.map((status) => statesOf(status).join()),
          Stream.changes,
          Stream.takeUntil((state) => state === ""),
          Stream.runCollect
        ),
        { startImmediately: true }
      )
      yield* push.awaitConnected
      expect(yield* push.status).toMatchObject({ endpoints: [{ endpoint: bound, state: "connected" }], peers: 1 })
      yield* until(Effect.map(pull.status, ({ peers }) => peers === 1))
      yield* until(Effect.map(pull.status, ({ endpoints: [one] }) => one?.state === "listening" && one.peers === 1))
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(ofPull)
      expect(seen.at(-1)).toBe("1 peers")
      expect(yield* pull.status).toEqual({ endpoints: [], peers: 0 })
      yield* until(Effect.map(push.status, ({ endpoints: [one] }) => one?.state === "connecting" && one.tries > 1))
      yield* push.disconnect(bound)
      expect(yield* Fiber.join(changes)).toEqual(["connecting", "connected", "connecting", ""])
    })
  )
}

it.live("what libzmq does not tell is not known, and what needs no telling is", () =>
  Effect.gen(function* () {
    const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc") })
    const push = yield* Zmq.push({ connect: boundTo(pull) })
    const told = byEngine({ zeromq: undefined, zmtp: 1 })
    expect(yield* pull.status).toMatchObject({ endpoints: [{ state: "listening", peers: told }], peers: told })
    expect(yield* push.status).toMatchObject({ endpoints: [{ state: "connected" }], peers: 1 })
    const server = yield* Zmq.pull({ bind: freshEndpoint("tcp"), monitor: false })
    const blind = yield* Zmq.push({ connect: boundTo(server), monitor: false })
    // Who need not be watched knows all the same.
    if (engineName === "zmtp") yield* blind.awaitConnected
    expect(yield* blind.status).toMatchObject({
      endpoints: [{ endpoint: boundTo(server), state: byEngine({ zeromq: "unknown", zmtp: "connected" }) }],
      peers: told
    })
    if (engineName === "zmtp") yield* server.awaitPeers(1)
    expect((yield* server.status).endpoints).toEqual([{ endpoint: boundTo(server), state: "listening", peers: told }])
    // What nobody tells of is a change all the same.
    const changes = yield* Effect.forkChild(
      push.statusChanges.pipe(
        Stream.takeUntil(({ endpoints }) => endpoints.length === 2),
        Stream.runCollect
      ),
      { startImmediately: true }
    )
    yield* nextTurn
    yield* push.bind(freshEndpoint("inproc"))
    expect((yield* Fiber.join(changes)).map(statesOf)).toEqual([["connected"], ["listening", "connected"]])
    // Who asks before it connects is told.
    const asked = yield* Zmq.push({ monitor: false })
    expect(yield* asked.status).toEqual({ endpoints: [], peers: 0 })
    yield* asked.connect(boundTo(server))
    yield* until(Effect.map(asked.status, (status) => statesOf(status).join() === "connected"))
  })
)

const lines = () => {
  const seen: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => void seen.push(`${logLevel} ${message}`))
  return { seen, layer: Logger.layer([logger]) }
}

it.effect(
  "an endpoint that is not reached for 5 seconds of the Clock is in the log, and each event at debug level",
  () => {
    const usual = lines()
    const debug = lines()
    const open = Effect.gen(function* () {
      const { port } = yield* openScripted(Zmq.push({ connect: endpoint }))
      for (const type of ["connect:delay", "close", "connect:retry"]) port.tell({ type, address: endpoint })
      yield* TestClock.adjust("4999 millis")
      yield* nextTurn
      yield* Effect.logInfo("almost")
      yield* TestClock.adjust("1 millis")
      yield* TestClock.adjust("1 hour")
      yield* nextTurn
    }).pipe(Effect.scoped)
    const said = `Info effect-zmq: a push socket could not reach ${endpoint} for 5 seconds: no connection could be made`
    return Effect.gen(function* () {
      yield* open.pipe(Effect.provide(usual.layer))
      expect(usual.seen).toEqual(["Info almost", said])
      const all = Layer.merge(debug.layer, Layer.succeed(References.MinimumLogLevel, "All"))
      yield* open.pipe(Effect.provide(all))
      expect(debug.seen).toEqual([
        "Debug effect-zmq: ConnectDelayed at a push socket",
        "Debug effect-zmq: Closed at a push socket",
        "Debug effect-zmq: ConnectRetried at a push socket",
        "Info almost",
        said
      ])
    })
  }
)

const server = Effect.runSync(Curve.generate)
const client = Effect.runSync(Curve.generate)
const quiet = Effect.provide(Logger.layer([]))
const quick = { linger: 0, reconnectInterval: "10 millis", reconnectMaxInterval: "20 millis" } as const

describe("awaitConnected of a socket that is refused", () => {
  let isOpen = false
  const decide: Zap.Authenticator<Zap.Request, never, never> = () =>
    Effect.sync(() => (isOpen ? Zap.accept() : Zap.deny()))

  for (const transport of ["tcp", "ipc", "ws"] as const) {
    it.live.skipIf(lacks(transport))(`fails, or waits until it is let in, over ${transport}`, () =>
      Effect.gen(function* () {
        isOpen = false
        const bind = transport === "ws" ? "ws://127.0.0.1:*" : freshEndpoint(transport)
        const pull = yield* Zmq.pull({ bind, security: Curve.server({ keys: server, domain: "jobs" }) })
        const security = Curve.client({ keys: client, serverKey: server.publicKey })
        const push = yield* Zmq.push({ connect: boundTo(pull), security, ...quick })
        const refused = yield* Effect.flip(push.awaitConnected)
        expect(refused).toMatchObject({ _tag: "Refused", endpoint: boundTo(pull), reason: "Authentication" })
        expect(refused.message).toMatch(/^awaitConnected: the peer at ".*" refuses us: Authentication\. .* \(400\)/)
        const { endpoints, peers } = yield* push.status
        expect(endpoints).toMatchObject([{ endpoint: boundTo(pull), state: "refused", reason: "Authentication" }])
        expect(peers).toBe(0)
        const waiting = yield* Effect.forkChild(push.awaitConnected({ whileRefused: "wait" }), {
          startImmediately: true
        })
        // As an effect of its own it fails again, and as an accessor.
        const layer = Zmq.layer(Effect.succeed(push))
        expect(yield* outcome(Zmq.awaitConnected.pipe(Effect.provide(layer)))).toBe("Refused")
        expect(waiting.pollUnsafe()).toBeUndefined()
        isOpen = true
        yield* Fiber.join(waiting)
        // What was refused before counts no more.
        yield* push.awaitConnected
        yield* Zmq.awaitConnected({ whileRefused: "wait" }).pipe(Effect.provide(layer))
        expect(statesOf(yield* push.status)).toEqual(["connected"])
      }).pipe(Effect.scoped, Effect.provide(secured(Zap.layer({ curve: decide }))), quiet)
    )
  }

  it.effect("counts what comes of the next attempt, and not what was before", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.push({ connect: endpoint }))
      const tell = (...types: Array<string>) => types.forEach((type) => void port.tell({ type, address: endpoint }))
      tell("connect", "handshake:error:auth", "disconnect")
      expect(statesOf(yield* socket.status)).toEqual(["refused"])
      const refused = yield* Effect.forkChild(outcome(socket.awaitConnected), { startImmediately: true })
      yield* nextTurn
      expect(refused.pollUnsafe()).toBeUndefined()
      tell("connect", "handshake:error:auth", "disconnect")
      expect(yield* Fiber.join(refused)).toBe("Refused")
      const letIn = yield* Effect.forkChild(outcome(socket.awaitConnected), { startImmediately: true })
      tell("connect", "handshake")
      expect(yield* Fiber.join(letIn)).toBe("ok")
    })
  )

  it.live("fails where there is no other attempt, also when the refusal was before", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), security: Curve.server({ keys: server }) })
      const push = yield* Zmq.push({ connect: boundTo(pull), linger: 0, reconnectInterval: "Infinity" })
      yield* until(Effect.map(push.status, (status) => statesOf(status).join() === "refused"))
      expect(yield* Effect.flip(push.awaitConnected)).toMatchObject({ _tag: "Refused", reason: "Protocol" })
    }).pipe(quiet)
  )

  it.live("by a peer that has another key, or no ZeroMQ, and hangs up", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), security: Curve.server({ keys: server }) })
      const http = yield* Effect.acquireRelease(
        Effect.callback<Server>((resume) => {
          const http = createServer((socket) => {
            socket.on("error", () => {})
            socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")
          })
          http.listen(0, "127.0.0.1", () => resume(Effect.succeed(http)))
        }),
        (http) => Effect.sync(() => http.close())
      )
      const address = http.address()
      if (address === null || typeof address === "string") throw new Error("no port")
      const security = Curve.client({ keys: client, serverKey: client.publicKey })
      const pushes = [
        yield* Zmq.push({ connect: boundTo(pull), security, ...quick }),
        yield* Zmq.push({ connect: `tcp://127.0.0.1:${address.port}`, ...quick }),
        // PUSH does not go with PUB.
        yield* Zmq.push({ connect: boundTo(yield* Zmq.pub({ bind: freshEndpoint("tcp") })), ...quick })
      ]
      const reasons = byEngine({
        zeromq: ["Connection", "Connection", "Connection"],
        zmtp: ["Connection", "Protocol", "Protocol"]
      })
      for (const [i, push] of pushes.entries())
        expect(yield* Effect.flip(push.awaitConnected)).toMatchObject({ _tag: "Refused", reason: reasons[i] })
    }).pipe(quiet)
  )

  it.effect("an effect that may be called is an effect in every way", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc") })
      const { awaitConnected } = yield* Zmq.push({ connect: boundTo(pull) })
      expect(Effect.isEffect(awaitConnected)).toBe(true)
      yield* awaitConnected
      yield* awaitConnected.pipe(Effect.timeout("1 second"))
      yield* Effect.all([awaitConnected, Effect.race(awaitConnected, Effect.never)])
      expect(yield* Effect.exit(Effect.as(awaitConnected, 1))).toEqual(Exit.succeed(1))
      yield* awaitConnected({ whileRefused: "wait" })
    })
  )
})
