/**
 * What draft sockets have to survive. Each part must end by itself, with code 0
 * and nothing on stderr: each did not, on zeromq.js alone, or might not.
 */
import { createSocket } from "node:dgram"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"
import { Effect, Exit, Fiber, Redacted, Scope } from "effect"
import { Draft } from "effect-zmq"
import { frame, intrude, intrudeFor } from "./intruder.ts"

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
const expect = (what: string, is: unknown, should: unknown) =>
  JSON.stringify(is) === JSON.stringify(should)
    ? Effect.void
    : Effect.die(`${what}: expected ${JSON.stringify(should)}, got ${JSON.stringify(is)}`)

const freePort = Effect.callback<number>((resume) => {
  const socket = createSocket("udp4")
  socket.bind(0, "127.0.0.1", () => {
    const { port } = socket.address()
    socket.close(() => resume(Effect.succeed(port)))
  })
})

/** Sends packets, one after the other. */
const packets = (port: number, ...all: ReadonlyArray<Uint8Array>) =>
  Effect.promise(async () => {
    const socket = createSocket("udp4")
    for (const packet of all) await new Promise((resolve) => socket.send(packet, port, "127.0.0.1", resolve))
    socket.close()
  })

const everyReceiver = Effect.gen(function* () {
  const udp = [yield* freePort, yield* freePort].map((port) => `udp://127.0.0.1:${port}`) as [string, string]
  return yield* Effect.all([
    Draft.server({ bind: "tcp://127.0.0.1:*" }),
    Draft.client({ bind: "tcp://127.0.0.1:*" }),
    Draft.dish({ bind: ["tcp://127.0.0.1:*", udp[0]], join: "a" }),
    Draft.gather({ bind: "tcp://127.0.0.1:*" }),
    Draft.datagram({ bind: udp[1] })
  ])
})
const recv = (
  socket: Effect.Success<typeof everyReceiver>[number]
): Effect.Effect<unknown, { readonly _tag: string }> => socket.recv

const manySockets = 500

const scenarios: Record<string, Effect.Effect<void, unknown, Scope.Scope>> = {
  // The first byte of a packet is the length of its group, and libzmq takes it for a signed one.
  "packets of nonsense": Effect.gen(function* () {
    const port = yield* freePort
    const dish = yield* Draft.dish({ bind: `udp://127.0.0.1:${port}`, join: ["a", "g".repeat(14)] })
    const long = Buffer.alloc(200, "g")
    long[0] = 14
    yield* packets(
      port,
      Buffer.from([0x80, 1, 2, 3]),
      Buffer.from([0xff]),
      Buffer.alloc(0),
      Buffer.from([5, 97]),
      Buffer.from([1, 98, 1]),
      Buffer.from("\x01a1"),
      long,
      Buffer.from("\x01a")
    )
    yield* expect("data", (yield* dish.recvString).data, "1")
    yield* expect("data", (yield* dish.recvString).data.length, 185)
    yield* expect("data", (yield* dish.recvString).data, "")
  }),

  "a group that is too long": Effect.gen(function* () {
    for (const options of [{}, { noDrop: true }]) {
      const radio = yield* Draft.radio(options)
      const endpoint = yield* radio.bind("tcp://127.0.0.1:*")
      const said = (bytes: number, command = "\x04JOIN") =>
        intrude(endpoint, "DISH", frame(Buffer.from(command + "g".repeat(bytes)), { command: true }))
      for (const bytes of [14, 15, 255]) yield* expect(`${bytes}`, yield* said(bytes), "still there")
      for (const bytes of [256, 300, 100_000]) yield* expect(`${bytes}`, yield* said(bytes), "cut off")
      yield* expect("LEAVE", yield* said(300, "\x05LEAVE"), "cut off")
      // Several peers of one group, and the groups that were told above.
      for (let peers = 0; peers < 3; peers++) {
        const dish = yield* Draft.dish({ connect: endpoint, join: ["g".repeat(14), "a"] })
        yield* joined(radio, dish, "g".repeat(14))
      }
      for (let i = 0; i < 1000; i++) {
        for (const group of ["g".repeat(14), "a", "nobody's"]) yield* radio.send(group, `${i}`)
      }
    }
  }),

  "messages of several frames": Effect.gen(function* () {
    const several = [
      frame(Buffer.from("a"), { more: true }),
      frame(Buffer.from("b"), { more: true }),
      frame(Buffer.from("c"))
    ]
    const one = frame(Buffer.from("one"))
    const server = yield* Draft.server()
    yield* intrude(yield* server.bind("tcp://127.0.0.1:*"), "CLIENT", ...several, one, ...several)
    yield* expect("server", (yield* server.recvString).data, "one")
    const client = yield* Draft.client()
    yield* intrude(yield* client.bind("tcp://127.0.0.1:*"), "SERVER", ...several, one, ...several)
    yield* expect("client", yield* client.recvString, "one")
    const gather = yield* Draft.gather()
    yield* intrude(yield* gather.bind("tcp://127.0.0.1:*"), "SCATTER", ...several, one, ...several)
    yield* expect("gather", yield* gather.recvString, "one")
    const dish = yield* Draft.dish({ join: ["a", "d"] })
    const endpoint = yield* dish.bind("tcp://127.0.0.1:*")
    yield* expect("dish", yield* intrudeFor(20_000)(endpoint, "RADIO", ...several), "cut off")
    yield* expect("dish", yield* intrude(endpoint, "RADIO", one), "cut off")
    yield* expect("dish", yield* intrude(endpoint, "RADIO", frame(Buffer.alloc(300), { more: true }), one), "cut off")
    yield* intrude(endpoint, "RADIO", frame(Buffer.from("d"), { more: true }), one)
    yield* expect("dish", yield* dish.recvString, { group: "d", data: "one" })
    const left = [yield* server.drain, yield* client.drain, yield* gather.drain, yield* dish.drain]
    yield* expect("left", left, [[], [], [], []])
  }),

  // Larger ones overwrite what comes after libzmq's buffer.
  "packets that are too large": Effect.gen(function* () {
    const port = yield* freePort
    const datagram = yield* Draft.datagram({ bind: `udp://127.0.0.1:${port}` })
    const radio = yield* Draft.radio({ connect: `udp://127.0.0.1:${port}` })
    for (let i = 0; i < 50; i++) {
      yield* Effect.flip(datagram.send(`127.0.0.1:${port}`, Buffer.alloc(8193 + i * 1000)))
      yield* Effect.flip(radio.send("a", Buffer.alloc(8191 + i * 1000)))
      yield* Effect.flip(radio.send("g".repeat(15 + i), ""))
    }
    yield* packets(port, Buffer.alloc(60_000))
    yield* expect("cut", (yield* datagram.recv).data.length, 8192)
    yield* datagram.send(`127.0.0.1:${port}`, Buffer.alloc(8192))
    yield* expect("datagram", (yield* datagram.recv).data.length, 8192)
    yield* radio.send("a", Buffer.alloc(8190))
    yield* expect("radio", (yield* datagram.recv).data.length, 8192)
  }),

  "addresses that lead nowhere": Effect.gen(function* () {
    const port = yield* freePort
    const datagram = yield* Draft.datagram({ bind: `udp://127.0.0.1:${port}` })
    for (const address of ["127.255.255.255:9", "240.0.0.1:9", "0.0.0.0:9", "255.255.255.255:9", "192.0.2.1:9"]) {
      yield* Effect.exit(datagram.send(address, "x"))
    }
    yield* datagram.send(`127.0.0.1:${port}`, "still here")
    yield* expect("data", (yield* datagram.recvString).data, "still here")
  }),

  "bad options": Effect.gen(function* () {
    const opens = [Draft.server, Draft.client, Draft.radio, Draft.dish, Draft.gather, Draft.scatter, Draft.datagram]
    const port = yield* freePort
    const bad = [
      { nonsense: 1 },
      { receiveHighWaterMark: -5 },
      { sendHighWaterMark: "1" },
      { conflate: true },
      { join: "a\0" },
      { ipv6: 1 },
      { bind: "tcp://127.0.0.1:99999" },
      { bind: ["inproc://half", "foo://bar"] },
      { bind: ["udp://127.0.0.1:0"] },
      { bind: `udp://192.0.2.1:${port}` },
      { bind: `udp://[::1]:${port}` },
      { bind: `udp://nosuchif:${port}` },
      { connect: ["inproc://half", "tcp://"] },
      { connect: "udp://[::1]:5555" },
      { tcpAcceptFilter: "::1" }
    ]
    for (const open of opens) {
      for (const options of bad) {
        const exit = yield* Effect.exit(Effect.scoped((open as typeof Draft.dish)(options as never)))
        if (Exit.isSuccess(exit) || exit.cause.reasons[0]?._tag !== "Fail") {
          yield* Effect.die(`${open.name} ${JSON.stringify(options)}: ${exit}`)
        }
      }
    }
  }),

  [`opened ${manySockets} times`]: Effect.gen(function* () {
    const server = yield* Draft.server({ bind: "inproc://server" })
    for (let i = 0; i < manySockets / 5; i++) {
      yield* Effect.scoped(
        Effect.gen(function* () {
          for (const socket of yield* everyReceiver) {
            yield* Effect.forkChild(Effect.exit(recv(socket)), { startImmediately: true })
          }
          const client = yield* Draft.client({ connect: "inproc://server" })
          yield* client.send(`${i}`)
          yield* turn
        })
      )
      yield* expect("server", (yield* server.recvString).data, `${i}`)
    }
  }),

  "closed while all wait": Effect.gen(function* () {
    const scope = yield* Scope.make()
    const sockets = yield* Scope.provide(everyReceiver, scope)
    const fibers = yield* Effect.forEach(sockets, (socket) => Effect.forkChild(Effect.flip(recv(socket))))
    const senders = yield* Scope.provide(Effect.all([Draft.client(), Draft.scatter()]), scope)
    const sends = yield* Effect.forEach(senders, (socket) => Effect.forkChild(Effect.flip(socket.send("x"))))
    const unbound = yield* Scope.provide(Draft.datagram(), scope)
    const send = yield* Effect.forkChild(Effect.flip(unbound.send("127.0.0.1:9", "x")))
    yield* turn
    yield* Scope.close(scope, Exit.void)
    for (const fiber of [...fibers, ...sends, send]) yield* expect("error", (yield* Fiber.join(fiber))._tag, "Closed")
  }),

  // libzmq locks itself up, and the event loop with it: see draftInproc.ts.
  "closed over inproc": Effect.gen(function* () {
    for (let round = 0; round < 200; round++) {
      const name = `inproc://closed-${round % 10}`
      yield* Effect.scoped(Effect.all([Draft.client({ connect: name }), Draft.dish({ connect: name, join: "a" })]))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const clients = yield* Effect.forEach([1, 2, 3], () => Draft.client({ connect: name }))
          const scope = yield* Scope.make()
          const server = yield* Scope.provide(Draft.server({ bind: name }), scope)
          for (const client of clients) yield* client.sendAll(["a", "b", "c"])
          const { routingId } = yield* server.recv
          yield* server.send(routingId, "x")
          if (round % 2 === 0) yield* Scope.close(scope, Exit.void)
          for (const client of clients) yield* client.disconnect(name)
          yield* Scope.close(scope, Exit.void)
        })
      )
      yield* Effect.scoped(Draft.radio({ bind: name }))
    }
  }),

  curve: Effect.gen(function* () {
    const { curveKeyPair } = yield* Effect.promise(() => import("zeromq"))
    const [theirs, ours] = [curveKeyPair(), curveKeyPair()]
    const serverSide = { curveServer: true, curveSecretKey: Redacted.make(theirs.secretKey) }
    const clientSide = {
      curveServerKey: theirs.publicKey,
      curvePublicKey: ours.publicKey,
      curveSecretKey: Redacted.make(ours.secretKey)
    }
    const server = yield* Draft.server(serverSide)
    const client = yield* Draft.client({ ...clientSide, connect: yield* server.bind("tcp://127.0.0.1:*") })
    yield* client.send("secret")
    const { data, routingId } = yield* server.recvString
    yield* server.send(routingId, `${data}!`)
    yield* expect("client", yield* client.recvString, "secret!")
    for (const [radioSide, dishSide] of [
      [serverSide, clientSide],
      [clientSide, serverSide]
    ] as const) {
      const radio = yield* Draft.radio(radioSide)
      const dish = yield* Draft.dish({ ...dishSide, join: "g".repeat(14) })
      if (radioSide === serverSide) yield* dish.connect(yield* radio.bind("tcp://127.0.0.1:*"))
      else yield* radio.connect(yield* dish.bind("tcp://127.0.0.1:*"))
      yield* joined(radio, dish, "g".repeat(14))
    }
  }),

  "worker thread": Effect.callback<void>((resume) => {
    // On Node 20 a worker thread does not inherit the loader of TypeScript.
    const start = `import("tsx/esm/api").then(({ register }) => { register(); return import(${JSON.stringify(import.meta.url)}) })`
    const worker = new Worker(start, { eval: true, workerData: { task: true } })
    let said: unknown
    worker.once("message", (message) => {
      said = message
    })
    worker.once("error", (error) => resume(Effect.die(error)))
    worker.once("exit", (code) => resume(expect("worker", [said, code], ["exiting", 0])))
  })
}

/** Until the RADIO knows that the DISH has joined. */
const joined = (radio: Draft.Radio, dish: Draft.Dish, group: string) =>
  Effect.gen(function* () {
    while (true) {
      yield* radio.send(group, "x")
      const message = yield* Effect.timeoutOption(dish.recv, "10 millis")
      if (message._tag === "Some") return yield* expect("group", message.value.group, group)
    }
  })

if (isMainThread) {
  for (const scenario of process.argv.slice(2))
    await Effect.runPromise(Effect.scoped(scenarios[scenario]!) as Effect.Effect<void>)
  if (process.argv.length === 2) console.log(Object.keys(scenarios).join("\n"))
  else console.log("survived")
} else if ((workerData as { readonly task?: boolean }).task) {
  await Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        for (const socket of yield* everyReceiver) {
          yield* Effect.forkChild(Effect.exit(recv(socket)), { startImmediately: true })
        }
        yield* turn
        parentPort!.postMessage("exiting")
        yield* Effect.sync(() => process.exit(0))
      })
    ) as Effect.Effect<void>
  )
}
