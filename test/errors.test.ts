/** Bad input of every kind: a typed error, nothing left open, nothing lost, and a process that survives. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Zmq } from "effect-zmq"
import { badInputs } from "./support/badInput.ts"
import { runScript } from "./support/child.ts"
import { boundTo, freshEndpoint, openFiles, outcome, until } from "./support/sockets.ts"

describe("is told in a typed error, and leaves nothing open", () => {
  for (const { expected, name, run } of badInputs) {
    it.live(name, () =>
      Effect.gen(function* () {
        // The first socket of the process opens the files of the context.
        yield* Effect.scoped(Zmq.pull())
        const before = openFiles()
        expect(yield* Effect.scoped(run)).toBe(expected)
        // libzmq closes in another thread.
        yield* until(Effect.sync(() => openFiles() <= before))
      })
    )
  }
})

it.live("a process that does all of this exits by itself with code 0", () =>
  Effect.gen(function* () {
    const ended = yield* runScript("runBadInput.ts")
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: "", stdout: `${badInputs.length} done\n` })
  })
)

it.live("a message above maxMessageSize: its sender is cut off, the others are heard", () =>
  Effect.gen(function* () {
    const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp"), maxMessageSize: 1000, receiveTimeout: "100 millis" })
    const bad = yield* Zmq.push({ connect: boundTo(pull), linger: 0, reconnectInterval: "Infinity" })
    yield* bad.send("small enough")
    yield* bad.send(Buffer.alloc(1001))
    expect(yield* Effect.retry(pull.recvString, { while: (error) => error._tag === "Again" })).toBe("small enough")
    expect(yield* outcome(pull.recv)).toBe("Again")
    const good = yield* Zmq.push({ connect: boundTo(pull) })
    yield* good.send(Buffer.alloc(1000, "x"))
    expect((yield* Effect.retry(pull.recv, { while: (error) => error._tag === "Again" }))[0].length).toBe(1000)
    expect(yield* outcome(pull.recv)).toBe("Again")
  })
)

it.effect("an operation on a closed socket fails with Closed, whichever it is", () =>
  Effect.gen(function* () {
    const dealer = yield* Effect.scoped(Zmq.dealer({ bind: freshEndpoint("inproc") }))
    const router = yield* Effect.scoped(Zmq.router())
    const sub = yield* Effect.scoped(Zmq.sub({ subscribe: "" }))
    const operations: ReadonlyArray<Effect.Effect<string>> = [
      outcome(dealer.recv),
      outcome(dealer.recvString),
      outcome(dealer.recvStrings),
      outcome(dealer.recvJson),
      outcome(dealer.tryRecv),
      outcome(dealer.drain),
      outcome(dealer.runForEach(() => Effect.void)),
      outcome(dealer.send("x")),
      outcome(dealer.sendJson("x")),
      outcome(dealer.trySend("x")),
      outcome(dealer.sendAll(["x"])),
      outcome(dealer.request("x")),
      outcome(router.serve(() => Effect.succeed("x"))),
      outcome(router.send(["x", "x"])),
      outcome(Effect.scoped(dealer.bind("inproc://closed"))),
      outcome(Effect.scoped(dealer.connect("inproc://closed"))),
      outcome(dealer.unbind("inproc://closed")),
      outcome(dealer.disconnect("inproc://closed")),
      outcome(Effect.scoped(sub.subscribe("x"))),
      outcome(sub.unsubscribe("x"))
    ]
    expect(yield* Effect.all(operations)).toEqual(operations.map(() => "Closed"))
    expect(dealer.endpoints).toEqual([])
  })
)

it.live("what TypeScript refuses is told, and not taken for something else", () =>
  Effect.gen(function* () {
    const sub = yield* Zmq.sub({ subscribe: "", bind: freshEndpoint("inproc") })
    const pub = yield* Zmq.pub({ connect: boundTo(sub) })
    yield* sub.unsubscribe("")
    for (const topic of [["q"], 5, undefined, null, {}]) {
      for (const wrong of [
        sub.subscribe(topic as unknown as string),
        sub.unsubscribe(topic as unknown as string),
        pub.awaitSubscribers(topic as unknown as string)
      ]) {
        const defect = yield* Effect.catchDefect(Effect.scoped(wrong), Effect.succeed)
        expect(defect).toMatchObject({ _tag: "OptionError", option: "topic", value: topic })
      }
    }
    // A list of one character each would be sent otherwise.
    expect(yield* outcome(pub.sendAll("text"))).toBe("EncodeError")
    yield* sub.subscribe("q")
    yield* pub.awaitSubscribers("q")
    yield* pub.sendAll(["\0", "t", "q"])
    expect(yield* sub.recvString).toBe("q")
  })
)
