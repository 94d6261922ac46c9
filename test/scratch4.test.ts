import { it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { spawn } from "node:child_process"
import { boundTo, pause, until } from "./support/sockets.ts"
for (const withStuck of [false, true])
it.live(`HOL stuck=${withStuck}`, () => Effect.gen(function* () {
  const server = yield* Zmq.router({ bind: "tcp://127.0.0.1:*", linger: 0 })
  const body = Buffer.alloc(1000, 1)
  const big = Buffer.alloc(100_000, 1)
  yield* Effect.forkScoped(server.serve(([b]) => Effect.as(Effect.sleep("1 millis"), `${b}` === "s" ? big : body), { concurrency: 4 }))
  const flood = spawn(process.execPath, ["-e", `
    const zmq = require("/work/wt/peers/node_modules/zeromq");
    const d = new zmq.Dealer({ linger: 0, sendHighWaterMark: 0 }); d.connect(${JSON.stringify(boundTo(server))});
    (async () => { for await (const _ of d) {} })();
    (async () => { for (let i = 0; ; i++) { await d.send(["", "f"]); if (i % 1000 === 0) await new Promise(r => setTimeout(r, 1)) } })();
  `], { stdio: "inherit" })
  yield* Effect.addFinalizer(() => Effect.sync(() => void flood.kill("SIGKILL")))
  if (withStuck) {
    const slow = new zmq.Dealer({ receiveHighWaterMark: 1, receiveBufferSize: 4096, linger: 0, sendHighWaterMark: 0 })
    slow.connect(boundTo(server))
    for (let i = 0; i < 2000; i++) yield* Effect.promise(() => slow.send(["", "s"]))
    yield* Effect.addFinalizer(() => Effect.sync(() => slow.close()))
  }
  yield* pause(1500)
  const good = yield* Zmq.dealer({ connect: boundTo(server) })
  const lat: number[] = []
  for (let i = 0; i < 15; i++) { const t = performance.now(); const r = yield* Effect.timeoutOption(good.request("g"), "8 seconds"); lat.push(Math.round(performance.now() - t)); if (lat.reduce((a, b) => a + b) > 16000) break }
  console.log("LAT stuck", withStuck, lat.join(" "), server.stats)
}).pipe(Effect.scoped), 60_000)
