/** Counts what must never happen in a process: rejections that nobody handles, and defects. */
import { Cause, Effect, Exit, type Fiber, type Scope } from "effect"
import type { Outcome } from "./row.ts"

export const watched = { unhandled: 0, defects: 0, first: undefined as string | undefined }

const note = (error: unknown): void => {
  watched.first ??= error instanceof Error ? (error.stack ?? error.message) : String(error)
}

export const watchProcess = (): void => {
  process.on("unhandledRejection", (error) => {
    watched.unhandled++
    note(error)
  })
  process.on("uncaughtException", (error) => {
    watched.defects++
    note(error)
  })
}

/** Counts the defects of an exit, and gives it back. */
export const watchExit = <A, E>(exit: Exit.Exit<A, E>): Exit.Exit<A, E> => {
  if (Exit.isFailure(exit) && Cause.hasDies(exit.cause)) {
    watched.defects++
    note(Cause.pretty(exit.cause))
  }
  return exit
}

/** Counts the defects of a fiber that is started. */
export const watchFiber = <A, E>(fiber: Fiber.Fiber<A, E>): Fiber.Fiber<A, E> => {
  fiber.addObserver(watchExit)
  return fiber
}

/** Runs to the end whatever that end is; only a defect counts. */
export const settle = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<Exit.Exit<A, E>, never, R> =>
  Effect.map(Effect.exit(self), watchExit)

/** What a row has found that looks for no more than that, or how it failed, with the faults that it has noted. */
export const outcomeOf = async <E>(
  program: Effect.Effect<Omit<Outcome, "redelivered" | "receivable" | "outOfOrder" | "faults">, E, Scope.Scope>,
  faults: ReadonlyArray<string>
): Promise<Outcome> => {
  const exit = await Effect.runPromise(settle(Effect.scoped(program)))
  const none = { redelivered: 0, receivable: 0, outOfOrder: null }
  return Exit.isSuccess(exit)
    ? { ...exit.value, ...none, faults }
    : { sent: 0, delivered: 0, lost: 0, duplicated: 0, ...none, faults: [...faults, String(exit.cause)] }
}

let lastProgress = 0

/** Tells the runner how far this row has come. */
export const progress = (text: () => string): void => {
  const now = performance.now()
  if (now - lastProgress < 500) return
  lastProgress = now
  process.stdout.write(`@progress ${text()}\n`)
}

/** Watches the memory of this process. The function gives the MiB by which it had grown at its peak. */
export const growthSince: Effect.Effect<() => number, never, Scope.Scope> = Effect.gen(function* () {
  globalThis.gc?.()
  const before = process.memoryUsage.rss()
  let most = 0
  const look = () => {
    most = Math.max(most, process.memoryUsage.rss() - before)
  }
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sync(look), Effect.sleep(50))))
  return () => Math.round(most / 2 ** 20)
})
