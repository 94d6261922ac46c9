/** The two ways to receive jobs. This is all that differs between the two storms. */
import { Data, Effect, type Scope } from "effect"
import { Zmq } from "effect-zmq"
import * as zeromq from "zeromq"

/** Where a worker gets its jobs from. */
export interface Jobs {
  /** The next job, for one that is handled once. */
  readonly recvString: Effect.Effect<string, unknown>
  /** A handler for every job. It may be interrupted in the middle. */
  readonly runForEach: (handler: (job: string) => Effect.Effect<void, unknown>) => Effect.Effect<never, unknown>
}

export type OpenJobs = (endpoint: string) => Effect.Effect<Jobs, unknown, Scope.Scope>

export const effectZmq: OpenJobs = (endpoint) =>
  Effect.map(Zmq.pull({ connect: endpoint }), (socket) => ({
    recvString: Zmq.recvString.pipe(Effect.provideService(Zmq.Receiver, socket)),
    runForEach: (handler) => socket.runForEach(([job]) => handler(job.toString()))
  }))

class ReceiveFailed extends Data.TaggedError("ReceiveFailed")<{ readonly cause: unknown }> {}

export const obviousWrapper: OpenJobs = (endpoint) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const socket = new zeromq.Pull()
        socket.connect(endpoint)
        return socket
      }),
      (socket) => Effect.sync(() => socket.close())
    ),
    (socket) => {
      const recvString = Effect.tryPromise({
        try: () => socket.receive(),
        catch: (cause) => new ReceiveFailed({ cause })
      }).pipe(Effect.map(([job]) => job!.toString()))
      return {
        recvString,
        runForEach: (handler) => Effect.forever(Effect.flatMap(recvString, handler))
      }
    }
  )
