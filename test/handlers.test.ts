/**
 * Handlers, and peers that do not read: what waits for a peer waits with that
 * peer. Over a scripted socket that has room or not for each peer, as a test says.
 */
import { expect, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { Zmq } from "effect-zmq"
import { describe } from "vitest"
import { messageOf, type Opened, openScripted, type ScriptedSocket, turns, turnsUntil } from "./support/scripted.ts"
import { numbers } from "./support/sockets.ts"

/** How a ROUTER answers for each peer. Those that are not named have room. */
interface Peers<S> extends Opened<S> {
  readonly stuck: Set<string>
  readonly gone: Set<string>
}

const openWithPeers = <S, E>(
  open: Effect.Effect<S, E, Scope.Scope>,
  ...stuckPeers: ReadonlyArray<string>
): Effect.Effect<Peers<S>, never, Scope.Scope> =>
  Effect.map(openScripted(open, { admission: "ask" }), ({ port, socket }) => {
    const stuck = new Set(stuckPeers)
    const gone = new Set<string>()
    port.answer = (message) => {
      const id = Buffer.from(message[0] as Uint8Array).toString()
      return gone.has(id) ? "unroutable" : stuck.has(id) ? "full" : "sent"
    }
    return { port, socket, stuck, gone }
  })

/** Messages of one peer arrive. */
const say = (port: ScriptedSocket, peer: string, ...bodies: ReadonlyArray<string>): void => {
  for (const body of bodies) port.arriveMessage(messageOf(peer, body))
}

const untilSo = (done: () => boolean) =>
  Effect.map(
    Effect.promise(() => turnsUntil(done)),
    (isSo) => expect(isSo).toBe(true)
  )
const aFewTurns = Effect.promise(() => turns(20))
const texts = (from: number, to: number) => numbers(from, to).map(String)

describe("A STREAM peer that says too much and does not read", () => {
  for (const notify of [true, false]) {
    it.live(`is hung up on when it has room, ${notify ? "which is told" : "and not told, with notify: false"}`, () =>
      Effect.gen(function* () {
        const { port, socket, stuck } = yield* openWithPeers(Zmq.rawStream({ notify }), "slow")
        const handled: Array<string> = []
        yield* Effect.forkScoped(
          socket.runForEach(([id, data]) => {
            handled.push(`${id}|${data}`)
            return data!.length === 0 ? Effect.void : socket.send([id, "answer"])
          })
        )
        say(port, "slow", ...texts(0, 1500))
        say(port, "good", "a")
        yield* untilSo(() => port.handedOver === 1501)
        yield* untilSo(() => handled.includes("good|a"))
        // What waited means nothing without what was dropped behind it.
        expect(handled.filter((text) => text.startsWith("slow"))).toEqual(["slow|0"])
        expect(socket.stats).toMatchObject({ dropped: 1499, queued: 0 })

        stuck.clear()
        yield* untilSo(() => port.sent.includes("slow|"))
        expect(port.sent.filter((text) => text.startsWith("slow"))).toEqual(["slow|answer", "slow|"])
        yield* aFewTurns
        expect(handled.filter((text) => text.startsWith("slow"))).toEqual(notify ? ["slow|0", "slow|"] : ["slow|0"])
        // Another that libzmq gives the same id is another.
        say(port, "slow", "again")
        yield* untilSo(() => handled.includes("slow|again"))
      }).pipe(Effect.scoped)
    )
  }

  it.live("tells its own end, if it leaves before", () =>
    Effect.gen(function* () {
      const { gone, port, socket } = yield* openWithPeers(Zmq.rawStream(), "slow")
      const handled: Array<string> = []
      yield* Effect.forkScoped(
        socket.runForEach(([id, data]) => {
          handled.push(`${id}|${data}`)
          return data!.length === 0 ? Effect.void : Effect.ignore(socket.send([id, "answer"]))
        })
      )
      say(port, "slow", ...texts(0, 1200))
      yield* untilSo(() => port.handedOver === 1200)
      say(port, "slow", "")
      gone.add("slow")
      yield* untilSo(() => handled.length === 2)
      yield* aFewTurns
      expect(handled).toEqual(["slow|0", "slow|"])
      expect(socket.stats).toMatchObject({ dropped: 1199, queued: 0 })
      say(port, "slow", "again")
      yield* untilSo(() => handled.includes("slow|again"))
    }).pipe(Effect.scoped)
  )
})
