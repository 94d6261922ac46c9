/** What the tests with real sockets share. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit } from "effect"
import type { Zmq } from "effect-zmq"

export const transports = ["inproc", "ipc", "tcp"] as const
export type Transport = (typeof transports)[number]

const folder = mkdtempSync(join(tmpdir(), "effect-zmq-test-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))

let count = 0

/** An endpoint to bind that nothing else uses. Connect to `endpoints[0]` of the socket. */
export const freshEndpoint = (transport: Transport): string => {
  count++
  switch (transport) {
    case "inproc":
      return `inproc://test-${process.pid}-${count}`
    case "ipc":
      return `ipc://${folder}/${count}.sock`
    case "tcp":
      return "tcp://127.0.0.1:*"
  }
}

/** Where a socket with one endpoint is bound. */
export const boundTo = (socket: Zmq.Socket): string => socket.endpoints[0]!

/** The next turn of the event loop, whichever clock the test runs on. */
export const nextTurn: Effect.Effect<void> = Effect.callback((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

/** Real time, whichever clock the test runs on. For checks that need time to pass, never to wait for something. */
export const pause = (millis: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })

/** Waits until a condition holds. The time limit of the test is its time limit. */
export const until = <E, R>(condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.gen(function* () {
    while (!(yield* condition)) yield* pause(1)
  })

/** Runs an effect until it gives something else than `undefined`. */
export const untilDefined = <A, E, R>(self: Effect.Effect<A | undefined, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    while (true) {
      const value = yield* self
      if (value !== undefined) return value
      yield* pause(1)
    }
  })

export const texts = (message: Zmq.Message): Array<string> => message.map((frame) => frame.toString())

export const numbers = (from: number, to: number): Array<number> =>
  Array.from({ length: to - from }, (_, index) => from + index)

/** The typed failure of an exit. A defect or an interruption is none. */
export const failureOf = <A, E>(exit: Exit.Exit<A, E>): E | undefined => {
  if (Exit.isSuccess(exit) || exit.cause.reasons.length !== 1) return undefined
  const reason = exit.cause.reasons[0]!
  return reason._tag === "Fail" ? reason.error : undefined
}

/** How an effect ended: `"ok"`, the tag of its typed failure, or `"defect"`. */
export const outcome = <A, E extends { readonly _tag: string }, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<string, never, R> =>
  Effect.map(Effect.exit(self), (exit) => (Exit.isSuccess(exit) ? "ok" : (failureOf(exit)?._tag ?? "defect")))

/** How many files this process has open. */
export const openFiles = (): number => readdirSync("/proc/self/fd").length

/** Random numbers that a failing run can be repeated with. */
export const randomFrom = (seed: number) => {
  let state = seed >>> 0
  return (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** Opens a socket whose endpoint was just let go of: libzmq closes what was bound in another thread. */
export const whenFree = <A, R>(open: Effect.Effect<A, Zmq.SocketError, R>): Effect.Effect<A, Zmq.SocketError, R> =>
  untilDefined(
    Effect.catchTag(open, "BindError", (error) =>
      error.reason === "AddressInUse" ? Effect.succeed(undefined) : Effect.fail(error)
    )
  )
