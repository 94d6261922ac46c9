import { Effect, Stream } from "effect"
import { Engine, Zmq } from "../src/index.ts"
const prog = Effect.gen(function*(){
  const pull = yield* Zmq.pull({bind: "inproc://a"})
  const push = yield* Zmq.push({connect: "inproc://a"})
  yield* push.sendAll(["1","2","3"])
  console.log("sent")
  console.log(yield* pull.recvString)
  console.log(yield* pull.drain)
}).pipe(Effect.scoped, Effect.provide(Engine.layerZmtp), Effect.timeout("3 seconds"))
await Effect.runPromise(prog)
console.log("closed")
