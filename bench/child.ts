/** A process of the bench: it says something when it is there, and answers what it is sent. */
import { fork, type Serializable } from "node:child_process"
import { Effect } from "effect"

/** Starts one, until the scope closes, and a way to ask it. `first` is what it said when it was there. */
export const startChild = Effect.fnUntraced(function* <First>(file: string, ...args: ReadonlyArray<string>) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => fork(file, args, { execArgv: process.execArgv })),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )
  const next = <A>(): Effect.Effect<A> =>
    Effect.callback((resume) => {
      const ended = (): void => resume(Effect.die(`the process of ${file} has ended`))
      child.once("exit", ended)
      child.once("message", (message) => {
        child.off("exit", ended)
        resume(Effect.succeed(message as A))
      })
    })
  const first = yield* next<First>()
  const ask = <A>(what: Serializable): Effect.Effect<A> =>
    Effect.suspend(() => {
      child.send(what)
      return next<A>()
    })
  return { first, ask }
})
