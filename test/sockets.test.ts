/** The twelve socket types over every transport, and each operation of theirs. */
import { createConnection, type Socket as TcpSocket } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Option, Schema, Scope, Stream } from "effect"
import { Zmq } from "effect-zmq"
import {
  boundTo,
  failureOf,
  freshEndpoint,
  nextTurn,
  numbers,
  outcome,
  texts,
  transports,
  until,
  whenFree
} from "./support/sockets.ts"

/** Publishes until the subscriber gets it, so that its subscriptions are known to have arrived. */
const untilSubscribed = (publisher: Zmq.Pub | Zmq.XPub, subscriber: Zmq.Receiver, topic: string) =>
  until(
    Effect.gen(function* () {
      yield* publisher.send(topic)
      yield* nextTurn
      return (yield* subscriber.drain).length > 0
    })
  )

const subscription = (message: Zmq.Message): string => `${message[0][0]}${message[0].subarray(1)}`

for (const transport of transports) {
  describe(`over ${transport}`, () => {
    it.effect("PUSH to PULL: all messages, in order, frames and bytes intact", () =>
      Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: freshEndpoint(transport) })
        const push = yield* Zmq.push({ connect: boundTo(pull) })
        yield* push.sendAll(numbers(0, 500).map(String))
        for (const number of numbers(0, 500)) expect(yield* pull.recvString).toBe(`${number}`)
        const large = Buffer.alloc(300_000, "x")
        yield* push.send(["text", "", Buffer.from([0, 255, 0]), large])
        const message = yield* pull.recv
        expect(message.map((frame) => frame.length)).toEqual([4, 0, 3, large.length])
        expect(message[2]).toEqual(Buffer.from([0, 255, 0]))
        expect(large.equals(message[3]!)).toBe(true)
      })
    )

    it.effect("PUSH deals out to its PULL peers in turn", () =>
      Effect.gen(function* () {
        const pulls = [yield* Zmq.pull({ bind: freshEndpoint(transport) })]
        pulls.push(yield* Zmq.pull({ bind: freshEndpoint(transport) }))
        const push = yield* Zmq.push({ connect: pulls.map(boundTo) })
        yield* push.sendAll(numbers(0, 10).map(String))
        for (const pull of pulls) {
          const got = yield* Effect.all(numbers(0, 5).map(() => pull.recvString))
          expect(got.map(Number).map((number) => number % 2)).toEqual(Array(5).fill(Number(got[0]) % 2))
        }
      })
    )

    it.effect("PUB to SUB: a message reaches who subscribed to how it begins", () =>
      Effect.gen(function* () {
        const pub = yield* Zmq.pub({ bind: freshEndpoint(transport) })
        const weather = yield* Zmq.sub({ connect: boundTo(pub), subscribe: ["weather.", "sync"] })
        const all = yield* Zmq.sub({ connect: boundTo(pub), subscribe: "" })
        yield* untilSubscribed(pub, weather, "sync")
        yield* untilSubscribed(pub, all, "sync")
        for (const message of ["news.a", "weather.a", "weather", "weather.b"]) yield* pub.send([message, "body"])
        yield* pub.send("sync.end")
        // What `untilSubscribed` sent last may still be on its way.
        const topicsOf = (socket: Zmq.Sub) =>
          socket.messages.pipe(
            Stream.map(([topic]) => `${topic}`),
            Stream.takeWhile((topic) => topic !== "sync.end"),
            Stream.filter((topic) => topic !== "sync"),
            Stream.runCollect
          )
        expect(yield* topicsOf(weather)).toEqual(["weather.a", "weather.b"])
        expect(yield* topicsOf(all)).toEqual(["news.a", "weather.a", "weather", "weather.b"])
      })
    )

    it.effect("SUB to XPUB: a subscription ends with its scope, and one of two leaves the other", () =>
      Effect.gen(function* () {
        const xpub = yield* Zmq.xpub({ bind: freshEndpoint(transport), verbosity: null })
        const sub = yield* Zmq.sub({ connect: boundTo(xpub), subscribe: "end" })
        expect(subscription(yield* xpub.recv)).toBe("1end")

        const outer = yield* Scope.make()
        const inner = yield* Scope.make()
        yield* Scope.provide(sub.subscribe("a"), outer)
        expect(subscription(yield* xpub.recv)).toBe("1a")
        yield* Scope.provide(sub.subscribe("a"), inner)
        yield* Scope.close(inner, Exit.void)
        // Still subscribed once. What comes of it is known when the next one arrives.
        yield* sub.subscribe("b")
        expect(subscription(yield* xpub.recv)).toBe("1b")
        yield* xpub.send("a1")
        expect(yield* sub.recvString).toBe("a1")

        yield* Scope.close(outer, Exit.void)
        expect(subscription(yield* xpub.recv)).toBe("0a")
        yield* xpub.send("a2")
        yield* xpub.send("b2")
        expect(yield* sub.recvString).toBe("b2")

        yield* sub.unsubscribe("b")
        expect(subscription(yield* xpub.recv)).toBe("0b")
        yield* sub.unsubscribe("b")
        yield* sub.unsubscribe("never subscribed")
        yield* xpub.send("b3")
        yield* xpub.send("end")
        expect(yield* sub.recvString).toBe("end")
      })
    )

    it.effect("XSUB to XPUB: subscriptions as an option, in a scope and by hand, and messages upstream", () =>
      Effect.gen(function* () {
        const xpub = yield* Zmq.xpub({ bind: freshEndpoint(transport) })
        const xsub = yield* Zmq.xsub({ connect: boundTo(xpub), subscribe: ["a", Buffer.from([7, 0, 7])] })
        expect(subscription(yield* xpub.recv)).toBe("1a")
        expect((yield* xpub.recv)[0]).toEqual(Buffer.from([1, 7, 0, 7]))
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* xsub.subscribe("scoped")
            expect(subscription(yield* xpub.recv)).toBe("1scoped")
            yield* xpub.send(["scoped", "x"])
            expect(texts(yield* xsub.recv)).toEqual(["scoped", "x"])
          })
        )
        expect(subscription(yield* xpub.recv)).toBe("0scoped")
        yield* xsub.unsubscribe("a")
        expect(subscription(yield* xpub.recv)).toBe("0a")
        yield* xsub.send("upstream")
        expect(yield* xpub.recvString).toBe("upstream")
      })
    )

    it.effect("REQ to REP: by hand, by request and by serve", () =>
      Effect.gen(function* () {
        const rep = yield* Zmq.rep({ bind: freshEndpoint(transport) })
        const req = yield* Zmq.req({ connect: boundTo(rep) })
        yield* req.send(["hello", "there"])
        expect(yield* rep.recvStrings).toEqual(["hello", "there"])
        yield* rep.send(["good", "day"])
        expect(yield* req.recvStrings).toEqual(["good", "day"])

        yield* Effect.forkScoped(rep.serve((request) => Effect.succeed([...request, "served"])))
        for (const number of numbers(0, 50)) {
          expect(texts(yield* req.request(`${number}`))).toEqual([`${number}`, "served"])
        }
        const many = yield* Effect.all(
          numbers(0, 20).map((number) => Effect.map(req.request(`${number}`), texts)),
          { concurrency: "unbounded" }
        )
        expect(many).toEqual(numbers(0, 20).map((number) => [`${number}`, "served"]))
      })
    )

    it.effect("REQ to ROUTER: served with the routing id of the client", () =>
      Effect.gen(function* () {
        const router = yield* Zmq.router({ bind: freshEndpoint(transport) })
        yield* Effect.forkScoped(
          router.serve((request, { routingId }) => Effect.succeed([`${routingId}`, ...request]), { concurrency: 4 })
        )
        const clients = yield* Effect.forEach(["ann", "bob"], (routingId) =>
          Zmq.req({ connect: boundTo(router), routingId })
        )
        expect(texts(yield* clients[0]!.request("one"))).toEqual(["ann", "one"])
        expect(texts(yield* clients[1]!.request(["two", ""]))).toEqual(["bob", "two", ""])
      })
    )

    it.effect("DEALER to ROUTER: served whatever the envelope, which goes back with the reply", () =>
      Effect.gen(function* () {
        const router = yield* Zmq.router({ bind: freshEndpoint(transport) })
        const dealer = yield* Zmq.dealer({ connect: boundTo(router), routingId: "ann" })
        const served: Array<unknown> = []
        yield* Effect.forkScoped(
          router.serve((request, { routingId }) => {
            served.push([`${routingId}`, ...texts(request)])
            return Effect.succeed(["re", ...request])
          })
        )
        // [the envelope, the request]: without an empty frame before it, all is the request.
        const requests: ReadonlyArray<readonly [Array<string>, Array<string>]> = [
          [[], ["question"]],
          [[], [""]],
          [[], ["question", ""]],
          [[], ["a", "longer", "question", ""]],
          [[""], ["question"]],
          [[""], [""]],
          [[""], ["", ""]],
          [[""], ["question", "", "more", ""]],
          [["hop", ""], ["question"]],
          [["hop", ""], [""]],
          [
            ["hop", ""],
            ["question", ""]
          ],
          [["hop", "hop", ""], ["question"]]
        ]
        for (const [envelope, request] of requests) {
          yield* dealer.send([...envelope, ...request] as [string, ...Array<string>])
          expect(texts(yield* dealer.recv)).toEqual([...envelope, "re", ...request])
          expect(served.pop()).toEqual(["ann", ...request])
        }
        expect(served).toEqual([])
      })
    )

    it.effect("DEALER to REP: enveloped by hand, and by request", () =>
      Effect.gen(function* () {
        const rep = yield* Zmq.rep({ bind: freshEndpoint(transport) })
        const dealer = yield* Zmq.dealer({ connect: boundTo(rep) })
        yield* dealer.send(["", "by hand"])
        expect(yield* rep.recvString).toBe("by hand")
        yield* rep.send("reply")
        expect(texts(yield* dealer.recv)).toEqual(["", "reply"])
        yield* Effect.forkScoped(rep.serve(([body]) => Effect.succeed(`re ${body}`)))
        expect(texts(yield* dealer.request("one"))).toEqual(["re one"])
      })
    )

    it.effect("DEALER to ROUTER: 64 requests in flight, answered out of order", () =>
      Effect.gen(function* () {
        const router = yield* Zmq.router({ bind: freshEndpoint(transport) })
        const dealer = yield* Zmq.dealer({ connect: boundTo(router) })
        const all = yield* Deferred.make<void>()
        let inFlight = 0
        yield* Effect.forkScoped(
          router.serve(
            ([body]) =>
              Effect.gen(function* () {
                if (++inFlight === 64) yield* Deferred.succeed(all, undefined)
                yield* Deferred.await(all)
                for (let turns = 64 - Number(body); turns > 0; turns--) yield* Effect.yieldNow
                return `re ${body}`
              }),
            { concurrency: 64 }
          )
        )
        const replies = yield* Effect.all(
          numbers(0, 64).map((number) => Effect.map(dealer.request(`${number}`), ([reply]) => `${reply}`)),
          { concurrency: 64 }
        )
        expect(replies).toEqual(numbers(0, 64).map((number) => `re ${number}`))
      })
    )

    it.effect("DEALER to ROUTER: each peer by its routing id", () =>
      Effect.gen(function* () {
        const router = yield* Zmq.router({ bind: freshEndpoint(transport) })
        const ann = yield* Zmq.dealer({ connect: boundTo(router), routingId: "ann" })
        const bob = yield* Zmq.dealer({ connect: boundTo(router), routingId: Buffer.from([1, 0, 2]) })
        yield* ann.send(["from", "ann"])
        yield* bob.send("from bob")
        const ids = [(yield* router.recv)[0], (yield* router.recv)[0]]
        expect(ids.map((id) => id.toString("hex")).toSorted()).toEqual(["010002", Buffer.from("ann").toString("hex")])
        yield* router.send([Buffer.from([1, 0, 2]), "to bob"])
        yield* router.send(["ann", "to ann"])
        expect(yield* bob.recvString).toBe("to bob")
        expect(yield* ann.recvString).toBe("to ann")
      })
    )

    it.effect("PAIR to PAIR, both ways at once", () =>
      Effect.gen(function* () {
        const left = yield* Zmq.pair({ bind: freshEndpoint(transport) })
        const right = yield* Zmq.pair({ connect: boundTo(left) })
        const sent = numbers(0, 300).map(String)
        const receive = (socket: Zmq.Pair) => Stream.runCollect(Stream.take(socket.strings, sent.length))
        const [, , atRight, atLeft] = yield* Effect.all(
          [left.sendAll(sent), right.sendAll(sent), receive(right), receive(left)],
          { concurrency: "unbounded" }
        )
        expect(atRight).toEqual(sent)
        expect(atLeft).toEqual(sent)
      })
    )
  })
}

const connectTcp = (endpoint: string) =>
  Effect.acquireRelease(
    Effect.callback<TcpSocket>((resume) => {
      const client = createConnection(Number(endpoint.slice(endpoint.lastIndexOf(":") + 1)), "127.0.0.1", () =>
        resume(Effect.succeed(client))
      )
    }),
    (client) => Effect.sync(() => client.destroy())
  )

describe("STREAM", () => {
  it.effect("talks to a plain TCP client, and tells when it comes and goes", () =>
    Effect.gen(function* () {
      const server = yield* Zmq.rawStream({ bind: freshEndpoint("tcp") })
      const client = yield* connectTcp(boundTo(server))
      const received: Array<string> = []
      let ended = false
      client.setEncoding("utf8").on("data", (data: string) => received.push(data))
      client.on("end", () => {
        ended = true
      })
      const [id, connected] = yield* server.recv
      expect([id.length, connected?.length]).toEqual([5, 0])

      client.write("GET / HTTP/1.0\r\n\r\n")
      let request = ""
      while (!request.endsWith("\r\n\r\n")) {
        const [from, data] = yield* server.recv
        expect(from).toEqual(id)
        request += data
      }
      expect(request).toBe("GET / HTTP/1.0\r\n\r\n")
      yield* server.send([id, "HTTP/1.0 204 No Content\r\n\r\n"])
      yield* server.send([id, ""])
      // libzmq ends the connection in its next operation on the socket.
      const waiting = yield* Effect.forkChild(server.recv)
      yield* until(Effect.sync(() => ended))
      yield* Fiber.interrupt(waiting)
      expect(received.join("")).toBe("HTTP/1.0 204 No Content\r\n\r\n")
      expect(yield* outcome(server.send([id, "too late"]))).toBe("Unroutable")
    })
  )

  it.effect("gives what comes in pieces of at most 8 KiB, so that a high-water mark says how much that is", () =>
    Effect.gen(function* () {
      const server = yield* Zmq.rawStream({ bind: freshEndpoint("tcp") })
      const client = yield* connectTcp(boundTo(server))
      yield* server.recv
      const bytes = Buffer.alloc(1 << 20, "0123456789")
      client.write(bytes)
      const pieces: Array<Buffer> = []
      for (let length = 0; length < bytes.length; length += pieces.at(-1)!.length) {
        const [, piece] = yield* server.recv
        pieces.push(piece!)
      }
      expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
      expect(Math.max(...pieces.map(({ length }) => length))).toBe(8192)
    })
  )

  it.effect("STREAM sends one frame to a peer: with more libzmq would lose what follows", () =>
    Effect.gen(function* () {
      const server = yield* Zmq.rawStream({ bind: freshEndpoint("tcp") })
      const client = yield* Zmq.rawStream({ connect: boundTo(server) })
      const [id] = yield* server.recv
      expect(yield* outcome(server.send([id, "a", "b"]))).toBe("EncodeError")
      expect(
        yield* outcome(
          server.sendAll([
            [id, "c"],
            [id, "d", "e"]
          ])
        )
      ).toBe("EncodeError")
      yield* server.send([id, "f"])
      let text = ""
      while (text !== "cf") text += (yield* client.recv)[1]
    })
  )

  it.effect("hears nothing of comings and goings without `notify`", () =>
    Effect.gen(function* () {
      const server = yield* Zmq.rawStream({ bind: freshEndpoint("tcp"), notify: false })
      const client = yield* connectTcp(boundTo(server))
      client.end("data")
      expect((yield* server.recv)[1]?.toString()).toBe("data")
    })
  )
})

/** A PULL and a PUSH that is connected to it. */
const pipeline = (options: Zmq.PullOptions = {}) =>
  Effect.gen(function* () {
    const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc"), ...options })
    const push = yield* Zmq.push({ connect: boundTo(pull) })
    return { pull, push }
  })

const Job = Schema.Struct({ id: Schema.Number, at: Schema.Date })
const job = { id: 7, at: new Date(0) }

describe("receiving", () => {
  it.effect("recv, recvString, recvStrings, recvJson and recvSchema", () =>
    Effect.gen(function* () {
      const { pull, push } = yield* pipeline()
      yield* push.send(["a", Buffer.from("b")])
      expect(texts(yield* pull.recv)).toEqual(["a", "b"])
      yield* push.send("grüße")
      expect(yield* pull.recvString).toBe("grüße")
      yield* push.send(["ä", "", "b"])
      expect(yield* pull.recvStrings).toEqual(["ä", "", "b"])
      yield* push.sendJson({ a: [1, null] })
      expect(yield* pull.recvJson).toEqual({ a: [1, null] })
      yield* push.sendSchema(Job)(job)
      expect(yield* pull.recvSchema(Job)).toEqual(job)
      yield* push.send(new Uint8Array([1, 2, 3]).subarray(1))
      expect(yield* pull.recv).toEqual([Buffer.from([2, 3])])
      yield* push.send("")
      expect(yield* pull.recvString).toBe("")
    })
  )

  it.effect("tryRecv and drain never wait, and have what is there", () =>
    Effect.gen(function* () {
      const { pull, push } = yield* pipeline()
      expect(yield* pull.tryRecv).toEqual(Option.none())
      expect(yield* pull.drain).toEqual([])
      yield* push.sendAll(["1", "2", "3", "4"])
      expect(Option.map(yield* pull.tryRecv, texts)).toEqual(Option.some(["1"]))
      expect(yield* pull.recvString).toBe("2")
      expect((yield* pull.drain).map(texts)).toEqual([["3"], ["4"]])
      expect(yield* pull.tryRecv).toEqual(Option.none())
    })
  )

  it.effect("tryRecv and drain see what came while a receive was waiting", () =>
    Effect.gen(function* () {
      const { pull, push } = yield* pipeline()
      const waiting = yield* Effect.forkChild(pull.recvString, { startImmediately: true })
      yield* nextTurn
      yield* Fiber.interrupt(waiting)
      yield* push.sendAll(["1", "2"])
      expect(Option.map(yield* pull.tryRecv, texts)).toEqual(Option.some(["1"]))
      expect((yield* pull.drain).map(texts)).toEqual([["2"]])
    })
  )

  it.effect("drain empties a queue larger than the mailbox", () =>
    Effect.gen(function* () {
      const { pull, push } = yield* pipeline({ receiveHighWaterMark: 0 })
      yield* push.sendAll(numbers(0, 3000).map(String))
      const drained: Array<string> = []
      while (drained.length < 3000) for (const message of yield* pull.drain) drained.push(...texts(message))
      expect(drained).toEqual(numbers(0, 3000).map(String))
    })
  )

  it.effect("messages, strings and stream(schema)", () =>
    Effect.gen(function* () {
      const { pull, push } = yield* pipeline()
      yield* push.send(["a", "b"])
      yield* push.send("c")
      yield* push.sendSchema(Job)(job)
      expect((yield* Stream.runCollect(Stream.take(pull.messages, 1))).map(texts)).toEqual([["a", "b"]])
      expect(yield* Stream.runCollect(Stream.take(pull.strings, 1))).toEqual(["c"])
      expect(yield* Stream.runCollect(Stream.take(pull.stream(Job), 1))).toEqual([job])
      expect(yield* pull.drain).toEqual([])
    })
  )

  it.effect("a stream interrupted in the middle of an element gives it back", () =>
    Effect.gen(function* () {
      const { pull, push } = yield* pipeline()
      yield* push.sendAll(["1", "2", "3"])
      const handling = yield* Deferred.make<void>()
      const consumer = yield* Effect.forkChild(
        Stream.runForEach(pull.strings, (text) =>
          text === "2" ? Effect.andThen(Deferred.succeed(handling, undefined), Effect.never) : Effect.void
        )
      )
      yield* Deferred.await(handling)
      yield* Fiber.interrupt(consumer)
      expect((yield* pull.drain).map(texts)).toEqual([["2"], ["3"]])
    })
  )

  it.effect("runForEach settles each message by its own handler", () =>
    Effect.gen(function* () {
      const { pull, push } = yield* pipeline()
      yield* push.sendAll(numbers(0, 20).map(String))
      const done: Array<string> = []
      const stuck = yield* Deferred.make<void>()
      const consumer = yield* Effect.forkChild(
        pull.runForEach(
          ([frame]) => {
            const text = `${frame}`
            return text === "3" || text === "7" ? Effect.never : Effect.sync(() => done.push(text))
          },
          { concurrency: 4 }
        )
      )
      yield* until(Effect.sync(() => done.length === 18))
      yield* Deferred.succeed(stuck, undefined)
      yield* Fiber.interrupt(consumer)
      expect((yield* pull.drain).map(texts)).toEqual([["3"], ["7"]])
      expect(done.map(Number).toSorted((a, b) => a - b)).toEqual(numbers(0, 20).filter((n) => n !== 3 && n !== 7))
    })
  )

  it.effect("runForEach ends with the failure of a handler, whose message is received again", () =>
    Effect.gen(function* () {
      const { pull, push } = yield* pipeline()
      yield* push.sendAll(["1", "2", "3"])
      const exit = yield* Effect.exit(
        pull.runForEach(([frame]) => (`${frame}` === "2" ? Effect.fail("no" as const) : Effect.void))
      )
      expect(failureOf(exit)).toBe("no")
      expect((yield* pull.drain).map(texts)).toEqual([["2"], ["3"]])
    })
  )

  // Effect interrupts as many fibers of a bounded `forEach` one within the other: its stack overflows.
  it.live.each(["interrupted while they wait", "interrupted", "stopped by one that fails"])(
    "as many handlers as there may be are %s, and no message is lost",
    (how) =>
      Effect.gen(function* () {
        const most = 1024
        const { pull, push } = yield* pipeline()
        const fails = yield* Deferred.make<never, "no">()
        let running = 0
        const consumer = yield* Effect.forkChild(
          pull.runForEach(
            () =>
              Effect.suspend(() => {
                running++
                return running === most / 2 ? Deferred.await(fails) : Effect.never
              }),
            { concurrency: most }
          )
        )
        yield* nextTurn
        if (how !== "interrupted while they wait") {
          yield* push.sendAll(numbers(0, most).map(String))
          yield* until(Effect.sync(() => running === most))
        }
        if (how === "stopped by one that fails") {
          yield* Deferred.fail(fails, "no")
          expect(failureOf(yield* Fiber.await(consumer))).toBe("no")
        } else yield* Fiber.interrupt(consumer)
        const left = (yield* pull.drain).map(String)
        expect(left).toEqual(numbers(0, running).map(String))
      })
  )

  it.live("fails with Again after receiveTimeout, and a stream does as well", () =>
    Effect.gen(function* () {
      const { pull, push } = yield* pipeline({ receiveTimeout: "5 millis" })
      expect(yield* outcome(pull.recv)).toBe("Again")
      expect(yield* outcome(Stream.runDrain(pull.messages))).toBe("Again")
      yield* push.send("still works")
      expect(yield* pull.recvString).toBe("still works")
    })
  )

  it.effect("with a receiveTimeout of 0 gives what is there, or Again", () =>
    Effect.gen(function* () {
      const { pull, push } = yield* pipeline({ receiveTimeout: 0 })
      expect(yield* outcome(pull.recv)).toBe("Again")
      yield* push.sendAll(["1", "2"])
      expect(yield* pull.recvString).toBe("1")
      expect(yield* pull.recvString).toBe("2")
      expect(yield* outcome(pull.recv)).toBe("Again")
    })
  )
})

describe("sending", () => {
  it.effect("send, sendJson, sendSchema, trySend, sendAll and sink", () =>
    Effect.gen(function* () {
      const { pull, push } = yield* pipeline()
      yield* push.send("a")
      yield* push.send(new Uint8Array([98]))
      yield* push.send(["c", Buffer.from("d")])
      yield* push.sendJson([1, "x"])
      yield* push.sendSchema(Job)(job)
      expect(yield* push.trySend("e")).toBe(true)
      yield* push.sendAll(new Set(["f", "g"]))
      yield* Stream.run(Stream.make("h", "i"), push.sink)
      expect((yield* pull.drain).map((message) => texts(message).join("|"))).toEqual([
        "a",
        "b",
        "c|d",
        '[1,"x"]',
        '{"id":7,"at":"1970-01-01T00:00:00.000Z"}',
        "e",
        "f",
        "g",
        "h",
        "i"
      ])
    })
  )

  it.live("without room: trySend says so, send waits and fails with Again after sendTimeout", () =>
    Effect.gen(function* () {
      const push = yield* Zmq.push({ bind: freshEndpoint("inproc"), sendTimeout: "5 millis" })
      expect(yield* push.trySend("nobody")).toBe(false)
      expect(yield* outcome(push.send("nobody"))).toBe("Again")
      expect(yield* outcome(push.sendAll(["nobody", "there"]))).toBe("Again")
      expect(yield* outcome(Stream.run(Stream.make("nobody"), push.sink))).toBe("Again")
      const pull = yield* Zmq.pull({ connect: boundTo(push) })
      yield* push.send("somebody")
      expect(yield* pull.recvString).toBe("somebody")
      expect(yield* pull.drain).toEqual([])
    })
  )

  it.effect("those who wait for room are served first come, first served", () =>
    Effect.gen(function* () {
      const push = yield* Zmq.push({ bind: freshEndpoint("inproc"), sendHighWaterMark: 1 })
      const fibers = yield* Effect.forEach(numbers(0, 50), (number) =>
        Effect.forkChild(push.send(`${number}`), { startImmediately: true })
      )
      yield* Fiber.interrupt(fibers[20]!)
      const pull = yield* Zmq.pull({ connect: boundTo(push), receiveHighWaterMark: 1 })
      const expected = numbers(0, 50).filter((number) => number !== 20)
      for (const number of expected) expect(yield* pull.recvString).toBe(`${number}`)
      yield* Fiber.awaitAll(fibers)
    })
  )

  it.effect("sendAll and sink wait for room in the middle, and lose nothing", () =>
    Effect.gen(function* () {
      const push = yield* Zmq.push({ bind: freshEndpoint("ipc"), sendHighWaterMark: 10 })
      const sent = numbers(0, 2000).map(String)
      yield* Effect.forkScoped(Effect.andThen(push.sendAll(sent), Stream.run(Stream.fromIterable(sent), push.sink)))
      const pull = yield* Zmq.pull({ connect: boundTo(push), receiveHighWaterMark: 10 })
      expect(yield* Stream.runCollect(Stream.take(pull.strings, 4000))).toEqual([...sent, ...sent])
    })
  )

  it.effect("a ROUTER peer without room holds up nobody else", () =>
    Effect.gen(function* () {
      const router = yield* Zmq.router({ bind: freshEndpoint("inproc"), sendHighWaterMark: 1 })
      const open = (routingId: string) =>
        Zmq.dealer({ connect: boundTo(router), routingId, receiveHighWaterMark: 1, probeRouter: true })
      const slow = yield* open("slow")
      const quick = yield* open("quick")
      yield* router.recv
      yield* router.recv
      const toSlow = yield* Effect.forkChild(router.sendAll(numbers(0, 20).map((n) => ["slow", `${n}`] as const)))
      for (const number of numbers(0, 20)) {
        yield* router.send(["quick", `${number}`])
        expect(yield* quick.recvString).toBe(`${number}`)
      }
      for (const number of numbers(0, 20)) expect(yield* slow.recvString).toBe(`${number}`)
      yield* Fiber.join(toSlow)
    })
  )

  it.effect("a send that waits for a ROUTER peer fails with Unroutable when the peer leaves", () =>
    Effect.gen(function* () {
      const router = yield* Zmq.router({ bind: freshEndpoint("inproc"), sendHighWaterMark: 1 })
      const scope = yield* Scope.make()
      const options = { connect: boundTo(router), routingId: "d", receiveHighWaterMark: 1, probeRouter: true }
      yield* Scope.provide(Zmq.dealer(options), scope)
      yield* router.recv
      while (yield* router.trySend(["d", "x"])) yield* Effect.void
      const waiting = yield* Effect.forkChild(outcome(router.send(["d", "x"])), { startImmediately: true })
      yield* nextTurn
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(waiting)).toBe("Unroutable")
    })
  )
})

describe("request and reply", () => {
  it.live("a request that was given up does not answer the next one", () =>
    Effect.gen(function* () {
      const rep = yield* Zmq.rep({ bind: freshEndpoint("tcp") })
      const req = yield* Zmq.req({ connect: boundTo(rep), receiveTimeout: "1 minute" })
      const first = yield* Effect.forkChild(req.request("first"))
      expect(yield* rep.recvString).toBe("first")
      yield* Fiber.interrupt(first)
      yield* rep.send("late reply")
      const second = yield* Effect.forkChild(req.request("second"))
      expect(yield* rep.recvString).toBe("second")
      yield* rep.send("reply")
      expect(texts(yield* Fiber.join(second))).toEqual(["reply"])
    })
  )

  it.live("a request fails with Again when no reply comes, and may be repeated", () =>
    Effect.gen(function* () {
      const router = yield* Zmq.router({ bind: freshEndpoint("inproc") })
      const req = yield* Zmq.req({ connect: boundTo(router), receiveTimeout: "5 millis" })
      const dealer = yield* Zmq.dealer({ connect: boundTo(router), receiveTimeout: "5 millis" })
      for (const socket of [req, dealer, req, dealer]) expect(yield* outcome(socket.request("?"))).toBe("Again")
      expect((yield* router.drain).length).toBe(4)
    })
  )

  it.effect("a late reply to a DEALER's request is not taken for a message", () =>
    Effect.gen(function* () {
      const router = yield* Zmq.router({ bind: freshEndpoint("inproc") })
      const dealer = yield* Zmq.dealer({ connect: boundTo(router) })
      const request = yield* Effect.forkChild(dealer.request("?"))
      const envelope = yield* router.recv
      yield* Fiber.interrupt(request)
      yield* router.send(envelope)
      yield* router.send([envelope[0], "a message"])
      expect(yield* dealer.recvString).toBe("a message")
    })
  )

  it.effect("a client of a ROUTER that leaves before its reply does not end the service", () =>
    Effect.gen(function* () {
      const router = yield* Zmq.router({ bind: freshEndpoint("tcp") })
      const gone = yield* Deferred.make<void>()
      yield* Effect.forkScoped(
        router.serve(
          ([body]) =>
            Effect.as(`${body}` === "leave" ? Deferred.await(gone) : Effect.void, Buffer.concat([body, body])),
          { concurrency: 2 }
        )
      )
      const scope = yield* Scope.make()
      const leaver = yield* Scope.provide(Zmq.req({ connect: boundTo(router), linger: 0 }), scope)
      const request = yield* Effect.forkChild(leaver.request("leave"))
      const stayer = yield* Zmq.req({ connect: boundTo(router) })
      expect(texts(yield* stayer.request("a"))).toEqual(["aa"])
      yield* Scope.close(scope, Exit.void)
      expect(yield* outcome(Fiber.join(request))).toBe("Closed")
      yield* Deferred.succeed(gone, undefined)
      for (const text of ["b", "c"]) expect(texts(yield* stayer.request(text))).toEqual([text + text])
    })
  )

  it.effect("a request whose handler fails is received again", () =>
    Effect.gen(function* () {
      const rep = yield* Zmq.rep({ bind: freshEndpoint("inproc") })
      const req = yield* Zmq.req({ connect: boundTo(rep) })
      const request = yield* Effect.forkChild(req.request("?"))
      const exit = yield* Effect.exit(rep.serve(() => Effect.fail("broken" as const)))
      expect(failureOf(exit)).toBe("broken")
      yield* Effect.forkScoped(rep.serve(([body]) => Effect.succeed(`re ${body}`)))
      expect(texts(yield* Fiber.join(request))).toEqual(["re ?"])
    })
  )

  it.effect("REP out of turn fails with InvalidState at once", () =>
    Effect.gen(function* () {
      const rep = yield* Zmq.rep({ bind: freshEndpoint("inproc") })
      const req = yield* Zmq.req({ connect: boundTo(rep) })
      expect(yield* outcome(rep.send("what?"))).toBe("InvalidState")
      expect(yield* outcome(rep.trySend("what?"))).toBe("InvalidState")
      yield* req.send("?")
      expect(yield* rep.recvString).toBe("?")
      expect(yield* outcome(rep.recv)).toBe("InvalidState")
      yield* rep.send("!")
      expect(yield* req.recvString).toBe("!")
    })
  )

  it.effect("a relaxed REQ may ask again, a strict one fails with InvalidState at once", () =>
    Effect.gen(function* () {
      const rep = yield* Zmq.rep({ bind: freshEndpoint("inproc") })
      const strict = yield* Zmq.req({ connect: boundTo(rep), relaxed: false })
      expect(yield* outcome(strict.recv)).toBe("InvalidState")
      yield* strict.send("1")
      expect(yield* outcome(strict.send("2"))).toBe("InvalidState")
      expect(yield* outcome(strict.request("2"))).toBe("InvalidState")
      expect(yield* rep.recvString).toBe("1")
      yield* rep.send("one")
      expect(yield* strict.recvString).toBe("one")
      expect(yield* outcome(strict.recv)).toBe("InvalidState")

      const relaxed = yield* Zmq.req({ connect: boundTo(rep) })
      expect(yield* outcome(relaxed.recv)).toBe("InvalidState")
      const first = yield* Effect.forkChild(relaxed.request("1"))
      expect(yield* rep.recvString).toBe("1")
      expect(yield* outcome(relaxed.send("2"))).toBe("InvalidState")
      expect(yield* outcome(relaxed.recv)).toBe("InvalidState")
      yield* Fiber.interrupt(first)
      yield* rep.send("late")
      const second = yield* Effect.forkChild(relaxed.request("2"))
      expect(yield* rep.recvString).toBe("2")
      yield* rep.send("two")
      expect(texts(yield* Fiber.join(second))).toEqual(["two"])
    })
  )
})

describe("endpoints", () => {
  it.effect("bind and connect last as long as their scope", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull()
      const push = yield* Zmq.push()
      expect(pull.endpoints).toEqual([])
      yield* Effect.scoped(
        Effect.gen(function* () {
          const endpoint = yield* pull.bind("tcp://127.0.0.1:*")
          expect(endpoint).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/)
          expect(pull.endpoints).toEqual([endpoint])
          yield* push.connect(endpoint)
          expect(push.endpoints).toEqual([endpoint])
          yield* push.send("a")
          expect(yield* pull.recvString).toBe("a")
        })
      )
      expect(pull.endpoints).toEqual([])
      expect(push.endpoints).toEqual([])
      expect(yield* push.trySend("nobody")).toBe(false)
    })
  )

  for (const transport of transports) {
    it.effect(`${transport}: unbind frees the endpoint, by its own name or as it was resolved`, () =>
      Effect.gen(function* () {
        const given = freshEndpoint(transport)
        const first = yield* Zmq.pull({ bind: given })
        const endpoint = boundTo(first)
        const second = yield* Zmq.pull()
        // libzmq lets a socket take over an ipc path, whoever is bound to it.
        if (transport !== "ipc") {
          const exit = yield* Effect.exit(second.bind(endpoint))
          expect(failureOf(exit)).toMatchObject({ _tag: "BindError", reason: "AddressInUse", endpoint })
        }
        yield* first.unbind(given)
        expect(first.endpoints).toEqual([])
        // libzmq closes a listener in another thread
        yield* until(Effect.map(outcome(second.bind(endpoint)), (result) => result === "ok"))
        yield* second.unbind(endpoint)
        expect(yield* outcome(second.unbind(endpoint))).toBe("BindError")
        expect(yield* outcome(second.disconnect(endpoint))).toBe("ConnectError")
      })
    )
  }

  it.effect("several endpoints, and one at a time let go", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: [freshEndpoint("tcp"), freshEndpoint("ipc"), freshEndpoint("inproc")] })
      expect(pull.endpoints.length).toBe(3)
      const push = yield* Zmq.push({ connect: pull.endpoints })
      yield* push.sendAll(numbers(0, 30).map(String))
      const got = yield* Stream.runCollect(Stream.take(pull.strings, 30))
      expect(got.map(Number).toSorted((a, b) => a - b)).toEqual(numbers(0, 30))
      yield* push.disconnect(pull.endpoints[1]!)
      expect(push.endpoints).toEqual([pull.endpoints[0], pull.endpoints[2]])
      yield* push.sendAll(numbers(0, 10).map(String))
      expect((yield* Stream.runCollect(Stream.take(pull.strings, 10))).length).toBe(10)
    })
  )
})

describe("options", () => {
  it.effect("high-water marks bound how much is on its way", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc"), receiveHighWaterMark: 3 })
      const push = yield* Zmq.push({ connect: boundTo(pull), sendHighWaterMark: 2 })
      let sent = 0
      while (yield* push.trySend("x")) sent++
      expect(sent).toBe(5)
      expect((yield* pull.drain).length).toBe(5)
    })
  )

  for (const transport of transports) {
    it.effect(`conflate over ${transport} gives the newest, also after an interrupted receive`, () =>
      Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: freshEndpoint(transport), conflate: true })
        const push = yield* Zmq.push({ connect: boundTo(pull), conflate: true })
        const interrupted = yield* Effect.forkChild(pull.recvString, { startImmediately: true })
        yield* nextTurn
        yield* Fiber.interrupt(interrupted)
        // The receive that goes on in the background has one of the first.
        for (const number of numbers(0, 100)) {
          yield* push.send(`${number}`)
          if (number % 10 === 0) yield* nextTurn
        }
        // What libzmq has by now may be short of the last one, and never goes back.
        let last = -1
        while (last < 99) {
          const next = Number(yield* pull.recvString)
          expect(next).toBeGreaterThan(last)
          last = next
        }
        expect(yield* pull.tryRecv).toEqual(Option.none())
        yield* push.send("newest")
        expect(yield* pull.recvString).toBe("newest")
      })
    )
  }

  it.effect("conflate: what a receive had brought in is replaced by what came since", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc"), conflate: true })
      const push = yield* Zmq.push({ connect: boundTo(pull), conflate: true })
      for (const number of numbers(0, 50)) {
        const interrupted = yield* Effect.forkChild(pull.recvString, { startImmediately: true })
        yield* push.send(`old ${number}`)
        yield* Fiber.interrupt(interrupted)
        yield* nextTurn
        yield* push.send(`new ${number}`)
        expect(yield* pull.recvString).toBe(`new ${number}`)
        yield* pull.drain
      }
    })
  )

  it.effect("routingId, mandatory and handover are applied", () =>
    Effect.gen(function* () {
      const router = yield* Zmq.router({ bind: freshEndpoint("inproc"), mandatory: false, handover: true })
      yield* router.send(["nobody", "vanishes"])
      const first = yield* Zmq.dealer({ connect: boundTo(router), routingId: "same", probeRouter: true })
      expect(texts(yield* router.recv)).toEqual(["same", ""])
      const second = yield* Zmq.dealer({ connect: boundTo(router), routingId: "same", probeRouter: true })
      expect(texts(yield* router.recv)).toEqual(["same", ""])
      yield* router.send(["same", "to the second"])
      expect(yield* second.recvString).toBe("to the second")
      expect(yield* first.tryRecv).toEqual(Option.none())
    })
  )

  it.effect("welcomeMessage, verbosity and invertMatching are applied", () =>
    Effect.gen(function* () {
      const xpub = yield* Zmq.xpub({
        bind: freshEndpoint("inproc"),
        welcomeMessage: "welcome",
        verbosity: "allSubsUnsubs"
      })
      const first = yield* Zmq.sub({ connect: boundTo(xpub), subscribe: "w" })
      yield* Zmq.sub({ connect: boundTo(xpub), subscribe: "w" })
      expect(subscription(yield* xpub.recv)).toBe("1w")
      expect(subscription(yield* xpub.recv)).toBe("1w")
      expect(yield* first.recvString).toBe("welcome")

      const pub = yield* Zmq.pub({ bind: freshEndpoint("inproc"), invertMatching: true })
      const sub = yield* Zmq.sub({ connect: boundTo(pub), subscribe: "no", invertMatching: true })
      yield* untilSubscribed(pub, sub, "yes")
      yield* pub.send("not this")
      yield* pub.send("else")
      yield* until(Effect.map(sub.recvString, (text) => text === "else"))
    })
  )

  it.effect("noDrop makes a PUB wait for a subscriber that is behind", () =>
    Effect.gen(function* () {
      const pub = yield* Zmq.pub({ bind: freshEndpoint("inproc"), noDrop: true, sendHighWaterMark: 5 })
      const sub = yield* Zmq.sub({ connect: boundTo(pub), subscribe: "", receiveHighWaterMark: 5 })
      const sent = numbers(0, 200).map(String)
      const sender = yield* Effect.forkChild(pub.sendAll(sent))
      expect(yield* Stream.runCollect(Stream.take(sub.strings, 200))).toEqual(sent)
      yield* Fiber.join(sender)
    })
  )
})

class Jobs extends Context.Service<Jobs, Zmq.Pull>()("test/Jobs") {
  static readonly layer = Layer.effect(Jobs, Zmq.pull({ bind: freshEndpoint("inproc") }))
}
class Results extends Context.Service<Results, Zmq.Push>()("test/Results") {
  static readonly layer = Layer.effect(
    Results,
    Jobs.use((jobs) => Zmq.push({ connect: boundTo(jobs) }))
  )
}

it.layer(Results.layer.pipe(Layer.provideMerge(Jobs.layer)))("sockets of one's own name", (it) => {
  it.effect("are used by their tags", () =>
    Effect.gen(function* () {
      const jobs = yield* Jobs
      yield* Results.use((results) => results.send("done"))
      expect(yield* jobs.recvString).toBe("done")
    })
  )

  it.effect("stay open for the next test", () =>
    Effect.gen(function* () {
      yield* Results.use((results) => results.send("again"))
      expect(yield* Jobs.use((jobs) => jobs.recvString)).toBe("again")
    })
  )
})

describe("layer and accessors", () => {
  const endpoint = freshEndpoint("inproc")

  it.layer(Zmq.layer(Zmq.pull({ bind: endpoint })))("on a Receiver", (it) => {
    it.effect("receive in every form", () =>
      Effect.gen(function* () {
        const push = yield* Zmq.push({ connect: endpoint })
        yield* push.sendAll(["recv", "string", ["str", "ings"], '{"json":1}', '{"id":7,"at":"1970-01-01T00:00:00Z"}'])
        expect(texts(yield* Zmq.recv)).toEqual(["recv"])
        expect(yield* Zmq.recvString).toBe("string")
        expect(yield* Zmq.recvStrings).toEqual(["str", "ings"])
        expect(yield* Zmq.recvJson).toEqual({ json: 1 })
        expect(yield* Zmq.recvSchema(Job)).toEqual(job)
        expect(yield* Zmq.tryRecv).toEqual(Option.none())
        yield* push.sendAll(["a", "b", '{"id":7,"at":"1970-01-01T00:00:00Z"}', "each", "left"])
        expect((yield* Stream.runCollect(Stream.take(Zmq.messages, 1))).map(texts)).toEqual([["a"]])
        expect(yield* Stream.runCollect(Stream.take(Zmq.strings, 1))).toEqual(["b"])
        expect(yield* Stream.runCollect(Stream.take(Zmq.stream(Job), 1))).toEqual([job])
        const handled: Array<string> = []
        const exit = yield* Effect.exit(
          Zmq.runForEach(([frame]) => (handled.push(`${frame}`) === 2 ? Effect.fail("enough" as const) : Effect.void))
        )
        expect(failureOf(exit)).toBe("enough")
        expect(handled).toEqual(["each", "left"])
        expect((yield* Zmq.drain).map(texts)).toEqual([["left"]])
        expect(yield* Zmq.endpoints).toEqual([endpoint])
      })
    )

    it.effect("bind, connect, unbind and disconnect", () =>
      Effect.gen(function* () {
        const other = yield* Zmq.bind(freshEndpoint("tcp"))
        yield* Zmq.connect("inproc://elsewhere")
        expect(yield* Zmq.endpoints).toEqual([endpoint, other, "inproc://elsewhere"])
        yield* Zmq.unbind(other)
        yield* Zmq.disconnect("inproc://elsewhere")
        expect(yield* Zmq.endpoints).toEqual([endpoint])
      })
    )
  })

  const sent = freshEndpoint("inproc")
  it.layer(Zmq.layer(Zmq.push({ connect: sent })))("on a Sender", (it) => {
    it.effect("send in every form", () =>
      Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: sent })
        yield* Zmq.send(["a", "b"])
        yield* Zmq.sendJson({ json: 1 })
        yield* Zmq.sendSchema(Job)(job)
        expect(yield* Zmq.trySend("c")).toBe(true)
        yield* Zmq.sendAll(["d", "e"])
        yield* Stream.run(Stream.make("f"), Zmq.sink)
        expect((yield* pull.drain).map((message) => texts(message).join("|"))).toEqual([
          "a|b",
          '{"json":1}',
          '{"id":7,"at":"1970-01-01T00:00:00.000Z"}',
          "c",
          "d",
          "e",
          "f"
        ])
      })
    )
  })

  it.effect("on a PeerSender, to who sent something", () =>
    Effect.gen(function* () {
      const bind = freshEndpoint("inproc")
      const program = Effect.gen(function* () {
        const peers = yield* Zmq.PeerSender
        const dealer = yield* Zmq.dealer({ connect: bind })
        yield* dealer.send("?")
        const [peer, ...body] = yield* Zmq.recv
        yield* peers.send([peer, "re", ...body])
        expect(texts(yield* dealer.recv)).toEqual(["re", "?"])
        expect(yield* outcome(peers.send(["nobody", ""]))).toBe("Unroutable")
      })
      yield* program.pipe(Effect.provide(Zmq.layer(Zmq.router({ bind }))))
    })
  )

  it.effect("of two sockets do what only one of them can, and never guess which is meant", () =>
    Effect.gen(function* () {
      const bind = freshEndpoint("inproc")
      const both = Layer.mergeAll(Zmq.layer(Zmq.push({ bind })), Zmq.layer(Zmq.pull()))
      const program = Effect.gen(function* () {
        const whose: ReadonlyArray<Effect.Effect<unknown, unknown, Zmq.Socket>> = [
          Zmq.endpoints,
          Zmq.stats,
          Zmq.status,
          Zmq.awaitConnected,
          Zmq.awaitConnected({ whileRefused: "wait" }),
          Effect.scoped(Zmq.bind("inproc://whose")),
          Zmq.disconnect("inproc://whose"),
          Stream.runDrain(Zmq.events),
          Stream.runDrain(Zmq.statusChanges)
        ]
        for (const one of whose) {
          const defect = yield* Effect.catchDefect(Effect.orDie(one), Effect.succeed)
          expect(defect).toMatchObject({ _tag: "InvalidState", message: expect.stringMatching(/a pu.. and a pu../) })
        }
        yield* Effect.forkScoped(Zmq.send("a"))
        const receiver = (yield* Zmq.Receiver) as Zmq.Pull
        yield* receiver.connect(bind)
        expect(yield* Zmq.recvString).toBe("a")
      })
      yield* program.pipe(Effect.scoped, Effect.provide(both))
      // One by itself is meant.
      expect(yield* Zmq.endpoints.pipe(Effect.provide(Zmq.layer(Zmq.pull({ bind }))))).toEqual([bind])
    })
  )

  it.effect("of a socket that is provided inside another are its own", () =>
    Effect.gen(function* () {
      const [outer, inner, third] = [freshEndpoint("inproc"), freshEndpoint("inproc"), freshEndpoint("inproc")]
      const pull = Zmq.layer(Zmq.pull({ bind: outer }))
      const push = Zmq.layer(Zmq.push({ bind: inner }))
      const sub = Zmq.layer(Zmq.sub({ bind: third, subscribe: [] }))
      const die = Effect.catchDefect(Zmq.endpoints, (defect) => Effect.succeed((defect as { _tag: string })._tag))
      const within = <A, E, R, S, E2, R2>(program: Effect.Effect<A, E, R>, layer: Layer.Layer<S, E2, R2>) =>
        Effect.gen(function* () {
          const before = yield* die
          const inside = yield* program.pipe(Effect.provide(layer))
          // And after it those of the outer one, as before.
          return [before, inside, yield* die]
        })
      // One in another, however deep, and each of them is both.
      const endpoints = Effect.map(
        Effect.all([die, Effect.map(Zmq.status, ({ endpoints }) => endpoints[0]?.endpoint)]),
        String
      )
      expect(yield* within(endpoints, push).pipe(Effect.provide(pull))).toEqual([[outer], `${inner},${inner}`, [outer]])
      expect(yield* within(within(endpoints, sub), push).pipe(Effect.provide(pull))).toEqual([
        [outer],
        [[inner], `${third},${third}`, [inner]],
        [outer]
      ])
      // Two that are provided together are not clear, also where one is made from the other; one inside them is.
      for (const two of [Layer.merge(push, pull), Layer.provideMerge(push, pull), Layer.provideMerge(pull, push)]) {
        expect(yield* within(die, sub).pipe(Effect.provide(two))).toEqual(["InvalidState", [third], "InvalidState"])
        expect(yield* within(die, two).pipe(Effect.provide(sub))).toEqual([[third], "InvalidState", [third]])
      }
      // What only the outer one can do, it does.
      const both = Effect.gen(function* () {
        expect((yield* Zmq.Receiver as never as Effect.Effect<Zmq.Pull>).endpoints).toEqual([outer])
        expect((yield* Zmq.Sender as never as Effect.Effect<Zmq.Push>).endpoints).toEqual([inner])
      })
      yield* both.pipe(Effect.provide(push), Effect.provide(pull))
    })
  )

  const asked = freshEndpoint("inproc")
  it.layer(Zmq.layer(Zmq.dealer({ connect: asked })))("on a Requester", (it) => {
    it.effect("request, and serve on a Responder", () =>
      Effect.gen(function* () {
        yield* Zmq.serve(([body]) => Effect.succeed(`re ${body}`)).pipe(
          Effect.provide(Zmq.layer(Zmq.router({ bind: asked }))),
          Effect.forkScoped
        )
        expect(texts(yield* Zmq.request("?"))).toEqual(["re ?"])
      })
    )
  })

  const published = freshEndpoint("inproc")
  it.layer(Zmq.layer(Zmq.sub({ connect: published, subscribe: "first" })))("on a Subscriber", (it) => {
    it.effect("subscribe and unsubscribe", () =>
      Effect.gen(function* () {
        const xpub = yield* Zmq.xpub({ bind: published })
        expect(subscription(yield* xpub.recv)).toBe("1first")
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* Zmq.subscribe("a")
            expect(subscription(yield* xpub.recv)).toBe("1a")
            yield* xpub.send("a1")
            expect(yield* Zmq.recvString).toBe("a1")
          })
        )
        expect(subscription(yield* xpub.recv)).toBe("0a")
        yield* Zmq.unsubscribe("first")
        expect(subscription(yield* xpub.recv)).toBe("0first")
      })
    )
  })

  it.effect("every socket type provides what it can do", () =>
    Effect.gen(function* () {
      const opened: ReadonlyArray<readonly [Zmq.Socket, ReadonlyArray<string>]> = [
        [yield* Zmq.pull(), ["Receiver"]],
        [yield* Zmq.push(), ["Sender"]],
        [yield* Zmq.pub(), ["Sender", "Publisher"]],
        [yield* Zmq.sub({ subscribe: "" }), ["Receiver", "Subscriber"]],
        [yield* Zmq.req(), ["Requester"]],
        [yield* Zmq.rep(), ["Responder"]],
        [yield* Zmq.dealer(), ["Receiver", "Requester", "Sender"]],
        [yield* Zmq.router(), ["Receiver", "Responder", "Sender", "PeerSender"]],
        [yield* Zmq.pair(), ["Receiver", "Sender"]],
        [yield* Zmq.xpub(), ["Receiver", "Sender", "Publisher"]],
        [yield* Zmq.xsub(), ["Receiver", "Sender", "Subscriber"]],
        [yield* Zmq.rawStream(), ["Receiver", "Sender", "PeerSender"]]
      ]
      for (const [socket, names] of opened) {
        const context = yield* Effect.scoped(Layer.build(Zmq.layer(Effect.succeed(socket))))
        const provided = [...context.mapUnsafe.keys()].filter((key) => /^effect-zmq.\w+$/.test(key))
        const expected = [...names, "Socket"].map((name) => `effect-zmq/${name}`)
        expect([socket.type, ...provided.toSorted()]).toEqual([socket.type, ...expected.toSorted()])
      }
    })
  )

  it.effect("a layer closes its socket when it ends", () =>
    Effect.gen(function* () {
      const endpoint = freshEndpoint("inproc")
      const use = Effect.provide(Zmq.endpoints, Zmq.layer(Zmq.pull({ bind: endpoint })))
      expect(yield* use).toEqual([endpoint])
      expect(yield* whenFree(use)).toEqual([endpoint])
    })
  )
})
