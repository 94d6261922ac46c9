/** What a `Peer` says of where a message is from: the engine in TypeScript knows, zeromq.js does not. */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Redacted, Schema, type Scope } from "effect"
import { Codec, Plain, Zap, Zmq } from "effect-zmq"
import { byEngine } from "./support/byEngine.ts"
import { boundTo, freshEndpoint } from "./support/sockets.ts"
import { secured } from "./support/zap.ts"

const ann = Plain.client({ username: "ann", password: Redacted.make("hush") })
const server = { bind: "tcp://127.0.0.1:*", security: Plain.server({ domain: "users" }) } as const
const users = secured(Zap.layer({ plain: { ann: Redacted.make("hush") } }))
const known = byEngine({ zeromq: {}, zmtp: { address: "127.0.0.1", userId: "ann" } })
const digits = Codec.json(Schema.Number)

type Tell = (peer: Zmq.Peer) => Effect.Effect<void>
type Handling = Effect.Effect<unknown, unknown>

const receivers: Record<string, (pull: Zmq.Pull, tell: Tell) => Handling> = {
  runForEach: (pull, tell) => pull.runForEach((_, peer) => tell(peer)),
  "runForEach, by a handler of any parameters": (pull, tell) => pull.runForEach((...args) => tell(args[1])),
  runForEachAs: (pull, tell) => pull.runForEachAs(digits, (_, peer) => tell(peer)),
  "runForEach, several at a time": (pull, tell) => pull.runForEach((_, peer) => tell(peer), { concurrency: 3 })
}
const responders: Record<string, (socket: Zmq.Rep | Zmq.Router, tell: Tell) => Handling> = {
  serve: (socket, tell) => socket.serve((_, peer) => Effect.as(tell(peer), "re")),
  serveAs: (socket, tell) => socket.serveAs({ request: digits, reply: digits }, (_, peer) => Effect.as(tell(peer), 0)),
  "onInvalid of serveAs": (socket, tell) =>
    socket.serveAs({ request: Codec.json(Schema.String), reply: digits }, () => Effect.succeed(0), {
      onInvalid: (_, peer) => Effect.as(tell(peer), 0)
    })
}

/** The peer that something is handled for. */
const told = (run: (tell: Tell) => Handling): Effect.Effect<Zmq.Peer, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const peer = yield* Deferred.make<Zmq.Peer>()
    yield* Effect.forkScoped(run((one) => Effect.asVoid(Deferred.succeed(peer, one))))
    return yield* Deferred.await(peer)
  })

describe("The address and the user id of who a message is from", () => {
  it.live("are told by recvWithPeer", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull(server)
      const push = yield* Zmq.push({ connect: boundTo(pull), security: ann })
      yield* push.sendAll(["1", "2"])
      for (const text of ["1", "2"]) {
        const [[frame], peer] = yield* pull.recvWithPeer
        expect([`${frame}`, peer]).toEqual([text, known])
      }
    }).pipe(Effect.provide(users))
  )

  for (const [name, run] of Object.entries(receivers)) {
    it.live(`are told by ${name}`, () =>
      Effect.gen(function* () {
        const pull = yield* Zmq.pull(server)
        const push = yield* Zmq.push({ connect: boundTo(pull), security: ann })
        yield* push.send("1")
        expect(yield* told((tell) => run(pull, tell))).toEqual(known)
      }).pipe(Effect.provide(users))
    )
  }

  for (const [name, run] of Object.entries(responders)) {
    it.live(`are told by ${name} of a REP, and of a ROUTER beside the routing id`, () =>
      Effect.gen(function* () {
        const rep = yield* Zmq.rep(server)
        const req = yield* Zmq.req({ connect: boundTo(rep), security: ann })
        yield* req.send("1")
        expect(yield* told((tell) => run(rep, tell))).toEqual(known)
        const router = yield* Zmq.router(server)
        const dealer = yield* Zmq.dealer({ connect: boundTo(router), security: ann, routingId: "me" })
        yield* dealer.send(["", "1"])
        expect(yield* told((tell) => run(router, tell))).toEqual({ routingId: Buffer.from("me"), ...known })
      }).pipe(Effect.provide(users))
    )
  }

  it.live("are of each of several peers, and of one that has left", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
      const from = (source: string) =>
        Effect.scoped(
          Effect.flatMap(Zmq.push({ connect: `tcp://${source}:0;${boundTo(pull).slice("tcp://".length)}` }), (push) =>
            push.send(source)
          )
        )
      for (const source of ["127.0.0.2", "127.0.0.3"]) {
        yield* from(source)
        const [[frame], { address }] = yield* pull.recvWithPeer
        expect([`${frame}`, address]).toEqual([source, byEngine({ zeromq: undefined, zmtp: source })])
      }
    })
  )

  it.live("are nobody's over inproc and ipc", () =>
    Effect.gen(function* () {
      for (const transport of ["inproc", "ipc"] as const) {
        const pull = yield* Zmq.pull({ bind: freshEndpoint(transport) })
        const push = yield* Zmq.push({ connect: boundTo(pull) })
        yield* push.send("hello")
        const [, { address, userId }] = yield* pull.recvWithPeer
        expect([address, userId]).toEqual([undefined, undefined])
      }
    })
  )
})
