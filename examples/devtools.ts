/** The DevTools of Effect over ZeroMQ: a program sends its spans to whoever watches, over ipc. */
import { NodeRuntime } from "@effect/platform-node"
import { Deferred, Effect, Layer, Option, Queue } from "effect"
import { DevToolsClient, type DevToolsSchema, DevToolsServer } from "effect/devtools"
import * as SocketServer from "effect-zmq/SocketServer"

const endpoint = `ipc:///tmp/effect-zmq-devtools-${process.pid}`

// What is watched: any program, with one layer.
const page = Effect.gen(function* () {
  yield* Effect.withSpan(Effect.void, "load")
  yield* Effect.withSpan(Effect.void, "render", { attributes: { items: 3 } })
}).pipe(Effect.withSpan("page"))

const parentOf = ({ parent }: DevToolsSchema.Span): string =>
  Option.match(parent, {
    onNone: () => "nobody",
    onSome: (span) => (span._tag === "Span" ? span.name : "another program")
  })

const program = Effect.gen(function* () {
  const seen = yield* Deferred.make<void>()

  // Who watches: it could be another process, or another machine.
  const watch = DevToolsServer.run((client) =>
    Effect.gen(function* () {
      while (true) {
        const request = yield* Queue.take(client.queue)
        if (request._tag !== "Span" || request.status._tag !== "Ended") continue
        console.log(`${request.name}, within ${parentOf(request)}`)
        if (request.name === "page") yield* Deferred.succeed(seen, undefined)
      }
    })
  )
  const server = yield* Layer.build(SocketServer.layer({ bind: endpoint }))
  const watching = yield* Effect.forkChild(Effect.provideContext(watch, server))

  const tracer = DevToolsClient.layerTracer.pipe(Layer.provide(SocketServer.layerSocket({ connect: endpoint })))
  yield* Effect.andThen(page, Deferred.await(seen)).pipe(
    Effect.ensuring(Effect.sync(() => watching.interruptUnsafe())),
    Effect.provide(tracer)
  )
})

NodeRuntime.runMain(Effect.scoped(program))
