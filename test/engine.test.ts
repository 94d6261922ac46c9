/** The engine that sockets are made by: when it is loaded, and what is said where it cannot be. */
import { readFileSync, writeFileSync } from "node:fs"
import { assert, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Engine, Zmq } from "effect-zmq"
import { unsupportedOptions } from "../src/internal/zmtp/settings.ts"
import { byEngine } from "./support/byEngine.ts"
import { runScript } from "./support/child.ts"
import { CurrentEngine } from "./support/engine.ts"
import { asGiven, optionsByEngine } from "./support/enginesPage.ts"
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

describe("docs/engines.md", () => {
  const file = new URL("../docs/engines.md", import.meta.url)
  const [from, to] = ["<!-- options -->\n", "\n<!-- end of options -->"]

  it("has what becomes of each option on each engine", () => {
    const text = readFileSync(file, "utf8")
    const [start, end] = [text.indexOf(from) + from.length, text.indexOf(to)]
    const page = `${text.slice(0, start)}${optionsByEngine()}${text.slice(end)}`
    if (process.env.WRITE !== undefined) writeFileSync(file, page)
    else expect(text).toBe(page)
  })

  // Values that ask for something.
  const refused: Readonly<Record<string, unknown>> = {
    affinity: 1,
    tcpKeepaliveCount: 3,
    tcpKeepaliveInterval: 3,
    tcpMaxRetransmitTimeout: 1000,
    typeOfService: 8,
    interface: "lo",
    loopbackFastPath: true,
    rate: 100,
    recoveryInterval: 1000,
    multicastMaxTransportDataUnit: 1500,
    multicastHops: 2,
    receiveBufferSize: 65_536,
    sendBufferSize: 65_536
  }
  it.effect.each([...unsupportedOptions])("what is refused is: %s", ([option, harmless]) =>
    Effect.gen(function* () {
      const open = (value: unknown) => Effect.flip(Zmq.dealer({ [option]: value })).pipe(Effect.scoped)
      const error = yield* open(refused[option]).pipe(Effect.provide(Engine.layerZmtp))
      expect(error).toMatchObject({ _tag: "OptionError", option })
      expect(error.message).toContain("Engine.layerZmtp")
      for (const value of harmless) {
        yield* Effect.scoped(Zmq.dealer({ [option]: asGiven(option, value) })).pipe(Effect.provide(Engine.layerZmtp))
      }
    })
  )
})
