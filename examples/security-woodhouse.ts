/**
 * The third of five set-ups: woodhouse. Clients are let in by a name and a
 * password, which PLAIN sends in the open: for networks that you trust.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Context, Effect, Fiber, Layer, Option, Redacted, References, Stream } from "effect"
import { Plain, Zap, Zmq } from "effect-zmq"

/** Stands for a database. */
class Users extends Context.Service<
  Users,
  { readonly has: (name: string, password: string) => Effect.Effect<boolean, Error> }
>()("example/Users") {
  static readonly layer = Layer.succeed(Users, {
    has: (name, password) =>
      name === "carol"
        ? Effect.fail(new Error("the database is away"))
        : Effect.succeed(name === "admin" && password === "secret")
  })
}

// A failure denies, and so does a decision that takes too long.
const authenticator = Zap.layer({
  plain: ({ username, password }) =>
    Effect.gen(function* () {
      const users = yield* Users
      const known = yield* users.has(username, Redacted.value(password))
      return known ? Zap.accept(username) : Zap.deny("wrong name or password")
    }),
  decisionTimeout: "2 seconds"
})

const program = Effect.gen(function* () {
  const zap = yield* Zap.Zap
  const server = yield* Zmq.push({ security: Plain.server({ domain: "global" }) })
  const endpoint = yield* server.bind("tcp://127.0.0.1:*")

  const client = (username: string, password: string) =>
    Effect.gen(function* () {
      const decided = yield* Effect.forkScoped(Stream.runHead(zap.decisions), { startImmediately: true })
      const security = Plain.client({ username, password: Redacted.make(password) })
      const socket = yield* Zmq.pull({ connect: endpoint, security })
      const decision = Option.getOrThrow(yield* Fiber.join(decided))
      const why = decision._tag === "Denied" ? `, ${decision.reason}: ${decision.detail}` : ""
      console.log(`${username} with ${password}: ${decision._tag}${why}`)
      return socket
    })
  yield* client("admin", "guess")
  yield* client("carol", "secret")
  const admin = yield* client("admin", "secret")
  yield* server.send("Hello")
  console.log(`admin received: ${yield* admin.recvString}`)
})

program.pipe(
  Effect.scoped,
  Effect.provide(Layer.provide(authenticator, Users.layer)),
  // Each denial is a warning in the log, without the password.
  Effect.provideService(References.MinimumLogLevel, "Error"),
  NodeRuntime.runMain
)
