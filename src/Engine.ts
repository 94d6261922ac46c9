/**
 * What sockets are made by. An engine speaks ZeroMQ's protocol (ZMTP, RFC 23) with
 * the peers of a program; all that this library promises is built above it.
 *
 * The engine is a choice of the whole program: libzmq, by way of the package
 * `zeromq`, which is the default, or ZMTP in TypeScript. Importing `effect-zmq` loads
 * no native code: that package is loaded when the first socket is opened on it. Where
 * it cannot be, that fails with an `OpenError` of the reason `EngineMissing`.
 * `docs/engines.md` says which to choose.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import { CurrentEngine } from "./internal/currentEngine.ts"
import { zeromqEngine } from "./internal/zeromq/engine.ts"
import { zmtpEngine } from "./internal/zmtp/engine.ts"

/**
 * Sockets of libzmq, by way of the package `zeromq`. The default: to be provided
 * only where another engine was.
 *
 * **Example** (Said out loud)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Zmq } from "effect-zmq"
 *
 * export const program = Effect.scoped(
 *   Effect.flatMap(Zmq.pull({ bind: "tcp://127.0.0.1:*" }), (pull) => pull.recvString)
 * ).pipe(Effect.provide(Engine.layerZeromq))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerZeromq: Layer.Layer<never> = Layer.succeed(CurrentEngine, zeromqEngine)

/**
 * Sockets of ZMTP in TypeScript, on `node:net`: nothing native in it. It speaks ZMTP
 * 3.1 and 3.0 over tcp, ipc and inproc, with NULL, PLAIN and CURVE, to any peer that
 * does. It is faster than the default for small messages, and runs where the package
 * `zeromq` does not. What it costs, and what it lacks, is in `docs/engines.md`.
 *
 * CURVE needs the package `sodium-native`, or `libsodium-wrappers`, which is slower
 * and needs no native code.
 *
 * **Example** (All sockets of a program)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Zmq } from "effect-zmq"
 *
 * export const program = Effect.scoped(
 *   Effect.flatMap(Zmq.pull({ bind: "tcp://127.0.0.1:*" }), (pull) => pull.recvString)
 * ).pipe(Effect.provide(Engine.layerZmtp))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerZmtp: Layer.Layer<never> = Layer.succeed(CurrentEngine, zmtpEngine)
