/** The engine that sockets are made by: when it is loaded, and what is said where it cannot be. */
import { assert, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Engine, Zmq } from "effect-zmq"
import { byEngine } from "./support/byEngine.ts"
import { runScript } from "./support/child.ts"
import { CurrentEngine } from "./support/engine.ts"
import { boundTo, freshEndpoint } from "./support/sockets.ts"

it.live("Without the package zeromq the library is there, but for sockets on it, which say what to do", () =>
  Effect.gen(function* () {
    const { code, stderr, stdout } = yield* runScript("withoutZeromq.ts")
    expect(stderr).toBe("")
    expect(stdout.trim().split("\n")).toEqual([
      "made 5 true 0",
      "pull OpenError EngineMissing true",
      "router OpenError EngineMissing true",
      "client OpenError EngineMissing true",
      "a layer OpenError EngineMissing true",
      "a context OpenError EngineMissing true",
      "asked for",
      "on the other engine: hello, asked for 0"
    ])
    expect(code).toBe(0)
  })
)

describe("The default engine", () => {
  it.live("is what sockets are opened on, unless another was provided", () =>
    Effect.gen(function* () {
      const before = yield* CurrentEngine
      const opened: Array<string> = []
      const watched = {
        ...before,
        open: (...[opening, owner]: Parameters<typeof before.open>) => {
          opened.push(opening.type)
          return before.open(opening, owner)
        }
      }
      const onIt = Effect.provideService(CurrentEngine, watched)
      const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc") }).pipe(onIt)
      const other = byEngine({ zeromq: Engine.layerZmtp, zmtp: Engine.layerZeromq })
      yield* Zmq.sub({ subscribe: "" }).pipe(Effect.provide(other), onIt)
      // Both of them meet at one name.
      const push = yield* Zmq.push({ connect: boundTo(pull) })
      yield* push.send("hello")
      assert.strictEqual(yield* pull.recvString, "hello")
      expect(opened).toEqual(["pull"])
    })
  )
})
