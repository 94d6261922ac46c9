/** A bridge to the browser: a page says over a WebSocket what it subscribes to, and gets the messages of a SUB. */
import { createServer } from "node:http"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Schedule, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Socket } from "effect/socket"
import { Zmq } from "effect-zmq"

const Command = Schema.fromJsonString(Schema.Struct({ subscribe: Schema.String }))

const page = `<!doctype html><title>bridge</title><pre id="log"></pre><script>
  const socket = new WebSocket("ws://" + location.host + "/ws")
  socket.onopen = () => socket.send(JSON.stringify({ subscribe: "time" }))
  socket.onmessage = ({ data }) => (log.textContent += data + "\\n")
</script>`

const bridge = (feed: string) =>
  Effect.gen(function* () {
    const web = yield* (yield* HttpServerRequest.HttpServerRequest).upgrade
    const { write } = yield* web.writer
    // Each page has a SUB of its own, which closes with it. Its topics come later.
    const sub = yield* Zmq.sub({ connect: feed, subscribe: [] })
    const obey = (text: string) =>
      Schema.decodeEffect(Command)(text).pipe(
        Effect.flatMap(({ subscribe }) => sub.subscribe(subscribe)),
        Effect.catch((error) => write(error.message))
      )
    const commands = yield* Socket.readerString(web)
    // Until the page has gone, in whichever of the two that shows first.
    yield* Effect.raceFirst(
      sub.runForEach((frames) => write(frames.join(" "))),
      Effect.forever(Effect.flatMap(commands, Effect.forEach(obey, { discard: true })))
    ).pipe(Effect.ignore)
    return HttpServerResponse.empty()
  }).pipe(Effect.scoped)

const program = Effect.gen(function* () {
  const clock = yield* Zmq.pub({ bind: "tcp://127.0.0.1:*" })
  const tick = Effect.suspend(() => clock.send(["time", new Date().toISOString()]))
  yield* Effect.forkScoped(Effect.repeat(tick, Schedule.spaced("100 millis")))

  const routes = Layer.mergeAll(
    HttpRouter.add("GET", "/", HttpServerResponse.html(page)),
    HttpRouter.add("GET", "/ws", bridge(clock.endpoints[0]!))
  )
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(8095))
  const web = HttpRouter.serve(routes, { disableListenLog: true }).pipe(
    Layer.tap(() => HttpServer.addressFormattedWith((url) => Console.log(`open ${url}`))),
    Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port, gracefulShutdownTimeout: "1 second" }))
  )
  yield* Layer.launch(web)
})

NodeRuntime.runMain(Effect.scoped(program))
