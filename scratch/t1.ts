import { Effect, Stream } from "effect"
import { Engine, Zmq } from "../src/index.ts"
for (const ep of ["tcp://127.0.0.1:*","ipc://*","inproc://a"]) {
const prog = Effect.gen(function*(){
  const pull = yield* Zmq.pull({bind: ep})
  const push = yield* Zmq.push({connect: pull.endpoints[0]!})
  yield* push.send("hello"); yield* push.send(["a","b", Buffer.alloc(3)])
  console.log(ep, yield* pull.recvString, (yield* pull.recv).map(String))
  const rep = yield* Zmq.rep({bind: ep+"x" === "inproc://ax" ? "inproc://rr" : ep})
  const req = yield* Zmq.req({connect: rep.endpoints[0]!})
  yield* Effect.forkScoped(rep.serve((m)=>Effect.succeed("re:"+m)))
  console.log(String(yield* req.request("q")), String(yield* req.request("q2")))
  const pub = yield* Zmq.pub({bind: ep === "inproc://a" ? "inproc://p": ep})
  const sub = yield* Zmq.sub({connect: pub.endpoints[0]!, subscribe: "t"})
  yield* pub.awaitSubscribers("t")
  yield* pub.send("x"); yield* pub.send("t1")
  console.log(yield* sub.recvString, "")
  const N=200000
  yield* Effect.forkScoped(Effect.forEach(Array.from({length:N},(_, i)=>i), ()=>push.send("0123456789abcdef"), {discard:true}))
  let t=performance.now()
  yield* Effect.replicateEffect(pull.recvString, N, {discard:true})
  console.log("µs", (performance.now()-t)*1000/N)
}).pipe(Effect.scoped, Effect.provide(process.argv[2]==="z"?Engine.layerZeromq:Engine.layerZmtp), Effect.timeout("20 seconds"))
await Effect.runPromise(prog)
}
