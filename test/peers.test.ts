/**
 * Peers that do not read, that leave and that die, on real sockets: no peer stops
 * the others, and what concerns the dead ends.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, type Scope, Stream } from "effect"
import { Draft, Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { nodeArguments } from "./support/child.ts"
import { boundTo, failureOf, freshEndpoint, pause } from "./support/sockets.ts"

/** A process that says so many messages and reads nothing. It is killed at the end, or by hand. */
const peerProcess = (type: string, endpoint: string, count: number): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { NODE_OPTIONS: _, ...env } = process.env
      return spawn(process.execPath, [...nodeArguments("peer.ts"), type, endpoint, `${count}`], {
        env,
        stdio: ["ignore", "pipe", "inherit"]
      })
    }),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )
const said = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => void child.stdout!.once("data", () => resume(Effect.void)))
const killed = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => {
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

// -----------------------------------------------------------------------------
// sends to the dead
// -----------------------------------------------------------------------------

/** A socket that names whom it sends to, and how it sends one message after the other until one fails. */
interface Named {
  readonly socket: Zmq.Socket
  readonly firstPeer: Effect.Effect<Buffer | number, unknown>
  readonly operations: (peer: Buffer | number, body: Buffer) => Record<string, Effect.Effect<unknown, unknown>>
}
const forever = <A>(value: A): Iterable<A> => ({
  *[Symbol.iterator]() {
    while (true) yield value
  }
})
/** Tries again and again. That there is no room is no failure. */
const tryForever = <E>(attempt: Effect.Effect<boolean, E>) =>
  Effect.forever(Effect.flatMap(attempt, (sent) => (sent ? Effect.void : pause(1))))
const sendForever = <E extends { readonly _tag: string }>(send: Effect.Effect<void, E>) =>
  tryForever(
    Effect.matchEffect(send, {
      onSuccess: () => Effect.succeed(true),
      onFailure: (error) => (error._tag === "Again" ? Effect.succeed(false) : Effect.fail(error))
    })
  )

const ofRouter = (socket: Zmq.Router | Zmq.RawStream): Named => ({
  socket,
  firstPeer: Effect.map(socket.recv, ([id]) => id),
  operations: (peer, body) => {
    const message = [peer as Buffer, body] as const
    return {
      send: sendForever(socket.send(message)),
      trySend: tryForever(socket.trySend(message)),
      sendAll: socket.sendAll(forever(message)),
      sink: Stream.run(Stream.forever(Stream.make(message)), socket.sink)
    }
  }
})
const ofServer = (socket: Draft.Server): Named => ({
  socket,
  firstPeer: Effect.map(socket.recv, ({ routingId }) => routingId),
  operations: (peer, data) => {
    const routingId = peer as Draft.RoutingId
    return {
      send: sendForever(socket.send(routingId, data)),
      trySend: tryForever(socket.trySend(routingId, data)),
      sendAll: socket.sendAll(forever({ routingId, data })),
      sink: Stream.run(Stream.forever(Stream.make({ routingId, data })), socket.sink)
    }
  }
})
const opens: Record<string, (options: object) => Effect.Effect<Named, unknown, Scope.Scope>> = {
  router: (options) => Effect.map(Zmq.router(options), ofRouter),
  server: (options) => Effect.map(Draft.server(options), ofServer),
  rawStream: (options) => Effect.map(Zmq.rawStream(options), ofRouter)
}
const little = { linger: 0, sendHighWaterMark: 3 }

/** Waits until nothing more is sent. */
const untilStuck = (socket: Zmq.Socket) =>
  Effect.gen(function* () {
    for (let quiet = 0, last = -1; quiet < 10; ) {
      yield* pause(10)
      const { again, messagesOut } = socket.stats
      quiet = messagesOut === last && again > 0 ? quiet + 1 : 0
      last = messagesOut
    }
  })

const endOf = (fiber: Fiber.Fiber<unknown, unknown>) =>
  Effect.map(
    Fiber.await(fiber),
    (exit) => (failureOf(exit) as { readonly _tag: string } | undefined)?._tag ?? "no failure"
  )

describe("What is sent to a peer that dies ends with Unroutable", () => {
  const body = Buffer.alloc(1_000_000, 1)
  for (const type of ["router", "server", "rawStream"]) {
    for (const transport of type === "rawStream" ? (["tcp"] as const) : (["tcp", "ipc"] as const)) {
      for (const unread of [0, 3, 2000]) {
        it.live(`on a ${type} over ${transport}, with ${unread} unread messages of a process that was killed`, () =>
          Effect.gen(function* () {
            const { firstPeer, operations, socket } = yield* opens[type]!({ ...little, bind: freshEndpoint(transport) })
            const child = yield* peerProcess(type, boundTo(socket), unread + 1)
            const peer = yield* firstPeer
            yield* said(child)
            const fibers = yield* Effect.forEach(Object.values(operations(peer, body)), (send) =>
              Effect.forkScoped(send)
            )
            yield* untilStuck(socket)
            expect(fibers.map((fiber) => fiber.pollUnsafe())).toEqual([undefined, undefined, undefined, undefined])
            yield* killed(child)
            const ends = yield* Effect.forEach(fibers, endOf)
            expect(ends).toEqual(["Unroutable", "Unroutable", "Unroutable", "Unroutable"])
          }).pipe(Effect.scoped)
        )
      }
    }
  }

  // Nobody waits then, or not for long.
  const briefly = { trySend: "1 second", send: "5 millis", sendAll: "0 millis" } as const
  for (const type of Object.keys(opens)) {
    for (const [operation, sendTimeout] of Object.entries(briefly)) {
      for (const unread of [3, 2000]) {
        const how =
          operation === "trySend" ? "nothing but trySend" : `${operation} within ${sendTimeout}, again and again`
        it.live(`on a ${type} with ${unread} unread messages and ${how}`, () =>
          Effect.gen(function* () {
            const options = { ...little, bind: freshEndpoint("tcp"), sendTimeout }
            const { firstPeer, operations, socket } = yield* opens[type]!(options)
            const child = yield* peerProcess(type, boundTo(socket), unread + 1)
            const peer = yield* firstPeer
            yield* said(child)
            const send = operations(peer, body)[operation]! as Effect.Effect<void, { readonly _tag: string }>
            const fiber = yield* Effect.forkScoped(operation === "trySend" ? send : sendForever(send))
            yield* untilStuck(socket)
            yield* killed(child)
            expect(yield* endOf(fiber)).toBe("Unroutable")
          }).pipe(Effect.scoped)
        )
      }
    }
  }

  it.live("on a ROUTER over inproc, when the peer's socket closes", () =>
    Effect.gen(function* () {
      for (const unread of [0, 3, 2000]) {
        const bind = freshEndpoint("inproc")
        const { firstPeer, operations, socket } = yield* opens.router!({ ...little, bind })
        const dealer = new zmq.Dealer({ receiveHighWaterMark: 1, sendHighWaterMark: 0, linger: 0 })
        dealer.connect(bind)
        for (let i = 0; i <= unread; i++) yield* Effect.promise(() => dealer.send(["", `${i}`]))
        const peer = yield* firstPeer
        const fibers = yield* Effect.forEach(Object.values(operations(peer, Buffer.from("x"))), (send) =>
          Effect.forkScoped(send)
        )
        yield* untilStuck(socket)
        dealer.close()
        const ends = yield* Effect.forEach(fibers, endOf)
        expect(ends).toEqual(["Unroutable", "Unroutable", "Unroutable", "Unroutable"])
      }
    }).pipe(Effect.scoped)
  )
})
