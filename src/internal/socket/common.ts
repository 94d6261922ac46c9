import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Stream from "effect/Stream"
import type { Status } from "../../Status.ts"
import type * as Zmq from "../../Zmq.ts"
import { type Closed, InvalidState, OpenError, type Refused } from "../../ZmqError.ts"
import { callable } from "../callable.ts"
import { whenOpen } from "./open.ts"
import { link, type SocketCore } from "./socket.ts"
import { isSame } from "./status.ts"

export const isInvalidState = (error: unknown): error is InvalidState => error instanceof InvalidState

/** What all sockets have, with the operations of a type. */
export const socketOf = <S extends Zmq.Socket>(core: SocketCore, operations: object): S => {
  const socket = {
    type: core.type,
    // A scope undoes what was done in it, unless it was undone before.
    bind: (endpoint: string) =>
      Effect.map(
        Effect.uninterruptibleMask((restore) =>
          Effect.acquireRelease(core.places.bind(endpoint, restore), (bound) =>
            Effect.ignore(core.places.unbind(bound))
          )
        ),
        ({ resolved }) => resolved
      ),
    connect: (endpoint: string) =>
      Effect.asVoid(
        Effect.uninterruptibleMask((restore) =>
          Effect.acquireRelease(core.places.connect(endpoint, restore), (connected) =>
            Effect.ignore(core.places.disconnect(connected))
          )
        )
      ),
    unbind: (endpoint: string) => core.places.unbind(endpoint),
    disconnect: (endpoint: string) => core.places.disconnect(endpoint),
    events: Stream.unwrap(
      Effect.suspend(() =>
        core.watch()
          ? Effect.succeed(core.connections.events)
          : Effect.fail(new OpenError({ socketType: core.type, reason: "TooManySockets" }))
      )
    ),
    status: Effect.sync(() => {
      core.watch()
      return core.status
    }),
    statusChanges: changesOf(core),
    awaitConnected: callable(
      Effect.suspend(() => awaitConnected(core)),
      () => awaiting(core, "awaitConnected", () => core.isConnected())
    ),
    awaitPeers: (count: number) => awaiting(core, "awaitPeers", () => core.hasPeers(count)),
    ...operations
  }
  const made: object = Object.assign(Object.create(Inspectable.BaseProto), socket)
  link(made, core)
  return Object.defineProperties(made, {
    endpoints: { get: () => core.endpoints, enumerable: true },
    stats: { get: () => core.stats, enumerable: true },
    toJSON: {
      value: () => ({ _id: `Zmq.${core.type}`, endpoints: core.endpoints, closed: core.closed, stats: core.stats })
    }
  }) as unknown as S
}

const awaiting = (core: SocketCore, operation: string, isSo: () => boolean) =>
  Effect.andThen(
    whenOpen(core, operation, isInvalidState, () => core.checkPeers(operation)),
    core.connections.changed.until(operation, isSo)
  )

// A refusal from before may be settled by now: the connection is tried again.
const awaitConnected = (
  core: SocketCore,
  since = core.refusedUntilNow
): Effect.Effect<void, Closed | InvalidState | Refused> =>
  Effect.flatMap(
    awaiting(core, "awaitConnected", () => core.isConnected() || core.refusedSince(since) !== undefined),
    () => {
      if (core.isConnected()) return Effect.void
      const refused = core.refusedSince(since)
      // Connected, and lost again meanwhile.
      return refused === undefined ? awaitConnected(core, since) : Effect.fail(refused)
    }
  )

/** The newest status whenever it is another than the last: whoever reads slowly skips some. */
const changesOf = (core: SocketCore): Stream.Stream<Status> =>
  Stream.unfold(undefined as Status | undefined, (last) =>
    Effect.suspend(() => {
      core.watch()
      let status = core.status
      const isNew = (): boolean => {
        status = core.status
        return last === undefined || !isSame(status, last)
      }
      return core.connections.changed.until("statusChanges", isNew).pipe(
        Effect.map(() => [status, status] as const),
        Effect.catchTag("Closed", () => Effect.succeed(undefined))
      )
    })
  )
