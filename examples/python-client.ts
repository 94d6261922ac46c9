/** A typed service and a client in Python (PyZMQ), which it starts: errors are replies, and nonsense gets one as well. */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Schema } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { Codec, Zmq } from "effect-zmq"

const division = {
  request: Codec.json(Schema.Struct({ a: Schema.Number, b: Schema.Number })),
  reply: Codec.json(
    Schema.Union([
      Schema.TaggedStruct("Quotient", { value: Schema.Number }),
      Schema.TaggedStruct("DivisionByZero", {}),
      Schema.TaggedStruct("BadRequest", {})
    ])
  )
}
type Reply = Codec.Type<typeof division.reply>

const divide = ({ a, b }: Codec.Type<typeof division.request>): Reply =>
  b === 0 ? { _tag: "DivisionByZero" } : { _tag: "Quotient", value: a / b }

const program = Effect.gen(function* () {
  const server = yield* Zmq.router({ bind: "tcp://127.0.0.1:*" })
  const serve = server.serveAs(division, (request) => Effect.succeed(divide(request)), {
    concurrency: 16,
    // A REQ waits for its reply: so what does not decode gets one.
    onInvalid: () => Effect.succeed<Reply>({ _tag: "BadRequest" })
  })
  yield* Effect.forkScoped(serve)

  // Debian's own Python, with its package python3-zmq.
  const script = new URL("python-client.py", import.meta.url).pathname
  const python = ChildProcess.make("/usr/bin/python3", [script, server.endpoints[0]!], { stderr: "inherit" })
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  yield* Effect.flatMap(spawner.string(python), (printed) => Console.log(printed.trimEnd()))
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
