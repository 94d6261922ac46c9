import { it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { Zmq } from "effect-zmq"
import { expect } from "vitest"

// Who is interrupted hands on what it was promised, or lent. A sibling that is
// interrupted next must not be given it.
const races: Record<string, (pull: Zmq.Pull) => Effect.Effect<unknown, unknown>> = {
  "two receives": ({ recv }) => Effect.raceFirst(recv, recv),
  "a stream and a receive": ({ messages, recv }) =>
    Effect.raceFirst(
      Stream.runForEach(messages, () => Effect.never),
      recv
    ),
  "a runForEach and a receive": ({ recv, runForEach }) =>
    Effect.raceFirst(
      runForEach(() => Effect.never),
      recv
    )
}

for (const [name, race] of Object.entries(races)) {
  for (const turns of [0, 1, 2, 3]) {
    it.live(`an interrupted race of ${name} leaves the message, after ${turns} turns`, () =>
      Effect.gen(function* () {
        const endpoint = `inproc://siblings-${name}-${turns}`.replaceAll(" ", "-")
        const pull = yield* Zmq.pull({ bind: endpoint })
        const push = yield* Zmq.push({ connect: endpoint })
        yield* push.sendAll(["a", "b"])
        // both are taken from libzmq now, and "b" is in the mailbox
        expect(yield* pull.recvString).toBe("a")
        const services = yield* Effect.context<never>()
        let won = false
        const racing = Effect.runForkWith(services)(
          Effect.tap(race(pull), () =>
            Effect.sync(() => {
              won = true
            })
          )
        )
        for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(racing)
        const left = (yield* pull.drain).map(String)
        expect({ won, left }).toEqual(won ? { won, left: [] } : { won, left: ["b"] })
      })
    )
  }
}
