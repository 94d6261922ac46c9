import { Effect } from "effect"
import { Engine, Zmq } from "../src/index.ts"
const prog = Effect.gen(function*(){
  yield* Effect.scoped(Effect.gen(function*(){ const push = yield* Zmq.push({ bind: "tcp://127.0.0.1:*", linger: "1 minute" }); yield* push.connect("inproc://zz"); yield* push.send("late"); console.log("sent") }))
  console.log("closed")
  const pull = yield* Zmq.pull({bind: "inproc://zz"})
  console.log(yield* pull.recvString)
}).pipe(Effect.scoped, Effect.provide(Engine.layerZmtp), Effect.timeout("3 seconds"))
await Effect.runPromise(prog)
