/** How a socket closes: when it has, what was sent is on its way, and its endpoints are free. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { Delivery } from "../engine.ts"
import { lasting } from "../lasting.ts"
import { within } from "../within.ts"
import type { SocketCore } from "./socket.ts"

const leftAtClose = Metric.counter("zmq_messages_left_at_close", {
  description: "Messages that had been received and were not taken when their socket closed",
  incremental: true
})

// However long others of its scope have taken, so much time each socket has, in milliseconds.
const leastOfLinger = 250

const beganToClose = new WeakMap<object, number>()

/**
 * Closes a socket with its scope. The sockets of a scope close one after the
 * other, and libzmq delivers for all of them meanwhile: so they share their time.
 */
export const closeWith = (scope: object, core: SocketCore): Effect.Effect<void> =>
  Effect.suspend(() => {
    const now = performance.now()
    const began = beganToClose.get(scope) ?? now
    beganToClose.set(scope, began)
    core.lingerIsLess = now - began
    return core.shut
  })

/**
 * Closes a socket, and counts what was left in it. Takes at most its `linger`, and a
 * second for what its engine does after that. Where it closes already, waits until it has.
 */
export const closeSocket = (core: SocketCore): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (core.closed) return Deferred.await(core.ended)
    const ended = Effect.sync(() => {
      core.context.sockets.delete(core)
      Deferred.doneUnsafe(core.ended, Effect.void)
    })
    return Effect.ensuring(closeNow(core), ended)
  })

const closeNow = (core: SocketCore): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { outbox } = core
    const endpoints = core.places.whereabouts
    // A request that was given up, or that ends with the socket, need not arrive.
    const onlyAsked = outbox.requests > 0 && outbox.requests === outbox.sent
    const shared = Math.max(Math.min(leastOfLinger, core.linger), core.linger - core.lingerIsLess)
    const linger = onlyAsked || core.deliversNothing ? 0 : shared
    const began = performance.now()
    core.stop()
    // What was accepted and waits here goes first.
    const { paid } = outbox
    if (paid !== undefined) yield* Effect.promise(() => within(linger, paid))
    outbox.close()
    core.places.leaveAll()
    const left = paid === undefined ? linger : Math.max(0, linger - (performance.now() - began))
    const { inTime, unsent } = yield* Effect.callback<Delivery>((resume) =>
      core.port.close(left, (delivery) => resume(Effect.succeed(delivery)))
    )
    yield* countLeft(core, endpoints)
    if (!core.deliversNothing && (!inTime || outbox.unsent > 0)) {
      yield* Effect.logWarning(
        `effect-zmq: a ${core.type} socket closed before all was delivered that it had sent: its linger has passed`
      ).pipe(
        Effect.annotateLogs({
          socket: core.type,
          endpoints,
          linger: core.linger,
          sent: outbox.sent,
          unsent: outbox.unsent + unsent
        })
      )
    }
    if (core.reliesOnZap) yield* core.context.zap.leave
  })

const countLeft = (core: SocketCore, endpoints: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { mailbox } = core.inbox
    const count = (received: number): Effect.Effect<void> => {
      core.leftAtClose += received
      return Metric.update(leftAtClose, received)
    }
    // What a handler gives back later is left as well.
    const context = yield* lasting<never>()
    mailbox.cameBack = () => Effect.runSyncWith(context)(count(1))
    const received = core.inbox.queued + core.port.left
    if (received === 0) return
    yield* count(received)
    yield* Effect.logDebug("effect-zmq: messages were left in a socket that closed").pipe(
      Effect.annotateLogs({ socket: core.type, endpoints, received })
    )
  })
