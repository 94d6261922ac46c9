/**
 * Does anything to sockets of any type, in any order, and interrupts it at any
 * time, in a process that must end by itself with code 0. Its argument is the
 * seed. Prints what was stuck, and each defect.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Zmq } from "effect-zmq"
import { randomOf } from "./scripted.ts"
import { freshEndpoint, nextTurn, pause, transports } from "./sockets.ts"

const rounds = 400
const socketsPerRound = 4
const operationsPerRound = 25

const random = randomOf(Number(process.argv[2]))
const chance = (share: number): boolean => random() < share
const pick = <A>(from: ReadonlyArray<A>): A => from[Math.floor(random() * from.length)]!

/** A socket of any type: it has some of these. */
type Anything = Zmq.Socket &
  Partial<Zmq.Receiver & Zmq.Sender<unknown> & Zmq.Requester & Zmq.Responder & Zmq.Subscriber & Zmq.Publisher>

const open: ReadonlyArray<(options: object) => Effect.Effect<Zmq.Socket, unknown, Scope.Scope>> = [
  Zmq.pull,
  Zmq.push,
  Zmq.pub,
  (options) => Zmq.sub({ ...options, subscribe: [""] }),
  Zmq.req,
  Zmq.rep,
  Zmq.dealer,
  Zmq.router,
  Zmq.pair,
  Zmq.xpub,
  Zmq.xsub,
  Zmq.rawStream
]

const messages = ["", "a", ["a", "b"], ["", "", ""], ["id", "", "body"], Buffer.alloc(300)] as const
const three = { concurrency: 3 }

type Operation = (socket: Anything, endpoint: () => string) => Effect.Effect<unknown, unknown, Scope.Scope> | undefined
const operations: ReadonlyArray<Operation> = [
  ({ recv }) => recv,
  ({ recvString }) => recvString,
  ({ recvStrings }) => recvStrings,
  ({ recvJson }) => recvJson,
  ({ tryRecv }) => tryRecv,
  ({ drain }) => drain,
  ({ messages }) => messages && Stream.runDrain(messages),
  ({ runForEach }) => runForEach?.(() => (chance(0.2) ? Effect.fail("no") : Effect.void), three),
  ({ send }) => send?.(pick(messages)),
  ({ trySend }) => trySend?.(pick(messages)),
  ({ sendAll }) => sendAll?.([pick(messages), pick(messages)]),
  ({ sendJson }) => sendJson?.({ a: 1 }),
  ({ sink }) => sink && Stream.run(Stream.make(pick(messages), pick(messages)), sink),
  ({ request }) => request?.(pick(messages)),
  ({ serve }) => serve?.(() => (chance(0.2) ? Effect.fail("no") : Effect.succeed(pick(messages))), three),
  ({ subscribe }) => subscribe?.(pick(["", "a", "b"])),
  ({ unsubscribe }) => unsubscribe?.(pick(["", "a", "b"])),
  ({ awaitSubscribers }) => awaitSubscribers?.("a"),
  ({ awaitConnected }) => awaitConnected,
  ({ awaitPeers }) => awaitPeers(1),
  ({ events }) => Stream.runDrain(events),
  ({ bind }, endpoint) => bind(endpoint()),
  ({ connect }, endpoint) => connect(endpoint()),
  ({ unbind }, endpoint) => unbind(endpoint()),
  ({ disconnect }, endpoint) => disconnect(endpoint())
]

const wrong = ["bad", "tcp://127.0.0.1:99999", "ipc:///no/such/folder/a", "udp://127.0.0.1:5555", "inproc://"]

const round = Effect.gen(function* () {
  const scopes = [yield* Scope.make(), yield* Scope.make()]
  const inAny = <A, E>(self: Effect.Effect<A, E, Scope.Scope>) => Scope.provide(self, pick(scopes))
  const sockets: Array<Anything> = []
  for (let i = 0; i < socketsPerRound; i++) {
    const bind = chance(0.7) ? { bind: freshEndpoint(pick(transports)) } : {}
    const opened = yield* Effect.exit(inAny(pick(open)({ linger: 0, ...bind })))
    if (Exit.isSuccess(opened)) sockets.push(opened.value)
    else if (Cause.hasDies(opened.cause)) console.log(Cause.pretty(opened.cause))
  }
  const endpoint = () => {
    const known = sockets.flatMap(({ endpoints }) => endpoints)
    return known.length > 0 && chance(0.7) ? pick(known) : chance(0.5) ? freshEndpoint(pick(transports)) : pick(wrong)
  }
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  for (let i = 0; i < operationsPerRound && sockets.length > 0; i++) {
    const effect = pick(operations)(pick(sockets), endpoint)
    if (effect === undefined) continue
    const limited = chance(0.2) ? Effect.timeout(effect, "1 millis") : effect
    fibers.push(yield* Effect.forkChild(inAny(limited), { startImmediately: chance(0.5) }))
    if (chance(0.3)) yield* nextTurn
    if (chance(0.2)) yield* Fiber.interrupt(pick(fibers))
  }
  for (const scope of chance(0.5) ? scopes : scopes.toReversed()) yield* Scope.close(scope, Exit.void)
  for (const fiber of fibers) {
    const ended = yield* Effect.raceFirst(Effect.asSome(Fiber.await(fiber)), Effect.as(pause(60_000), Option.none()))
    if (Option.isNone(ended)) console.log("stuck")
    else if (Exit.isFailure(ended.value) && Cause.hasDies(ended.value.cause)) {
      console.log(Cause.pretty(ended.value.cause))
    }
  }
})

for (let i = 0; i < rounds; i++) {
  await Effect.runPromise(Effect.provideService(round, References.MinimumLogLevel, "None"))
}
console.log("done")
