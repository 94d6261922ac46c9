/**
 * Many sockets, each of which never runs out of messages: one budget of the
 * event loop serves all of them.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Zmq } from "effect-zmq"
import { Proxy } from "../src/index.ts"
import { type Opened, openScripted, type ScriptedSocket } from "./support/scripted.ts"
import { nextTurn, numbers } from "./support/sockets.ts"

const sockets = 50
const budget = 512
// A burst is paid for beforehand, and may be longer than what was left.
const burst = 256
const turns = 400

const forever = Effect.forever({ disableYield: true })

/** How somebody who never stops receives. */
const receivers: Record<string, (pull: Zmq.Pull) => Effect.Effect<unknown, unknown>> = {
  recv: (pull) => forever(pull.recv),
  tryRecv: (pull) => forever(pull.tryRecv),
  "recv with a time limit": (pull) => forever(Effect.timeout(pull.recv, "1 hour")),
  "a stream": (pull) => Stream.runDrain(pull.messages),
  runForEach: (pull) => pull.runForEach(() => Effect.void),
  "runForEach, 16 at a time": (pull) => pull.runForEach(() => Effect.yieldNow, { concurrency: 16 }),
  drain: (pull) => forever(pull.drain)
}

/** What is handed over in each turn of the event loop, and to each socket in all of them. */
const watched = (ports: ReadonlyArray<ScriptedSocket>, turns: number) =>
  Effect.gen(function* () {
    const perTurn: Array<number> = []
    const sum = () => ports.reduce((sum, { handedOver }) => sum + handedOver, 0)
    const first = ports.map(({ handedOver }) => handedOver)
    for (let i = 0; i < turns; i++) {
      const before = sum()
      yield* nextTurn
      perTurn.push(sum() - before)
    }
    return { perTurn, each: ports.map(({ handedOver }, at) => handedOver - first[at]!) }
  })

const flood = Effect.forEach(numbers(0, sockets), () => openScripted(Zmq.pull(), { flood: (number) => `${number}` }))

describe(`${sockets} sockets that are flooded`, () => {
  for (const [name, receive] of Object.entries(receivers)) {
    it.live(`hand over one budget of messages a turn, and to each its share: ${name}`, () =>
      Effect.gen(function* () {
        const all: ReadonlyArray<Opened<Zmq.Pull>> = yield* flood
        for (const { socket } of all) yield* Effect.forkScoped(receive(socket))
        const ports = all.map(({ port }) => port)
        yield* watched(ports, 50)
        const { each, perTurn } = yield* watched(ports, turns)
        for (const port of ports) port.flooding = false
        // What one turn begins another may end.
        expect(Math.max(...perTurn)).toBeLessThanOrEqual(2 * budget + burst)
        const total = each.reduce((sum, count) => sum + count, 0)
        expect(total).toBeLessThanOrEqual((turns + 2) * (budget + burst))
        expect(total).toBeGreaterThan(turns * 10)
        // Bursts are large, so not exactly.
        expect(Math.min(...each)).toBeGreaterThan(total / sockets / 2)
        expect(Math.max(...each)).toBeLessThan((total / sockets) * 2)
      }).pipe(Effect.scoped)
    )
  }

  it.live("leave their share to proxies", () =>
    Effect.gen(function* () {
      const all = yield* flood
      for (const { socket } of all) yield* Effect.forkScoped(socket.runForEach(() => Effect.void))
      const front = yield* openScripted(Zmq.pull(), { flood: (number) => `${number}` })
      const back = yield* openScripted(Zmq.push())
      yield* Effect.forkScoped(Proxy.run(front.socket, back.socket))
      const ports = [front.port, ...all.map(({ port }) => port)]
      yield* watched(ports, 50)
      const { each, perTurn } = yield* watched(ports, turns)
      for (const port of ports) port.flooding = false
      expect(Math.max(...perTurn)).toBeLessThanOrEqual(2 * budget + burst)
      const total = each.reduce((sum, count) => sum + count, 0)
      // It pays twice, for what it receives and for what it sends.
      expect(each[0]).toBeGreaterThan(total / sockets / 6)
    }).pipe(Effect.scoped)
  )
})
