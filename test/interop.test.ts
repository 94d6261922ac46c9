/** Talks to another implementation: PyZMQ, in a process of its own. */
import { spawnSync } from "node:child_process"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { Zmq } from "effect-zmq"
import { byEngine } from "./support/byEngine.ts"
import { runCommand, scriptPath } from "./support/child.ts"
import { boundTo, freshEndpoint, numbers, texts } from "./support/sockets.ts"

const python = "/usr/bin/python3"
const hasPeer = spawnSync(python, ["-c", "import zmq"]).status === 0
const missing = `${python} cannot import zmq: install the package python3-zmq`

it("PyZMQ is there to talk to, or this is not CI", () => {
  expect(hasPeer || process.env.CI !== "true", missing).toBe(true)
})

/** A PyZMQ peer, which connects to the socket. */
const peer = (script: string, role: string, socket: Zmq.Socket) =>
  Effect.forkChild(runCommand(python, [scriptPath(script), role, boundTo(socket)]), { startImmediately: true })

const endsWell = <E>(fiber: Fiber.Fiber<Effect.Success<ReturnType<typeof runCommand>>, E>, stdout: string) =>
  Effect.map(Fiber.join(fiber), (ended) => {
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: "", stdout })
  })

const bytes = Buffer.from(numbers(0, 256))
const messages: ReadonlyArray<readonly [string | Buffer, ...Array<string | Buffer>]> = [
  ["text"],
  ["grüße"],
  [""],
  [bytes],
  ["a", "", Buffer.from([0, 255]), Buffer.alloc(100_000, "x")]
]
const hex = (message: ReadonlyArray<string | Buffer>) =>
  message.map((frame) => Buffer.from(frame as string).toString("hex"))

for (const transport of ["tcp", "ipc"] as const) {
  // Said once, in the name of what is skipped.
  describe.skipIf(!hasPeer)(hasPeer ? `PyZMQ over ${transport}` : `PyZMQ over ${transport} (${missing})`, () => {
    it.live("PUSH of theirs to PULL of ours", () =>
      Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: freshEndpoint(transport) })
        const python = yield* peer("pushpull.py", "push", pull)
        for (const message of messages) expect(hex(yield* pull.recv)).toEqual(hex(message))
        const rest = yield* Stream.runCollect(Stream.take(pull.strings, 500))
        expect(rest).toEqual(numbers(0, 500).map(String))
        yield* endsWell(python, "")
      })
    )

    it.live("PUSH of ours to PULL of theirs", () =>
      Effect.gen(function* () {
        const push = yield* Zmq.push({ bind: freshEndpoint(transport) })
        const python = yield* peer("pushpull.py", "pull", push)
        yield* push.sendAll([...messages, ...numbers(0, 500).map(String)])
        yield* endsWell(python, "received all\n")
      })
    )

    it.live("REQ and DEALER of theirs, served by REP and ROUTER of ours", () =>
      Effect.gen(function* () {
        const reply = (request: Zmq.Message) => Effect.succeed(["re", ...request] as const)
        const rep = yield* Zmq.rep({ bind: freshEndpoint(transport) })
        const router = yield* Zmq.router({ bind: freshEndpoint(transport) })
        yield* Effect.forkScoped(rep.serve(reply))
        yield* Effect.forkScoped(router.serve(reply, { concurrency: 8 }))
        const peers = [
          yield* peer("reqrep.py", "req", rep),
          yield* peer("reqrep.py", "req", router),
          yield* peer("reqrep.py", "dealer", router)
        ]
        for (const python of peers) yield* endsWell(python, "done\n")
      })
    )

    it.live("REQ and DEALER of ours, answered by REP of theirs", () =>
      Effect.gen(function* () {
        for (const open of [Zmq.req, Zmq.dealer]) {
          const socket: Zmq.Req | Zmq.Dealer = yield* open({ bind: freshEndpoint(transport) })
          const python = yield* peer("reqrep.py", "rep", socket)
          for (const number of numbers(0, 50)) {
            expect(texts(yield* socket.request([`${number}`, "", "ü"]))).toEqual(["re", `${number}`, "", "ü"])
          }
          const many = yield* Effect.forEach(numbers(0, 50), (number) => socket.request(`${number}`), {
            concurrency: "unbounded"
          })
          expect(many.map(texts)).toEqual(numbers(0, 50).map((number) => ["re", `${number}`]))
          yield* socket.request("stop")
          yield* endsWell(python, "done\n")
        }
      })
    )

    for (const role of ["pair", "dealer"] as const) {
      it.live(`${role.toUpperCase()} of theirs gives back what ${role.toUpperCase()} of ours sends`, () =>
        Effect.gen(function* () {
          const socket = yield* role === "pair"
            ? Zmq.pair({ bind: freshEndpoint(transport) })
            : Zmq.dealer({ bind: freshEndpoint(transport) })
          const python = yield* peer("patterns.py", role, socket)
          for (const message of messages) {
            yield* socket.send(message)
            expect(hex(yield* socket.recv)).toEqual(hex(message))
          }
          yield* socket.send("stop")
          expect(yield* socket.recvString).toBe("stop")
          yield* endsWell(python, "done\n")
        })
      )
    }

    it.live("DEALER of ours and ROUTER of theirs", () =>
      Effect.gen(function* () {
        const dealer = yield* Zmq.dealer({ bind: freshEndpoint(transport) })
        const python = yield* peer("patterns.py", "router", dealer)
        for (const message of messages) {
          yield* dealer.send(message)
          expect(hex(yield* dealer.recv)).toEqual(hex(["re", ...message]))
        }
        yield* dealer.send("stop")
        expect(yield* dealer.recvStrings).toEqual(["re", "stop"])
        yield* endsWell(python, "done\n")
      })
    )

    it.live.each(["sub", "xsub"] as const)("20,000 topics of a %s of ours, subscribed with XPUB of theirs", (type) =>
      Effect.gen(function* () {
        const subscribe = numbers(0, 20_000).map(String)
        const sub = yield* Zmq[type]({ bind: freshEndpoint(transport), subscribe })
        yield* endsWell(yield* peer("pubsub.py", "topics", sub), "20000\n")
      })
    )

    it.live("PUB of ours, to which XSUB of theirs sends other things between its subscriptions", () =>
      Effect.gen(function* () {
        const pub = yield* Zmq.pub({ bind: freshEndpoint(transport) })
        const python = yield* peer("pubsub.py", "flood", pub)
        yield* pub.awaitSubscribers("499")
        // To libzmq subscriptions are messages.
        expect(pub.stats).toMatchObject({ messagesIn: byEngine({ zeromq: 1000, zmtp: 500 }), dropped: 500 })
        yield* pub.send("499 bottles")
        yield* endsWell(python, "b'499 bottles'\n")
      })
    )

    it.live("XSUB of ours and XPUB of theirs", () =>
      Effect.gen(function* () {
        const xsub = yield* Zmq.xsub({ bind: freshEndpoint(transport), subscribe: "a" })
        const python = yield* peer("patterns.py", "xpub", xsub)
        expect(hex(yield* xsub.recv)).toEqual(hex(["a1", Buffer.from([0, 255])]))
        yield* xsub.send("upstream")
        yield* xsub.unsubscribe("a")
        yield* endsWell(python, "done\n")
      })
    )

    it.live("XPUB of ours and XSUB of theirs", () =>
      Effect.gen(function* () {
        const xpub = yield* Zmq.xpub({ bind: freshEndpoint(transport) })
        const python = yield* peer("patterns.py", "xsub", xpub)
        yield* xpub.awaitSubscribers("a1")
        expect(yield* xpub.recvString).toBe("\x01a")
        yield* xpub.send(["a1", Buffer.from([0, 255])])
        expect(yield* xpub.recvString).toBe("upstream")
        expect(yield* xpub.recvString).toBe("\x00a")
        yield* endsWell(python, "done\n")
      })
    )

    it.live("PUB of ours awaits a SUB of theirs, and sends once", () =>
      Effect.gen(function* () {
        const pub = yield* Zmq.pub({ bind: freshEndpoint(transport) })
        const python = yield* peer("patterns.py", "sub", pub)
        yield* pub.awaitSubscribers("a1")
        yield* pub.send(["b1", "for nobody"])
        yield* pub.send(["a1", Buffer.from([0, 255])])
        yield* endsWell(python, "done\n")
      })
    )

    if (transport === "tcp") {
      it.live("STREAM of ours and STREAM of theirs", () =>
        Effect.gen(function* () {
          const stream = yield* Zmq.rawStream({ bind: freshEndpoint(transport), notify: false })
          const python = yield* peer("patterns.py", "stream", stream)
          const said = yield* Stream.runFold(
            stream.messages.pipe(Stream.takeUntil(([, data]) => data!.includes("tcp"))),
            () => ({ id: Buffer.alloc(0) as Buffer, text: "" }),
            ({ text }, [id, data]) => ({ id, text: text + data })
          )
          expect(said.text).toBe("hello over tcp")
          yield* stream.send([said.id, said.text.toUpperCase()])
          yield* endsWell(python, "done\n")
        })
      )
    }

    it.live("PUB of theirs to SUB of ours", () =>
      Effect.gen(function* () {
        const sub = yield* Zmq.sub({ bind: freshEndpoint(transport), subscribe: "weather." })
        const python = yield* peer("pubsub.py", "pub", sub)
        expect(hex(yield* sub.recv)).toEqual(hex(["weather.a", "", Buffer.from([0, 255])]))
        expect(yield* sub.recvStrings).toEqual(["weather.ü", "grüße"])
        expect(yield* sub.recvString).toBe("weather.end")
        yield* endsWell(python, "")
      })
    )

    it.live("PUB of ours to SUB of theirs", () =>
      Effect.gen(function* () {
        const xpub = yield* Zmq.xpub({ bind: freshEndpoint(transport) })
        const python = yield* peer("pubsub.py", "sub", xpub)
        expect(yield* xpub.recvString).toBe("\x01weather.")
        yield* xpub.sendAll(["news.a", ["weather.a", "", Buffer.from([0, 255])], ["weather.ü", "grüße"], "weather.end"])
        yield* endsWell(python, "received all\n")
      })
    )
  })
}
