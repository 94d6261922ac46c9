/** The draft socket types, on real sockets and on scripted ones. */
import { createSocket } from "node:dgram"
import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, Schema, type Scope, Stream } from "effect"
import { Codec, Draft, Zmq } from "effect-zmq"
import { Pace, unwatch, watch } from "../src/internal/zeromq/draft/watch.ts"
import { nodeArguments, runCommand } from "./support/child.ts"
import { openNow, turns } from "./support/scripted.ts"
import {
  boundTo,
  failureOf,
  freshEndpoint,
  numbers,
  outcome,
  pause,
  randomFrom,
  until,
  untilDefined
} from "./support/sockets.ts"
import { sweep } from "./support/sweep.ts"

const transports = ["tcp", "ipc", "inproc"] as const

/** A udp endpoint that is free. */
const udp = Effect.callback<string>((resume) => {
  const socket = createSocket("udp4")
  socket.bind(0, "127.0.0.1", () => {
    const { port } = socket.address()
    socket.close(() => resume(Effect.succeed(`udp://127.0.0.1:${port}`)))
  })
})
const addressOf = (socket: Zmq.Socket): string => boundTo(socket).slice("udp://".length)

const Reading = Schema.Struct({ celsius: Schema.Number })
const reading = { celsius: 21 }

const inRuns = <A>(some: ReadonlyArray<A>, size: number): Array<ReadonlyArray<A>> =>
  numbers(0, Math.ceil(some.length / size)).map((i) => some.slice(i * size, (i + 1) * size))

// -----------------------------------------------------------------------------
// messages
// -----------------------------------------------------------------------------

describe("SERVER and CLIENT", () => {
  for (const transport of transports) {
    it.live(`talk over ${transport}`, () =>
      Effect.gen(function* () {
        const server = yield* Draft.server({ bind: freshEndpoint(transport) })
        const [ann, bob] = yield* Effect.all([
          Draft.client({ connect: boundTo(server) }),
          Draft.client({ connect: boundTo(server) })
        ])
        yield* ann.send("I am Ann")
        const toAnn = (yield* server.recvString).routingId
        yield* bob.send(["I am Bob"])
        const { data, routingId: toBob } = yield* server.recv
        expect(data).toEqual(Buffer.from("I am Bob"))
        expect(toBob).not.toBe(toAnn)
        expect(Draft.RoutingId(toBob)).toBe(toBob)

        yield* server.send(toBob, new Uint8Array([0, 1]))
        yield* server.sendJson(toAnn, { to: "Ann" })
        yield* server.sendSchema(Reading)(toBob, reading)
        expect(yield* server.trySend(toAnn, "")).toBe(true)
        yield* server.sendAll(numbers(0, 300).map((n) => ({ routingId: n % 2 === 0 ? toAnn : toBob, data: `${n}` })))
        expect(yield* bob.recv).toEqual([Buffer.from([0, 1])])
        expect(yield* ann.recvJson).toEqual({ to: "Ann" })
        expect(yield* bob.recvSchema(Reading)).toEqual(reading)
        expect(yield* ann.recvString).toBe("")
        const toEach = (client: Draft.Client) => Stream.runCollect(Stream.take(client.strings, 150))
        expect(yield* toEach(ann)).toEqual(numbers(0, 150).map((n) => `${n * 2}`))
        expect(yield* toEach(bob)).toEqual(numbers(0, 150).map((n) => `${n * 2 + 1}`))

        yield* ann.sendSchema(Reading)(reading)
        expect(yield* server.recvSchema(Reading)).toEqual({ routingId: toAnn, data: reading })
        yield* bob.sendJson([1])
        expect(yield* server.recvJson).toEqual({ routingId: toBob, data: [1] })
        const packed = Codec.msgpack(Reading)
        yield* ann.sendAs(packed)(reading)
        const { data: unpacked, routingId: from } = yield* server.recvAs(packed)
        expect({ unpacked, from }).toEqual({ unpacked: reading, from: toAnn })
        yield* server.sendAs(packed)(from, reading)
        expect(yield* ann.recvAs(packed)).toEqual(reading)
        expect(yield* server.tryRecv).toEqual(Option.none())
        yield* bob.sendAs(packed)(reading)
        expect(yield* Stream.runCollect(Stream.take(server.streamAs(packed), 1))).toEqual([
          { routingId: toBob, data: reading }
        ])
        yield* bob.sendAll(["a", "b"])
        expect((yield* Stream.runCollect(Stream.take(server.messages, 2))).map(({ data }) => `${data}`)).toEqual([
          "a",
          "b"
        ])
      })
    )
  }

  it.live("a SERVER serves many at a time, and drops the answer to a client that has left", () =>
    Effect.gen(function* () {
      const server = yield* Draft.server({ bind: freshEndpoint("tcp") })
      const handled: Array<string> = []
      yield* Effect.forkScoped(
        server.serve(
          ({ data, routingId }) =>
            Effect.gen(function* () {
              handled.push(`${data}`)
              if (`${data}` === "leaves")
                yield* until(Effect.map(Effect.exit(server.send(routingId, "")), Exit.isFailure))
              return `re ${data}`
            }),
          { concurrency: 8 }
        )
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const client = yield* Draft.client({ connect: boundTo(server) })
          yield* client.send("leaves")
          yield* until(Effect.sync(() => handled.length === 1))
        })
      )
      const clients = yield* Effect.forEach(numbers(0, 5), () => Draft.client({ connect: boundTo(server) }))
      for (const [i, client] of clients.entries()) yield* client.sendAll(numbers(0, 20).map((n) => `${i}-${n}`))
      for (const [i, client] of clients.entries()) {
        const replies = yield* Stream.runCollect(Stream.take(client.strings, 20))
        expect(replies.toSorted()).toEqual(
          numbers(0, 20)
            .map((n) => `re ${i}-${n}`)
            .toSorted()
        )
      }
    })
  )

  it.live("an echo is a stream into a sink", () =>
    Effect.gen(function* () {
      const server = yield* Draft.server({ bind: freshEndpoint("inproc") })
      const client = yield* Draft.client({ connect: boundTo(server) })
      yield* Effect.forkScoped(Stream.run(server.messages, server.sink))
      yield* client.sendAll(numbers(0, 1000).map(String))
      expect(yield* Stream.runCollect(Stream.take(client.strings, 1000))).toEqual(numbers(0, 1000).map(String))
    })
  )

  it.live("a peer that is behind is waited for, and no other with it", () =>
    Effect.gen(function* () {
      const server = yield* Draft.server({ bind: freshEndpoint("inproc"), sendHighWaterMark: 1 })
      const [slow, quick] = yield* Effect.all([
        Draft.client({ connect: boundTo(server), receiveHighWaterMark: 1 }),
        Draft.client({ connect: boundTo(server), receiveHighWaterMark: 1 })
      ])
      yield* slow.send("slow")
      const toSlow = (yield* server.recv).routingId
      yield* quick.send("quick")
      const toQuick = (yield* server.recv).routingId
      let sent = 0
      while (yield* server.trySend(toSlow, `${sent}`)) sent++
      const waiting = yield* Effect.forkChild(server.send(toSlow, `${sent}`), { startImmediately: true })
      const given = yield* Effect.forkChild(server.send(toSlow, "never"), { startImmediately: true })
      for (let i = 0; i < 5; i++) {
        yield* server.send(toQuick, `${i}`)
        expect(yield* quick.recvString).toBe(`${i}`)
      }
      expect(waiting.pollUnsafe()).toBe(undefined)
      yield* Fiber.interrupt(given)
      expect(yield* Stream.runCollect(Stream.take(slow.strings, sent + 1))).toEqual(numbers(0, sent + 1).map(String))
      yield* Fiber.join(waiting)
      yield* server.send(toSlow, "end")
      expect(yield* slow.recvString).toBe("end")
    })
  )
})

describe("RADIO and DISH", () => {
  /** Until the RADIO knows that each DISH has joined, or over udp that it listens. Nothing is under way then. */
  const heard = (radio: Draft.Radio, dishes: ReadonlyArray<Draft.Dish>, group: string) => {
    const hears = (dish: Draft.Dish, text: string) =>
      Effect.map(dish.drain, (all) => all.some((one) => one.group === group && `${one.data}` === text))
    return Effect.gen(function* () {
      for (const dish of dishes) yield* until(Effect.andThen(radio.send(group, "heard?"), hears(dish, "heard?")))
      yield* radio.send(group, "heard!")
      for (const dish of dishes) yield* until(hears(dish, "heard!"))
    })
  }

  for (const transport of [...transports, "udp"] as const) {
    it.live(`talk over ${transport}`, () =>
      Effect.gen(function* () {
        const radio = yield* Draft.radio()
        const dish = yield* Draft.dish({ join: ["weather", ""], receiveTimeout: "1 minute" })
        if (transport === "udp") yield* radio.connect(yield* dish.bind(yield* udp))
        else yield* dish.connect(yield* radio.bind(freshEndpoint(transport)))
        yield* heard(radio, [dish], "weather")
        yield* heard(radio, [dish], "")

        yield* radio.send("weather", "fine")
        expect(yield* dish.recv).toEqual({ group: "weather", data: Buffer.from("fine") })
        yield* radio.send("weather.oslo", "of another group")
        yield* radio.sendJson("weather", 21)
        expect(yield* dish.recvJson).toEqual({ group: "weather", data: 21 })
        yield* radio.sendSchema(Reading)("weather", reading)
        expect(yield* dish.recvSchema(Reading)).toEqual({ group: "weather", data: reading })
        yield* radio.send("", "to nobody in particular")
        expect(yield* dish.recvString).toEqual({ group: "", data: "to nobody in particular" })

        yield* dish
          .join("ünï")
          .pipe(
            Effect.andThen(heard(radio, [dish], "ünï")),
            Effect.andThen(radio.send("ünï", Buffer.alloc(1000, "x"))),
            Effect.andThen(until(Effect.map(dish.drain, (all) => all.some(({ data }) => data.length === 1000)))),
            Effect.scoped
          )
        // It has left, and all that was under way before is here by now.
        yield* radio.send("weather", "after")
        yield* until(Effect.map(dish.drain, (all) => all.some(({ data }) => `${data}` === "after")))
        yield* until(
          Effect.gen(function* () {
            yield* radio.send("ünï", "left?")
            yield* radio.send("weather", "end")
            return (
              (yield* dish.recvString).group === "weather" && !(yield* dish.drain).some(({ group }) => group === "ünï")
            )
          })
        )

        yield* dish.leave("weather")
        yield* dish.leave("weather")
        yield* dish.leave("never joined")
        yield* until(
          Effect.gen(function* () {
            yield* radio.send("weather", "left?")
            yield* radio.send("", "end")
            return (yield* dish.recvString).group === ""
          })
        )
      })
    )
  }

  it.live("tryRecv on a DISH finds what it joined behind packets of other groups", () =>
    Effect.gen(function* () {
      const dish = yield* Draft.dish({ bind: yield* udp, join: "a" })
      const radio = yield* Draft.radio({ connect: [...dish.endpoints] })
      const found = Effect.gen(function* () {
        for (let i = 0; i < 5; i++) yield* radio.send("b", "for others")
        yield* radio.send("a", "wanted")
        yield* pause(5)
        const first = yield* dish.tryRecv
        // It may be on its way still.
        if (Option.isNone(first)) yield* untilDefined(Effect.map(dish.tryRecv, Option.getOrUndefined))
        return Option.isSome(first)
      })
      yield* until(found)
    })
  )

  it.live("a RADIO that waits for slow peers has no udp peers, which a message may be too large for by then", () =>
    Effect.gen(function* () {
      const radio = yield* Draft.radio({ noDrop: true })
      const exit = yield* Effect.exit(Effect.scoped(radio.connect(yield* udp)))
      expect(exit).toMatchObject({
        cause: { reasons: [{ error: { _tag: "ConnectError", reason: "IncompatibleTransport" } }] }
      })
    })
  )

  it.live("a RADIO sends to all, over tcp and udp at once, and from one DISH each group comes in order", () =>
    Effect.gen(function* () {
      const dishes = [
        yield* Draft.dish({ bind: [freshEndpoint("tcp"), yield* udp], join: "a" }),
        yield* Draft.dish({ bind: yield* udp, join: ["a", "b"] })
      ] as const
      const radio = yield* Draft.radio({
        connect: [dishes[0].endpoints[0]!, dishes[1].endpoints[0]!]
      })
      yield* heard(radio, dishes, "a")
      for (const run of inRuns(numbers(0, 200), 20)) {
        yield* radio.sendAll(run.map((n) => ({ group: n % 2 === 0 ? "a" : "b", data: `${n}` })))
        const got = (dish: Draft.Dish, group: string) =>
          Effect.map(Stream.runCollect(Stream.take(dish.strings, run.length / (group === "ab" ? 1 : 2))), (all) =>
            all.map(({ data }) => Number(data))
          )
        expect(yield* got(dishes[0], "a")).toEqual(run.filter((n) => n % 2 === 0))
        expect(yield* got(dishes[1], "ab")).toEqual(run)
      }
      const other = yield* Draft.radio({ connect: dishes[0].endpoints[1]! })
      yield* other.send("a", "over the other")
      expect(yield* dishes[0].recvString).toEqual({ group: "a", data: "over the other" })
    })
  )

  it.live("talk over multicast", () =>
    Effect.gen(function* () {
      const port = (yield* udp).split(":").at(-1)
      const endpoint = `udp://127.0.0.1;239.0.0.77:${port}`
      const dishes = yield* Effect.all([
        Draft.dish({ bind: endpoint, join: "a" }),
        Draft.dish({ bind: endpoint, join: "a" })
      ])
      const radio = yield* Draft.radio({ connect: endpoint, multicastLoop: true, multicastHops: 1 })
      for (const dish of dishes) yield* heard(radio, [dish], "a")
    })
  )

  it.live("a DISH lets go of udp endpoints and binds them again", () =>
    Effect.gen(function* () {
      const dish = yield* Draft.dish({ join: "a" })
      const endpoint = yield* udp
      const radio = yield* Draft.radio({ connect: endpoint })
      for (let i = 0; i < 3; i++) {
        yield* Effect.scoped(Effect.andThen(dish.bind(endpoint), heard(radio, [dish], "a")))
        expect(dish.endpoints).toEqual([])
        yield* Effect.scoped(Draft.datagram({ bind: endpoint }))
      }
      yield* Effect.scoped(dish.bind(endpoint))
    })
  )

  it.live("with noDrop a RADIO waits for a DISH that is behind", () =>
    Effect.gen(function* () {
      const radio = yield* Draft.radio({ bind: freshEndpoint("inproc"), noDrop: true, sendHighWaterMark: 5 })
      const dish = yield* Draft.dish({ connect: boundTo(radio), join: "a", receiveHighWaterMark: 5 })
      yield* heard(radio, [dish], "a")
      const sending = yield* Effect.forkChild(radio.sendAll(numbers(0, 500).map((n) => ({ group: "a", data: `${n}` }))))
      yield* until(Effect.sync(() => radio.stats.messagesOut > 5))
      expect(sending.pollUnsafe()).toBe(undefined)
      const got = yield* Stream.runCollect(Stream.take(dish.strings, 500))
      expect(got.map(({ data }) => Number(data))).toEqual(numbers(0, 500))
      yield* Fiber.join(sending)
    })
  )
})

describe("GATHER and SCATTER", () => {
  for (const transport of transports) {
    it.live(`talk over ${transport}, fairly`, () =>
      Effect.gen(function* () {
        const gather = yield* Draft.gather({ bind: freshEndpoint(transport) })
        const scatters = yield* Effect.forEach([0, 1, 2], () => Draft.scatter({ connect: boundTo(gather) }))
        for (const [i, scatter] of scatters.entries()) {
          yield* Stream.run(Stream.fromIterable(numbers(0, 500).map((n) => `${i}-${n}`)), scatter.sink)
        }
        const all = yield* Stream.runCollect(Stream.take(gather.strings, 1500))
        for (const i of [0, 1, 2]) {
          expect(all.filter((text) => text.startsWith(`${i}-`))).toEqual(numbers(0, 500).map((n) => `${i}-${n}`))
        }
      })
    )
  }

  it.live("are a Receiver and a Sender, as CLIENT is, and SERVER is neither", () =>
    Effect.gen(function* () {
      const endpoint = freshEndpoint("inproc")
      const talk = Effect.gen(function* () {
        yield* Zmq.send("hello")
        return yield* Zmq.recvString
      })
      const layer = Layer.mergeAll(
        Zmq.layer(Draft.gather({ bind: endpoint })),
        Zmq.layer(Draft.scatter({ connect: endpoint })),
        Zmq.layer(Draft.server({ bind: freshEndpoint("inproc") }))
      )
      expect(yield* Effect.provide(talk, layer)).toBe("hello")
    })
  )

  it.live("a SCATTER waits until there is a GATHER, as long as it may", () =>
    Effect.gen(function* () {
      const endpoint = freshEndpoint("inproc")
      const scatter = yield* Draft.scatter({ connect: endpoint })
      expect(yield* outcome(Effect.timeout(scatter.send("never"), "20 millis"))).toBe("TimeoutError")
      const hasty = yield* Draft.scatter({ connect: endpoint, sendTimeout: "10 millis" })
      expect(yield* outcome(hasty.send("never"))).toBe("Again")
      const sending = yield* Effect.forkChild(scatter.send("at last"))
      yield* pause(20)
      expect(yield* scatter.trySend("no")).toBe(false)
      const gather = yield* Draft.gather({ bind: endpoint, receiveTimeout: "1 minute" })
      expect(yield* gather.recvString).toBe("at last")
      yield* Fiber.join(sending)
      expect(yield* gather.drain).toEqual([])
    })
  )
})

describe("DGRAM", () => {
  it.live("talks to itself, to another and to any program", () =>
    Effect.gen(function* () {
      const [here, there] = [yield* Draft.datagram({ bind: yield* udp }), yield* Draft.datagram({ bind: yield* udp })]
      yield* here.send(addressOf(there), "hello")
      const { address, data } = yield* there.recvString
      expect({ address, data }).toEqual({ address: addressOf(here), data: "hello" })
      yield* Effect.forkScoped(Stream.run(there.messages, there.sink))
      yield* here.sendSchema(Reading)(addressOf(there), reading)
      expect(yield* here.recvSchema(Reading)).toEqual({ address: addressOf(there), data: reading })
      for (const n of numbers(0, 50)) {
        yield* here.sendAll([{ address: addressOf(there), data: `${n}` }])
        expect((yield* here.recvString).data).toBe(`${n}`)
      }
      expect(yield* here.tryRecv).toEqual(Option.none())

      const peer = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createSocket>>((resume) => {
          const socket = createSocket("udp4").bind(0, "127.0.0.1", () => resume(Effect.succeed(socket)))
        }),
        (socket) => Effect.sync(() => void socket.close())
      )
      const answered = new Promise<string>((resolve) => peer.once("message", (data) => resolve(data.toString())))
      peer.send("", Number(addressOf(here).split(":")[1]), "127.0.0.1")
      const empty = yield* here.recv
      expect(empty).toEqual({ address: `127.0.0.1:${peer.address().port}`, data: Buffer.alloc(0) })
      yield* here.sendJson(empty.address, null)
      expect(yield* Effect.promise(() => answered)).toBe("null")
    })
  )

  it.live("is bound, unbound and bound again, while others wait", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* udp, yield* udp]
      const socket = yield* Draft.datagram()
      const received: Array<string> = []
      yield* Effect.forkScoped(socket.runForEach(({ data }) => Effect.sync(() => received.push(`${data}`))))
      expect(yield* socket.trySend("127.0.0.1:9", "x")).toBe(false)
      for (const [i, endpoint] of [a, b, a].entries()) {
        const sending = yield* Effect.forkChild(socket.send(endpoint.slice(6), `${i}`), { startImmediately: true })
        expect(sending.pollUnsafe()).toBe(undefined)
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* socket.bind(endpoint)
            expect(yield* outcome(Effect.scoped(socket.bind(b)))).toBe("BindError")
            yield* Fiber.join(sending)
            yield* until(Effect.sync(() => received.length === i + 1))
          })
        )
      }
      expect(received).toEqual(["0", "1", "2"])
    })
  )
})

it.live("all is told of the connections, as of other sockets", () =>
  Effect.gen(function* () {
    const server = yield* Draft.server({ bind: freshEndpoint("tcp") })
    const client = yield* Draft.client({ connect: boundTo(server) })
    yield* client.awaitConnected
    yield* server.awaitPeers(1)
    const events = yield* Stream.runCollect(Stream.take(server.events, 3))
    expect(events.map(({ _tag }) => _tag)).toEqual(["Listening", "Accepted", "HandshakeSucceeded"])
    expect(JSON.stringify(client)).toContain('"Zmq.client"')
    // udp has no connections
    const radio = yield* Draft.radio({ connect: yield* udp })
    yield* radio.awaitConnected
    const datagram = yield* Draft.datagram({ bind: yield* udp })
    expect(yield* outcome(datagram.awaitPeers(1))).toBe("InvalidState")
  })
)

// -----------------------------------------------------------------------------
// guarantees
// -----------------------------------------------------------------------------

interface Pair {
  readonly send: (n: number) => Effect.Effect<void, unknown>
  readonly recv: Effect.Effect<number, { readonly _tag: string }>
  readonly drain: Effect.Effect<Array<number>, unknown>
}

const numberOf = ({ data }: Draft.Data<Buffer>): number => Number(data)

const pairs: Record<string, Effect.Effect<Pair, unknown, Scope.Scope>> = {
  server: Effect.gen(function* () {
    const server = yield* Draft.server({ bind: freshEndpoint("tcp") })
    const client = yield* Draft.client({ connect: boundTo(server) })
    return {
      send: (n) => client.send(`${n}`),
      recv: Effect.map(server.recv, numberOf),
      drain: Effect.map(server.drain, (all) => all.map(numberOf))
    }
  }),
  client: Effect.gen(function* () {
    const server = yield* Draft.server({ bind: freshEndpoint("inproc") })
    const client = yield* Draft.client({ connect: boundTo(server) })
    yield* client.send("hello")
    const { routingId } = yield* server.recv
    return {
      send: (n) => server.send(routingId, `${n}`),
      recv: Effect.map(client.recvString, Number),
      drain: Effect.map(client.drain, (all) => all.map(([data]) => Number(data)))
    }
  }),
  dish: Effect.gen(function* () {
    const radio = yield* Draft.radio({ bind: freshEndpoint("tcp"), sendHighWaterMark: 0 })
    const dish = yield* Draft.dish({ connect: boundTo(radio), join: "a", receiveHighWaterMark: 0 })
    yield* until(
      Effect.andThen(
        radio.send("a", "heard?"),
        Effect.map(dish.drain, (all) => all.length > 0)
      )
    )
    yield* radio.send("a", "begin")
    while (`${(yield* dish.recv).data}` !== "begin") {}
    return {
      send: (n) => radio.send("a", `${n}`),
      recv: Effect.map(dish.recv, numberOf),
      drain: Effect.map(dish.drain, (all) => all.map(numberOf))
    }
  }),
  gather: Effect.gen(function* () {
    const gather = yield* Draft.gather({ bind: freshEndpoint("ipc") })
    const scatter = yield* Draft.scatter({ connect: boundTo(gather) })
    return {
      send: (n) => scatter.send(`${n}`),
      recv: Effect.map(gather.recvString, Number),
      drain: Effect.map(gather.drain, (all) => all.map(([data]) => Number(data)))
    }
  }),
  datagram: Effect.gen(function* () {
    const socket = yield* Draft.datagram({ bind: yield* udp, receiveHighWaterMark: 0 })
    const peer = yield* Draft.datagram({ bind: yield* udp })
    return {
      send: (n) => peer.send(addressOf(socket), `${n}`),
      recv: Effect.map(socket.recv, numberOf),
      drain: Effect.map(socket.drain, (all) => all.map(numberOf))
    }
  })
}

describe("A storm of interruptions, time limits and races", () => {
  for (const [type, open] of Object.entries(pairs)) {
    it.live(`loses no message of a ${type}`, () =>
      Effect.gen(function* () {
        const count = 1500
        const random = randomFrom(429)
        const { drain, recv, send } = yield* open
        const got: Array<number> = []
        let cancelled = 0
        const take = Effect.gen(function* () {
          const n = yield* recv
          got.push(n)
        })
        const ways = [
          take,
          Effect.timeout(take, 0),
          Effect.timeout(take, 1),
          Effect.raceFirst(take, take),
          // A rival that may win or lose: either way nothing is lost.
          Effect.raceFirst(take, Effect.sleep(1)),
          Effect.raceFirst(take, Effect.yieldNow),
          Effect.all([take, Effect.fail({ _tag: "sibling" })], { concurrency: 2 })
        ]
        const worker = Effect.forever(
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(ways[random(ways.length)]!)
            if (random(3) === 0) {
              for (let i = random(4); i > 0; i--) yield* Effect.yieldNow
              yield* Fiber.interrupt(fiber)
            }
            const exit = yield* Fiber.await(fiber)
            if (Exit.isFailure(exit)) cancelled++
            if (random(20) === 0) yield* pause(0)
          })
        )
        const workers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(worker))
        for (let n = 0; n < count; n++) {
          yield* send(n)
          if (random(10) === 0) yield* pause(0)
        }
        yield* Effect.forEach(workers, Fiber.interrupt)
        const left: Array<number> = []
        const drained = Effect.map(drain, (messages) => left.push(...messages))
        yield* until(Effect.map(drained, () => got.length + left.length >= count))
        expect([...got, ...left].toSorted((a, b) => a - b)).toEqual(numbers(0, count))
        expect(cancelled).toBeGreaterThan(50)
      })
    )
  }
})

const idOf = (routingId: number): string => {
  const frame = Buffer.alloc(4)
  frame.writeUInt32BE(routingId)
  return frame.toString("latin1")
}
const framesOf = (head: string, data: string): Zmq.Message => [Buffer.from(head, "latin1"), Buffer.from(data)]

describe("A receive, interrupted at each of its steps", () => {
  const id = 0x89abcdef
  const served = (all: ReadonlyArray<Draft.Peer & Draft.Data<unknown>>) =>
    all.map(({ data, routingId }) => {
      expect(routingId).toBe(id)
      return `${data}`
    })
  const drainServer = (socket: Draft.Server) => Effect.map(socket.drain, served)
  const drainDish = (socket: Draft.Dish) => Effect.map(socket.drain, (all) => all.map(({ data }) => `${data}`))
  // Nothing stands between the receive and what is done with it.
  it.live("SERVER: recv loses no message", () =>
    sweepOf(
      Draft.server(),
      idOf(id),
      (socket) => socket.recv,
      ({ data }) => `${data}`,
      drainServer
    )
  )
  it.live("SERVER: recvString loses no message", () =>
    sweepOf(
      Draft.server(),
      idOf(id),
      (socket) => socket.recvString,
      ({ data }) => data,
      drainServer
    )
  )
  it.live("DISH: recv loses no message", () =>
    sweepOf(
      Draft.dish(),
      "group",
      (socket) => socket.recv,
      ({ data, group }) => {
        expect(group).toBe("group")
        return `${data}`
      },
      drainDish
    )
  )
  it.live("DISH: recvSchema loses no message", () =>
    sweepOf(
      Draft.dish(),
      "group",
      (socket) => socket.recvSchema(Schema.Number),
      ({ data }) => `${data}`,
      drainDish
    )
  )
  it.live("tryRecv and drain lose no message", () =>
    Effect.gen(function* () {
      yield* sweepOf(
        Draft.server(),
        idOf(id),
        (socket) => socket.tryRecv,
        (one) => served(Option.toArray(one)),
        drainServer
      )
      yield* sweepOf(Draft.server(), idOf(id), (socket) => socket.drain, served, drainServer)
    })
  )

  function sweepOf<S extends Zmq.Socket, A>(
    open: Effect.Effect<S, Zmq.SocketError, Scope.Scope>,
    head: string,
    receive: (socket: S) => Effect.Effect<A, unknown>,
    textsOf: (value: A) => string | ReadonlyArray<string>,
    drain: (socket: S) => Effect.Effect<ReadonlyArray<string>, unknown>
  ) {
    return Effect.promise(async () => {
      const steps = await sweep(async () => {
        const { port, socket } = openNow(open)
        const got: Array<string> = []
        const arrive = (...texts: Array<string>) => {
          for (const text of texts) port.arriveMessage(framesOf(head, text))
        }
        arrive("0")
        return {
          program: Effect.gen(function* () {
            while (got.length < 4) {
              const before = got.length
              const texts = textsOf(yield* receive(socket))
              if (typeof texts === "string") got.push(texts)
              else got.push(...texts)
              if (got.length === before) yield* Effect.yieldNow
            }
          }),
          script: async () => {
            await turns(3)
            arrive("1")
            await turns()
            arrive("2", "3")
          },
          check: async ({ moment, step }) => {
            const left = await Effect.runPromise(drain(socket) as Effect.Effect<ReadonlyArray<string>>)
            const where = `interrupted ${moment} at step ${step}`
            const messages = [...got, ...left].map((text) => `${head}|${text}`)
            expect({ where, messages }).toEqual({ where, messages: port.offered })
            expect(port.violations).toEqual([])
          }
        }
      })
      expect(steps).toBeGreaterThan(10)
    })
  }
})

// -----------------------------------------------------------------------------
// ends, and wrong use
// -----------------------------------------------------------------------------

describe("Closing", () => {
  it.live("fails who waits, hands over what is there, and then says Closed", () =>
    Effect.promise(async () => {
      const { close, port, socket } = openNow(Draft.server())
      port.arriveMessage(framesOf(idOf(1), "a"))
      port.arriveMessage(framesOf(idOf(1), "b"))
      expect((await Effect.runPromise(socket.recvString)).data).toBe("a")
      await turns()
      await close()
      expect(await Effect.runPromise(socket.recvString)).toEqual({ routingId: 1, data: "b" })
      for (const end of [socket.recv, socket.tryRecv, socket.drain, Stream.runDrain(socket.messages)]) {
        expect(await Effect.runPromise(outcome(end as Effect.Effect<unknown, Zmq.Closed>))).toBe("Closed")
      }
      for (const end of [socket.send(Draft.RoutingId(1), "x"), socket.trySend(Draft.RoutingId(1), "x")]) {
        expect(await Effect.runPromise(outcome(end as Effect.Effect<unknown, Zmq.Closed>))).toBe("Closed")
      }
    })
  )

  it.live("of joins and endpoints", () =>
    Effect.gen(function* () {
      const dish = yield* Effect.scoped(Draft.dish({ join: "a" }))
      expect(yield* outcome(Effect.scoped(dish.join("b")))).toBe("Closed")
      expect(yield* outcome(dish.leave("a"))).toBe("Closed")
      expect(yield* outcome(Effect.scoped(dish.bind("udp://127.0.0.1:5555")))).toBe("Closed")
    })
  )
})

describe("Wrong use", () => {
  /** The error, and what it says. */
  const told = <A, E extends { readonly _tag: string }, R>(self: Effect.Effect<A, E, R>) =>
    Effect.map(Effect.exit(self), (exit) => {
      const failure = Exit.isFailure(exit) ? failureOf(exit) : undefined
      return failure === undefined
        ? String(exit)
        : `${failure._tag} ${(failure as { reason?: string }).reason ?? ""}`.trim()
    })

  it.live("a message that is none is not sent", () =>
    Effect.gen(function* () {
      const server = yield* Draft.server({ bind: freshEndpoint("inproc") })
      const client = yield* Draft.client({ connect: boundTo(server) })
      yield* client.send("hello")
      const { routingId } = yield* server.recv
      const gather = yield* Draft.gather({ bind: freshEndpoint("inproc") })
      const scatter = yield* Draft.scatter({ connect: boundTo(gather) })
      const radio = yield* Draft.radio({ connect: yield* udp })
      const datagram = yield* Draft.datagram({ bind: yield* udp })
      const to = addressOf(datagram)
      const big = Buffer.alloc(8193)
      const attempts: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>> = [
        client.send(["two", "frames"]),
        client.trySend(["two", "frames"]),
        client.sendAll([["two", "frames"]]),
        client.send([] as never),
        client.send(1 as never),
        client.sendJson(undefined),
        scatter.send(["two", "frames"]),
        Stream.run(Stream.make(["two", "frames"] as const), scatter.sink),
        server.send(routingId, ["a", "b"] as never),
        server.send(0 as Draft.RoutingId, "x"),
        server.send(1.5 as Draft.RoutingId, "x"),
        server.send((2 ** 32) as Draft.RoutingId, "x"),
        server.send("1" as never, "x"),
        server.trySend(-1 as Draft.RoutingId, "x"),
        server.sendJson(routingId, 1n),
        server.sendAll([{ routingId, data: 1 as never }]),
        radio.send("a\0b", "x"),
        radio.send("g".repeat(15), "x"),
        radio.send("é".repeat(8), "x"),
        radio.send(undefined as never, "x"),
        radio.send("a", Buffer.alloc(8191)),
        radio.trySend("a", "x".repeat(8191)),
        radio.sendAll([{ group: "a", data: big }]),
        Stream.run(Stream.make({ group: "a", data: big }), radio.sink),
        datagram.send(to, big),
        datagram.send(to, "é".repeat(4097)),
        ...[
          "",
          "127.0.0.1",
          "127.0.0.1:0",
          "127.0.0.1:65536",
          "localhost:5555",
          "[::1]:5555",
          `${to}:1`,
          `${to}\0`
        ].map((address) => datagram.send(address, "x"))
      ]
      for (const [i, attempt] of attempts.entries()) expect(`${i} ${yield* told(attempt)}`).toBe(`${i} EncodeError`)
      yield* client.send("after")
      expect((yield* server.recvString).data).toBe("after")
      expect(yield* client.drain).toEqual([])
      expect(yield* gather.drain).toEqual([])
      // Larger ones are fine where there is no udp.
      const other = yield* Draft.radio({ bind: freshEndpoint("tcp") })
      yield* other.send("a", Buffer.alloc(100_000))
    })
  )

  it.live("a routing id of nobody", () =>
    Effect.gen(function* () {
      const server = yield* Draft.server({ bind: freshEndpoint("tcp") })
      const gone = yield* Effect.scoped(
        Effect.gen(function* () {
          const client = yield* Draft.client({ connect: boundTo(server) })
          yield* client.send("bye")
          return (yield* server.recv).routingId
        })
      )
      yield* until(Effect.map(outcome(server.send(gone, "x")), (end) => end === "Unroutable"))
      const error = yield* Effect.flip(server.send(Draft.RoutingId(0xfffffffe), "x"))
      expect(error).toMatchObject({ _tag: "Unroutable", routingId: Buffer.from([255, 255, 255, 254]) })
      expect(error.message).toContain("0xfffffffe")
      expect(yield* outcome(server.sendAll([{ routingId: gone, data: "x" }]))).toBe("Unroutable")
      expect(() => Draft.RoutingId(0)).toThrow()
      expect(Draft.RoutingId.option(2 ** 32)).toEqual(Option.none())
    })
  )

  it.live("a message of another shape belongs to its error", () =>
    Effect.gen(function* () {
      const { port, socket } = openNow(Draft.dish())
      for (const text of ["{", "next"]) port.arriveMessage(framesOf("group", text))
      const error = yield* Effect.flip(socket.recvJson)
      expect(error._tag === "DecodeError" && error.frames.map(String)).toEqual(["group", "{"])
      expect((yield* socket.recvString).data).toBe("next")
    })
  )

  it.live("groups that are none", () =>
    Effect.gen(function* () {
      const dish = yield* Draft.dish()
      for (const group of ["a\0", "g".repeat(15), "é".repeat(8), 1 as never]) {
        expect(yield* told(Effect.scoped(dish.join(group)))).toBe("OptionError")
        expect(yield* told(dish.leave(group))).toBe("OptionError")
        expect(yield* told(Effect.scoped(Draft.dish({ join: group })))).toBe("OptionError")
      }
    })
  )

  it.live("endpoints that a type cannot have", () =>
    Effect.gen(function* () {
      const [free, taken] = [yield* udp, yield* udp]
      const holder = createSocket("udp4")
      yield* Effect.callback<void>((resume) => {
        holder.bind(Number(taken.split(":").at(-1)), "127.0.0.1", () => resume(Effect.void))
      })
      const cases: ReadonlyArray<readonly [Effect.Effect<Zmq.Socket, Zmq.SocketError, Scope.Scope>, string]> = [
        [Zmq.pull({ bind: free }), "BindError UnsupportedTransport"],
        [Draft.server({ bind: free }), "BindError UnsupportedTransport"],
        [Draft.client({ connect: free }), "ConnectError UnsupportedTransport"],
        [Draft.gather({ bind: free }), "BindError UnsupportedTransport"],
        [Draft.radio({ bind: free }), "BindError IncompatibleTransport"],
        [Draft.dish({ connect: free }), "ConnectError IncompatibleTransport"],
        [Draft.datagram({ bind: "tcp://127.0.0.1:*" }), "BindError UnsupportedTransport"],
        [Draft.datagram({ bind: [free, yield* udp] as never }), "BindError AddressInUse"],
        [Draft.datagram({ connect: free } as never), "OptionError"],
        [Draft.datagram({ ipv6: true } as never), "OptionError"],
        [Draft.gather({ conflate: true } as never), "OptionError"],
        [Draft.radio({ maxMessageSize: 1 } as never), "OptionError"],
        [Draft.dish({ bind: taken }), "BindError AddressInUse"],
        [Draft.datagram({ bind: taken }), "BindError AddressInUse"],
        [Draft.datagram({ bind: "udp://192.0.2.1:5555" }), "BindError AddressNotAvailable"],
        [Draft.dish({ bind: "udp://nosuchif:5555" }), "BindError AddressNotAvailable"],
        [Draft.radio({ connect: "udp://no.such.host.invalid:5555" }), "ConnectError HostNotFound"],
        ...[
          "udp://127.0.0.1:*",
          "udp://127.0.0.1:0",
          "udp://127.0.0.1",
          "udp://[::1]:5555",
          "udp://*:99999",
          "udp://999.1.1.1:5555",
          "udp://lo;127.0.0.1:5555",
          "udp://a b;239.0.0.1:5555"
        ].map((endpoint) => [Draft.dish({ bind: endpoint }), "BindError InvalidEndpoint"] as const),
        ...["udp://*:5555", "udp://[::1]:5555", "udp://127.0.0.1:*", "udp://"].map(
          (endpoint) => [Draft.radio({ connect: endpoint }), "ConnectError InvalidEndpoint"] as const
        )
      ]
      for (const [i, [open, expected]] of cases.entries()) {
        expect(`${i} ${yield* told(Effect.scoped(open))}`).toBe(`${i} ${expected}`)
      }
      const dish = yield* Draft.dish()
      expect(yield* told(Effect.scoped(dish.bind(taken)))).toBe("BindError AddressInUse")
      yield* Effect.scoped(dish.bind(free))
      holder.close()
    })
  )

  it("does not compile", () => {
    const _types = (server: Draft.Server, radio: Draft.Radio, dish: Draft.Dish, gather: Draft.Gather) => {
      // @ts-expect-error a number is not a routing id
      server.send(1, "x")
      // @ts-expect-error a RADIO does not receive
      radio.recv
      // @ts-expect-error a DISH does not send
      dish.send("a", "x")
      // @ts-expect-error nor does a GATHER
      gather.send("x")
      // @ts-expect-error one frame
      radio.send("a", ["x", "y"])
    }
    expectTypeOf<Draft.Server["recv"]>().toEqualTypeOf<
      Effect.Effect<Draft.Peer & Draft.Data<Buffer>, Zmq.Again | Zmq.Closed>
    >()
    expectTypeOf<ReturnType<Draft.Server["send"]>>().toEqualTypeOf<
      Effect.Effect<void, Zmq.Again | Zmq.Closed | Zmq.EncodeError | Zmq.Unroutable>
    >()
    expectTypeOf<ReturnType<Draft.Radio["send"]>>().toEqualTypeOf<
      Effect.Effect<void, Zmq.Again | Zmq.Closed | Zmq.EncodeError>
    >()
    expectTypeOf<Zmq.Services<Draft.Client>>().toEqualTypeOf<Zmq.Socket | Zmq.Receiver | Zmq.Sender>()
    expectTypeOf<Zmq.Services<Draft.Server>>().toEqualTypeOf<Zmq.Socket>()
  })
})

// -----------------------------------------------------------------------------
// the process
// -----------------------------------------------------------------------------

describe("What waits does not spin", () => {
  it.live("is looked at less often, the longer nothing comes", () =>
    Effect.gen(function* () {
      let looks = 0
      const one = watch(new Pace(), () => {
        looks++
        return false
      })
      yield* pause(250)
      looks = 0
      yield* pause(1000)
      unwatch(one)
      // A slow machine only looks less often.
      expect(looks).toBeGreaterThan(0)
      expect(looks).toBeLessThan(80)
      const before = looks
      yield* pause(50)
      expect(looks).toBe(before)
    })
  )

  // On zeromq.js alone the event loop goes round all the time from its first event on.
  const idle: Record<string, Effect.Effect<Effect.Effect<unknown, unknown>, unknown, Scope.Scope>> = {
    "SERVER and CLIENT that have talked": Effect.gen(function* () {
      const server = yield* Draft.server({ bind: freshEndpoint("tcp") })
      const client = yield* Draft.client({ connect: boundTo(server) })
      yield* client.send("x")
      yield* server.send((yield* server.recv).routingId, "x")
      yield* client.recv
      return Effect.all([server.recv, client.recv], { concurrency: 2 })
    }),
    "DISH and GATHER that have peers": Effect.gen(function* () {
      const dish = yield* Draft.dish({ bind: [freshEndpoint("tcp"), yield* udp], join: "a" })
      const radio = yield* Draft.radio({ connect: boundTo(dish) })
      yield* radio.awaitConnected
      const gather = yield* Draft.gather({ bind: freshEndpoint("tcp") })
      const scatter = yield* Draft.scatter({ connect: boundTo(gather) })
      yield* scatter.send("x")
      yield* gather.recv
      return Effect.all([dish.recv, gather.recv], { concurrency: 2 })
    }),
    "DGRAM, and sends that wait for peers": Effect.gen(function* () {
      const datagram = yield* Draft.datagram({ bind: yield* udp })
      yield* datagram.send(addressOf(datagram), "x")
      yield* datagram.recv
      const [client, scatter, unbound] = yield* Effect.all([Draft.client(), Draft.scatter(), Draft.datagram()])
      return Effect.all([datagram.recv, client.send("x"), scatter.send("x"), unbound.send("127.0.0.1:9", "x")], {
        concurrency: 4
      })
    })
  }
  for (const [name, open] of Object.entries(idle)) {
    it.live(name, () =>
      Effect.gen(function* () {
        const waiting = yield* Effect.forkScoped(yield* open)
        yield* pause(250)
        const started = performance.now()
        const before = performance.nodeTiming.uvMetricsInfo.loopCount
        yield* pause(1000)
        const loops = performance.nodeTiming.uvMetricsInfo.loopCount - before
        // A slow machine only goes round less often.
        expect(loops / (performance.now() - started)).toBeLessThan(0.2)
        expect(waiting.pollUnsafe()).toBe(undefined)
      })
    )
  }
})

it("nobody who opens no draft socket is warned, and who does is", { timeout: 120_000 }, async () => {
  const ended = async (program: string) =>
    Effect.runPromise(runCommand(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program]))
  const load = `import { Effect } from "effect"; import { Draft, Zmq } from "./src/index.ts"; console.log(typeof Draft.server);`
  const open = (type: string) => `await Effect.runPromise(Effect.scoped(${type}()));`
  expect(await ended(load + open("Zmq.pull"))).toMatchObject({ code: 0, stdout: "function\n", stderr: "" })
  const warned = await ended(load + open("Draft.server") + open("Draft.client"))
  expect(warned.code).toBe(0)
  expect(warned.stderr.match(/draft features are experimental/g)).toHaveLength(1)
})

describe("The process survives", () => {
  const scenarios = [
    "packets of nonsense",
    "a group that is too long",
    "messages of several frames",
    "packets that are too large",
    "addresses that lead nowhere",
    "bad options",
    "opened 500 times",
    "closed while all wait",
    "closed over inproc",
    "curve",
    "worker thread"
  ]
  const run = (...args: Array<string>) =>
    runCommand(process.execPath, ["--no-warnings", ...nodeArguments("drafts.ts"), ...args])

  it.live("everything that can happen to it", () =>
    Effect.gen(function* () {
      expect((yield* run()).stdout.trim().split("\n")).toEqual(scenarios)
    })
  )
  for (const scenario of scenarios) {
    it.live(
      scenario,
      () =>
        Effect.gen(function* () {
          expect(yield* run(scenario)).toMatchObject({ code: 0, signal: null, stdout: "survived\n", stderr: "" })
        }),
      120_000
    )
  }
})
