/** Contexts of libzmq. Part of the module `Zmq`. */
import * as EffectContext from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ContextCore, CurrentContext } from "./internal/socket/context.ts"
import { OptionError } from "./ZmqError.ts"

/**
 * Options of a context.
 *
 * @category contexts
 * @since 0.1.0
 */
export interface ContextOptions {
  /** Threads that do the I/O, one for each gigabyte a second. 0 is enough for inproc alone. Default: 1; at most 64, as each takes file descriptors. `ZMQ_IO_THREADS` */
  readonly ioThreads?: number | undefined
  /** How many sockets may be open, of which each that is bound or connected to a network takes three. Default: 65,535. `ZMQ_MAX_SOCKETS` */
  readonly maxSockets?: number | undefined
  /** Whether its sockets use IPv6 unless told otherwise. Default: `false`. `ZMQ_IPV6` */
  readonly ipv6?: boolean | undefined
  /** The size in bytes of the largest message that may be sent. Default: 2,147,483,647. `ZMQ_MAX_MSGSZ` */
  readonly maxMessageSize?: number | undefined
}

const bounds = {
  ioThreads: [0, 64],
  maxSockets: [1, 65_535],
  maxMessageSize: [0, 2_147_483_647]
} as const

const check = (options: ContextOptions): OptionError | undefined => {
  for (const [option, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (option === "ipv6") {
      if (typeof value !== "boolean") return new OptionError({ option, value, expected: "true or false" })
      continue
    }
    const limits = bounds[option as keyof typeof bounds]
    if (limits === undefined) {
      return new OptionError({ option, value, expected: `one of ${Object.keys(bounds).join(", ")}, ipv6` })
    }
    const [min, max] = limits
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      return new OptionError({ option, value, expected: `a whole number from ${min} to ${max}` })
    }
  }
  return undefined
}

/**
 * The context that sockets are opened in: the one of the process, unless
 * `Context.layer` provides another. Sockets reach each other over inproc only
 * within a context, and a ZAP authenticator serves one context.
 *
 * **Example** (A context of its own for each test)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Zmq } from "effect-zmq"
 *
 * export const test = Effect.gen(function* () {
 *   const left = yield* Zmq.pair({ bind: "inproc://here" })
 *   const right = yield* Zmq.pair({ connect: "inproc://here" })
 *   yield* left.send("nobody else has this name")
 *   return yield* right.recvString
 * }).pipe(Effect.scoped, Effect.provide(Zmq.Context.layer({ ioThreads: 0 })))
 * ```
 *
 * @category contexts
 * @since 0.1.0
 */
export class Context extends EffectContext.Reference<ContextCore>(CurrentContext.key, {
  defaultValue: CurrentContext.defaultValue
}) {
  /**
   * A context of its own. When its scope closes, what sockets are still open in
   * it are closed first, all at once: that takes until what they have sent is on its
   * way, and no longer than their `linger`.
   *
   * libzmq's threads of a context end with the process. A context that is done
   * with is used again for the next one with the same options.
   */
  static readonly layer = (options: ContextOptions = {}): Layer.Layer<never, OptionError> =>
    Layer.effect(
      Context,
      Effect.suspend(() => {
        const wrong = check(options)
        if (wrong !== undefined) return Effect.fail(wrong)
        return Effect.acquireRelease(
          Effect.sync(() => new ContextCore(options)),
          release
        )
      })
    )
}

const release = (context: ContextCore): Effect.Effect<void> =>
  Effect.suspend(() => {
    context.closed = true
    const shut = (relying: boolean) =>
      Effect.forEach(
        [...context.sockets].filter(({ reliesOnZap }) => reliesOnZap === relying),
        (socket) => socket.shut,
        { concurrency: "unbounded", discard: true }
      )
    // The authenticator after those that rely on it.
    return shut(true).pipe(
      Effect.andThen(Effect.suspend(() => shut(false))),
      Effect.andThen(Effect.sync(() => context.close()))
    )
  })
