/**
 * All types of sockets over all transports, on the built package and its engine in
 * TypeScript: for JavaScript that is not Node. Says what works, a line for each, and
 * fails if something does not that should: `bun smoke.mjs`, `deno run -A smoke.mjs`.
 */
import { tmpdir } from "node:os"
import process from "node:process"
import { Effect, Fiber, Logger, Redacted } from "effect"
import { Curve, Engine, Plain, Zap, Zmq } from "effect-zmq"

const runtime = process.versions.bun !== undefined ? "Bun" : process.versions.deno !== undefined ? "Deno" : "Node"
/** What a runtime does not have, each with its reason in docs/engines.md. */
const lacks = { Bun: [], Deno: [], Node: [] }[runtime]

let names = 0
const transports = {
  tcp: () => "tcp://127.0.0.1:*",
  ipc: () => `ipc://${tmpdir()}/effect-zmq-${process.pid}-${names++}.sock`,
  "ipc, a name of Linux": () => `ipc://@effect-zmq-${process.pid}-${names++}`,
  inproc: () => `inproc://smoke-${names++}`
}
const bodies = ["", "x", "x".repeat(255), "x".repeat(256), "x".repeat(70_000), "x".repeat(1_000_000)]
const textOf = (message) => message.map((frame) => frame.toString())
const same = (seen, expected) =>
  JSON.stringify(seen) === JSON.stringify(expected)
    ? Effect.void
    : Effect.fail(`expected ${JSON.stringify(expected).slice(0, 200)}, got ${JSON.stringify(seen).slice(0, 200)}`)

/** Every body, alone and as one of several frames, in order. */
const passes = (sender, receiver) =>
  Effect.gen(function* () {
    const messages = bodies.flatMap((body) => [[body], ["a", body, "", "b"]])
    yield* Effect.forkChild(sender.sendAll(messages))
    for (const message of messages) yield* same(textOf(yield* receiver.recv), message)
  })
const asks = (client, server) =>
  Effect.gen(function* () {
    const serving = yield* Effect.forkChild(server.serve((request) => Effect.succeed([...request, "re"])))
    for (const body of bodies) yield* same(textOf(yield* client.request(["a", body])), ["a", body, "re"])
    yield* Fiber.interrupt(serving)
  })
const publishes = (pub, sub) =>
  Effect.gen(function* () {
    yield* pub.awaitSubscribers("news")
    yield* pub.send("other")
    for (const body of bodies) {
      yield* pub.send(["news", body])
      yield* same(textOf(yield* sub.recv), ["news", body])
    }
  })

const types = {
  "PUSH and PULL": (bind) =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: bind() })
      yield* passes(yield* Zmq.push({ connect: pull.endpoints }), pull)
    }),
  "PUB and SUB": (bind) =>
    Effect.gen(function* () {
      const pub = yield* Zmq.pub({ bind: bind() })
      yield* publishes(pub, yield* Zmq.sub({ connect: pub.endpoints, subscribe: "news" }))
    }),
  "XPUB and XSUB": (bind) =>
    Effect.gen(function* () {
      const xpub = yield* Zmq.xpub({ bind: bind() })
      const xsub = yield* Zmq.xsub({ connect: xpub.endpoints, subscribe: "news" })
      yield* same(textOf(yield* xpub.recv), ["\u0001news"])
      yield* publishes(xpub, xsub)
    }),
  "REQ and REP": (bind) =>
    Effect.gen(function* () {
      const rep = yield* Zmq.rep({ bind: bind() })
      yield* asks(yield* Zmq.req({ connect: rep.endpoints }), rep)
    }),
  "DEALER and ROUTER": (bind) =>
    Effect.gen(function* () {
      const router = yield* Zmq.router({ bind: bind() })
      const dealer = yield* Zmq.dealer({ connect: router.endpoints, routingId: "me" })
      yield* asks(dealer, router)
      yield* dealer.send("hello")
      yield* same(textOf(yield* router.recv), ["me", "hello"])
      yield* router.send(["me", "hello yourself"])
      yield* same(textOf(yield* dealer.recv), ["hello yourself"])
      yield* same((yield* Effect.flip(router.send(["nobody", "x"])))._tag, "Unroutable")
    }),
  "PAIR and PAIR": (bind) =>
    Effect.gen(function* () {
      const one = yield* Zmq.pair({ bind: bind() })
      const other = yield* Zmq.pair({ connect: one.endpoints })
      yield* passes(one, other)
      yield* passes(other, one)
    })
}

const stream = Effect.gen(function* () {
  const server = yield* Zmq.rawStream({ bind: "tcp://127.0.0.1:*" })
  const client = yield* Zmq.rawStream({ connect: server.endpoints })
  const [id] = yield* server.recv
  const [peer] = yield* client.recv
  yield* client.send([peer, "ping"])
  yield* same((yield* server.recv)[1].toString(), "ping")
  yield* server.send([id, "pong"])
  yield* same((yield* client.recv)[1].toString(), "pong")
})

const plain = Effect.gen(function* () {
  const pull = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*", security: Plain.server({ domain: "smoke" }) })
  const client = (password) => Plain.client({ username: "ann", password: Redacted.make(password) })
  yield* passes(yield* Zmq.push({ connect: pull.endpoints, security: client("right") }), pull)
  const stranger = yield* Zmq.push({ connect: pull.endpoints, security: client("wrong"), linger: 0 })
  yield* same((yield* Effect.flip(stranger.awaitConnected))._tag, "Refused")
}).pipe(Effect.provide(Zap.layer({ plain: { ann: Redacted.make("right") } })))

const curve = Effect.gen(function* () {
  const [server, client] = [yield* Curve.generate, yield* Curve.generate]
  const pull = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*", security: Curve.server({ keys: server }) })
  const security = Curve.client({ keys: client, serverKey: server.publicKey })
  yield* passes(yield* Zmq.push({ connect: pull.endpoints, security }), pull)
})

const comesBack = Effect.gen(function* () {
  const at = yield* Effect.scoped(Effect.map(Zmq.pull({ bind: "tcp://127.0.0.1:*" }), ({ endpoints }) => endpoints[0]))
  const push = yield* Zmq.push({ connect: at, reconnectInterval: 20 })
  for (const text of ["1", "2", "3"]) {
    const pull = Effect.flatMap(Zmq.pull({ bind: at }), (pull) =>
      Effect.andThen(push.awaitConnected, Effect.andThen(push.send(text), pull.recvString))
    )
    yield* same(yield* Effect.scoped(pull), text)
    yield* Effect.retry(
      Effect.flatMap(push.status, ({ endpoints: [one] }) => same(one.state, "connecting")),
      { times: 1000, while: () => Effect.as(Effect.sleep(1), true) }
    )
  }
})

const all = {
  ...Object.fromEntries(
    Object.entries(types).flatMap(([type, run]) =>
      Object.entries(transports).map(([transport, bind]) => [`${type} over ${transport}`, run(bind)])
    )
  ),
  "STREAM over tcp": stream,
  "PLAIN and ZAP": plain,
  CURVE: curve,
  "a peer that comes back": comesBack
}

let failed = 0
for (const [name, run] of Object.entries(all)) {
  const missing = lacks.some((what) => name.includes(what))
  const limited = Effect.timeoutOrElse(Effect.scoped(run), {
    duration: "60 seconds",
    orElse: () => Effect.fail("no end")
  })
  const exit = await Effect.runPromiseExit(
    limited.pipe(Effect.provide(Engine.layerZmtp), Effect.provide(Logger.layer([])))
  )
  const works = exit._tag === "Success"
  if (works === missing) failed++
  console.log(`${works ? "works" : missing ? "lacks" : "FAILS"} ${name}${works || missing ? "" : `: ${exit.cause}`}`)
}
console.log(`${runtime}: ${Object.keys(all).length - failed} of ${Object.keys(all).length} as they should be`)
process.exit(failed > 0 ? 1 : 0)
