/** Codecs for handlers and requests, and who a message is from. */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Logger, Schedule, Schema } from "effect"
import { Codec, Draft, Zmq } from "effect-zmq"
import { expectTypeOf } from "vitest"
import { messageOf, openNow, openScripted, turns, turnsUntil } from "./support/scripted.ts"
import { boundTo, freshEndpoint, until } from "./support/sockets.ts"
import { sweep } from "./support/sweep.ts"

const untilSo = (done: () => boolean) => until(Effect.sync(done))
const aFewTurns = Effect.promise(() => turns(10))

const job = Codec.json(Schema.Struct({ id: Schema.Number }))
const price = {
  request: Codec.json(Schema.Struct({ symbol: Schema.String })),
  reply: Codec.json(
    Schema.Union([Schema.TaggedStruct("Price", { price: Schema.Number }), Schema.TaggedStruct("Unknown", {})])
  )
}
const prices = ({ symbol }: { readonly symbol: string }) =>
  Effect.succeed(symbol === "XYZ" ? ({ _tag: "Price", price: 42 } as const) : ({ _tag: "Unknown" } as const))

it("Codec.Type is what a codec decodes to", () => {
  expectTypeOf<Codec.Type<typeof job>>().toEqualTypeOf<{ readonly id: number }>()
  expectTypeOf<Codec.Type<Codec.Codec<string>>>().toEqualTypeOf<string>()
  const handled = Zmq.runForEachAs(job, ({ id }) => Effect.fail(id), {
    orElse: ({ id }) => Effect.succeed(id),
    onInvalid: () => Effect.fail("invalid" as const)
  })
  expectTypeOf(handled).toEqualTypeOf<Effect.Effect<never, Zmq.Again | Zmq.Closed | "invalid", Zmq.Receiver>>()
  const served = Zmq.serveAs(price, prices, { until: Effect.void, onInvalid: () => Effect.log("no") })
  expectTypeOf(served).toEqualTypeOf<
    Effect.Effect<void, Zmq.Again | Zmq.Closed | Zmq.EncodeError | Zmq.InvalidState, Zmq.Responder>
  >()
  // However it is passed on.
  const all = (dealer: Zmq.Dealer) => [
    Effect.forEach(["a", "b"], dealer.request),
    Effect.forEach([{ symbol: "a" }], dealer.requestAs(price)),
    Effect.forEach([{ symbol: "a" }], Zmq.requestAs(price)),
    dealer.request("a", { span: "a" })
  ]
  expect(all).toBeTypeOf("function")
  // @ts-expect-error no such reply
  void (() => Zmq.serveAs(price, () => Effect.succeed({ _tag: "Other" })))
})

/** What is logged, as text. */
const logged = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${message}`))
  return { lines, layer: Logger.layer([logger]) }
}

describe("runForEachAs", () => {
  it.live("handles what is decoded, warns of what is not, and goes on", () => {
    const { layer, lines } = logged()
    return Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      const ids: Array<number> = []
      yield* Effect.forkScoped(
        socket.runForEachAs(job, ({ id }) => Effect.sync(() => ids.push(id)), { concurrency: 2 })
      )
      port.arrive('{"id":1}', '{"id":"secret"}', "secret", '{"id":2}')
      yield* untilSo(() => ids.length === 2)
      yield* aFewTurns
      expect(ids).toEqual([1, 2])
      expect(socket.stats).toMatchObject({ queued: 0, putBack: 0 })
      expect(lines.length).toBe(1)
      expect(lines[0]).toMatch(/^Warn .*runForEachAs: expected .*JSON.*1 so far/s)
      expect(lines.join()).not.toContain("secret")
      // However many come, there are few lines.
      port.arrive(...Array.from({ length: 1500 }, () => "no"), '{"id":3}')
      yield* untilSo(() => ids.length === 3)
      yield* aFewTurns
      expect(lines.length).toBe(4)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.live("has onInvalid settle what is not decoded, and ends with what that fails with", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.router())
      const seen: Array<string> = []
      const run = yield* Effect.forkScoped(
        socket.runForEachAs(Codec.frames([Codec.string, Codec.json(Schema.Number)]), () => Effect.void, {
          retry: Schedule.recurs(3),
          onInvalid: (error, { routingId }) => {
            seen.push(`${error._tag} of ${routingId}`)
            return seen.length === 2 ? Effect.fail("enough" as const) : Effect.void
          }
        })
      )
      port.arriveMessage(messageOf("ann", "x"))
      port.arriveMessage(messageOf("bob", "1"))
      port.arriveMessage(messageOf("eve", "y"))
      expect(yield* Fiber.await(run)).toEqual(Exit.fail("enough"))
      // Once each: it is not tried again.
      expect(seen).toEqual(["DecodeError of ann", "DecodeError of eve"])
      expect(`${(yield* socket.recv)[1]}`).toBe("y")
    }).pipe(Effect.scoped)
  )

  it.live("gives orElse what the handler was given", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      const dead: Array<number> = []
      yield* Effect.forkScoped(
        socket.runForEachAs(job, () => Effect.fail("no"), {
          retry: Schedule.recurs(1),
          orElse: ({ id }) => Effect.sync(() => dead.push(id))
        })
      )
      port.arrive('{"id":7}')
      yield* untilSo(() => dead.length === 1)
      expect(dead).toEqual([7])
    }).pipe(Effect.scoped)
  )

  it.live("of a draft socket has the heading beside what is decoded", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Draft.dish())
      const seen: Array<unknown> = []
      yield* Effect.forkScoped(
        socket.runForEachAs(job, (message) => Effect.sync(() => seen.push(message)), {
          onInvalid: (error) => Effect.sync(() => seen.push(error._tag))
        })
      )
      port.arriveMessage(messageOf("jobs", '{"id":1}'))
      port.arriveMessage(messageOf("jobs", "no"))
      yield* untilSo(() => seen.length === 2)
      expect(seen).toEqual([{ group: "jobs", data: { id: 1 } }, "DecodeError"])
    }).pipe(Effect.scoped)
  )
})

describe("serveAs and requestAs", () => {
  for (const server of ["rep", "router"] as const) {
    for (const client of ["req", "dealer"] as const) {
      it.live(`${client} to ${server}: values there and back`, () =>
        Effect.gen(function* () {
          const responder: Zmq.Socket & Zmq.Responder = yield* Zmq[server]({ bind: freshEndpoint("tcp") })
          const requester: Zmq.Requester = yield* Zmq[client]({ connect: boundTo(responder) })
          yield* Effect.forkScoped(
            Effect.provideService(Zmq.serveAs(price, prices, { concurrency: 2 }), Zmq.Responder, responder)
          )
          const ask = (symbol: string) =>
            Effect.provideService(Zmq.requestAs(price)({ symbol }, { span: "price" }), Zmq.Requester, requester)
          expect(yield* ask("XYZ")).toEqual({ _tag: "Price", price: 42 })
          expect(yield* requester.requestAs(price)({ symbol: "ABC" })).toEqual({ _tag: "Unknown" })
          const other = { request: Codec.string, reply: Codec.json(Schema.Number) }
          const wrong = { request: price.request, reply: Codec.json(Schema.Number) }
          expect((yield* Effect.flip(requester.requestAs(wrong)({ symbol: "XYZ" })))._tag).toBe("DecodeError")
          expect((yield* Effect.flip(requester.requestAs(other)(1 as never)))._tag).toBe("EncodeError")
          // What was refused has not been sent, and the next request goes on.
          expect(yield* ask("XYZ")).toEqual({ _tag: "Price", price: 42 })
        }).pipe(Effect.scoped)
      )
    }
  }

  it.live("a ROUTER drops what is not decoded, or replies as onInvalid says", () =>
    Effect.gen(function* () {
      for (const replies of [false, true]) {
        const { port, socket } = yield* openScripted(Zmq.router(), { admission: "ask" })
        yield* Effect.forkScoped(
          socket.serveAs(
            price,
            prices,
            replies
              ? { onInvalid: () => Effect.succeed({ _tag: "Unknown" as const }) }
              : { onInvalid: () => Effect.void }
          )
        )
        port.arriveMessage(messageOf("ann", "", "no"))
        port.arriveMessage(messageOf("bob", "", '{"symbol":"XYZ"}'))
        yield* untilSo(() => port.sent.some((text) => text.startsWith("bob")))
        yield* aFewTurns
        const unknown = 'ann||{"_tag":"Unknown"}'
        expect(port.sent).toEqual([...(replies ? [unknown] : []), 'bob||{"_tag":"Price","price":42}'])
        expect(socket.stats).toMatchObject({ queued: 0, putBack: 0 })
      }
    }).pipe(Effect.scoped)
  )

  it.live("a REP replies with an empty message to what is not decoded, warns, and goes on", () => {
    const { layer, lines } = logged()
    return Effect.gen(function* () {
      for (const options of [undefined, { onInvalid: undefined }]) {
        const { port, socket } = yield* openScripted(Zmq.rep(), { admission: "ask" })
        yield* Effect.forkScoped(socket.serveAs(price, prices, options))
        port.arrive("no", '{"symbol":"XYZ"}')
        yield* untilSo(() => port.sent.length === 2)
        expect(port.sent).toEqual(["", '{"_tag":"Price","price":42}'])
      }
      expect(lines.length).toBe(2)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.live("a reply that cannot be encoded ends the service, or goes to orElse", () =>
    Effect.gen(function* () {
      for (const gives of [false, true]) {
        const { port, socket } = yield* openScripted(Zmq.router(), { admission: "ask" })
        const wrong = () => Effect.succeed({ _tag: "Other" } as never)
        const orElse = () => Effect.succeed({ _tag: "Unknown" as const })
        const run = yield* Effect.forkScoped(socket.serveAs(price, wrong, gives ? { orElse } : {}))
        port.arriveMessage(messageOf("ann", "", '{"symbol":"XYZ"}'))
        if (gives) {
          yield* untilSo(() => port.sent.length === 1)
          expect(port.sent).toEqual(['ann||{"_tag":"Unknown"}'])
        } else {
          const exit = yield* Fiber.await(run)
          expect(Exit.isFailure(exit) && `${exit.cause}`).toContain("serveAs")
          expect(socket.stats.putBack).toBe(1)
        }
      }
    }).pipe(Effect.scoped)
  )

  it.live("a SERVER has the peer beside what is decoded", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Draft.server(), { admission: "ask" })
      const codecs = { request: Codec.json(Schema.Number), reply: Codec.string }
      yield* Effect.forkScoped(
        socket.serveAs(codecs, ({ data, routingId }) => Effect.succeed(`${data + 1} to ${routingId}`), {
          onInvalid: () => Effect.succeed("no number")
        })
      )
      const id = Buffer.from([0, 0, 0, 7])
      port.arriveMessage(messageOf(id, "41"))
      port.arriveMessage(messageOf(id, "x"))
      yield* untilSo(() => port.sent.length === 2)
      expect(port.sent.map((text) => text.slice(5))).toEqual(["42 to 7", "no number"])
    }).pipe(Effect.scoped)
  )
})

// -----------------------------------------------------------------------------
// interrupted at every moment
// -----------------------------------------------------------------------------

describe("With codecs, at each of its steps,", () => {
  for (const what of ["interrupted", "stopped"] as const) {
    it.live(`runForEachAs that is ${what} handles each message once, and refuses each once, or leaves it`, () =>
      Effect.promise(async () => {
        const steps = await sweep(() => {
          const { port, socket } = openNow(Zmq.pull())
          const stop = Deferred.makeUnsafe<void>()
          const seen: Array<string> = []
          port.arrive("0", "x1", "2")
          return {
            program: socket.runForEachAs(
              Codec.json(Schema.Number),
              (number) =>
                Effect.andThen(
                  Effect.yieldNow,
                  Effect.sync(() => seen.push(`${number}`))
                ),
              {
                concurrency: 2,
                until: Deferred.await(stop),
                onInvalid: (error) =>
                  Effect.andThen(
                    Effect.yieldNow,
                    Effect.sync(() => seen.push(error.reason))
                  )
              }
            ),
            all: true,
            ...(what === "stopped" ? { instead: () => Deferred.doneUnsafe(stop, Effect.void) } : {}),
            script: async () => {
              await turns(2)
              port.arrive("x3")
              await turns(2)
            },
            check: async ({ moment, step }) => {
              const left = (await Effect.runPromise(socket.drain)).map(String)
              const all = [
                ...seen.map((text) => (text.length === 1 ? text : "refused")),
                ...left.map((text) => (text.startsWith("x") ? "refused" : text))
              ]
              expect([moment, step, ...all.sort()]).toEqual([moment, step, "0", "2", "refused", "refused"])
            }
          }
        })
        expect(steps).toBeGreaterThan(20)
      })
    )

    it.live(`serveAs that is ${what} replies to each request once, or leaves it`, () =>
      Effect.promise(async () => {
        const steps = await sweep(() => {
          const { port, socket } = openNow(Zmq.router(), { admission: "ask" })
          const stop = Deferred.makeUnsafe<void>()
          const ask = (body: string) => port.arriveMessage(messageOf("peer", "", body))
          for (const body of ["0", "x1", "2"]) ask(body)
          return {
            program: socket.serveAs(
              { request: Codec.json(Schema.Number), reply: Codec.json(Schema.Number) },
              (number) => Effect.as(Effect.yieldNow, number),
              { concurrency: 2, until: Deferred.await(stop), onInvalid: () => Effect.as(Effect.yieldNow, -1) }
            ),
            all: true,
            ...(what === "stopped" ? { instead: () => Deferred.doneUnsafe(stop, Effect.void) } : {}),
            script: async () => {
              await turns(2)
              ask("x3")
              await turns(2)
            },
            check: async ({ moment, step }) => {
              const left = (await Effect.runPromise(socket.drain)).map((message) => `${message.at(-1)}`)
              const sent = port.sent.map((text) => text.slice("peer||".length))
              const all = [...sent, ...left.map((text) => (text.startsWith("x") ? "-1" : text))]
              expect([moment, step, ...all.sort()]).toEqual([moment, step, "-1", "-1", "0", "2"])
            }
          }
        })
        expect(steps).toBeGreaterThan(20)
      })
    )
  }

  it.live("a busy consumer loses nothing, and handles nothing twice", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.pull(), {
        flood: (number) => (number % 3 === 0 ? `x${number}` : `${number}`)
      })
      const seen: Array<number> = []
      for (let i = 0; i < 100; i++) {
        const fiber = Effect.runFork(
          socket.runForEachAs(Codec.json(Schema.Number), (number) => Effect.sync(() => seen.push(number)), {
            concurrency: 3,
            onInvalid: () => Effect.sync(() => seen.push(-1))
          })
        )
        await turns(1 + (i % 4))
        fiber.interruptUnsafe()
        expect(await turnsUntil(() => fiber.pollUnsafe() !== undefined, 100)).toBe(true)
      }
      port.flooding = false
      const left = (await Effect.runPromise(socket.drain)).map(String)
      expect(seen.length).toBeGreaterThan(100)
      expect(seen.length + left.length).toBe(port.handedOver)
      const valid = [
        ...seen.filter((number) => number >= 0),
        ...left.filter((text) => !text.startsWith("x")).map(Number)
      ]
      expect(new Set(valid).size).toBe(valid.length)
    })
  )
})

describe("The peer of a message", () => {
  it.live("of a ROUTER is its routing id, for each handler and recvWithPeer", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.router(), { admission: "ask" })
      port.arriveMessage(messageOf("ann", "a"))
      const [message, peer] = yield* socket.recvWithPeer
      expect([message.map(String), `${peer.routingId}`]).toEqual([["ann", "a"], "ann"])
      const run = yield* Effect.forkScoped(socket.runForEach((_, { routingId }) => Effect.fail(`${routingId}`)))
      port.arriveMessage(messageOf("bob", "b"))
      expect(yield* Fiber.await(run)).toEqual(Exit.fail("bob"))
    }).pipe(Effect.scoped)
  )

  it.live("of others is not known", () =>
    Effect.gen(function* () {
      const { port, socket } = yield* openScripted(Zmq.pull())
      port.arrive("a", "b")
      const [message, peer] = yield* Effect.provideService(Zmq.recvWithPeer, Zmq.Receiver, socket)
      expect([`${message}`, peer]).toEqual(["a", {}])
      const run = yield* Effect.forkScoped(socket.runForEach((_, peer) => Effect.fail(peer)))
      expect(yield* Fiber.await(run)).toEqual(Exit.fail({}))
    }).pipe(Effect.scoped)
  )
})
