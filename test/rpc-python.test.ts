/** Clients in Python, without Effect: over a DEALER, as in the docs, and over a REQ. */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { expect, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import { Rpc, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { Zmq } from "effect-zmq"
import { makeBroker, makeProtocolServer } from "effect-zmq/Rpc"
import { runCommand } from "./support/child.ts"
import { startCommand } from "./support/rpc/processes.ts"
import { startServer } from "./support/rpc/transports.ts"
import { freshEndpoint, until } from "./support/sockets.ts"

const python = "/usr/bin/python3"
const hasPython = spawnSync(python, ["-c", "import zmq"]).status === 0
const missing = `${python} cannot import zmq: install the package python3-zmq`

it("PyZMQ is there for a client of RPC, or this is not CI", () => {
  expect(hasPython || process.env.CI !== "true", missing).toBe(true)
})

const root = new URL("..", import.meta.url).pathname
const script = `${root}examples/rpc-client.py`

it("the docs have the client that is run here", () => {
  const docs = readFileSync(`${root}docs/rpc.md`, "utf8")
  const [, code] = readFileSync(script, "utf8").split('"""\n\n')
  expect(docs).toContain(code)
})

class NoSuchUser extends Schema.TaggedError<NoSuchUser>()("NoSuchUser", { id: Schema.Number }) {}

class Users extends RpcGroup.make(
  Rpc.make("nameOf", { payload: { id: Schema.Number }, success: Schema.String, error: NoSuchUser }),
  Rpc.make("count", { payload: { to: Schema.Number }, success: Schema.Number, stream: true }),
  Rpc.make("note", { payload: { text: Schema.String } })
) {}

// As in docs/rpc.md.
const req = (endpoint: string): string => `
import zmq
socket = zmq.Context.instance().socket(zmq.REQ)
socket.setsockopt(zmq.RCVTIMEO, 10_000)
socket.connect("${endpoint}")
for id in (1, 2):
    socket.send_json({"jsonrpc": "2.0", "id": id, "method": "nameOf", "params": {"id": 1}})
    print(socket.recv_json()["result"])
`

it.live.skipIf(!hasPython)(`a client in Python${hasPython ? "" : ` (${missing})`}`, () =>
  Effect.gen(function* () {
    const notes: Array<string> = []
    const handlers = Users.toLayer({
      nameOf: ({ id }) => (id === 1 ? Effect.succeed("ann") : Effect.fail(new NoSuchUser({ id }))),
      count: ({ to }) => Stream.range(1, to).pipe(Stream.rechunk(10)),
      note: ({ text }) => Effect.sync(() => void notes.push(text))
    })
    const { endpoint, protocol } = yield* makeProtocolServer({ bind: "tcp://127.0.0.1:*" })
    yield* RpcServer.make(Users).pipe(
      Effect.provideService(RpcServer.Protocol, protocol),
      Effect.provide(handlers),
      Effect.forkScoped
    )
    const dealer = yield* runCommand(python, [script, endpoint.endpoints[0]!])
    expect(dealer.stderr).toBe("")
    const error = '[{"_tag": "Fail", "error": {"_tag": "NoSuchUser", "id": 7}}]'
    expect(dealer.stdout.trimEnd().split("\n")).toEqual(["ann", error, "500500"])
    expect(notes).toEqual(["hello from Python"])
    const asked = yield* runCommand(python, ["-c", req(endpoint.endpoints[0]!)])
    expect([asked.stderr, asked.stdout]).toEqual(["", "ann\nann\n"])
  }).pipe(Effect.scoped, Effect.provide(Layer.fresh(RpcSerialization.layerJsonRpc())))
)

// One question for each line that it is given, and what came of it.
const asking = (endpoint: string): string => `
import sys
import zmq
socket = zmq.Context.instance().socket(zmq.REQ)
socket.setsockopt(zmq.RCVTIMEO, 60_000)
socket.connect("${endpoint}")
for line in sys.stdin:
    socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "get", "params": {"id": 1}})
    print(socket.recv(), flush=True)
`

it.live.skipIf(!hasPython)("a REQ in Python outlives the servers behind a broker", () =>
  Effect.gen(function* () {
    const broker = yield* makeBroker({
      frontend: { bind: "tcp://127.0.0.1:*" },
      backend: { bind: freshEndpoint("ipc") }
    })
    const { backend } = broker
    const { child, lines } = yield* startCommand(python, "-c", asking(broker.frontend[0]!))
    const ask = Effect.sync(() => void child.stdin.write("\n"))
    const answers = (count: number) => until(Effect.sync(() => lines.length === count))
    const ann = `b'{"jsonrpc":"2.0","id":1,"result":"ann"}'`
    // The first waits for a server. Between two questions one goes and the next comes.
    for (const round of [1, 2, 3]) {
      yield* ask
      yield* until(Effect.sync(() => broker.stats.clients === 1))
      yield* Effect.scoped(Effect.andThen(startServer({ connect: backend }), answers(round)))
      yield* until(Effect.sync(() => broker.stats.servers === 0))
    }
    expect(lines).toEqual([ann, ann, ann])
    // One goes with the question.
    yield* Effect.scoped(
      Effect.gen(function* () {
        const server = yield* Zmq.dealer({ connect: backend })
        yield* server.send("\0R0 application/json")
        yield* until(Effect.sync(() => broker.stats.servers === 1))
        yield* ask
        while ((yield* server.recv).length === 1);
      })
    )
    yield* answers(4)
    expect(lines[3]).toBe("b'\\x00B'")
    yield* startServer({ connect: backend })
    yield* ask
    yield* answers(5)
    expect(lines[4]).toBe(ann)
  }).pipe(Effect.scoped, Effect.provide(Layer.fresh(RpcSerialization.layerJsonRpc())))
)
