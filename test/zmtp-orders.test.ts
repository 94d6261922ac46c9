/** Whatever the order of connect, disconnect, bind, unbind and close: what was sent comes to somebody, once. */
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { Engine, Zmq } from "effect-zmq"
import { boundTo, freshEndpoint, nextTurn, pause, randomFrom, transports, until } from "./support/sockets.ts"

/** An endpoint that nobody is bound to. */
const place = (transport: (typeof transports)[number]) =>
  transport === "tcp"
    ? Effect.scoped(Effect.map(Zmq.pull({ bind: freshEndpoint("tcp") }), boundTo))
    : Effect.succeed(freshEndpoint(transport))

const program = (seed: number) =>
  Effect.gen(function* () {
    const random = randomFrom(seed)
    const any = <A>(of: ReadonlyArray<A>): A => of[random(of.length)]!
    const mark = (): number => any([1, 2, 3, 10, 1000])
    const anyPlace = () => place(any(transports))
    // Nothing, or a little, between two steps: some are of the same turn.
    const between = Effect.suspend(() => any([Effect.void, Effect.void, Effect.yieldNow, nextTurn, pause(random(5))]))

    const sent: Array<string> = []
    const came: Array<string> = []
    const outer = yield* Effect.scope
    const receive = (pull: Zmq.Pull) =>
      Effect.forkIn(Effect.forever(Effect.map(pull.recv, ([name]) => came.push(String(name)))), outer)

    // Some are bound from the beginning, others when all is over.
    const bindAt = (endpoint: string) =>
      Effect.flatMap(Zmq.pull({ bind: endpoint, receiveHighWaterMark: mark() }), receive)
    const early = [yield* anyPlace(), yield* anyPlace()]
    const late = [yield* anyPlace(), yield* anyPlace()]
    yield* Effect.forEach(early, bindAt)

    /** One that sends, with one that stays connected to where it is bound now and then. */
    const open = Effect.gen(function* () {
      const scope = yield* Scope.make()
      const push = yield* Scope.provide(
        Zmq.push({ sendHighWaterMark: mark(), immediate: random(4) === 0, linger: 60_000, reconnectInterval: 5 }),
        scope
      )
      const own = yield* anyPlace()
      yield* receive(yield* Zmq.pull({ connect: own, receiveHighWaterMark: mark(), reconnectInterval: 5 }))
      return { push, scope, own, to: new Set<string>() }
    })
    type Sender = Effect.Success<typeof open>
    const senders: [Sender, Sender] = [yield* open, yield* open]
    const close = ({ scope }: Sender) => Effect.forkIn(Scope.close(scope, Exit.void), outer)
    const toggle = (sender: Sender, endpoint: string) =>
      sender.to.delete(endpoint)
        ? endpoint === sender.own
          ? sender.push.unbind(endpoint)
          : sender.push.disconnect(endpoint)
        : Effect.suspend(() => {
            sender.to.add(endpoint)
            const begin: Effect.Effect<unknown, Zmq.BindError | Zmq.ConnectError | Zmq.Closed, Scope.Scope> =
              endpoint === sender.own ? sender.push.bind(endpoint) : sender.push.connect(endpoint)
            return Scope.provide(begin, sender.scope)
          })

    for (let step = 0; step < 80; step++) {
      const at = random(2) as 0 | 1
      const sender = senders[at]
      const what = random(10)
      if (what < 3) yield* toggle(sender, any([...early, ...late]))
      else if (what === 3) yield* toggle(sender, sender.own)
      else if (what === 4 && random(4) === 0) {
        yield* close(sender)
        senders[at] = yield* open
      } else {
        const name = `${sent.length}`
        const body = Buffer.alloc(random(8) === 0 ? 2 ** 20 : random(300))
        if (yield* sender.push.trySend([name, body])) sent.push(name)
      }
      yield* between
    }
    yield* Effect.forEach(late, bindAt)
    yield* Effect.forEach(senders, close)
    yield* until(Effect.sync(() => came.length >= sent.length))
    yield* nextTurn
    expect(came.map(Number).sort((a, b) => a - b)).toEqual(sent.map(Number))
  }).pipe(Effect.scoped, Effect.provide(Engine.layerZmtp))

for (let seed = 1; seed <= 16; seed++) it.live(`order ${seed}`, () => program(seed))
