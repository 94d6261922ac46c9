/** What is only true of the engine on ZMTP over inproc: it knows who is there, and whoever was there may come back. */
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { Engine, Zmq } from "effect-zmq"
import { freshEndpoint } from "./support/sockets.ts"

it.effect("a name is connected when it is bound, lost when it is not, and connected again", () =>
  Effect.gen(function* () {
    const endpoint = freshEndpoint("inproc")
    const push = yield* Zmq.push({ connect: endpoint })
    expect((yield* push.status).endpoints).toMatchObject([{ state: "connecting" }])
    yield* push.send("0")
    for (const round of [1, 2]) {
      const scope = yield* Scope.make()
      const pull = yield* Scope.provide(Zmq.pull({ bind: endpoint }), scope)
      yield* push.awaitConnected
      expect((yield* push.status).endpoints).toMatchObject([{ state: "connected" }])
      expect([(yield* pull.status).peers, (yield* push.status).peers]).toEqual([1, 1])
      yield* push.send(`${round}`)
      if (round === 1) expect(yield* pull.recvString).toBe("0")
      expect(yield* pull.recvString).toBe(`${round}`)
      yield* Scope.close(scope, Exit.void)
      yield* Effect.yieldNow
      expect((yield* push.status).endpoints).toMatchObject([{ state: "connecting" }])
    }
  }).pipe(Effect.scoped, Effect.provide(Engine.layerZmtp))
)
