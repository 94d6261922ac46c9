/** The row of (n) for services. */
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { engineOf } from "../engine.ts"
import { randomOf, seed, someMoment } from "../moments.ts"
import type { Outcome, Size } from "../row.ts"
import { empty, ipc, patience } from "../wait.ts"
import { progress, settle, watchFiber } from "../watch.ts"

export const services = async (size: Size): Promise<Outcome> => {
  const random = randomOf()
  const faults: Array<string> = []
  const books = empty()
  let redelivered = 0
  let left = 0

  const round = (number: number) =>
    Effect.gen(function* () {
      const type = random(2) === 0 ? "rep" : "router"
      // The clients are of zeromq.js, whose names over inproc no other engine knows.
      const transport = random(engineOf() === "zeromq" ? 3 : 2)
      const name = `${type}, round ${number}`
      const scope = yield* Scope.make()
      const options = {
        bind: ["tcp://127.0.0.1:*", ipc(), `inproc://ends-${number}`][transport]!,
        linger: "60 seconds"
      } as const
      const open: Effect.Effect<Zmq.Rep | Zmq.Router, Zmq.SocketError, Scope.Scope> =
        type === "rep" ? Zmq.rep(options) : Zmq.router(options)
      const server = yield* Scope.provide(open, scope)
      const began = new Map<string, number>()
      const finished = new Set<string>()
      const fails = random(4) === 0 ? random(10) : -1
      const mayBeInterrupted = random(3)
      let handled = 0
      const handler = (by: "first" | "second") => (request: Zmq.Message) => {
        const key = request.at(-1)!.toString()
        const work = Effect.gen(function* () {
          began.set(key, (began.get(key) ?? 0) + 1)
          if (by === "first" && handled++ === fails) return yield* Effect.fail("on purpose")
          if (random(3) > 0) yield* someMoment(random)
          return yield* Effect.sync(() => {
            if (finished.has(key)) faults.push(`${name}: a request was handled again after its handler had succeeded`)
            finished.add(key)
            return `${key} ${by}`
          })
        })
        return mayBeInterrupted === 0 || (mayBeInterrupted === 1 && random(2) === 0)
          ? Effect.uninterruptible(work)
          : work
      }
      const concurrency = [1, 4, 16][random(3)]!
      const serve = server.serve(handler("first"), { concurrency })
      const running = watchFiber(
        yield* Effect.forkIn(
          Effect.catch(serve, () => Effect.void),
          scope
        )
      )

      const replies = new Map<string, Array<string>>()
      const clients = Array.from({ length: 1 + random(4) }, () => new zmq.Dealer({ linger: 0, sendHighWaterMark: 0 }))
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const client of clients) client.close()
        })
      )
      const asked = clients.map((client, index) => {
        client.connect(server.endpoints[0]!)
        const keys = Array.from({ length: 1 + random(10) }, (_, question) => `${number}-${index}-${question}`)
        const ask = async () => {
          for (const key of keys) await client.send(["", key])
          for await (const [, reply] of client) {
            const [key, by] = reply!.toString().split(" ")
            replies.set(key!, [...(replies.get(key!) ?? []), by!])
          }
        }
        ask().catch(() => {})
        return keys
      })
      const all = asked.flat()

      // Somewhere in the middle of it.
      const enough = random(all.length)
      while (began.size < enough && running.pollUnsafe() === undefined) yield* Effect.sleep(0)
      yield* someMoment(random)
      const closes = random(2) === 0
      if (closes) yield* Scope.close(scope, Exit.void)
      else yield* Fiber.interrupt(running)
      const settled = new Set(finished)
      const expected = closes ? settled : new Set(all)
      const second = yield* Deferred.make<void>()
      if (closes) {
        // Nobody can be given what was put back.
        const given = began.size - settled.size
        if (server.stats.leftAtClose < given)
          faults.push(`${name}: ${given} were given back, and ${server.stats.leftAtClose} counted as left`)
        left += server.stats.leftAtClose
      } else {
        const serving = Effect.raceFirst(server.serve(handler("second")), Deferred.await(second))
        watchFiber(yield* Effect.forkIn(serving, scope))
      }
      const missing = () => [...expected].filter((key) => !replies.has(key))
      for (const since = performance.now(); missing().length > 0; ) {
        if (performance.now() - since > patience * 1000) break
        yield* Effect.sleep(1)
      }
      // A reply that comes twice comes soon.
      yield* Effect.sleep(2)
      yield* Deferred.succeed(second, undefined)
      yield* Scope.close(scope, Exit.void)
      const lost = missing()
      if (lost.length > 0) faults.push(`${name}: no reply to ${lost.slice(0, 3)}`)
      for (const [key, by] of replies) {
        books.duplicated += by.length - 1
        if (by[0] === "first" && !settled.has(key)) faults.push(`${name}: a reply of a handler that did not succeed`)
        if (by[0] === "second" && settled.has(key)) faults.push(`${name}: a request was replied and put back`)
      }
      for (const times of began.values()) redelivered += times - 1
      books.sent += expected.size
      books.lost += lost.length
      books.delivered += expected.size - lost.length
      progress(() => `${number} ends`)
    })
  const program = Effect.gen(function* () {
    for (let number = 0; number < size.count && faults.length === 0; number++) yield* Effect.scoped(round(number))
  })
  await Effect.runPromise(settle(program))
  return {
    ...books,
    outOfOrder: null,
    redelivered,
    receivable: 0,
    faults,
    notes: [
      `${size.count} services, told to end with requests in hand`,
      `${left} requests not answered when a service closed, and counted`,
      `seed ${seed}`
    ]
  }
}
