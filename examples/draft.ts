/** Draft sockets: a server that knows its clients, a radio with groups, and plain udp. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Stream } from "effect"
import { Draft } from "effect-zmq"

// Who asks is answered, by the routing id that came with the question.
const chat = Effect.gen(function* () {
  const server = yield* Draft.server()
  const connect = yield* server.bind("tcp://127.0.0.1:*")
  const ann = yield* Draft.client({ connect })
  const bob = yield* Draft.client({ connect })

  yield* ann.send("I am Ann")
  const hello = yield* server.recvString
  console.log(hello.data)
  yield* bob.send("I am Bob")
  yield* server.serve(({ data }) => Effect.succeed(`welcome: ${data}`)).pipe(Effect.forkScoped)

  // At any time, and not just as an answer.
  yield* server.send(hello.routingId, "Bob is here")
  console.log("to Ann:", yield* ann.recvString)
  console.log("to Bob:", yield* bob.recvString)
})

// A group is joined whole, and each message is in one.
const weather = Effect.gen(function* () {
  const radio = yield* Draft.radio()
  const oslo = yield* Draft.dish({ join: "oslo", connect: yield* radio.bind("tcp://127.0.0.1:*") })
  const reports = Stream.fromIterable([
    { group: "rome", data: "21 degrees" },
    { group: "oslo", data: "9 degrees" }
  ])
  // A RADIO drops what nobody has joined yet: so it goes on until somebody has heard.
  yield* Stream.run(reports, radio.sink).pipe(
    Effect.andThen(Effect.sleep("5 millis")),
    Effect.forever,
    Effect.forkScoped
  )
  const { data, group } = yield* oslo.recvString
  console.log(`${group}: ${data}`)
})

const packets = Effect.gen(function* () {
  const here = yield* Draft.datagram({ bind: "udp://127.0.0.1:5573" })
  const echo = yield* Draft.datagram({ bind: "udp://127.0.0.1:5574" })
  yield* Stream.run(echo.messages, echo.sink).pipe(Effect.forkScoped)
  yield* here.send("127.0.0.1:5574", "anybody there?")
  const { address, data } = yield* here.recvString
  console.log(`${address} says: ${data}`)
})

const program = Effect.forEach([chat, weather, packets], (part) => Effect.scoped(part))

NodeRuntime.runMain(program)
