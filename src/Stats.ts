/** What goes through a socket, as counters, metrics and spans. Part of the module `Zmq`. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"

/**
 * What went through a socket since it was opened. Plain counters, read with
 * `socket.stats`.
 *
 * @category observability
 * @since 0.1.0
 */
export interface Stats {
  /** Messages that libzmq handed over, and the bytes of their frames. */
  readonly messagesIn: number
  readonly bytesIn: number
  /** Messages that libzmq accepted, and the bytes of their frames. */
  readonly messagesOut: number
  readonly bytesOut: number
  /** Messages that were received and nobody has taken yet. */
  readonly queued: number
  /** How often a message was put back: by a stream or a handler that was interrupted with it. */
  readonly putBack: number
  /** How often libzmq had nothing, or no room, after all (EAGAIN). */
  readonly again: number
  /**
   * Messages that were dropped. Of a ROUTER, STREAM or SERVER peer that does not read what is sent to it: those beyond
   * the 1,000 that wait until it does, on `Engine.layerZmtp` only when it has read nothing for a second. Of subscribers:
   * on a PUB what is no subscription, on an XPUB what is one of more than 1,000 that nobody has received (of
   * subscriptions, more than 100,000), or the rest of one that libzmq has cut.
   */
  readonly dropped: number
  /** Events of its connections that a reader of `events` missed, as it was more than 4,096 behind. */
  readonly eventsDropped: number
  /** Messages that nobody had taken when the socket closed. */
  readonly leftAtClose: number
}

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

const counters = {
  messagesIn: counter("zmq_messages_in", "Messages received"),
  bytesIn: counter("zmq_bytes_in", "Bytes of the messages received"),
  messagesOut: counter("zmq_messages_out", "Messages sent"),
  bytesOut: counter("zmq_bytes_out", "Bytes of the messages sent"),
  putBack: counter("zmq_messages_put_back", "Messages that came back from a handler or a stream"),
  eventsDropped: counter("zmq_events_dropped", "Events of connections that a reader missed"),
  again: counter("zmq_again", "Receives and sends for which libzmq had nothing, or no room, after all"),
  dropped: counter("zmq_messages_dropped", "Messages that were received and dropped")
} as const

const queued = Metric.gauge("zmq_messages_queued", {
  description: "Messages that were received and nobody has taken yet"
})

/**
 * Reports the counters of a socket as Effect metrics until the scope closes:
 * every `interval` (10 seconds unless given), and a last time at the end. It
 * reads counters that are there anyway, and costs nothing for each message.
 *
 * The metrics are `zmq_messages_in`, `zmq_bytes_in`, `zmq_messages_out`,
 * `zmq_bytes_out`, `zmq_messages_put_back`, `zmq_events_dropped`, `zmq_again`,
 * `zmq_messages_dropped` and the gauge
 * `zmq_messages_queued`, with the attribute `socket`, the type of the socket,
 * and those given. What is left in a socket at its close is always counted, in
 * `zmq_messages_left_at_close`.
 *
 * **Example** (The socket of the jobs)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const program = Effect.gen(function* () {
 *   const jobs = yield* Zmq.pull({ bind: "tcp://127.0.0.1:5557" })
 *   yield* Zmq.reportMetrics(jobs, { attributes: { name: "jobs" } })
 *   return yield* jobs.runForEach((job) => Effect.log(`${job}`), { span: "job" })
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category observability
 * @since 0.1.0
 */
export const reportMetrics = (
  socket: { readonly type: string; readonly stats: Stats },
  options?: {
    readonly interval?: Duration.Input | undefined
    readonly attributes?: Readonly<Record<string, string>> | undefined
  }
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.suspend(() => {
    const attributes = { socket: socket.type, ...options?.attributes }
    const all = Object.entries(counters).map(([name, metric]) => ({
      name: name as keyof typeof counters,
      metric: Metric.withAttributes(metric, attributes)
    }))
    const gauge = Metric.withAttributes(queued, attributes)
    const reported = { ...socket.stats }
    const report = Effect.suspend(() => {
      const now = socket.stats
      const updates = all
        .filter(({ name }) => now[name] > reported[name])
        .map(({ name, metric }) => {
          const grown = now[name] - reported[name]
          reported[name] = now[name]
          return Metric.update(metric, grown)
        })
      return Effect.all([...updates, Metric.update(gauge, now.queued)], { discard: true })
    })
    return Effect.repeat(report, Schedule.spaced(options?.interval ?? "10 seconds")).pipe(
      Effect.forkScoped,
      Effect.andThen(Effect.addFinalizer(() => report))
    )
  })
