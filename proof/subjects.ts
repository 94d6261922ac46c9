/** The receivers that are compared: this library, and the wrapper that one would write first. */
import { Data, Effect, Option, Schedule, type Scope, Stream } from "effect"
import { Zmq } from "effect-zmq"
import * as zeromq from "zeromq"

export interface Subject {
  readonly recv: Effect.Effect<string, unknown>
  readonly stream: Stream.Stream<string, unknown>
  readonly runForEach: (
    handler: (text: string) => Effect.Effect<void>,
    concurrency: number
  ) => Effect.Effect<never, unknown>
  readonly tryRecv: Effect.Effect<Option.Option<string>, unknown> | undefined
  readonly drain: Effect.Effect<ReadonlyArray<string>, unknown> | undefined
  /**
   * Everything that the next receives return. While some of it is missing it
   * waits for long, as the machine may be busy with something else.
   */
  readonly rest: (missing: number) => Effect.Effect<Array<string>>
}

export type OpenSubject = (endpoint: string) => Effect.Effect<Subject, unknown, Scope.Scope>

/** Nothing comes any more when nothing came for this long. */
const silence = 400
/** While some of ours is missing. */
const patience = 5000
/** The wrapper has lost some nearly always, and each run would wait for that. */
const patienceWithWrapper = 2000

const takeAll =
  (recv: Effect.Effect<string, unknown>, longest: number) =>
  (missing: number): Effect.Effect<Array<string>> => {
    const texts: Array<string> = []
    return Effect.suspend(() => Effect.timeout(recv, texts.length < missing ? longest : silence)).pipe(
      Effect.tap((text) => Effect.sync(() => texts.push(text))),
      Effect.forever,
      Effect.ignore,
      Effect.as(texts)
    )
  }

/** A socket's messages as texts, made by `textOf`. */
export const textsOf = (socket: Zmq.Receiver, textOf: (message: Zmq.Message) => string): Subject => {
  const recv = Effect.map(socket.recv, textOf)
  return {
    recv,
    stream: Stream.map(socket.messages, textOf),
    runForEach: (handler, concurrency) => socket.runForEach((message) => handler(textOf(message)), { concurrency }),
    tryRecv: Effect.map(socket.tryRecv, Option.map(textOf)),
    drain: Effect.map(socket.drain, (messages) => messages.map(textOf)),
    rest: takeAll(recv, patience)
  }
}

export const subjectOf = (socket: Zmq.Receiver): Subject => ({
  ...textsOf(socket, ([frame]) => frame.toString()),
  recv: socket.recvString,
  stream: socket.strings
})

export const effectZmq: OpenSubject = (endpoint) => Effect.map(Zmq.pull({ connect: endpoint }), subjectOf)

export class ReceiveFailed extends Data.TaggedError("ReceiveFailed")<{ readonly cause: unknown }> {}

/** `Effect.tryPromise(() => socket.receive())`, and what follows from it. */
export const wrapper: OpenSubject = (endpoint) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const socket = new zeromq.Pull()
        socket.connect(endpoint)
        return socket
      }),
      (socket) => Effect.sync(() => socket.close())
    ),
    (socket): Subject => {
      const once = Effect.tryPromise({
        try: () => socket.receive(),
        catch: (cause) => new ReceiveFailed({ cause })
      }).pipe(Effect.map(([frame]) => frame!.toString()))
      // zeromq.js refuses a receive while another is pending (EBUSY): its caller has to try again.
      const recv = Effect.retry(once, { while: isBusy, schedule: Schedule.spaced("1 millis") })
      const stream = Stream.fromEffect(recv).pipe(Stream.repeat(Schedule.forever))
      return {
        recv,
        stream,
        runForEach: (handler, concurrency) =>
          Effect.forEach(Array(concurrency).fill(Effect.forever(Effect.flatMap(recv, handler))), (one) => one, {
            concurrency
          }) as Effect.Effect<never, unknown>,
        tryRecv: undefined,
        drain: undefined,
        rest: takeAll(recv, patienceWithWrapper)
      }
    }
  )

const isBusy = (error: ReceiveFailed): boolean => (error.cause as { code?: unknown }).code === "EBUSY"
