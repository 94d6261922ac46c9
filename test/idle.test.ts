/** What is done to a socket, or to its peers, takes effect though nobody receives on it. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Scope, type Scope as ScopeType, Stream } from "effect"
import { Draft, Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { coreOf } from "../src/internal/socket/socket.ts"
import { byEngine, ofBinding } from "./support/byEngine.ts"
import { runScript } from "./support/child.ts"
import { partsOf } from "./support/engine.ts"
import { openScripted } from "./support/scripted.ts"
import { boundTo, freshEndpoint, numbers, outcome, pause, transports, until } from "./support/sockets.ts"

type Open = (options: object) => Effect.Effect<Zmq.Socket, Zmq.SocketError, ScopeType.Scope>

const open = {
  pull: Zmq.pull,
  push: Zmq.push,
  pub: Zmq.pub,
  sub: (options: object) => Zmq.sub({ ...options, subscribe: [""] }),
  req: Zmq.req,
  rep: Zmq.rep,
  dealer: Zmq.dealer,
  router: Zmq.router,
  pair: Zmq.pair,
  xpub: Zmq.xpub,
  xsub: (options: object) => Zmq.xsub({ ...options, subscribe: [""] }),
  rawStream: Zmq.rawStream,
  server: Draft.server,
  client: Draft.client,
  radio: Draft.radio,
  dish: (options: object) => Draft.dish({ ...options, join: ["group"] }),
  scatter: Draft.scatter,
  gather: Draft.gather
} satisfies Record<string, Open>
type Type = keyof typeof open

const partners: ReadonlyArray<readonly [Type, Type]> = [
  ["pull", "push"],
  ["pub", "sub"],
  ["req", "rep"],
  ["dealer", "router"],
  ["pair", "pair"],
  ["xpub", "xsub"],
  ["rawStream", "rawStream"],
  // Drafts are of libzmq.
  ...byEngine<ReadonlyArray<readonly [Type, Type]>>({
    zeromq: [
      ["server", "client"],
      ["radio", "dish"],
      ["scatter", "gather"]
    ],
    zmtp: []
  })
]
const bothWays = [
  ...partners,
  ...partners.filter(([one, other]) => one !== other).map(([one, other]) => [other, one] as const)
]
const overNetworks = bothWays.flatMap(([idle, other]) =>
  (["tcp", "ipc"] as const).flatMap((transport) =>
    ([true, false] as const).map((monitor) => ({
      idle,
      other,
      transport,
      monitor,
      how: monitor ? "watched" : "not watched"
    }))
  )
)

/** How often a socket has been told that a connection is over. */
const endsOf = (socket: Zmq.Socket) =>
  Effect.gen(function* () {
    const seen = { ends: 0 }
    yield* Effect.forkScoped(
      Stream.runForEach(socket.events, ({ _tag }) =>
        Effect.sync(() => {
          if (_tag === "Disconnected") seen.ends++
        })
      ),
      { startImmediately: true }
    )
    return seen
  })

describe("a socket that nobody receives on or sends by", () => {
  for (const { how, idle, monitor, other, transport } of overNetworks) {
    it.live(`${idle} disconnects, over ${transport}, ${how}`, () =>
      Effect.gen(function* () {
        const peer = yield* (open[other] as Open)({ bind: freshEndpoint(transport), linger: 0 })
        const seen = yield* endsOf(peer)
        const socket = yield* (open[idle] as Open)({ monitor })
        yield* Effect.scoped(Effect.andThen(socket.connect(boundTo(peer)), peer.awaitPeers(1)))
        yield* until(Effect.sync(() => seen.ends === 1))
        yield* socket.connect(boundTo(peer))
        yield* peer.awaitPeers(1)
        yield* socket.disconnect(boundTo(peer))
        yield* until(Effect.sync(() => seen.ends === 2))
      })
    )

    // A REQ without a request hears nothing by any call: libzmq ends such a connection with its next request.
    if (idle === "req") continue
    it.live(`${idle} unbinds, over ${transport}, ${how}`, () =>
      Effect.gen(function* () {
        const socket = yield* (open[idle] as Open)({ monitor })
        for (const byHand of [true, false]) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const scope = yield* Scope.make()
              const endpoint = yield* Scope.provide(socket.bind(freshEndpoint(transport)), scope)
              const peer = yield* (open[other] as Open)({ linger: 0 })
              const seen = yield* endsOf(peer)
              yield* peer.connect(endpoint)
              yield* peer.awaitConnected
              if (byHand) yield* socket.unbind(endpoint)
              else yield* Scope.close(scope, Exit.void)
              yield* until(Effect.sync(() => seen.ends === 1))
            })
          )
        }
      })
    )
  }

  for (const transport of ["tcp", "ipc"] as const) {
    it.live(`tries nothing after it has disconnected over ${transport}`, () =>
      Effect.gen(function* () {
        const first = yield* Scope.make()
        const push = yield* Scope.provide(Zmq.push({ bind: freshEndpoint(transport) }), first)
        const endpoint = boundTo(push)
        const pull = yield* Zmq.pull({ connect: endpoint, reconnectInterval: 10 })
        yield* pull.awaitConnected
        yield* Scope.close(first, Exit.void)
        yield* pull.disconnect(endpoint)
        const next = yield* Zmq.push({ bind: endpoint, linger: 0 })
        yield* pause(200)
        expect(yield* next.trySend("for nobody")).toBe(false)
      })
    )
  }

  it.live("hears in a worker thread as well", () =>
    Effect.map(runScript("idle.ts"), (ended) =>
      expect(ended).toMatchObject({ code: 0, signal: null, stderr: "", stdout: "heard\n" })
    )
  )
})

// A call would swallow the word that a message has come.
it.effect("a socket that waits for a message is not called, whatever becomes of its connections", () =>
  Effect.gen(function* () {
    const { port, socket } = yield* openScripted(Zmq.pull({ bind: "tcp://127.0.0.1:5555" }))
    const waiting = yield* Effect.forkChild(socket.recvString, { startImmediately: true })
    for (const type of ["accept", "handshake", "disconnect"]) port.tell({ type, address: "tcp://127.0.0.1:5555" })
    yield* Effect.scoped(socket.connect("tcp://127.0.0.1:5556"))
    yield* pause(300)
    port.arrive("x")
    expect(yield* Fiber.join(waiting)).toBe("x")
    expect(port.violations).toEqual([])
  })
)

/** Whether the engine has been asked for a message that has not come. */
const isWaiting = (socket: Zmq.Socket): boolean =>
  byEngine({
    zeromq: () => partsOf(socket).incoming.receiving,
    zmtp: () =>
      (coreOf(socket)!.port as unknown as { readonly notices: { readonly isListening: boolean } }).notices.isListening
  })()

describe("a socket that receives", () => {
  const pairs: Record<string, readonly [Open, Open]> = {
    pull: [Zmq.pull, Zmq.push],
    sub: [(options) => Zmq.sub({ subscribe: "", ...options }), Zmq.pub],
    xsub: [(options) => Zmq.xsub({ subscribe: "", ...options }), Zmq.xpub],
    dealer: [Zmq.dealer, Zmq.dealer],
    pair: [Zmq.pair, Zmq.pair]
  }
  for (const transport of transports) {
    for (const [type, [receiver, sender]] of Object.entries(pairs)) {
      it.live(`hears who it connects to meanwhile over ${transport}: a ${type}`, () =>
        Effect.gen(function* () {
          const socket = (yield* receiver({ linger: 0 })) as Zmq.Pull
          const received = yield* Effect.forkScoped(socket.recvString)
          yield* until(Effect.sync(() => isWaiting(socket)))
          const peer = (yield* sender({ bind: freshEndpoint(transport), linger: 0 })) as Zmq.Push
          yield* socket.connect(boundTo(peer))
          // A PUB drops what comes before its subscriber.
          yield* until(
            Effect.as(Effect.andThen(peer.trySend("hello"), pause(1)), true).pipe(
              Effect.map(() => received.pollUnsafe() !== undefined)
            )
          )
          expect(yield* Fiber.join(received)).toBe("hello")
        })
      )
    }
  }
})

describe("a peer that comes back", () => {
  for (const transport of transports) {
    it.live(`is reached by a PAIR that only sends, over ${transport}`, () =>
      Effect.gen(function* () {
        const pair = yield* Zmq.pair({ bind: freshEndpoint(transport), linger: 0 })
        for (const text of ["1", "2", "3"]) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const peer = yield* Zmq.pair({ connect: boundTo(pair), reconnectInterval: 10, linger: 0 })
              yield* pair.send(text)
              expect(yield* peer.recvString).toBe(text)
            })
          )
          // Nothing is called while it is gone.
          yield* pause(20)
        }
      })
    )

    it.live(`is reached under its routing id by a ROUTER that only sends, over ${transport}`, () =>
      Effect.gen(function* () {
        const router = yield* Zmq.router({ bind: freshEndpoint(transport), linger: 0 })
        const seen = yield* endsOf(router)
        for (const text of ["1", "2", "3", "4", "5"]) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const dealer = yield* Zmq.dealer({ connect: boundTo(router), routingId: "me", linger: 0 })
              yield* until(Effect.map(outcome(router.send(["me", text])), (ended) => ended === "ok"))
              expect(yield* dealer.recvString).toBe(text)
              // It comes to rest, and its end is news.
              yield* pause(270)
            })
          )
          // libzmq ignores who comes before it has noticed that the other has gone.
          if (transport !== "inproc") yield* until(Effect.sync(() => seen.ends === Number(text)))
          yield* pause(50)
        }
      })
    )

    it.live(`is reached under its routing id by a ROUTER that is not watched, over ${transport}`, () =>
      Effect.gen(function* () {
        const router = yield* Zmq.router({ bind: freshEndpoint(transport), linger: 0, monitor: false })
        const dealer = Zmq.dealer({ connect: boundTo(router), routingId: "me", linger: 0 })
        const reached = (text: string) =>
          Effect.scoped(
            Effect.gen(function* () {
              const me = yield* dealer
              for (let tries = 0; tries < 100; tries++) {
                yield* Effect.ignore(router.trySend(["me", text]))
                yield* pause(3)
                if (Option.isSome(yield* me.tryRecv)) return true
              }
              return false
            })
          )
        // Whoever comes before the end of the one before is noticed has to come again.
        for (const text of ["1", "2"]) yield* until(reached(text))
      })
    )

    for (const type of ["router", "rep"] as const) {
      const isMissing = transport === "inproc" && ofBinding("its peer over inproc is of zeromq.js")
      it.live.skipIf(isMissing)(
        `under its routing id is answered by a ${type} whose handler was busy, over ${transport}`,
        () =>
          Effect.gen(function* () {
            const service: Zmq.Router | Zmq.Rep = yield* Zmq[type]({ bind: freshEndpoint(transport), linger: 0 })
            let asked = 0
            let release = () => {}
            const held = new Promise<void>((resolve) => {
              release = resolve
            })
            const handler = ([text]: Zmq.Message) => {
              asked++
              return String(text) === "first"
                ? Effect.as(
                    Effect.promise(() => held),
                    text
                  )
                : Effect.succeed(text)
            }
            yield* Effect.forkScoped(service.serve(handler))
            const seen = yield* endsOf(service)
            const client = () => {
              const socket = new zmq.Dealer({ routingId: "me", linger: 0 })
              socket.connect(boundTo(service))
              return socket
            }
            if (transport === "inproc") {
              const scope = yield* Scope.make()
              const first = yield* Scope.provide(Zmq.dealer({ connect: boundTo(service), routingId: "me" }), scope)
              yield* first.send(["", "first"])
              yield* until(Effect.sync(() => asked === 1))
              yield* Scope.close(scope, Exit.void)
            } else {
              const first = client()
              yield* Effect.promise(() => first.send(["", "first"]))
              yield* until(Effect.sync(() => asked === 1))
              first.close()
            }
            if (transport !== "inproc") yield* until(Effect.sync(() => seen.ends === 1))
            yield* pause(50)
            const second = client()
            yield* Effect.promise(() => second.send(["", "second"]))
            yield* pause(300)
            release()
            // A ROUTER knows its peers by their ids alone.
            let answer = String((yield* Effect.promise(() => second.receive()))[1])
            if (answer === "first" && type === "router") {
              answer = String((yield* Effect.promise(() => second.receive()))[1])
            }
            second.close()
            expect(answer).toBe("second")
          })
      )
    }
  }

  for (const [type, open] of [
    ["dealer", Zmq.dealer],
    ["req", Zmq.req]
  ] as const) {
    it.live(`at once, again and again, under its routing id over inproc: a ${type}`, () =>
      Effect.gen(function* () {
        const router = yield* Zmq.router({ bind: freshEndpoint("inproc") })
        yield* Effect.forkScoped(router.serve((request) => Effect.succeed(request)))
        for (const number of numbers(0, 40)) {
          const client: Effect.Effect<Zmq.Requester, Zmq.SocketError, Scope.Scope> = open({
            connect: boundTo(router),
            routingId: "me",
            linger: 0
          })
          const [answer] = yield* Effect.scoped(Effect.flatMap(client, ({ request }) => request(`${number}`)))
          expect(`${answer}`).toBe(`${number}`)
        }
        // Whoever comes beside one that is there takes nothing from it.
        const first = yield* Zmq.dealer({ connect: boundTo(router), routingId: "me", linger: 0 })
        expect(`${(yield* first.request("a"))[0]}`).toBe("a")
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 400)))
        yield* Zmq.dealer({ connect: boundTo(router), routingId: "me", linger: 0 })
        expect(`${(yield* first.request("b"))[0]}`).toBe("b")
      })
    )
  }
})
