/** Run by engine.test.ts: what there is where the package `zeromq` cannot be loaded. */
import Module from "node:module"
import type { Effect as AnEffect } from "effect/Effect"
import type { OpenError } from "../../src/ZmqError.ts"

// As Node does it, where there is no such package.
const modules = Module as unknown as { _resolveFilename: (name: string, ...rest: ReadonlyArray<unknown>) => string }
const resolve = modules._resolveFilename
const asked: Array<string> = []
modules._resolveFilename = (name, ...rest) => {
  if (!/^zeromq(\/|$)/.test(name)) return resolve(name, ...rest)
  asked.push(name)
  throw Object.assign(new Error(`Cannot find module '${name}'`), { code: "MODULE_NOT_FOUND" })
}

const { Effect, Layer, Result, Stream } = await import("effect")
const { Codec, Curve, Draft, Engine, Proxy, Z85, Zap, Zmq } = await import("effect-zmq")

const { publicKey, secretKey } = await Effect.runPromise(Curve.generate)
const server = Zmq.layer(Zmq.rep({ bind: "tcp://127.0.0.1:*", security: Curve.server({ secretKey }) }))
const program = Zmq.messages.pipe(Stream.runDrain, Effect.provide(server), Effect.provide(Engine.layerZeromq))
const made = [program, Zap.layer({ plain: () => Effect.succeed(Zap.accept()) }), Proxy.run, Codec.string, Layer.empty]
console.log(
  "made",
  made.length,
  Result.getOrThrow(Z85.encode(Curve.toBytes(publicKey))) === String(publicKey),
  asked.length
)

const sockets = {
  pull: Zmq.pull(),
  router: Zmq.router({ bind: "tcp://127.0.0.1:*" }),
  client: Draft.client(),
  "a layer": program,
  "a context": Effect.provide(Zmq.pull(), Zmq.Context.layer({ ioThreads: 2 }))
}
for (const [name, open] of Object.entries(sockets)) {
  const failed = Effect.flip(Effect.scoped(Effect.provide(open as AnEffect<unknown, unknown>, Engine.layerZeromq)))
  const error = (await Effect.runPromise(failed)) as OpenError
  console.log(name, error._tag, error.reason, error.message.includes("npm install zeromq"))
}
console.log(asked.length > 0 ? "asked for" : "not asked for")

asked.length = 0
const hello = Effect.gen(function* () {
  const pull = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
  const push = yield* Zmq.push({ connect: pull.endpoints[0]! })
  yield* push.send("hello")
  return yield* pull.recvString
})
const heard = await Effect.runPromise(Effect.scoped(Effect.provide(hello, Engine.layerZmtp)))
console.log(`on the other engine: ${heard}, asked for ${asked.length}`)
