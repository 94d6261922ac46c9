import { Effect, Fiber } from "effect"
import { Engine, Proxy, Zmq } from "../src/index.ts"
const prog = Effect.gen(function*(){
  const proxy = yield* Proxy.queue({ frontend: { bind: "inproc://f" }, backend: { bind: "inproc://b" } })
  const c = yield* Zmq.req({connect: "inproc://f"})
  const a = yield* Effect.forkChild(Effect.gen(function*(){ for (let i=0;i<3;i++) console.log((yield* c.request(["x","",String(i)])).map(String)) }))
  yield* Effect.sleep(100)
  console.log(proxy.stats, proxy.frontend.stats)
  if (process.argv[2]==="router") {
  const router = yield* Zmq.router({ connect: "inproc://b" })
  yield* Effect.forkScoped(router.serve((m)=>Effect.succeed(["re",...m] as const), { concurrency: 4 }))
  } else {
  const rep = yield* Zmq.rep({ connect: "inproc://b" })
  yield* Effect.forkScoped(rep.serve((m)=>Effect.succeed(["re",...m] as const)))
  }
  yield* Fiber.join(a)
}).pipe(Effect.scoped, Effect.provide(Engine.layerZmtp), Effect.timeout("3 seconds"))
await Effect.runPromise(prog)
