/** A readiness probe over HTTP: 200 when a worker has all its connections, 503 and what is missing when not. */
import { createServer } from "node:http"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Stream } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { Zmq } from "effect-zmq"

const isMissing = ({ state }: Zmq.EndpointStatus) => state === "connecting" || state === "refused"

const ready = Effect.gen(function* () {
  const missing = (yield* Zmq.status).endpoints.filter(isMissing)
  return yield* HttpServerResponse.json({ missing }, { status: missing.length === 0 ? 200 : 503 })
})

const program = Effect.gen(function* () {
  // A port that is free, for a queue that is not there yet.
  const queueAt = yield* Effect.scoped(
    Effect.map(Zmq.push({ bind: "tcp://127.0.0.1:*" }), (push) => push.endpoints[0]!)
  )
  const jobs = yield* Zmq.pull({ connect: queueAt })

  const probe = HttpRouter.serve(HttpRouter.add("GET", "/ready", ready), {
    disableLogger: true,
    disableListenLog: true
  })
  const web = Layer.provideMerge(probe, NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
  const services = yield* Layer.build(Layer.provide(web, Zmq.layer(Effect.succeed(jobs))))
  const url = yield* HttpServer.addressFormattedWith(Effect.succeed).pipe(Effect.provide(services))

  const ask = Effect.promise(async () => {
    const response = await fetch(`${url}/ready`)
    const { missing } = (await response.json()) as { readonly missing: ReadonlyArray<Zmq.EndpointStatus> }
    console.log(response.status, missing.map(({ state }) => state).join() || "all there")
  })
  yield* ask
  const queue = yield* Zmq.push({ bind: queueAt })
  yield* jobs.awaitConnected
  yield* ask

  yield* queue.unbind(queueAt)
  const isGone = (status: Zmq.Status) => status.endpoints.some(isMissing)
  yield* Stream.runDrain(Stream.takeUntil(jobs.statusChanges, isGone))
  yield* ask
})

NodeRuntime.runMain(Effect.scoped(program))
