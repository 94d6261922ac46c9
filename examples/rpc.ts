/** RPC: a typed service behind a broker, two servers of it, one of which ends, and a client that goes on. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { Broker, layerBroker, layerProtocolClient, layerProtocolServer } from "effect-zmq/Rpc"

class NoSuchUser extends Schema.TaggedError<NoSuchUser>()("NoSuchUser", { id: Schema.Number }) {}

class Users extends RpcGroup.make(
  Rpc.make("nameOf", { payload: { id: Schema.Number }, success: Schema.String, error: NoSuchUser }),
  Rpc.make("count", { payload: { to: Schema.Number }, success: Schema.Number, stream: true }),
  Rpc.make("server", { success: Schema.String })
) {}

const handlers = (name: string) =>
  Users.toLayer({
    nameOf: ({ id }) => (id === 1 ? Effect.succeed("ann") : Effect.fail(new NoSuchUser({ id }))),
    count: ({ to }) => Stream.range(1, to),
    server: () => Effect.succeed(name)
  })

const broker = layerBroker({ frontend: { bind: "tcp://127.0.0.1:*" }, backend: { bind: "tcp://127.0.0.1:*" } })

const server = (name: string, connect: ReadonlyArray<string>) =>
  RpcServer.layer(Users).pipe(Layer.provide(handlers(name)), Layer.provide(layerProtocolServer({ connect })))

const program = Effect.gen(function* () {
  const { backend, frontend } = yield* Broker
  const one = yield* Effect.forkScoped(Layer.launch(server("one", backend)))
  // Until the first server is there, calls wait.
  const protocol = layerProtocolClient({ connect: frontend, whileDisconnected: "wait" })
  yield* Effect.gen(function* () {
    const users = yield* RpcClient.make(Users)
    yield* Console.log(yield* users.nameOf({ id: 1 }))
    yield* users.nameOf({ id: 2 }).pipe(Effect.catchTag("NoSuchUser", ({ id }) => Console.log(`no user ${id}`)))
    yield* Console.log(
      `the sum is ${yield* Stream.runFold(
        users.count({ to: 100 }),
        () => 0,
        (sum, n) => sum + n
      )}`
    )

    yield* Effect.forkScoped(Layer.launch(server("two", backend)))
    // A call whose server has just ended fails, and may be made again here.
    const answer = users.server().pipe(Effect.retry({ times: 10 }))
    const askUntil = (name: string): Effect.Effect<void, unknown> =>
      Effect.flatMap(answer, (by) => (by === name ? Console.log(`served by ${name}`) : askUntil(name)))
    yield* askUntil("one")
    yield* askUntil("two")
    yield* Fiber.interrupt(one)
    yield* askUntil("two")
  }).pipe(Effect.provide(protocol))
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide([broker, RpcSerialization.layerNdjson])))
