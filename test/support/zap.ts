/** What the tests of the authenticator share. */
import { Effect, Layer, Logger, Queue, References, Stream } from "effect"
import { Zap, Zmq } from "effect-zmq"

/** The decisions, in order, from now on. */
export const decisionsOf = Effect.gen(function* () {
  const zap = yield* Zap.Zap
  const queue = yield* Queue.unbounded<Zap.Decision>()
  yield* zap.decisions.pipe(
    Stream.runForEach((decision) => Queue.offer(queue, decision)),
    Effect.forkScoped({ startImmediately: true })
  )
  return queue
})

/** The next decision in few words: `"Accepted ann"`, `"Denied Credentials 400"`. */
export const next = (queue: Queue.Dequeue<Zap.Decision>): Effect.Effect<string> =>
  Effect.map(Queue.take(queue), (decision) =>
    decision._tag === "Accepted" ? `Accepted ${decision.userId}` : `Denied ${decision.reason} ${decision.status}`
  )

/** Keeps what is logged, as JSON. */
export const captured = (): { readonly lines: Array<string>; readonly layer: Layer.Layer<never> } => {
  const lines: Array<string> = []
  const logger = Logger.map(Logger.formatJson, (line) => void lines.push(line))
  return { lines, layer: Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "All")) }
}

/** A context of its own. The log goes nowhere. */
export const alone = Layer.merge(Zmq.Context.layer(), Logger.layer([]))

/** A context and an authenticator of its own, whose log goes nowhere. */
export const secured = <E, R>(authenticator: Layer.Layer<Zap.Zap, E, R>, log: Layer.Layer<never> = Logger.layer([])) =>
  authenticator.pipe(Layer.provideMerge(Layer.merge(Zmq.Context.layer(), log)))

/** A PUSH that connects and tries to send a text, for as long as the scope is open. */
export const knocking = (connect: string, text: string, options: Zmq.PushOptions = {}) =>
  Effect.gen(function* () {
    const socket = yield* Zmq.push({ connect, linger: 0, ...options })
    yield* Effect.forkScoped(Effect.ignore(socket.send(text)))
    return socket
  })
