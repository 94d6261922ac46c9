/** Effect's own RPC and DevTools over a `SocketServer`, beside its TCP transport: the same calls, the same results. */
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { NodeSocket, NodeSocketServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import {
  Cause,
  Context,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Option,
  Queue,
  Schedule,
  Schema,
  Scope,
  Stream
} from "effect"
import { DevToolsClient, type DevToolsSchema, DevToolsServer } from "effect/devtools"
import { Headers } from "effect/http"
import * as NetAddress from "effect/net/NetAddress"
import { Rpc, RpcClient, RpcClientError, RpcGroup, RpcMiddleware, RpcSerialization, RpcServer } from "effect/rpc"
import { SocketServer as EffectServer, type Socket } from "effect/socket"
import { Curve } from "effect-zmq"
import * as SocketServer from "effect-zmq/SocketServer"
import { nodeArguments } from "./support/child.ts"
import { Counting } from "./support/counting.ts"
import { freshEndpoint, numbers, pause, transports, until } from "./support/sockets.ts"

class TooLarge extends Schema.TaggedError<TooLarge>()("TooLarge", { most: Schema.Number }) {}

class Caller extends Context.Service<Caller, string>()("test/Caller") {}
class Named extends RpcMiddleware.Service<Named, { provides: Caller }>()("test/Named") {}

const Calls = RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Number, b: Schema.Number }, success: Schema.Number, error: TooLarge }),
  Rpc.make("when", { payload: { at: Schema.Date }, success: Schema.Date }),
  Rpc.make("large", { payload: { size: Schema.Number }, success: Schema.String }),
  Rpc.make("defect"),
  Rpc.make("count", { payload: { to: Schema.Number }, success: Schema.Number, error: TooLarge, stream: true }),
  Rpc.make("who", { success: Schema.String }).middleware(Named),
  Rpc.make("never"),
  Rpc.make("told", { payload: { what: Schema.String } }),
  Rpc.make("trace", { success: Schema.Option(Schema.String) })
)

/** What the handlers have seen. */
interface Seen {
  running: number
  readonly told: Array<string>
}

const handlers = (seen: Seen) =>
  Calls.toLayer({
    add: ({ a, b }) => (a + b > 1_000 ? Effect.fail(new TooLarge({ most: 1_000 })) : Effect.succeed(a + b)),
    when: ({ at }) => Effect.succeed(new Date(at.getTime() + 1_000)),
    large: ({ size }) => Effect.succeed("x".repeat(size)),
    defect: () => Effect.die(new Error("a defect")),
    count: ({ to }) =>
      Stream.range(1, to).pipe(
        Stream.mapEffect((i) => (i > 1_000 ? Effect.fail(new TooLarge({ most: 1_000 })) : Effect.succeed(i)))
      ),
    who: () => Caller,
    never: () =>
      Effect.acquireUseRelease(
        Effect.sync(() => void seen.running++),
        () => Effect.never,
        () => Effect.sync(() => void seen.running--)
      ),
    told: ({ what }) => Effect.sync(() => void seen.told.push(what)),
    trace: () =>
      Effect.map(
        Effect.option(Effect.currentSpan),
        Option.map(({ traceId }) => traceId)
      )
  }).pipe(
    Layer.provideMerge(
      Layer.succeed(Named, (effect, { headers }) =>
        Effect.provideService(
          effect,
          Caller,
          Option.getOrElse(Headers.get(headers, "name"), () => "nobody")
        )
      )
    )
  )

const serializations = {
  ndjson: RpcSerialization.layerNdjson,
  ndJsonRpc: RpcSerialization.layerNdJsonRpc(),
  schemaBinary: RpcSerialization.layerSchemaBinary(),
  json: RpcSerialization.layerJson,
  jsonRpc: RpcSerialization.layerJsonRpc()
}
type Serialization = keyof typeof serializations
// Over TCP chunks come as they like.
const withoutFraming: ReadonlySet<string> = new Set(["json", "jsonRpc"])

type ServerLayer = Layer.Layer<EffectServer.SocketServer, EffectServer.SocketServerError>
type ClientOf = (server: EffectServer.SocketServer["Service"]) => Layer.Layer<Socket.Socket, Socket.SocketError>

interface Transport {
  readonly name: string
  readonly server: () => ServerLayer
  readonly client: ClientOf
}

/** Where a server is, of its address. */
const endpointOf = (address: NetAddress.SocketAddress): string => {
  const text = NetAddress.isUnixPathAddress(address) ? address.path : `tcp://${NetAddress.formatSocketAddress(address)}`
  return text.startsWith("/") ? `ipc://${text}` : text
}

const ours: ReadonlyArray<Transport> = transports.map((transport) => ({
  name: transport,
  server: () => SocketServer.layer({ bind: freshEndpoint(transport) }),
  client: ({ address }) => SocketServer.layerSocket({ connect: endpointOf(address) })
}))

const plain: Transport = {
  name: "Effect's TCP",
  server: () => NodeSocketServer.layer({ port: 0, host: "127.0.0.1" }),
  client: ({ address }) => {
    const { address: host, port } = address as NetAddress.InetAddress
    return NodeSocket.layerNet({ host: NetAddress.formatIp(host), port })
  }
}

/** A server in a process of its own, and the lines that it prints: first where it listens. */
const serverProcess = (endpoint: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly child: ChildProcess; readonly lines: Array<string> }>((resume) => {
      const { NODE_OPTIONS: _, ...env } = process.env
      const child = spawn(process.execPath, [...nodeArguments("rpcServer.ts"), endpoint], {
        env,
        stdio: ["ignore", "pipe", "inherit"]
      })
      const lines: Array<string> = []
      createInterface({ input: child.stdout! }).on("line", (line) => {
        lines.push(line)
        resume(Effect.succeed({ child, lines }))
      })
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** A server and a client for it. */
const opened = (transport: Transport, serialization: Serialization, seen: Seen, handlersScope?: Scope.Scope) =>
  Effect.gen(function* () {
    const built = yield* Layer.build(transport.server())
    const server = Context.get(built, EffectServer.SocketServer)
    const serialize = serializations[serialization]
    yield* Layer.buildWithScope(
      RpcServer.layer(Calls, { disableFatalDefects: true }).pipe(
        Layer.provide(handlers(seen)),
        Layer.provide(RpcServer.layerProtocolSocketServer),
        Layer.provide([serialize, Layer.succeed(EffectServer.SocketServer, server)])
      ),
      handlersScope ?? (yield* Effect.scope)
    )
    const protocol = RpcClient.layerProtocolSocket().pipe(Layer.provide([transport.client(server), serialize]))
    const context = yield* Layer.build(protocol)
    const client = yield* Effect.provideContext(RpcClient.make(Calls), context)
    return { client, server }
  })

const shown = <A, E>(exit: Exit.Exit<A, E>): unknown => {
  if (Exit.isSuccess(exit)) return exit.value
  return exit.cause.reasons.map((reason) =>
    reason._tag === "Fail"
      ? reason.error
      : reason._tag === "Die"
        ? `died: ${(reason.defect as Error).message}`
        : reason._tag
  )
}

const calls = (transport: Transport, serialization: Serialization) =>
  Effect.gen(function* () {
    const seen: Seen = { running: 0, told: [] }
    const { client } = yield* opened(transport, serialization, seen)
    const results: Record<string, unknown> = {}
    const record = <A, E>(name: string, self: Effect.Effect<A, E>) =>
      Effect.map(Effect.exit(self), (exit) => {
        results[name] = shown(exit)
      })
    yield* record("a value", client.add({ a: 1, b: 2 }))
    yield* record("a typed error", client.add({ a: 1_000, b: 2 }))
    yield* record("a date", client.when({ at: new Date(0) }))
    yield* record(
      "a large reply",
      Effect.map(client.large({ size: 3_000_000 }), (text) => text.length)
    )
    yield* record("a defect", client.defect())
    yield* record("a stream", Stream.runCollect(client.count({ to: 1_000 })))
    yield* record(
      "a stream that fails",
      Effect.map(Stream.runCollect(Stream.result(client.count({ to: 1_001 }))), (all) => all.length)
    )
    yield* record("a part of a stream", Stream.runCollect(Stream.take(client.count({ to: 1_000 }), 3)))
    yield* record("a header", client.who(undefined, { headers: { name: "Ann" } }))
    yield* record("none", client.who())
    yield* record("no reply", client.told({ what: "it" }, { discard: true }))
    yield* until(Effect.sync(() => seen.told.length === 1))
    const span = Effect.withSpan(Effect.all([client.trace(), Effect.currentSpan]), "here")
    yield* record(
      "a trace",
      Effect.map(span, ([there, { traceId }]) => Option.getOrUndefined(there) === traceId)
    )
    yield* record(
      "many at once",
      Effect.forEach(numbers(0, 500), (a) => client.add({ a, b: 1 }), { concurrency: 64 })
    )
    const waiting = yield* Effect.forkChild(client.never())
    yield* until(Effect.sync(() => seen.running === 1))
    yield* Fiber.interrupt(waiting)
    yield* until(Effect.sync(() => seen.running === 0))
    yield* record("a value after all that", client.add({ a: 3, b: 4 }))
    return results
  }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))

describe.each(Object.keys(serializations) as ReadonlyArray<Serialization>)("Effect's RPC with %s", (serialization) => {
  it.live("has the same results over tcp, ipc and inproc as over its own TCP", () =>
    Effect.gen(function* () {
      const expected = yield* calls(plain, withoutFraming.has(serialization) ? "ndjson" : serialization)
      expect(expected["a value after all that"]).toBe(7)
      expect(expected["a trace"]).toBe(true)
      for (const transport of ours) {
        expect({ [transport.name]: yield* calls(transport, serialization) }).toEqual({ [transport.name]: expected })
      }
    })
  )
})

describe("Effect's RPC", () => {
  it.live("over CURVE", () =>
    Effect.gen(function* () {
      const keys = yield* Curve.generate
      const client = yield* Curve.generate
      const secured: Transport = {
        name: "CURVE",
        server: () => SocketServer.layer({ bind: freshEndpoint("tcp"), security: Curve.server({ keys }) }),
        client: ({ address }) =>
          SocketServer.layerSocket({
            connect: endpointOf(address),
            security: Curve.client({ keys: client, serverKey: keys.publicKey })
          })
      }
      const results = yield* calls(secured, "ndjson")
      expect(results["a value after all that"]).toBe(7)
    })
  )

  for (const transport of ["tcp", "ipc"] as const) {
    it.live(
      `over ${transport}: a server that is killed fails the calls, typed, and the next one serves the same client`,
      () =>
        Effect.gen(function* () {
          const first = yield* serverProcess(freshEndpoint(transport))
          const connect = first.lines[0]!
          const context = yield* Layer.build(
            RpcClient.layerProtocolSocket().pipe(
              Layer.provide([SocketServer.layerSocket({ connect }), RpcSerialization.layerNdjson])
            )
          )
          const client = yield* Effect.provideContext(RpcClient.make(Counting), context)
          expect(yield* client.next({ after: 1 })).toBe(2)
          const waiting = yield* Effect.forkChild(
            Effect.all(
              numbers(0, 20).map(() => Effect.exit(client.stuck())),
              { concurrency: "unbounded" }
            )
          )
          const isStuck = (line: string): boolean => line === "stuck"
          yield* until(Effect.sync(() => first.lines.filter(isStuck).length === 20))
          const killed = performance.now()
          first.child.kill("SIGKILL")
          for (const exit of yield* Fiber.join(waiting)) {
            expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toBeInstanceOf(RpcClientError.RpcClientError)
          }
          expect(performance.now() - killed).toBeLessThan(1_000)
          const answer = client
            .next({ after: 2 })
            .pipe(Effect.retry({ schedule: Schedule.spaced(10), while: ({ _tag }) => _tag === "RpcClientError" }))
          const waits = yield* Effect.forkChild(answer)
          const second = yield* serverProcess(connect)
          expect(yield* Fiber.join(waits)).toBe(3)
          // None of those that were told that they failed.
          expect(second.lines.filter(isStuck)).toEqual([])
        }).pipe(Effect.provide(Logger.layer([])))
    )
  }

  it.live("a server that ends in order tells its calls so, as over TCP", () =>
    Effect.gen(function* () {
      const outcomes = yield* Effect.forEach([plain, ...ours], (transport) =>
        Effect.gen(function* () {
          const seen: Seen = { running: 0, told: [] }
          const handlersScope = yield* Scope.make()
          const { client } = yield* opened(transport, "ndjson", seen, handlersScope)
          const waiting = yield* Effect.forkChild(Effect.exit(client.never()))
          yield* until(Effect.sync(() => seen.running === 1))
          yield* Scope.close(handlersScope, Exit.void)
          expect(seen.running).toBe(0)
          return shown(yield* Fiber.join(waiting))
        })
      )
      expect(outcomes).toEqual(outcomes.map(() => ["Interrupt"]))
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.live("a client that does not read a stream costs the others nothing", () =>
    Effect.gen(function* () {
      const seen: Seen = { running: 0, told: [] }
      const { client, server } = yield* opened(ours[2]!, "ndjson", seen)
      const lazy = yield* SocketServer.makeSocket({ connect: endpointOf(server.address), window: 1024 })
      yield* lazy.reader
      const writer = yield* lazy.writer
      const { encode } = RpcSerialization.ndjson.makeUnsafe()
      const ask = (id: string) =>
        encode({ _tag: "Request", id, tag: "large", payload: { size: 100_000 }, headers: [] }) as string
      yield* Effect.forEach(numbers(0, 100), (i) => writer.write(ask(`${i}`)), { discard: true })
      yield* pause(50)
      const answers = yield* Effect.forEach(numbers(0, 200), (a) => client.add({ a, b: 1 }), { concurrency: 16 })
      expect(answers).toEqual(numbers(1, 201))
    })
  )
})

describe("DevTools of Effect", () => {
  for (const transport of transports) {
    it.live(`over ${transport}: the server receives the spans, and asks for metrics`, () =>
      Effect.gen(function* () {
        const errors: Array<unknown> = []
        const logger = Logger.make(({ logLevel, message }) => {
          if (logLevel === "Error") errors.push(message)
        })
        let handled = 0
        const server = yield* SocketServer.make({ bind: freshEndpoint(transport) })
        const got = yield* Queue.unbounded<DevToolsSchema.Request.WithoutPing>()
        const running = yield* Effect.forkChild(
          DevToolsServer.run((client) =>
            Effect.gen(function* () {
              yield* client.send({ _tag: "MetricsRequest" })
              return yield* Effect.forever(
                Effect.flatMap(Queue.take(client.queue), (request) => Queue.offer(got, request))
              )
            }).pipe(Effect.ensuring(Effect.sync(() => handled++)))
          ).pipe(Effect.provideService(EffectServer.SocketServer, server), Effect.provide(Logger.layer([logger])))
        )
        const traced = DevToolsClient.layerTracer.pipe(
          Layer.provide(SocketServer.layerSocket({ connect: server.endpoints[0]! }))
        )
        const requests: Array<DevToolsSchema.Request.WithoutPing> = []
        const ended = () => requests.filter((request) => request._tag === "Span" && request.status._tag === "Ended")
        yield* Effect.gen(function* () {
          for (const i of numbers(0, 300)) yield* Effect.withSpan(Effect.void, `span ${i}`)
          // What its server has queued when a client leaves, it drops.
          while (ended().length < 300 || !requests.some(({ _tag }) => _tag === "MetricsSnapshot")) {
            requests.push(yield* Queue.take(got))
          }
        }).pipe(Effect.provide(traced))
        expect(ended().map((span) => span._tag === "Span" && span.name)).toEqual(
          numbers(0, 300).map((i) => `span ${i}`)
        )
        // That the client has left is no error of the server's.
        yield* until(Effect.sync(() => handled === 1))
        yield* Fiber.interrupt(running)
        expect(errors).toEqual([])
      })
    )
  }
})
