/**
 * A client of a cluster, that calls its accounts. Makes as many persisted calls as it is told to
 * (`go N`), and volatile ones all the time, until it is told to `stop`. Writes `end ID KIND MILLIS`
 * for each, and behind `stop` `done` when all have ended. Arguments: its config, and how many entities there are.
 */
import { createInterface } from "node:readline"
import { Cause, Effect, Exit } from "effect"
import { writeLine } from "../line.ts"
import { readConfig } from "./peer.ts"
import { runClient } from "./run.ts"
import { Account, Desk } from "./work.ts"

const config = readConfig()
const entities = Number(process.argv[3])
const persistedAtOnce = 32
const volatileAtOnce = 8

/** What became of a call: its own value, an error of the cluster, or what must not be. */
const kindOf = (exit: Exit.Exit<string, unknown>, expected: string): string => {
  if (Exit.isSuccess(exit)) return exit.value === expected ? "value" : `wrong:${exit.value}`
  if (Cause.hasInterruptsOnly(exit.cause)) return "interrupted"
  const [reason] = exit.cause.reasons
  if (reason?._tag === "Fail") return (reason.error as { readonly _tag: string })._tag
  return `defect:${Cause.pretty(exit.cause).slice(0, 300).replaceAll(/\s+/g, "_")}`
}

const program = Effect.gen(function* () {
  const accounts = yield* Account.client
  const desks = yield* Desk.client
  const entity = (prefix: string, number: number) => `${prefix}${number % entities}`
  const ended = <E, R>(id: string, call: Effect.Effect<string, E, R>) =>
    Effect.gen(function* () {
      const start = performance.now()
      const kind = kindOf(yield* Effect.exit(call), id)
      writeLine(`end ${id} ${kind} ${Math.round(performance.now() - start)}`)
      // While nobody is there, the calls are not all to fail at once.
      if (kind !== "value") yield* Effect.sleep(100)
    })

  let allowed = 0
  let stopped = false
  createInterface({ input: process.stdin }).on("line", (line) => {
    const [what, count] = line.split(" ")
    if (what === "go") allowed += Number(count)
    if (what === "stop") stopped = true
  })
  let persisted = 0
  const persist = Effect.gen(function* () {
    while (!stopped || persisted < allowed) {
      if (persisted >= allowed) {
        yield* Effect.sleep(10)
        continue
      }
      const number = persisted++
      const id = `p${number}@${config.name}`
      yield* ended(id, accounts(entity("a", number)).book({ id }))
    }
  })
  let volatile = 0
  const look = Effect.gen(function* () {
    while (!stopped) {
      const number = volatile++
      const id = `v${number}@${config.name}`
      const account = entity("a", number)
      yield* ended(
        id,
        number % 4 === 0 ? desks(entity("d", number)).ask({ id, account }) : accounts(account).look({ id })
      )
      yield* Effect.sleep(5)
    }
  })
  const times = <A, E, R>(count: number, one: Effect.Effect<A, E, R>) =>
    Effect.forEach(Array.from({ length: count }), () => one, { concurrency: "unbounded", discard: true })
  writeLine("ready")
  yield* Effect.all([times(persistedAtOnce, persist), times(volatileAtOnce, look)], {
    concurrency: "unbounded",
    discard: true
  })
  writeLine(`done ${persisted} ${volatile}`)
})

runClient(config, program)
